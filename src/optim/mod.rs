//! Optimizers and schedules: the same catalogue pattern as operators.

mod optimizers;
mod schedules;

use crate::ir::attr::{AttrDef, Attrs};
use crate::kernels::call::{Args, Kernel};

pub use optimizers::OPTIMIZERS;
pub use schedules::{SCHEDULES, Schedule};

/// How many host scalars an optimizer's update reads: learning rate, step (from 1), gradient scale, and room for more.
pub const HYPERS: usize = 8;

/// An optimizer.
pub struct OptimizerDef {
    /// The word in a train section.
    pub name: &'static str,
    /// The manual.
    pub doc: &'static str,
    /// The update as a formula.
    pub formula: &'static str,
    /// Its attributes; torch's defaults.
    pub attrs: &'static [AttrDef],
    /// The names of its state tensors, each of the parameter's shape (torch's: `exp_avg`).
    pub slots: fn(&Attrs) -> Vec<&'static str>,
    /// The update kernel: operands (p, g, slots…, hyper), outputs (p, slots…, sum of squares a row).
    pub kernel: &'static Kernel,
    /// Its numbers; the flag says whether weight decay acts on this parameter.
    pub args: fn(&Attrs, bool) -> Args,
}

/// A learning-rate schedule.
pub struct ScheduleDef {
    /// The word in a train section.
    pub name: &'static str,
    /// The manual.
    pub doc: &'static str,
    /// The rate as a formula.
    pub formula: &'static str,
    /// Its attributes.
    pub attrs: &'static [AttrDef],
    /// How many steps it lasts; none: for ever.
    pub length: fn(&Attrs) -> Option<u64>,
    /// The rate at its own step t, from the base rate.
    pub rate: fn(&Attrs, f64, u64) -> f64,
}

/// The optimizer of a name.
pub fn find_optimizer(name: &str) -> Option<&'static OptimizerDef> {
    OPTIMIZERS.iter().copied().find(|def| def.name == name)
}

/// The schedule of a name.
pub fn find_schedule(name: &str) -> Option<&'static ScheduleDef> {
    SCHEDULES.iter().copied().find(|def| def.name == name)
}
