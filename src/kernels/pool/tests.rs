use super::*;
use crate::kernels::spatial::testing::{Array, indices, run_all_ways, values};

/// x and y shapes; window, stride, pad, dilation.
type Case = (&'static [usize], &'static [usize], [[i32; 3]; 4]);

const CASES: &[Case] = &[
    (&[2, 3, 6, 8], &[2, 3, 3, 4], [[2, 2, 1], [2, 2, 1], [0, 0, 0], [1, 1, 1]]),
    (&[2, 3, 7, 9], &[2, 3, 4, 5], [[3, 3, 1], [2, 2, 1], [1, 1, 0], [1, 1, 1]]),
    (&[1, 2, 5, 6], &[1, 2, 3, 3], [[2, 3, 1], [2, 2, 1], [0, 1, 0], [1, 1, 1]]), // the last rows hang over
    (&[2, 1, 150], &[2, 1, 149], [[4, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]),
    (&[1, 2, 31], &[1, 2, 9], [[3, 0, 0], [3, 0, 0], [1, 0, 0], [2, 0, 0]]),
    (&[1, 2, 4, 5, 6], &[1, 2, 2, 4, 3], [[2, 2, 3], [2, 1, 2], [0, 0, 1], [1, 1, 1]]),
    (&[1, 1, 1, 1], &[1, 1, 1, 1], [[1, 1, 1], [1, 1, 1], [0, 0, 0], [1, 1, 1]]),
    (&[0, 2, 4, 4], &[0, 2, 2, 2], [[2, 2, 1], [2, 2, 1], [0, 0, 0], [1, 1, 1]]),
    (&[1, 1, 7, 7], &[1, 1, 1, 1], [[7, 7, 1], [7, 7, 1], [0, 0, 0], [1, 1, 1]]),
];

fn args(case: &Case) -> Args {
    let mut args = Args::default();
    for (i, three) in case.2.iter().enumerate() {
        args.ints[3 * i..3 * i + 3].copy_from_slice(three);
    }
    args
}

/// The positions of a window inside x, row-major, with their flat index.
fn window(case: &Case, o: &[usize], dilated: bool) -> Vec<(Vec<usize>, usize)> {
    let [size, stride, pad, dilation] = case.2;
    let taps: Vec<usize> = (0..o.len() - 2).map(|a| size[a] as usize).collect();
    let mut found = Vec::new();
    'taps: for k in indices(&taps) {
        let (mut at, mut flat) = (o[..2].to_vec(), 0);
        for a in 0..k.len() {
            let step = if dilated { i64::from(dilation[a]) } else { 1 };
            let i = o[2 + a] as i64 * i64::from(stride[a]) + k[a] as i64 * step - i64::from(pad[a]);
            if i < 0 || i >= case.0[2 + a] as i64 {
                continue 'taps;
            }
            at.push(i as usize);
            flat = flat * case.0[2 + a] + i as usize;
        }
        found.push((at, flat));
    }
    found
}

fn orders(rank: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(1, rank - 1);
    order
}

fn check_max<T: Float>() {
    for case in CASES {
        let mut x = Array::new(case.0, values::<T>(case.0.iter().product(), 1));
        let len = x.data.len();
        for (i, x) in x.data.iter_mut().enumerate() {
            *x = T::of((x.to_f64() * 4.0).round()); // ties
            if i % 23 == 5 && len > 40 {
                *x = T::of(f64::NAN);
            }
        }
        if len > 1 {
            x.data[..len / 2].iter_mut().step_by(2).for_each(|x| *x = T::NEG_INF);
        }
        let (mut y, mut chosen) = (Array::<T>::zeros(case.1), Array::<i64>::zeros(case.1));
        for o in indices(case.1) {
            let (mut best, mut index) = (T::NEG_INF, None);
            for (at, flat) in window(case, &o, true) {
                let value = x.get(&at);
                if value > best || value.nan() || index.is_none() {
                    (best, index) = (value, Some(flat));
                }
            }
            let at = y.at(&o);
            (y.data[at], chosen.data[at]) = (best, index.unwrap_or(0) as i64);
        }
        for x in [x.clone(), x.laid(&orders(case.0.len()), 2)] {
            let (found, places) = (Array::<T>::zeros(case.1), Array::<i64>::zeros(case.1));
            let outs = [Some(found.view()), Some(places.view())];
            run_all_ways::<T>(&MAXPOOL, &[Some(x.view())], &outs, args(case), || {
                let same = |(a, b): (&T, &T)| a == b || a.nan() && b.nan();
                assert!(found.data.iter().zip(&y.data).all(same), "{case:?}");
                assert_eq!(places, chosen, "{case:?}");
            });
            run_all_ways::<T>(&MAXPOOL, &[Some(x.view())], &[None, outs[1]], args(case), || ());
        }
        let dy = Array::new(case.1, values::<T>(case.1.iter().product(), 2));
        let mut wanted = Array::<T>::zeros(case.0);
        let plane = case.0[2..].iter().product::<usize>();
        for o in indices(case.1) {
            wanted.data[(o[0] * case.0[1] + o[1]) * plane + chosen.get(&o) as usize] += dy.get(&o);
        }
        for dy in [dy.clone(), dy.laid(&orders(case.0.len()), 2)] {
            let dx = Array::<T>::zeros(case.0);
            let ins = [Some(chosen.view()), Some(dy.view())];
            run_all_ways::<T>(&MAXPOOL_GRAD, &ins, &[Some(dx.view())], args(case), || assert_eq!(dx, wanted));
        }
    }
}

#[test]
fn the_largest_and_its_gradient_are_their_naive_twins() {
    check_max::<f32>();
    check_max::<f64>();
}

fn check_mean<T: Float>() {
    for case in CASES {
        let (x, dy) = (
            Array::new(case.0, values::<T>(case.0.iter().product(), 1)),
            Array::new(case.1, values::<T>(case.1.iter().product(), 2)),
        );
        for (padded, fixed) in [(0, 0.0), (1, 0.0), (0, 3.0)] {
            let mut args = args(case);
            (args.ints[12], args.nums[0]) = (padded, fixed);
            let (mut y, mut dx) = (Array::<T>::zeros(case.1), Array::<T>::zeros(case.0));
            for o in indices(case.1) {
                let inside = window(case, &o, false);
                let [size, stride, pad, _] = case.2;
                let mut count = inside.len() as i64;
                if padded == 1 {
                    // As PyTorch has it.
                    count = (0..o.len() - 2)
                        .map(|a| {
                            let start = o[2 + a] as i64 * i64::from(stride[a]) - i64::from(pad[a]);
                            (start + i64::from(size[a])).min(case.0[2 + a] as i64 + i64::from(pad[a])) - start
                        })
                        .product();
                }
                let divisor = T::of(if fixed != 0.0 { fixed } else { count as f64 });
                let at = y.at(&o);
                y.data[at] = inside.iter().fold(T::ZERO, |sum, (i, _)| sum + x.get(i)) / divisor;
                for (i, _) in &inside {
                    let to = dx.at(i);
                    dx.data[to] += dy.data[at] / divisor;
                }
            }
            for (x, dy) in
                [(x.clone(), dy.clone()), (x.laid(&orders(x.shape.len()), 2), dy.laid(&orders(x.shape.len()), 1))]
            {
                let (found, found_dx) = (Array::<T>::zeros(case.1), Array::<T>::zeros(case.0));
                run_all_ways::<T>(&AVGPOOL, &[Some(x.view())], &[Some(found.view())], args, || {
                    assert_eq!(found, y, "{case:?}")
                });
                run_all_ways::<T>(&AVGPOOL_GRAD, &[Some(dy.view())], &[Some(found_dx.view())], args, || {
                    assert_eq!(found_dx, dx, "{case:?}")
                });
            }
        }
    }
}

#[test]
fn the_mean_and_its_gradient_are_their_naive_twins() {
    check_mean::<f32>();
    check_mean::<f64>();
}
