//! Text to checked models: parse, follow `use`, elaborate, and try every proposed fix.

use crate::diagnostic::{Checked as FixChecked, Diagnostic, Severity};
use crate::elaborate::{Request, elaborate_around, uses};
use crate::ir::structured::Structured;
use crate::ir::training::Training;
use crate::syntax::ast::File;
use crate::syntax::parse;
use crate::text::{Files, Source, Sources, Span};

/// The longest file that `use` brings in.
const LIMIT: u64 = 16 << 20;
/// How many reports have their fixes tried, and how many bytes are read again for that: a check is never slow for the
/// sake of advice.
const MOST_FIXES: usize = 24;
const MOST_REREAD: usize = 1 << 20;
/// More reports than this are counted and not told: nobody reads them.
const MOST_REPORTS: usize = 100;

/// What a check found.
#[derive(Debug, Default)]
pub struct Checked {
    /// The text itself, and what it uses.
    pub sources: Sources,
    /// The models that are whole.
    pub models: Vec<Structured>,
    /// The train sections that are whole.
    pub trainings: Vec<Training>,
    /// What is wrong, or probably wrong, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Checked {
    /// Whether there is an error among the reports.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|report| report.severity == Severity::Error)
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
    let mut diagnostics = vec![];
    let mut waiting = vec![(source, Span::default())];
    while let Some((source, _)) = waiting.pop() {
        let folder = folder(&source.name).to_string();
        let id = sources.add(source);
        let parsed = parse(id, &sources.0[id as usize].text);
        diagnostics.extend(parsed.diagnostics);
        for (path, span) in uses(&parsed.file) {
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
    }
    let faults: Vec<Span> =
        diagnostics.iter().filter_map(|report: &Diagnostic| Some(report.labels.first()?.span)).collect();
    if diagnostics.iter().any(|report| report.code == "limit::depth") {
        // The brackets are not paired: what the tree says was hardly meant.
        return Checked { sources, diagnostics, ..Checked::default() };
    }
    let elaborated = elaborate_around(&trees, &sources, request, &faults);
    diagnostics.extend(elaborated.diagnostics);
    diagnostics.sort_by_key(|report| report.labels.first().map(|label| label.span));
    Checked { sources, models: elaborated.models, trainings: elaborated.trainings, diagnostics }
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
    let name = format!("{folder}{path}");
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
    let errors = |reports: &[Diagnostic]| reports.iter().filter(|r| r.severity == Severity::Error).count();
    let slips = |reports: &[Diagnostic]| reports.iter().filter(|r| r.code.starts_with("syntax::")).count();
    let (before, slips_before, mut tried) = (errors(&found.diagnostics), slips(&found.diagnostics), 0);
    let most = MOST_FIXES.min(MOST_REREAD / found.sources.0[0].text.len().max(1));
    for index in 0..found.diagnostics.len() {
        let fixes = std::mem::take(&mut found.diagnostics[index].fixes);
        let mut kept = vec![];
        for mut fix in fixes {
            tried += 1;
            if tried > most || fix.span.file != 0 {
                continue;
            }
            let report = &found.diagnostics[index];
            let text = &found.sources.0[0].text;
            let (start, end) = (fix.span.start as usize, fix.span.end as usize);
            let (Some(head), Some(tail)) = (text.get(..start), text.get(end..)) else { continue };
            let mended = Source::new(found.sources.0[0].name.clone(), format!("{head}{}{tail}", fix.replacement));
            let after = once(mended, request, files).diagnostics;
            let at = |report: &Diagnostic| report.labels.first().map(|label| label.span.start);
            let still = after.iter().any(|other| other.code == report.code && at(other) == at(report));
            let left = errors(&after);
            // A slip mended may let other mistakes be seen for the first time.
            let removes = match report.code.starts_with("syntax::") {
                true => slips(&after) < slips_before,
                false => left < before.max(1),
            };
            if !still && removes {
                fix.checked = if left == 0 { FixChecked::FileChecks } else { FixChecked::ThisErrorGoes };
                kept.push(fix);
                break;
            }
        }
        found.diagnostics[index].fixes = kept;
    }
}
