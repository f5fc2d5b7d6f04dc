use super::*;
use crate::kernels::call::Args;
use crate::kernels::spatial::testing::{Array, indices, run_all_ways, values};

const SHAPES: &[&[usize]] = &[
    &[5, 3],
    &[1100, 67],
    &[1, 1],
    &[4, 3, 7],
    &[3, 2, 5, 13],
    &[2, 1, 1, 1],
    &[2, 3, 2, 3, 70],
    &[0, 3, 4],
    &[2, 513],
    &[7, 2, 1],
];

const EPS: f64 = 1e-3;

/// The channel's elements: one list an image, or one list in all for rank 2.
fn channel<T: Float>(x: &Array<T>, c: usize) -> Vec<Vec<T>> {
    let all =
        |b: usize| -> Vec<T> { indices(&x.shape[2..]).iter().map(|s| x.get(&[&[b, c][..], s].concat())).collect() };
    if x.shape.len() == 2 {
        return vec![(0..x.shape[0]).flat_map(all).collect()];
    }
    (0..x.shape[0]).map(all).collect()
}

/// Sums of `step` over the channel in the documented order; `lists` are parallel.
fn total<T: Float>(rank: usize, lists: &[Vec<Vec<T>>], step: impl Fn(T, &[T]) -> T) -> T {
    let mut total = None;
    for b in 0..lists[0].len() {
        let n = lists[0][b].len();
        let get = |i: usize| lists.iter().map(|list| list[b][i]).collect::<Vec<T>>();
        if rank == 2 {
            for from in (0..n).step_by(512) {
                let block = (from..n.min(from + 512)).fold(T::ZERO, |sum, i| step(sum, &get(i)));
                total = Some(total.map_or(block, |total: T| total + block));
            }
            continue;
        }
        let mut lanes = [T::ZERO; 64];
        for i in 0..n {
            lanes[i % 64] = step(lanes[i % 64], &get(i));
        }
        let mut half = 32;
        while half > 0 {
            for j in 0..half {
                lanes[j] += lanes[j + half];
            }
            half /= 2;
        }
        total = Some(total.map_or(lanes[0], |total| total + lanes[0]));
    }
    total.unwrap_or(T::ZERO)
}

fn layouts<T: Float>(x: &Array<T>) -> [Array<T>; 2] {
    let mut order: Vec<usize> = (0..x.shape.len()).collect();
    order.swap(1, x.shape.len() - 1);
    if x.shape.len() == 2 {
        order = vec![1, 0];
    }
    [x.clone(), x.laid(&order, 3)]
}

fn same<T: Float>(found: &Array<T>, wanted: &Array<T>) {
    let equal = |(a, b): (&T, &T)| a == b || a.nan() && b.nan();
    assert!(found.data.iter().zip(&wanted.data).all(equal), "{found:?}\n{wanted:?}");
}

fn check<T: Float>() {
    let args = Args { nums: [EPS, 0.0, 0.0, 0.0], ..Args::default() };
    for &shape in SHAPES {
        let (c, rank) = (shape[1], shape.len());
        let len = shape.iter().product::<usize>();
        let (x, dy) = (Array::new(shape, values::<T>(len, 1)), Array::new(shape, values::<T>(len, 2)));
        let n = T::of((len / c) as f64);
        let of = |f: &dyn Fn(usize) -> T| Array::new(&[c], (0..c).map(f).collect());
        let mean = of(&|i| total(rank, &[channel(&x, i)], |sum, v| sum + v[0]) / n);
        let var = of(&|i| {
            let m = mean.data[i];
            total(rank, &[channel(&x, i)], |sum, v| (v[0] - m).mul_add(v[0] - m, sum)) / n
        });
        for x in layouts(&x) {
            let outs = [Array::<T>::zeros(&[c]), Array::<T>::zeros(&[c])];
            let views = [Some(outs[0].view()), Some(outs[1].view())];
            run_all_ways::<T>(&BATCHNORM_STATS, &[Some(x.view())], &views, args, || {
                same(&outs[0], &mean);
                same(&outs[1], &var);
            });
        }
        // From here with statistics that are numbers, also for no images.
        let (mean, var) = (Array::new(&[c], values::<T>(c, 3)), of(&|i| T::of(0.5 + i as f64 / 7.0)));
        let (weight, bias) = (Array::new(&[c], values::<T>(c, 4)), Array::new(&[c], values::<T>(c, 5)));
        let rstd: Vec<T> = var.data.iter().map(|&v| T::ONE / (v + T::of(EPS)).sqrt()).collect();
        let xhat = |x: T, i: usize| (x - mean.data[i]) * rstd[i];
        let sum_dy = of(&|i| total(rank, &[channel(&dy, i)], |sum, v| sum + v[0]));
        let sum_dot =
            of(&|i| total(rank, &[channel(&dy, i), channel(&x, i)], |sum, v| v[0].mul_add(xhat(v[1], i), sum)));
        for with in [true, false] {
            let one = |w: &Array<T>, i: usize, absent: T| if with { w.data[i] } else { absent };
            let each = |f: &dyn Fn(&[usize], usize) -> T| {
                Array::new(shape, indices(shape).iter().map(|at| f(at, at[1])).collect())
            };
            let y = each(&|at, i| {
                (x.get(at) - mean.data[i]).mul_add(rstd[i] * one(&weight, i, T::ONE), one(&bias, i, T::ZERO))
            });
            let dx = each(&|at, i| {
                let centred = dy.get(at) - sum_dy.data[i] / n;
                let scale = rstd[i] * one(&weight, i, T::ONE);
                scale * (-xhat(x.get(at), i)).mul_add(sum_dot.data[i] / n, centred)
            });
            let dx_eval = each(&|at, i| dy.get(at) * (rstd[i] * one(&weight, i, T::ONE)));
            let (w, b) = (with.then(|| weight.view()), with.then(|| bias.view()));
            let (m, v) = (Some(mean.view()), Some(var.view()));
            for (x, dy) in layouts(&x).into_iter().zip(layouts(&dy)) {
                let out = Array::<T>::zeros(shape);
                let to = [Some(out.view())];
                let (from, back) = (Some(x.view()), Some(dy.view()));
                run_all_ways::<T>(&BATCHNORM_APPLY, &[from, m, v, w, b], &to, args, || same(&out, &y));
                run_all_ways::<T>(&BATCHNORM_GRAD_EVAL, &[v, w, back], &to, args, || same(&out, &dx_eval));
                let sums = [Some(sum_dy.view()), Some(sum_dot.view())];
                let ins = [from, m, v, w, back, sums[0], sums[1]];
                run_all_ways::<T>(&BATCHNORM_GRAD, &ins, &to, args, || same(&out, &dx));
                let found = [Array::<T>::zeros(&[c]), Array::<T>::zeros(&[c])];
                let to = [Some(found[0].view()), Some(found[1].view())];
                run_all_ways::<T>(&BATCHNORM_GRAD_STATS, &[from, m, v, back], &to, args, || {
                    same(&found[0], &sum_dy);
                    same(&found[1], &sum_dot);
                });
            }
        }
    }
}

#[test]
fn all_parts_are_their_naive_twins_bit_for_bit() {
    check::<f32>();
    check::<f64>();
}

/// dx of the sum of dy·y by central differences in f64.
#[test]
fn the_gradient_goes_through_the_statistics() {
    let shape = [3, 2, 4];
    let (x, dy) = (Array::new(&shape, values::<f64>(24, 1)), Array::new(&shape, values::<f64>(24, 2)));
    let weight = Array::new(&[2], vec![0.7, -1.3]);
    let args = Args { nums: [EPS, 0.0, 0.0, 0.0], ..Args::default() };
    let run = |kernel: &Kernel, ins: &[&Array<f64>], outs: &[&Array<f64>]| {
        let views = |list: &[&Array<f64>]| list.iter().map(|a| Some(a.view())).collect::<Vec<_>>();
        crate::kernels::spatial::testing::run::<f64>(kernel, &views(ins), &views(outs), args);
    };
    let stats = |x: &Array<f64>| {
        let (mean, var) = (Array::<f64>::zeros(&[2]), Array::<f64>::zeros(&[2]));
        run(&BATCHNORM_STATS, &[x], &[&mean, &var]);
        (mean, var)
    };
    let loss = |x: &Array<f64>| {
        let ((mean, var), y) = (stats(x), Array::<f64>::zeros(&shape));
        run(&BATCHNORM_APPLY, &[x, &mean, &var, &weight, &Array::zeros(&[2])], &[&y]);
        y.data.iter().zip(&dy.data).map(|(y, dy)| y * dy).sum::<f64>()
    };
    let (mean, var) = stats(&x);
    let (sum_dy, sum_dot, dx) = (Array::<f64>::zeros(&[2]), Array::<f64>::zeros(&[2]), Array::<f64>::zeros(&shape));
    run(&BATCHNORM_GRAD_STATS, &[&x, &mean, &var, &dy], &[&sum_dy, &sum_dot]);
    run(&BATCHNORM_GRAD, &[&x, &mean, &var, &weight, &dy, &sum_dy, &sum_dot], &[&dx]);
    for i in 0..24 {
        let (mut up, mut down) = (x.clone(), x.clone());
        up.data[i] += 1e-6;
        down.data[i] -= 1e-6;
        let difference = (loss(&up) - loss(&down)) / 2e-6;
        assert!((difference - dx.data[i]).abs() < 1e-7, "{i}: {difference} {}", dx.data[i]);
    }
}

#[test]
fn in_place_gives_the_same_bits() {
    let args = Args { nums: [EPS, 0.0, 0.0, 0.0], ..Args::default() };
    for shape in [&[70, 67][..], &[3, 5, 9, 11]] {
        let (c, len) = (shape[1], shape.iter().product::<usize>());
        let per = |seed| Array::new(&[c], values::<f32>(c, seed));
        let (mean, mut var, weight, sum_dy, sum_dot) = (per(1), per(2), per(3), per(4), per(5));
        var.data.iter_mut().for_each(|v| *v = v.abs());
        let (x, dy) = (Array::new(shape, values::<f32>(len, 6)), Array::new(shape, values::<f32>(len, 7)));
        let view = |a: &Array<f32>| Some(a.view());
        let of_channels = [view(&mean), view(&var), view(&weight), view(&sum_dy), view(&sum_dot)];
        let [m, v, w, sd, sx] = of_channels;
        let cases: [(&Kernel, Vec<Option<View>>); 3] = [
            (&BATCHNORM_APPLY, vec![view(&x), m, v, w, sd]),
            (&BATCHNORM_GRAD, vec![view(&x), m, v, w, view(&dy), sd, sx]),
            (&BATCHNORM_GRAD_EVAL, vec![v, w, view(&dy)]),
        ];
        for (kernel, ins) in cases {
            let wanted = Array::<f32>::zeros(shape);
            crate::kernels::spatial::testing::run::<f32>(kernel, &ins, &[view(&wanted)], args);
            for &(operand, _) in kernel.inplace {
                let of = if ins[operand].is_some_and(|v| v.ptr == x.view().ptr) { &x } else { &dy };
                let both = of.clone();
                let mut ins = ins.clone();
                ins[operand] = view(&both);
                crate::kernels::spatial::testing::run::<f32>(kernel, &ins, &[view(&both)], args);
                assert_eq!(both, wanted, "{} {operand}", kernel.name);
            }
        }
    }
}
