//! Numbers only: views in, views out. No node, no span, no shape rule, no allocation.
//!
//! A kernel is told which *units* of its output to compute, and computes each of them whole, in an order of sums that
//! is part of its definition: the bits depend neither on how units are cut among threads nor on the vector width.

pub mod axes;
pub mod call;
pub mod copy;
pub mod float;
pub mod gather;
pub mod lanes;
pub mod loss;
pub mod map;
pub mod norm;
pub mod reduce;
#[macro_use]
pub mod simd;
pub mod softmax;
#[cfg(test)]
mod twin;
pub mod update;
