//! The gradients of attention: the weights are made again from the scores and their log-sum-exp.

use super::{Heads, ROWS, Scores, over_keys, pitch};
use crate::kernels::call::{Access, Call, Kernel, Layout, View, Worker};
use crate::kernels::float::Float;
use crate::kernels::lanes::{map, sum};
use crate::kernels::spatial::{Carver, room_of};
use crate::kernels::tile::{BLOCK, Mode, Product, product};
use std::ops::Range;

/// The gradients of `SDPA`.
///
/// Operands: q, k, v, mask or none, bias or none as for `SDPA`, its outputs y and lse, dy like y (any strides). Outputs:
/// dq `[B, h, q, e]`, dk `[B, hk, k, e]`, dv `[B, hk, k, f]`, dbias `[B, h, q, k]`; any of them may be dead. Arguments
/// as for `SDPA`.
///
/// p = exp(s - lse); D = dy·y in 64 lanes; ds = p · (dy·v - D), which is dbias. dq = scale · Σ ds k over the keys as a
/// product. dv = Σ p dy, dk = scale · Σ ds q: of each query head a chain down the rows in blocks of 512, the heads of a
/// group in order. A unit is a key head of an image, with its query heads.
pub static SDPA_GRAD: Kernel = Kernel {
    name: "sdpa_grad",
    run: [grad::<f32>, grad::<f64>],
    units: |call| call.input(1).dim(0) * call.input(1).dim(1),
    work: |call| {
        let (q, k, v) = (call.input(0), call.input(1), call.input(2));
        let (keys, e, f) = (k.dim(2), q.dim(3), v.dim(3));
        let size = q.dtype.size();
        let copy = |i: usize, rows: usize| room_of(size, Heads::<f32>::of(call.input(i)).buffer(rows));
        room_of(size, e * pitch(keys))
            + room_of(size, f * pitch(keys))
            + 2 * room_of(size, ROWS * pitch(keys))
            + room_of(size, ROWS * e)
            + room_of(size, keys * e)
            + room_of(size, keys * f)
            + copy(0, ROWS)
            + copy(1, keys)
            + copy(5, ROWS)
            + copy(7, ROWS)
    },
    reads: &[
        (Layout::Any, Access::Batch),
        (Layout::Any, Access::Batch),
        (Layout::Any, Access::Batch),
        (Layout::Any, Access::All),
        (Layout::Any, Access::All),
        (Layout::Any, Access::Batch),
        (Layout::Dense, Access::Batch),
        (Layout::Any, Access::Batch),
    ],
    writes: &[Access::Unit],
    inplace: &[],
};

/// A sum down the query rows that becomes dk or dv: the first chain grows where the result will be, the others aside.
struct Down<'a, T> {
    out: &'a mut [T],
    aside: &'a mut [T],
    width: usize,
    begun: bool,
}

impl<T: Float> Down<'_, T> {
    /// Begins a chain of 0.
    fn begin(&mut self) {
        if self.begun { self.aside.fill(T::ZERO) } else { self.out.fill(T::ZERO) }
    }

    /// Adds `left[row][key] · right[row]` for some rows and keys.
    ///
    /// # Safety
    /// `left` has m rows of `pitch`, `right` m rows so far apart.
    unsafe fn add(
        &mut self,
        (left, pitch, m): (&[T], usize, usize),
        keys: Range<usize>,
        (right, step): (*const T, usize),
    ) {
        let chain = if self.begun { &mut *self.aside } else { &mut *self.out };
        let chain = &mut chain[keys.start * self.width..keys.end * self.width];
        // SAFETY: promised by the caller.
        unsafe {
            product(Product {
                m: keys.len(),
                n: self.width,
                k: [1, m],
                a: left.as_ptr().add(keys.start),
                a_row: 1,
                a_k: [0, pitch],
                b: right,
                b_k: [0, step],
                c: chain.as_mut_ptr(),
                c_row: self.width,
                mode: Mode::Chain,
            });
        }
    }

    /// Ends a chain: adds it to those before.
    fn end(&mut self) {
        if self.begun {
            self.out.iter_mut().zip(&*self.aside).for_each(|(out, chain)| *out += *chain);
        }
        self.begun = true;
    }
}

unsafe fn grad<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let scores = Scores::<T>::of(call, 3);
    let (q, k) = (scores.q, scores.k);
    let [v, y, dy] = [2, 5, 7].map(|i| Heads::<T>::of(call.input(i)));
    let lse = call.input(6).as_ptr::<T>().cast_const();
    let [dq_out, dk_out, dv_out, dbias_out] = std::array::from_fn(|i| call.outs.get(i).and_then(Option::as_ref));
    let ([_, heads, queries, e], [_, key_heads, keys, f], pitch) = (q.dim, v.dim, scores.pitch);
    let mut work = Carver::new(worker.work);
    let (kt, vt) = (work.take::<T>(e * pitch), work.take::<T>(f * pitch));
    let (p, ds) = (work.take::<T>(ROWS * pitch), work.take::<T>(ROWS * pitch));
    let dq = work.take::<T>(ROWS * e);
    let (dk_aside, dv_aside) = (work.take::<T>(keys * e), work.take::<T>(keys * f));
    let (q_copy, k_copy) = (work.take::<T>(q.buffer(ROWS)), work.take::<T>(k.buffer(keys)));
    let (y_copy, dy_copy) = (work.take::<T>(y.buffer(ROWS)), work.take::<T>(dy.buffer(ROWS)));
    for unit in units {
        let (b, key_head) = (unit / key_heads, unit % key_heads);
        // SAFETY: the operands may be read; the gradients of this key head and its query heads are ours to write.
        unsafe {
            k.transpose(b, key_head, kt, pitch);
            v.transpose(b, key_head, vt, pitch);
            let (key_rows, key_step) = k.rows((b, key_head), 0..keys, k_copy);
            let slice = |view: Option<&View>, width: usize| {
                view.map(|view| view.slice_mut::<T>(unit * keys * width, keys * width))
            };
            let mut dk = slice(dk_out, e).map(|out| Down { out, aside: &mut *dk_aside, width: e, begun: false });
            let mut dv = slice(dv_out, f).map(|out| Down { out, aside: &mut *dv_aside, width: f, begun: false });
            if queries == 0 {
                dk.iter_mut().chain(&mut dv).for_each(Down::begin);
            }
            for h in key_head * scores.group..(key_head + 1) * scores.group {
                let head = b * heads + h;
                for first in (0..queries).step_by(ROWS) {
                    let rows = first..queries.min(first + ROWS);
                    let span = scores.span(&rows);
                    let (dy_rows, dy_step) = dy.rows((b, h), rows.clone(), dy_copy);
                    let (y_rows, y_step) = y.rows((b, h), rows.clone(), y_copy);
                    scores.fill((b, h), rows.clone(), kt, p);
                    product(Product {
                        m: rows.len(),
                        n: span.len().next_multiple_of(32),
                        k: [1, f],
                        a: dy_rows,
                        a_row: dy_step,
                        a_k: [0, 1],
                        b: vt.as_ptr().add(span.start),
                        b_k: [0, pitch],
                        c: ds.as_mut_ptr().add(span.start),
                        c_row: pitch,
                        mode: Mode::Store,
                    });
                    for row in 0..rows.len() {
                        let at = row * pitch + span.start..row * pitch + span.end;
                        let dot = dot(dy_rows.add(row * dy_step), y_rows.add(row * y_step), f);
                        softmax_grad(&mut p[at.clone()], &mut ds[at], *lse.add(head * queries + first + row), dot);
                    }
                    if first % BLOCK == 0 {
                        dk.iter_mut().chain(&mut dv).for_each(Down::begin);
                    }
                    if let Some(dv) = &mut dv {
                        dv.add((p, pitch, rows.len()), span.clone(), (dy_rows, dy_step));
                    }
                    if let Some(dk) = &mut dk {
                        let (q_rows, q_step) = q.rows((b, h), rows.clone(), q_copy);
                        dk.add((ds, pitch, rows.len()), span.clone(), (q_rows, q_step));
                    }
                    if rows.end % BLOCK == 0 || rows.end == queries {
                        dk.iter_mut().chain(&mut dv).for_each(Down::end);
                    }
                    if let Some(out) = dq_out {
                        over_keys((ds, pitch, rows.len()), span.clone(), (key_rows, key_step), (dq, e));
                        let to = out.slice_mut::<T>((head * queries + first) * e, rows.len() * e);
                        to.iter_mut().zip(&*dq).for_each(|(to, dq)| *to = *dq * scores.scale);
                    }
                    if let Some(out) = dbias_out {
                        for row in 0..rows.len() {
                            let to = out.slice_mut::<T>((head * queries + first + row) * keys, keys);
                            to[..span.start].fill(T::ZERO);
                            to[span.end..].fill(T::ZERO);
                            to[span.clone()].copy_from_slice(&ds[row * pitch..][span.clone()]);
                        }
                    }
                }
            }
            if let Some(dk) = dk {
                dk.out.iter_mut().for_each(|dk| *dk *= scores.scale);
            }
        }
    }
}

multiversion! {
    /// `dy·y` of a row, in lanes.
    fn dot<T: Float>(dy: *const T, y: *const T, n: usize) -> T {
        // SAFETY: rows of n elements, both.
        unsafe { sum([dy, y], n, |chain, [dy, y]| dy.mul_add(y, chain)) }
    }
}

multiversion! {
    /// Scores to weights, and their gradients to those of the scores.
    fn softmax_grad<T: Float>(s: &mut [T], ds: &mut [T], lse: T, dot: T) {
        let (p, n) = (s.as_mut_ptr(), s.len());
        assert_eq!(n, ds.len());
        // SAFETY: the slices; in place.
        unsafe {
            map([p.cast_const()], p, n, |[s]| (s - lse).exp());
            map([p.cast_const(), ds.as_ptr()], ds.as_mut_ptr(), n, |[p, dp]| p * (dp - dot));
        }
    }
}
