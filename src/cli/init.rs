//! `wythe init`: weights before training.

use super::model::{ModelArgs, Width};
use super::{Failure, Verdict, World};

/// Writes a model's initial parameters and state
///
/// Names and layouts are PyTorch's below the paths of the model (linear weights are [out, in]). The same seed gives the
/// same bytes.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe init models/mlp.model --seed 7 -o mlp.safetensors\n  wythe init models/mlp.model --set d=64 -o small.safetensors"
)]
pub struct Args {
    #[command(flatten)]
    pub model: ModelArgs,

    /// Decides the values
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// The .safetensors file (- for standard output)
    #[arg(short = 'o', long = "out", value_name = "PATH", required = true)]
    pub out: String,

    /// The width of floats
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = Width::F32)]
    pub dtype: Width,
}

/// The seam: takes `exec::session`'s initial weights; `export::weights` writes them.
pub fn run(args: &Args, _world: &mut World) -> Result<Verdict, Failure> {
    Err(Failure::usage(format!("`init {}` cannot be done yet", args.model.file)))
}
