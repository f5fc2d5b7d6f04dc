//! Softmax and log-softmax of rows, and their gradients.

use super::call::{Access, Call, Kernel, Layout, Worker, no_work, output_rows};
use super::float::Float;
use super::lanes::{Rows, largest, map, map_sum, sum};
use std::ops::Range;

const ROWS: (Layout, Access) = (Layout::Rows, Access::Unit);

/// `y = exp(x - max) / sum(exp(x - max))` along the last axis.
///
/// Operand: x `[.., d]`. Output: y. The sum s in lanes; `y = exp(x - max) * (1 / s)`. A row of -inf only, or with NaN
/// or +inf, becomes NaN, as in PyTorch.
pub static SOFTMAX: Kernel = Kernel {
    name: "softmax",
    run: [softmax::<f32>, softmax::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[ROWS],
    writes: &[Access::Unit],
    inplace: &[(0, 0)],
};

unsafe fn softmax<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    softmax_rows::<T>(range, Rows::of(call.input(0)), Rows::of(call.output(0)));
}

multiversion! {
    fn softmax_rows<T: Float>(range: Range<usize>, x: Rows<T>, y: Rows<T>) {
        let n = x.len;
        for r in range {
            let (x, y) = (x.row(r).cast_const(), y.row(r));
            // SAFETY: rows of n elements, of this range only, as the caller of `run` promises; y may be x.
            unsafe {
                let max = largest(x, n);
                let scale = T::ONE / map_sum(x, y, n, |x| (x - max).exp());
                map([y.cast_const()], y, n, |[e]| e * scale);
            }
        }
    }
}

/// The gradient of `SOFTMAX`: `dx = y * (dy - sum(y dy))`.
///
/// Operands: y `[.., d]`, dy `[.., d]`. Output: dx. The sum in lanes of `fma(y, dy, chain)`.
pub static SOFTMAX_GRAD: Kernel = Kernel {
    name: "softmax_grad",
    run: [softmax_grad::<f32>, softmax_grad::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[ROWS],
    writes: &[Access::Unit],
    inplace: &[(0, 0), (1, 0)],
};

unsafe fn softmax_grad<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    softmax_grad_rows::<T>(range, Rows::of(call.input(0)), Rows::of(call.input(1)), Rows::of(call.output(0)));
}

multiversion! {
    fn softmax_grad_rows<T: Float>(range: Range<usize>, y: Rows<T>, dy: Rows<T>, dx: Rows<T>) {
        let n = y.len;
        for r in range {
            let (y, dy, dx) = (y.row(r).cast_const(), dy.row(r).cast_const(), dx.row(r));
            // SAFETY: rows of n elements, of this range only, as the caller of `run` promises; dx may be y or dy.
            unsafe {
                let s = sum([y, dy], n, |chain, [y, dy]| y.mul_add(dy, chain));
                map([y, dy], dx, n, |[y, dy]| y * (dy - s));
            }
        }
    }
}

/// `y = (x - max) - ln(sum(exp(x - max)))` along the last axis.
///
/// Operand: x `[.., d]`. Output: y. The sum in lanes. A row of -inf only, or with NaN or +inf, becomes NaN.
pub static LOG_SOFTMAX: Kernel = Kernel {
    name: "log_softmax",
    run: [log_softmax::<f32>, log_softmax::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[ROWS],
    writes: &[Access::Unit],
    inplace: &[(0, 0)],
};

unsafe fn log_softmax<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    log_softmax_rows::<T>(range, Rows::of(call.input(0)), Rows::of(call.output(0)));
}

multiversion! {
    fn log_softmax_rows<T: Float>(range: Range<usize>, x: Rows<T>, y: Rows<T>) {
        let n = x.len;
        for r in range {
            let (x, y) = (x.row(r).cast_const(), y.row(r));
            // SAFETY: rows of n elements, of this range only, as the caller of `run` promises; y may be x.
            unsafe {
                let max = largest(x, n);
                let log = sum([x], n, |chain, [x]| chain + (x - max).exp()).ln();
                map([x], y, n, |[x]| (x - max) - log);
            }
        }
    }
}

/// The gradient of `LOG_SOFTMAX`: `dx = dy - exp(y) * sum(dy)`.
///
/// Operands: y `[.., d]`, dy `[.., d]`. Output: dx. The sum s in lanes; `dx = fma(-exp(y), s, dy)`.
pub static LOG_SOFTMAX_GRAD: Kernel = Kernel {
    name: "log_softmax_grad",
    run: [log_softmax_grad::<f32>, log_softmax_grad::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[ROWS],
    writes: &[Access::Unit],
    inplace: &[(0, 0), (1, 0)],
};

unsafe fn log_softmax_grad<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    log_softmax_grad_rows::<T>(range, Rows::of(call.input(0)), Rows::of(call.input(1)), Rows::of(call.output(0)));
}

multiversion! {
    fn log_softmax_grad_rows<T: Float>(range: Range<usize>, y: Rows<T>, dy: Rows<T>, dx: Rows<T>) {
        let n = y.len;
        for r in range {
            let (y, dy, dx) = (y.row(r).cast_const(), dy.row(r).cast_const(), dx.row(r));
            // SAFETY: rows of n elements, of this range only, as the caller of `run` promises; dx may be y or dy.
            unsafe {
                let s = sum([dy], n, |chain, [dy]| chain + dy);
                map([y, dy], dx, n, |[y, dy]| (-y.exp()).mul_add(s, dy));
            }
        }
    }
}

#[cfg(test)]
mod tests;
