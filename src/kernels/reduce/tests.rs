use super::*;
use crate::kernels::call::Args;
use crate::kernels::twin::{Buffer, Element, down_from, every_way, lanes, lanes_from, noise, same_bits};
use crate::tensor::DType;

fn mask(axes: &[usize]) -> Args {
    let mut args = Args::default();
    args.ints[0] = axes.iter().map(|axis| 1 << axis).sum();
    args
}

/// An element's place in x, from an output's number and the numbers among the outer and the run's indices.
struct Places {
    kept: Vec<usize>,
    outer: Vec<usize>,
    run: Vec<usize>,
}

/// The offsets (in a dense x) of all combinations of these axes.
fn offsets(shape: &[usize], axes: impl Fn(usize) -> bool) -> Vec<usize> {
    (0..shape.len()).fold(vec![0], |offsets, axis| {
        let stride: usize = shape[axis + 1..].iter().product();
        let steps = if axes(axis) { shape[axis] } else { 1 };
        offsets.iter().flat_map(|at| (0..steps).map(move |i| at + i * stride)).collect()
    })
}

fn places(shape: &[usize], axes: &[usize]) -> Places {
    let last_kept = (0..shape.len()).rev().find(|a| !axes.contains(a) && shape[*a] != 1);
    let in_run = |axis: usize| last_kept.is_none_or(|last| axis > last);
    Places {
        kept: offsets(shape, |axis| !axes.contains(&axis)),
        outer: offsets(shape, |axis| axes.contains(&axis) && !in_run(axis)),
        run: offsets(shape, |axis| axes.contains(&axis) && in_run(axis)),
    }
}

/// Dense, and the same elements in a transposed and spread buffer.
fn both_layouts<T: Float + Element>(shape: &[usize], x: &[T]) -> [(Buffer, Vec<i32>); 2] {
    let (mut strides, mut total) = (vec![0; shape.len()], 3);
    for axis in 0..shape.len() {
        strides[axis] = total as i32;
        total = total * shape[axis] + 2;
    }
    let mut spread = vec![T::of(77.0); total];
    for (i, &x) in x.iter().enumerate() {
        let (mut rest, mut at) = (i, 0);
        for axis in (0..shape.len()).rev() {
            at += rest % shape[axis] * strides[axis] as usize;
            rest /= shape[axis];
        }
        spread[at] = x;
    }
    let dense = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product::<usize>() as i32).collect();
    [(Buffer::of(&[x.len()], x), dense), (Buffer::of(&[total], &spread), strides)]
}

const CASES: &[(&[usize], &[usize])] = &[
    (&[], &[]),
    (&[1], &[0]),
    (&[7], &[]),
    (&[200], &[0]),
    (&[3, 0], &[1]),
    (&[0, 3], &[0]),
    (&[0, 3], &[1]),
    (&[5, 130], &[1]),
    (&[1100, 3], &[0]),
    (&[5, 130], &[0, 1]),
    (&[517, 9, 1], &[0]),
    (&[9, 67, 1], &[1]),
    (&[3, 4, 5, 6], &[0, 2, 3]),
    (&[3, 4, 5, 6], &[1]),
    (&[3, 4, 5, 6], &[0, 2]),
    (&[3, 4, 5, 6], &[2, 3]),
    (&[3, 4, 5, 6], &[1, 3]),
    (&[2, 3, 600], &[0, 1]),
    (&[600, 2, 3], &[0, 2]),
];

fn sums<T: Float + Element>(shape: &[usize], axes: &[usize]) {
    let x: Vec<T> = noise(shape.iter().product(), 5);
    let Places { kept, outer, run } = places(shape, axes);
    let twin = |start: T, op: fn(T, T) -> T| -> Vec<T> {
        let of_run = |at: usize| {
            if run.is_empty() { start } else { lanes_from(run.len(), start, |chain, i| op(chain, x[at + run[i]]), op) }
        };
        let of_kept = |&k: &usize| down_from(outer.len(), start, |chain, o| op(chain, of_run(k + outer[o])), op);
        kept.iter().map(of_kept).collect()
    };
    let out = [Some((T::DTYPE, vec![kept.len()]))];
    for (buffer, strides) in &both_layouts(shape, &x) {
        let view = buffer.window(0, shape, strides);
        let got = every_way::<T>(&SUM, &[view], &out, mask(axes));
        same_bits(&got[0], &twin(T::ZERO, |a, b| a + b));
        let got = every_way::<T>(&PROD, &[view], &out, mask(axes));
        same_bits(&got[0], &twin(T::ONE, |a, b| a * b));
    }
}

#[test]
fn sums_and_products_are_their_twins() {
    for (shape, axes) in CASES {
        sums::<f32>(shape, axes);
        sums::<f64>(shape, axes);
    }
}

fn extremes<T: Float + Element>(shape: &[usize], axes: &[usize], x: &[T]) {
    let kept = offsets(shape, |axis| !axes.contains(&axis));
    let reduced = offsets(shape, |axis| axes.contains(&axis));
    let twin = |better: fn(T, T) -> bool, worst: T| -> (Vec<T>, Vec<i64>) {
        let of_kept = |&k: &usize| {
            let mut best = (worst, 0);
            for (i, r) in reduced.iter().enumerate() {
                let x = x[k + r];
                let nan = |x: T| x.to_f64().is_nan();
                if i == 0 || !nan(best.0) && (nan(x) || better(x, best.0)) {
                    best = (x, i as i64);
                }
            }
            best
        };
        kept.iter().map(of_kept).unzip()
    };
    let outs = [Some((T::DTYPE, vec![kept.len()])), Some((DType::I64, vec![kept.len()]))];
    for (buffer, strides) in &both_layouts(shape, x) {
        let view = buffer.window(0, shape, strides);
        for (kernel, (values, indices)) in
            [(&MAX, twin(|a, b| a > b, T::NEG_INF)), (&MIN, twin(|a, b| a < b, -T::NEG_INF))]
        {
            let got = every_way::<T>(kernel, &[view], &outs, mask(axes));
            same_bits(&got[0], &values);
            same_bits(&got[1], &indices);
            let got = every_way::<T>(kernel, &[view], &[None, outs[1].clone()], mask(axes));
            same_bits(&got[0], &indices);
        }
    }
}

#[test]
fn extremes_are_their_twins() {
    for (shape, axes) in CASES {
        let len = shape.iter().product();
        // Few different values, so that there are ties.
        let x: Vec<f32> = noise::<f32>(len, 5).iter().map(|x| (x * 4.0).round() / 4.0).collect();
        extremes(shape, axes, &x);
        let mut x: Vec<f64> = noise(len, 6);
        for (i, x) in x.iter_mut().enumerate() {
            match i % 41 {
                40 => *x = f64::NAN,
                30 => *x = f64::INFINITY,
                20 => *x = f64::NEG_INFINITY,
                _ => {}
            }
        }
        extremes(shape, axes, &x);
    }
}

#[test]
fn expanded_axes_are_summed() {
    let x = Buffer::of(&[3], &[1.0f32, 2.0, 3.0]);
    let view = x.window(0, &[4, 3, 70], &[0, 1, 0]);
    let got = every_way::<f32>(&SUM, &[view], &[Some((DType::F32, vec![3]))], mask(&[0, 2]));
    same_bits(&got[0], &[280.0f32, 560.0, 840.0]);
}

#[test]
fn squares_are_summed_in_f64() {
    for (parts, n) in [(0, 3), (3, 0), (1, 1), (5, 64), (3, 200), (1, 1025)] {
        let x: Vec<f32> = noise(parts * n, 8);
        let got = every_way::<f32>(
            &SUM_SQUARES,
            &[Buffer::of(&[parts, n], &x).view()],
            &[Some((DType::F64, vec![parts]))],
            Args::default(),
        );
        let twin = |p: usize| {
            lanes(n, |chain: f64, i| {
                let x = f64::from(x[p * n + i]);
                x.mul_add(x, chain)
            })
        };
        same_bits(&got[0], &(0..parts).map(twin).collect::<Vec<f64>>());
    }
}
