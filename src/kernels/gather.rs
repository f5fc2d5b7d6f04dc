//! Rows by number: embedding and its gradient, one-hot rows; counting and constant sources.

use super::call::{Access, Call, FaultKind, Kernel, Layout, View, Worker, no_work, output_rows};
use super::float::Float;
use super::lanes::Rows;
use crate::tensor::DType;
use std::ops::Range;

/// Row `ids[i]` of a table.
///
/// Operands: ids i64 `[..]`, table `[vocab, d]`. Output: y `[.., d]`. An id outside the table is a fault
/// (`IndexOutOfRange`) and gives a row of zeros.
pub static EMBEDDING: Kernel = Kernel {
    name: "embedding",
    run: [embedding::<f32>, embedding::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[(Layout::Dense, Access::Unit), (Layout::Rows, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn embedding<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let (table, y) = (Rows::<T>::of(call.input(1)), Rows::<T>::of(call.output(0)));
    let vocab = call.input(1).rows();
    // SAFETY: the ids of these units, which nobody writes meanwhile, as the caller promises.
    let ids = unsafe { call.input(0).slice::<i64>(range.start, range.len()) };
    for (r, &id) in range.zip(ids) {
        // SAFETY: a row of the table, and a row of y that is this range's.
        unsafe {
            match within(id, vocab) {
                Some(id) => std::ptr::copy_nonoverlapping(table.row(id), y.row(r), y.len),
                None => {
                    worker.report(FaultKind::IndexOutOfRange);
                    std::slice::from_raw_parts_mut(y.row(r), y.len).fill(T::ZERO);
                }
            }
        }
    }
}

/// An id as an index, if it is one.
#[inline(always)]
pub fn within(id: i64, len: usize) -> Option<usize> {
    usize::try_from(id).ok().filter(|&id| id < len)
}

/// The gradient of `EMBEDDING` in its table.
///
/// Operands: ids i64 `[..]`, dy `[.., d]`. Output: dtable `[vocab, d]`; a unit is a row of it. ints: the padding index,
/// whose row stays 0, or -1. A row is a chain from 0 over all i in order with `ids[i]` = its number. Ids outside the
/// table are passed over.
pub static EMBEDDING_GRAD: Kernel = Kernel {
    name: "embedding_grad",
    run: [embedding_grad::<f32>, embedding_grad::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[(Layout::Dense, Access::All), (Layout::Rows, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn embedding_grad<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let ids = call.input(0);
    // SAFETY: nobody writes the ids meanwhile, as the caller promises.
    let ids = unsafe { ids.slice::<i64>(0, ids.len()) };
    let padding = i64::from(call.args.ints[0]);
    embedding_grad_rows::<T>(range, ids, Rows::of(call.input(1)), padding, Rows::of(call.output(0)));
}

multiversion! {
    fn embedding_grad_rows<T: Float>(range: Range<usize>, ids: &[i64], dy: Rows<T>, padding: i64, dtable: Rows<T>) {
        let d = dtable.len;
        // SAFETY (both): rows of dy, which nobody writes, and of dtable, which are this range's, as the caller of
        // `run` promises.
        let row = |r: usize| unsafe { std::slice::from_raw_parts_mut(dtable.row(r), d) };
        let from = |i: usize| unsafe { std::slice::from_raw_parts(dy.row(i).cast_const(), d) };
        for r in range.clone() {
            row(r).fill(T::ZERO);
        }
        let (first, count) = (range.start as i64, range.len() as u64);
        for (i, &id) in ids.iter().enumerate() {
            // Below the range it wraps to a large number.
            if (id.wrapping_sub(first) as u64) < count && id != padding {
                for (sum, dy) in row(id as usize).iter_mut().zip(from(i)) {
                    *sum += *dy;
                }
            }
        }
    }
}

/// 1 at `ids[i]`, 0 elsewhere.
///
/// Operand: ids i64 `[..]`. Output: y `[.., classes]`, of any element type. An id outside the classes is a fault
/// (`IndexOutOfRange`) and gives a row of zeros.
pub static ONE_HOT: Kernel = Kernel {
    name: "one_hot",
    run: [one_hot, one_hot],
    units: output_rows,
    work: no_work,
    reads: &[(Layout::Dense, Access::Unit)],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn one_hot(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    // SAFETY: the ids of these units, as the caller promises.
    let ids = unsafe { call.input(0).slice::<i64>(range.start, range.len()) };
    let y = call.output(0);
    // SAFETY: rows of y that are this range's, of the type that the view declares.
    unsafe {
        match y.dtype {
            DType::F32 => one_hot_rows(worker, ids, range, Rows::of(y), (0.0f32, 1.0)),
            DType::F64 => one_hot_rows(worker, ids, range, Rows::of(y), (0.0f64, 1.0)),
            DType::I64 => one_hot_rows(worker, ids, range, Rows::of(y), (0i64, 1)),
            DType::Bool => one_hot_rows(worker, ids, range, Rows::of(y), (0u8, 1)),
        }
    }
}

/// # Safety
/// The rows of y in this range may be written.
unsafe fn one_hot_rows<E: Copy>(worker: &Worker<'_>, ids: &[i64], range: Range<usize>, y: Rows<E>, (no, yes): (E, E)) {
    for (r, &id) in range.zip(ids) {
        // SAFETY: promised by the caller.
        let row = unsafe { std::slice::from_raw_parts_mut(y.row(r), y.len) };
        row.fill(no);
        match within(id, row.len()) {
            Some(id) => row[id] = yes,
            None => worker.report(FaultKind::IndexOutOfRange),
        }
    }
}

/// `start + step * i`.
///
/// No operand. Output: y i64, dense; a unit is an element. ints: start, step.
pub static RANGE: Kernel = Kernel {
    name: "range",
    run: [count_up, count_up],
    units: output_elements,
    work: no_work,
    reads: &[],
    writes: &[Access::Unit],
    inplace: &[],
};

fn output_elements(call: &Call) -> usize {
    call.output(0).len()
}

unsafe fn count_up(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let [start, step, ..] = call.args.ints.map(i64::from);
    // SAFETY: these elements are this range's, as the caller promises.
    let y = unsafe { call.output(0).slice_mut::<i64>(range.start, range.len()) };
    for (y, i) in y.iter_mut().zip(range) {
        *y = start + step * i as i64;
    }
}

/// A constant.
///
/// No operand. Output: y, dense, of any element type; a unit is an element. nums: the value (a bool: whether not 0).
pub static FILL: Kernel = Kernel {
    name: "fill",
    run: [fill, fill],
    units: output_elements,
    work: no_work,
    reads: &[],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn fill(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let (y, value) = (call.output(0), call.args.nums[0]);
    // SAFETY: these elements are this range's, of the type that the view declares, as the caller promises.
    unsafe fn all<E: Copy>(y: &View, range: Range<usize>, value: E) {
        // SAFETY: as above.
        unsafe { y.slice_mut::<E>(range.start, range.len()) }.fill(value);
    }
    // SAFETY: as above.
    unsafe {
        match y.dtype {
            DType::F32 => all(y, range, value as f32),
            DType::F64 => all(y, range, value),
            DType::I64 => all(y, range, value as i64),
            DType::Bool => all(y, range, u8::from(value != 0.0)),
        }
    }
}

#[cfg(test)]
mod tests;
