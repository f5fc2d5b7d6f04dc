//! The optimizers; their updates are kernels (`kernels::update`).

use super::OptimizerDef;

/// All of them.
pub static OPTIMIZERS: &[&OptimizerDef] = &[];
