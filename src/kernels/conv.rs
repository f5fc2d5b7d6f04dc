//! Convolution over one to three spatial axes, and its two gradients.
//!
//! Forward and input gradient are one engine: a group's planes are copied once into workspace with a border of zeros
//! (columns sorted by stride, so that every tap reads runs of neighbours); then 32 output pixels at a time, the taps
//! are gathered into a panel `[k][32]` and multiplied with the weights as they lie.

pub use super::conv_weight::CONV_GRAD_WEIGHT;
use super::call::{Access, Args, Call, Kernel, Layout, Worker};
use super::float::Float;
use super::spatial::{Carver, Images, room, room_of, triple};
use super::tile::{Mode, Product, product};
use std::ops::Range;

/// Pixels of a panel.
const PANEL: usize = 32;
/// Elements that a gather may read or write beyond its run.
const SLACK: usize = 64;
/// Elements that a gather copies at once.
const CHUNK: usize = 8;
/// Rows of C that are multiplied before they are written out.
const ROWS: usize = 8;

/// Convolution (cross-correlation, as every library has it).
///
/// Operands: x `[B, c, S…]` (any strides), w `[out, c/groups, k…]`, bias `[out]` or none. Output: y `[B, out, S'…]`.
/// `ints[0..3]` stride, `[3..6]` padding in front, `[6..9]` dilation (the first entries for fewer axes), `[9]` groups;
/// the padding behind follows from the output's size.
///
/// Order of sums: over (c, k…) in the weights' own order, in blocks of 512, border terms included; the bias last.
pub static CONV: Kernel = Kernel {
    name: "conv",
    run: [conv::<f32>, conv::<f64>],
    units: |call| call.output(0).dim(0) * call.output(0).dim(1),
    work: |call| {
        let g = Geometry::of(call.input(0).shape(), call.input(1).shape(), call.output(0).shape(), &call.args);
        let size = call.output(0).dtype.size();
        room_of(size, g.c * border(g.forward().extent, g.stride[2]).2 + SLACK)
            + room_of(size, g.terms() * PANEL + SLACK)
            + room::<u32>(g.terms())
    },
    reads: &[(Layout::Any, Access::Batch), (Layout::Dense, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The gradient of a convolution by its input; also the transposed convolution.
///
/// Operands: dy `[B, out, S'…]` (any strides), w `[out, c/groups, k…]`. Output: dx `[B, c, S…]`. `ints` as for `CONV`.
///
/// Order of sums: over (out, k…) in order, in blocks of 512, of the taps that the stride lets meet the pixel; taps
/// that fall outside dy are terms of value 0.
pub static CONV_GRAD_INPUT: Kernel = Kernel {
    name: "conv_grad_input",
    run: [grad_input::<f32>, grad_input::<f64>],
    units: |call| call.output(0).dim(0) * call.output(0).dim(1),
    work: |call| {
        let g = Geometry::of(call.output(0).shape(), call.input(1).shape(), call.input(0).shape(), &call.args);
        let size = call.output(0).dtype.size();
        room_of(size, g.out * border(g.backward_extent(), 1).2 + SLACK)
            + room_of(size, g.out * g.taps() * PANEL + SLACK)
            + room::<u32>(g.out * g.taps())
            + room_of(size, call.input(1).len())
    },
    reads: &[(Layout::Any, Access::Batch), (Layout::Dense, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The sizes of a convolution; `c` and `out` are a group's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub groups: usize,
    pub c: usize,
    pub out: usize,
    /// S of x.
    pub from: [usize; 3],
    /// S' of y.
    pub to: [usize; 3],
    pub kernel: [usize; 3],
    pub stride: [usize; 3],
    pub pad: [usize; 3],
    pub dilation: [usize; 3],
}

/// What the engine reads: how far the border reaches and where the image lies in it.
#[derive(Clone, Copy)]
struct Border {
    /// Sizes with border.
    extent: [usize; 3],
    /// Zeros in front.
    front: [usize; 3],
}

impl Geometry {
    pub fn of(x: &[u32], w: &[u32], y: &[u32], args: &Args) -> Geometry {
        let rank = x.len();
        let size = |shape: &[u32]| {
            let mut three = [1; 3];
            for (to, &from) in three.iter_mut().rev().zip(shape[2..].iter().rev()) {
                *to = from as usize;
            }
            three
        };
        let groups = args.ints[9].max(1) as usize;
        Geometry {
            groups,
            c: w[1] as usize,
            out: w[0] as usize / groups,
            from: size(x),
            to: size(y),
            kernel: size(w),
            stride: triple(args, 0, rank, 1).map(|s| s.max(1)),
            pad: triple(args, 3, rank, 0),
            dilation: triple(args, 6, rank, 1).map(|d| d.max(1)),
        }
    }

    /// Positions of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Terms of a forward sum.
    pub fn terms(&self) -> usize {
        self.c * self.taps()
    }

    /// Elements of a plane of x and of y.
    pub fn planes(&self) -> (usize, usize) {
        (self.from.iter().product(), self.to.iter().product())
    }

    /// The part of the padded x that the sums read.
    pub fn extent(&self) -> [usize; 3] {
        std::array::from_fn(|a| match (self.to[a], self.kernel[a]) {
            (0, _) | (_, 0) => 0,
            (to, kernel) => (to - 1) * self.stride[a] + (kernel - 1) * self.dilation[a] + 1,
        })
    }

    fn forward(&self) -> Border {
        Border { extent: self.extent(), front: self.pad }
    }

    /// How far back in dy the taps reach.
    fn reach(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.kernel[a].saturating_sub(1) * self.dilation[a] / self.stride[a])
    }

    fn backward_extent(&self) -> [usize; 3] {
        let reach = self.reach();
        std::array::from_fn(|a| (self.from[a] + self.pad[a]).saturating_sub(1) / self.stride[a] + reach[a] + 1)
    }
}

/// Of planes with border: the length of a line sorted by stride, of a row of a phase, of a plane.
fn border(extent: [usize; 3], stride: usize) -> (usize, usize, usize) {
    let phase = extent[2].div_ceil(stride);
    let line = phase * stride;
    (line, phase, extent[0] * extent[1] * line)
}

/// Copies planes into `image` with their border of zeros, columns sorted by `stride`.
#[inline(always)]
unsafe fn copy_planes<T: Float>(image: &mut [T], x: &Images<T>, at: (usize, Range<usize>), b: Border, stride: usize) {
    let (line, phase, _) = border(b.extent, stride);
    if line == 0 {
        return;
    }
    let mut lines = image.chunks_exact_mut(line);
    // Columns of the border that lie inside x.
    let inside = b.front[2].min(b.extent[2])..(b.front[2] + x.size[2]).min(b.extent[2]);
    for channel in at.1 {
        let plane = x.plane(at.0, channel).cast_const();
        for d in 0..b.extent[0] {
            for h in 0..b.extent[1] {
                let dst = lines.next().expect("as many lines as the extent has");
                let (d, h) = (d.wrapping_sub(b.front[0]), h.wrapping_sub(b.front[1]));
                if d >= x.size[0] || h >= x.size[1] || inside.is_empty() {
                    dst.fill(T::ZERO);
                    continue;
                }
                let src = plane.wrapping_offset(d as isize * x.step[0] + h as isize * x.step[1]);
                if stride == 1 {
                    dst[..inside.start].fill(T::ZERO);
                    dst[inside.end..].fill(T::ZERO);
                } else {
                    dst.fill(T::ZERO);
                }
                if stride == 1 && x.step[2] == 1 {
                    // SAFETY: the columns `inside` are those of a row of x, which is contiguous.
                    let src = unsafe { std::slice::from_raw_parts(src, inside.len()) };
                    dst[inside.clone()].copy_from_slice(src);
                } else {
                    for remainder in 0..stride {
                        let first = inside.start + (stride + remainder - inside.start % stride) % stride;
                        let columns = (first..inside.end).step_by(stride);
                        let dst = &mut dst[remainder * phase + first / stride..];
                        for (dst, e) in dst.iter_mut().zip(columns) {
                            // SAFETY: e - front is a column of x.
                            *dst = unsafe { *src.wrapping_offset((e - b.front[2]) as isize * x.step[2]) };
                        }
                    }
                }
            }
        }
    }
}

/// Neighbours in a panel that are neighbours in the image too.
#[derive(Clone, Copy, Default)]
struct Run {
    /// First column in the panel.
    at: usize,
    len: usize,
    /// Offset in the image, before the tap's own.
    src: usize,
    /// Offset in the output plane.
    dst: usize,
}

multiversion! {
    /// Fills a panel `[k][32]`: row k is what tap k sees at the panel's pixels. Copies whole chunks: what a run writes
    /// too much is overwritten by the next run or row.
    fn gather<T: Float>(panel: &mut [T], image: &[T], offsets: &[u32], runs: &[Run]) {
        let furthest = offsets.iter().max().map_or(0, |&o| o as usize);
        let chunked = |run: &Run| run.len.next_multiple_of(CHUNK);
        assert!(panel.len() >= offsets.len() * PANEL + SLACK);
        assert!(runs.iter().all(|run| run.at + run.len <= PANEL && furthest + run.src + chunked(run) <= image.len()));
        let (to, from) = (panel.as_mut_ptr(), image.as_ptr());
        if let [run] = runs && run.len == PANEL {
            for (k, &offset) in offsets.iter().enumerate() {
                // SAFETY: inside both, by the assertions.
                unsafe { *to.add(k * PANEL).cast::<[T; PANEL]>() = *from.add(offset as usize + run.src).cast::<[T; PANEL]>() };
            }
            return;
        }
        for (k, &offset) in offsets.iter().enumerate() {
            for run in runs {
                let mut i = 0;
                while i < run.len {
                    // SAFETY: inside both, by the assertions.
                    unsafe {
                        let src = from.add(offset as usize + run.src + i).cast::<[T; CHUNK]>();
                        *to.add(k * PANEL + run.at + i).cast::<[T; CHUNK]>() = *src;
                    }
                    i += CHUNK;
                }
            }
        }
    }
}

/// A grid of output pixels that share their taps.
struct Grid<'a, T> {
    /// Pixels.
    size: [usize; 3],
    /// Distances in the image with border; 1 along the last axis.
    src: [usize; 2],
    /// Distances in the output plane, and its first pixel.
    dst: [usize; 3],
    first: usize,
    /// Offset of the first pixel in the image.
    base: usize,
    image: &'a [T],
    offsets: &'a [u32],
}

impl<T: Float> Grid<'_, T> {
    /// The runs of the pixels `from .. from + len`.
    fn runs(&self, from: usize, len: usize, runs: &mut [Run; PANEL]) -> usize {
        let (mut count, mut at) = (0, 0);
        let [_, rows, columns] = self.size;
        let (mut d, mut h, mut w) = (from / (rows * columns), from / columns % rows, from % columns);
        while at < len {
            let run = (len - at).min(columns - w);
            let src = self.base + d * self.src[0] + h * self.src[1] + w;
            let dst = self.first + d * self.dst[0] + h * self.dst[1] + w * self.dst[2];
            runs[count] = Run { at, len: run, src, dst };
            (count, at, w, h) = (count + 1, at + run, 0, h + 1);
            if h == rows {
                (d, h) = (d + 1, 0);
            }
        }
        count
    }

    /// Multiplies rows of weights (`terms` apart) with every panel of the grid, into planes `plane` apart.
    ///
    /// # Safety
    /// `weights` has `rows` rows; the planes may be written and nobody else touches them.
    unsafe fn multiply(
        &self,
        panel: &mut [T],
        (weights, rows): (*const T, usize),
        (planes, plane): (*mut T, usize),
        bias: Option<*const T>,
    ) {
        let (pixels, terms) = (self.size.iter().product::<usize>(), self.offsets.len());
        let mut runs = [Run::default(); PANEL];
        let mut sums = [T::ZERO; ROWS * PANEL];
        for from in (0..pixels).step_by(PANEL) {
            let len = PANEL.min(pixels - from);
            let count = self.runs(from, len, &mut runs);
            gather(panel, self.image, self.offsets, &runs[..count]);
            for row in (0..rows).step_by(ROWS) {
                let m = ROWS.min(rows - row);
                // SAFETY: m rows of weights, a panel of `terms` rows, and room for the sums.
                unsafe {
                    product(Product {
                        m,
                        n: len.next_multiple_of(CHUNK),
                        k: [1, terms],
                        a: weights.add(row * terms),
                        a_row: terms,
                        a_k: [0, 1],
                        b: panel.as_ptr(),
                        b_k: [0, PANEL],
                        c: sums.as_mut_ptr(),
                        c_row: PANEL,
                        mode: Mode::Store,
                    });
                }
                for (r, sums) in sums.chunks_exact(PANEL).take(m).enumerate() {
                    // SAFETY: the bias of a row, and that row's own plane.
                    unsafe {
                        let bias = bias.map(|bias| *bias.add(row + r));
                        write(planes.add((row + r) * plane), sums, &runs[..count], self.dst[2], bias);
                    }
                }
            }
        }
    }
}

/// Writes a row of sums to its plane.
unsafe fn write<T: Float>(plane: *mut T, sums: &[T], runs: &[Run], step: usize, bias: Option<T>) {
    for run in runs {
        let sums = &sums[run.at..run.at + run.len];
        for (i, &sum) in sums.iter().enumerate() {
            let value = bias.map_or(sum, |bias| sum + bias);
            // SAFETY: a pixel of the run, in a plane that the caller may write.
            unsafe { *plane.add(run.dst + i * step) = value };
        }
    }
}

/// Cuts units (images × channels, channels in groups of `per`) into (image, group, channels of the group).
pub(super) fn shares(
    units: Range<usize>,
    groups: usize,
    per: usize,
) -> impl Iterator<Item = (usize, usize, Range<usize>)> {
    let mut at = units.start;
    std::iter::from_fn(move || {
        if at >= units.end {
            return None;
        }
        let (image, channel) = (at / (groups * per), at % (groups * per));
        let (group, from) = (channel / per, channel % per);
        let to = per.min(from + units.end - at);
        at += to - from;
        Some((image, group, from..to))
    })
}

/// The offsets of all taps of all planes: `tap` gives a tap's offset within a plane, or none if it is left out.
fn fill_offsets(
    offsets: &mut [u32],
    planes: usize,
    plane: usize,
    g: &Geometry,
    tap: impl Fn([usize; 3]) -> Option<usize>,
) -> usize {
    let mut count = 0;
    for p in 0..planes {
        for d in 0..g.kernel[0] {
            for h in 0..g.kernel[1] {
                for w in 0..g.kernel[2] {
                    if let Some(offset) = tap([d, h, w]) {
                        offsets[count] = (p * plane + offset) as u32;
                        count += 1;
                    }
                }
            }
        }
    }
    count
}

unsafe fn conv<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (x, y) = (Images::<T>::of(call.input(0)), Images::<T>::of(call.output(0)));
    let weights = call.input(1).as_ptr::<T>().cast_const();
    let bias = call.ins.get(2).copied().flatten().map(|bias| bias.as_ptr::<T>().cast_const());
    let g = Geometry::of(call.input(0).shape(), call.input(1).shape(), call.output(0).shape(), &call.args);
    let (around, terms, plane) = (g.forward(), g.terms(), g.planes().1);
    let (line, phase, bordered) = border(around.extent, g.stride[2]);
    let mut work = Carver::new(worker.work);
    let image = work.take::<T>(g.c * bordered + SLACK);
    let panel = work.take::<T>(terms * PANEL + SLACK);
    let offsets = work.take::<u32>(terms);
    fill_offsets(offsets, g.c, bordered, &g, |k| {
        let [d, h, w] = std::array::from_fn(|a| k[a] * g.dilation[a]);
        Some((d * around.extent[1] + h) * line + w % g.stride[2] * phase + w / g.stride[2])
    });
    for (b, group, rows) in shares(units, g.groups, g.out) {
        let channel = group * g.out + rows.start;
        // SAFETY: x may be read; the rows are units of this range, so their planes are ours to write.
        unsafe {
            copy_planes(image, &x, (b, group * g.c..(group + 1) * g.c), around, g.stride[2]);
            let grid = Grid {
                size: g.to,
                src: [g.stride[0] * around.extent[1] * line, g.stride[1] * line],
                dst: [g.to[1] * g.to[2], g.to[2], 1],
                first: 0,
                base: 0,
                image,
                offsets,
            };
            let bias = bias.map(|bias| bias.add(channel));
            grid.multiply(panel, (weights.add(channel * terms), rows.len()), (y.plane(b, channel), plane), bias);
        }
    }
}

/// The pixels of dx whose position has one remainder modulo the stride: they meet the same taps.
struct Phase {
    remainder: [usize; 3],
    /// The first q with q · stride + remainder inside x, and how many.
    first: [usize; 3],
    count: [usize; 3],
    taps: usize,
}

fn phases(g: &Geometry) -> impl Iterator<Item = Phase> + '_ {
    let all = g.stride.iter().product::<usize>();
    (0..all).map(|flat| {
        let s = g.stride;
        let remainder = [flat / (s[1] * s[2]), flat / s[2] % s[1], flat % s[2]];
        let first: [usize; 3] = std::array::from_fn(|a| g.pad[a].saturating_sub(remainder[a]).div_ceil(s[a]));
        let count = std::array::from_fn(|a| {
            (g.from[a] + g.pad[a]).saturating_sub(remainder[a]).div_ceil(s[a]).saturating_sub(first[a])
        });
        let meet = |a: usize| (0..g.kernel[a]).filter(|k| k * g.dilation[a] % s[a] == remainder[a]).count();
        Phase { remainder, first, count, taps: meet(0) * meet(1) * meet(2) }
    })
}

/// Copies the weights of the rows that are needed to `[group][phase][c][out][taps of the phase]`; `taps` is scratch.
unsafe fn pack<T: Float>(
    packed: &mut [T],
    weights: *const T,
    g: &Geometry,
    taps: &mut [u32],
    needed: impl Fn(usize) -> bool,
) {
    let mut at = 0;
    for group in 0..g.groups {
        for phase in phases(g) {
            let mut count = 0;
            for k in 0..g.taps() {
                let tap = [k / (g.kernel[1] * g.kernel[2]), k / g.kernel[2] % g.kernel[1], k % g.kernel[2]];
                if (0..3).all(|a| tap[a] * g.dilation[a] % g.stride[a] == phase.remainder[a]) {
                    taps[count] = k as u32;
                    count += 1;
                }
            }
            for c in 0..g.c {
                let row = &mut packed[at..at + g.out * count];
                at += row.len();
                if count == 0 || !needed(group * g.c + c) {
                    continue;
                }
                for (o, row) in row.chunks_exact_mut(count).enumerate() {
                    let from = ((group * g.out + o) * g.c + c) * g.taps();
                    for (to, &tap) in row.iter_mut().zip(&*taps) {
                        // SAFETY: a weight.
                        *to = unsafe { *weights.add(from + tap as usize) };
                    }
                }
            }
        }
    }
}

unsafe fn grad_input<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (dy, dx) = (Images::<T>::of(call.input(0)), Images::<T>::of(call.output(0)));
    let weights = call.input(1).as_ptr::<T>().cast_const();
    let g = Geometry::of(call.output(0).shape(), call.input(1).shape(), call.input(0).shape(), &call.args);
    let (reach, plane) = (g.reach(), g.planes().0);
    let around = Border { extent: g.backward_extent(), front: reach };
    let (line, _, bordered) = border(around.extent, 1);
    let mut work = Carver::new(worker.work);
    let image = work.take::<T>(g.out * bordered + SLACK);
    let panel = work.take::<T>(g.out * g.taps() * PANEL + SLACK);
    let offsets = work.take::<u32>(g.out * g.taps());
    let packed = work.take::<T>(call.input(1).len());
    let channels = g.groups * g.c;
    let share = units.clone();
    let needed = |c: usize| share.len() >= channels || (c + channels - share.start % channels) % channels < share.len();
    // SAFETY: the weights may be read.
    unsafe { pack(packed, weights, &g, offsets, needed) };
    for (b, group, rows) in shares(units, g.groups, g.c) {
        // SAFETY: dy may be read.
        unsafe { copy_planes(image, &dy, (b, group * g.out..(group + 1) * g.out), around, 1) };
        let mut matrix = group * g.c * g.out * g.taps();
        for phase in phases(&g) {
            let terms = g.out * phase.taps;
            let found = fill_offsets(offsets, g.out, bordered, &g, |k| {
                let back: [usize; 3] = std::array::from_fn(|a| k[a] * g.dilation[a]);
                let meets = (0..3).all(|a| back[a] % g.stride[a] == phase.remainder[a]);
                let [d, h, w] = std::array::from_fn(|a| reach[a] - back[a] / g.stride[a]);
                meets.then_some((d * around.extent[1] + h) * line + w)
            });
            debug_assert_eq!(found, terms);
            let [d, h, w] = phase.first;
            let [pd, ph, pw] =
                std::array::from_fn(|a| (phase.first[a] * g.stride[a] + phase.remainder[a]).wrapping_sub(g.pad[a]));
            let grid = Grid {
                size: phase.count,
                src: [around.extent[1] * line, line],
                dst: [g.stride[0] * g.from[1] * g.from[2], g.stride[1] * g.from[2], g.stride[2]],
                first: pd.wrapping_mul(g.from[1]).wrapping_add(ph).wrapping_mul(g.from[2]).wrapping_add(pw),
                base: (d * around.extent[1] + h) * line + w,
                image,
                offsets: &offsets[..terms],
            };
            // SAFETY: the rows are units of this range, so their planes are ours to write.
            unsafe {
                let weights = packed.as_ptr().add(matrix + rows.start * terms);
                let planes = dx.plane(b, group * g.c + rows.start);
                grid.multiply(panel, (weights, rows.len()), (planes, plane), None);
            }
            matrix += g.c * terms;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kernels::spatial::testing::{Array, indices, run_all_ways, values};

    /// x, w and y shapes with stride, pad, dilation, groups.
    pub(crate) type Case = (&'static [usize], &'static [usize], &'static [usize], [[i32; 3]; 3], i32);

    pub(crate) const CASES: &[Case] = &[
        (&[2, 3, 5, 7], &[4, 3, 3, 3], &[2, 4, 5, 7], [[1, 1, 1], [1, 1, 0], [1, 1, 1]], 1),
        (&[2, 3, 9, 8], &[5, 3, 3, 3], &[2, 5, 5, 4], [[2, 2, 1], [1, 1, 0], [1, 1, 1]], 1),
        (&[1, 4, 9, 11], &[6, 2, 3, 2], &[1, 6, 4, 4], [[2, 3, 1], [1, 2, 0], [2, 3, 1]], 2),
        (&[3, 6, 33], &[6, 1, 5], &[3, 6, 33], [[1, 0, 0], [2, 0, 0], [1, 0, 0]], 6),
        (&[2, 58, 40], &[9, 58, 9], &[2, 9, 32], [[1, 0, 0], [0, 0, 0], [1, 0, 0]], 1),
        (&[1, 2, 4, 5, 6], &[3, 2, 2, 3, 2], &[1, 3, 2, 3, 6], [[2, 2, 1], [0, 1, 1], [1, 1, 2]], 1),
        (&[1, 1, 1, 1], &[1, 1, 1, 1], &[1, 1, 1, 1], [[1, 1, 1], [0, 0, 0], [1, 1, 1]], 1),
        (&[0, 2, 4, 4], &[3, 2, 3, 3], &[0, 3, 4, 4], [[1, 1, 1], [1, 1, 0], [1, 1, 1]], 1),
        (&[1, 2, 7, 7], &[3, 2, 1, 1], &[1, 3, 3, 3], [[3, 3, 1], [0, 0, 0], [1, 1, 1]], 1),
        (&[1, 2, 32, 32], &[17, 2, 3, 3], &[1, 17, 32, 32], [[1, 1, 1], [1, 1, 0], [1, 1, 1]], 1),
        (&[1, 2, 40], &[2, 2, 3], &[1, 2, 15], [[3, 1, 1], [4, 0, 0], [2, 1, 1]], 1),
    ];

    pub(crate) fn args(case: &Case) -> Args {
        let mut args = Args::default();
        for (i, three) in case.3.iter().enumerate() {
            args.ints[3 * i..3 * i + 3].copy_from_slice(three);
        }
        args.ints[9] = case.4;
        args
    }

    /// Which x the tap k of output o reads, if it lies inside.
    pub(crate) fn source(case: &Case, o: &[usize], k: &[usize]) -> Option<Vec<usize>> {
        let [stride, pad, dilation] = case.3;
        (0..o.len())
            .map(|a| {
                let at =
                    (o[a] as i64) * i64::from(stride[a]) + k[a] as i64 * i64::from(dilation[a]) - i64::from(pad[a]);
                (at >= 0 && at < case.0[2 + a] as i64).then_some(at as usize)
            })
            .collect()
    }

    pub(crate) fn blocks<T: Float>(terms: &[(T, T)]) -> T {
        let mut total = None;
        for block in terms.chunks(512) {
            let sum = block.iter().fold(T::ZERO, |sum, &(a, b)| a.mul_add(b, sum));
            total = Some(total.map_or(sum, |total: T| total + sum));
        }
        total.unwrap_or(T::ZERO)
    }

    pub(crate) fn join(a: &[usize], b: &[usize]) -> Vec<usize> {
        [a, b].concat()
    }

    fn forward<T: Float>(case: &Case, x: &Array<T>, w: &Array<T>, bias: Option<&[T]>) -> Array<T> {
        let mut y = Array::zeros(case.2);
        let (out, per) = (case.1[0] / case.4 as usize, case.1[1]);
        for o in indices(case.2) {
            let mut terms = Vec::new();
            for c in 0..per {
                for k in indices(&case.1[2..]) {
                    let from = source(case, &o[2..], &k);
                    let value = from.map_or(T::ZERO, |s| x.get(&join(&[o[0], o[1] / out * per + c], &s)));
                    terms.push((w.get(&join(&[o[1], c], &k)), value));
                }
            }
            let at = y.at(&o);
            y.data[at] = blocks(&terms);
            if let Some(bias) = bias {
                y.data[at] += bias[o[1]];
            }
        }
        y
    }

    fn check_forward<T: Float>(cases: &[Case]) {
        for case in cases {
            let x = Array::new(case.0, values::<T>(case.0.iter().product(), 1));
            let w = Array::new(case.1, values::<T>(case.1.iter().product(), 2));
            let bias = Array::new(&case.1[..1], values::<T>(case.1[0], 3));
            let mut last_first: Vec<usize> = (0..case.0.len()).collect();
            last_first.swap(1, case.0.len() - 1); // channels innermost
            for (x, bias) in [(x.clone(), Some(&bias)), (x.laid(&last_first, 3), None)] {
                let wanted = forward(case, &x, &w, bias.map(|b| &b.data[..]));
                let y = Array::<T>::zeros(case.2);
                let ins = [Some(x.view()), Some(w.view()), bias.map(Array::view)];
                run_all_ways::<T>(&CONV, &ins, &[Some(y.view())], args(case), || assert_eq!(y, wanted, "{case:?}"));
            }
        }
    }

    #[test]
    fn forward_is_its_naive_twin_bit_for_bit() {
        check_forward::<f32>(CASES);
        check_forward::<f64>(CASES);
    }

    fn backward<T: Float>(case: &Case, dy: &Array<T>, w: &Array<T>) -> Array<T> {
        let mut dx = Array::zeros(case.0);
        let (out, per) = (case.1[0] / case.4 as usize, case.1[1]);
        let [stride, pad, dilation] = case.3;
        for i in indices(case.0) {
            let group = i[1] / per;
            let mut terms = Vec::new();
            for o in group * out..(group + 1) * out {
                'taps: for k in indices(&case.1[2..]) {
                    let mut to = Some(Vec::new());
                    for a in 0..k.len() {
                        let at = i[2 + a] as i64 + i64::from(pad[a]) - k[a] as i64 * i64::from(dilation[a]);
                        if at.rem_euclid(i64::from(stride[a])) != 0 {
                            continue 'taps;
                        }
                        let at = at.div_euclid(i64::from(stride[a]));
                        let inside = at >= 0 && at < case.2[2 + a] as i64;
                        to = to.filter(|_| inside).map(|to| join(&to, &[at as usize]));
                    }
                    let value = to.map_or(T::ZERO, |to| dy.get(&join(&[i[0], o], &to)));
                    terms.push((w.get(&join(&[o, i[1] % per], &k)), value));
                }
            }
            let at = dx.at(&i);
            dx.data[at] = blocks(&terms);
        }
        dx
    }

    fn check_backward<T: Float>(cases: &[Case]) {
        for case in cases {
            let dy = Array::new(case.2, values::<T>(case.2.iter().product(), 1));
            let w = Array::new(case.1, values::<T>(case.1.iter().product(), 2));
            let wanted = backward(case, &dy, &w);
            let mut last_first: Vec<usize> = (0..case.0.len()).collect();
            last_first.swap(1, case.0.len() - 1);
            for dy in [dy.clone(), dy.laid(&last_first, 3)] {
                let dx = Array::<T>::zeros(case.0);
                let ins = [Some(dy.view()), Some(w.view())];
                run_all_ways::<T>(&CONV_GRAD_INPUT, &ins, &[Some(dx.view())], args(case), || {
                    assert_eq!(dx, wanted, "{case:?}")
                });
            }
        }
    }

    #[test]
    fn the_input_gradient_is_its_naive_twin_bit_for_bit() {
        check_backward::<f32>(CASES);
        check_backward::<f64>(CASES);
    }
}
