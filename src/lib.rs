//! wythe: a small language for neural networks, and the program that checks, runs and trains them.

#[macro_use]
pub mod kernels;
pub mod diagnostic;
pub mod syntax;
pub mod tensor;
pub mod text;
