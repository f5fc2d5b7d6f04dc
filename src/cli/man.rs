//! `wythe man`: the manual page.

use super::{Cli, Failure, Verdict, World};
use crate::data::near_or_all;
use clap::CommandFactory;
use clap_mangen::Man;

/// Prints the manual page, of the program or of a verb
///
/// In roff, as man reads it: `wythe man > wythe.1`, and `man -l wythe.1` shows it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  wythe man graph\n  wythe man train")]
pub struct Args {
    /// Of which verb (default: of the program)
    #[arg(value_name = "VERB")]
    verb: Option<String>,
}

/// Prints the page.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let command = match &args.verb {
        None => root,
        Some(verb) => match root.find_subcommand(verb) {
            Some(command) => command.clone().bin_name(format!("wythe {verb}")).display_name(format!("wythe-{verb}")),
            None => {
                let verbs: Vec<&str> = root.get_subcommands().map(|command| command.get_name()).collect();
                return Err(Failure::usage(format!("there is no verb `{verb}`: {}", near_or_all(verb, &verbs))));
            }
        },
    };
    let mut page = vec![];
    let failed = |error: std::io::Error| Failure::usage(format!("the page cannot be made: {error}"));
    Man::new(command).render(&mut page).map_err(failed)?;
    // What stands below the options are examples.
    let page = String::from_utf8_lossy(&page).replace(".SH EXTRA\nExamples:", ".SH EXAMPLES");
    world.out.put(&page)?;
    Ok(Verdict::Well)
}
