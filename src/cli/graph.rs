//! `wythe graph`: the model at any stage of the pipeline.

use super::model::{Mode, ModelArgs, binding};
use super::{Failure, Verdict, World};
use clap::ValueEnum;

/// Prints a model's graph at a stage of the pipeline
///
/// From what was written to what runs: the structured graph (repeats kept), the flat one, with gradients, with
/// elementwise chains fused, and the plan with its buffers. The text is stable, so that two versions can be compared.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe graph models/mlp.model --stage flat\n  wythe graph models/mlp.model --stage plan --mode train --bind batch=8"
)]
pub struct Args {
    #[command(flatten)]
    pub model: ModelArgs,

    /// How far down the pipeline
    #[arg(long, value_enum, value_name = "STAGE", default_value_t = Stage::Structured)]
    pub stage: Stage,

    /// Whether dropout acts and statistics are the batch's (default: eval, from gradient on train)
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<Mode>,

    /// Sizes for dims, which a plan needs: batch=32,seq=128
    #[arg(long, value_name = "DIM=SIZE", value_delimiter = ',', value_parser = binding)]
    pub bind: Vec<(String, u64)>,
}

/// `--stage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// As written, checked
    Structured,
    /// Blocks and composites expanded
    Flat,
    /// With gradients and updates
    Gradient,
    /// Elementwise chains joined
    Fused,
    /// Steps and buffers
    Plan,
}

/// The seam: takes the stages of `pipeline`.
pub fn run(args: &Args, _world: &mut World) -> Result<Verdict, Failure> {
    Err(Failure::usage(format!("`graph {}` cannot be done yet", args.model.file)))
}
