use super::*;
use crate::kernels::twin::{Buffer, Element, every_way, noise, same_bits};

/// Sizes of x, the axis, its size in y, how many times larger it is meant to be, and windows.
type Case = (&'static [usize], usize, usize, f64, [i32; 4]);

const CASES: &[Case] = &[
    (&[2, 3, 5], 2, 11, 0.0, [4, 1, 2, 3]),
    (&[2, 3, 5, 7], 2, 10, 2.0, [2, 1, 1, 0]),
    (&[2, 3, 5, 7], 3, 4, 0.6, [2, 2, 1, 0]),
    (&[1, 2, 4, 3, 67], 2, 9, 0.0, [3, 2, 1, 2]),
    (&[1, 2, 4, 3, 2], 3, 1, 0.0, [1, 1, 1, 0]),
    (&[1, 1, 1], 2, 6, 0.0, [3, 1, 1, 1]),
    (&[0, 2, 4], 2, 8, 2.0, [2, 1, 1, 0]),
];

/// All taps of a row-major walk over y (or, `back`, over x): from there to here with that weight.
fn naive<T: Float>(x: &[T], from: &[usize], to: &[usize], axis: usize, taps: &[(usize, usize, f64)]) -> Vec<T> {
    let behind: usize = to[axis + 1..].iter().product();
    let before: usize = to[..axis].iter().product();
    let mut y = vec![None; before * to[axis] * behind];
    for b in 0..before {
        for &(place, at, weight) in taps {
            for i in 0..behind {
                let (x, weight) = (x[(b * from[axis] + at) * behind + i], T::of(weight));
                let y = &mut y[(b * to[axis] + place) * behind + i];
                *y = Some(y.map_or(x * weight, |sum| x.mul_add(weight, sum)));
            }
        }
    }
    y.into_iter().map(|y| y.unwrap_or(T::ZERO)).collect()
}

fn twin<T: Float + Element>() {
    for (shape, axis, size, scale, window) in CASES {
        for rule in 0..RULES.len() {
            let mut args = Args::default();
            (args.ints[0], args.ints[1], args.nums[0]) = (*axis as i32, rule as i32, *scale);
            args.ints[2..6].copy_from_slice(window);
            let mut other = shape.to_vec();
            other[*axis] = *size;
            let mut taps = vec![];
            Map::of(&args, shape[*axis], *size).each(|place, at, weight| taps.push((place, at, weight)));
            let x: Vec<T> = noise(shape.iter().product(), 1);
            let y =
                every_way::<T>(&RESAMPLE, &[Buffer::of(shape, &x).view()], &[Some((T::DTYPE, other.clone()))], args);
            same_bits(&y[0], &naive(&x, shape, &other, *axis, &taps));
            taps.iter_mut().for_each(|tap| (tap.0, tap.1) = (tap.1, tap.0));
            let dy: Vec<T> = noise(other.iter().product(), 2);
            let out = [Some((T::DTYPE, shape.to_vec()))];
            let dx = every_way::<T>(&RESAMPLE_GRAD, &[Buffer::of(&other, &dy).view()], &out, args);
            same_bits(&dx[0], &naive(&dy, &other, shape, *axis, &taps));
        }
    }
}

#[test]
fn places_are_the_sums_of_their_taps() {
    twin::<f32>();
    twin::<f64>();
}

#[test]
fn weights_of_a_place_add_up_to_one() {
    for rule in 0..7 {
        for (from, to) in [(1, 1), (1, 7), (7, 1), (5, 13), (13, 5), (8, 16)] {
            let mut args = Args::default();
            args.ints[1] = rule;
            let mut sums = vec![0.0; to];
            Map::of(&args, from, to).each(|place, at, weight| {
                assert!(at < from);
                sums[place] += weight;
            });
            assert!(sums.iter().all(|sum: &f64| (sum - 1.0).abs() < 1e-12), "rule {rule}, {from} to {to}: {sums:?}");
        }
    }
}
