//! One run between two steps: weights, optimizer state, the order of rows, the clock of the schedules.

use super::checkpoint::{self, Program, Snapshot};
use super::error::TrainError;
use super::evaluate::Evaluation;
use super::explain::{Scene, bad_weight, finite};
use super::feed::{Feed, check_sizes};
use super::fit::Options;
use super::metrics::{Real, Row};
use super::ports::{bound_dims, one_value_a_statistic};
use super::weights::load_weights;
use crate::data::{Batches, DataError, Loaded, near_or_all};
use crate::exec::session::{Host, RunError, Session};
use crate::ir::graph::{Graph, Output, Source, show_attrs};
use crate::ir::op::Role;
use crate::ir::params::matches;
use crate::ir::training::{Call, Group, Length, Training};
use crate::kernels::guard::CHECKED;
use crate::optim::{HYPERS, Plateau, Schedule, find_optimizer};
use crate::passes::plan::{PlanError, slot_name};
use crate::passes::update::group_of;
use crate::pipeline::{self, Stage};
use crate::tensor::{DType, Tensor};
use crate::text::Files;
use indexmap::IndexSet;
use sha2::{Digest, Sha256};

/// A training run, step by step.
pub struct Trainer<'a> {
    pub(super) training: &'a Training,
    pub(super) data: Loaded,
    session: Session,
    pub(super) batches: Batches,
    feed: Feed,
    /// Of the held-out rows, if there are any.
    held_out: Option<Evaluation>,
    schedules: Vec<Schedule>,
    plateau: Option<Plateau>,
    host: Host,
    /// The paths of the running statistics.
    statistics: Vec<String>,
    /// The norms of gradients that are watched.
    watched: Vec<Output>,
    /// The loss's named parts.
    terms: Vec<Output>,
    pub(super) row: Row,
    pub(super) step: u64,
    pub(super) total: u64,
    program: String,
    fingerprint: String,
    /// The lowest validation loss so far, and after which step.
    pub(super) best: Option<(f64, u64)>,
    pub(super) last_loss: Option<f64>,
    /// What is logged of the last step, where its evaluation was interrupted: it is made up for when the run goes on.
    pub(super) pending: Option<String>,
}

/// The training graph, and the graph that evaluates, in a trainer's session.
const STEP: usize = 0;
const EVALUATE: usize = 1;

impl<'a> Trainer<'a> {
    /// Compiles, makes all plans, then loads or draws the weights.
    pub fn new(
        training: &'a Training,
        data: Loaded,
        options: &Options,
        files: &dyn Files,
    ) -> Result<Trainer<'a>, TrainError> {
        let seed = options.seed.unwrap_or(training.seed);
        let batches =
            Batches::new(data.train.rows, training.batch as usize, training.shuffle, training.drop_last, seed);
        let step = pipeline::step(training, DType::F32, Stage::Fused);
        check_sizes(training, &step, &data.train, &bound_dims(training), &batches.sizes())?;
        check_batches(training, &step, &data, &batches)?;
        check_patterns(training, &step)?;
        let (program, fingerprint) = (program_hash(training, &step), data.train.fingerprint());
        let kept = step.params.iter().filter(|param| param.role == Role::State && param.ty.dtype.is_float());
        let statistics = kept.map(|param| param.path.clone()).collect();
        let mut graphs = vec![step];
        graphs.extend(data.valid.is_some().then(|| pipeline::evaluation(training, DType::F32)));
        // A checkpoint is a copy of everything, and then the bytes of a file.
        let copies = |bytes: u64| if options.out.is_some() { 2 * bytes } else { 0 };
        let mut session = Session::within(options.memory, graphs, DType::F32, options.threads.max(1), copies)?;
        let feed =
            Feed::new(&mut session, STEP, &data.train, &bound_dims(training), &batches.sizes()).map_err(unbound)?;
        let held_out = data.valid.as_ref().map(|set| Evaluation::new(&mut session, EVALUATE, training, set));
        let held_out = held_out.transpose().map_err(unbound)?;
        let schedules = schedules(training, batches.per_epoch());
        let plateau = Plateau::new(&training.schedule, batches.per_epoch());
        let total = total_steps(training, options, &batches, &schedules);
        let host = Host { seed, step: 0, hypers: vec![vec![0.0; HYPERS]; schedules.len()] };
        let names = || training.loss.terms.iter().map(|(name, _)| name.clone());
        let terms = names().map(Output::Term).collect();
        let watched = training.watch.iter().map(|pattern| Output::GradNormOf(pattern.clone())).collect();
        let row = Row {
            terms: names().map(|name| (name, Real::default())).collect(),
            grad_norms: training.watch.iter().map(|pattern| (pattern.clone(), Real::default())).collect(),
            ..Row::default()
        };
        let (step, best, last_loss) = (0, None, None);
        let mut trainer = Trainer {
            training,
            data,
            session,
            batches,
            feed,
            held_out,
            schedules,
            plateau,
            host,
            statistics,
            watched,
            terms,
            row,
            step,
            total,
            program,
            fingerprint,
            best,
            last_loss,
            pending: None,
        };
        trainer.session.init(seed);
        if let Some(weights) = options.weights.clone() {
            let file = weights.file.clone();
            load_weights(&mut trainer.session, STEP, weights)?;
            if let Some(path) = bad_weight(&trainer.session) {
                let error =
                    DataError::new("weights::value", file, format!("`{path}` holds a value that is not finite"));
                return Err(error.help("a run that diverged may have left it: begin from other weights").into());
            }
        }
        if let (true, Some(out)) = (options.resume, &options.out) {
            trainer.resume(out, options.seed, files)?;
        }
        Ok(trainer)
    }

    /// The session: its parameters are the run's.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// How many rows it learns from, and how many are held out.
    pub fn rows(&self) -> (u64, u64) {
        (self.data.train.rows as u64, self.data.valid.as_ref().map_or(0, |set| set.rows as u64))
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The steps of the whole run.
    pub fn total(&self) -> u64 {
        self.total
    }

    fn resume(&mut self, out: &str, asked: Option<u64>, files: &dyn Files) -> Result<(), TrainError> {
        let folder = checkpoint::last(out);
        let Some(snapshot) = checkpoint::resume(files, &folder, &self.program(), &self.fingerprint)? else {
            return Ok(());
        };
        if let Some(asked) = asked.filter(|&asked| asked != snapshot.seed) {
            return Err(TrainError::Seed { out: out.into(), begun: snapshot.seed, asked });
        }
        self.restore(&checkpoint::resume_path(&folder), &snapshot)?;
        self.step = snapshot.step;
        self.host.seed = snapshot.seed;
        self.best = snapshot.best;
        if let (Some(plateau), Some(word)) = (&mut self.plateau, &snapshot.plateau) {
            plateau.resume(word);
        }
        self.last_loss = snapshot.loss;
        self.pending = snapshot.pending;
        let t = self.training;
        self.batches = Batches::new(self.data.train.rows, t.batch as usize, t.shuffle, t.drop_last, snapshot.seed);
        Ok(())
    }

    /// Takes every number of a state: one that lacks some, or has others, is refused.
    fn restore(&mut self, file: &str, snapshot: &Snapshot) -> Result<(), TrainError> {
        let refuse = |reason: String| DataError::new("train::resume", file, reason).help(checkpoint::ANOTHER);
        let place = |path: &str, slot: &str| {
            let index = slot_names(self.training, path).iter().position(|name| *name == slot);
            index.map_or_else(|| format!("{path}@{slot}"), |index| slot_name(path, index as u32))
        };
        let slots = snapshot.slots.iter().map(|(path, slot, tensor)| (place(path, slot), tensor));
        let all: Vec<(String, &Tensor)> =
            snapshot.weights.iter().map(|(path, tensor)| (path.clone(), tensor)).chain(slots).collect();
        let mut left: IndexSet<String> = self.session.places().map(|(name, _)| name.to_string()).collect();
        for (name, tensor) in all {
            if !left.shift_remove(&name) {
                return Err(refuse(format!("holds `{name}`, which this run has not, or twice")).into());
            }
            if !finite(tensor) {
                return Err(refuse(format!("`{name}` holds a value that is not finite")).into());
            }
            self.session.set(&name, tensor).map_err(|error| refuse(error.to_string()))?;
        }
        match left.first() {
            Some(name) => Err(refuse(format!("lacks `{name}`, which this run goes on with")).into()),
            None => Ok(()),
        }
    }

    fn program(&self) -> Program {
        Program { hash: self.program.clone(), settings: settings(self.training) }
    }

    /// The learning rates and other numbers of the host for the step that comes.
    fn set_host(&mut self) {
        self.host.step = self.step;
        let mut drops = 0;
        if let Some(plateau) = &mut self.plateau {
            plateau.look(self.step, self.held_out.is_some());
            drops = plateau.drops();
        }
        let groups = self.training.optimizers.iter().zip(&self.schedules);
        for ((group, schedule), hyper) in groups.zip(&mut self.host.hypers) {
            hyper[0] = schedule.rate_after(self.step, drops);
            hyper[1] = (self.step + 1) as f64;
            hyper[2] = 1.0;
            if let Some(def) = find_optimizer(&group.optimizer.name) {
                (def.host)(&group.optimizer.attrs, hyper);
            }
        }
    }

    /// One step; what is to be logged of it. Nothing is allocated.
    pub fn advance(&mut self) -> Result<&Row, TrainError> {
        self.set_host();
        let (set, rows) = (&self.data.train, self.batches.rows(self.step));
        let plan = self.feed.fill(&mut self.session, set, rows);
        self.session.feed_host(plan, &self.host);
        if let Err(error) = self.session.execute(STEP, plan) {
            let scene = Scene { training: self.training, session: &self.session, set, rows, host: &self.host };
            return Err(scene.explain(error));
        }
        if CHECKED && let Some(path) = self.statistics.iter().find(|path| !self.session.is_finite(path)) {
            let (what, updated) = (format!("the running statistic {path}"), self.step > 0);
            return Err(TrainError::Diverged { step: self.step + 1, what, updated, saved: None });
        }
        let number = |output: &Output| self.session.scalar(plan, output);
        let loss = number(&Output::Loss).unwrap_or(f64::NAN);
        let row = &mut self.row;
        row.grad_norm = number(&Output::GradNorm).map(Real::Double);
        for ((_, value), output) in row.grad_norms.iter_mut().zip(&self.watched) {
            *value = Real::Double(number(output).unwrap_or(f64::NAN));
        }
        for ((_, value), output) in row.terms.iter_mut().zip(&self.terms) {
            *value = Real::Single(number(output).unwrap_or(f64::NAN) as f32);
        }
        self.step += 1;
        if let Some(plateau) = &mut self.plateau {
            plateau.step(loss);
        }
        row.step = self.step;
        row.loss = Real::Single(loss as f32);
        row.lr = self.host.hypers.first().map_or(0.0, |hyper| hyper[0]);
        row.valid.clear();
        self.last_loss = Some(loss);
        Ok(row)
    }

    /// Loss and metrics on the held-out rows, weighed by rows; nothing where none are held out.
    pub fn evaluate(&mut self) -> Result<Vec<(String, f64)>, TrainError> {
        Ok(self.evaluate_unless(&|| false)?.unwrap_or_default())
    }

    /// The same; none where `stop` said so on the way, and then nothing has changed.
    pub(super) fn evaluate_unless(
        &mut self,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<(String, f64)>>, TrainError> {
        let (Some(evaluation), Some(set)) = (&self.held_out, &self.data.valid) else { return Ok(Some(vec![])) };
        let found = evaluation.run(&mut self.session, set, &self.host, stop);
        let found = found.map_err(|error| super::explain::of_rows(self.training, set, error))?;
        let Some(found) = found else { return Ok(None) };
        let loss = found.iter().find(|(name, _)| name == "loss");
        if let (Some(plateau), Some((_, loss))) = (&mut self.plateau, loss) {
            plateau.evaluated(*loss);
        }
        Ok(Some(found))
    }

    /// Everything that a run is, between two steps; refused where a number in it is not finite.
    pub fn snapshot(&self) -> Result<Snapshot, TrainError> {
        let (mut weights, mut slots) = (vec![], vec![]);
        for (name, _) in self.session.places() {
            let Some(value) = self.session.get(name) else { continue };
            let (path, slot) = name.rsplit_once('@').map_or((name, None), |(path, slot)| (path, Some(slot)));
            let slot = slot.map(|slot| self.slot_name(path, slot));
            if !finite(&value) {
                let what = match slot {
                    Some(slot) => format!("{slot} of {path}, which the optimizer keeps,"),
                    None => format!("the parameter {path}"),
                };
                return Err(TrainError::Diverged { step: self.step, what, updated: true, saved: None });
            }
            match slot {
                Some(slot) => slots.push((path.to_string(), slot.to_string(), value)),
                None => weights.push((path.to_string(), value)),
            }
        }
        Ok(Snapshot {
            step: self.step,
            seed: self.host.seed,
            loss: self.last_loss,
            best: self.best,
            plateau: self.plateau.as_ref().map(Plateau::word),
            program: self.program(),
            pending: self.pending.clone(),
            data: self.fingerprint.clone(),
            vocabulary: self.data.train.vocabulary.clone(),
            weights,
            slots,
        })
    }

    fn slot_name(&self, path: &str, slot: &str) -> &'static str {
        let index = slot.parse::<usize>().ok();
        index.and_then(|index| slot_names(self.training, path).get(index).copied()).unwrap_or_default()
    }
}

/// What the optimizer of a parameter keeps of it, by name.
pub(super) fn slot_names(training: &Training, path: &str) -> Vec<&'static str> {
    let group = group_of(&training.optimizers, path);
    let call = group.map(|group| &training.optimizers[group].optimizer);
    call.and_then(|call| Some((find_optimizer(&call.name)?.slots)(&call.attrs))).unwrap_or_default()
}

/// The dim that no shape and no setting binds, in the words of a train section.
fn unbound(error: RunError) -> TrainError {
    match error {
        RunError::Plan(PlanError::Unbound(dim)) => TrainError::Size(dim),
        other => other.into(),
    }
}

/// A batch of one row may have no statistics: it depends on the axes beside the batch.
fn check_batches(training: &Training, step: &Graph, data: &Loaded, batches: &Batches) -> Result<(), TrainError> {
    if !batches.sizes().contains(&1) {
        return Ok(());
    }
    let bound = super::feed::binding(step, &data.train, &bound_dims(training), 1).map_err(unbound)?;
    let Some(path) = one_value_a_statistic(&training.model, &bound) else { return Ok(()) };
    let way_out = match (data.train.rows, training.batch) {
        (1, _) => "the data have one row only: give more",
        (_, 1) => "a larger `batch`: 1 leaves nothing to compare with",
        _ => "it is the last of each epoch: say `drop_last true`, or choose another `batch`",
    };
    Err(TrainError::OneRow { path, way_out })
}

/// A pattern that fits nothing does nothing, and would not be noticed.
fn check_patterns(training: &Training, step: &Graph) -> Result<(), TrainError> {
    let learned = step.params.iter().filter(|param| param.role != Role::State);
    let paths: Vec<&str> = learned.map(|param| param.path.as_str()).collect();
    let optimizers = training.optimizers.iter().filter_map(|group| Some(("optimizer", group.pattern.as_ref()?)));
    let watched = training.watch.iter().map(|pattern| ("watch", pattern));
    let frozen = training.freeze.iter().map(|pattern| ("freeze", pattern));
    for (setting, pattern) in frozen.chain(watched).chain(optimizers) {
        if !paths.iter().any(|path| matches(pattern, path)) {
            let near = near_or_all(pattern, &paths);
            return Err(TrainError::Pattern { setting, pattern: pattern.clone(), near });
        }
    }
    let frozen = |path: &&str| training.freeze.iter().any(|pattern| matches(pattern, path));
    if !paths.is_empty() && paths.iter().all(frozen) {
        return Err(TrainError::Frozen);
    }
    let still = |pattern: &&String| paths.iter().filter(|path| matches(pattern, path)).all(frozen);
    match training.watch.iter().find(still) {
        Some(pattern) => Err(TrainError::Still(pattern.clone())),
        None => Ok(()),
    }
}

/// A schedule for each optimizer group, over its base rate.
fn schedules(training: &Training, epoch: u64) -> Vec<Schedule> {
    let base = |group: &Group| group.optimizer.attrs.float("lr").unwrap_or(1e-3);
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

/// What the hash below is made of, as a user reads it: which setting differs is said when a run cannot go on.
fn settings(training: &Training) -> Vec<(String, String)> {
    let shapes = &training.model.shapes;
    let call = |call: &Call| format!("{}{}", call.name, show_attrs(&call.attrs, shapes));
    let calls = |calls: &[Call]| calls.iter().map(call).collect::<Vec<_>>().join(" |> ");
    let mut all: Vec<(String, String)> = training.model.hypers.clone();
    for group in &training.optimizers {
        let pattern = group.pattern.as_ref().map(|pattern| format!(" {pattern:?}")).unwrap_or_default();
        all.push((format!("optimizer{pattern}"), call(&group.optimizer)));
    }
    all.push(("schedule".into(), calls(&training.schedule)));
    all.push(("batch".into(), training.batch.to_string()));
    all.extend(
        training.sizes.iter().filter(|(name, _)| name != "batch").map(|(name, n)| (name.clone(), n.to_string())),
    );
    all.push(("loss".into(), training.loss.label.clone()));
    all.push(("clip".into(), training.clip.map_or("none".into(), |clip| format!("{clip:?}").to_lowercase())));
    all.push(("freeze".into(), training.freeze.join(", ")));
    all.push(("watch".into(), training.watch.join(", ")));
    all.push(("shuffle".into(), training.shuffle.to_string()));
    all.push(("drop_last".into(), training.drop_last.to_string()));
    all
}

/// The hash of everything that decides a run's bits but data, seed and length.
fn program_hash(training: &Training, step: &Graph) -> String {
    let mut hash = Sha256::new();
    hash.update(step.show());
    // What is shown leaves defaults out, and a default may become another one.
    step.ids().for_each(|id| hash.update(format!("{:?}", step.attrs(id).values())));
    for source in step.sources.values().filter(|source| matches!(source, Source::Param(_))) {
        hash.update(format!("{source:?}"));
    }
    let call = |call: &Call| format!("{} {:?};", call.name, call.attrs.values());
    training.schedule.iter().for_each(|link| hash.update(call(link)));
    training.optimizers.iter().for_each(|group| hash.update(format!("{:?} {}", group.pattern, call(&group.optimizer))));
    hash.update(format!("{} {} {} {:?}", training.batch, training.shuffle, training.drop_last, training.sizes));
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
