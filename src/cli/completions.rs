//! `wythe completions`: what a shell must know to complete our arguments.

use super::{Cli, Failure, Verdict, World};
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints a script that completes verbs and options in a shell
///
/// The script goes where the shell looks for such: for bash, ~/.local/share/bash-completion/completions/wythe; for zsh, a
/// file _wythe in a folder of $fpath; for fish, ~/.config/fish/completions/wythe.fish.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n  wythe completions bash\n  wythe completions fish")]
pub struct Args {
    /// Whose script
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "wythe", &mut script);
    world.out.bytes(&script)?;
    Ok(Verdict::Well)
}
