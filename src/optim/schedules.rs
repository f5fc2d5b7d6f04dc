//! The schedules, all as a closed form of the step.

use super::ScheduleDef;

/// All of them.
pub static SCHEDULES: &[&ScheduleDef] = &[];
