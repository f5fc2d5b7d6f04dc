//! `wythe graph`: the model at any stage of the pipeline.

use super::model::{Mode, ModelArgs, binding};
use super::open::{self, Opened};
use super::{Failure, Verdict, World};
use crate::exec::bind::Binding;
use crate::exec::session::RunError;
use crate::export::structured;
use crate::ir::build as ir;
use crate::ir::graph::Graph;
use crate::passes::plan::{Persistent, plan};
use crate::pipeline;
use crate::tensor::DType;
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

    /// What is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub format: Format,

    /// One JSON object with the text in it
    #[arg(long)]
    pub json: bool,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line a node
    Text,
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

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Stage::Structured => "structured",
            Stage::Flat => "flat",
            Stage::Gradient => "gradient",
            Stage::Fused => "fused",
            Stage::Plan => "plan",
        }
    }
}

/// Checks the file and prints the stage.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let opened = open::open(world, &args.model)?;
    let text = match args.stage {
        Stage::Structured => structured::show(opened.model()?),
        Stage::Flat => graph(&opened, args, pipeline::Stage::Flat)?.show(),
        Stage::Gradient => graph(&opened, args, pipeline::Stage::Gradient)?.show(),
        Stage::Fused => graph(&opened, args, pipeline::Stage::Fused)?.show(),
        Stage::Plan => {
            let graph = graph(&opened, args, pipeline::Stage::Fused)?;
            let binding = binding_of(&opened, args)?;
            let mut layout = Persistent::default();
            layout.add(&graph);
            let plan = plan(&graph, &|name| binding.get(name).copied(), &layout, DType::F32).map_err(RunError::from)?;
            plan.show(&graph)
        }
    };
    if args.json {
        let object = serde_json::json!({ "version": 1, "stage": args.stage.word(), "text": text });
        world.out.line(&object.to_string())?;
    } else {
        world.out.line(text.trim_end())?;
    }
    Ok(Verdict::Well)
}

/// A training step where the model has a train section and the mode is train (or not said, from gradient on).
fn graph(opened: &Opened, args: &Args, stage: pipeline::Stage) -> Result<Graph, Failure> {
    let flat = stage == pipeline::Stage::Flat;
    let mode = args.mode.unwrap_or(if flat { Mode::Eval } else { Mode::Train });
    let model = opened.model()?;
    let training = opened.checked.trainings.iter().find(|training| training.model.name == model.name);
    Ok(match (mode, training) {
        (Mode::Train, Some(training)) => pipeline::step(training, DType::F32, stage),
        (mode, _) if flat => pipeline::forward(model, mode.graph(), DType::F32, stage),
        (Mode::Eval, _) => pipeline::forward(model, ir::Mode::Eval, DType::F32, stage),
        (Mode::Train, None) => pipeline::gradients(model, ir::Mode::Train, DType::F32, stage),
    })
}

/// The sizes of `--bind`; those of the train section for dims that are not named; else small ones of our own.
fn binding_of(opened: &Opened, args: &Args) -> Result<Binding, Failure> {
    let model = opened.model()?;
    let mut binding: Binding = args.bind.iter().map(|(name, size)| (name.clone(), *size as i64)).collect();
    open::known_dims(model, &binding)?;
    for training in opened.checked.trainings.iter().filter(|training| training.model.name == model.name) {
        for (name, size) in &training.sizes {
            binding.entry(name.clone()).or_insert(*size as i64);
        }
    }
    match open::dims(model).into_iter().find(|dim| !binding.contains_key(dim)) {
        Some(dim) => Err(Failure::usage(format!("a plan needs the size of `{dim}`")).help(format!("--bind {dim}=8"))),
        None => Ok(binding),
    }
}
