//! `wythe train`: a model and its data become weights.

use super::model::{ModelArgs, ThreadArgs};
use super::{Failure, Verdict, World};

/// Trains a model as its train section says
///
/// The run's folder holds metrics.jsonl (a line a step) and the checkpoints last/, best/ and step-N/, each with
/// model.safetensors and what a resume needs. A run may be killed at any moment: --resume goes on from last/ and ends
/// with the bits of a run that was never stopped. Ctrl-C saves and ends with 130; a second one ends at once.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe train models/digits.model --epochs 5 --out runs/digits\n  wythe train models/digits.model --steps 2000 --out runs/digits --resume"
)]
pub struct Args {
    #[command(flatten)]
    pub model: ModelArgs,

    /// The rows: a .csv, .npz, .safetensors or .txt file, or digits (default: the train section's)
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,

    /// Begins from these parameters (.safetensors)
    #[arg(long, value_name = "PATH", conflicts_with = "resume")]
    pub weights: Option<String>,

    /// The run's folder (default: runs/NAME)
    #[arg(long, value_name = "DIR")]
    pub out: Option<String>,

    /// Goes on from the folder's last checkpoint
    #[arg(long)]
    pub resume: bool,

    /// Ends after N steps in all, those before a resume included
    #[arg(long, value_name = "N", conflicts_with = "epochs", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,

    /// Ends after N passes over the data in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub epochs: Option<u64>,

    /// Decides initial weights, order and dropout (default: the train section's)
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub threads: ThreadArgs,

    /// One JSON object about the run at the end, instead of the curve
    #[arg(long)]
    pub json: bool,
}

/// The seam: takes `train::fit`. At hand: `data::load`, `data::source_of_path`, `train::checkpoint`, `train::metrics`,
/// `progress::Progress`, `interrupt::install`, `curve::draw`.
pub fn run(args: &Args, _world: &mut World) -> Result<Verdict, Failure> {
    Err(Failure::usage(format!("`train {}` cannot be done yet", args.model.file)))
}
