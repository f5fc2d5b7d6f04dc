//! `wythe run`: numbers in, numbers out.

use super::input::Given;
use super::model::{Mode, SetArgs, ThreadArgs, Width};
use super::{Failure, Verdict, World};

/// Runs a model, or an expression, on numbers
///
/// A VALUE is an array's file (x.npy, d.npz:KEY, d.safetensors:KEY), numbers ('[[1, 2, 3]]'), or normal, ones, zeros,
/// range, with sizes where no signature gives them (normal[2,5]). Without --weights the parameters are drawn from --seed.
/// Without -o a table of values is shown; with it the file holds out.NAME for each output (out where it has no name),
/// with --grad also grad.in.NAME and grad.par.PATH, in train mode state.PATH for the running statistics.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe run -e 'rmsnorm |> gelu' --input '[[1, 2, 3]]' --grad --cotangent ones\n  wythe run models/mlp.model --input 'normal[2,784]' --seed 7"
)]
pub struct Args {
    /// The .model file; FILE#NAME where it holds several models
    #[arg(value_name = "FILE", required_unless_present = "expression", conflicts_with = "expression")]
    pub file: Option<String>,

    /// An expression instead of a file: 'rmsnorm |> gelu'
    #[arg(short = 'e', value_name = "EXPR")]
    pub expression: Option<String>,

    /// A value for an input, in order or by name; repeatable
    #[arg(long, value_name = "[NAME=]VALUE", value_parser = Given::parse, allow_negative_numbers = true)]
    pub input: Vec<Given>,

    /// Parameters and state (.safetensors)
    #[arg(long, value_name = "PATH")]
    pub weights: Option<String>,

    /// Decides initial weights, dropout and normal
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Whether dropout acts and statistics are the batch's
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Mode::Eval)]
    pub mode: Mode,

    /// Also the gradients of float inputs and parameters
    #[arg(long)]
    pub grad: bool,

    /// The gradient that flows into an output (scalar outputs: 1); repeatable
    #[arg(long, value_name = "[NAME=]VALUE", value_parser = Given::parse, requires = "grad", allow_negative_numbers = true)]
    pub cotangent: Vec<Given>,

    /// The width of floats
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = Width::F32)]
    pub dtype: Width,

    #[command(flatten)]
    pub set: SetArgs,

    #[command(flatten)]
    pub threads: ThreadArgs,

    /// Writes a .safetensors file (- for standard output) instead of the table
    #[arg(short = 'o', long = "out", value_name = "PATH")]
    pub out: Option<String>,

    /// One JSON object instead of the table
    #[arg(long, conflicts_with = "out")]
    pub json: bool,
}

/// The seam: takes `pipeline` and `exec::session`; `Given::tensor` makes the inputs.
pub fn run(args: &Args, _world: &mut World) -> Result<Verdict, Failure> {
    let what = args.file.as_deref().or(args.expression.as_deref()).unwrap_or_default();
    Err(Failure::usage(format!("`run {what}` cannot be done yet")))
}
