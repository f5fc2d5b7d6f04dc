//! Sums, products and extremes over any axes.
//!
//! The order of a sum or product follows from the mask alone, never from strides: the reduced axes at the end of the
//! shape (axes of size 1 do not count) are a *run*, taken row-major in 64 lanes and a tree; the results for the other
//! reduced indices, row-major, are chained in blocks of 512, the blocks combined in order.

use super::axes::Axes;
use super::call::{Access, Call, Kernel, Layout, View, Worker, no_work};
use super::float::Float;
use super::lanes::{BLOCK, LANES, columns, fold, sum_squares, tree, vector};
use std::ops::Range;

macro_rules! kernels {
    ($($(#[$doc:meta])* $all:ident $name:literal $run:ident::<$flag:literal>;)*) => {
        $(
            $(#[$doc])*
            pub static $all: Kernel = Kernel {
                name: $name,
                run: [$run::<f32, $flag>, $run::<f64, $flag>],
                units: outputs,
                work: no_work,
                reads: &[(Layout::Any, Access::All)],
                writes: &[Access::Unit],
                inplace: &[],
            };
        )*
    };
}

kernels! {
    /// The sum over some axes.
    ///
    /// Operand: x, any strides. Output: y, dense, the shape of x without these axes (or with 1 for them); a unit is an
    /// element of y. ints: the mask, bit a for axis a of x. Chains start from 0, so no element gives 0. The order is the module's.
    SUM "sum" fold_axes::<false>;
    /// The product over some axes.
    ///
    /// Operand: x, any strides. Output: y, dense, the shape of x without these axes (or with 1 for them); a unit is an
    /// element of y. ints: the mask, bit a for axis a of x. Chains start from 1, so no element gives 1. The order is the module's.
    PROD "prod" fold_axes::<true>;
    /// The largest over some axes, and where it is. NaN wins; of equals the first.
    ///
    /// Operand: x, any strides. Outputs (each may be dead): value, index i64 (the row-major number among the reduced
    /// elements), dense, the shape of x without these axes (or with 1 for them); a unit is an element. ints: the mask,
    /// bit a for axis a of x. No element gives -inf and 0.
    MAX "max" extreme::<false>;
    /// The smallest over some axes, and where it is. NaN wins; of equals the first.
    ///
    /// As `MAX`. No element gives inf and 0.
    MIN "min" extreme::<true>;
}

/// An element of whichever output lives.
fn outputs(call: &Call) -> usize {
    call.outs.iter().flatten().next().map_or(0, View::len)
}

/// The axes of x by what the mask says of them.
struct Parts {
    /// Not reduced.
    kept: Axes,
    /// Reduced, before the last kept one.
    outer: Axes,
    /// Reduced, after the last kept one.
    run: Axes,
    /// All reduced.
    reduced: Axes,
}

fn parts(call: &Call) -> Parts {
    let x = call.input(0);
    let reduces = |axis: usize| call.args.ints[0] >> axis & 1 == 1;
    let run_from = (0..x.rank()).rev().find(|&axis| !reduces(axis) && x.dim(axis) != 1).map_or(0, |axis| axis + 1);
    let mut parts =
        Parts { kept: Axes::default(), outer: Axes::default(), run: Axes::default(), reduced: Axes::default() };
    for axis in 0..x.rank() {
        let (size, stride) = (x.dim(axis), x.stride(axis));
        if !reduces(axis) {
            parts.kept.push(size, stride);
            continue;
        }
        parts.reduced.push(size, stride);
        let part = if axis < run_from { &mut parts.outer } else { &mut parts.run };
        part.push(size, stride);
    }
    parts
}

/// The operation of a fold.
#[inline(always)]
fn combine<T: Float, const PROD: bool>(a: T, b: T) -> T {
    if PROD { a * b } else { a + b }
}

/// What a fold starts from.
#[inline(always)]
fn start<T: Float, const PROD: bool>() -> T {
    if PROD { T::ONE } else { T::ZERO }
}

unsafe fn fold_axes<T: Float, const PROD: bool>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let Parts { kept, outer, run, .. } = parts(call);
    let (x, y) = (call.input(0).as_ptr::<T>(), call.output(0).as_ptr::<T>());
    if run.rank > 0 {
        return fold_runs::<T, PROD>(range, x, kept, outer, run, y);
    }
    each_stretch(range, &kept, |at, first, columns, stride| {
        let (x, y) = (x.wrapping_offset(first), y.wrapping_add(at));
        match stride {
            1 => fold_columns::<T, PROD>(columns, x, outer, y),
            _ => fold_strided_columns::<T, PROD>(columns, x, stride, outer, y),
        }
    });
}

/// Cuts a range of outputs where their innermost axis ends: `(first output, offset of x, columns, their stride)`.
fn each_stretch(range: Range<usize>, kept: &Axes, mut f: impl FnMut(usize, isize, Range<usize>, isize)) {
    let (around, width, stride) = kept.split_last();
    let mut at = range.start;
    while at < range.end {
        let first = at % width;
        let columns = first..width.min(first + range.end - at);
        f(at, around.offset(at / width), columns.clone(), stride);
        at += columns.len();
    }
}

multiversion! {
    fn fold_runs<T: Float, const PROD: bool>(range: Range<usize>, x: *mut T, kept: Axes, outer: Axes, run: Axes,
        y: *mut T) {
        let start = start::<T, PROD>();
        for unit in range {
            let x = x.wrapping_offset(kept.offset(unit));
            // Rows: one chain, one column.
            let mut results = [start; 2];
            let mut in_block = 0;
            for offset in outer.walk() {
                // SAFETY: the run is one of x's, as the caller of `run` promises.
                let lanes = unsafe { fold_run::<T, PROD>(x.wrapping_offset(offset), &run) };
                results[1] = combine::<T, PROD>(results[1], tree(lanes, combine::<T, PROD>));
                in_block += 1;
                if in_block == BLOCK {
                    results = [combine::<T, PROD>(results[0], results[1]), start];
                    in_block = 0;
                }
            }
            // SAFETY: the output is this range's.
            unsafe { *y.add(unit) = combine::<T, PROD>(results[0], results[1]) };
        }
    }
}

/// The lanes of one run.
///
/// # Safety
/// The elements of the run may be read.
#[inline(always)]
unsafe fn fold_run<T: Float, const PROD: bool>(x: *const T, run: &Axes) -> [T; LANES] {
    let n = run.count();
    if run.rank == 1 && run.strides[0] == 1 {
        // SAFETY: the run's n elements are contiguous.
        let [lanes] = unsafe { fold([x], n, start::<T, PROD>(), |[chain], [x]| [combine::<T, PROD>(chain, x)]) };
        return lanes;
    }
    let mut lanes = [start::<T, PROD>(); LANES];
    for (i, offset) in run.walk().enumerate() {
        // SAFETY: the element is one of the run's.
        lanes[i % LANES] = combine::<T, PROD>(lanes[i % LANES], unsafe { *x.wrapping_offset(offset) });
    }
    lanes
}

multiversion! {
    fn fold_columns<T: Float, const PROD: bool>(range: Range<usize>, x: *mut T, outer: Axes, y: *mut T) {
        let first = range.start;
        columns(
            range,
            || outer.walk().map(|offset| x.wrapping_offset(offset)),
            (start::<T, PROD>(), combine::<T, PROD>),
            // SAFETY: the element is one of x's, as the caller of `run` promises.
            |chain, row, j| combine::<T, PROD>(chain, unsafe { *row.add(j) }),
            // SAFETY: these columns are this range's.
            |j, sums| unsafe { std::ptr::copy_nonoverlapping(sums.as_ptr(), y.add(j - first), sums.len()) },
        );
    }
}

multiversion! {
    fn fold_strided_columns<T: Float, const PROD: bool>(range: Range<usize>, x: *mut T, stride: isize, outer: Axes,
        y: *mut T) {
        let first = range.start;
        columns(
            range,
            || outer.walk().map(|offset| x.wrapping_offset(offset)),
            (start::<T, PROD>(), combine::<T, PROD>),
            // SAFETY: the element is one of x's, as the caller of `run` promises.
            |chain, row, j| combine::<T, PROD>(chain, unsafe { *row.offset(j as isize * stride) }),
            // SAFETY: these columns are this range's.
            |j, sums| unsafe { std::ptr::copy_nonoverlapping(sums.as_ptr(), y.add(j - first), sums.len()) },
        );
    }
}

unsafe fn extreme<T: Float, const MIN: bool>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let Parts { kept, reduced, .. } = parts(call);
    let x = call.input(0).as_ptr::<T>();
    let values = vector::<T>(&call.outs[0]);
    let indices = vector::<i64>(call.outs.get(1).unwrap_or(&None));
    let write = |unit: usize, (value, index): (T, i64)| {
        // SAFETY: the outputs of these units are this range's, as the caller promises.
        unsafe {
            if let Some(values) = values {
                *values.add(unit) = value;
            }
            if let Some(indices) = indices {
                *indices.add(unit) = index;
            }
        }
    };
    if reduced.rank == 1 && reduced.strides[0] == 1 {
        for unit in range {
            let row = x.wrapping_offset(kept.offset(unit)).cast_const();
            // SAFETY: the row is one of x's, which nobody writes meanwhile, as the caller promises.
            let row = unsafe { std::slice::from_raw_parts(row, reduced.count()) };
            write(unit, extreme_of_row::<T, MIN>(row));
        }
        return;
    }
    each_stretch(range, &kept, |at, offset, columns, stride| {
        const WIDTH: usize = 64;
        for first in columns.clone().step_by(WIDTH) {
            let width = WIDTH.min(columns.end - first);
            let mut best = [(worst::<T, MIN>(), 0i64); WIDTH];
            for (number, row) in reduced.walk().enumerate() {
                let row = x.wrapping_offset(offset + row + first as isize * stride);
                for (j, best) in best[..width].iter_mut().enumerate() {
                    // SAFETY: the element is one of x's, as the caller promises.
                    let x = unsafe { *row.wrapping_offset(j as isize * stride) };
                    if number == 0 || beats::<T, MIN>(x, best.0) {
                        *best = (x, number as i64);
                    }
                }
            }
            for (j, &best) in best[..width].iter().enumerate() {
                write(at + first - columns.start + j, best);
            }
        }
    });
}

#[inline(always)]
fn worst<T: Float, const MIN: bool>() -> T {
    if MIN { -T::NEG_INF } else { T::NEG_INF }
}

#[inline(always)]
#[allow(clippy::eq_op)] // Only NaN is not itself.
fn is_nan<T: Float>(x: T) -> bool {
    x != x
}

/// Whether x takes the place of the best before it.
#[inline(always)]
fn beats<T: Float, const MIN: bool>(x: T, best: T) -> bool {
    (if MIN { x < best } else { x > best }) || (is_nan(x) && !is_nan(best))
}

multiversion! {
    /// The best of a row and the index of the first like it.
    pub fn extreme_of_row<T: Float, const MIN: bool>(row: &[T]) -> (T, i64) {
        if row.is_empty() {
            return (worst::<T, MIN>(), 0);
        }
        let better = |a: T, b: T| {
            let passes = if MIN { b < a } else { b > a };
            if passes | is_nan(b) { b } else { a }
        };
        // SAFETY: the elements of the row.
        let [lanes] = unsafe { fold([row.as_ptr()], row.len(), worst::<T, MIN>(), |[a], [b]| [better(a, b)]) };
        let best = tree(lanes, better);
        let like = |x: T| (x == best) | (is_nan(x) & is_nan(best));
        let mut at = 0;
        for chunk in row.chunks_exact(LANES) {
            let mut found = false;
            for &x in chunk {
                found |= like(x);
            }
            if found {
                break;
            }
            at += LANES;
        }
        while !like(row[at]) {
            at += 1;
        }
        (row[at], at as i64)
    }
}

/// The sums of the squares of equal parts of x, in f64: for the norm of a gradient.
///
/// Operand: x, dense. Output: f64, k elements for any k that divides the length of x (the rows, the first axis, 1); a
/// unit is a part. In lanes of `fma(x, x, chain)` in f64.
pub static SUM_SQUARES: Kernel = Kernel {
    name: "sum_squares",
    run: [squares::<f32>, squares::<f64>],
    units: outputs,
    work: no_work,
    reads: &[(Layout::Dense, Access::Unit)],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn squares<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let (x, y) = (call.input(0), call.output(0));
    square_parts::<T>(range, x.as_ptr(), x.len() / y.len().max(1), y.as_ptr());
}

multiversion! {
    fn square_parts<T: Float>(range: Range<usize>, x: *mut T, n: usize, y: *mut f64) {
        for part in range {
            // SAFETY: the part and the output are this range's, as the caller of `run` promises.
            unsafe { *y.add(part) = sum_squares(x.add(part * n), n) };
        }
    }
}

/// The largest sizes in equal parts of x, in f64: for the norm of a gradient with p = inf. Operand, output and units as
/// of [`SUM_SQUARES`]; NaN wins, and a part without elements has 0.
pub static LARGEST: Kernel = Kernel { name: "largest", run: [largest::<f32>, largest::<f64>], ..SUM_SQUARES };

unsafe fn largest<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let (x, y) = (call.input(0), call.output(0));
    largest_parts::<T>(range, x.as_ptr(), x.len() / y.len().max(1), y.as_ptr());
}

multiversion! {
    fn largest_parts<T: Float>(range: Range<usize>, x: *mut T, n: usize, y: *mut f64) {
        for part in range {
            // SAFETY: the part and the output are this range's, as the caller of `run` promises.
            unsafe {
                let slice = std::slice::from_raw_parts(x.add(part * n).cast_const(), n);
                let most = slice.iter().fold(T::ZERO, |most, &x| most.maximum(x.abs()));
                *y.add(part) = most.to_f64();
            }
        }
    }
}

#[cfg(test)]
mod tests;
