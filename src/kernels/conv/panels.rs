//! The engine: planes with a border, 32 pixels' taps gathered into a panel, multiplied with the weights as they lie.

use crate::kernels::float::Float;
use crate::kernels::spatial::Images;
use crate::kernels::tile::{Mode, Product, product};
use std::ops::Range;

/// Pixels of a panel.
pub const PANEL: usize = 32;
/// Elements that a gather may read or write beyond its run.
pub const SLACK: usize = 64;
/// Elements that a gather copies at once.
const CHUNK: usize = 8;
/// Rows of C that are multiplied before they are written out.
const ROWS: usize = 8;

/// What the engine reads: how far the border reaches and where the image lies in it.
#[derive(Clone, Copy)]
pub struct Border {
    /// Sizes with border.
    pub extent: [usize; 3],
    /// Zeros in front.
    pub front: [usize; 3],
    /// Kernel, dilation and stride, which tell the lines that no tap reads; none: all are read.
    pub taps: Option<[[usize; 3]; 3]>,
}

impl Border {
    /// Whether any tap reads position `e` along an axis.
    #[inline(always)]
    fn read(&self, axis: usize, e: usize) -> bool {
        match self.taps {
            Some([kernel, dilation, stride]) if kernel[axis] < stride[axis] || dilation[axis] > 1 => {
                (0..kernel[axis]).any(|k| k * dilation[axis] % stride[axis] == e % stride[axis])
            }
            _ => true,
        }
    }
}

/// Of planes with border: the length of a line sorted by stride, of a row of a phase, of a plane.
pub fn border(extent: [usize; 3], stride: usize) -> (usize, usize, usize) {
    let phase = extent[2].div_ceil(stride);
    let line = phase * stride;
    (line, phase, extent[0] * extent[1] * line)
}

/// Copies planes into `image` with their border of zeros, columns sorted by `stride`.
#[inline(always)]
pub unsafe fn copy_planes<T: Float>(
    image: &mut [T],
    x: &Images<T>,
    at: (usize, Range<usize>),
    b: Border,
    stride: usize,
) {
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
                if !b.read(0, d) || !b.read(1, h) {
                    continue;
                }
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
                    for remainder in (0..stride).filter(|&remainder| b.read(2, remainder)) {
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
pub struct Grid<'a, T> {
    /// Pixels.
    pub size: [usize; 3],
    /// Distances in the image with border; 1 along the last axis.
    pub src: [usize; 2],
    /// Distances in the output plane, and its first pixel.
    pub dst: [usize; 3],
    pub first: usize,
    /// Offset of the first pixel in the image.
    pub base: usize,
    pub image: &'a [T],
    pub offsets: &'a [u32],
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
    pub unsafe fn multiply(
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
