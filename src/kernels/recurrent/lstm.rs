//! Long short-term memory: gates i, f, g, o in this order.

use super::{DENSE, Factor, Out, ROWS, WEIGHTS, Walk, add, begin, bytes, given, groups, row, together};
use crate::kernels::call::{Access, Call, Kernel, View, Worker};
use crate::kernels::float::Float;
use crate::kernels::lanes::Rows;
use crate::kernels::spatial::Carver;
use std::ops::Range;

/// A layer of LSTM cells.
///
/// Operands: x `[B, T, 4n]` (the inputs' product, biases added), w `[4n, p]`, h `[B, p]` or none, c `[B, n]` or none,
/// lengths i64 `[B]` or none, the projection `[p, n]` or none (p is n then). Outputs: y `[B, T, p]`, h `[B, p]` and
/// c `[B, n]` at each sequence's last step, the gates `[B, T, 4n]`, all c `[B, T, n]`. ints: whether from the end.
///
/// i, f, o = sigmoid(x + h wᵀ), g = tanh(the same); c = fma(f, c, i g); h = o tanh(c), projected.
pub static LSTM: Kernel = Kernel {
    name: "lstm",
    run: [forward::<f32>, forward::<f64>],
    units: |call| call.input(0).dim(0),
    work: |call| {
        let ([n, p], m) = (sizes(call.input(1)), together(call, 0));
        let projected = if call.ins[5].is_some() { [Factor::<f32>::len(n, p), m * n] } else { [0, 0] };
        let own = [Factor::<f32>::len(p, 4 * n), m * p, m * n, m * 4 * n];
        bytes(call.input(0).dtype.size(), &own) + bytes(call.input(0).dtype.size(), &projected)
    },
    reads: &[ROWS, WEIGHTS, ROWS, ROWS, DENSE, WEIGHTS],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The sizes of c and h.
fn sizes(w: &View) -> [usize; 2] {
    [w.dim(0) / 4, w.dim(1)]
}

unsafe fn forward<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (x, w) = (Rows::<T>::of(call.input(0)), call.input(1));
    let (steps, [n, p], m) = (call.input(0).dim(1), sizes(w), together(call, 0));
    let walk = Walk::of(call, 4, steps);
    let [y, h_last, c_last, gates, cells] = std::array::from_fn(|index| Out::<T>::of(call, index));
    // SAFETY: rows of these sequences only, and weights that nobody writes, as the caller promises.
    unsafe {
        walk.check(worker, units.clone());
        let mut work = Carver::new(worker.work);
        let w = Factor::transposed(w, work.take(Factor::<T>::len(p, 4 * n)));
        let (h, c, g) = (work.take::<T>(m * p), work.take::<T>(m * n), work.take::<T>(m * 4 * n));
        let projection = call.ins[5].as_ref();
        let mut projection = projection.map(|projection| {
            let factor = Factor::<T>::transposed(projection, work.take(Factor::<T>::len(n, p)));
            (factor, work.take::<T>(m * n))
        });
        for sequences in groups(units) {
            begin(h, given(call, 2), sequences.clone());
            begin(c, given(call, 3), sequences.clone());
            for t in (0..steps).map(|nth| walk.at(nth)) {
                w.times(sequences.len(), (h.as_ptr(), p), (g.as_mut_ptr(), 4 * n));
                for (i, b) in sequences.clone().enumerate() {
                    let (own, at) = (walk.has(b, t), b * steps + t);
                    let (g, c) = (&mut g[i * 4 * n..][..4 * n], &mut c[i * n..][..n]);
                    if own {
                        let open = match &mut projection {
                            Some((_, open)) => &mut open[i * n..][..n],
                            None => &mut h[i * n..][..n],
                        };
                        step(row(x, at), g, c, open);
                    }
                    gates.write(at, own.then_some(&*g));
                    cells.write(at, own.then_some(&*c));
                }
                if let Some((projection, open)) = &projection {
                    // The gates are spent: what is projected goes where they were.
                    projection.times(sequences.len(), (open.as_ptr(), n), (g.as_mut_ptr(), p));
                }
                for (i, b) in sequences.clone().enumerate() {
                    let (own, h) = (walk.has(b, t), &mut h[i * p..][..p]);
                    if own && projection.is_some() {
                        h.copy_from_slice(&g[i * p..][..p]);
                    }
                    y.write(b * steps + t, own.then_some(&*h));
                }
            }
            for (i, b) in sequences.enumerate() {
                h_last.write(b, Some(&h[i * p..][..p]));
                c_last.write(b, Some(&c[i * n..][..n]));
            }
        }
    }
}

multiversion! {
    /// Products to gates, the cell's new state, and what its gate lets out.
    fn step<T: Float>(x: &[T], gates: &mut [T], c: &mut [T], open: &mut [T]) {
        let n = c.len();
        let (open, [xi, xf, xg, xo]) = (&mut open[..n], quarters(x, n));
        let (i, rest) = gates.split_at_mut(n);
        let (f, rest) = rest.split_at_mut(n);
        let (g, o) = rest.split_at_mut(n);
        let o = &mut o[..n];
        for j in 0..n {
            i[j] = (xi[j] + i[j]).sigmoid();
            f[j] = (xf[j] + f[j]).sigmoid();
            g[j] = (xg[j] + g[j]).tanh();
            o[j] = (xo[j] + o[j]).sigmoid();
            c[j] = f[j].mul_add(c[j], i[j] * g[j]);
            open[j] = o[j] * c[j].tanh();
        }
    }
}

#[inline(always)]
fn quarters<T>(all: &[T], n: usize) -> [&[T]; 4] {
    [0, 1, 2, 3].map(|nth| &all[nth * n..][..n])
}

/// The gradients of `LSTM`.
///
/// Operands: w, h or none, c or none, lengths or none, the projection or none as for `LSTM`; its y, gates, all c; dy
/// `[B, T, p]`, dh `[B, p]` or none, dc `[B, n]` or none. Outputs: dx `[B, T, 4n]`, dh `[B, p]`, dc `[B, n]`, the state h
/// before each step `[B, T, p]` (its product with dx is the gradient of w); and for the projection the whole gradient of
/// each h `[B, T, p]` and what was projected `[B, T, n]`. ints as for `LSTM`.
pub static LSTM_GRAD: Kernel = Kernel {
    name: "lstm_grad",
    run: [backward::<f32>, backward::<f64>],
    units: |call| call.input(5).dim(0),
    work: |call| {
        let ([n, p], m, size) = (sizes(call.input(0)), together(call, 5), call.input(0).dtype.size());
        let projected = if call.ins[4].is_some() { [Factor::<f32>::len(p, n), m * n] } else { [0, 0] };
        bytes(size, &[Factor::<f32>::len(4 * n, p), m * p, m * p, m * n, 4 * n, n])
            + bytes(size, &projected)
            + bytes(size, &[m * 4 * n])
    },
    reads: &[WEIGHTS, ROWS, ROWS, DENSE, WEIGHTS, DENSE, DENSE, DENSE, ROWS, ROWS, ROWS],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn backward<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let w = call.input(0);
    let [y, gates, cells, dy] = [5, 6, 7, 8].map(|index| Rows::<T>::of(call.input(index)));
    let (steps, [n, p], m) = (call.input(5).dim(1), sizes(w), together(call, 5));
    let (walk, h0, c0) = (Walk::of(call, 3, steps), given::<T>(call, 1), given::<T>(call, 2));
    let [dx_out, dh_out, dc_out, before, dr_out, open] = std::array::from_fn(|index| Out::<T>::of(call, index));
    // SAFETY: rows of these sequences only, and weights that nobody writes, as the caller promises.
    unsafe {
        let mut work = Carver::new(worker.work);
        let w = Factor::straight(w, work.take(Factor::<T>::len(4 * n, p)));
        let (dh, next, dc) = (work.take::<T>(m * p), work.take::<T>(m * p), work.take::<T>(m * n));
        let (dx, zero, spare) = (work.take::<T>(m * 4 * n), work.take::<T>(n), work.take::<T>(4 * n));
        zero.fill(T::ZERO);
        let projection = call.ins[4].as_ref();
        let mut projection = projection.map(|projection| {
            let factor = Factor::<T>::straight(projection, work.take(Factor::<T>::len(p, n)));
            (factor, work.take::<T>(m * n))
        });
        for sequences in groups(units) {
            begin(dh, given(call, 9), sequences.clone());
            begin(dc, given(call, 10), sequences.clone());
            for t in (0..steps).rev().map(|nth| walk.at(nth)) {
                for (b, dh) in sequences.clone().zip(dh.chunks_exact_mut(p)) {
                    if walk.has(b, t) {
                        add(dh, row(dy, b * steps + t));
                    }
                }
                if let Some((projection, d)) = &mut projection {
                    projection.times(sequences.len(), (dh.as_ptr(), p), (d.as_mut_ptr(), n));
                }
                for (i, b) in sequences.clone().enumerate() {
                    let (at, own, dh) = (b * steps + t, walk.has(b, t), &dh[i * p..][..p]);
                    let (dx, dc) = (&mut dx[i * 4 * n..][..4 * n], &mut dc[i * n..][..n]);
                    if own {
                        let back = walk.before(b, t).map(|t| b * steps + t);
                        let c_before = back.map(|at| row(cells, at)).or_else(|| c0.map(|c0| row(c0, b)));
                        let d = projection.as_ref().map_or(dh, |(_, d)| &d[i * n..][..n]);
                        let let_out = open.row(at).unwrap_or(&mut spare[..n]);
                        let gates = row(gates, at);
                        step_back(gates, row(cells, at), c_before.unwrap_or(zero), d, dc, dx, let_out);
                        before.write(at, back.map(|at| row(y, at)).or_else(|| h0.map(|h0| row(h0, b))));
                    } else {
                        dx.fill(T::ZERO);
                        before.write(at, None);
                        open.write(at, None);
                    }
                    dx_out.write(at, Some(dx));
                    dr_out.write(at, own.then_some(dh));
                }
                w.times(sequences.len(), (dx.as_ptr(), 4 * n), (next.as_mut_ptr(), p));
                for ((b, dh), next) in sequences.clone().zip(dh.chunks_exact_mut(p)).zip(next.chunks_exact(p)) {
                    if walk.has(b, t) {
                        dh.copy_from_slice(next);
                    }
                }
            }
            for (i, b) in sequences.enumerate() {
                dh_out.write(b, Some(&dh[i * p..][..p]));
                dc_out.write(b, Some(&dc[i * n..][..n]));
            }
        }
    }
}

multiversion! {
    /// The gradients of h and c to those of the gates' sums, and of c before.
    fn step_back<T: Float>(gates: &[T], c: &[T], before: &[T], dh: &[T], dc: &mut [T], dx: &mut [T], open: &mut [T]) {
        let n = dc.len();
        let ([i, f, g, o], c, before, dh, open) = (quarters(gates, n), &c[..n], &before[..n], &dh[..n], &mut open[..n]);
        let (di, rest) = dx.split_at_mut(n);
        let (df, rest) = rest.split_at_mut(n);
        let (dg, d_o) = rest.split_at_mut(n);
        let d_o = &mut d_o[..n];
        for j in 0..n {
            let t = c[j].tanh();
            let d = (dh[j] * o[j]).mul_add(T::ONE - t * t, dc[j]);
            di[j] = d * g[j] * i[j] * (T::ONE - i[j]);
            df[j] = d * before[j] * f[j] * (T::ONE - f[j]);
            dg[j] = d * i[j] * (T::ONE - g[j] * g[j]);
            d_o[j] = dh[j] * t * o[j] * (T::ONE - o[j]);
            dc[j] = d * f[j];
            open[j] = o[j] * t;
        }
    }
}
