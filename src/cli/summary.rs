//! `wythe summary`: what the model is made of.

use super::model::{ModelArgs, binding};
use super::{Failure, Verdict, World};

/// Shows a model's layers, shapes, parameters, cost and memory
///
/// One line a layer, with the shape that leaves it (symbolic unless bound), its parameters and FLOPs; repeats are folded
/// (×12) with one copy shown, shared parameters counted once. Below stand the totals: parameters, FLOPs, memory for
/// activations, gradients and optimizer state, and which layers act differently in eval. No weights are made.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe summary models/gpt.model --bind batch=8,seq=128\n  wythe summary models/mlp.model --set depth=12 --json"
)]
pub struct Args {
    #[command(flatten)]
    pub model: ModelArgs,

    /// Sizes for dims: batch=32,seq=128
    #[arg(long, value_name = "DIM=SIZE", value_delimiter = ',', value_parser = binding)]
    pub bind: Vec<(String, u64)>,

    /// One JSON object instead of the table
    #[arg(long)]
    pub json: bool,
}

/// The seam: takes `pipeline::check`'s structured graph.
pub fn run(args: &Args, _world: &mut World) -> Result<Verdict, Failure> {
    Err(Failure::usage(format!("`summary {}` cannot be done yet", args.model.file)))
}
