//! The command line: the only room with files, printing and exit codes. One file a command.
//!
//! A command takes its parsed arguments and the [`World`], calls the library, writes, and returns a [`Verdict`] (the
//! question was answered: yes or no) or a [`Failure`] (it could not be asked).
//!
//! # `--json`
//!
//! Every command has it, but those that print a page for another program (`completions`, `man`): one object on standard output, with `"version": 1`. Keys may be added under the same version;
//! one that goes or changes its meaning makes a new one. Numbers that are not finite are strings (`run`) or null.
//!
//! | command | keys beside `version` |
//! |---|---|
//! | `check` | `diagnostics`: list of `code`, `severity`, `message`, `labels`, `notes`, `fixes`, … |
//! | `fmt` | `files`: list of `file`, `state` (`same`, `changed`, `broken`) |
//! | `summary` | the table and its totals, see `export::summary::Summary` |
//! | `graph` | `stage`, `text` |
//! | `run` | `tensors`: for each name `dtype`, `shape`, `data` (row-major) |
//! | `gradcheck` | `step`, `tolerance`, `wrong`, `tensors`: list of `name`, `input`, `shape`, `pairs` (`at`, `gradient`, `difference`, `sides`, `error`, `verdict`) |
//! | `init` | `file`, `seed`, `tensors`, `elements` |
//! | `train` | `steps`, `loss`, `valid` (by name), `best` (`step`, `valid`, `checkpoint`), `checkpoint`, `interrupted`, `memory` (bytes, said before the start) |
//! | `new` | `file`, `model`, `template`; with --list `templates` |
//! | `eval` | `rows`, `results` (by name) |
//! | `generate` | `text`, `tokens` |
//! | `plot` | `files`, `steps` of each run |
//! | `sweep` | `rows`: list of `set`, `diverged`, `results` (by name, one value a seed) |
//! | `explain` | `pages`, or without a topic `sections` |

mod check;
mod completions;
mod curve;
mod eval;
mod explain;
mod failure;
mod files;
mod fmt;
mod generate;
mod gradcheck;
mod graph;
mod init;
mod input;
mod interrupt;
mod man;
mod memory;
mod model;
mod new;
mod open;
mod plot;
mod progress;
mod run;
mod streams;
mod summary;
mod sweep;
mod table;
mod train;

pub use failure::{Failure, Verdict};

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use files::Disk;
use std::ffi::OsString;
use std::process::ExitCode;
use streams::{Color, Stream};

const ABOUT: &str = "A small language for neural networks: check, run and train them";

const LONG_ABOUT: &str = "\
wythe reads .model files: neural networks in a small language, with their training. It checks every shape before \
anything runs, runs a model or a single expression on your numbers, and trains on the CPU; the same file, data and seed \
give the same bits on any number of threads.

Exit codes: 0 all is well; 1 it was done and found wanting (a mistake in a .model file, a run that diverged); 2 it could \
not be done (usage, an unreadable file, malformed data); 130 interrupted, after saving.";

const EXAMPLES: &str = "\
Examples:
  wythe new first --template digits
  wythe run -e 'rmsnorm |> gelu' --input '[[1, 2, 3]]'
  wythe train models/digits.model";

/// The arguments of the program.
#[derive(Debug, Parser)]
#[command(name = "wythe", version, about = ABOUT, long_about = LONG_ABOUT, after_long_help = EXAMPLES)]
#[command(subcommand_required = true, arg_required_else_help = false, infer_subcommands = false)]
struct Cli {
    /// When to use colours (also NO_COLOR and FORCE_COLOR)
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    color: Color,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Args),
    Check(check::Args),
    Fmt(fmt::Args),
    Summary(summary::Args),
    Graph(graph::Args),
    Run(run::Args),
    Gradcheck(gradcheck::Args),
    Init(init::Args),
    Train(train::Args),
    Eval(eval::Args),
    Generate(generate::Args),
    Plot(plot::Args),
    Sweep(sweep::Args),
    Explain(explain::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// What a command works with.
pub struct World {
    /// The disk.
    pub files: Disk,
    /// Results.
    pub out: Stream,
    /// Reports and progress.
    pub err: Stream,
}

/// Parses the arguments, runs the command, says what went wrong.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let color = Color::among(&args);
    let mut world = World { files: Disk, out: Stream::out(color), err: Stream::err(color) };
    let choice = match color {
        Color::Auto if world.out.color && world.err.color => ColorChoice::Always,
        Color::Auto if !world.out.color && !world.err.color => ColorChoice::Never,
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    let parsed = Cli::command().color(choice).try_get_matches_from(args).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output, usage errors to standard error; a closed pipe is no matter.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let done = run(&cli.command, &mut world).and_then(|verdict| world.out.flush().map(|()| verdict));
    match done {
        Ok(verdict) => verdict.code(),
        Err(failure) => {
            let _ = world.out.flush();
            failure.tell(&mut world.err);
            failure.code()
        }
    }
}

fn run(command: &Command, world: &mut World) -> Result<Verdict, Failure> {
    match command {
        Command::New(args) => new::run(args, world),
        Command::Check(args) => check::run(args, world),
        Command::Fmt(args) => fmt::run(args, world),
        Command::Summary(args) => summary::run(args, world),
        Command::Graph(args) => graph::run(args, world),
        Command::Run(args) => run::run(args, world),
        Command::Gradcheck(args) => gradcheck::run(args, world),
        Command::Init(args) => init::run(args, world),
        Command::Train(args) => train::run(args, world),
        Command::Eval(args) => eval::run(args, world),
        Command::Generate(args) => generate::run(args, world),
        Command::Plot(args) => plot::run(args, world),
        Command::Sweep(args) => sweep::run(args, world),
        Command::Explain(args) => explain::run(args, world),
        Command::Completions(args) => completions::run(args, world),
        Command::Man(args) => man::run(args, world),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_ends_in_examples_and_the_short_one_fits_a_screen() {
        let mut root = Cli::command();
        root.build();
        let all =
            std::iter::once(root.clone()).chain(root.get_subcommands().filter(|c| c.get_name() != "help").cloned());
        for mut command in all {
            let name = command.get_name().to_string();
            let long = command.render_long_help().to_string();
            let (_, examples) = long.rsplit_once("Examples:\n").unwrap_or_else(|| panic!("{name} has no examples"));
            let lines: Vec<&str> = examples.trim_end().lines().collect();
            assert!(
                (2..=3).contains(&lines.len()) && lines.iter().all(|line| line.starts_with("  wythe ")),
                "{name}: {lines:?}"
            );
            if name != "wythe" {
                assert!(lines.iter().all(|line| line.contains(&format!("wythe {name} "))), "{name}: {lines:?}");
            }
            for line in lines {
                let words = shell_words(line.trim());
                if let Err(error) = Cli::command().try_get_matches_from(&words) {
                    panic!("{line}: {error}");
                }
            }
            let short = command.render_help().to_string();
            assert!(short.lines().count() <= 30, "{name} -h has {} lines", short.lines().count());
        }
    }

    /// Words as a shell cuts them, with single quotes only.
    fn shell_words(line: &str) -> Vec<String> {
        let parts = line.split('\'').enumerate();
        parts
            .flat_map(
                |(i, part)| {
                    if i % 2 == 1 { vec![part.into()] } else { part.split_whitespace().map(String::from).collect() }
                },
            )
            .collect()
    }

    #[test]
    fn unknown_verbs_and_flags_get_near_names() {
        let error = |args: &[&str]| Cli::command().try_get_matches_from(args).expect_err("refused");
        let said = error(&["wythe", "chekc", "a.model"]);
        assert!(said.to_string().contains("'check'") && said.exit_code() == 2, "{said}");
        let said = error(&["wythe", "check", "--fromat", "json", "a.model"]);
        assert!(said.to_string().contains("--format"), "{said}");
        assert_eq!(error(&["wythe", "check"]).exit_code(), 2);
        assert_eq!(error(&["wythe", "--version"]).exit_code(), 0);
    }
}
