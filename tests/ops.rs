//! The laws: every entry of the catalogue is tested because it exists.
//!
//! `vectors` compares with references that PyTorch computed. `laws` holds what must be true of any operator, on the uses
//! that `samples` makes from the schemas; `matrix` tries and shows it. `expansions` compares kernels with the same thing
//! written out, `examples` runs what the documentation shows, `derivatives` computes the formulas that it gives.

#[path = "ops/derivatives.rs"]
mod derivatives;
#[path = "ops/examples.rs"]
mod examples;
#[path = "ops/expansions.rs"]
mod expansions;
#[path = "ops/formula.rs"]
mod formula;
#[path = "ops/initialisers.rs"]
mod initialisers;
#[path = "ops/laws.rs"]
mod laws;
#[path = "ops/matrix.rs"]
mod matrix;
#[path = "ops/model.rs"]
mod model;
#[path = "ops/poison.rs"]
mod poison;
#[path = "ops/random.rs"]
mod random;
#[path = "ops/samples.rs"]
mod samples;
#[path = "ops/trial.rs"]
mod trial;
#[path = "ops/vectors.rs"]
mod vectors;
