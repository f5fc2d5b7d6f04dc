//! From the rows of a data set straight into the inputs of a plan.

use crate::data::Dataset;
use crate::exec::bind::{self, Binding};
use crate::exec::session::{RunError, Session, Which};
use crate::ir::graph::Graph;
use crate::ir::training::Training;
use crate::pipeline::{self, Unmet};
use crate::tensor::{DType, Tensor};

/// The plans of one graph for every size that the batches of a data set have.
#[derive(Clone, Debug)]
pub struct Feed {
    plans: Vec<Prepared>,
}

/// Checks the facts of the model for each size that the batches of a data set have.
pub fn check_sizes(
    training: &Training,
    graph: &Graph,
    set: &Dataset,
    known: &Binding,
    sizes: &[usize],
) -> Result<(), Unmet> {
    // What does not bind is said where the plans are made.
    let mut bindings = sizes.iter().filter_map(|&rows| binding(graph, set, known, rows).ok());
    bindings.try_for_each(|binding| pipeline::check_sizes(&training.model, &binding))
}

/// A plan for so many rows, and for each of its inputs the column that fills it.
#[derive(Clone, Debug)]
struct Prepared {
    rows: usize,
    plan: usize,
    inputs: Vec<(usize, usize)>,
}

impl Feed {
    /// Makes the plans. `known`: dims that are bound otherwise than by the shapes of columns.
    pub fn new(
        session: &mut Session,
        which: Which,
        set: &Dataset,
        known: &Binding,
        sizes: &[usize],
    ) -> Result<Feed, RunError> {
        let plans = sizes.iter().map(|&rows| prepare(session, which, set, known, rows));
        Ok(Feed { plans: plans.collect::<Result<_, _>>()? })
    }

    /// Copies these rows into the inputs of the plan for so many, and names it.
    pub fn fill(&self, session: &mut Session, set: &Dataset, rows: &[u32]) -> usize {
        let prepared = self.plans.iter().find(|prepared| prepared.rows == rows.len());
        let prepared = prepared.expect("a plan was made for every size of batch");
        for &(input, column) in &prepared.inputs {
            let filled = set.copy_rows(column, rows, session.input_mut(prepared.plan, input));
            assert!(filled, "the plan was made for the columns of this set");
        }
        prepared.plan
    }
}

/// The sizes of a graph's dims for batches of so many rows of a set.
pub(super) fn binding(graph: &Graph, set: &Dataset, known: &Binding, rows: usize) -> Result<Binding, RunError> {
    let wanted = bind::inputs(graph);
    let shaped = |(name, tensor): &(String, Tensor)| {
        let mut shape = tensor.shape().to_vec();
        shape[0] = rows;
        (name.clone(), tensor.dtype(), shape)
    };
    let columns: Vec<(String, DType, Vec<usize>)> = set.columns.iter().map(shaped).collect();
    let given: Vec<bind::Given<'_>> = columns
        .iter()
        .filter(|(name, ..)| wanted.iter().any(|(own, _)| own == name))
        .map(|(name, dtype, shape)| (name.as_str(), *dtype, shape.as_slice()))
        .collect();
    Ok(bind::bind(graph, &given, known)?)
}

fn prepare(
    session: &mut Session,
    which: Which,
    set: &Dataset,
    known: &Binding,
    rows: usize,
) -> Result<Prepared, RunError> {
    let binding = binding(&session.graphs()[which], set, known, rows)?;
    let plan = session.prepare(which, &binding)?;
    let columns = set.columns.iter().enumerate();
    let inputs = columns.filter_map(|(at, (name, _))| Some((session.input(plan, name)?, at))).collect();
    Ok(Prepared { rows, plan, inputs })
}
