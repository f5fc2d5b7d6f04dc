//! `wythe check`: is the file right?

use super::model::{self, SetArgs};
use super::{Failure, Verdict, World};
use crate::diagnostic::render::{RenderOptions, human, short};
use crate::diagnostic::{Diagnostic, Severity, github::github, json::json, sarif::sarif};
use crate::elaborate::Request;
use crate::pipeline::check;
use crate::text::Sources;
use clap::ValueEnum;

/// Checks .model files: syntax, names, every shape
///
/// All mistakes are reported at once, each with its place, its reason and, where there is one, a fix that was tried. No
/// weights are made: a model of any size checks in milliseconds. Ends with 1 if there is an error; warnings are none.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe check models/mlp.model --set depth=8\n  wythe check --format short models/mlp.model models/gpt.model"
)]
pub struct Args {
    /// The .model files; - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,

    #[command(flatten)]
    set: SetArgs,

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
        found.extend(checked.diagnostics.into_iter().map(|diagnostic| moved(diagnostic, first)));
    }
    report(world, &found, &sources, if args.json { Format::Json } else { args.format })?;
    let wanting = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    Ok(if wanting { Verdict::Wanting } else { Verdict::Well })
}

/// A report whose files stand behind `first` others.
fn moved(mut diagnostic: Diagnostic, first: u16) -> Diagnostic {
    diagnostic.labels.iter_mut().for_each(|label| label.span.file += first);
    diagnostic.fixes.iter_mut().for_each(|fix| fix.span.file += first);
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
    if drawn.is_empty() { Ok(()) } else { err.line(drawn.trim_end()) }
}
