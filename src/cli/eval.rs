//! `wythe eval`: how good are these weights?

use super::model::{ModelArgs, ThreadArgs};
use super::{Failure, Verdict, World, memory, open};
use crate::export::weights;
use crate::train::evaluate::evaluate;

/// Evaluates weights on data: the loss and the metrics of the train section
///
/// Without --data the rows are those that training holds out, or all where it holds none out.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe eval models/digits.model --weights runs/digits/best/model.safetensors\n  wythe eval models/digits.model --weights runs/digits/last/model.safetensors --json"
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

/// Loads the weights and evaluates them.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let opened = open::open(world, &args.model)?;
    let training = opened.training()?;
    let weights = weights::load(&world.files, &args.weights)?;
    let data = open::data(world, &opened, training, args.data.as_deref(), &weights.about.vocabulary)?;
    open::tell_notes(world, &data.notes)?;
    let threads = args.threads.count(world)?;
    let found = evaluate(training, &data, weights, threads, memory::available())?;
    open::tell_notes(world, &found.notes)?;
    if args.json {
        let results: serde_json::Map<String, serde_json::Value> =
            found.results.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
        let object = serde_json::json!({ "version": 1, "rows": found.rows, "results": results });
        world.out.line(&object.to_string())?;
    } else {
        found.results.iter().try_for_each(|(name, value)| world.out.line(&open::shown_result(name, *value)))?;
    }
    Ok(Verdict::Well)
}
