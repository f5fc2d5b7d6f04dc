//! The loop: steps, evaluations, checkpoints; every number a function of file, data and seed.

use super::checkpoint;
pub use super::error::TrainError;
use super::metrics::{Log, Row};
use super::ports::ports;
pub use super::trainer::Trainer;
use crate::data::{DataError, Loaded};
use crate::export::weights::Weights;
use crate::ir::training::{Call, Length, Training};
use crate::text::Files;

/// What a run is asked to do beside its train section.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The run's folder; none: nothing is written.
    pub out: Option<String>,
    /// Go on from the folder's last checkpoint.
    pub resume: bool,
    /// Begin from these parameters.
    pub weights: Option<Weights>,
    /// In place of the section's length: the total, also of a resumed run.
    pub length: Option<Length>,
    /// In place of the section's seed.
    pub seed: Option<u64>,
    /// How many threads compute; never changes a bit.
    pub threads: usize,
    /// How many bytes of memory there may be: a run that would take more is refused before it begins.
    pub memory: Option<u64>,
}

/// Someone who watches a run, and may end it.
pub trait Watch {
    /// It begins at this step of so many.
    fn begin(&mut self, _step: u64, _total: u64) {}
    /// A step was made.
    fn step(&mut self, _row: &Row) {}
    /// The held-out rows were evaluated after so many steps.
    fn evaluated(&mut self, _step: u64, _results: &[(String, f64)]) {}
    /// Whether to save and end now.
    fn stop(&self) -> bool {
        false
    }
}

/// Nobody watches.
impl Watch for () {}

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Steps made in all, those before a resume included.
    pub steps: u64,
    /// How many of them this run made.
    pub made: u64,
    /// The loss before each step of this run.
    pub losses: Vec<f64>,
    /// The last results on held-out rows: the loss, then the metrics.
    pub valid: Vec<(String, f64)>,
    /// The best of all, also of the run that was resumed (of which only the loss is known).
    pub best: Option<Best>,
    /// The last checkpoint.
    pub checkpoint: Option<String>,
    /// It was asked to stop.
    pub stopped: bool,
}

/// The held-out results by which `best` was chosen.
#[derive(Clone, Debug)]
pub struct Best {
    /// After which step.
    pub step: u64,
    /// The loss, then the metrics.
    pub results: Vec<(String, f64)>,
    /// Its weights.
    pub checkpoint: Option<String>,
}

/// Where a run writes.
struct Folder<'f> {
    path: &'f str,
    files: &'f dyn Files,
    log: Log,
    /// Whether `last` holds a state of this run.
    saved: bool,
}

impl Trainer<'_> {
    /// The whole run, or what is left of it.
    pub fn fit(&mut self, options: &Options, files: &dyn Files, watch: &mut dyn Watch) -> Result<Report, TrainError> {
        let mut report = Report { steps: self.step, ..Report::default() };
        if let (Some((loss, step)), Some(out)) = (self.best, &options.out) {
            let checkpoint = Some(checkpoint::model_path(&checkpoint::best(out)));
            report.best = Some(Best { step, results: vec![("loss".into(), loss)], checkpoint });
        }
        if self.step >= self.total && self.pending.is_none() {
            let out = options.out.as_deref().filter(|_| self.step > 0);
            report.checkpoint = out.map(last_model);
            return Ok(report);
        }
        let mut folder = match &options.out {
            Some(path) => {
                // The line of a step whose evaluation is still to be made is not whole.
                let lines = self.step.saturating_sub(u64::from(self.pending.is_some()));
                let log = Log::start(files, &format!("{path}/metrics.jsonl"), lines)?;
                Some(Folder { path, files, log, saved: self.step > 0 })
            }
            None => None,
        };
        // A folder that held another run must not be resumed into it.
        if let Some(folder) = folder.as_ref().filter(|_| self.step == 0) {
            let last = checkpoint::last(folder.path);
            if files.exists(&checkpoint::resume_path(&last)) {
                checkpoint::save(files, &last, &self.snapshot()?)?;
            }
        }
        watch.begin(self.step, self.total);
        while (self.step < self.total || self.pending.is_some()) && !report.stopped {
            let done = match self.pending {
                Some(_) => self.after(&mut report, folder.as_mut(), watch),
                None => self.one(&mut report, folder.as_mut(), watch),
            };
            if let Err(error) = done {
                return Err(with_checkpoint(error, folder));
            }
        }
        report.steps = self.step;
        report.checkpoint = folder.filter(|folder| folder.saved).map(|folder| last_model(folder.path));
        Ok(report)
    }

    /// A step and what comes after it.
    fn one(
        &mut self,
        report: &mut Report,
        folder: Option<&mut Folder<'_>>,
        watch: &mut dyn Watch,
    ) -> Result<(), TrainError> {
        self.advance()?;
        report.made += 1;
        report.losses.extend(self.last_loss);
        self.after(report, folder, watch)
    }

    /// What comes after a step: the evaluation, the log, checkpoints.
    ///
    /// An evaluation that is interrupted leaves no trace but the step's line of the log, which is kept back.
    fn after(
        &mut self,
        report: &mut Report,
        folder: Option<&mut Folder<'_>>,
        watch: &mut dyn Watch,
    ) -> Result<(), TrainError> {
        let last = self.step == self.total;
        let pending = self.pending.take();
        if self.data.valid.is_some() && (last || self.step.is_multiple_of(self.every(self.training.eval_every))) {
            let Some(results) = self.evaluate_unless(&|| watch.stop())? else {
                let mut begun = String::new();
                self.row.begin(&mut begun);
                self.pending = Some(pending.unwrap_or(begun));
                report.stopped = true;
                return folder.map_or(Ok(()), |folder| self.save(folder, true, false, false));
            };
            report.valid = results;
            self.row.valid.clone_from(&report.valid);
            watch.evaluated(self.step, &report.valid);
        }
        if pending.is_none() {
            watch.step(&self.row);
        }
        report.stopped = watch.stop() && !last;
        let better = self.improves();
        if better {
            let checkpoint = folder.as_ref().map(|folder| checkpoint::model_path(&checkpoint::best(folder.path)));
            report.best = Some(Best { step: self.step, results: report.valid.clone(), checkpoint });
        }
        let Some(folder) = folder else { return Ok(()) };
        match &pending {
            Some(begun) => folder.log.add_begun(begun, &self.row),
            None => folder.log.add(&self.row),
        }
        let due = self.step.is_multiple_of(self.every(self.training.save));
        let (save, step) = (last || report.stopped || due, due && self.training.save.is_some());
        if save || better { self.save(folder, save, better, step) } else { Ok(folder.log.relieve(folder.files)?) }
    }

    /// Writes the checkpoints that are due, the log first.
    fn save(&self, folder: &mut Folder<'_>, last: bool, best: bool, step: bool) -> Result<(), TrainError> {
        folder.log.flush(folder.files)?;
        let snapshot = self.snapshot()?;
        let write = |path: String| checkpoint::save(folder.files, &path, &snapshot);
        if best {
            write(checkpoint::best(folder.path))?;
        }
        if step {
            write(checkpoint::at_step(folder.path, self.step))?;
        }
        if last {
            write(checkpoint::last(folder.path))?;
            folder.saved = true;
        }
        Ok(())
    }

    /// Every so many steps, or once an epoch.
    fn every(&self, setting: Option<u64>) -> u64 {
        setting.unwrap_or_else(|| self.batches.per_epoch()).max(1)
    }

    /// Whether the validation loss of this step is the lowest so far.
    fn improves(&mut self) -> bool {
        let Some((_, loss)) = self.row.valid.iter().find(|(name, _)| name == "loss") else { return false };
        let better = loss.is_finite() && self.best.is_none_or(|(best, _)| *loss < best);
        if better {
            self.best = Some((*loss, self.step));
        }
        better
    }
}

/// `OUT/last/model.safetensors`.
fn last_model(out: &str) -> String {
    checkpoint::model_path(&checkpoint::last(out))
}

/// A run that diverged keeps its log up to there, and says where its last good state is.
fn with_checkpoint(error: TrainError, folder: Option<Folder<'_>>) -> TrainError {
    match (error, folder) {
        (TrainError::Diverged { step, what, updated, .. }, Some(mut folder)) => {
            // What went wrong has been said already; a log that cannot be written as well changes nothing.
            let _ = folder.log.flush(folder.files);
            TrainError::Diverged { step, what, updated, saved: folder.saved.then(|| last_model(folder.path)) }
        }
        (other, _) => other,
    }
}

/// The data of a train section: its own source, or another one. `known`: what ids stand for in weights that are given.
pub fn load_data(
    training: &Training,
    source: Option<&Call>,
    base: &str,
    files: &dyn Files,
    known: &[String],
) -> Result<Loaded, TrainError> {
    let (inputs, targets) = ports(training);
    let Some(source) = source.or(training.data.as_ref()) else {
        let error = DataError::new("train::data", training.model.name.as_str(), "the train section names no data");
        // Ids without targets of their own are a text's.
        let text = targets.is_empty() && inputs.iter().all(|port| !port.dtype.is_float());
        let (say, file) = if text { ("text(\"book.txt\")", "book.txt") } else { ("csv(\"rows.csv\")", "rows.csv") };
        let help = format!(
            "write `data {say}` in the train section, or give --data {file}; text, csv, npz, safetensors, idx and digits are data"
        );
        return Err(error.help(help).into());
    };
    Ok(crate::data::load(source, training.valid.as_ref(), &inputs, &targets, base, files, known)?)
}
