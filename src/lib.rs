//! wythe: a small language for neural networks, and the program that checks, runs and trains them.

#[macro_use]
pub mod kernels;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod diagnostic;
pub mod elaborate;
pub mod embed;
pub mod exec;
pub mod export;
pub mod ir;
pub mod ops;
pub mod optim;
pub mod passes;
pub mod pipeline;
pub mod syntax;
pub mod tensor;
pub mod text;
pub mod train;

pub use embed::{Error, Gradients, Model, Options, PlanId, Reports, Session, TrainOptions, Trainer};
pub use ir::build::Mode;
pub use tensor::{DType, Tensor, View};
pub use text::NoFiles;
