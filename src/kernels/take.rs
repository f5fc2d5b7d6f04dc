//! Elements by number along an axis, and what flows back to them.

use super::call::{Access, Call, FaultKind, Kernel, Layout, View, Worker, no_work, output_rows};
use super::float::Float;
use super::gather::within;
use std::ops::Range;

/// `y[.., i, ..] = x[.., index[.., i, ..], ..]` along an axis.
///
/// Operands: x, any strides and elements; index i64, any strides, of the same rank, its other sizes not larger. Output: y
/// of the shape of index; a unit is a row. ints: the axis. A number outside of the axis is a fault (`IndexOutOfRange`)
/// and gives 0.
pub static TAKE: Kernel = Kernel {
    name: "take",
    run: [take, take],
    units: output_rows,
    work: no_work,
    reads: &[(Layout::Any, Access::All), (Layout::Any, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn take(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    // SAFETY: promised by the caller.
    unsafe {
        match call.output(0).dtype.size() {
            1 => take_rows::<u8>(call, worker, range),
            4 => take_rows::<u32>(call, worker, range),
            _ => take_rows::<u64>(call, worker, range),
        }
    }
}

/// The offsets of a row: in a view whose index on `axis` counts as 0, and in another of the same rank.
fn offsets(mut row: usize, sizes: &View, axis: usize, a: &View, b: &View) -> (isize, isize) {
    let (mut in_a, mut in_b) = (0, 0);
    for at in (0..sizes.rank() - 1).rev() {
        let i = (row % sizes.dim(at)) as isize;
        row /= sizes.dim(at);
        in_a += if at == axis { 0 } else { i * a.stride(at) };
        in_b += i * b.stride(at);
    }
    (in_a, in_b)
}

/// # Safety
/// As `Kernel::run`, with elements of the size of E.
unsafe fn take_rows<E: Copy + Default>(call: &Call, worker: &Worker<'_>, range: Range<usize>) {
    let (x, index, y) = (call.input(0), call.input(1), call.output(0));
    let (axis, last, n) = (call.args.ints[0] as usize, y.rank() - 1, y.last());
    let column = if axis == last { 0 } else { x.stride(last) };
    for r in range {
        let (from, ids) = offsets(r, y, axis, x, index);
        let (from, ids) = (x.as_ptr::<E>().wrapping_offset(from), index.as_ptr::<i64>().wrapping_offset(ids));
        let to = y.as_ptr::<E>().wrapping_add(r * n);
        // One number for the whole row: rows that lie together are copied.
        let whole = axis != last && index.stride(last) == 0 && column == 1;
        for j in 0..if whole { n.min(1) } else { n } {
            // SAFETY: an element of index, of x if it is inside, and of y, whose row is this range's.
            unsafe {
                let id = within(*ids.offset(j as isize * index.stride(last)), x.dim(axis));
                let at = id.map(|id| from.wrapping_offset(id as isize * x.stride(axis) + j as isize * column));
                match at {
                    Some(at) if whole => std::ptr::copy_nonoverlapping(at, to, n),
                    Some(at) => *to.add(j) = *at,
                    None => {
                        worker.report(FaultKind::IndexOutOfRange);
                        std::slice::from_raw_parts_mut(to.add(j), if whole { n } else { 1 }).fill(E::default());
                    }
                }
            }
        }
    }
}

/// The gradient of `TAKE` in x: what was taken several times gets the sum.
///
/// Operands: index i64, dy, both of one shape, any strides. Output: dx; a unit is a row of it. ints: the axis. An element
/// is a chain from 0 over all of dy in row-major order. Numbers outside of the axis are passed over.
pub static TAKE_GRAD: Kernel = Kernel {
    name: "take_grad",
    run: [give::<f32>, give::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[(Layout::Any, Access::All), (Layout::Any, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn give<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let (index, dy, dx) = (call.input(0), call.input(1), call.output(0));
    let (axis, last, n) = (call.args.ints[0] as usize, dx.rank() - 1, dx.last());
    // SAFETY: these rows are this range's, as the caller promises.
    unsafe { dx.slice_mut::<T>(range.start * n, range.len() * n) }.fill(T::ZERO);
    // From one index of the axis to the next, in rows.
    let step: usize = (axis + 1..last).map(|at| dx.dim(at)).product();
    for q in 0..index.rows() {
        let (mut rest, mut row, mut rows) = (q, 0, 1);
        for at in (0..last).rev() {
            row += if at == axis { 0 } else { rest % index.dim(at) * rows };
            rest /= index.dim(at);
            rows *= dx.dim(at);
        }
        if axis == last && !range.contains(&row) {
            continue;
        }
        let (from, ids) = offsets(q, index, usize::MAX, dy, index);
        for j in 0..index.last() {
            // SAFETY: an element of index and dy, and of dx if its row is this range's.
            unsafe {
                let id = *index.as_ptr::<i64>().offset(ids + j as isize * index.stride(last));
                let Some(id) = within(id, dx.dim(axis)) else { continue };
                let (row, column) = if axis == last { (row, id) } else { (row + id * step, j) };
                if range.contains(&row) {
                    let dx = dx.as_ptr::<T>().add(row * n + column);
                    *dx += *dy.as_ptr::<T>().offset(from + j as isize * dy.stride(last));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
