//! Text to checked models: parse, follow `use`, elaborate, and try every proposed fix.

use crate::diagnostic::{Checked as FixChecked, Diagnostic, Fix, Severity};
use crate::elaborate::{Request, elaborate_around, sharpen, uses};
use crate::ir::structured::Structured;
use crate::ir::training::Training;
use crate::lints::{Subject, is_lint};
use crate::syntax::ast::{Entry, File};
use crate::syntax::parse;
use crate::text::{FileError, Files, Source, Sources, Span};

/// The longest file that `use` brings in.
const LIMIT: u64 = 16 << 20;
/// How many files one check reads.
const MOST_FILES: usize = 256;
/// How many reports have their fixes tried, and how many bytes are read again for that: a check is never slow for the
/// sake of advice.
const MOST_FIXES: usize = 24;
const MOST_REREAD: usize = 1 << 20;
/// More reports than this are counted and not told: nobody reads them.
const MOST_REPORTS: usize = 100;

/// Slips that leave no doubt of what was meant: what stands around them is judged like any other text.
const READ_AS_MEANT: &[&str] =
    &["syntax::control_character", "syntax::hash_comment", "syntax::block_comment", "syntax::single_quotes"];

/// What a check found.
#[derive(Debug, Default)]
pub struct Checked {
    /// The text itself, and what it uses.
    pub sources: Sources,
    /// The models that are whole.
    pub models: Vec<Structured>,
    /// The train sections that are whole.
    pub trainings: Vec<Training>,
    /// The names of all its models, and the labels of its train sections, whole or not.
    pub names: Vec<String>,
    /// What is wrong, or probably wrong, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// What is worth knowing: the lints that are told only when asked for.
    pub remarks: Vec<Diagnostic>,
}

impl Checked {
    /// Whether the text cannot mean what it says. A lint is none, however grave: what it is about runs.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(is_error)
    }

    /// The reports as a user reads them: width 100, no colour.
    pub fn render(&self) -> String {
        let options = crate::diagnostic::render::RenderOptions { width: 100, color: false, unicode: true };
        crate::diagnostic::render::human(&self.diagnostics, &self.sources, &options)
    }
}

/// Checks a text. `files` reads what it uses, from the folder of its own name; none: nothing can be used.
pub fn check(source: Source, request: &Request, files: Option<&dyn Files>) -> Checked {
    let mut found = once(source, request, files);
    try_fixes(&mut found, request, files);
    tell_some(&mut found.diagnostics);
    found
}

/// An error that is no lint.
fn is_error(report: &Diagnostic) -> bool {
    report.severity == Severity::Error && !is_lint(report)
}

/// Keeps as many reports as someone reads, errors before warnings; the last says how many there are beyond it.
fn tell_some(reports: &mut Vec<Diagnostic>) {
    let more = reports.len().saturating_sub(MOST_REPORTS);
    let errors = reports.iter().filter(|report| report.severity == Severity::Error).count();
    let (mut errors, mut others) = (MOST_REPORTS, MOST_REPORTS.saturating_sub(errors));
    reports.retain(|report| {
        let room = if report.severity == Severity::Error { &mut errors } else { &mut others };
        let kept = *room > 0;
        *room -= usize::from(kept);
        kept
    });
    if let Some(last) = reports.last_mut().filter(|_| more > 0) {
        last.notes.push(format!("{more} more reports are left out: mend these first"));
    }
}

/// A check whose fixes are not tried.
fn once(source: Source, request: &Request, files: Option<&dyn Files>) -> Checked {
    let mut sources = Sources::default();
    let mut trees: Vec<File> = vec![];
    let mut comments = vec![];
    let mut diagnostics = vec![];
    let mut unpaired = false;
    let mut waiting = vec![(source, Span::default())];
    while let Some((source, _)) = waiting.pop() {
        let folder = folder(&source.name).to_string();
        let id = sources.add(source);
        let parsed = parse(id, &sources.0[id as usize].text);
        diagnostics.extend(parsed.diagnostics);
        unpaired |= parsed.unpaired;
        for (path, span) in uses(&parsed.file) {
            if sources.0.len() + waiting.len() >= MOST_FILES {
                let text = format!("more than {MOST_FILES} files use each other");
                diagnostics.push(Diagnostic::error("name::use", text, span, "one too many"));
                break;
            }
            match open(&folder, path, span, files) {
                Ok(source)
                    if sources
                        .0
                        .iter()
                        .chain(waiting.iter().map(|(s, _)| s))
                        .all(|known| known.name != source.name) =>
                {
                    waiting.push((source, span));
                }
                Ok(_) => {}
                Err(report) => diagnostics.push(*report),
            }
        }
        trees.push(parsed.file);
        comments.push(parsed.comments);
    }
    let names = trees.first().map(names).unwrap_or_default();
    sharpen(&mut diagnostics, &sources);
    let lost = diagnostics.iter().filter(|report: &&Diagnostic| !READ_AS_MEANT.contains(&report.code));
    let faults: Vec<Span> = lost.filter_map(|report| Some(report.labels.first()?.span)).collect();
    if unpaired {
        return Checked { sources, names, diagnostics, ..Checked::default() };
    }
    let elaborated = elaborate_around(&trees, &sources, request, &faults);
    diagnostics.extend(elaborated.diagnostics);
    let mut remarks = vec![];
    if !diagnostics.iter().any(is_error) {
        let (models, trainings) = (&elaborated.models, &elaborated.trainings);
        let whole = request.sets.is_empty() && request.model.is_none();
        let subject = Subject { sources: &sources, files: &trees, comments: &comments, models, trainings, whole };
        let found = crate::lints::check(&subject);
        let (told, aside): (Vec<_>, Vec<_>) = found.into_iter().partition(|report| report.severity != Severity::Info);
        diagnostics.extend(told);
        remarks = aside;
    }
    diagnostics.sort_by_key(|report| report.labels.first().map(|label| label.span));
    Checked { sources, models: elaborated.models, trainings: elaborated.trainings, names, diagnostics, remarks }
}

/// What `FILE#NAME` may name.
fn names(file: &File) -> Vec<String> {
    let name = |entry: &Entry| match entry {
        Entry::Model(model) => Some(model.name.text.to_string()),
        Entry::Train(train) => train.label.as_ref().map(|label| label.text.to_string()),
        _ => None,
    };
    file.entries.iter().filter_map(name).collect()
}

/// The folder of a path, with its `/`; empty for none.
fn folder(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..=at])
}

/// Reads a file that another one uses: it must lie in the other's own folder or below.
fn open(folder: &str, path: &str, span: Span, files: Option<&dyn Files>) -> Result<Source, Box<Diagnostic>> {
    let refuse = |message: String, label: &str, note: &str| {
        Box::new(Diagnostic::error("name::use", message, span, label.to_string()).note(note.to_string()))
    };
    if path.starts_with('/') || path.split('/').any(|part| part == "..") || path.contains('\\') {
        let note = "move the file beside this one, or below";
        return Err(refuse(
            format!("`use` cannot leave this file's folder: {path:?}"),
            "a path out of the folder",
            note,
        ));
    }
    let Some(files) = files else {
        let note = "check it as a file: `wythe check FILE`";
        return Err(refuse("a text without a folder cannot use files".into(), "no folder to look in", note));
    };
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let name = format!("{folder}{}", parts.join("/"));
    match files.read(&name, LIMIT).map(String::from_utf8) {
        Ok(Ok(text)) => Ok(Source::new(name, text.strip_prefix('\u{feff}').unwrap_or(&text))),
        Ok(Err(_)) => Err(refuse(format!("{name} is not UTF-8"), "this file", "save it as UTF-8")),
        Err(error) => {
            let note = "paths are relative to the folder of this file";
            Err(refuse(format!("{name} cannot be read: {}", error.reason), "this file", note))
        }
    }
}

/// Applies each proposed fix in memory and checks again: kept is the first that removes its report and adds none.
fn try_fixes(found: &mut Checked, request: &Request, files: Option<&dyn Files>) {
    let errors = |reports: &[Diagnostic]| reports.iter().filter(|r| is_error(r)).count();
    let lints = |reports: &[Diagnostic]| reports.iter().filter(|r| is_lint(r)).count();
    let before = errors(&found.diagnostics).max(1);
    let mut tried = 0;
    let most = MOST_FIXES.min(MOST_REREAD / found.sources.0[0].text.len().max(1));
    for index in 0..found.diagnostics.len() {
        let fixes = std::mem::take(&mut found.diagnostics[index].fixes);
        let mut kept: Option<Fix> = None;
        for mut fix in fixes {
            tried += 1;
            if tried > most {
                continue;
            }
            let report = &found.diagnostics[index];
            let Some(after) = again(&found.sources, &fix, request, files) else { continue };
            let at = |report: &Diagnostic| report.labels.first().map(|label| (label.span.file, label.span.start));
            let still = after.iter().any(|other| other.code == report.code && at(other) == at(report));
            let left = errors(&after);
            // What is read or known for the first time may be seen to be wrong for the first time.
            let removes = match seen_first(report.code) {
                Some(family) => of_family(&after, family) < of_family(&found.diagnostics, family),
                None if is_lint(report) => left == 0 && lints(&after) < lints(&found.diagnostics),
                None => left < before,
            };
            if still || !removes {
                continue;
            }
            fix.checked = if left == 0 { FixChecked::FileChecks } else { FixChecked::ThisErrorGoes };
            let whole = fix.checked == FixChecked::FileChecks;
            if whole || kept.is_none() {
                kept = Some(fix);
            }
            if whole {
                break;
            }
        }
        found.diagnostics[index].fixes = kept.into_iter().collect();
    }
}

/// The family of a code, where mending such a mistake may let others be seen.
fn seen_first(code: &str) -> Option<&str> {
    let family = code.split("::").next()?;
    matches!(family, "syntax" | "name" | "attr").then_some(family)
}

fn of_family(reports: &[Diagnostic], family: &str) -> usize {
    reports.iter().filter(|report| report.code.split("::").next() == Some(family)).count()
}

/// The reports once more, with a fix applied to the files that it is for.
fn again(sources: &Sources, fix: &Fix, request: &Request, files: Option<&dyn Files>) -> Option<Vec<Diagnostic>> {
    let mut places = vec![fix.span.file];
    places.extend(fix.also.iter().map(|(span, _)| span.file));
    places.sort_unstable();
    places.dedup();
    let mut mended = vec![];
    for file in places {
        let source = sources.0.get(usize::from(file))?;
        mended.push(Source::new(source.name.clone(), fix.applied(file, &source.text)?));
    }
    let first = &sources.0[0];
    let own = mended.iter().find(|source| source.name == first.name).unwrap_or(first);
    let own = Source::new(own.name.clone(), own.text.clone());
    let found = match files {
        None => once(own, request, None),
        Some(files) => once(own, request, Some(&Mended { files, mended })),
    };
    Some(found.diagnostics)
}

/// Files, some of which read differently.
struct Mended<'a> {
    files: &'a dyn Files,
    mended: Vec<Source>,
}

impl Files for Mended<'_> {
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FileError> {
        match self.mended.iter().find(|source| source.name == path) {
            Some(source) => Ok(source.text.clone().into_bytes()),
            None => self.files.read(path, limit),
        }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.files.write(path, bytes)
    }

    fn append(&self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.files.append(path, bytes)
    }

    fn exists(&self, path: &str) -> bool {
        self.files.exists(path)
    }
}
