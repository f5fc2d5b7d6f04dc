//! The gradient of a convolution by its weights.
//!
//! Each image is copied once with its border, channels innermost; then a kernel row over all channels is a run of
//! neighbours, and a tile of (output channels) × (run) is read where it lies, pixel after pixel.

use super::{Geometry, shares};
use crate::kernels::call::{Access, Call, Kernel, Layout, Worker};
use crate::kernels::float::Float;
use crate::kernels::spatial::{Carver, Images, room_of};
use crate::kernels::tile::{BLOCK, Mode, Product, product};
use std::ops::Range;

/// Elements that a tile may read beyond a run.
const SLACK: usize = 64;
/// Columns are padded to whole small tiles.
const COLUMNS: usize = 8;
/// Output channels of one pass over the images.
const ROWS: usize = 64;
/// Channels of one pass of the depthwise form.
const LANES: usize = 16;

/// The gradient of a convolution by its weights.
///
/// Operands: x `[B, c, S…]`, dy `[B, out, S'…]` (any strides). Output: dw `[out, c/groups, k…]`. `ints` as for `CONV`.
///
/// Order of sums: per image over the pixels of dy in order, in blocks of 512 (border terms included); then the images
/// in order. A unit is an output channel. (The bias's gradient is the sum of dy over all other axes.)
pub static CONV_GRAD_WEIGHT: Kernel = Kernel {
    name: "conv_grad_weight",
    run: [grad_weight::<f32>, grad_weight::<f64>],
    units: |call| call.output(0).dim(0),
    work: |call| {
        let g = Geometry::of(call.input(0).shape(), call.output(0).shape(), call.input(1).shape(), &call.args);
        let size = call.output(0).dtype.size();
        let (extent, pixels) = (g.extent().iter().product::<usize>(), g.planes().1);
        if depthwise(&g) {
            return room_of(size, extent * LANES)
                + room_of(size, pixels * LANES)
                + 2 * room_of(size, g.taps() * LANES)
                + room_of(8, g.taps());
        }
        let rows = ROWS.min(g.out);
        room_of(size, extent * g.c + SLACK)
            + room_of(size, rows * pixels)
            + 3 * room_of(size, rows * Columns::of(&g).len)
    },
    reads: &[(Layout::Any, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

fn depthwise(g: &Geometry) -> bool {
    g.c == 1 && g.out == 1
}

/// How the columns of a group's dw lie in the workspace: `runs` runs of (columns of the kernel, c), padded.
#[derive(Clone, Copy)]
struct Columns {
    /// Elements of a run.
    run: usize,
    /// The same, padded.
    padded: usize,
    /// Kernel columns of a run: all of them, or one if they are dilated.
    wide: usize,
    /// Elements of a row.
    len: usize,
}

impl Columns {
    fn of(g: &Geometry) -> Columns {
        let wide = if g.dilation[2] == 1 { g.kernel[2] } else { 1 };
        let run = wide * g.c;
        let padded = run.next_multiple_of(COLUMNS);
        Columns { run, padded, wide, len: g.taps() / wide.max(1) * padded }
    }
}

/// Copies channels of an image into `[d][h][w][lanes]`, with a border of zeros up to `extent`; lanes beyond are 0.
unsafe fn copy_lanes<T: Float>(
    to: &mut [T],
    x: &Images<T>,
    (b, channels): (usize, Range<usize>),
    (extent, front): ([usize; 3], [usize; 3]),
    lanes: usize,
) {
    let row = extent[2] * lanes;
    if row == 0 {
        return;
    }
    let inside = front[2].min(extent[2])..(front[2] + x.size[2]).min(extent[2]);
    let covered = inside == (0..extent[2]) && channels.len() == lanes;
    for (line, to) in to.chunks_exact_mut(row).take(extent[0] * extent[1]).enumerate() {
        let (d, h) = ((line / extent[1]).wrapping_sub(front[0]), (line % extent[1]).wrapping_sub(front[1]));
        let empty = d >= x.size[0] || h >= x.size[1] || inside.is_empty();
        if empty || !covered {
            to.fill(T::ZERO);
        }
        if empty {
            continue;
        }
        for (lane, channel) in channels.clone().enumerate() {
            let from = x.plane(b, channel).wrapping_offset(d as isize * x.step[0] + h as isize * x.step[1]);
            let to = to[inside.start * lanes..inside.end * lanes].chunks_exact_mut(lanes);
            for (i, to) in to.enumerate() {
                // SAFETY: an element of row (d, h) of the plane, which may be read.
                to[lane] = unsafe { *from.wrapping_offset(i as isize * x.step[2]) };
            }
        }
    }
}

unsafe fn grad_weight<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (x, dy) = (Images::<T>::of(call.input(0)), Images::<T>::of(call.input(1)));
    let dw = call.output(0).as_ptr::<T>();
    let g = Geometry::of(call.input(0).shape(), call.output(0).shape(), call.input(1).shape(), &call.args);
    let mut work = Carver::new(worker.work);
    if depthwise(&g) {
        // SAFETY: promised by the caller.
        return unsafe { grad_depthwise(&x, &dy, dw, &g, &mut work, units) };
    }
    let (columns, extent, pixels, terms) = (Columns::of(&g), g.extent(), g.planes().1, g.terms());
    let most = ROWS.min(g.out);
    let image = work.take::<T>(extent.iter().product::<usize>() * g.c + SLACK);
    let copy = work.take::<T>(most * pixels);
    let [total, part, block] = std::array::from_fn(|_| work.take::<T>(most * columns.len));
    for (_, group, share) in shares(units, g.groups, g.out) {
        for first in share.clone().step_by(most.max(1)) {
            let rows = most.min(share.end - first);
            let len = rows * columns.len;
            let (total, part, block) = (&mut total[..len], &mut part[..len], &mut block[..len]);
            if x.batch == 0 || pixels == 0 {
                total.fill(T::ZERO);
            }
            for b in 0..x.batch {
                let channel = group * g.out + first;
                // SAFETY: x and dy may be read.
                let (a, a_row) = unsafe {
                    copy_lanes(image, &x, (b, group * g.c..(group + 1) * g.c), (extent, g.pad), g.c);
                    if dy.contiguous() && dy.channel_step >= 0 {
                        (dy.plane(b, channel).cast_const(), dy.channel_step as usize)
                    } else {
                        for r in 0..rows {
                            dy.load(b, channel + r, &mut copy[r * pixels..(r + 1) * pixels]);
                        }
                        (copy.as_ptr(), pixels)
                    }
                };
                let single = pixels <= BLOCK;
                for from in (0..pixels).step_by(BLOCK) {
                    let range = from..pixels.min(from + BLOCK);
                    let (to, add) = if single { (&mut *total, b > 0) } else { (&mut *part, from > 0) };
                    // SAFETY: `a` has `rows` rows of pixels; the image is there.
                    unsafe { add_block((a, a_row, rows), image, &g, &columns, range, (to, add), block) };
                }
                if !single && b == 0 {
                    total.copy_from_slice(part);
                } else if !single {
                    add(total, part);
                }
            }
            for (r, total) in total.chunks_exact(columns.len.max(1)).enumerate() {
                let o = group * g.out + first + r;
                for c in 0..g.c {
                    for k in 0..g.taps() {
                        let (run, w) = (k / columns.wide, k % columns.wide);
                        // SAFETY: channel o is a unit of this range.
                        unsafe { *dw.add(o * terms + c * g.taps() + k) = total[run * columns.padded + w * g.c + c] };
                    }
                }
            }
        }
    }
}

multiversion! {
    fn add<T: Float>(to: &mut [T], from: &[T]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += *from;
        }
    }
}

/// Adds a block of pixels to dw (or begins it).
///
/// # Safety
/// `a` has rows of pixels, so far apart, so many.
unsafe fn add_block<T: Float>(
    (a, a_row, m): (*const T, usize, usize),
    image: &[T],
    g: &Geometry,
    columns: &Columns,
    pixels: Range<usize>,
    (to, adds): (&mut [T], bool),
    block: &mut [T],
) {
    let [_, eh, ew] = g.extent();
    let [_, rows, width] = g.to;
    // A block in one piece goes straight to its place.
    let (_, whole) = piece(pixels.clone(), rows, width);
    let whole = whole[0] * whole[1] == pixels.len();
    for run in 0..columns.len / columns.padded.max(1) {
        let mut k = run;
        let mut w = 0;
        if columns.wide != g.kernel[2] {
            (k, w) = (run / g.kernel[2], run % g.kernel[2]);
        }
        let (kd, kh) = (k / g.kernel[1], k % g.kernel[1]);
        let column = run * columns.padded;
        let mut at = pixels.start;
        while at < pixels.end {
            let ([d, h, o], len) = piece(at..pixels.end, rows, width);
            let line = (d * g.stride[0] + kd * g.dilation[0]) * eh + h * g.stride[1] + kh * g.dilation[1];
            let from = (line * ew + o * g.stride[2] + w * g.dilation[2]) * g.c;
            let mode = match (whole, adds, at == pixels.start) {
                (true, true, _) => Mode::Add,
                (true, false, _) | (false, _, true) => Mode::Store,
                (false, _, false) => Mode::Chain,
            };
            debug_assert!(len[1] == 0 || columns.run == 0 || from + columns.run <= image.len());
            // SAFETY: the runs of these pixels lie in the image, whose slack covers the padding; the rest is promised.
            unsafe {
                product(Product {
                    m,
                    n: columns.padded,
                    k: len,
                    a: a.add(at),
                    a_row,
                    a_k: [width, 1],
                    b: image.as_ptr().add(from),
                    b_k: [g.stride[1] * ew * g.c, g.stride[2] * g.c],
                    c: if whole { to.as_mut_ptr().add(column) } else { block.as_mut_ptr().add(column) },
                    c_row: columns.len,
                    mode,
                });
            }
            at += len[0] * len[1];
        }
    }
    if !whole && adds {
        add(to, block);
    } else if !whole {
        to.copy_from_slice(block);
    }
}

/// The longest piece from the first pixel that is whole rows, or a part of one row: its place, rows and columns.
fn piece(pixels: Range<usize>, rows: usize, width: usize) -> ([usize; 3], [usize; 2]) {
    let (d, h, w) = (pixels.start / (rows * width), pixels.start / width % rows, pixels.start % width);
    let len = if w == 0 && pixels.len() >= width {
        [(rows - h).min(pixels.len() / width), width]
    } else {
        [1, pixels.len().min(width - w)]
    };
    ([d, h, w], len)
}

/// One channel a group: the channels are the lanes.
unsafe fn grad_depthwise<T: Float>(
    x: &Images<T>,
    dy: &Images<T>,
    dw: *mut T,
    g: &Geometry,
    work: &mut Carver<'_>,
    units: Range<usize>,
) {
    let (taps, extent, pixels) = (g.taps(), g.extent(), g.planes().1);
    let image = work.take::<T>(extent.iter().product::<usize>() * LANES);
    let grad = work.take::<T>(pixels * LANES);
    let [total, part] = std::array::from_fn(|_| work.take::<T>(taps * LANES));
    let offsets = work.take::<usize>(taps);
    for (k, offset) in offsets.iter_mut().enumerate() {
        let (d, h, w) = (k / (g.kernel[1] * g.kernel[2]), k / g.kernel[2] % g.kernel[1], k % g.kernel[2]);
        let [d, h, w] = [d * g.dilation[0], h * g.dilation[1], w * g.dilation[2]];
        *offset = ((d * extent[1] + h) * extent[2] + w) * LANES;
    }
    let steps = [g.stride[0] * extent[1] * extent[2], g.stride[1] * extent[2], g.stride[2]].map(|step| step * LANES);
    for first in units.clone().step_by(LANES) {
        let channels = first..units.end.min(first + LANES);
        total.fill(T::ZERO);
        for b in 0..x.batch {
            // SAFETY: x and dy may be read.
            unsafe {
                copy_lanes(image, x, (b, channels.clone()), (extent, g.pad), LANES);
                copy_lanes(grad, dy, (b, channels.clone()), (g.to, [0; 3]), LANES);
            }
            part.fill(T::ZERO);
            for from in (0..pixels).step_by(BLOCK) {
                let range = from..pixels.min(from + BLOCK);
                let mut k = 0;
                while k < taps {
                    let (sums, offsets) = (&mut part[k * LANES..], &offsets[k..]);
                    let fresh = from == 0;
                    k += match taps - k {
                        9.. => lanes::<T, 9>(sums, image, grad, offsets, g.to, steps, range.clone(), fresh),
                        4.. => lanes::<T, 4>(sums, image, grad, offsets, g.to, steps, range.clone(), fresh),
                        _ => lanes::<T, 1>(sums, image, grad, offsets, g.to, steps, range.clone(), fresh),
                    };
                }
            }
            if b == 0 {
                total.copy_from_slice(part);
            } else {
                add(total, part);
            }
        }
        for (lane, channel) in channels.enumerate() {
            for k in 0..taps {
                // SAFETY: a channel of this range.
                unsafe { *dw.add(channel * taps + k) = total[k * LANES + lane] };
            }
        }
    }
}

multiversion! {
    /// Adds a block of pixels to N taps of sixteen channels (or begins them); gives N.
    fn lanes<T: Float, const N: usize>(
        sums: &mut [T],
        image: &[T],
        grad: &[T],
        offsets: &[usize],
        size: [usize; 3],
        steps: [usize; 3],
        pixels: Range<usize>,
        fresh: bool
    ) -> usize {
        let mut block = [[T::ZERO; LANES]; N];
        let offsets: [usize; N] = std::array::from_fn(|n| offsets[n]);
        let mut at = pixels.start;
        while at < pixels.end {
            let (d, h, w) = (at / (size[1] * size[2]), at / size[2] % size[1], at % size[2]);
            let len = (size[2] - w).min(pixels.end - at);
            let mut from = d * steps[0] + h * steps[1] + w * steps[2];
            for grad in grad[at * LANES..(at + len) * LANES].chunks_exact(LANES) {
                for (block, offset) in block.iter_mut().zip(offsets) {
                    let x = &image[from + offset..from + offset + LANES];
                    for ((sum, x), grad) in block.iter_mut().zip(x).zip(grad) {
                        *sum = grad.mul_add(*x, *sum);
                    }
                }
                from += steps[2];
            }
            at += len;
        }
        for (sums, block) in sums.chunks_exact_mut(LANES).zip(&block) {
            for (sum, block) in sums.iter_mut().zip(block) {
                *sum = if fresh { *block } else { *sum + *block };
            }
        }
        N
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conv::tests::{CASES, Case, args, blocks, join, source};
    use crate::kernels::spatial::testing::{Array, indices, run_all_ways, values};

    fn twin<T: Float>(case: &Case, x: &Array<T>, dy: &Array<T>) -> Array<T> {
        let mut dw = Array::zeros(case.1);
        let (out, per) = (case.1[0] / case.4 as usize, case.1[1]);
        for k in indices(case.1) {
            let mut total: Option<T> = None;
            for b in 0..case.0[0] {
                let terms: Vec<(T, T)> = indices(&case.2[2..])
                    .iter()
                    .map(|o| {
                        let from = source(case, o, &k[2..]);
                        let value = from.map_or(T::ZERO, |s| x.get(&join(&[b, k[0] / out * per + k[1]], &s)));
                        (dy.get(&join(&[b, k[0]], o)), value)
                    })
                    .collect();
                let part = blocks(&terms);
                total = Some(total.map_or(part, |total| total + part));
            }
            let at = dw.at(&k);
            dw.data[at] = total.unwrap_or(T::ZERO);
        }
        dw
    }

    fn check<T: Float>() {
        let more: &[Case] = &[
            (&[2, 3, 9, 300], &[3, 1, 2, 2], &[2, 3, 5, 299], [[2, 1, 1], [1, 0, 0], [2, 1, 1]], 3),
            (&[2, 3, 9, 300], &[4, 3, 2, 2], &[2, 4, 5, 299], [[2, 1, 1], [1, 0, 0], [2, 1, 1]], 1),
            (&[1, 2, 20, 20, 3], &[70, 2, 1, 1, 2], &[1, 70, 20, 20, 3], [[1, 1, 1], [0, 0, 1], [1, 1, 2]], 1),
            (&[2, 1, 6, 6], &[2, 1, 3, 3], &[2, 2, 6, 6], [[1, 1, 1], [1, 1, 0], [1, 1, 1]], 1),
        ];
        for case in CASES.iter().chain(more) {
            let x = Array::new(case.0, values::<T>(case.0.iter().product(), 1));
            let dy = Array::new(case.2, values::<T>(case.2.iter().product(), 2));
            let wanted = twin(case, &x, &dy);
            let mut last_first: Vec<usize> = (0..case.0.len()).collect();
            last_first.swap(1, case.0.len() - 1);
            for (x, dy) in [(x.clone(), dy.clone()), (x.laid(&last_first, 3), dy.laid(&last_first, 1))] {
                let dw = Array::<T>::zeros(case.1);
                let ins = [Some(x.view()), Some(dy.view())];
                run_all_ways::<T>(&CONV_GRAD_WEIGHT, &ins, &[Some(dw.view())], args(case), || {
                    assert_eq!(dw, wanted, "{case:?}")
                });
            }
        }
    }

    #[test]
    fn the_weight_gradient_is_its_naive_twin_bit_for_bit() {
        check::<f32>();
        check::<f64>();
    }
}
