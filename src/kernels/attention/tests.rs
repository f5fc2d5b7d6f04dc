use super::*;
use crate::kernels::call::Args;
use crate::kernels::spatial::testing::{Array, indices, run, run_all_ways, values};
use crate::kernels::tile::BLOCK;

/// B, h, hk, queries, keys, e, f; causal, window, mask, bias.
struct Case([usize; 7], i32, i32, bool, bool);

const CASES: &[Case] = &[
    Case([2, 4, 2, 37, 37, 8, 8], 1, 0, false, false),
    Case([1, 2, 2, 70, 45, 5, 7], 0, 0, true, true),
    Case([1, 2, 1, 530, 530, 3, 33], 1, 9, false, true),
    Case([1, 1, 1, 33, 1100, 17, 2], 0, 0, true, false),
    Case([1, 3, 3, 1, 1, 1, 1], 0, 0, false, false),
    Case([1, 3, 3, 5, 200, 64, 64], 1, 0, true, true),
    Case([1, 2, 1, 100, 300, 520, 16], 0, 70, false, false),
    Case([1, 1, 1, 90, 20, 4, 4], 1, 5, false, false), // rows beyond the window of the last key
    Case([1, 1, 1, 90, 20, 4, 4], 0, 5, false, false),
    Case([1, 2, 1, 70, 150, 4, 4], 0, 9, true, true),
    Case([0, 2, 1, 3, 4, 5, 6], 0, 0, false, false),
    Case([1, 2, 1, 0, 4, 5, 6], 0, 0, false, false),
    Case([1, 2, 1, 3, 0, 5, 6], 0, 0, false, false),
];

/// Operands of a case.
struct Given<T> {
    q: Array<T>,
    k: Array<T>,
    v: Array<T>,
    dy: Array<T>,
    /// Everything that hides a key, as one mask.
    seen: Array<u8>,
    mask: Option<Array<u8>>,
    bias: Option<Array<T>>,
    args: Args,
    group: usize,
}

fn given<T: Float>(case: &Case) -> Given<T> {
    let &Case([b, h, hk, n, m, e, f], causal, window, masked, biased) = case;
    let of = |shape: &[usize], seed| Array::new(shape, values::<T>(shape.iter().product(), seed));
    let mut args = Args::default();
    (args.ints[0], args.ints[1], args.nums[0]) = (causal, window, 0.3);
    let full = [b, h, n, m];
    let mut seen = Array::<u8>::zeros(&full);
    // Row 2 of the mask sees nothing; the mask is the same for all heads.
    let bit = |at: &[usize]| u8::from(!masked || at[2] != 2 && !(at[0] + at[2] * 5 + at[3] * 3).is_multiple_of(7));
    for at in indices(&full) {
        let (i, j) = (at[2] as i32, at[3] as i32);
        let flat = seen.at(&at);
        seen.data[flat] =
            u8::from((causal == 0 || j <= i) && (window == 0 || j > i - window && j < i + window)) & bit(&at);
    }
    let mask = masked.then(|| {
        let mut mask = Array::<u8>::zeros(&[b, 1, n, m]);
        mask.data.iter_mut().zip(indices(&[b, 1, n, m])).for_each(|(to, at)| *to = bit(&at));
        mask.shape[1] = h;
        mask.strides[1] = 0;
        mask
    });
    let bias = biased.then(|| of(&full, 5));
    let (q, k, v) = (of(&[b, h, n, e], 1), of(&[b, hk, m, e], 2), of(&[b, hk, m, f], 3));
    Given { q, k, v, dy: of(&[b, h, n, f], 4), seen, mask, bias, args, group: h / hk }
}

fn product_of<T: Float>(n: usize, term: impl Fn(usize) -> (T, T)) -> T {
    let mut total = None;
    for from in (0..n).step_by(BLOCK) {
        let block = (from..n.min(from + BLOCK)).fold(T::ZERO, |sum, i| term(i).0.mul_add(term(i).1, sum));
        total = Some(total.map_or(block, |total: T| total + block));
    }
    total.unwrap_or(T::ZERO)
}

fn in_lanes<T: Float>(n: usize, step: impl Fn(T, usize) -> T) -> T {
    let mut lanes = [T::ZERO; 64];
    (0..n).for_each(|i| lanes[i % 64] = step(lanes[i % 64], i));
    for half in [32, 16, 8, 4, 2, 1] {
        (0..half).for_each(|j| lanes[j] += lanes[j + half]);
    }
    lanes[0]
}

struct Wanted<T> {
    y: Array<T>,
    lse: Array<T>,
    weights: Array<T>,
    dq: Array<T>,
    dk: Array<T>,
    dv: Array<T>,
    dbias: Array<T>,
}

/// Row after row over all keys, hidden ones with the weight 0.
fn twin<T: Float>(g: &Given<T>) -> Wanted<T> {
    let ([b, h, n, e], [_, hk, m, f]) = ([0, 1, 2, 3].map(|a| g.q.shape[a]), [0, 1, 2, 3].map(|a| g.v.shape[a]));
    let (scale, full) = (T::of(g.args.nums[0]), [b, h, n, m]);
    let mut w = Wanted {
        y: Array::zeros(&[b, h, n, f]),
        lse: Array::zeros(&[b, h, n]),
        weights: Array::zeros(&full),
        dq: Array::zeros(&g.q.shape),
        dk: Array::zeros(&g.k.shape),
        dv: Array::zeros(&g.v.shape),
        dbias: Array::zeros(&full),
    };
    let mut again = Array::<T>::zeros(&full); // exp(s - lse)
    for row in indices(&[b, h, n]) {
        let (kb, kh, i) = (row[0], row[1] / g.group, row[2]);
        let at = |j: usize| [row[0], row[1], i, j];
        let s: Vec<T> = (0..m)
            .map(|j| {
                let s = product_of(e, |c| (g.q.get(&[row[0], row[1], i, c]), g.k.get(&[kb, kh, j, c])));
                let s = g.bias.as_ref().map_or(s * scale, |bias| s.mul_add(scale, bias.get(&at(j))));
                if g.seen.get(&at(j)) == 0 { T::NEG_INF } else { s }
            })
            .collect();
        let max = s.iter().fold(T::NEG_INF, |a, &b| a.maximum(b));
        let empty = max == T::NEG_INF;
        let p: Vec<T> = s.iter().map(|&s| if empty { T::ZERO } else { (s - max).exp() }).collect();
        let sum = in_lanes(m, |lane, j| lane + p[j]);
        let (factor, lse) = if empty { (T::ZERO, -T::NEG_INF) } else { (T::ONE / sum, max + sum.ln()) };
        let to = w.lse.at(&row);
        w.lse.data[to] = lse;
        for c in 0..f {
            let to = w.y.at(&[row[0], row[1], i, c]);
            let sum = product_of(m, |j| (p[j], g.v.get(&[kb, kh, j, c])));
            w.y.data[to] = if empty { T::ZERO } else { (sum + T::ZERO) * factor };
        }
        let get = |x: &Array<T>, c: usize| x.get(&[row[0], row[1], i, c]);
        let dot = in_lanes(f, |lane, c| get(&g.dy, c).mul_add(get(&w.y, c), lane));
        for j in 0..m {
            let to = w.weights.at(&at(j));
            w.weights.data[to] = p[j] * factor;
            again.data[to] = (s[j] - lse).exp();
            let dp = product_of(f, |c| (get(&g.dy, c), g.v.get(&[kb, kh, j, c])));
            w.dbias.data[to] = again.data[to] * (dp - dot);
        }
        for c in 0..e {
            let to = w.dq.at(&[row[0], row[1], i, c]);
            w.dq.data[to] = product_of(m, |j| (w.dbias.get(&at(j)), g.k.get(&[kb, kh, j, c]))) * scale;
        }
    }
    for at in indices(&[b, hk, m]) {
        let down = |left: &Array<T>, right: &Array<T>, c: usize| {
            let mut total: Option<T> = None;
            for h in at[1] * g.group..(at[1] + 1) * g.group {
                for from in (0..n).step_by(BLOCK) {
                    let chain = (from..n.min(from + BLOCK)).fold(T::ZERO, |sum, i| {
                        left.get(&[at[0], h, i, at[2]]).mul_add(right.get(&[at[0], h, i, c]), sum)
                    });
                    total = Some(total.map_or(chain, |total| total + chain));
                }
            }
            total.unwrap_or(T::ZERO)
        };
        for c in 0..f {
            let to = w.dv.at(&[at[0], at[1], at[2], c]);
            w.dv.data[to] = down(&again, &g.dy, c);
        }
        for c in 0..e {
            let to = w.dk.at(&[at[0], at[1], at[2], c]);
            w.dk.data[to] = down(&w.dbias, &g.q, c) * scale;
        }
    }
    w
}

fn check<T: Float>() {
    for case in CASES {
        let g = given::<T>(case);
        let w = twin(&g);
        let (mask, bias) = (g.mask.as_ref().map(Array::view), g.bias.as_ref().map(Array::view));
        // As slices of one [B, T, h, ..] product, and with the last axis apart.
        for order in [[0, 1, 2, 3], [0, 2, 1, 3], [3, 2, 1, 0]] {
            let lay = |x: &Array<T>| x.laid(&order, if order[3] == 3 { 3 } else { 0 });
            let (q, k, v, dy, y_in) = (lay(&g.q), lay(&g.k), lay(&g.v), lay(&g.dy), lay(&w.y));
            let [vq, vk, vv, vdy, vy] = [&q, &k, &v, &dy, &y_in].map(|x| Some(x.view()));
            let (y, lse) = (Array::<T>::zeros(&w.y.shape).laid(&order, 0), Array::<T>::zeros(&w.lse.shape));
            let outs = [Some(y.view()), Some(lse.view())];
            run_all_ways::<T>(&SDPA, &[vq, vk, vv, mask, bias], &outs, g.args, || {
                for at in indices(&w.y.shape) {
                    assert_eq!(y.get(&at), w.y.get(&at), "{:?} {at:?}", case.0);
                }
                assert_eq!(lse.data, w.lse.data, "{:?}", case.0);
            });
            let weights = Array::<T>::zeros(&w.weights.shape);
            run_all_ways::<T>(&SDPA_WEIGHTS, &[vq, vk, mask, bias], &[Some(weights.view())], g.args, || {
                assert_eq!(weights.data, w.weights.data, "{:?}", case.0);
            });
            let grads = [&w.dq, &w.dk, &w.dv, &w.dbias].map(|x| Array::<T>::zeros(&x.shape));
            let outs = [0, 1, 2, 3].map(|i| Some(grads[i].view()));
            let ins = [vq, vk, vv, mask, bias, vy, Some(w.lse.view()), vdy];
            run_all_ways::<T>(&SDPA_GRAD, &ins, &outs, g.args, || {
                assert_eq!(grads[0].data, w.dq.data, "dq {:?}", case.0);
                assert_eq!(grads[1].data, w.dk.data, "dk {:?}", case.0);
                assert_eq!(grads[2].data, w.dv.data, "dv {:?}", case.0);
                assert_eq!(grads[3].data, w.dbias.data, "dbias {:?}", case.0);
            });
            run::<T>(&SDPA_GRAD, &ins, &[None, outs[1], None, None], g.args);
        }
        // The same told by a mask alone.
        let (y, lse) = (Array::<T>::zeros(&w.y.shape), Array::<T>::zeros(&w.lse.shape));
        let mut args = g.args;
        args.ints = Default::default();
        let ins = [Some(g.q.view()), Some(g.k.view()), Some(g.v.view()), Some(g.seen.view()), bias];
        run::<T>(&SDPA, &ins, &[Some(y.view()), Some(lse.view())], args);
        let bits = |x: &Array<T>| x.data.iter().map(|x| x.to_f64().to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&y), bits(&w.y), "{:?}", case.0);
        assert_eq!(bits(&lse), bits(&w.lse), "{:?}", case.0);
    }
}

#[test]
fn all_parts_are_their_naive_twins_bit_for_bit() {
    check::<f32>();
    check::<f64>();
}

/// All gradients of the sum of dy·y by central differences in f64.
#[test]
fn the_gradients_are_those_of_the_formula() {
    let mut g = given::<f64>(&Case([1, 2, 1, 5, 6, 3, 2], 1, 3, true, true));
    let (y, lse) = (Array::<f64>::zeros(&g.dy.shape), Array::<f64>::zeros(&[1, 2, 5]));
    let forward = |g: &Given<f64>| {
        let ins = [&g.q, &g.k, &g.v].map(|x| Some(x.view()));
        let more = [g.mask.as_ref().map(Array::view), g.bias.as_ref().map(Array::view)];
        let ins = [ins[0], ins[1], ins[2], more[0], more[1]];
        run::<f64>(&SDPA, &ins, &[Some(y.view()), Some(lse.view())], g.args);
        (ins, y.data.iter().zip(&g.dy.data).map(|(y, dy)| y * dy).sum::<f64>())
    };
    let (ins, _) = forward(&g);
    let shapes = [&g.q.shape, &g.k.shape, &g.v.shape, &g.bias.as_ref().expect("the case has a bias").shape];
    let grads = shapes.map(|shape| Array::<f64>::zeros(shape));
    let outs = [0, 1, 2, 3].map(|i| Some(grads[i].view()));
    let ins = [&ins[..], &[Some(y.view()), Some(lse.view()), Some(g.dy.view())]].concat();
    run::<f64>(&SDPA_GRAD, &ins, &outs, g.args);
    for (which, grad) in grads.iter().enumerate() {
        for i in 0..grad.data.len() {
            let mut at = |by: f64| {
                let x = match which {
                    0 => &mut g.q,
                    1 => &mut g.k,
                    2 => &mut g.v,
                    _ => g.bias.as_mut().expect("the case has a bias"),
                };
                x.data[i] += by;
                forward(&g).1
            };
            let (up, down) = (at(1e-6), at(-2e-6));
            at(1e-6);
            let difference = (up - down) / 2e-6;
            assert!((difference - grad.data[i]).abs() < 1e-8, "{which} {i}: {difference} {}", grad.data[i]);
        }
    }
}
