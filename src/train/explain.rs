//! What a fault of a run means: the layer and tensor that is not finite, the row whose label is none.

use super::error::TrainError;
use super::feed::Feed;
use super::ports::bound_dims;
use super::trainer::slot_names;
use crate::data::{DataError, Dataset};
use crate::exec::session::{FaultReport, Host, RunError, Session};
use crate::ir::graph::Output;
use crate::ir::training::Training;
use crate::kernels::call::FaultKind;
use crate::pipeline;
use crate::tensor::{DType, Tensor};

/// A step that ended in a fault.
pub(super) struct Scene<'a> {
    /// What is trained.
    pub training: &'a Training,
    /// With the weights before the step.
    pub session: &'a Session,
    /// The rows that it drew from,
    pub set: &'a Dataset,
    /// and those that it drew.
    pub rows: &'a [u32],
    /// The host's numbers.
    pub host: &'a Host,
}

impl Scene<'_> {
    /// The fault in the words of training.
    pub fn explain(&self, error: RunError) -> TrainError {
        let RunError::Fault(FaultReport { kind, path, .. }) = &error else { return error.into() };
        let what = match kind {
            FaultKind::LossNotFinite => self.first_bad().unwrap_or_else(|| "the loss".into()),
            FaultKind::GradientNotFinite => format!("the gradient of {path}"),
            FaultKind::UpdateNotFinite => self.bad_update(path),
            FaultKind::IndexOutOfRange | FaultKind::CastOutOfRange | FaultKind::LengthOutOfRange => {
                return of_rows(self.training, self.set, error);
            }
        };
        let updated = self.host.step > 0 || matches!(kind, FaultKind::UpdateNotFinite);
        TrainError::Diverged { step: self.host.step + 1, what, updated, saved: None }
    }

    /// Names what an update has made: the parameter, or what its optimizer keeps of it.
    fn bad_update(&self, path: &str) -> String {
        let own = |name: &&str| name.split('@').next() == Some(path);
        let names = self.session.places().map(|(name, _)| name).filter(own);
        let bad = names.map(|name| (name, self.session.is_finite(name))).find(|(_, finite)| !finite);
        let slot = bad.and_then(|(name, _)| name.split_once('@')?.1.parse::<usize>().ok());
        match slot.and_then(|slot| slot_names(self.training, path).get(slot).copied()) {
            Some(slot) => format!("{slot} of {path}, which the optimizer keeps,"),
            None => format!("the parameter {path}"),
        }
    }

    /// Names the first tensor that is not finite: the batch once more, with every value looked at.
    fn first_bad(&self) -> Option<String> {
        if let Some(path) = bad_weight(self.session) {
            return Some(format!("the parameter {path}"));
        }
        let mut probe = Session::new(vec![pipeline::probe(self.training, DType::F32)], DType::F32, 1).ok()?;
        for (path, value) in weights(self.session) {
            probe.set(&path, &value).ok()?;
        }
        let known = bound_dims(self.training);
        let feed = Feed::new(&mut probe, 0, self.set, &known, &[self.rows.len()]).ok()?;
        let plan = feed.fill(&mut probe, self.set, self.rows);
        probe.feed_host(plan, self.host);
        probe.execute(0, plan).ok()?;
        let first = probe.outputs(plan).into_iter().find(|(_, tensor)| !finite(tensor))?;
        match first.0 {
            Output::Term(path) if !path.is_empty() => Some(format!("{path}.out, the output of {path},")),
            _ => None,
        }
    }
}

/// Parameters and statistics.
fn weights(session: &Session) -> impl Iterator<Item = (String, Tensor)> {
    let paths = session.places().map(|(name, _)| name).filter(|name| !name.contains('@'));
    paths.filter_map(|path| Some((path.to_string(), session.get(path)?)))
}

/// The first parameter or statistic that is not finite.
pub(super) fn bad_weight(session: &Session) -> Option<String> {
    let paths = session.places().map(|(name, _)| name).filter(|name| !name.contains('@'));
    paths.filter(|path| !session.is_finite(path)).map(String::from).next()
}

/// Whether all elements are finite.
pub(super) fn finite(tensor: &Tensor) -> bool {
    match tensor {
        Tensor::F32(a) => a.iter().all(|x| x.is_finite()),
        Tensor::F64(a) => a.iter().all(|x| x.is_finite()),
        Tensor::I64(_) | Tensor::Bool(_) => true,
    }
}

/// Names the row whose id or label lies outside its table: each row alone, until one gives the fault.
pub(super) fn of_rows(training: &Training, set: &Dataset, error: RunError) -> TrainError {
    use FaultKind::{GradientNotFinite, LengthOutOfRange, LossNotFinite};
    match &error {
        RunError::Fault(FaultReport { kind, .. }) if !matches!(kind, LossNotFinite | GradientNotFinite) => {
            let Some(row) = culprit(training, set) else { return error.into() };
            let help = if *kind == LengthOutOfRange { "lengths count steps, from 0 on" } else { "ids count from 0" };
            DataError::new("data::label", &set.file, error.to_string()).at(set.place(row)).help(help).into()
        }
        _ => error.into(),
    }
}

/// Whether an id fits does not depend on weights: they stay zero here.
fn culprit(training: &Training, set: &Dataset) -> Option<usize> {
    let graph = pipeline::evaluation(training, DType::F32);
    let mut session = Session::new(vec![graph], DType::F32, 1).ok()?;
    let feed = Feed::new(&mut session, 0, set, &bound_dims(training), &[1]).ok()?;
    (0..set.rows).find(|&row| {
        let plan = feed.fill(&mut session, set, &[row as u32]);
        session.feed_host(plan, &Host::default());
        session.execute(0, plan).is_err()
    })
}
