//! `wythe check`: is the file right?

use super::model::{self, SetArgs};
use super::{Failure, Verdict, World};
use crate::diagnostic::render::{RenderOptions, human, short};
use crate::diagnostic::{Diagnostic, Severity, github::github, json::json, sarif::sarif};
use crate::elaborate::Request;
use crate::lints;
use crate::pipeline::check;
use crate::text::Sources;
use clap::ValueEnum;

/// Checks .model files: syntax, names, every shape, and lints
///
/// All mistakes are reported at once, each with its place, its reason and, where there is one, a fix that was tried. No
/// weights are made: a model of any size checks in milliseconds. A file without errors is looked through for what runs and
/// is probably a mistake: lints, silenced by a comment `// allow(CODE)` on the line, or on the line that opens the block.
/// Ends with 1 if there is an error; warnings are none, unless they are denied.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe check models/mlp.model --set depth=8\n  wythe check --format short models/mlp.model models/gpt.model\n  wythe check --deny warnings --info models/gpt.model"
)]
pub struct Args {
    /// The .model files; FILE#NAME for one model of several, - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,

    #[command(flatten)]
    set: SetArgs,

    /// Makes a lint an error (or all warnings: --deny warnings); repeatable
    #[arg(long, value_name = "CODE", value_parser = denied)]
    deny: Vec<String>,

    /// Silences a lint in all of the files; repeatable
    #[arg(long, value_name = "CODE", value_parser = lint)]
    allow: Vec<String>,

    /// Tells also what is only worth knowing
    #[arg(long)]
    info: bool,

    /// How reports look: human and short go to standard error, what tools read to standard output
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Human)]
    format: Format,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With the source underlined
    Human,
    /// file:line:col: error[code]: text
    Short,
    /// One object for tools
    Json,
    /// Annotations of a GitHub workflow
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// Checks each file and says what is wrong.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let (mut sources, mut found) = (Sources::default(), vec![]);
    for file in &args.files {
        let (file, name) = model::split_name(file);
        let source = model::read(world, file)?;
        let request = Request { sets: args.set.set.clone(), model: name.map(String::from) };
        let checked = check(source, &request, Some(&world.files));
        if !checked.has_errors() {
            super::open::known_name(&checked, file, name)?;
        }
        let first = sources.0.len() as u16;
        sources.0.extend(checked.sources.0);
        let all = args.judged(checked.diagnostics, checked.remarks);
        found.extend(all.into_iter().map(|diagnostic| moved(diagnostic, first)));
    }
    report(world, &found, &sources, if args.json { Format::Json } else { args.format })?;
    let wanting = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    Ok(if wanting { Verdict::Wanting } else { Verdict::Well })
}

/// The code of a lint.
fn lint(word: &str) -> Result<String, String> {
    if let Some(lint) = lints::find(word) {
        return Ok(lint.code.into());
    }
    let word = word.trim_start_matches("lint::").replace('-', "_");
    Err(match crate::data::nearest(&word, lints::all().map(lints::Lint::name)) {
        Some(near) => format!("there is no such lint: `{near}` is one"),
        None => "there is no such lint: the README lists them".into(),
    })
}

/// The code of a lint, or `warnings`.
fn denied(word: &str) -> Result<String, String> {
    if word == "warnings" { Ok(word.into()) } else { lint(word) }
}

impl Args {
    /// The reports of a file as the flags have them: allowed ones gone, denied ones errors, remarks if they are wanted.
    fn judged(&self, told: Vec<Diagnostic>, remarks: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let denied = |report: &Diagnostic| {
            let all = report.severity == Severity::Warning && self.deny.iter().any(|code| code == "warnings");
            all || self.deny.iter().any(|code| code == report.code)
        };
        let wanted = |report: &Diagnostic| report.severity != Severity::Info || self.info || denied(report);
        let mut all: Vec<Diagnostic> = told.into_iter().chain(remarks).filter(wanted).collect();
        all.retain(|report| !self.allow.iter().any(|code| code == report.code));
        for report in &mut all {
            if denied(report) {
                report.severity = Severity::Error;
            }
        }
        all.sort_by_key(|report| report.labels.first().map(|label| label.span));
        all
    }
}

/// A report whose files stand behind `first` others.
fn moved(mut diagnostic: Diagnostic, first: u16) -> Diagnostic {
    diagnostic.labels.iter_mut().for_each(|label| label.span.file += first);
    diagnostic.fixes.iter_mut().for_each(|fix| {
        fix.span.file += first;
        fix.also.iter_mut().for_each(|(span, _)| span.file += first);
    });
    diagnostic
}

fn report(world: &mut World, found: &[Diagnostic], sources: &Sources, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => world.out.line(&json(found, sources)),
        Format::Github => world.out.put(&github(found, sources)),
        Format::Sarif => world.out.line(&sarif(found, sources)),
        Format::Short => world.err.put(&short(found, sources)),
        Format::Human => tell(world, found, sources),
    }
}

/// Draws diagnostics for a person, on standard error: what every command does with a text that is wrong.
pub fn tell(world: &mut World, found: &[Diagnostic], sources: &Sources) -> Result<(), Failure> {
    let err = &mut world.err;
    let options = RenderOptions { width: err.width, color: err.color, unicode: err.unicode };
    let drawn = human(found, sources, &options);
    if drawn.is_empty() {
        return Ok(());
    }
    err.line(drawn.trim_end())?;
    // A log, a pipe and a test want the reports alone.
    match more(found).filter(|_| err.terminal) {
        Some(more) if err.color => err.line(&format!("\n\x1b[2m{more}\x1b[0m")),
        Some(more) => err.line(&format!("\n{more}")),
        None => Ok(()),
    }
}

/// Where more is said about errors, in one line for all of them.
fn more(found: &[Diagnostic]) -> Option<String> {
    let errors: Vec<&str> = found.iter().filter(|d| d.severity == Severity::Error).map(|d| d.code).collect();
    let first = errors.first()?;
    Some(match errors.iter().all(|code| code == first) {
        true => format!("more about this: wythe explain {first}"),
        false => format!("more about each of these: wythe explain CODE, for instance {first}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Span;

    #[test]
    fn errors_end_in_one_line_that_says_where_more_is_told() {
        let error = |code| Diagnostic::error(code, "", Span::default(), "");
        assert_eq!(more(&[]), None);
        assert_eq!(more(&[error("lint::unused").warning()]), None);
        let line = more(&[error("shape::residual"), error("shape::residual")]);
        assert_eq!(line.as_deref(), Some("more about this: wythe explain shape::residual"));
        let line = more(&[error("name::stage"), error("shape::residual")]);
        assert!(line.is_some_and(|line| line.ends_with("wythe explain CODE, for instance name::stage")));
    }
}
