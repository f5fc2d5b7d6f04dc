//! Numbers only: views in, views out. No node, no span, no shape rule, no allocation.
//!
//! A kernel is told which *units* of its output to compute, and computes each of them whole, in an order of sums that
//! is part of its definition: the bits depend neither on how units are cut among threads nor on the vector width.

#[macro_use]
pub mod simd;

pub mod attention;
pub mod axes;
pub mod batchnorm;
pub mod call;
pub mod conv;
pub mod copy;
pub mod count;
pub mod ctc;
pub mod float;
pub mod gather;
pub mod gemm;
pub mod guard;
pub mod lanes;
pub mod loss;
pub mod map;
pub mod math;
pub mod norm;
pub mod pool;
pub mod random;
pub mod recurrent;
pub mod reduce;
pub mod resample;
mod rope;
pub mod scan;
pub mod softmax;
mod spatial;
pub mod take;
mod tile;
pub mod update;

#[cfg(test)]
mod twin;
