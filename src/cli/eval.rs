//! `wythe eval`: how good are these weights?

use super::model::{ModelArgs, ThreadArgs};
use super::{Failure, Verdict, World};

/// Evaluates weights on data: the loss and the metrics of the train section
///
/// Without --data the rows are those that training holds out, or all where it holds none out.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe eval models/digits.model --weights runs/digits/best/model.safetensors\n  wythe eval models/iris.model --weights w.safetensors --data iris.csv --json"
)]
pub struct Args {
    #[command(flatten)]
    pub model: ModelArgs,

    /// Parameters and state (.safetensors)
    #[arg(long, value_name = "PATH", required = true)]
    pub weights: String,

    /// The rows: a .csv, .npz, .safetensors or .txt file, or digits (default: the train section's)
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,

    #[command(flatten)]
    pub threads: ThreadArgs,

    /// One JSON object instead of the table
    #[arg(long)]
    pub json: bool,
}

/// The seam: takes `train`'s evaluation; `export::weights` reads the weights.
pub fn run(args: &Args, _world: &mut World) -> Result<Verdict, Failure> {
    Err(Failure::usage(format!("`eval {}` cannot be done yet", args.model.file)))
}
