//! The laws: every entry of the catalogue is tested because it exists.
//!
//! `vectors` compares with references that PyTorch computed.

#[path = "ops/model.rs"]
mod model;
#[path = "ops/vectors.rs"]
mod vectors;
