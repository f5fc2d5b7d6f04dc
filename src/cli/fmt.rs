//! `wythe fmt`: the one layout.

use super::{Failure, Verdict, World, check, model};
use crate::syntax;
use crate::text::{Files, Sources};

/// Lays .model files out in the one canonical way
///
/// Comments and meaning stay; files that are laid out already are not touched. A file that cannot be read as a whole is
/// left alone and its mistakes are reported (exit code 1).
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe fmt models/mlp.model\n  wythe fmt --check --diff models/mlp.model models/gpt.model"
)]
pub struct Args {
    /// The .model files, rewritten in place; - writes standard input to standard output
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,

    /// Changes nothing; ends with 1 and names the files that would change
    #[arg(long)]
    check: bool,

    /// Changes nothing; ends with 1 and shows what would change
    #[arg(long)]
    diff: bool,

    /// One JSON object about all files on standard output
    #[arg(long, conflicts_with = "diff")]
    json: bool,
}

/// Formats each file; one that cannot be formatted keeps none of the others waiting.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let (mut verdict, mut all) = (Verdict::Well, vec![]);
    for file in &args.files {
        let state = one(args, world, file)?;
        if state == State::Broken || state == State::Changes && (args.check || args.diff) {
            verdict = Verdict::Wanting;
        }
        all.push(serde_json::json!({ "file": file, "state": state.word() }));
    }
    if args.json {
        world.out.line(&serde_json::json!({ "version": 1, "files": all }).to_string())?;
    }
    Ok(verdict)
}

/// What was found of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is laid out already.
    Same,
    /// It is not (and was rewritten, unless only asked for).
    Changes,
    /// It cannot be read as a whole.
    Broken,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Same => "same",
            State::Changes => "changed",
            State::Broken => "broken",
        }
    }
}

fn one(args: &Args, world: &mut World, file: &str) -> Result<State, Failure> {
    let source = model::read(world, file)?;
    let formatted = match syntax::format(&source.text) {
        Ok(formatted) => formatted,
        Err(found) => {
            let mut sources = Sources::default();
            sources.add(source);
            check::tell(world, &found, &sources)?;
            return Ok(State::Broken);
        }
    };
    let changed = formatted != source.text;
    if args.diff && changed {
        let drawn = diff(&source.name, &source.text, &formatted, world.out.color);
        world.out.put(&drawn)?;
    }
    if args.check && changed {
        world.err.line(&format!("would change {}", source.name))?;
    }
    match (args.check || args.diff, changed) {
        (true, _) => {}
        (false, _) if file == "-" && !args.json => world.out.put(&formatted)?,
        (false, true) if file != "-" => {
            world.files.write(file, formatted.as_bytes())?;
            world.err.line(&format!("formatted {file}"))?;
        }
        (false, _) => {}
    }
    Ok(if changed { State::Changes } else { State::Same })
}

/// A unified diff, red and green where colours may be used.
fn diff(name: &str, before: &str, after: &str, color: bool) -> String {
    let lines = similar::TextDiff::from_lines(before, after);
    let mut unified = lines.unified_diff();
    let plain = unified.context_radius(3).header(name, &format!("{name} (formatted)")).to_string();
    if !color {
        return plain;
    }
    let paint = |line: &str| match line.as_bytes().first() {
        Some(b'-') => format!("\x1b[31m{line}\x1b[0m\n"),
        Some(b'+') => format!("\x1b[32m{line}\x1b[0m\n"),
        Some(b'@') => format!("\x1b[36m{line}\x1b[0m\n"),
        _ => format!("{line}\n"),
    };
    plain.lines().map(paint).collect()
}
