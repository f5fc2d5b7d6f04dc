//! Optimizers and schedules: the same catalogue pattern as operators.

mod optimizers;
mod schedules;

use crate::ir::attr::{AttrDef, Attrs};
use crate::ir::op::OpDef;

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
    /// The update as an operator: operands (p, g, three slots or fewer, hyper), outputs (p, three slots, partial sums of
    /// squares of g). Its attributes are the optimizer's.
    pub op: &'static OpDef,
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
