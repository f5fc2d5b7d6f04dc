//! Counting in integers.

use super::call::{Access, Call, Kernel, Layout, Worker, no_work, one_unit};
use std::ops::Range;

/// (n i64[]) → n + 1.
pub static COUNT_UP: Kernel = Kernel {
    name: "count_up",
    run: [count_up, count_up],
    units: one_unit,
    work: no_work,
    reads: &[(Layout::Dense, Access::All)],
    writes: &[Access::All],
    inplace: &[(0, 0)],
};

unsafe fn count_up(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    if range.is_empty() {
        return;
    }
    // SAFETY: both are live i64 scalars, and this is the only unit.
    unsafe { *call.output(0).as_ptr::<i64>() = call.input(0).scalar::<i64>() + 1 }
}
