//! Rotary positions.

use super::call::{Access, Call, Kernel, Layout, Worker};
use super::float::Float;
use super::spatial::Carver;
use std::ops::Range;

/// Turns pairs of the last axis by angles that grow with the position.
///
/// Operand: x `[.., seq, e]` (any strides). Output: y of the same shape. `ints[0]` pairing: 0 half (element i with
/// i + d/2), 1 interleaved (2i with 2i + 1); `ints[1]` d, how many elements of the last axis turn (0: all; the others
/// are copied); `ints[2]` the first position; `ints[3]` 1: turns back (the gradient); `nums[0]` base.
///
/// Pair i at position p turns by p · base^(-2i/d), in f64, cosine and sine rounded to x's type; then
/// `fma(a, cos, -(b sin))`, `fma(b, cos, a sin)`. A unit is a row.
pub static ROPE: Kernel = Kernel {
    name: "rope",
    run: [rope::<f32>, rope::<f64>],
    units: super::call::output_rows,
    work: |call| call.input(0).last().div_ceil(2).next_multiple_of(8) * (8 + 2 * call.input(0).dtype.size()) + 3 * 64,
    reads: &[(Layout::Any, Access::Batch)],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn rope<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (x, y, args) = (call.input(0), call.output(0), &call.args);
    let (rank, e) = (y.rank(), y.last());
    let seq = if rank < 2 { 1 } else { y.dim(rank - 2) };
    let turned = if args.ints[1] == 0 { e } else { e.min(args.ints[1].max(0) as usize) };
    let pairs = turned / 2;
    let mut work = Carver::new(worker.work);
    let frequencies = work.take::<f64>(pairs);
    let (cos, sin) = (work.take::<T>(pairs), work.take::<T>(pairs));
    fill_frequencies(frequencies, args.nums[0]);
    // Position by position: its angles serve all heads of the range.
    for position in 0..seq {
        let first = units.start + (position + seq - units.start % seq) % seq;
        if first >= units.end {
            continue;
        }
        fill_angles(cos, sin, frequencies, (position as i64 + i64::from(args.ints[2])) as f64, args.ints[3] != 0);
        for row in (first..units.end).step_by(seq) {
            let (mut rest, mut at) = (row, 0);
            for axis in (0..rank.saturating_sub(1)).rev() {
                at += (rest % y.dim(axis)) as isize * x.stride(axis);
                rest /= y.dim(axis);
            }
            let from = x.as_ptr::<T>().wrapping_offset(at).cast_const();
            let step = if rank == 0 { 1 } else { x.stride(rank - 1) };
            // SAFETY: the row is a unit of this range.
            let to = unsafe { y.slice_mut::<T>(row * e, e) };
            match (args.ints[0], step) {
                (0, 1) => turn::<T, 0>(from, 1, to, cos, sin),
                (0, step) => turn::<T, 1>(from, step, to, cos, sin),
                (_, 1) => turn::<T, 2>(from, 1, to, cos, sin),
                (_, step) => turn::<T, 3>(from, step, to, cos, sin),
            }
            for (i, to) in to.iter_mut().enumerate().skip(2 * pairs) {
                // SAFETY: an element of x's row.
                *to = unsafe { *from.wrapping_offset(i as isize * step) };
            }
        }
    }
}

multiversion! {
    fn fill_frequencies<T: Float>(to: &mut [T], base: f64) {
        let (log, d) = (Float::ln(base), (2 * to.len()) as f64);
        for (i, to) in to.iter_mut().enumerate() {
            *to = T::of(Float::exp(-((2 * i) as f64 / d) * log));
        }
    }
}

multiversion! {
    fn fill_angles<T: Float>(cos: &mut [T], sin: &mut [T], frequencies: &[f64], position: f64, back: bool) {
        for ((cos, sin), frequency) in cos.iter_mut().zip(sin).zip(frequencies) {
            let angle = position * frequency;
            let up = Float::sin(angle);
            *cos = T::of(Float::cos(angle));
            *sin = T::of(if back { -up } else { up });
        }
    }
}

multiversion! {
    /// Turns the pairs of a row. FORM: 0 half, 2 interleaved; + 1 if x is not contiguous.
    fn turn<T: Float, const FORM: usize>(from: *const T, step: isize, to: &mut [T], cos: &[T], sin: &[T]) {
        let pairs = cos.len();
        assert!(2 * pairs <= to.len() && sin.len() == pairs);
        let step = if FORM == 1 || FORM == 3 { step } else { 1 };
        // SAFETY: an element of x's row, which is as long as `to`.
        let get = |i: usize| unsafe { *from.wrapping_offset(i as isize * step) };
        let rotate = |a: T, b: T, i: usize| (a.mul_add(cos[i], -(b * sin[i])), b.mul_add(cos[i], a * sin[i]));
        if FORM < 2 {
            let (low, high) = to.split_at_mut(pairs);
            for (i, (low, high)) in low.iter_mut().zip(high).enumerate().take(pairs) {
                (*low, *high) = rotate(get(i), get(pairs + i), i);
            }
        } else {
            for (i, pair) in to.chunks_exact_mut(2).enumerate().take(pairs) {
                (pair[0], pair[1]) = rotate(get(2 * i), get(2 * i + 1), i);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::call::Args;
    use crate::kernels::spatial::testing::{Array, indices, run_all_ways, values};

    type Case = (&'static [usize], [i32; 4]);

    const CASES: &[Case] = &[
        (&[2, 3, 5, 8], [0, 0, 0, 0]),
        (&[2, 3, 5, 70], [1, 0, 3, 0]),
        (&[7, 34], [0, 22, 1000, 1]),
        (&[2, 7, 34], [1, 22, -2, 1]),
        (&[3, 1, 2], [0, 0, 9, 0]),
        (&[2, 0, 4], [0, 0, 0, 0]),
        (&[2, 3, 1], [0, 0, 0, 0]),
    ];

    fn check<T: Float>(tolerance: f64) {
        for &(shape, ints) in CASES {
            let mut args = Args { nums: [10000.0, 0.0, 0.0, 0.0], ..Args::default() };
            args.ints[..4].copy_from_slice(&ints);
            let x = Array::new(shape, values::<T>(shape.iter().product(), 1));
            let (rank, e) = (shape.len(), shape[shape.len() - 1]);
            let d = if ints[1] == 0 { e } else { ints[1] as usize };
            let (mut wanted, mut exact) = (x.clone(), vec![0.0; x.data.len()]);
            for at in indices(shape) {
                let (i, flat) = (at[rank - 1], x.at(&at));
                let pair = if ints[0] == 0 { i % (d / 2).max(1) } else { i / 2 };
                let low = if ints[0] == 0 { i < d / 2 } else { i % 2 == 0 };
                exact[flat] = x.data[flat].to_f64();
                if i >= d / 2 * 2 {
                    continue;
                }
                let other = match (ints[0], low) {
                    (0, true) => flat + d / 2,
                    (0, false) => flat - d / 2,
                    (_, true) => flat + 1,
                    (_, false) => flat - 1,
                };
                let position = (at[rank - 2] as i64 + i64::from(ints[2])) as f64;
                let frequency = Float::exp(-((2 * pair) as f64 / d as f64) * Float::ln(10000.0f64));
                let sign = if ints[3] == 1 { -1.0 } else { 1.0 };
                let (cos, sin) =
                    (T::of(Float::cos(position * frequency)), T::of(sign * Float::sin(position * frequency)));
                let (own, other) = (x.data[flat], x.data[other]);
                wanted.data[flat] = if low { own.mul_add(cos, -(other * sin)) } else { own.mul_add(cos, other * sin) };
                let (s, c) = (position * 10000f64.powf(-2.0 * pair as f64 / d as f64) * sign).sin_cos();
                let side = if low { -1.0 } else { 1.0 };
                exact[flat] = own.to_f64() * c + side * other.to_f64() * s;
            }
            let order: Vec<usize> = (0..rank).rev().collect();
            let mut heads: Vec<usize> = (0..rank).collect();
            heads.swap(0, rank - 2);
            for x in [x.clone(), x.laid(&heads, 0), x.laid(&order, 2)] {
                let y = Array::<T>::zeros(shape);
                run_all_ways::<T>(&ROPE, &[Some(x.view())], &[Some(y.view())], args, || {
                    assert_eq!(y.data, wanted.data, "{shape:?} {ints:?}");
                });
                for (y, exact) in y.data.iter().zip(&exact) {
                    assert!((y.to_f64() - exact).abs() < tolerance, "{shape:?} {ints:?}");
                }
            }
        }
    }

    #[test]
    fn it_is_its_naive_twin_bit_for_bit_and_near_the_formula() {
        check::<f32>(1e-6);
        check::<f64>(1e-12);
    }
}
