//! Stand-in.
use super::call::*;
use std::ops::Range;
unsafe fn none(_: &Call, _: &mut Worker<'_>, _: Range<usize>) {}
/// Stand-in.
pub static SDPA: Kernel = Kernel { name: "none", run: [none, none], units: one_unit, work: no_work, reads: &[(Layout::Any, Access::All)], writes: &[Access::All], inplace: &[] };
/// Stand-in.
pub static SDPA_GRAD: Kernel = Kernel { name: "none", run: [none, none], units: one_unit, work: no_work, reads: &[(Layout::Any, Access::All)], writes: &[Access::All], inplace: &[] };
/// Stand-in.
pub static ROPE: Kernel = Kernel { name: "none", run: [none, none], units: one_unit, work: no_work, reads: &[(Layout::Any, Access::All)], writes: &[Access::All], inplace: &[] };
