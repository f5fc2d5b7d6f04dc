//! Weights into a session.

use super::error::TrainError;
use crate::exec::session::{Session, Which};
use crate::export::weights::{Expected, Weights, match_weights};
use crate::ir::graph::{Graph, Param};

/// The parameters and statistics that a graph's session needs.
pub fn expected(graph: &Graph) -> Vec<Expected> {
    let one = |param: &Param| Expected { path: param.path.clone(), dtype: param.ty.dtype, shape: param.shape.clone() };
    graph.params.iter().map(one).collect()
}

/// Loads weights into a session: all that the graph has, and nothing else; notes of what was converted.
pub fn load_weights(session: &mut Session, which: Which, weights: Weights) -> Result<Vec<String>, TrainError> {
    let expected = expected(&session.graphs()[which]);
    let (tensors, notes) = match_weights(&expected, weights)?;
    for (want, tensor) in expected.iter().zip(&tensors) {
        session.set(&want.path, tensor)?;
    }
    Ok(notes)
}
