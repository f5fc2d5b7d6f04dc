//! wythe: a small language for neural networks, and the program that checks, runs and trains them.

pub mod diagnostic;
pub mod syntax;
pub mod text;
