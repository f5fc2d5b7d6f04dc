use super::*;
use crate::kernels::spatial::testing::{Array, indices, run_all_ways, values};

/// x, w and y shapes with stride, pad, dilation, groups.
pub(crate) type Case = (&'static [usize], &'static [usize], &'static [usize], [[i32; 3]; 3], i32);

pub(crate) const CASES: &[Case] = &[
    (&[2, 3, 5, 7], &[4, 3, 3, 3], &[2, 4, 5, 7], [[1, 1, 1], [1, 1, 0], [1, 1, 1]], 1),
    (&[2, 3, 9, 8], &[5, 3, 3, 3], &[2, 5, 5, 4], [[2, 2, 1], [1, 1, 0], [1, 1, 1]], 1),
    (&[1, 4, 9, 11], &[6, 2, 3, 2], &[1, 6, 4, 4], [[2, 3, 1], [1, 2, 0], [2, 3, 1]], 2),
    (&[3, 6, 33], &[6, 1, 5], &[3, 6, 33], [[1, 0, 0], [2, 0, 0], [1, 0, 0]], 6),
    (&[2, 58, 40], &[9, 58, 9], &[2, 9, 32], [[1, 0, 0], [0, 0, 0], [1, 0, 0]], 1),
    (&[1, 2, 4, 5, 6], &[3, 2, 2, 3, 2], &[1, 3, 2, 3, 6], [[2, 2, 1], [0, 1, 1], [1, 1, 2]], 1),
    (&[1, 1, 1, 1], &[1, 1, 1, 1], &[1, 1, 1, 1], [[1, 1, 1], [0, 0, 0], [1, 1, 1]], 1),
    (&[0, 2, 4, 4], &[3, 2, 3, 3], &[0, 3, 4, 4], [[1, 1, 1], [1, 1, 0], [1, 1, 1]], 1),
    (&[1, 2, 7, 7], &[3, 2, 1, 1], &[1, 3, 3, 3], [[3, 3, 1], [0, 0, 0], [1, 1, 1]], 1),
    (&[1, 2, 32, 32], &[17, 2, 3, 3], &[1, 17, 32, 32], [[1, 1, 1], [1, 1, 0], [1, 1, 1]], 1),
    (&[1, 2, 40], &[2, 2, 3], &[1, 2, 15], [[3, 1, 1], [4, 0, 0], [2, 1, 1]], 1),
];

pub(crate) fn args(case: &Case) -> Args {
    let mut args = Args::default();
    for (i, three) in case.3.iter().enumerate() {
        args.ints[3 * i..3 * i + 3].copy_from_slice(three);
    }
    args.ints[9] = case.4;
    args
}

/// Which x the tap k of output o reads, if it lies inside.
pub(crate) fn source(case: &Case, o: &[usize], k: &[usize]) -> Option<Vec<usize>> {
    let [stride, pad, dilation] = case.3;
    (0..o.len())
        .map(|a| {
            let at = (o[a] as i64) * i64::from(stride[a]) + k[a] as i64 * i64::from(dilation[a]) - i64::from(pad[a]);
            (at >= 0 && at < case.0[2 + a] as i64).then_some(at as usize)
        })
        .collect()
}

pub(crate) fn blocks<T: Float>(terms: &[(T, T)]) -> T {
    let mut total = None;
    for block in terms.chunks(512) {
        let sum = block.iter().fold(T::ZERO, |sum, &(a, b)| a.mul_add(b, sum));
        total = Some(total.map_or(sum, |total: T| total + sum));
    }
    total.unwrap_or(T::ZERO)
}

pub(crate) fn join(a: &[usize], b: &[usize]) -> Vec<usize> {
    [a, b].concat()
}

fn forward<T: Float>(case: &Case, x: &Array<T>, w: &Array<T>, bias: Option<&[T]>) -> Array<T> {
    let mut y = Array::zeros(case.2);
    let (out, per) = (case.1[0] / case.4 as usize, case.1[1]);
    for o in indices(case.2) {
        let mut terms = Vec::new();
        for c in 0..per {
            for k in indices(&case.1[2..]) {
                let from = source(case, &o[2..], &k);
                let value = from.map_or(T::ZERO, |s| x.get(&join(&[o[0], o[1] / out * per + c], &s)));
                terms.push((w.get(&join(&[o[1], c], &k)), value));
            }
        }
        let at = y.at(&o);
        y.data[at] = blocks(&terms);
        if let Some(bias) = bias {
            y.data[at] += bias[o[1]];
        }
    }
    y
}

fn check_forward<T: Float>(cases: &[Case]) {
    for case in cases {
        let x = Array::new(case.0, values::<T>(case.0.iter().product(), 1));
        let w = Array::new(case.1, values::<T>(case.1.iter().product(), 2));
        let bias = Array::new(&case.1[..1], values::<T>(case.1[0], 3));
        let mut last_first: Vec<usize> = (0..case.0.len()).collect();
        last_first.swap(1, case.0.len() - 1); // channels innermost
        for (x, bias) in [(x.clone(), Some(&bias)), (x.laid(&last_first, 3), None)] {
            let wanted = forward(case, &x, &w, bias.map(|b| &b.data[..]));
            let y = Array::<T>::zeros(case.2);
            let ins = [Some(x.view()), Some(w.view()), bias.map(Array::view)];
            run_all_ways::<T>(&CONV, &ins, &[Some(y.view())], args(case), || assert_eq!(y, wanted, "{case:?}"));
        }
    }
}

#[test]
fn forward_is_its_naive_twin_bit_for_bit() {
    check_forward::<f32>(CASES);
    check_forward::<f64>(CASES);
}

fn backward<T: Float>(case: &Case, dy: &Array<T>, w: &Array<T>) -> Array<T> {
    let mut dx = Array::zeros(case.0);
    let (out, per) = (case.1[0] / case.4 as usize, case.1[1]);
    let [stride, pad, dilation] = case.3;
    for i in indices(case.0) {
        let group = i[1] / per;
        let mut terms = Vec::new();
        for o in group * out..(group + 1) * out {
            'taps: for k in indices(&case.1[2..]) {
                let mut to = Some(Vec::new());
                for a in 0..k.len() {
                    let at = i[2 + a] as i64 + i64::from(pad[a]) - k[a] as i64 * i64::from(dilation[a]);
                    if at.rem_euclid(i64::from(stride[a])) != 0 {
                        continue 'taps;
                    }
                    let at = at.div_euclid(i64::from(stride[a]));
                    let inside = at >= 0 && at < case.2[2 + a] as i64;
                    to = to.filter(|_| inside).map(|to| join(&to, &[at as usize]));
                }
                let value = to.map_or(T::ZERO, |to| dy.get(&join(&[i[0], o], &to)));
                terms.push((w.get(&join(&[o, i[1] % per], &k)), value));
            }
        }
        let at = dx.at(&i);
        dx.data[at] = blocks(&terms);
    }
    dx
}

fn check_backward<T: Float>(cases: &[Case]) {
    for case in cases {
        let dy = Array::new(case.2, values::<T>(case.2.iter().product(), 1));
        let w = Array::new(case.1, values::<T>(case.1.iter().product(), 2));
        let wanted = backward(case, &dy, &w);
        let mut last_first: Vec<usize> = (0..case.0.len()).collect();
        last_first.swap(1, case.0.len() - 1);
        for dy in [dy.clone(), dy.laid(&last_first, 3)] {
            let dx = Array::<T>::zeros(case.0);
            let ins = [Some(dy.view()), Some(w.view())];
            run_all_ways::<T>(&CONV_GRAD_INPUT, &ins, &[Some(dx.view())], args(case), || {
                assert_eq!(dx, wanted, "{case:?}")
            });
        }
    }
}

#[test]
fn the_input_gradient_is_its_naive_twin_bit_for_bit() {
    check_backward::<f32>(CASES);
    check_backward::<f64>(CASES);
}
