//! Training, from the outside: what is kept of a run.

pub mod checkpoint;
pub mod metrics;
