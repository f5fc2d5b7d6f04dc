//! Training: the loop, what a model wants of its data, and what is kept of a run.

pub mod checkpoint;
pub mod fit;
pub mod metrics;
pub mod ports;
