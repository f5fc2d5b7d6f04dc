//! Pooling over one to three spatial axes: the largest or the mean of each window, and their gradients.

use super::call::{Access, Args, Call, FaultKind, Kernel, Layout, View, Worker};
use super::float::Float;
use super::spatial::{Carver, Images, room, room_of, triple};
use std::ops::Range;

/// Output columns that are pooled together.
const WIDTH: usize = 64;

/// The largest of each window, and where it is.
///
/// Operand: x `[B, c, S…]` (any strides). Outputs: y `[B, c, S'…]`, indices i64 of the same shape: the flat position in
/// the plane of x. `ints[0..3]` window, `[3..6]` stride, `[6..9]` padding in front, `[9..12]` dilation (the first
/// entries for fewer axes); the output's size says how many windows there are. Positions outside x are never chosen.
/// A tie takes the first; a NaN wins (the last one's index); only -inf: the first position inside. `[13]` = 1: no windows
/// are said, that of output i of n over h places is `i·h/n .. ceil((i + 1)·h/n)`.
pub static MAXPOOL: Kernel = Kernel {
    name: "maxpool",
    run: [maxpool::<f32>, maxpool::<f64>],
    units: planes,
    work: plane_work,
    reads: &[(Layout::Any, Access::Batch)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The gradient of `MAXPOOL`.
///
/// Operands: indices `[B, c, S'…]` i64, dy of the same shape (any strides). Output: dx `[B, c, S…]`. Where windows
/// chose the same position, their dy are added in the order of the windows, from 0. An index outside the plane is
/// reported and left out.
pub static MAXPOOL_GRAD: Kernel = Kernel {
    name: "maxpool_grad",
    run: [maxpool_grad::<f32>, maxpool_grad::<f64>],
    units: planes,
    work: |_| 0,
    reads: &[(Layout::Any, Access::Batch)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The mean of each window.
///
/// Operand: x `[B, c, S…]` (any strides). Output: y `[B, c, S'…]`. `ints` as for `MAXPOOL` (no dilation); `ints[12]` = 1:
/// positions in the padding count too (those beyond it, in a last window that hangs over, do not); `nums[0]`: a fixed
/// divisor, or 0.
///
/// Order of sums: a chain from 0 over the window's positions inside x, row-major; then one division.
pub static AVGPOOL: Kernel = Kernel {
    name: "avgpool",
    run: [avgpool::<f32>, avgpool::<f64>],
    units: planes,
    work: plane_work,
    reads: &[(Layout::Any, Access::Batch)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The gradient of `AVGPOOL`.
///
/// Operand: dy `[B, c, S'…]` (any strides). Output: dx `[B, c, S…]`; arguments as for `AVGPOOL`. Each position adds
/// dy / divisor of the windows that cover it, in their order, from 0.
pub static AVGPOOL_GRAD: Kernel = Kernel {
    name: "avgpool_grad",
    run: [avgpool_grad::<f32>, avgpool_grad::<f64>],
    units: planes,
    work: |call| {
        let dy = call.input(0);
        room_of(dy.dtype.size(), Images::<f32>::of(dy).buffer()) + Windows::room(dy, &call.args)
    },
    reads: &[(Layout::Any, Access::Batch)],
    writes: &[Access::Unit],
    inplace: &[],
};

fn planes(call: &Call) -> usize {
    // The first output may be dead while the second lives.
    let view = call.outs.iter().flatten().next().expect("a kernel runs only while an output lives");
    view.dim(0) * view.dim(1)
}

fn plane_work(call: &Call) -> usize {
    let x = call.input(0);
    let view = call.outs.iter().flatten().next().expect("a kernel runs only while an output lives");
    room_of(x.dtype.size(), Images::<f32>::of(x).buffer()) + Windows::room(view, &call.args)
}

/// The windows along an axis that begin at one output index: what of them lies inside.
#[derive(Clone, Copy)]
struct Span {
    /// How many taps.
    taps: u32,
    /// Where the first of them is.
    at: u32,
    /// How many positions `AVGPOOL` counts.
    count: u32,
}

/// The windows of a plane, with their edges worked out once a call.
struct Windows<'a> {
    from: [usize; 3],
    to: [usize; 3],
    stride: usize,
    pad: usize,
    dilation: [usize; 3],
    /// Of each axis, each output index.
    spans: [&'a [Span]; 3],
    /// Of each tap along the last axis: the output columns for which it lies inside.
    columns: &'a [[u32; 2]],
}

impl<'a> Windows<'a> {
    /// `dilated`: `ints[9..12]` are dilations.
    fn of(
        work: &mut Carver<'a>,
        args: &Args,
        rank: usize,
        from: [usize; 3],
        to: [usize; 3],
        dilated: bool,
    ) -> Windows<'a> {
        let (size, pad) = (triple(args, 0, rank, 1), triple(args, 6, rank, 0));
        let stride = triple(args, 3, rank, 1).map(|stride| stride.max(1));
        let dilation = if dilated { triple(args, 9, rank, 1).map(|d| d.max(1)) } else { [1; 3] };
        let spans = std::array::from_fn(|axis| {
            let spans = work.take::<Span>(to[axis]);
            for (o, span) in spans.iter_mut().enumerate() {
                if args.ints[13] != 0 {
                    let (first, end) = (o * from[axis] / to[axis], ((o + 1) * from[axis]).div_ceil(to[axis]));
                    *span = Span { taps: (end - first) as u32, at: first as u32, count: (end - first) as u32 };
                    continue;
                }
                let (start, pad, step) = (o * stride[axis], pad[axis], dilation[axis]);
                let first = pad.saturating_sub(start).div_ceil(step).min(size[axis]);
                let last = (from[axis] + pad).saturating_sub(start).div_ceil(step).min(size[axis]).max(first);
                let padded = size[axis].min((from[axis] + 2 * pad).saturating_sub(start));
                let count = if args.ints[12] != 0 { padded } else { last - first };
                let at = (start + first * step).saturating_sub(pad);
                *span = Span { taps: (last - first) as u32, at: at as u32, count: count as u32 };
            }
            &*spans
        });
        let columns = work.take::<[u32; 2]>(size[2]);
        for (k, columns) in columns.iter_mut().enumerate() {
            let reach = k * dilation[2];
            let first = pad[2].saturating_sub(reach).div_ceil(stride[2]).min(to[2]);
            let last = (from[2] + pad[2]).saturating_sub(reach).div_ceil(stride[2]).min(to[2]);
            *columns = [first as u32, last as u32];
        }
        Windows { from, to, stride: stride[2], pad: pad[2], dilation, spans, columns }
    }

    /// The bytes that `of` takes.
    fn room(y: &View, args: &Args) -> usize {
        let to = Images::<f32>::of(y).size;
        to.iter().map(|&to| room::<Span>(to)).sum::<usize>() + room::<[u32; 2]>(triple(args, 0, y.rank(), 1)[2])
    }

    /// For each row of outputs: the rows of x that it sees (deep first), and where it begins.
    #[inline(always)]
    fn lines(&self) -> impl Iterator<Item = (Span, Span, usize)> + use<'a> {
        let ([deep, high, _], columns) = (self.spans, self.to[2]);
        let lines = deep.iter().flat_map(move |&deep| high.iter().map(move |&high| (deep, high)));
        lines.enumerate().map(move |(line, (deep, high))| (deep, high, line * columns))
    }

    /// Calls `take(outputs, x from the first that they see, its position)` for every tap of a few outputs of a row, in
    /// row-major order of the taps.
    #[inline(always)]
    fn each_tap<T>(
        &self,
        x: &[T],
        (deep, high): (Span, Span),
        among: Range<usize>,
        mut take: impl FnMut(Range<usize>, &[T], usize),
    ) {
        let row = self.from[2];
        for kd in 0..deep.taps as usize {
            for kh in 0..high.taps as usize {
                let (d, h) = (deep.at as usize + kd * self.dilation[0], high.at as usize + kh * self.dilation[1]);
                let line = (d * self.from[1] + h) * row;
                for (k, &[first, last]) in self.columns.iter().enumerate() {
                    let (first, last) = (among.start.max(first as usize), among.end.min(last as usize));
                    if first < last {
                        let at = line + first * self.stride + k * self.dilation[2] - self.pad;
                        let end = at + (last - 1 - first) * self.stride + 1;
                        take(first - among.start..last - among.start, &x[at..end], at);
                    }
                }
            }
        }
    }
}

unsafe fn maxpool<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let x = Images::<T>::of(call.input(0));
    let view = call.outs.iter().flatten().next().expect("a kernel runs only while an output lives");
    let mut work = Carver::new(worker.work);
    let windows = Windows::of(&mut work, &call.args, view.rank(), x.size, Images::<T>::of(view).size, true);
    let len = windows.to.iter().product::<usize>();
    let buffer = work.take(x.buffer());
    for unit in units {
        // SAFETY: x may be read; the planes of this unit are ours to write.
        unsafe {
            let plane = x.load(unit / x.channels, unit % x.channels, buffer);
            let y = call.outs[0].as_ref().map(|y| y.slice_mut::<T>(unit * len, len));
            let indices = call.outs.get(1).and_then(Option::as_ref).map(|i| i.slice_mut::<i64>(unit * len, len));
            match call.args.ints[13] {
                0 => max_plane(plane, y, indices, &windows),
                _ => max_of_spans(plane, y, indices, &windows),
            }
        }
    }
}

multiversion! {
    fn max_plane<T: Float>(x: &[T], y: Option<&mut [T]>, indices: Option<&mut [i64]>, windows: &Windows<'_>) {
        let (mut y, mut indices) = (y, indices);
        for (deep, high, at) in windows.lines() {
            for start in (0..windows.to[2]).step_by(WIDTH) {
                let among = start..windows.to[2].min(start + WIDTH);
                let (mut best, mut chosen) = ([T::NEG_INF; WIDTH], [-1i32; WIDTH]);
                windows.each_tap(x, (deep, high), among.clone(), |to, x, first| {
                    let (best, chosen, first) = (&mut best[to.clone()], &mut chosen[to], first as i32);
                    match windows.stride {
                        1 => take_larger::<T, 1>(best, chosen, x, first, 1),
                        2 => take_larger::<T, 2>(best, chosen, x, first, 2),
                        stride => take_larger::<T, 0>(best, chosen, x, first, stride),
                    }
                });
                let (to, len) = (at + among.start, among.len());
                if let Some(y) = &mut y {
                    y[to..to + len].copy_from_slice(&best[..len]);
                }
                if let Some(indices) = &mut indices {
                    for (to, &chosen) in indices[to..to + len].iter_mut().zip(&chosen) {
                        *to = i64::from(chosen.max(0));
                    }
                }
            }
        }
    }
}

/// The same where windows follow no stride.
fn max_of_spans<T: Float>(x: &[T], mut y: Option<&mut [T]>, mut indices: Option<&mut [i64]>, windows: &Windows<'_>) {
    let [_, rows, columns] = windows.from;
    for (deep, high, at) in windows.lines() {
        for (i, wide) in windows.spans[2].iter().enumerate() {
            let (mut best, mut chosen) = (T::NEG_INF, None);
            for d in deep.at..deep.at + deep.taps {
                for h in high.at..high.at + high.taps {
                    let first = (d as usize * rows + h as usize) * columns + wide.at as usize;
                    for (k, &value) in x[first..first + wide.taps as usize].iter().enumerate() {
                        if value > best || value.nan() || chosen.is_none() {
                            (best, chosen) = (value, Some(first + k));
                        }
                    }
                }
            }
            if let Some(y) = &mut y {
                y[at + i] = best;
            }
            if let Some(indices) = &mut indices {
                indices[at + i] = chosen.unwrap_or(0) as i64;
            }
        }
    }
}

/// Compares a row of windows with one of their taps.
#[inline(always)]
fn take_larger<T: Float, const STRIDE: usize>(best: &mut [T], chosen: &mut [i32], x: &[T], first: i32, stride: usize) {
    let stride = if STRIDE == 0 { stride } else { STRIDE };
    assert!(x.len() == (best.len() - 1) * stride + 1 && chosen.len() == best.len());
    for (i, (best, chosen)) in best.iter_mut().zip(chosen).enumerate() {
        // SAFETY: i is at most best.len() - 1.
        let value = unsafe { *x.get_unchecked(i * stride) };
        let position = first + (i * stride) as i32;
        // Not short-circuit: one mask.
        let larger = (value > *best) | value.nan() | (*chosen < 0);
        *best = if larger { value } else { *best };
        *chosen = if larger { position } else { *chosen };
    }
}

unsafe fn maxpool_grad<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (indices, dy) = (call.input(0), Images::<T>::of(call.input(1)));
    let dx = call.output(0);
    let len = Images::<T>::of(dx).plane_len();
    // Only sizes and strides are taken from the wrong type.
    let places = Images::<T>::of(indices);
    let base = indices.as_ptr::<i64>().cast_const();
    let mut missed = false;
    for unit in units {
        let (b, channel) = (unit / dy.channels, unit % dy.channels);
        // SAFETY: the plane of this unit is ours to write.
        let dx = unsafe { dx.slice_mut::<T>(unit * len, len) };
        dx.fill(T::ZERO);
        let offset = b as isize * places.batch_step + channel as isize * places.channel_step;
        for (d, h, w) in positions(dy.size) {
            // SAFETY: a window of this plane, in both operands.
            let (place, dy) = unsafe {
                let at = [d, h, w];
                let step = |step: [isize; 3]| (0..3).map(|a| at[a] as isize * step[a]).sum::<isize>();
                (
                    *base.wrapping_offset(offset + step(places.step)),
                    *dy.plane(b, channel).wrapping_offset(step(dy.step)),
                )
            };
            match usize::try_from(place).ok().and_then(|place| dx.get_mut(place)) {
                Some(dx) => *dx += dy,
                None => missed = true,
            }
        }
    }
    if missed {
        worker.report(FaultKind::IndexOutOfRange);
    }
}

fn positions(size: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..size[0]).flat_map(move |d| (0..size[1]).flat_map(move |h| (0..size[2]).map(move |w| (d, h, w))))
}

unsafe fn avgpool<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (x, y) = (Images::<T>::of(call.input(0)), call.output(0));
    let mut work = Carver::new(worker.work);
    let windows = Windows::of(&mut work, &call.args, y.rank(), x.size, Images::<T>::of(y).size, false);
    let len = windows.to.iter().product::<usize>();
    let buffer = work.take(x.buffer());
    for unit in units {
        // SAFETY: x may be read; the plane of this unit is ours to write.
        unsafe {
            let plane = x.load(unit / x.channels, unit % x.channels, buffer);
            mean_plane(plane, y.slice_mut::<T>(unit * len, len), &windows, call.args.nums[0]);
        }
    }
}

/// The divisor of a window.
#[inline(always)]
fn divisor<T: Float>(deep: Span, high: Span, wide: Span, fixed: f64) -> T {
    T::of(if fixed == 0.0 { f64::from(deep.count * high.count * wide.count) } else { fixed })
}

multiversion! {
    fn mean_plane<T: Float>(x: &[T], y: &mut [T], windows: &Windows<'_>, fixed: f64) {
        for (deep, high, at) in windows.lines() {
            for start in (0..windows.to[2]).step_by(WIDTH) {
                let among = start..windows.to[2].min(start + WIDTH);
                let mut sums = [T::ZERO; WIDTH];
                windows.each_tap(x, (deep, high), among.clone(), |to, x, _| {
                    let sums = &mut sums[to];
                    match windows.stride {
                        1 => add_strided::<T, 1>(sums, x, 1),
                        2 => add_strided::<T, 2>(sums, x, 2),
                        stride => add_strided::<T, 0>(sums, x, stride),
                    }
                });
                let y = &mut y[at + among.start..at + among.end];
                for ((y, sum), wide) in y.iter_mut().zip(sums).zip(&windows.spans[2][among]) {
                    let empty = deep.taps * high.taps * wide.taps == 0;
                    *y = if empty { T::ZERO } else { sum / divisor(deep, high, *wide, fixed) };
                }
            }
        }
    }
}

#[inline(always)]
fn add_strided<T: Float, const STRIDE: usize>(sums: &mut [T], x: &[T], stride: usize) {
    let stride = if STRIDE == 0 { stride } else { STRIDE };
    assert!(x.len() == (sums.len() - 1) * stride + 1);
    for (i, sum) in sums.iter_mut().enumerate() {
        // SAFETY: i is at most sums.len() - 1.
        *sum += unsafe { *x.get_unchecked(i * stride) };
    }
}

unsafe fn avgpool_grad<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (dy, dx) = (Images::<T>::of(call.input(0)), call.output(0));
    let mut work = Carver::new(worker.work);
    let windows = Windows::of(&mut work, &call.args, dx.rank(), Images::<T>::of(dx).size, dy.size, false);
    let buffer = work.take(dy.buffer());
    let len = windows.from.iter().product::<usize>();
    for unit in units {
        // SAFETY: dy may be read; the plane of this unit is ours to write.
        unsafe {
            let plane = dy.load(unit / dy.channels, unit % dy.channels, buffer);
            spread_plane(plane, dx.slice_mut::<T>(unit * len, len), &windows, call.args.nums[0]);
        }
    }
}

multiversion! {
    fn spread_plane<T: Float>(dy: &[T], dx: &mut [T], windows: &Windows<'_>, fixed: f64) {
        dx.fill(T::ZERO);
        let [_, rows, columns] = windows.from;
        for (deep, high, at) in windows.lines() {
            for (&wide, dy) in windows.spans[2].iter().zip(&dy[at..]) {
                let share = *dy / divisor(deep, high, wide, fixed);
                for d in deep.at..deep.at + deep.taps {
                    for h in high.at..high.at + high.taps {
                        let first = (d as usize * rows + h as usize) * columns + wide.at as usize;
                        dx[first..first + wide.taps as usize].iter_mut().for_each(|dx| *dx += share);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
