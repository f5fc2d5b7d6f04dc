//! `wythe init`: weights before training.

use super::model::{ModelArgs, Width, seed};
use super::{Failure, Verdict, World, memory, open};
use crate::exec::session::Session;
use crate::ir::build::Mode;
use crate::pipeline::{self, Stage};
use crate::tensor::Tensor;

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
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,

    /// The .safetensors file (- for standard output)
    #[arg(short = 'o', long = "out", value_name = "PATH", required = true)]
    pub out: String,

    /// The width of floats
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = Width::F32)]
    pub dtype: Width,

    /// One JSON object about the file on standard output
    #[arg(long)]
    pub json: bool,
}

/// Draws the weights and writes them.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let opened = open::open(world, &args.model)?;
    let float = args.dtype.float();
    let graph = pipeline::forward(opened.model()?, Mode::Train, float, Stage::Fused);
    // A copy of every tensor, and the bytes of the file.
    let mut session = Session::within(memory::available(), vec![graph], float, 1, |bytes| 2 * bytes)?;
    session.init(args.seed);
    let names: Vec<String> = session.places().map(|(name, _)| name.to_string()).collect();
    let tensors: Vec<(String, Tensor)> =
        names.into_iter().filter_map(|name| Some((name.clone(), session.get(&name)?))).collect();
    if args.json && args.out == "-" {
        return Err(
            Failure::usage("--json and `-o -` both want standard output").help("write to a file: -o W.safetensors")
        );
    }
    open::write_tensors(world, &args.out, &tensors, Some(args.seed))?;
    if args.json {
        let elements: usize = tensors.iter().map(|(_, tensor)| tensor.len()).sum();
        let object = serde_json::json!({
            "version": 1, "file": args.out, "seed": args.seed, "tensors": tensors.len(), "elements": elements,
        });
        world.out.line(&object.to_string())?;
    }
    Ok(Verdict::Well)
}
