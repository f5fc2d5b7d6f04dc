//! Batch norm: statistics of each channel, their use, and the gradients.
//!
//! x is `[B, c]` or `[B, c, S…]` (any strides). *Sums over a channel*: of `[B, c, S…]`, each image's plane in 64 lanes
//! and a tree (`lanes`), the images added in order; of `[B, c]`, a chain down the rows in blocks of 512. n = B · S.

use super::call::{Access, Call, Kernel, Layout, View, Worker};
use super::float::Float;
use super::lanes::{columns, map, sum, sums};
use super::spatial::{Carver, Images, room_of};
use std::ops::Range;

const X: (Layout, Access) = (Layout::Any, Access::Batch);
const CHANNELS: (Layout, Access) = (Layout::Dense, Access::All);

/// The mean and the biased variance of each channel.
///
/// Operand: x `[B, c, S…]`. Outputs: mean `[c]`, var `[c]`. Two passes: mean = sum(x) / n, var = sum((x - mean)²) / n,
/// with `fma(d, d, chain)`. A unit is a channel.
pub static BATCHNORM_STATS: Kernel = Kernel {
    name: "batchnorm_stats",
    run: [stats::<f32>, stats::<f64>],
    units: channels,
    work: |call| plane_room(call, &[0]),
    reads: &[(Layout::Any, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// Normalises: `y = fma(x - mean, w / sqrt(var + eps), b)`.
///
/// Operands: x `[B, c, S…]`, mean `[c]`, var `[c]`, weight `[c]` or none (1), bias `[c]` or none (0). Output: y.
/// `nums[0]` eps. The factor is `1 / sqrt(var + eps)` first, then times w.
pub static BATCHNORM_APPLY: Kernel = Kernel {
    name: "batchnorm_apply",
    run: [apply::<f32>, apply::<f64>],
    units: shares,
    work: |call| plane_room(call, &[0]) + factor_room(call, 0, 3),
    reads: &[X, CHANNELS],
    writes: &[Access::Unit],
    inplace: &[(0, 0)],
};

/// The two sums over a channel that `BATCHNORM_GRAD` and the gradients of weight and bias need.
///
/// Operands: x `[B, c, S…]`, mean `[c]`, var `[c]`, dy like x. Outputs: sum of dy `[c]` (the bias's gradient), sum of
/// dy·x̂ `[c]` (the weight's), x̂ = (x - mean) · (1 / sqrt(var + eps)), `fma(dy, x̂, chain)`. `nums[0]` eps. A unit is a
/// channel.
pub static BATCHNORM_GRAD_STATS: Kernel = Kernel {
    name: "batchnorm_grad_stats",
    run: [grad_stats::<f32>, grad_stats::<f64>],
    units: channels,
    work: |call| plane_room(call, &[0, 3]),
    reads: &[(Layout::Any, Access::All), CHANNELS, CHANNELS, (Layout::Any, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The gradient by x through the statistics of the batch.
///
/// Operands: x `[B, c, S…]`, mean `[c]`, var `[c]`, weight `[c]` or none, dy like x, sum_dy `[c]`, sum_dy_xhat `[c]`.
/// Output: dx = rstd·w · ((dy - sum_dy / n) - x̂ · (sum_dy_xhat / n)), x̂ = (x - mean) · rstd, the product and the last
/// difference rounded once. `nums[0]` eps.
pub static BATCHNORM_GRAD: Kernel = Kernel {
    name: "batchnorm_grad",
    run: [grad::<f32>, grad::<f64>],
    units: shares,
    work: |call| plane_room(call, &[0, 4]) + factor_room(call, 0, 5),
    reads: &[X, CHANNELS, CHANNELS, CHANNELS, X, CHANNELS],
    writes: &[Access::Unit],
    inplace: &[(0, 0), (4, 0)],
};

/// The gradient by x where the statistics are constants: dx = dy · (w / sqrt(var + eps)).
///
/// Operands: var `[c]`, weight `[c]` or none, dy `[B, c, S…]`. Output: dx. `nums[0]` eps.
pub static BATCHNORM_GRAD_EVAL: Kernel = Kernel {
    name: "batchnorm_grad_eval",
    run: [grad_eval::<f32>, grad_eval::<f64>],
    units: shares,
    work: |call| plane_room(call, &[2]) + factor_room(call, 2, 1),
    reads: &[CHANNELS, CHANNELS, X],
    writes: &[Access::Unit],
    inplace: &[(2, 0)],
};

fn channels(call: &Call) -> usize {
    call.input(0).dim(1)
}

/// Planes; of `[B, c]`, rows.
fn shares(call: &Call) -> usize {
    let y = call.output(0);
    if y.rank() == 2 { y.dim(0) } else { y.dim(0) * y.dim(1) }
}

/// Copies of planes that are not contiguous.
fn plane_room(call: &Call, operands: &[usize]) -> usize {
    let room = |&i: &usize| {
        let view = call.input(i);
        if view.rank() == 2 { 0 } else { room_of(view.dtype.size(), Images::<f32>::of(view).buffer()) }
    };
    operands.iter().map(room).sum()
}

/// Factors of each channel, of `[B, c]`; and a row of x and of dy, where the columns do not lie side by side.
fn factor_room(call: &Call, x: usize, factors: usize) -> usize {
    let x = call.input(x);
    if x.rank() == 2 { (factors + 2) * room_of(x.dtype.size(), x.dim(1)) } else { 0 }
}

/// Element i of a `[c]` operand that may be absent.
#[inline(always)]
unsafe fn at<T: Float>(view: Option<&View>, i: usize, absent: T) -> T {
    // SAFETY: an element of the operand, which may be read.
    view.map_or(absent, |view| unsafe { *view.as_ptr::<T>().add(i) })
}

fn rstd<T: Float>(var: T, eps: f64) -> T {
    T::ONE / (var + T::of(eps)).sqrt()
}

/// Writes `[c]` results, if somebody wants them.
unsafe fn put<T: Float>(view: Option<&View>, channel: usize, values: &[T]) {
    if let Some(view) = view {
        // SAFETY: channels of this range.
        unsafe { view.slice_mut::<T>(channel, values.len()) }.copy_from_slice(values);
    }
}

unsafe fn stats<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let x = Images::<T>::of(call.input(0));
    let (mean_out, var_out) = (call.outs[0].as_ref(), call.outs.get(1).and_then(Option::as_ref));
    let n = T::of((x.batch * x.plane_len()) as f64);
    if call.input(0).rank() == 2 {
        return stats_columns(&x, units, n, |channel, mean, var| {
            // SAFETY: channels of this range.
            unsafe {
                put(mean_out, channel, mean);
                put(var_out, channel, var);
            }
        });
    }
    let buffer = Carver::new(worker.work).take(x.buffer());
    for channel in units {
        // SAFETY: x may be read, and the results of this channel are ours to write.
        unsafe {
            let total = over_images(&x, |b| sum_plane(x.load(b, channel, buffer)));
            let mean = total / n;
            put(mean_out, channel, &[mean]);
            if var_out.is_some() {
                let total = over_images(&x, |b| squares_plane(x.load(b, channel, buffer), mean));
                put(var_out, channel, &[total / n]);
            }
        }
    }
}

fn over_images<T: Float>(x: &Images<T>, mut of: impl FnMut(usize) -> T) -> T {
    (1..x.batch).fold(if x.batch == 0 { T::ZERO } else { of(0) }, |total, b| total + of(b))
}

multiversion! {
    fn sum_plane<T: Float>(x: &[T]) -> T {
        // SAFETY: the slice.
        unsafe { sum([x.as_ptr()], x.len(), |chain, [x]| chain + x) }
    }
}

multiversion! {
    fn squares_plane<T: Float>(x: &[T], mean: T) -> T {
        // SAFETY: the slice.
        unsafe { sum([x.as_ptr()], x.len(), |chain, [x]| (x - mean).mul_add(x - mean, chain)) }
    }
}

/// The rows of `[B, c]`, by their first element.
#[inline(always)]
fn rows<T: Float>(x: &Images<T>) -> impl Iterator<Item = *const T> + use<T> {
    let (first, step) = (x.ptr.cast_const(), x.batch_step);
    (0..x.batch as isize).map(move |b| first.wrapping_offset(b * step))
}

/// Where column j of a row stands; a constant step of 1 vectorises.
#[inline(always)]
unsafe fn element<T: Float, const DENSE: usize>(row: *const T, column: usize, step: isize) -> T {
    // SAFETY: promised by the caller.
    unsafe { if DENSE == 1 { *row.add(column) } else { *row.wrapping_offset(column as isize * step) } }
}

/// Takes means and variances of neighbouring channels from the first on.
type Write<'a, T> = dyn FnMut(usize, &[T], &[T]) + 'a;

fn stats_columns<T: Float>(x: &Images<T>, range: Range<usize>, n: T, write: impl FnMut(usize, &[T], &[T])) {
    if x.channel_step == 1 {
        mean_and_var::<T, 1>(x, range, n, &mut { write });
    } else {
        mean_and_var::<T, 0>(x, range, n, &mut { write });
    }
}

multiversion! {
    fn mean_and_var<T: Float, const DENSE: usize>(
        x: &Images<T>,
        range: Range<usize>,
        n: T,
        write: &mut Write<'_, T>,
    ) {
        let (add, step) = (|a: T, b: T| a + b, x.channel_step);
        // SAFETY: elements of x.
        let get = |row, column| unsafe { element::<T, DENSE>(row, column, step) };
        // One after the other, not nested: a closure that is not inlined is compiled for no instruction set.
        for first in range.clone().step_by(512) {
            let range = first..range.end.min(first + 512);
            let (mut mean, mut var) = ([T::ZERO; 512], [T::ZERO; 512]);
            columns(range.clone(), || rows(x), (T::ZERO, add), |chain, row, column| chain + get(row, column), |_, totals| {
                mean[..totals.len()].copy_from_slice(totals);
            });
            mean.iter_mut().for_each(|mean| *mean = *mean / n);
            let square = |chain, row, column: usize| {
                let d = get(row, column) - mean[column - first];
                d.mul_add(d, chain)
            };
            columns(range.clone(), || rows(x), (T::ZERO, add), square, |_, totals| {
                var[..totals.len()].copy_from_slice(totals);
            });
            var.iter_mut().for_each(|var| *var = *var / n);
            write(first, &mean[..range.len()], &var[..range.len()]);
        }
    }
}

unsafe fn grad_stats<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (x, dy) = (Images::<T>::of(call.input(0)), Images::<T>::of(call.input(3)));
    let (mean, var) = (call.ins[1].as_ref(), call.ins[2].as_ref());
    let outs = [call.outs[0].as_ref(), call.outs.get(1).and_then(Option::as_ref)];
    let eps = call.args.nums[0];
    if call.input(0).rank() == 2 {
        // A few channels at a time: their factors fit on the stack.
        for first in units.clone().step_by(64) {
            let range = first..units.end.min(first + 64);
            let (mut means, mut rstds) = ([T::ZERO; 64], [T::ZERO; 64]);
            for channel in range.clone() {
                // SAFETY: `[c]` operands.
                let values = unsafe { (at(mean, channel, T::ZERO), at(var, channel, T::ONE)) };
                (means[channel - first], rstds[channel - first]) = (values.0, rstd(values.1, eps));
            }
            let (mut dys, mut dots) = ([T::ZERO; 64], [T::ZERO; 64]);
            if x.channel_step == 1 && dy.channel_step == 1 {
                grad_columns::<T, 1>(&x, &dy, range.clone(), &means, &rstds, &mut dys, &mut dots);
            } else {
                grad_columns::<T, 0>(&x, &dy, range.clone(), &means, &rstds, &mut dys, &mut dots);
            }
            for (out, values) in outs.iter().zip([&dys, &dots]) {
                // SAFETY: channels of this range.
                unsafe { put(*out, first, &values[..range.len()]) };
            }
        }
        return;
    }
    let mut work = Carver::new(worker.work);
    let (buffer, other) = (work.take(x.buffer()), work.take(dy.buffer()));
    for channel in units {
        // SAFETY: x and dy may be read, and the results of this channel are ours to write.
        unsafe {
            let (mean, rstd) = (at(mean, channel, T::ZERO), rstd(at(var, channel, T::ONE), eps));
            let mut totals = [T::ZERO; 2];
            for b in 0..x.batch {
                let found = dots_plane(x.load(b, channel, buffer), dy.load(b, channel, other), mean, rstd);
                totals = if b == 0 { found } else { [totals[0] + found[0], totals[1] + found[1]] };
            }
            outs.iter().zip(totals).for_each(|(out, total)| put(*out, channel, &[total]));
        }
    }
}

multiversion! {
    fn dots_plane<T: Float>(x: &[T], dy: &[T], mean: T, rstd: T) -> [T; 2] {
        assert_eq!(x.len(), dy.len());
        let step = |[all, dot]: [T; 2], [x, dy]: [T; 2]| [all + dy, dy.mul_add((x - mean) * rstd, dot)];
        // SAFETY: the slices.
        unsafe { sums([x.as_ptr(), dy.as_ptr()], x.len(), step) }
    }
}

multiversion! {
    fn grad_columns<T: Float, const DENSE: usize>(
        x: &Images<T>,
        dy: &Images<T>,
        range: Range<usize>,
        mean: &[T; 64],
        rstd: &[T; 64],
        dys: &mut [T; 64],
        dots: &mut [T; 64],
    ) {
        let (add, first) = (|a: T, b: T| a + b, range.start);
        // SAFETY: elements of dy.
        let dy_at = |row, column| unsafe { element::<T, DENSE>(row, column, dy.channel_step) };
        // SAFETY: elements of x.
        let x_at = |row, column| unsafe { element::<T, DENSE>(row, column, x.channel_step) };
        columns(range.clone(), || rows(dy), (T::ZERO, add), |chain, row, column| chain + dy_at(row, column), |at, sums| {
            dys[at - first..at - first + sums.len()].copy_from_slice(sums);
        });
        let dot = |chain, (x, dy), column: usize| {
            let xhat = (x_at(x, column) - mean[column - first]) * rstd[column - first];
            dy_at(dy, column).mul_add(xhat, chain)
        };
        columns(range, || rows(x).zip(rows(dy)), (T::ZERO, add), dot, |at, sums| {
            dots[at - first..at - first + sums.len()].copy_from_slice(sums);
        });
    }
}

/// Walks what the apply kernels write: planes, or rows of `[B, c]`.
///
/// `factors` gives a channel's numbers; `plane` maps a plane with one set of them, `row` a row with `F` slices of them.
#[inline(always)]
unsafe fn walk<T: Float, const K: usize, const F: usize>(
    worker: &mut Worker<'_>,
    from: [Images<T>; K],
    to: &View,
    units: Range<usize>,
    factors: impl Fn(usize) -> [T; F],
    plane: impl Fn([*const T; K], &mut [T], [T; F]),
    row: impl Fn([*const T; K], &mut [T], [&[T]; F]),
) {
    let mut work = Carver::new(worker.work);
    let x = from[0];
    if to.rank() == 2 {
        let c = x.channels;
        let mut all: [&mut [T]; F] = std::array::from_fn(|_| work.take::<T>(c));
        for channel in 0..c {
            all.iter_mut().zip(factors(channel)).for_each(|(all, factor)| all[channel] = factor);
        }
        let mut copies: [&mut [T]; K] = std::array::from_fn(|_| work.take::<T>(c));
        for b in units {
            let rows = std::array::from_fn(|k| {
                let row = from[k].plane(b, 0).cast_const();
                if from[k].channel_step == 1 || c <= 1 {
                    return row;
                }
                for (i, copy) in copies[k].iter_mut().enumerate() {
                    // SAFETY: an element of row b.
                    *copy = unsafe { *row.wrapping_offset(i as isize * from[k].channel_step) };
                }
                copies[k].as_ptr()
            });
            // SAFETY: row b is a unit of this range.
            row(rows, unsafe { to.slice_mut::<T>(b * c, c) }, std::array::from_fn(|f| &*all[f]));
        }
        return;
    }
    let len = x.plane_len();
    let mut copies: [&mut [T]; K] = std::array::from_fn(|k| work.take::<T>(from[k].buffer()));
    for unit in units {
        let (b, channel) = (unit / x.channels, unit % x.channels);
        // SAFETY: the operands may be read.
        let planes = std::array::from_fn(|k| unsafe { from[k].load(b, channel, copies[k]).as_ptr() });
        // SAFETY: this plane is a unit of this range.
        plane(planes, unsafe { to.slice_mut::<T>(unit * len, len) }, factors(channel));
    }
}

unsafe fn apply<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let x = Images::<T>::of(call.input(0));
    let [mean, var, weight, bias] = std::array::from_fn(|i| call.ins.get(1 + i).and_then(Option::as_ref));
    let factors = |c| {
        // SAFETY: `[c]` operands.
        unsafe {
            let scale = rstd(at(var, c, T::ONE), call.args.nums[0]) * at(weight, c, T::ONE);
            [at(mean, c, T::ZERO), scale, at(bias, c, T::ZERO)]
        }
    };
    // SAFETY: promised by the caller.
    unsafe { walk(worker, [x], call.output(0), units, factors, apply_plane, apply_row) }
}

multiversion! {
    fn apply_plane<T: Float>(x: [*const T; 1], y: &mut [T], f: [T; 3]) {
        let [mean, scale, bias] = f;
        // SAFETY: as many elements of x as of y; x may be y.
        unsafe { map(x, y.as_mut_ptr(), y.len(), |[x]| (x - mean).mul_add(scale, bias)) }
    }
}

multiversion! {
    fn apply_row<T: Float>(x: [*const T; 1], y: &mut [T], f: [&[T]; 3]) {
        let [mean, scale, bias] = f.map(<[T]>::as_ptr);
        let f = |[x, mean, scale, bias]: [T; 4]| (x - mean).mul_add(scale, bias);
        // SAFETY: as many elements of each as of y; x may be y.
        unsafe { map([x[0], mean, scale, bias], y.as_mut_ptr(), y.len(), f) }
    }
}

unsafe fn grad<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (x, dy) = (Images::<T>::of(call.input(0)), Images::<T>::of(call.input(4)));
    let [mean, var, weight, _, sum_dy, sum_dot] = std::array::from_fn(|i| call.ins[1 + i].as_ref());
    let n = T::of((x.batch * x.plane_len()) as f64);
    let factors = |c| {
        // SAFETY: `[c]` operands.
        unsafe {
            let rstd = rstd(at(var, c, T::ONE), call.args.nums[0]);
            let scale = rstd * at(weight, c, T::ONE);
            [at(mean, c, T::ZERO), rstd, scale, at(sum_dy, c, T::ZERO) / n, at(sum_dot, c, T::ZERO) / n]
        }
    };
    // SAFETY: promised by the caller.
    unsafe { walk(worker, [x, dy], call.output(0), units, factors, grad_plane, grad_row) }
}

/// One element of the gradient.
#[inline(always)]
fn through<T: Float>(x: T, dy: T, [mean, rstd, scale, mean_dy, mean_dot]: [T; 5]) -> T {
    let xhat = (x - mean) * rstd;
    scale * (-xhat).mul_add(mean_dot, dy - mean_dy)
}

multiversion! {
    fn grad_plane<T: Float>(from: [*const T; 2], dx: &mut [T], f: [T; 5]) {
        // SAFETY: as many elements of x and dy as of dx, which may be one of them.
        unsafe { map(from, dx.as_mut_ptr(), dx.len(), |[x, dy]| through(x, dy, f)) }
    }
}

multiversion! {
    fn grad_row<T: Float>(from: [*const T; 2], dx: &mut [T], f: [&[T]; 5]) {
        let [a, b, c, d, e] = f.map(<[T]>::as_ptr);
        // `map` knows its result in the first or last place only.
        let f = |[x, a, b, c, d, e, dy]: [T; 7]| through(x, dy, [a, b, c, d, e]);
        // SAFETY: as many elements of each as of dx, which may be x or dy.
        unsafe { map([from[0], a, b, c, d, e, from[1]], dx.as_mut_ptr(), dx.len(), f) }
    }
}

unsafe fn grad_eval<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (var, weight) = (call.ins[0].as_ref(), call.ins[1].as_ref());
    let dy = Images::<T>::of(call.input(2));
    // SAFETY: `[c]` operands.
    let factors = |c| unsafe { [rstd(at(var, c, T::ONE), call.args.nums[0]) * at(weight, c, T::ONE)] };
    // SAFETY: promised by the caller.
    unsafe { walk(worker, [dy], call.output(0), units, factors, scale_plane, scale_row) }
}

multiversion! {
    fn scale_plane<T: Float>(dy: [*const T; 1], dx: &mut [T], f: [T; 1]) {
        // SAFETY: as many elements of dy as of dx, which may be dy.
        unsafe { map(dy, dx.as_mut_ptr(), dx.len(), |[dy]| dy * f[0]) }
    }
}

multiversion! {
    fn scale_row<T: Float>(dy: [*const T; 1], dx: &mut [T], f: [&[T]; 1]) {
        // SAFETY: as many elements of dy and the factors as of dx, which may be dy.
        unsafe { map([dy[0], f[0].as_ptr()], dx.as_mut_ptr(), dx.len(), |[dy, f]| dy * f) }
    }
}

#[cfg(test)]
mod tests;
