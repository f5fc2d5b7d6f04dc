use super::*;
use crate::kernels::call::Args;
use crate::kernels::simd;
use crate::kernels::twin::{Buffer, Element, every_way, run_units, same_bits, turn};

/// Numbers whose bytes all differ.
fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|i| i as f32 * 1.37 + 0.11).collect()
}

/// The elements of a view of `x`, row-major.
fn elements<E: Copy>(x: &[E], first: usize, shape: &[usize], strides: &[i32]) -> Vec<E> {
    let places = shape.iter().zip(strides).fold(vec![first as isize], |places, (&size, &stride)| {
        places.iter().flat_map(|at| (0..size as isize).map(move |i| at + i * stride as isize)).collect()
    });
    places.iter().map(|&at| x[at as usize]).collect()
}

fn check<E: Element>(x: &[E], first: usize, shape: &[usize], strides: &[i32]) {
    let buffer = Buffer::of(&[x.len()], x);
    let out = [Some((E::DTYPE, shape.to_vec()))];
    let got = every_way::<f32>(&COPY, &[buffer.window(first, shape, strides)], &out, Args::default());
    same_bits(&got[0], &elements(x, first, shape, strides));
}

#[test]
fn copies_of_any_strides() {
    let x = numbers(40_000);
    let wide: Vec<f64> = x.iter().map(|&x| f64::from(x) * 1.1).collect();
    let whole: Vec<i64> = (0..x.len() as i64).map(|i| i * 0x0123_4567_89AB).collect();
    let bytes: Vec<u8> = (0..x.len()).map(|i| (i % 251) as u8).collect();
    let cases: &[(usize, &[usize], &[i32])] = &[
        (3, &[], &[]),
        (0, &[1], &[1]),
        (5, &[7], &[1]),
        (5, &[7], &[3]),
        (40, &[7], &[-3]),
        (0, &[0, 4], &[4, 1]),
        (0, &[4, 0], &[1, 1]),
        (0, &[6, 5], &[5, 1]),
        (2, &[6, 5], &[9, 1]),
        (0, &[6, 5], &[0, 1]),
        (0, &[6, 5], &[1, 0]),
        // Transposes.
        (0, &[5, 6], &[1, 5]),
        (1, &[65, 37], &[1, 70]),
        (0, &[100, 64], &[1, 100]),
        (0, &[3, 64, 40], &[2600, 1, 65]),
        // Permuted axes.
        (0, &[4, 5, 6], &[1, 24, 4]),
        (0, &[4, 5, 6], &[6, 24, 1]),
        (0, &[4, 5, 6], &[1, 4, 20]),
        (0, &[8, 3, 9, 10], &[10, 80, 240, 1]),
        (0, &[9, 3, 8, 10], &[1, 2160, 90, 9]),
        (0, &[2, 3, 2, 3, 2, 3, 2, 3], &[1, 2, 6, 12, 36, 72, 216, 432]),
        (0, &[2, 1, 17, 1, 3], &[5, 99, 10, 7, 3]),
    ];
    for (first, shape, strides) in cases {
        check(&x, *first, shape, strides);
        check(&wide, *first, shape, strides);
        check(&whole, *first, shape, strides);
        check(&bytes, *first, shape, strides);
    }
}

#[test]
fn copies_into_windows() {
    // Concat along the last axis: [2, 3, 5] and [2, 3, 4] into [2, 3, 9].
    let (a, b) = (numbers(30), numbers(24));
    let (a, b) = (Buffer::of(&[2, 3, 5], &a), Buffer::of(&[4, 3, 2], &b));
    let y = Buffer::garbage(f32::DTYPE, &[2, 3, 9]);
    let _turn = turn();
    simd::force(simd::best());
    for (x, at, width) in [(a.view(), 0, 5), (b.window(0, &[2, 3, 4], &[1, 2, 6]), 5, 4)] {
        let window = y.window(at, &[2, 3, width], &[27, 9, 1]);
        let call = Call { ins: [x].into(), outs: [window].into(), args: Args::default(), program: None };
        for unit in 0..6 {
            assert_eq!(run_units(&COPY, 0, &call, unit..unit + 1), None);
        }
    }
    let b = elements(b.elements::<f32>(), 0, &[2, 3, 4], &[1, 2, 6]);
    let rows = a.elements::<f32>().chunks(5).zip(b.chunks(4)).flat_map(|(a, b)| [a, b].concat());
    same_bits(&y, &rows.collect::<Vec<f32>>());
}
