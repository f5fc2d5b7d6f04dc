//! Gated recurrent units: gates r, z, n in this order, the reset after the product.

use super::{DENSE, Factor, Out, ROWS, WEIGHTS, Walk, add, begin, bytes, given, groups, row, together};
use crate::kernels::call::{Access, Call, Kernel, Worker};
use crate::kernels::float::Float;
use crate::kernels::lanes::Rows;
use crate::kernels::spatial::Carver;
use std::ops::Range;

/// A layer of gated recurrent units.
///
/// Operands: x `[B, T, 3k]` (the inputs' product, their bias added), w `[3k, k]`, the other bias `[3k]` or none, h
/// `[B, k]` or none, lengths i64 `[B]` or none. Outputs: y `[B, T, k]`, h `[B, k]` at each sequence's last step, and
/// r, z, a, n `[B, T, 4k]`, where a is the product that r resets. ints: whether from the end.
///
/// r, z = sigmoid(x + (h wᵀ + bias)); a = h wᵀ + bias; n = tanh(fma(r, a, x)); h = fma(z, h - n, n).
pub static GRU: Kernel = Kernel {
    name: "gru",
    run: [forward::<f32>, forward::<f64>],
    units: |call| call.input(0).dim(0),
    work: |call| {
        let (k, m) = (call.input(1).dim(1), together(call, 0));
        bytes(call.input(0).dtype.size(), &[Factor::<f32>::len(k, 3 * k), m * k, m * 4 * k, 3 * k])
    },
    reads: &[ROWS, WEIGHTS, WEIGHTS, ROWS, DENSE],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn forward<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (x, w) = (Rows::<T>::of(call.input(0)), call.input(1));
    let (steps, k, m) = (call.input(0).dim(1), w.dim(1), together(call, 0));
    let walk = Walk::of(call, 4, steps);
    let [y, last, gates] = std::array::from_fn(|index| Out::<T>::of(call, index));
    // SAFETY: rows of these sequences only, and weights that nobody writes, as the caller promises.
    unsafe {
        walk.check(worker, units.clone());
        let mut work = Carver::new(worker.work);
        let w = Factor::transposed(w, work.take(Factor::<T>::len(k, 3 * k)));
        let (h, g, bias) = (work.take::<T>(m * k), work.take::<T>(m * 4 * k), work.take::<T>(3 * k));
        begin(bias, given(call, 2), 0..1);
        for sequences in groups(units) {
            begin(h, given(call, 3), sequences.clone());
            for t in (0..steps).map(|nth| walk.at(nth)) {
                w.times(sequences.len(), (h.as_ptr(), k), (g.as_mut_ptr(), 4 * k));
                for ((b, h), g) in sequences.clone().zip(h.chunks_exact_mut(k)).zip(g.chunks_exact_mut(4 * k)) {
                    let (own, at) = (walk.has(b, t), b * steps + t);
                    if own {
                        step(row(x, at), bias, g, h);
                    }
                    gates.write(at, own.then_some(&*g));
                    y.write(at, own.then_some(&*h));
                }
            }
            for (b, h) in sequences.zip(h.chunks_exact(k)) {
                last.write(b, Some(h));
            }
        }
    }
}

multiversion! {
    /// Products to gates, and the new state.
    fn step<T: Float>(x: &[T], bias: &[T], gates: &mut [T], h: &mut [T]) {
        let k = h.len();
        let ([xr, xz, xn], [br, bz, bn]) = (thirds(x, k), thirds(bias, k));
        let (r, rest) = gates.split_at_mut(k);
        let (z, rest) = rest.split_at_mut(k);
        let (a, n) = rest.split_at_mut(k);
        let n = &mut n[..k];
        for j in 0..k {
            r[j] = (xr[j] + (r[j] + br[j])).sigmoid();
            z[j] = (xz[j] + (z[j] + bz[j])).sigmoid();
            a[j] += bn[j];
            n[j] = r[j].mul_add(a[j], xn[j]).tanh();
            h[j] = z[j].mul_add(h[j] - n[j], n[j]);
        }
    }
}

#[inline(always)]
fn thirds<T>(all: &[T], k: usize) -> [&[T]; 3] {
    [0, 1, 2].map(|nth| &all[nth * k..][..k])
}

/// The gradients of `GRU`.
///
/// Operands: w, h or none, lengths or none as for `GRU`; its y and gates; dy `[B, T, k]`, dh `[B, k]` or none. Outputs: dx
/// `[B, T, 3k]`, dh `[B, k]`, the state before each step `[B, T, k]`, and the gradient `[B, T, 3k]` of the product with
/// w, biased: their product is that of w, its sum that of the bias. ints as for `GRU`.
pub static GRU_GRAD: Kernel = Kernel {
    name: "gru_grad",
    run: [backward::<f32>, backward::<f64>],
    units: |call| call.input(3).dim(0),
    work: |call| {
        let (k, m) = (call.input(0).dim(1), together(call, 3));
        bytes(call.input(0).dtype.size(), &[Factor::<f32>::len(3 * k, k), m * k, m * k, m * 3 * k, k, 3 * k])
    },
    reads: &[WEIGHTS, ROWS, DENSE, DENSE, DENSE, ROWS, ROWS],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn backward<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let w = call.input(0);
    let [y, gates, dy] = [3, 4, 5].map(|index| Rows::<T>::of(call.input(index)));
    let (steps, k, m) = (call.input(3).dim(1), w.dim(1), together(call, 3));
    let (walk, h0) = (Walk::of(call, 2, steps), given::<T>(call, 1));
    let [dx_out, dh_out, before, da_out] = std::array::from_fn(|index| Out::<T>::of(call, index));
    // SAFETY: rows of these sequences only, and weights that nobody writes, as the caller promises.
    unsafe {
        let mut work = Carver::new(worker.work);
        let w = Factor::straight(w, work.take(Factor::<T>::len(3 * k, k)));
        let (dh, next, da) = (work.take::<T>(m * k), work.take::<T>(m * k), work.take::<T>(m * 3 * k));
        let (zero, dx) = (work.take::<T>(k), work.take::<T>(3 * k));
        zero.fill(T::ZERO);
        for sequences in groups(units) {
            begin(dh, given(call, 6), sequences.clone());
            for t in (0..steps).rev().map(|nth| walk.at(nth)) {
                for ((b, dh), da) in sequences.clone().zip(dh.chunks_exact_mut(k)).zip(da.chunks_exact_mut(3 * k)) {
                    let at = b * steps + t;
                    if !walk.has(b, t) {
                        da.fill(T::ZERO);
                        dx_out.write(at, None);
                        before.write(at, None);
                        da_out.write(at, None);
                        continue;
                    }
                    add(dh, row(dy, at));
                    let back = walk.before(b, t).map(|t| row(y, b * steps + t));
                    let state = back.or_else(|| h0.map(|h0| row(h0, b))).unwrap_or(zero);
                    step_back(row(gates, at), state, dh, da, dx);
                    dx_out.write(at, Some(dx));
                    before.write(at, Some(state));
                    da_out.write(at, Some(da));
                }
                w.times(sequences.len(), (da.as_ptr(), 3 * k), (next.as_mut_ptr(), k));
                for ((b, dh), next) in sequences.clone().zip(dh.chunks_exact_mut(k)).zip(next.chunks_exact(k)) {
                    if walk.has(b, t) {
                        add(dh, next);
                    }
                }
            }
            for (b, dh) in sequences.zip(dh.chunks_exact(k)) {
                dh_out.write(b, Some(dh));
            }
        }
    }
}

multiversion! {
    /// The gradient of a state to those of the gates' sums and of what the product adds to them; what goes past the
    /// product stays in `dh`.
    fn step_back<T: Float>(gates: &[T], before: &[T], dh: &mut [T], da: &mut [T], dx: &mut [T]) {
        let k = dh.len();
        let ([r, z, a], n, before) = (thirds(gates, k), &gates[3 * k..][..k], &before[..k]);
        let (dr, rest) = dx.split_at_mut(k);
        let (dz, dn) = rest.split_at_mut(k);
        let (ar, rest) = da.split_at_mut(k);
        let (az, an) = rest.split_at_mut(k);
        let (dn, an) = (&mut dn[..k], &mut an[..k]);
        for j in 0..k {
            dn[j] = dh[j] * (T::ONE - z[j]) * (T::ONE - n[j] * n[j]);
            dz[j] = dh[j] * (before[j] - n[j]) * z[j] * (T::ONE - z[j]);
            dr[j] = dn[j] * a[j] * r[j] * (T::ONE - r[j]);
            an[j] = dn[j] * r[j];
            az[j] = dz[j];
            ar[j] = dr[j];
            dh[j] *= z[j];
        }
    }
}
