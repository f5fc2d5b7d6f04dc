//! Training: the loop, what a model wants of its data, and what is kept of a run.

pub mod checkpoint;
pub mod error;
pub mod evaluate;
mod explain;
mod feed;
pub mod fit;
pub mod generate;
pub mod gradcheck;
pub mod history;
pub mod metrics;
pub mod ports;
mod trainer;
pub mod weights;
