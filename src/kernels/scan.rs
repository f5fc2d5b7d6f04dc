//! Along rows, one element after another: running sums, products, extremes, and what flows back through them.
//!
//! Everything here is a chain in order, so its definition is its order of sums. Rows are independent.

use super::call::{Access, Call, Kernel, Layout, Worker, no_work, output_rows};
use super::float::Float;
use super::lanes::{Rows, vector};
use std::ops::Range;

const ROWS: (Layout, Access) = (Layout::Rows, Access::Unit);

/// Defines a kernel over rows of x: what the running value begins as, and what it becomes.
macro_rules! scans {
    ($($(#[$doc:meta])* $NAME:ident $name:literal $run:ident $start:expr, |$sum:ident, $x:ident| $next:expr;)*) => {$(
        $(#[$doc])*
        pub static $NAME: Kernel = Kernel {
            name: $name,
            run: [$run::<f32>, $run::<f64>],
            units: output_rows,
            work: no_work,
            reads: &[ROWS],
            writes: &[Access::Unit],
            inplace: &[(0, 0)],
        };

        unsafe fn $run<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
            let [backwards, exclusive, ..] = call.args.ints;
            let (x, y) = (Rows::<T>::of(call.input(0)), Rows::<T>::of(call.output(0)));
            for r in range {
                let mut $sum: T = $start;
                for at in 0..x.len {
                    let at = if backwards != 0 { x.len - 1 - at } else { at };
                    // SAFETY: rows of this range only, as the caller promises; y may be x.
                    let $x = unsafe { *x.row(r).add(at) };
                    let before = $sum;
                    $sum = $next;
                    // SAFETY: as above.
                    unsafe { *y.row(r).add(at) = if exclusive != 0 { before } else { $sum } };
                }
            }
        }
    )*};
}

scans! {
    /// Running sums along the last axis.
    ///
    /// Operand: x `[.., n]`. Output: y. ints: whether from the end, whether without the element itself. A chain from 0.
    CUMSUM "cumsum" cumsum T::ZERO, |sum, x| sum + x;
    /// Running products along the last axis.
    ///
    /// As `CUMSUM`; a chain from 1.
    CUMPROD "cumprod" cumprod T::ONE, |sum, x| sum * x;
    /// Running logarithms of sums of exponentials along the last axis.
    ///
    /// As `CUMSUM`; a chain from -inf of `max + ln(1 + e^-|difference|)`.
    LOGCUMSUMEXP "logcumsumexp" logcumsumexp T::NEG_INF, |sum, x| {
        let large = sum.maximum(x);
        let small = (-(sum - x).abs()).exp();
        if large == T::NEG_INF { large } else if sum == x { x + T::of(std::f64::consts::LN_2) } else { large + (T::ONE + small).ln() }
    };
}

/// The gradient of `CUMPROD`, exact where elements are 0.
///
/// Operands: x, y, dy, all `[.., n]`. Output: dx. From the end: `s_i = fma(x_(i+1), s_(i+1), dy_i)`, `dx_i = y_(i-1) s_i`.
pub static CUMPROD_GRAD: Kernel = Kernel {
    name: "cumprod_grad",
    run: [cumprod_grad::<f32>, cumprod_grad::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[ROWS],
    writes: &[Access::Unit],
    inplace: &[(2, 0)],
};

unsafe fn cumprod_grad<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let [x, y, dy] = [0, 1, 2].map(|index| Rows::<T>::of(call.input(index)));
    let dx = Rows::<T>::of(call.output(0));
    for r in range {
        let (mut sum, mut factor) = (T::ZERO, T::ZERO);
        for at in (0..x.len).rev() {
            // SAFETY: rows of this range only, as the caller promises; dx may be dy.
            unsafe {
                sum = factor.mul_add(sum, *dy.row(r).add(at));
                factor = *x.row(r).add(at);
                let before = if at == 0 { T::ONE } else { *y.row(r).add(at - 1) };
                *dx.row(r).add(at) = before * sum;
            }
        }
    }
}

/// The gradient of `LOGCUMSUMEXP`.
///
/// Operands: x, y, dy, all `[.., n]`. Output: dx. From the end: `s_i = fma(e^(y_i - y_(i+1)), s_(i+1), dy_i)`,
/// `dx_i = e^(x_i - y_i) s_i`; 0 where y is -inf.
pub static LOGCUMSUMEXP_GRAD: Kernel = Kernel {
    name: "logcumsumexp_grad",
    run: [logcumsumexp_grad::<f32>, logcumsumexp_grad::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[ROWS],
    writes: &[Access::Unit],
    inplace: &[(2, 0)],
};

unsafe fn logcumsumexp_grad<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let [x, y, dy] = [0, 1, 2].map(|index| Rows::<T>::of(call.input(index)));
    let dx = Rows::<T>::of(call.output(0));
    for r in range {
        let (mut sum, mut after) = (T::ZERO, T::ZERO);
        for at in (0..x.len).rev() {
            // SAFETY: rows of this range only, as the caller promises; dx may be dy.
            unsafe {
                let own = *y.row(r).add(at);
                let factor = if own == T::NEG_INF { T::ZERO } else { (own - after).exp() };
                sum = if at + 1 == x.len { *dy.row(r).add(at) } else { factor.mul_add(sum, *dy.row(r).add(at)) };
                let share = if own == T::NEG_INF { T::ZERO } else { (*x.row(r).add(at) - own).exp() };
                *dx.row(r).add(at) = share * sum;
                after = own;
            }
        }
    }
}

/// Running extremes along the last axis, and where they are. NaN wins, and of equals the last.
///
/// Operand: x `[.., n]`. Outputs (each may be dead): values, indices i64 `[.., n]`.
pub static CUMMAX: Kernel =
    Kernel { name: "cummax", run: [extremes::<f32, false>, extremes::<f64, false>], ..EXTREMES };

/// As `CUMMAX`, of the smallest.
pub static CUMMIN: Kernel = Kernel { name: "cummin", run: [extremes::<f32, true>, extremes::<f64, true>], ..EXTREMES };

const EXTREMES: Kernel = Kernel {
    name: "",
    run: [extremes::<f32, false>, extremes::<f64, false>],
    units: |call| call.input(0).rows(),
    work: no_work,
    reads: &[ROWS],
    writes: &[Access::Unit, Access::Unit],
    inplace: &[],
};

unsafe fn extremes<T: Float, const MIN: bool>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let x = Rows::<T>::of(call.input(0));
    let (values, indices) = (vector::<T>(&call.outs[0]), vector::<i64>(call.outs.get(1).unwrap_or(&None)));
    for r in range {
        let (mut best, mut index) = (T::ZERO, 0);
        for at in 0..x.len {
            // SAFETY: the row is this range's, as the caller promises.
            let own = unsafe { *x.row(r).add(at) };
            let passes = if MIN { own <= best } else { own >= best };
            if at == 0 || own.nan() || (passes && !best.nan()) {
                (best, index) = (own, at as i64);
            }
            // SAFETY: outputs are dense, and the rows this range's.
            unsafe {
                if let Some(values) = values {
                    *values.add(r * x.len + at) = best;
                }
                if let Some(indices) = indices {
                    *indices.add(r * x.len + at) = index;
                }
            }
        }
    }
}

/// The elements of each row in order, and where they were; equal ones keep their order, NaN is larger than anything.
///
/// Operand: x `[.., n]`. Outputs (each may be dead): values, indices i64 `[.., n]`. ints: whether the largest come first.
pub static SORT: Kernel = Kernel {
    name: "sort",
    run: [sort::<f32>, sort::<f64>],
    units: |call| call.input(0).rows(),
    work: |call| call.input(0).last() * 4,
    reads: &[ROWS],
    writes: &[Access::Unit, Access::Unit],
    inplace: &[],
};

unsafe fn sort<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let x = Rows::<T>::of(call.input(0));
    let (values, indices) = (vector::<T>(&call.outs[0]), vector::<i64>(call.outs.get(1).unwrap_or(&None)));
    let descending = call.args.ints[0] != 0;
    let order = worker.scratch::<u32>(0, x.len);
    for r in range {
        // SAFETY: the row is this range's, as the caller promises.
        let row = unsafe { std::slice::from_raw_parts(x.row(r).cast_const(), x.len) };
        for (at, own) in order.iter_mut().enumerate() {
            *own = at as u32;
        }
        order.sort_unstable_by(|&a, &b| {
            let (x, y) = (row[a as usize], row[b as usize]);
            let ascending = x.partial_cmp(&y).unwrap_or_else(|| x.nan().cmp(&y.nan()));
            let ordering = if descending { ascending.reverse() } else { ascending };
            ordering.then(a.cmp(&b))
        });
        for (at, &from) in order.iter().enumerate() {
            // SAFETY: outputs are dense, and the rows this range's.
            unsafe {
                if let Some(values) = values {
                    *values.add(r * x.len + at) = row[from as usize];
                }
                if let Some(indices) = indices {
                    *indices.add(r * x.len + at) = i64::from(from);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
