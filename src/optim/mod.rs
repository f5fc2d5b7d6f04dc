//! Optimizers and schedules: the same catalogue pattern as operators.

mod more;
mod optimizers;
mod plateau;
mod schedules;

use crate::ir::attr::{AttrDef, Attrs};
use crate::ir::op::OpDef;

pub use optimizers::OPTIMIZERS;
pub use plateau::Plateau;
pub use schedules::{SCHEDULES, Schedule};

/// How many host scalars an optimizer's update reads: learning rate, step (from 1), gradient scale, limit of each
/// gradient, and four that an optimizer's own `host` function says.
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
    /// Whether the attributes fit together: else which does not, and what it must be.
    pub sound: fn(&Attrs) -> Result<(), (&'static str, &'static str)>,
    /// Fills in the host's numbers from the fifth on, for the update whose number stands in the second.
    ///
    /// What it wrote for the update before is still there: a product goes on, and after a resume is made anew.
    pub host: fn(&Attrs, &mut [f64]),
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
