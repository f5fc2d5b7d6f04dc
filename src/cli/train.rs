//! `wythe train`: a model and its data become weights.

use super::model::{ModelArgs, ThreadArgs, seed};
use super::progress::{Progress, duration};
use super::{Failure, Verdict, World, curve, interrupt, memory, open};
use crate::export::summary::grouped;
use crate::export::weights;
use crate::ir::training::Length;
use crate::lints::may_train;
use crate::text::Files;
use crate::train::checkpoint;
use crate::train::fit::{Options, Report, Trainer, Watch};
use crate::train::metrics::Row;
use std::sync::atomic::{AtomicBool, Ordering};

/// Trains a model as its train section says
///
/// The run's folder holds metrics.jsonl (a line a step) and the checkpoints last/, best/ and step-N/, each with
/// model.safetensors and what a resume needs. A run may be killed at any moment: --resume goes on from last/ and ends
/// with the bits of a run that was never stopped. Ctrl-C saves and ends with 130; a second one ends at once.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe train models/digits.model --epochs 5 --out runs/digits\n  wythe train models/digits.model --steps 500 --out runs/digits --resume"
)]
pub struct Args {
    #[command(flatten)]
    pub model: ModelArgs,

    /// The rows: a .csv, .npz, .safetensors or .txt file, or digits (default: the train section's)
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,

    /// Begins from these parameters (.safetensors)
    #[arg(long, value_name = "PATH", conflicts_with = "resume")]
    pub weights: Option<String>,

    /// The run's folder (default: runs/NAME, or runs/NAME-2, … where that holds a run)
    #[arg(long, value_name = "DIR")]
    pub out: Option<String>,

    /// Goes on from the folder's last checkpoint
    #[arg(long)]
    pub resume: bool,

    /// Begins anew in a folder that holds a run already
    #[arg(long, conflicts_with = "resume")]
    pub anew: bool,

    /// Ends after N steps in all, those before a resume included
    #[arg(long, value_name = "N", conflicts_with = "epochs", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,

    /// Ends after N passes over the data in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub epochs: Option<u64>,

    /// Decides initial weights, order and dropout (default: the train section's)
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub threads: ThreadArgs,

    /// One JSON object about the run at the end, instead of the curve
    #[arg(long)]
    pub json: bool,
}

/// Trains, shows the curve, says where the weights are.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let opened = open::open(world, &args.model)?;
    if !may_train(&opened.checked.diagnostics) {
        let help = "mend it, or say that it is meant: `// allow(CODE)` at the end of its line";
        return Err(
            Failure::refused("train::lint", "a lint of this gravity stops a training before it begins").help(help)
        );
    }
    let training = opened.training()?;
    let weights = args.weights.as_ref().map(|path| weights::load(&world.files, path)).transpose()?;
    let known = weights.as_ref().map_or(&[][..], |weights| &weights.about.vocabulary);
    let data = open::data(world, &opened, training, args.data.as_deref(), known)?;
    open::tell_notes(world, &data.notes)?;
    let name = match (&training.label, open::stem(&args.model.file)) {
        (Some(label), _) => label,
        (None, "-") => training.model.name.as_str(),
        (None, stem) => stem,
    };
    let options = Options {
        out: Some(folder(args, name, &world.files)?),
        resume: args.resume,
        weights,
        length: args.steps.map(Length::Steps).or(args.epochs.map(Length::Epochs)),
        seed: args.seed,
        threads: args.threads.count(world)?,
        memory: memory::available(),
    };
    let held = memory::held();
    let mut trainer = Trainer::new(training, data, &options, &world.files)?;
    if let Some(out) = options.out.as_deref().filter(|_| args.anew) {
        world.files.remove_checkpoints(out)?;
    }
    let memory = trainer.session().memory();
    // A run goes on when nobody reads its progress.
    let _ = world.err.line(&begun(&trainer, training.batch));
    if memory.total() > WORTH_SAYING {
        let _ = open::tell_notes(world, &[memory.show()]);
    }
    let asked = interrupt::install();
    let files = world.files;
    let mut shown = Shown { world, progress: None, asked };
    let report = trainer.fit(&options, &files, &mut shown);
    let seconds = shown.progress.take().map_or(0.0, Progress::finish);
    let report = report?;
    if report.made > 0 {
        let rate = report.made as f64 / seconds.max(1e-9);
        let steps = grouped(report.made);
        let _ = world.err.line(&format!("{steps} steps in {}, {rate:.1} a second", duration(seconds)));
    }
    finish(args, world, &report, held + memory.total(), seconds)
}

/// What a run is made of, before it begins.
fn begun(trainer: &Trainer<'_>, batch: u64) -> String {
    let (rows, held_out) = trainer.rows();
    let held_out = match held_out {
        0 => String::new(),
        rows => format!(", {} held out", grouped(rows)),
    };
    let rest = match trainer.steps() {
        0 => String::new(),
        made => format!(", {} made before", grouped(made)),
    };
    format!("{} rows{held_out}: {} steps of {batch}{rest}", grouped(rows), grouped(trainer.total()))
}

/// So much memory is said before it is taken.
const WORTH_SAYING: u64 = 1 << 30;

/// The run's folder: the one that was asked for; else the first that holds no run, or with --resume the last that does.
fn folder(args: &Args, name: &str, files: &dyn Files) -> Result<String, Failure> {
    let held = |out: &str| files.exists(&checkpoint::resume_path(&checkpoint::last(out)));
    if let Some(out) = &args.out {
        if files.exists(out) && files.read(out, 0).is_err_and(|error| error.reason != "is a folder") {
            let help = "a run takes several files: give --out a folder, which is made where it is not there";
            return Err(Failure::usage(format!("{out} is a file, and --out names a folder")).help(help));
        }
        if args.resume && !held(out) {
            let help = "leave --resume out to begin one there";
            return Err(Failure::usage(format!("{out} holds no run to go on with")).help(help));
        }
        if !args.resume && !args.anew && held(out) {
            let help = "--resume goes on with it, --anew begins again in its place, --out DIR takes another folder";
            return Err(Failure::usage(format!("{out} holds a run already")).help(help));
        }
        return Ok(out.clone());
    }
    let numbered = |n: u64| if n == 1 { format!("runs/{name}") } else { format!("runs/{name}-{n}") };
    let free = (1..).find(|&n| !held(&numbered(n))).unwrap_or(1);
    Ok(numbered(if args.resume || args.anew { free.saturating_sub(1).max(1) } else { free }))
}

/// Progress for whoever sits before the terminal.
struct Shown<'w> {
    world: &'w mut World,
    progress: Option<Progress>,
    asked: &'static AtomicBool,
}

impl Watch for Shown<'_> {
    fn begin(&mut self, step: u64, total: u64) {
        self.progress = Some(Progress::new(&self.world.err, step, total));
    }

    fn step(&mut self, row: &Row) {
        if let Some(progress) = &mut self.progress {
            progress.step(&mut self.world.err, row.step, row.loss.value(), row.lr);
        }
    }

    fn evaluated(&mut self, _step: u64, results: &[(String, f64)]) {
        if let (Some(progress), Some((_, loss))) = (&mut self.progress, results.iter().find(|(name, _)| name == "loss"))
        {
            progress.evaluated(*loss);
        }
    }

    fn stop(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

/// What is said at the end.
fn finish(args: &Args, world: &mut World, report: &Report, memory: u64, seconds: f64) -> Result<Verdict, Failure> {
    if args.json {
        let valid: serde_json::Map<String, serde_json::Value> =
            report.valid.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
        let object = serde_json::json!({
            "version": 1, "steps": report.steps, "loss": report.losses.last(), "valid": valid,
            "best": report.best.as_ref().map(|best| serde_json::json!({
                "step": best.step, "valid": best.results.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
                "checkpoint": best.checkpoint,
            })),
            "checkpoint": report.checkpoint, "interrupted": report.stopped, "memory": memory, "seconds": (seconds * 100.0).round() / 100.0,
        });
        world.out.line(&object.to_string())?;
    } else {
        tell(world, report)?;
    }
    Ok(if report.stopped { Verdict::Interrupted } else { Verdict::Well })
}

fn tell(world: &mut World, report: &Report) -> Result<(), Failure> {
    if report.made == 0 {
        world.out.line(&format!("nothing to do: the run stands at step {} already", report.steps))?;
    }
    if report.losses.len() > 1 {
        let first = report.steps - report.made;
        let points: Vec<(u64, f64)> = (1..).map(|i| first + i).zip(report.losses.iter().copied()).collect();
        let width = world.out.width.min(80);
        world.out.line(curve::draw(&points, width, 10, world.out.unicode).trim_end())?;
    }
    if let Some(loss) = report.losses.last() {
        world.out.line(&format!("step {}  loss {loss:.4}", report.steps))?;
    }
    for (name, value) in &report.valid {
        let name = if name == "loss" { "held-out loss" } else { name };
        world.out.line(&open::shown_result(name, *value))?;
    }
    if let Some(best) = report.best.as_ref().filter(|best| best.step < report.steps) {
        let results: Vec<String> = best.results.iter().map(|(name, value)| open::shown_result(name, *value)).collect();
        let place = best.checkpoint.as_ref().map(|path| format!(": {path}")).unwrap_or_default();
        world.out.line(&format!("best after step {} (held-out {}){place}", best.step, results.join(", ")))?;
    }
    if report.stopped {
        world.out.line("interrupted, and saved: --resume goes on from here")?;
    }
    match &report.checkpoint {
        Some(path) => world.out.line(&format!("checkpoint {path}")),
        None => Ok(()),
    }
}
