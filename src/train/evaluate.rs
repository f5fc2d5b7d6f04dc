//! Loss and metrics in eval mode, over all rows of a set.

use super::error::TrainError;
use super::explain::of_rows;
use super::feed::{Feed, check_sizes};
use super::ports::bound_dims;
use super::weights::load_weights;
use crate::data::{Batches, Dataset, Loaded};
use crate::exec::session::{Host, RunError, Session, Which};
use crate::export::weights::Weights;
use crate::ir::graph::Output;
use crate::ir::training::Training;
use crate::pipeline;
use crate::tensor::DType;

/// The evaluating graph of a session, planned for a set.
#[derive(Clone, Debug)]
pub struct Evaluation {
    which: Which,
    feed: Feed,
    batch: usize,
    /// What is measured: the loss, then the metrics.
    results: Vec<(String, Output)>,
}

impl Evaluation {
    /// Makes the plans for the batches of this set.
    pub fn new(session: &mut Session, which: Which, training: &Training, set: &Dataset) -> Result<Self, RunError> {
        let batch = training.batch as usize;
        let sizes = in_order(set, batch).sizes();
        let feed = Feed::new(session, which, set, &bound_dims(training), &sizes)?;
        let named = |output: &Output| match output {
            Output::Loss => Some(("loss".to_string(), output.clone())),
            Output::Metric(name) => Some((name.clone(), output.clone())),
            _ => None,
        };
        let results = session.graphs()[which].outputs.iter().filter_map(|(output, _)| named(output)).collect();
        Ok(Evaluation { which, feed, batch, results })
    }

    /// The loss and the metrics: the mean over batches, each weighed by its rows. None where `stop` said so on the way.
    pub fn run(
        &self,
        session: &mut Session,
        set: &Dataset,
        host: &Host,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<(String, f64)>>, RunError> {
        let mut sums: Vec<(String, f64)> = self.results.iter().map(|(name, _)| (name.clone(), 0.0)).collect();
        let mut batches = in_order(set, self.batch);
        for step in 0..batches.per_epoch() {
            if stop() {
                return Ok(None);
            }
            let rows = batches.rows(step);
            let plan = self.feed.fill(session, set, rows);
            session.feed_host(plan, host);
            session.execute(self.which, plan)?;
            for ((_, sum), (_, output)) in sums.iter_mut().zip(&self.results) {
                *sum += session.scalar(plan, output).unwrap_or(f64::NAN) * rows.len() as f64;
            }
        }
        sums.iter_mut().for_each(|(_, sum)| *sum /= set.rows as f64);
        Ok(Some(sums))
    }
}

/// All rows in the order of the set.
fn in_order(set: &Dataset, batch: usize) -> Batches {
    Batches::new(set.rows, batch, false, false, 0)
}

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// How many rows were looked at.
    pub rows: usize,
    /// The loss, then the metrics.
    pub results: Vec<(String, f64)>,
    /// What was converted on the way.
    pub notes: Vec<String>,
}

/// Evaluates weights on the rows that are held out, or on all where none are.
///
/// No training step is built, and no optimizer state is made. `memory`: how many bytes there may be.
pub fn evaluate(
    training: &Training,
    data: &Loaded,
    weights: Weights,
    threads: usize,
    memory: Option<u64>,
) -> Result<Evaluated, TrainError> {
    let set = data.valid.as_ref().unwrap_or(&data.train);
    let graph = pipeline::evaluation(training, DType::F32);
    check_sizes(training, &graph, set, &bound_dims(training), &in_order(set, training.batch as usize).sizes())?;
    let mut session = Session::within(memory, vec![graph], DType::F32, threads, |_| 0)?;
    let evaluation = Evaluation::new(&mut session, 0, training, set)?;
    let notes = load_weights(&mut session, 0, weights)?;
    let host = Host { seed: training.seed, step: 0, hypers: vec![] };
    let results = evaluation.run(&mut session, set, &host, &|| false);
    let results = results.map_err(|error| of_rows(training, set, error))?.unwrap_or_default();
    Ok(Evaluated { rows: set.rows, results, notes })
}
