//! `wythe summary`: what the model is made of.

use super::model::{ModelArgs, binding};
use super::{Failure, Verdict, World, open};
use crate::export::summary::summarize;
use crate::optim::find_optimizer;
use indexmap::IndexMap;

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

/// Checks the file and prints the table.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let opened = open::open(world, &args.model)?;
    let model = opened.model()?;
    let bound: IndexMap<String, i64> = args.bind.iter().map(|(name, size)| (name.clone(), *size as i64)).collect();
    open::known_dims(model, &bound)?;
    let optimizer = opened.checked.trainings.iter().find(|training| training.model.name == model.name);
    let optimizer = optimizer.and_then(|training| training.optimizers.first()).and_then(|group| {
        let def = find_optimizer(&group.optimizer.name)?;
        Some((group.optimizer.name.clone(), (def.slots)(&group.optimizer.attrs).len() as u64))
    });
    let (name, slots) = optimizer.unwrap_or(("adamw".into(), 2));
    let summary = summarize(model, &bound, (&name, slots));
    let text = match args.json {
        true => serde_json::to_string_pretty(&summary).unwrap_or_default(),
        false => summary.show(!world.out.unicode).trim_end().to_string(),
    };
    world.out.line(&text)?;
    Ok(Verdict::Well)
}
