//! Convolution over one to three spatial axes, and its two gradients.
//!
//! Forward and input gradient are one engine: a group's planes are copied once into workspace with a border of zeros
//! (columns sorted by stride, so that every tap reads runs of neighbours); then 32 output pixels at a time, the taps
//! are gathered into a panel `[k][32]` and multiplied with the weights as they lie.

use super::call::{Access, Args, Call, Kernel, Layout, Worker};
mod panels;
mod weight;

pub use weight::CONV_GRAD_WEIGHT;

use super::float::Float;
use super::spatial::{Carver, Images, room, room_of, triple};
use panels::{Border, Grid, PANEL, SLACK, border, copy_planes};
use std::ops::Range;

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
        Border { extent: self.extent(), front: self.pad, taps: Some([self.kernel, self.dilation, self.stride]) }
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
    let around = Border { extent: g.backward_extent(), front: reach, taps: None };
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
mod tests;
