//! The simple cell: `h = act(x + h wᵀ)`.

use super::{DENSE, Factor, Out, ROWS, WEIGHTS, Walk, add, begin, bytes, given, groups, row, together};
use crate::kernels::call::{Access, Call, Kernel, Worker};
use crate::kernels::float::Float;
use crate::kernels::lanes::Rows;
use crate::kernels::spatial::Carver;
use std::ops::Range;

/// A layer of simple cells.
///
/// Operands: x `[B, T, n]` (the inputs' product, biases added), w `[n, n]`, h `[B, n]` or none, lengths i64 `[B]` or none.
/// Outputs: y `[B, T, n]`, h `[B, n]` at each sequence's last step. ints: whether from the end; whether relu, not tanh.
pub static RNN: Kernel = Kernel {
    name: "rnn",
    run: [forward::<f32>, forward::<f64>],
    units: |call| call.input(0).dim(0),
    work: |call| {
        let (n, m) = (call.input(1).dim(1), together(call, 0));
        bytes(call.input(0).dtype.size(), &[Factor::<f32>::len(n, n), m * n, m * n])
    },
    reads: &[ROWS, WEIGHTS, ROWS, DENSE],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn forward<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (x, w, relu) = (Rows::<T>::of(call.input(0)), call.input(1), call.args.ints[1] != 0);
    let (steps, n, m) = (call.input(0).dim(1), w.dim(1), together(call, 0));
    let (walk, y, last) = (Walk::of(call, 3, steps), Out::<T>::of(call, 0), Out::<T>::of(call, 1));
    // SAFETY: rows of these sequences only, and weights that nobody writes, as the caller promises.
    unsafe {
        walk.check(worker, units.clone());
        let mut work = Carver::new(worker.work);
        let w = Factor::transposed(w, work.take(Factor::<T>::len(n, n)));
        let (h, a) = (work.take::<T>(m * n), work.take::<T>(m * n));
        for sequences in groups(units) {
            begin(h, given(call, 2), sequences.clone());
            for t in (0..steps).map(|nth| walk.at(nth)) {
                w.times(sequences.len(), (h.as_ptr(), n), (a.as_mut_ptr(), n));
                for ((b, h), a) in sequences.clone().zip(h.chunks_exact_mut(n)).zip(a.chunks_exact(n)) {
                    let at = b * steps + t;
                    if walk.has(b, t) {
                        step(row(x, at), a, h, relu);
                    }
                    y.write(at, walk.has(b, t).then_some(&*h));
                }
            }
            for (b, h) in sequences.zip(h.chunks_exact(n)) {
                last.write(b, Some(h));
            }
        }
    }
}

multiversion! {
    fn step<T: Float>(x: &[T], a: &[T], h: &mut [T], relu: bool) {
        for ((h, x), a) in h.iter_mut().zip(x).zip(a) {
            let sum = *x + *a;
            *h = if relu { sum.maximum(T::ZERO) } else { sum.tanh() };
        }
    }
}

/// The gradients of `RNN`.
///
/// Operands: w, h or none, lengths or none as for `RNN`, y, dy `[B, T, n]`, dh `[B, n]` or none. Outputs: dx `[B, T, n]`,
/// dh `[B, n]`, and the state before each step `[B, T, n]`, whose product with dx is the gradient of w. ints as for `RNN`.
pub static RNN_GRAD: Kernel = Kernel {
    name: "rnn_grad",
    run: [backward::<f32>, backward::<f64>],
    units: |call| call.input(3).dim(0),
    work: |call| {
        let (n, m) = (call.input(0).dim(1), together(call, 3));
        bytes(call.input(0).dtype.size(), &[Factor::<f32>::len(n, n), m * n, m * n])
    },
    reads: &[WEIGHTS, ROWS, DENSE, DENSE, ROWS, ROWS],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn backward<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (w, y, dy) = (call.input(0), Rows::<T>::of(call.input(3)), Rows::<T>::of(call.input(4)));
    let (steps, n, m, relu) = (call.input(3).dim(1), w.dim(1), together(call, 3), call.args.ints[1] != 0);
    let (walk, first) = (Walk::of(call, 2, steps), given::<T>(call, 1));
    let [dx, dh_out, before] = [0, 1, 2].map(|index| Out::<T>::of(call, index));
    // SAFETY: rows of these sequences only, and weights that nobody writes, as the caller promises.
    unsafe {
        let mut work = Carver::new(worker.work);
        let w = Factor::straight(w, work.take(Factor::<T>::len(n, n)));
        let (dh, next) = (work.take::<T>(m * n), work.take::<T>(m * n));
        for sequences in groups(units) {
            begin(dh, given(call, 5), sequences.clone());
            for t in (0..steps).rev().map(|nth| walk.at(nth)) {
                for (b, dh) in sequences.clone().zip(dh.chunks_exact_mut(n)) {
                    let at = b * steps + t;
                    if !walk.has(b, t) {
                        dx.write(at, None);
                        before.write(at, None);
                        continue;
                    }
                    add(dh, row(dy, at));
                    step_back(dh, row(y, at), relu);
                    dx.write(at, Some(dh));
                    let state = walk.before(b, t).map(|t| row(y, b * steps + t));
                    before.write(at, state.or_else(|| first.map(|first| row(first, b))));
                }
                w.times(sequences.len(), (dh.as_ptr(), n), (next.as_mut_ptr(), n));
                for ((b, dh), next) in sequences.clone().zip(dh.chunks_exact_mut(n)).zip(next.chunks_exact(n)) {
                    if walk.has(b, t) {
                        dh.copy_from_slice(next);
                    }
                }
            }
            for (b, dh) in sequences.zip(dh.chunks_exact(n)) {
                dh_out.write(b, Some(dh));
            }
        }
    }
}

multiversion! {
    /// The gradient of a state to that of its sum.
    fn step_back<T: Float>(d: &mut [T], y: &[T], relu: bool) {
        for (d, y) in d.iter_mut().zip(y) {
            let slope = if relu { if *y > T::ZERO { T::ONE } else { T::ZERO } } else { T::ONE - *y * *y };
            *d *= slope;
        }
    }
}
