//! The guard between loss and gradients.

use super::call::{Access, Call, FaultKind, Kernel, Layout, Worker, no_work, one_unit};
use super::float::Float;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Whether numbers are looked at for being finite: always, but in a build that measures what looking costs
/// (`RUSTFLAGS="--cfg wythe_unchecked"`, see `benches/checks.sh`).
pub const CHECKED: bool = !cfg!(wythe_unchecked);

/// (loss []) → the same. If it is not finite the run stops here, before anything is changed.
pub static GUARD: Kernel = Kernel {
    name: "guard",
    run: [guard::<f32>, guard::<f64>],
    units: one_unit,
    work: no_work,
    reads: &[(Layout::Dense, Access::All)],
    writes: &[Access::All],
    inplace: &[(0, 0)],
};

unsafe fn guard<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    if range.is_empty() {
        return;
    }
    // SAFETY: both are live scalars, and this is the only unit.
    let loss = unsafe {
        let loss = call.input(0).scalar::<T>();
        *call.output(0).as_ptr::<T>() = loss;
        loss
    };
    if CHECKED && !loss.finite() {
        worker.report(FaultKind::LossNotFinite);
        worker.fault.stop.store(true, Ordering::Release);
    }
}
