//! `wythe graph`: the model at any stage of the pipeline.

use super::model::{Mode, ModelArgs, binding};
use super::open::{self, Opened};
use super::{Failure, Verdict, World};
use crate::exec::bind::Binding;
use crate::exec::session::RunError;
use crate::export::{picture, structured};
use crate::ir::build as ir;
use crate::ir::graph::Graph;
use crate::passes::plan::{Persistent, plan};
use crate::pipeline;
use crate::tensor::DType;
use crate::text::Files;
use clap::ValueEnum;

/// Prints a model's graph at a stage of the pipeline
///
/// From what was written to what runs: the structured graph (repeats kept), the flat one, with gradients, with
/// elementwise chains fused, and the plan with its buffers. The text is stable, so that two versions can be compared.
/// A picture of the structured graph is one command: --format svg draws it, repeats folded; dot and mermaid leave the
/// drawing to others.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe graph models/mlp.model --stage flat\n  wythe graph models/gpt.model --format svg -o gpt.svg"
)]
pub struct Args {
    #[command(flatten)]
    pub model: ModelArgs,

    /// How far down the pipeline
    #[arg(long, value_enum, value_name = "STAGE", default_value_t = Stage::Structured)]
    pub stage: Stage,

    /// Whether dropout acts and statistics are the batch's (default: eval, and train from the
    /// stage gradient on)
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<Mode>,

    /// Sizes for dims, which a plan needs: batch=32,seq=128
    #[arg(long, value_name = "DIM=SIZE", value_delimiter = ',', value_parser = binding)]
    pub bind: Vec<(String, u64)>,

    /// A text, or a picture
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub format: Format,

    /// Writes this file instead of standard output
    #[arg(short = 'o', long = "out", value_name = "PATH", conflicts_with = "json")]
    pub out: Option<String>,

    /// One JSON object with the text in it
    #[arg(long)]
    pub json: bool,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line a node
    Text,
    /// A picture (structured only)
    Svg,
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
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
    let text = match args.format {
        Format::Text => text(&opened, args)?,
        Format::Svg | Format::Dot | Format::Mermaid => picture(&opened, args)?,
    };
    if let Some(path) = args.out.as_deref().filter(|path| *path != "-") {
        world.files.write(path, (text.trim_end().to_string() + "\n").as_bytes())?;
        world.err.line(&format!("wrote {path}"))?;
        return Ok(Verdict::Well);
    }
    if args.json {
        let object = serde_json::json!({ "version": 1, "stage": args.stage.word(), "text": text });
        world.out.line(&object.to_string())?;
    } else {
        world.out.line(text.trim_end())?;
    }
    Ok(Verdict::Well)
}

fn text(opened: &Opened, args: &Args) -> Result<String, Failure> {
    Ok(match args.stage {
        Stage::Structured => structured::show(opened.model()?),
        Stage::Flat => graph(opened, args, pipeline::Stage::Flat)?.show(),
        Stage::Gradient => graph(opened, args, pipeline::Stage::Gradient)?.show(),
        Stage::Fused => graph(opened, args, pipeline::Stage::Fused)?.show(),
        Stage::Plan => {
            let graph = graph(opened, args, pipeline::Stage::Fused)?;
            let binding = binding_of(opened, args)?;
            let mut layout = Persistent::default();
            layout.add(&graph);
            let plan = plan(&graph, &|name| binding.get(name).copied(), &layout, DType::F32).map_err(RunError::from)?;
            plan.show(&graph)
        }
    })
}

/// The structured graph has a picture of its own; flat ones are for tools that lay out thousands of boxes.
fn picture(opened: &Opened, args: &Args) -> Result<String, Failure> {
    let model = opened.model()?;
    let stage = match args.stage {
        Stage::Structured => None,
        Stage::Flat => Some(pipeline::Stage::Flat),
        Stage::Gradient => Some(pipeline::Stage::Gradient),
        Stage::Fused => Some(pipeline::Stage::Fused),
        Stage::Plan => {
            return Err(Failure::usage("a plan is a list of steps, and has no picture").help("--format text shows it"));
        }
    };
    match (stage, args.format) {
        (None, Format::Dot) => Ok(picture::dot(model)),
        (None, Format::Mermaid) => Ok(picture::mermaid(model)),
        (None, Format::Svg | Format::Text) => Ok(picture::svg(model)),
        (Some(stage), Format::Dot) => Ok(picture::dot_flat(&model.name, &graph(opened, args, stage)?)),
        (Some(stage), Format::Mermaid) => Ok(picture::mermaid_flat(&graph(opened, args, stage)?)),
        (Some(_), Format::Svg | Format::Text) => {
            let message = format!("svg draws the structured graph, and {} is asked for", args.stage.word());
            Err(Failure::usage(message).help("leave --stage out, or take --format dot"))
        }
    }
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
