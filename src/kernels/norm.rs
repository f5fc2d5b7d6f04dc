//! RMS and layer normalisation of rows, and their gradients.

use super::call::{Access, Call, Kernel, Layout, Worker, no_work, output_rows};
use super::float::Float;
use super::lanes::{Rows, columns, map, sum, sums, vector};
use std::ops::Range;

/// `y = x / sqrt(mean(x^2) + eps) * (offset + weight)`.
///
/// Operands: x `[.., d]`, weight `[d]` (absent: gain 1). Outputs: y `[.., d]`, rstd `[rows]`. nums: eps, offset.
/// `rstd = 1 / sqrt(s / d + eps)`, s in lanes of `fma(x, x, chain)`; `y = (x * rstd) * (offset + weight)`.
pub static RMSNORM: Kernel = Kernel {
    name: "rmsnorm",
    run: [rmsnorm::<f32>, rmsnorm::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[(Layout::Rows, Access::Unit), (Layout::Dense, Access::All)],
    writes: &[Access::Unit],
    inplace: &[(0, 0)],
};

unsafe fn rmsnorm<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let [eps, offset, ..] = call.args.nums;
    let (x, y) = (Rows::of(call.input(0)), Rows::of(call.output(0)));
    rmsnorm_rows::<T>(range, x, vector(&call.ins[1]), T::of(eps), T::of(offset), y, vector(&call.outs[1]));
}

multiversion! {
    fn rmsnorm_rows<T: Float>(range: Range<usize>, x: Rows<T>, weight: Option<*mut T>, eps: T, offset: T, y: Rows<T>,
        rstds: Option<*mut T>) {
        let n = x.len;
        for r in range {
            let (x, y) = (x.row(r).cast_const(), y.row(r));
            // SAFETY: rows of n elements, of this range only, as the caller of `run` promises; y may be x.
            unsafe {
                let squares = sum([x], n, |chain, [x]| x.mul_add(x, chain));
                let rstd = T::ONE / (squares / T::of(n as f64) + eps).sqrt();
                if let Some(rstds) = rstds {
                    *rstds.add(r) = rstd;
                }
                match weight {
                    Some(weight) => map([x, weight], y, n, |[x, w]| (x * rstd) * (offset + w)),
                    None => map([x], y, n, |[x]| x * rstd),
                }
            }
        }
    }
}

/// The gradient of `RMSNORM` in x.
///
/// Operands: x `[.., d]`, weight `[d]` (may be absent), rstd `[rows]`, dy `[.., d]`. Output: dx. nums: eps (not used),
/// offset. With `t = (offset + weight) * dy` and `h = x * rstd`: `c = s / d`, s in lanes of `fma(t, h, chain)`;
/// `dx = fma(-h, c, t) * rstd`.
pub static RMSNORM_GRAD: Kernel = Kernel {
    name: "rmsnorm_grad",
    run: [rmsnorm_grad::<f32>, rmsnorm_grad::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[
        (Layout::Rows, Access::Unit),
        (Layout::Dense, Access::All),
        (Layout::Dense, Access::Unit),
        (Layout::Rows, Access::Unit),
    ],
    writes: &[Access::Unit],
    inplace: &[(0, 0), (3, 0)],
};

unsafe fn rmsnorm_grad<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let (x, dy, dx) = (Rows::of(call.input(0)), Rows::of(call.input(3)), Rows::of(call.output(0)));
    let offset = T::of(call.args.nums[1]);
    rmsnorm_grad_rows::<T>(range, x, vector(&call.ins[1]), offset, call.input(2).as_ptr(), dy, dx);
}

multiversion! {
    fn rmsnorm_grad_rows<T: Float>(range: Range<usize>, x: Rows<T>, weight: Option<*mut T>, offset: T, rstds: *mut T,
        dy: Rows<T>, dx: Rows<T>) {
        let n = x.len;
        for r in range {
            let (x, dy, dx) = (x.row(r).cast_const(), dy.row(r).cast_const(), dx.row(r));
            // SAFETY: rows of n elements, of this range only, as the caller of `run` promises; dx may be x or dy.
            unsafe {
                let rstd = *rstds.add(r);
                let mean = |sum: T| sum / T::of(n as f64);
                match weight {
                    Some(w) => {
                        let w = w.cast_const();
                        let c = mean(sum([x, w, dy], n, |s, [x, w, dy]| ((offset + w) * dy).mul_add(x * rstd, s)));
                        map([x, w, dy], dx, n, |[x, w, dy]| (-(x * rstd)).mul_add(c, (offset + w) * dy) * rstd);
                    }
                    None => {
                        let c = mean(sum([x, dy], n, |s, [x, dy]| dy.mul_add(x * rstd, s)));
                        map([x, dy], dx, n, |[x, dy]| (-(x * rstd)).mul_add(c, dy) * rstd);
                    }
                }
            }
        }
    }
}

/// The gradient of `RMSNORM` in its weight.
///
/// Operands: x `[.., d]`, rstd `[rows]`, dy `[.., d]`. Output: dweight `[d]`; a unit is a column.
/// A chain of `fma(dy, x * rstd, chain)` down the rows, in blocks of 512.
pub static RMSNORM_GRAD_WEIGHT: Kernel = Kernel {
    name: "rmsnorm_grad_weight",
    run: [rmsnorm_grad_weight::<f32>, rmsnorm_grad_weight::<f64>],
    units: columns_of_x,
    work: no_work,
    reads: &[(Layout::Rows, Access::All), (Layout::Dense, Access::All), (Layout::Rows, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

fn columns_of_x(call: &Call) -> usize {
    call.input(0).last()
}

unsafe fn rmsnorm_grad_weight<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let (x, dy) = (Rows::of(call.input(0)), Rows::of(call.input(2)));
    let (rows, rstd) = (call.input(0).rows(), call.input(1).as_ptr());
    rmsnorm_weight_columns::<T>(range, rows, x, rstd, dy, call.output(0).as_ptr());
}

multiversion! {
    fn rmsnorm_weight_columns<T: Float>(range: Range<usize>, rows: usize, x: Rows<T>, rstds: *mut T, dy: Rows<T>,
        dweight: *mut T) {
        columns(
            range,
            // SAFETY: rows of x, dy and an element of rstd for each, as the caller of `run` promises.
            || (0..rows).map(|r| unsafe { (x.row(r), dy.row(r), *rstds.add(r)) }),
            (T::ZERO, |a: T, b: T| a + b),
            // SAFETY: the column is one of the row's.
            |chain, (x, dy, rstd), j| unsafe { (*dy.add(j)).mul_add(*x.add(j) * rstd, chain) },
            // SAFETY: these columns are this range's.
            |first, sums| unsafe { std::ptr::copy_nonoverlapping(sums.as_ptr(), dweight.add(first), sums.len()) },
        );
    }
}

/// `y = (x - mean) / sqrt(variance + eps) * weight + bias`, the variance biased.
///
/// Operands: x `[.., d]`, weight `[d]`, bias `[d]` (each may be absent). Outputs: y `[.., d]`, mean `[rows]`, rstd
/// `[rows]`. nums: eps. The mean in lanes; then, in lanes of `fma(x - mean, x - mean, chain)`, the variance;
/// `rstd = 1 / sqrt(variance + eps)`; with `h = (x - mean) * rstd`: `fma(h, weight, bias)`, `h * weight`, `h + bias`
/// or `h`.
pub static LAYERNORM: Kernel = Kernel {
    name: "layernorm",
    run: [layernorm::<f32>, layernorm::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[(Layout::Rows, Access::Unit), (Layout::Dense, Access::All)],
    writes: &[Access::Unit],
    inplace: &[(0, 0)],
};

unsafe fn layernorm<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let (x, y, eps) = (Rows::of(call.input(0)), Rows::of(call.output(0)), T::of(call.args.nums[0]));
    let (means, rstds) = (vector(&call.outs[1]), vector(&call.outs[2]));
    layernorm_rows::<T>(range, x, vector(&call.ins[1]), vector(&call.ins[2]), eps, y, means, rstds);
}

multiversion! {
    fn layernorm_rows<T: Float>(range: Range<usize>, x: Rows<T>, weight: Option<*mut T>, bias: Option<*mut T>, eps: T,
        y: Rows<T>, means: Option<*mut T>, rstds: Option<*mut T>) {
        let n = x.len;
        let count = T::of(n as f64);
        for r in range {
            let (x, y) = (x.row(r).cast_const(), y.row(r));
            // SAFETY: rows of n elements, of this range only, as the caller of `run` promises; y may be x.
            unsafe {
                let mean = sum([x], n, |chain, [x]| chain + x) / count;
                let squares = sum([x], n, |chain, [x]| (x - mean).mul_add(x - mean, chain));
                let rstd = T::ONE / (squares / count + eps).sqrt();
                if let Some(means) = means {
                    *means.add(r) = mean;
                }
                if let Some(rstds) = rstds {
                    *rstds.add(r) = rstd;
                }
                match (weight, bias) {
                    (Some(w), Some(b)) => map([x, w, b], y, n, |[x, w, b]| ((x - mean) * rstd).mul_add(w, b)),
                    (Some(w), None) => map([x, w], y, n, |[x, w]| (x - mean) * rstd * w),
                    (None, Some(b)) => map([x, b], y, n, |[x, b]| (x - mean) * rstd + b),
                    (None, None) => map([x], y, n, |[x]| (x - mean) * rstd),
                }
            }
        }
    }
}

/// The gradient of `LAYERNORM` in x.
///
/// Operands: x `[.., d]`, weight `[d]` (may be absent), mean `[rows]`, rstd `[rows]`, dy `[.., d]`. Output: dx. With
/// `t = weight * dy` and `h = (x - mean) * rstd`: a the mean of t in lanes, c the mean of t h in lanes of
/// `fma(t, h, chain)`; `dx = fma(-h, c, t - a) * rstd`.
pub static LAYERNORM_GRAD: Kernel = Kernel {
    name: "layernorm_grad",
    run: [layernorm_grad::<f32>, layernorm_grad::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[
        (Layout::Rows, Access::Unit),
        (Layout::Dense, Access::All),
        (Layout::Dense, Access::Unit),
        (Layout::Dense, Access::Unit),
        (Layout::Rows, Access::Unit),
    ],
    writes: &[Access::Unit],
    inplace: &[(0, 0), (4, 0)],
};

unsafe fn layernorm_grad<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let (x, dy, dx) = (Rows::of(call.input(0)), Rows::of(call.input(4)), Rows::of(call.output(0)));
    let (means, rstds) = (call.input(2).as_ptr(), call.input(3).as_ptr());
    layernorm_grad_rows::<T>(range, x, vector(&call.ins[1]), means, rstds, dy, dx);
}

multiversion! {
    fn layernorm_grad_rows<T: Float>(range: Range<usize>, x: Rows<T>, weight: Option<*mut T>, means: *mut T,
        rstds: *mut T, dy: Rows<T>, dx: Rows<T>) {
        let n = x.len;
        let count = T::of(n as f64);
        for r in range {
            let (x, dy, dx) = (x.row(r).cast_const(), dy.row(r).cast_const(), dx.row(r));
            // SAFETY: rows of n elements, of this range only, as the caller of `run` promises; dx may be x or dy.
            unsafe {
                let (mean, rstd) = (*means.add(r), *rstds.add(r));
                let step = |[a, c]: [T; 2], t: T, x: T| [a + t, t.mul_add((x - mean) * rstd, c)];
                let dx_of = |[a, c]: [T; 2], t: T, x: T| (-((x - mean) * rstd)).mul_add(c, t - a) * rstd;
                match weight {
                    Some(w) => {
                        let w = w.cast_const();
                        let [a, c] = sums([x, w, dy], n, |chains, [x, w, dy]| step(chains, w * dy, x));
                        let moments = [a / count, c / count];
                        map([x, w, dy], dx, n, |[x, w, dy]| dx_of(moments, w * dy, x));
                    }
                    None => {
                        let [a, c] = sums([x, dy], n, |chains, [x, dy]| step(chains, dy, x));
                        let moments = [a / count, c / count];
                        map([x, dy], dx, n, |[x, dy]| dx_of(moments, dy, x));
                    }
                }
            }
        }
    }
}

/// The gradients of `LAYERNORM` in its weight and bias.
///
/// Operands: x `[.., d]`, mean `[rows]`, rstd `[rows]`, dy `[.., d]`. Outputs: dweight `[d]`, dbias `[d]` (each may be
/// dead); a unit is a column. Down the rows in blocks of 512, chains of `fma(dy, (x - mean) * rstd, chain)` and of
/// `chain + dy`.
pub static LAYERNORM_GRAD_WEIGHT: Kernel = Kernel {
    name: "layernorm_grad_weight",
    run: [layernorm_grad_weight::<f32>, layernorm_grad_weight::<f64>],
    units: columns_of_x,
    work: no_work,
    reads: &[
        (Layout::Rows, Access::All),
        (Layout::Dense, Access::All),
        (Layout::Dense, Access::All),
        (Layout::Rows, Access::All),
    ],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn layernorm_grad_weight<T: Float>(call: &Call, _: &mut Worker<'_>, range: Range<usize>) {
    let (x, dy, rows) = (Rows::of(call.input(0)), Rows::of(call.input(3)), call.input(0).rows());
    if let Some(dweight) = &call.outs[0] {
        let (means, rstds) = (call.input(1).as_ptr(), call.input(2).as_ptr());
        layernorm_weight_columns::<T>(range.clone(), rows, x, means, rstds, dy, dweight.as_ptr());
    }
    if let Some(dbias) = &call.outs[1] {
        bias_columns::<T>(range, rows, dy, dbias.as_ptr());
    }
}

multiversion! {
    fn layernorm_weight_columns<T: Float>(range: Range<usize>, rows: usize, x: Rows<T>, means: *mut T, rstds: *mut T,
        dy: Rows<T>, dweight: *mut T) {
        columns(
            range,
            // SAFETY: rows of x and dy and elements of mean and rstd for each, as the caller of `run` promises.
            || (0..rows).map(|r| unsafe { (x.row(r), dy.row(r), *means.add(r), *rstds.add(r)) }),
            (T::ZERO, |a: T, b: T| a + b),
            // SAFETY: the column is one of the row's.
            |chain, (x, dy, mean, rstd), j| unsafe { (*dy.add(j)).mul_add((*x.add(j) - mean) * rstd, chain) },
            // SAFETY: these columns are this range's.
            |first, sums| unsafe { std::ptr::copy_nonoverlapping(sums.as_ptr(), dweight.add(first), sums.len()) },
        );
    }
}

multiversion! {
    fn bias_columns<T: Float>(range: Range<usize>, rows: usize, dy: Rows<T>, dbias: *mut T) {
        columns(
            range,
            || (0..rows).map(|r| dy.row(r)),
            (T::ZERO, |a: T, b: T| a + b),
            // SAFETY: rows of dy, and a column of theirs, as the caller of `run` promises.
            |chain, dy, j| chain + unsafe { *dy.add(j) },
            // SAFETY: these columns are this range's.
            |first, sums| unsafe { std::ptr::copy_nonoverlapping(sums.as_ptr(), dbias.add(first), sums.len()) },
        );
    }
}

#[cfg(test)]
mod tests;
