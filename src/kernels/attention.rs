//! Scaled dot-product attention over (batch, head), 32 query rows at a time.
//!
//! The scores of a row: `s_j = fma(q·k_j, scale, bias_j)` (`· scale` without a bias), -inf where the row may not look.
//! A row's bits depend neither on the rows beside it nor on how it is told where it may look: a hidden position adds
//! exact zeros to every chain, so leaving it out changes nothing.

mod grad;

pub use super::rope::ROPE;
pub use grad::SDPA_GRAD;

use super::call::{Access, Call, Kernel, Layout, View, Worker};
use super::float::Float;
use super::gemm;
use super::lanes::{largest, map_sum};
use super::spatial::{Carver, room_of};
use super::tile::{BLOCK, Mode, Product, product};
use std::ops::Range;

/// Query rows of a block.
pub(super) const ROWS: usize = 32;

/// Attention: `y = softmax(q kᵀ · scale + bias) v`, a head.
///
/// Operands: q `[B, h, q, e]`, k `[B, hk, k, e]`, v `[B, hk, k, f]` (any strides; fast if the last axis is contiguous),
/// mask bool `[B, h, q, k]` or none (true: may be looked at), bias `[B, h, q, k]` or none; both may have strides of 0.
/// Outputs: y `[B, h, q, f]` (any strides, so it may be a view of `[B, q, h, f]`), lse `[B, h, q]`: log-sum-exp of each
/// row's scores. `ints[0]` causal: row i looks at j <= i; `ints[1]` window: where |i - j| < window (0: everywhere); `nums[0]` scale.
/// Query head i uses key head i / (h / hk). A row that may look at nothing gives y = 0, lse = +inf.
///
/// Order of sums: q·k as a product; p = exp(s - max), their sum l in 64 lanes by key; Σ p v over the keys as a product
/// (blocks of 512 keys from 0), plus 0, times 1 / l. lse = max + ln(l). A unit is a head of an image.
pub static SDPA: Kernel = Kernel {
    name: "sdpa",
    run: [sdpa::<f32>, sdpa::<f64>],
    units: heads,
    work: |call| {
        let (k, v) = (call.input(1), call.input(2));
        let size = k.dtype.size();
        let copy = if Heads::<f32>::of(v).direct() { 0 } else { k.dim(2) * v.dim(3) };
        scores_room(call) + room_of(size, ROWS * v.dim(3)) + room_of(size, copy)
    },
    reads: &[
        (Layout::Any, Access::Batch),
        (Layout::Any, Access::Batch),
        (Layout::Any, Access::Batch),
        (Layout::Any, Access::All),
    ],
    writes: &[Access::Batch, Access::Unit],
    inplace: &[],
};

/// The weights of attention: `softmax(q kᵀ · scale + bias)`, a head.
///
/// Operands: q, k, mask or none, bias or none, as for `SDPA`. Output: weights `[B, h, q, k]`, 0 where the row may not
/// look. Arguments as for `SDPA`; p · (1 / l).
pub static SDPA_WEIGHTS: Kernel = Kernel {
    name: "sdpa_weights",
    run: [weights::<f32>, weights::<f64>],
    units: heads,
    work: scores_room,
    reads: &[(Layout::Any, Access::Batch), (Layout::Any, Access::Batch), (Layout::Any, Access::All)],
    writes: &[Access::Unit],
    inplace: &[],
};

fn heads(call: &Call) -> usize {
    call.input(0).dim(0) * call.input(0).dim(1)
}

fn scores_room(call: &Call) -> usize {
    let (q, k) = (call.input(0), call.input(1));
    let (size, pitch) = (q.dtype.size(), pitch(k.dim(2)));
    room_of(size, q.dim(3) * pitch) + room_of(size, ROWS * pitch)
}

/// The distance of rows of scores: whole tiles, and no power of two.
pub(super) fn pitch(keys: usize) -> usize {
    keys.next_multiple_of(32) + 16
}

/// A tensor `[B, h, rows, width]`.
#[derive(Clone, Copy)]
pub(super) struct Heads<T> {
    ptr: *mut T,
    pub dim: [usize; 4],
    step: [isize; 4],
}

impl<T: Copy> Heads<T> {
    pub fn of(view: &View) -> Heads<T> {
        Heads {
            ptr: view.as_ptr(),
            dim: std::array::from_fn(|axis| view.dim(axis)),
            step: std::array::from_fn(|axis| view.stride(axis)),
        }
    }

    /// Whether rows can be read as slices.
    pub fn direct(&self) -> bool {
        (self.step[3] == 1 || self.dim[3] <= 1) && self.step[2] >= 0
    }

    /// Where a row begins.
    pub fn row(&self, b: usize, h: usize, row: usize) -> *mut T {
        let [bs, hs, rs, _] = self.step;
        self.ptr.wrapping_offset(b as isize * bs + h as isize * hs + row as isize * rs)
    }

    /// Some rows, contiguous each: in place, or copied to `buffer`; and their distance.
    ///
    /// # Safety
    /// They may be read; `buffer` holds them if they are not direct.
    pub unsafe fn rows(&self, (b, h): (usize, usize), rows: Range<usize>, buffer: &mut [T]) -> (*const T, usize) {
        if self.direct() {
            return (self.row(b, h, rows.start), self.step[2] as usize);
        }
        let width = self.dim[3];
        for (row, to) in rows.zip(buffer.chunks_exact_mut(width.max(1))) {
            let from = self.row(b, h, row);
            for (i, to) in to.iter_mut().enumerate() {
                // SAFETY: an element of the row.
                *to = unsafe { *from.wrapping_offset(i as isize * self.step[3]) };
            }
        }
        (buffer.as_ptr(), width)
    }

    /// A buffer for so many rows, if they must be copied.
    pub fn buffer(&self, rows: usize) -> usize {
        if self.direct() { 0 } else { rows * self.dim[3] }
    }

    /// Writes a row.
    ///
    /// # Safety
    /// The row is the caller's to write.
    pub unsafe fn write(&self, (b, h, row): (usize, usize, usize), values: impl Iterator<Item = T>) {
        let to = self.row(b, h, row);
        for (i, value) in values.enumerate().take(self.dim[3]) {
            // SAFETY: an element of the row.
            unsafe { *to.wrapping_offset(i as isize * self.step[3]) = value };
        }
    }
}

impl<T: Float> Heads<T> {
    /// A head transposed: `to[c * pitch + row]`; what stands beyond the rows is of no account.
    ///
    /// # Safety
    /// The head may be read; `to` has `dim[3]` rows of `pitch`, which is at least 16 more than the head's rows.
    pub unsafe fn transpose(&self, b: usize, h: usize, to: &mut [T], pitch: usize) {
        let from = self.row(b, h, 0).cast_const();
        if self.step[3] == 1 {
            // SAFETY: promised by the caller.
            unsafe {
                gemm::transpose((from, self.step[2]), (self.dim[2], self.dim[3]), (to.as_mut_ptr(), pitch));
            }
            return;
        }
        for row in 0..self.dim[2] as isize {
            for c in 0..self.dim[3] {
                // SAFETY: an element of the head.
                to[c * pitch + row as usize] =
                    unsafe { *from.wrapping_offset(row * self.step[2] + c as isize * self.step[3]) };
            }
        }
    }
}

/// How the scores of a row are made.
pub(super) struct Scores<T> {
    pub q: Heads<T>,
    pub k: Heads<T>,
    mask: Option<Heads<u8>>,
    bias: Option<Heads<T>>,
    causal: bool,
    window: usize,
    pub scale: T,
    pub pitch: usize,
    /// Query heads that share a key head.
    pub group: usize,
}

impl<T: Float> Scores<T> {
    /// From a call whose mask and bias stand at `mask` and `mask + 1`.
    pub fn of(call: &Call, mask: usize) -> Scores<T> {
        let (q, k) = (Heads::<T>::of(call.input(0)), Heads::<T>::of(call.input(1)));
        let optional = |i: usize| call.ins.get(i).and_then(Option::as_ref);
        Scores {
            q,
            k,
            mask: optional(mask).map(Heads::of),
            bias: optional(mask + 1).map(Heads::of),
            causal: call.args.ints[0] != 0,
            window: call.args.ints[1].max(0) as usize,
            scale: T::of(call.args.nums[0]),
            pitch: pitch(k.dim[2]),
            group: (q.dim[1] / k.dim[1].max(1)).max(1),
        }
    }

    /// Where a row may look, before the mask.
    fn limits(&self, row: usize) -> Range<usize> {
        let end = match (self.causal, self.window) {
            (true, _) => self.k.dim[2].min(row + 1),
            (false, 0) => self.k.dim[2],
            (false, window) => self.k.dim[2].min(row + window),
        };
        let start = if self.window > 0 { (row + 1).saturating_sub(self.window).min(end) } else { 0 };
        start..end
    }

    /// The keys that some rows together may look at; begins at a multiple of 64.
    pub fn span(&self, rows: &Range<usize>) -> Range<usize> {
        let (first, last) = (self.limits(rows.start), self.limits(rows.end - 1));
        (first.start.min(last.end) & !63)..last.end
    }

    /// The scores of some rows at `s[(row - rows.start) * pitch + key]`, for the keys of their span.
    ///
    /// # Safety
    /// The operands may be read; `kt` is the key head transposed; `s` holds 32 rows.
    pub unsafe fn fill(&self, (b, h): (usize, usize), rows: Range<usize>, kt: &[T], s: &mut [T]) {
        let span = self.span(&rows);
        // SAFETY: q has these rows, kt and s have rows of `pitch`, beyond the next multiple of 32 of the keys.
        unsafe {
            product(Product {
                m: rows.len(),
                n: span.len().next_multiple_of(32),
                k: [1, self.q.dim[3]],
                a: self.q.row(b, h, rows.start),
                a_row: self.q.step[2] as usize,
                a_k: [0, self.q.step[3] as usize],
                b: kt.as_ptr().add(span.start),
                b_k: [0, self.pitch],
                c: s.as_mut_ptr().add(span.start),
                c_row: self.pitch,
                mode: Mode::Store,
            });
        }
        for (row, s) in rows.zip(s.chunks_exact_mut(self.pitch)) {
            let limits = self.limits(row);
            s[span.start..limits.start.max(span.start)].fill(T::NEG_INF);
            s[limits.end..span.end].fill(T::NEG_INF);
            let s = &mut s[limits.clone()];
            let at = |step: isize| limits.start as isize * step;
            let bias = self
                .bias
                .map(|bias| (bias.row(b, h, row).wrapping_offset(at(bias.step[3])).cast_const(), bias.step[3]));
            let mask = self
                .mask
                .map(|mask| (mask.row(b, h, row).wrapping_offset(at(mask.step[3])).cast_const(), mask.step[3]));
            finish(s, self.scale, bias, mask);
        }
    }
}

multiversion! {
    /// Scale, bias and mask of a row of scores; the operands have as many elements, so far apart.
    fn finish<T: Float>(s: &mut [T], scale: T, bias: Option<(*const T, isize)>, mask: Option<(*const u8, isize)>) {
        match bias {
            None => s.iter_mut().for_each(|s| *s *= scale),
            Some((bias, 1)) => {
                for (j, s) in s.iter_mut().enumerate() {
                    // SAFETY: an element of the bias, which may be read.
                    *s = s.mul_add(scale, unsafe { *bias.add(j) });
                }
            }
            Some((bias, step)) => {
                for (j, s) in s.iter_mut().enumerate() {
                    // SAFETY: as above.
                    *s = s.mul_add(scale, unsafe { *bias.wrapping_offset(j as isize * step) });
                }
            }
        }
        match mask {
            None => {}
            Some((mask, 1)) => {
                for (j, s) in s.iter_mut().enumerate() {
                    // SAFETY: an element of the mask, which may be read.
                    *s = if unsafe { *mask.add(j) } == 0 { T::NEG_INF } else { *s };
                }
            }
            Some((mask, step)) => {
                for (j, s) in s.iter_mut().enumerate() {
                    // SAFETY: as above.
                    *s = if unsafe { *mask.wrapping_offset(j as isize * step) } == 0 { T::NEG_INF } else { *s };
                }
            }
        }
    }
}

multiversion! {
    /// Scores to p = exp(s - max); gives 1 / their sum and the log-sum-exp, (0, +inf) for a row that sees nothing.
    fn exponentials<T: Float>(s: &mut [T]) -> [T; 2] {
        // SAFETY: the slice.
        let max = unsafe { largest(s.as_ptr(), s.len()) };
        if max == T::NEG_INF && s.iter().all(|s| !s.nan()) {
            s.fill(T::ZERO);
            return [T::ZERO, -T::NEG_INF];
        }
        // SAFETY: the slice; in place.
        let sum = unsafe { map_sum(s.as_ptr(), s.as_mut_ptr(), s.len(), |s| (s - max).exp()) };
        [T::ONE / sum, max + sum.ln()]
    }
}

/// `c[row] = Σ_key p[row][key] · b[key]` over a span of keys, in blocks of 512 from key 0.
///
/// # Safety
/// p has `m` rows of `pitch`, b a row for each key (from key 0), c room for m rows of `n`.
pub(super) unsafe fn over_keys<T: Float>(
    (p, pitch, m): (&[T], usize, usize),
    span: Range<usize>,
    (b, b_row): (*const T, usize),
    (c, n): (&mut [T], usize),
) {
    let mut from = span.start;
    c[..m * n].fill(T::ZERO);
    while from < span.end {
        let to = span.end.min(from - from % BLOCK + BLOCK);
        // SAFETY: promised by the caller.
        unsafe {
            product(Product {
                m,
                n,
                k: [1, to - from],
                a: p.as_ptr().add(from),
                a_row: pitch,
                a_k: [0, 1],
                b: b.add(from * b_row),
                b_k: [0, b_row],
                c: c.as_mut_ptr(),
                c_row: n,
                mode: if from == span.start { Mode::Store } else { Mode::Add },
            });
        }
        from = to;
    }
}

unsafe fn sdpa<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let scores = Scores::<T>::of(call, 3);
    let v = Heads::<T>::of(call.input(2));
    let y = call.outs[0].as_ref().map(Heads::<T>::of);
    let lse = call.outs.get(1).and_then(Option::as_ref).map(View::as_ptr::<T>);
    let ([_, heads, queries, e], [_, _, keys, f]) = (scores.q.dim, v.dim);
    let pitch = scores.pitch;
    let mut work = Carver::new(worker.work);
    let (kt, s) = (work.take::<T>(e * pitch), work.take::<T>(ROWS * pitch));
    let (sums, copy) = (work.take::<T>(ROWS * f), work.take::<T>(v.buffer(keys)));
    let mut ready = None;
    for unit in units {
        let (b, h) = (unit / heads, unit % heads);
        let of = (b, h / scores.group);
        // SAFETY: the operands may be read; y and lse of this head are ours to write.
        unsafe {
            if ready != Some(of) {
                scores.k.transpose(of.0, of.1, kt, pitch);
                ready = Some(of);
            }
            let (values, value_row) = v.rows(of, 0..keys, copy);
            for first in (0..queries).step_by(ROWS) {
                let rows = first..queries.min(first + ROWS);
                let span = scores.span(&rows);
                scores.fill((b, h), rows.clone(), kt, s);
                let mut factors = [T::ZERO; ROWS];
                for (row, s) in rows.clone().zip(s.chunks_exact_mut(pitch)) {
                    let [factor, log] = exponentials(&mut s[span.clone()]);
                    factors[row - first] = factor;
                    if let Some(lse) = lse {
                        *lse.add(unit * queries + row) = log;
                    }
                }
                let Some(y) = y else { continue };
                over_keys((s, pitch, rows.len()), span, (values, value_row), (sums, f));
                for (row, sums) in rows.zip(sums.chunks_exact(f.max(1))) {
                    let factor = factors[row - first];
                    let seen = factor != T::ZERO;
                    y.write((b, h, row), sums.iter().map(|&sum| if seen { (sum + T::ZERO) * factor } else { T::ZERO }));
                }
            }
        }
    }
}

unsafe fn weights<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let scores = Scores::<T>::of(call, 2);
    let ([_, heads, queries, e], keys) = (scores.q.dim, scores.k.dim[2]);
    let mut work = Carver::new(worker.work);
    let (kt, s) = (work.take::<T>(e * scores.pitch), work.take::<T>(ROWS * scores.pitch));
    for unit in units {
        let (b, h) = (unit / heads, unit % heads);
        // SAFETY: the operands may be read; the rows of this head are ours to write.
        unsafe {
            scores.k.transpose(b, h / scores.group, kt, scores.pitch);
            for first in (0..queries).step_by(ROWS) {
                let rows = first..queries.min(first + ROWS);
                let span = scores.span(&rows);
                scores.fill((b, h), rows.clone(), kt, s);
                for (row, s) in rows.zip(s.chunks_exact_mut(scores.pitch)) {
                    let s = &mut s[span.clone()];
                    let [factor, _] = exponentials(s);
                    let to = call.output(0).slice_mut::<T>((unit * queries + row) * keys, keys);
                    to[..span.start].fill(T::ZERO);
                    to[span.end..].fill(T::ZERO);
                    to[span.clone()].iter_mut().zip(s).for_each(|(to, s)| *to = *s * factor);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
