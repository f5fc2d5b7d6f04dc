//! The loop: batches in, steps, evaluations, checkpoints; every number a function of file, data and seed.

use super::checkpoint::{self, Snapshot};
use super::metrics::{Log, Real, Row};
use super::ports::{learned_dims, ports};
use crate::data::{Batches, DataError, Dataset, Loaded};
use crate::exec::bind::Binding;
use crate::exec::session::{FaultReport, Host, RunError, Session};
use crate::export::weights::{Expected, Weights, WeightsError, match_weights};
use crate::ir::graph::{Graph, Output, Source};
use crate::ir::training::{Length, Training};
use crate::kernels::call::FaultKind;
use crate::optim::{HYPERS, Schedule, find_optimizer};
use crate::passes::plan::slot_name;
use crate::pipeline::{self, Stage};
use crate::tensor::{DType, Tensor};
use crate::text::{FileError, Files};
use sha2::{Digest, Sha256};

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
    /// The last checkpoint.
    pub checkpoint: Option<String>,
    /// It was asked to stop.
    pub stopped: bool,
}

/// Why a run did not happen, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A run of the graph.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A number is not finite any more.
    #[error("step {step}: {what} is not finite{}", .saved.as_ref().map(|path| format!("; the last good checkpoint is {path}")).unwrap_or_default())]
    Diverged {
        /// In which step, from 1.
        step: u64,
        /// Layer and tensor.
        what: String,
        /// The last good checkpoint.
        saved: Option<String>,
    },
    /// One row a statistic.
    #[error("{0}")]
    Batch(String),
}

/// A training run, step by step.
pub struct Trainer<'a> {
    training: &'a Training,
    data: Loaded,
    session: Session,
    batches: Batches,
    schedules: Vec<Schedule>,
    binding: Binding,
    seed: u64,
    step: u64,
    total: u64,
    program: String,
    fingerprint: String,
    best: Option<f64>,
    last_loss: Option<f64>,
}

/// The training graph, and the graph that evaluates, in a trainer's session.
const STEP: usize = 0;
const EVALUATE: usize = 1;

impl<'a> Trainer<'a> {
    /// Compiles, loads or draws the weights, and makes all plans.
    pub fn new(
        training: &'a Training,
        data: Loaded,
        options: &Options,
        files: &dyn Files,
    ) -> Result<Trainer<'a>, TrainError> {
        let graphs =
            vec![pipeline::step(training, DType::F32, Stage::Fused), pipeline::evaluation(training, DType::F32)];
        let program = program_hash(training, &graphs[STEP]);
        let seed = options.seed.unwrap_or(training.seed);
        let session = Session::new(graphs, DType::F32, options.threads.max(1))?;
        let batches =
            Batches::new(data.train.rows, training.batch as usize, training.shuffle, training.drop_last, seed);
        let schedules = schedules(training, batches.per_epoch());
        let total = total_steps(training, options, &batches, &schedules);
        let fingerprint = data.train.fingerprint();
        let mut trainer = Trainer {
            training,
            data,
            session,
            batches,
            schedules,
            seed,
            total,
            program,
            fingerprint,
            binding: learned_dims(training),
            step: 0,
            best: None,
            last_loss: None,
        };
        trainer.check_batches()?;
        trainer.session.init(seed);
        if let Some(weights) = options.weights.clone() {
            trainer.load(weights)?;
        }
        if let (true, Some(out)) = (options.resume, &options.out) {
            trainer.resume(out, files)?;
        }
        trainer.prepare()?;
        Ok(trainer)
    }

    /// The session: its parameters are the run's.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The steps of the whole run.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// A batch of one row has no statistics.
    fn check_batches(&self) -> Result<(), TrainError> {
        let one_row = self.batches.sizes().contains(&1);
        match super::ports::batch_statistics(&self.training.model) {
            Some(path) if one_row => Err(TrainError::Batch(format!(
                "a batch of one row would reach {path}, which needs at least two: choose another `batch`, or `drop_last true`"
            ))),
            _ => Ok(()),
        }
    }

    fn load(&mut self, weights: Weights) -> Result<(), TrainError> {
        load_weights(&mut self.session, STEP, weights)?;
        Ok(())
    }

    fn resume(&mut self, out: &str, files: &dyn Files) -> Result<(), TrainError> {
        let folder = checkpoint::last(out);
        let Some(snapshot) = checkpoint::resume(files, &folder, &self.program, &self.fingerprint)? else {
            return Ok(());
        };
        for (path, tensor) in &snapshot.weights {
            self.session.set(path, tensor)?;
        }
        for (path, slot, tensor) in &snapshot.slots {
            if let Some(index) = self.slot_names(path).iter().position(|name| name == slot) {
                self.session.set(&slot_name(path, index as u32), tensor)?;
            }
        }
        self.step = snapshot.step;
        self.seed = snapshot.seed;
        self.best = snapshot.best;
        self.last_loss = snapshot.loss;
        let t = self.training;
        self.batches = Batches::new(self.data.train.rows, t.batch as usize, t.shuffle, t.drop_last, self.seed);
        Ok(())
    }

    fn slot_names(&self, path: &str) -> Vec<&'static str> {
        let group = crate::passes::update::group_of(&self.training.optimizers, path);
        let call = group.map(|group| &self.training.optimizers[group].optimizer);
        call.and_then(|call| Some((find_optimizer(&call.name)?.slots)(&call.attrs))).unwrap_or_default()
    }

    /// Plans for all batch sizes, before the first step.
    fn prepare(&mut self) -> Result<(), TrainError> {
        for rows in self.batches.sizes() {
            let rows: Vec<u32> = (0..rows as u32).collect();
            self.plan(STEP, false, &rows)?;
        }
        let held = self.data.valid.as_ref().map_or(0, |valid| valid.rows);
        for rows in
            Batches::new(held, self.training.batch as usize, false, false, 0).sizes().into_iter().filter(|n| *n > 0)
        {
            let rows: Vec<u32> = (0..rows as u32).collect();
            self.plan(EVALUATE, true, &rows)?;
        }
        Ok(())
    }

    fn rows_of(&self, held: bool) -> &Dataset {
        match (&self.data.valid, held) {
            (Some(valid), true) => valid,
            _ => &self.data.train,
        }
    }

    fn tensors(&self, held: bool, rows: &[u32]) -> Vec<(String, Tensor)> {
        let set = self.rows_of(held);
        (0..set.columns.len()).map(|i| (set.columns[i].0.clone(), set.gather(i, rows))).collect()
    }

    fn plan(&mut self, which: usize, held: bool, rows: &[u32]) -> Result<(usize, Vec<(String, Tensor)>), TrainError> {
        let tensors = self.tensors(held, rows);
        let given: Vec<_> =
            tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.dtype(), tensor.shape())).collect();
        let wanted = crate::exec::bind::inputs(&self.session.graphs()[which]);
        let given: Vec<_> = given.into_iter().filter(|(name, ..)| wanted.iter().any(|(own, _)| own == name)).collect();
        let binding =
            crate::exec::bind::bind(&self.session.graphs()[which], &given, &self.binding).map_err(RunError::from)?;
        Ok((self.session.prepare(which, &binding)?, tensors))
    }

    /// The learning rates and other numbers of the host for a step.
    fn host(&self) -> Host {
        let hyper = |schedule: &Schedule| {
            let mut numbers = vec![0.0; HYPERS];
            numbers[0] = schedule.rate(self.step);
            numbers[1] = (self.step + 1) as f64;
            numbers[2] = 1.0;
            numbers
        };
        Host { seed: self.seed, step: self.step, hypers: self.schedules.iter().map(hyper).collect() }
    }

    /// One step; what is to be logged of it.
    pub fn advance(&mut self) -> Result<Row, TrainError> {
        let rows = self.batches.rows(self.step).to_vec();
        let (plan, tensors) = self.plan(STEP, false, &rows)?;
        let host = self.host();
        let inputs: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        self.session.feed(plan, &inputs, &host);
        if let Err(error) = self.session.execute(STEP, plan) {
            return Err(self.explain(error, &inputs, &host));
        }
        let number = |output: &Output| self.session.scalar(plan, output);
        let terms =
            self.training.loss.terms.iter().filter_map(|(name, _)| {
                Some((name.clone(), Real::Single(number(&Output::Term(name.clone()))? as f32)))
            });
        let loss = number(&Output::Loss).unwrap_or(f64::NAN);
        let row = Row {
            step: self.step + 1,
            loss: Real::Single(loss as f32),
            lr: host.hypers.first().map_or(0.0, |hyper| hyper[0]),
            grad_norm: number(&Output::GradNorm).map(Real::Double),
            terms: terms.collect(),
            valid: vec![],
        };
        self.step += 1;
        self.last_loss = Some(loss);
        Ok(row)
    }

    /// Names the first tensor that is not finite: the batch once more, with every value looked at.
    fn explain(&self, error: RunError, inputs: &[(&str, &Tensor)], host: &Host) -> TrainError {
        let RunError::Fault(FaultReport { kind, path, .. }) = &error else { return error.into() };
        let what = match kind {
            FaultKind::LossNotFinite => self.first_bad(inputs, host).unwrap_or_else(|| "the loss".into()),
            FaultKind::GradientNotFinite => format!("the gradient of {path}"),
            FaultKind::IndexOutOfRange | FaultKind::CastOutOfRange => return error.into(),
        };
        TrainError::Diverged { step: self.step + 1, what, saved: None }
    }

    fn first_bad(&self, inputs: &[(&str, &Tensor)], host: &Host) -> Option<String> {
        let bad = |tensor: &Tensor| match tensor {
            Tensor::F32(a) => a.iter().any(|x| !x.is_finite()),
            Tensor::F64(a) => a.iter().any(|x| !x.is_finite()),
            Tensor::I64(_) | Tensor::Bool(_) => false,
        };
        let params = self.session.places().filter(|(name, _)| !name.contains('@')).map(|(name, _)| name.to_string());
        let mut probe = Session::new(vec![pipeline::probe(self.training, DType::F32)], DType::F32, 1).ok()?;
        for name in params {
            let value = self.session.get(&name)?;
            if bad(&value) {
                return Some(name);
            }
            probe.set(&name, &value).ok();
        }
        let outputs = match probe.run(0, inputs, &self.binding, host) {
            Ok(outputs) => outputs,
            Err(_) => return None,
        };
        let first = outputs.iter().find(|(_, tensor)| bad(tensor))?;
        match &first.0 {
            Output::Term(path) if !path.is_empty() => Some(format!("the output of {path}")),
            _ => None,
        }
    }

    /// Loss and metrics on the held-out rows (all rows where none are held out), weighed by rows.
    pub fn evaluate(&mut self) -> Result<Vec<(String, f64)>, TrainError> {
        let held = self.data.valid.is_some();
        let rows = self.rows_of(held).rows;
        let mut batches = Batches::new(rows, self.training.batch as usize, false, false, 0);
        let mut sums: Vec<(String, f64)> = vec![];
        for step in 0..batches.per_epoch() {
            let rows = batches.rows(step).to_vec();
            let (plan, tensors) = self.plan(EVALUATE, held, &rows)?;
            let inputs: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
            self.session.feed(plan, &inputs, &Host { seed: self.seed, step: self.step, hypers: vec![] });
            self.session.execute(EVALUATE, plan)?;
            let outputs = self.session.graphs()[EVALUATE].outputs.iter().filter_map(|(output, _)| match output {
                Output::Loss => Some(("loss".to_string(), output)),
                Output::Metric(name) => Some((name.clone(), output)),
                _ => None,
            });
            for (name, output) in outputs {
                let value = self.session.scalar(plan, output).unwrap_or(f64::NAN) * rows.len() as f64;
                match sums.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, sum)) => *sum += value,
                    None => sums.push((name, value)),
                }
            }
        }
        sums.iter_mut().for_each(|(_, sum)| *sum /= rows as f64);
        Ok(sums)
    }

    /// Everything that a run is, between two steps.
    pub fn snapshot(&self) -> Snapshot {
        let names: Vec<String> = self.session.places().map(|(name, _)| name.to_string()).collect();
        let tensor = |name: &str| self.session.get(name);
        let (mut weights, mut slots) = (vec![], vec![]);
        for name in names {
            let Some(value) = tensor(&name) else { continue };
            match name.rsplit_once('@') {
                None => weights.push((name, value)),
                Some((path, slot)) => {
                    let slot = slot.parse::<usize>().ok().and_then(|slot| self.slot_names(path).get(slot).copied());
                    slots.push((path.to_string(), slot.unwrap_or_default().to_string(), value));
                }
            }
        }
        Snapshot {
            step: self.step,
            seed: self.seed,
            loss: self.last_loss,
            best: self.best,
            program: self.program.clone(),
            data: self.fingerprint.clone(),
            vocabulary: self.data.train.vocabulary.clone(),
            weights,
            slots,
        }
    }

    /// The whole run.
    pub fn fit(&mut self, options: &Options, files: &dyn Files, watch: &mut dyn Watch) -> Result<Report, TrainError> {
        let mut report = Report { steps: self.step, ..Report::default() };
        let out = options.out.as_deref();
        let mut log = match out {
            Some(out) if self.step < self.total || self.step == 0 => {
                Some(Log::start(files, &format!("{out}/metrics.jsonl"), self.step)?)
            }
            _ => None,
        };
        watch.begin(self.step, self.total);
        let mut saved = (self.step > 0).then_some(self.step);
        while self.step < self.total && !report.stopped {
            let mut row = self.advance().map_err(|error| with_checkpoint(error, out, saved))?;
            let last = self.step == self.total;
            report.made += 1;
            if let Some(loss) = self.last_loss {
                report.losses.push(loss);
            }
            if self.data.valid.is_some() && (last || self.step.is_multiple_of(self.every(self.training.eval_every))) {
                report.valid = self.evaluate()?;
                row.valid = report.valid.clone();
                watch.evaluated(self.step, &report.valid);
            }
            watch.step(&row);
            if let Some(log) = &mut log {
                log.add(&row);
            }
            report.stopped = watch.stop() && !last;
            let Some(out) = out else { continue };
            let better = self.improves(&row.valid);
            let due = self.step.is_multiple_of(self.every(self.training.save));
            if last || report.stopped || due || better {
                if let Some(log) = &mut log {
                    log.flush(files)?;
                }
                let snapshot = self.snapshot();
                if better {
                    checkpoint::save(files, &checkpoint::best(out), &snapshot)?;
                }
                if due && self.training.save.is_some() {
                    checkpoint::save(files, &checkpoint::at_step(out, self.step), &snapshot)?;
                }
                if last || report.stopped || due {
                    checkpoint::save(files, &checkpoint::last(out), &snapshot)?;
                    saved = Some(self.step);
                }
            }
        }
        report.steps = self.step;
        report.checkpoint = out.filter(|_| saved.is_some()).map(|out| checkpoint::model_path(&checkpoint::last(out)));
        Ok(report)
    }

    /// Every so many steps, or once an epoch.
    fn every(&self, setting: Option<u64>) -> u64 {
        setting.unwrap_or_else(|| self.batches.per_epoch()).max(1)
    }

    /// Whether the validation loss is the lowest so far.
    fn improves(&mut self, valid: &[(String, f64)]) -> bool {
        let Some((_, loss)) = valid.iter().find(|(name, _)| name == "loss") else { return false };
        let better = self.best.is_none_or(|best| *loss < best);
        if better {
            self.best = Some(*loss);
        }
        better
    }
}

fn with_checkpoint(error: TrainError, out: Option<&str>, saved: Option<u64>) -> TrainError {
    match error {
        TrainError::Diverged { step, what, .. } => {
            let saved = out.filter(|_| saved.is_some()).map(|out| checkpoint::model_path(&checkpoint::last(out)));
            TrainError::Diverged { step, what, saved }
        }
        other => other,
    }
}

/// The parameters and statistics that a graph's session needs.
pub fn expected(graph: &Graph) -> Vec<Expected> {
    let one = |param: &crate::ir::graph::Param| Expected {
        path: param.path.clone(),
        dtype: param.ty.dtype,
        shape: param.shape.clone(),
    };
    graph.params.iter().map(one).collect()
}

/// Loads weights into a session: all that the graph has, and nothing else; notes of what was converted.
pub fn load_weights(session: &mut Session, which: usize, weights: Weights) -> Result<Vec<String>, TrainError> {
    let expected = expected(&session.graphs()[which]);
    let (tensors, notes) = match_weights(&expected, weights)?;
    for (want, tensor) in expected.iter().zip(&tensors) {
        session.set(&want.path, tensor)?;
    }
    Ok(notes)
}

/// A schedule for each optimizer group, over its base rate.
fn schedules(training: &Training, epoch: u64) -> Vec<Schedule> {
    let base = |group: &crate::ir::training::Group| group.optimizer.attrs.float("lr").unwrap_or(1e-3);
    training.optimizers.iter().map(|group| Schedule::new(&training.schedule, base(group), epoch)).collect()
}

fn total_steps(training: &Training, options: &Options, batches: &Batches, schedules: &[Schedule]) -> u64 {
    let steps = |length: Length| match length {
        Length::Steps(steps) => steps,
        Length::Epochs(epochs) => epochs.saturating_mul(batches.per_epoch()),
    };
    let given = options.length.or(training.length).map(steps);
    let scheduled = || schedules.first().and_then(Schedule::length);
    given.or_else(scheduled).unwrap_or_else(|| steps(Length::Epochs(10)))
}

/// The hash of everything that decides a run's bits but data, seed and length.
fn program_hash(training: &Training, step: &Graph) -> String {
    let mut hash = Sha256::new();
    hash.update(step.show());
    for source in step.sources.values().filter(|source| matches!(source, Source::Param(_))) {
        hash.update(format!("{source:?}"));
    }
    let call = |call: &crate::ir::training::Call| format!("{} {:?};", call.name, call.attrs.values());
    training.schedule.iter().for_each(|link| hash.update(call(link)));
    training.optimizers.iter().for_each(|group| hash.update(format!("{:?} {}", group.pattern, call(&group.optimizer))));
    hash.update(format!("{} {} {} {:?}", training.batch, training.shuffle, training.drop_last, training.sizes));
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The data of a train section: its own source, or another one.
pub fn load_data(
    training: &Training,
    source: Option<&crate::ir::training::Call>,
    base: &str,
    files: &dyn Files,
) -> Result<Loaded, TrainError> {
    let (inputs, targets) = ports(training);
    let Some(source) = source.or(training.data.as_ref()) else {
        let error =
            DataError::new("data::source", training.model.name.as_str(), "no data: the train section names none");
        return Err(error.help("say `data digits` (or csv, npz, …) in the train section, or give --data FILE").into());
    };
    Ok(crate::data::load(source, training.valid.as_ref(), &inputs, &targets, base, files)?)
}
