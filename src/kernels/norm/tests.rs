use super::*;
use crate::kernels::call::Args;
use crate::kernels::twin::{Buffer, Element, close, down, every_way, lanes, noise, same_bits};
use crate::tensor::DType;

const SHAPES: [(usize, usize); 9] = [(0, 5), (1, 1), (3, 1), (2, 7), (5, 64), (7, 65), (3, 200), (1, 1025), (1030, 19)];

fn args(nums: &[f64]) -> Args {
    let mut args = Args::default();
    args.nums[..nums.len()].copy_from_slice(nums);
    args
}

fn out<T: Element>(shape: &[usize]) -> Option<(DType, Vec<usize>)> {
    Some((T::DTYPE, shape.to_vec()))
}

fn rmsnorm_twin<T: Float + Element>(rows: usize, d: usize, weighted: bool, offset: f64) {
    let (x, w, dy): (Vec<T>, Vec<T>, Vec<T>) = (noise(rows * d, 1), noise(d, 2), noise(rows * d, 3));
    let (xs, ws, dys) = (Buffer::of(&[rows, d], &x), Buffer::of(&[d], &w), Buffer::of(&[rows, d], &dy));
    let weight = if weighted { ws.view() } else { None };
    let args = args(&[1e-5, offset]);
    let eps = T::of(1e-5);
    let count = T::of(d as f64);
    let gain = |j: usize, v: T| if weighted { (T::of(offset) + w[j]) * v } else { v };

    let got = every_way::<T>(&RMSNORM, &[xs.view(), weight], &[out::<T>(&[rows, d]), out::<T>(&[rows])], args);
    let square = |r: usize| lanes(d, |s, j| x[r * d + j].mul_add(x[r * d + j], s));
    let rstd: Vec<T> = (0..rows).map(|r| T::ONE / (square(r) / count + eps).sqrt()).collect();
    let y: Vec<T> = (0..rows * d)
        .map(|i| {
            let h = x[i] * rstd[i / d];
            if weighted { h * (T::of(offset) + w[i % d]) } else { h }
        })
        .collect();
    same_bits(&got[0], &y);
    same_bits(&got[1], &rstd);

    let rs = &got[1];
    let ins = [xs.view(), weight, rs.view(), dys.view()];
    let got = every_way::<T>(&RMSNORM_GRAD, &ins, &[out::<T>(&[rows, d])], args);
    let h = |i: usize| x[i] * rstd[i / d];
    let c: Vec<T> =
        (0..rows).map(|r| lanes(d, |s, j| gain(j, dy[r * d + j]).mul_add(h(r * d + j), s)) / count).collect();
    let dx = |i: usize| (-h(i)).mul_add(c[i / d], gain(i % d, dy[i])) * rstd[i / d];
    let dx: Vec<T> = (0..rows * d).map(dx).collect();
    same_bits(&got[0], &dx);

    let got = every_way::<T>(&RMSNORM_GRAD_WEIGHT, &[xs.view(), rs.view(), dys.view()], &[out::<T>(&[d])], args);
    let dw: Vec<T> = (0..d).map(|j| down(rows, |s, r| dy[r * d + j].mul_add(x[r * d + j] * rstd[r], s))).collect();
    same_bits(&got[0], &dw);
}

#[test]
fn rmsnorm_is_its_twin() {
    for (rows, d) in SHAPES {
        rmsnorm_twin::<f32>(rows, d, true, 0.0);
        rmsnorm_twin::<f64>(rows, d, true, 1.0);
        rmsnorm_twin::<f32>(rows, d, false, 0.0);
    }
    rmsnorm_twin::<f32>(3, 1100, true, 1.0);
}

fn layernorm_twin<T: Float + Element>(rows: usize, d: usize, weighted: bool, biased: bool) {
    let (x, dy): (Vec<T>, Vec<T>) = (noise(rows * d, 1), noise(rows * d, 3));
    let (w, b): (Vec<T>, Vec<T>) = (noise(d, 2), noise(d, 4));
    let (xs, dys) = (Buffer::of(&[rows, d], &x), Buffer::of(&[rows, d], &dy));
    let (ws, bs) = (Buffer::of(&[d], &w), Buffer::of(&[d], &b));
    let (weight, bias) = (if weighted { ws.view() } else { None }, if biased { bs.view() } else { None });
    let count = T::of(d as f64);

    let outs = [out::<T>(&[rows, d]), out::<T>(&[rows]), out::<T>(&[rows])];
    let saved = every_way::<T>(&LAYERNORM, &[xs.view(), weight, bias], &outs, args(&[1e-5]));
    let mean: Vec<T> = (0..rows).map(|r| lanes(d, |s: T, j| s + x[r * d + j]) / count).collect();
    let off = |i: usize| x[i] - mean[i / d];
    let variance = |r: usize| lanes(d, |s, j| off(r * d + j).mul_add(off(r * d + j), s)) / count;
    let rstd: Vec<T> = (0..rows).map(|r| T::ONE / (variance(r) + T::of(1e-5)).sqrt()).collect();
    let h = |i: usize| off(i) * rstd[i / d];
    let affine = |i: usize| match (weighted, biased) {
        (true, true) => h(i).mul_add(w[i % d], b[i % d]),
        (true, false) => h(i) * w[i % d],
        (false, true) => h(i) + b[i % d],
        (false, false) => h(i),
    };
    same_bits(&saved[0], &(0..rows * d).map(affine).collect::<Vec<T>>());
    same_bits(&saved[1], &mean);
    same_bits(&saved[2], &rstd);

    let ins = [xs.view(), weight, saved[1].view(), saved[2].view(), dys.view()];
    let got = every_way::<T>(&LAYERNORM_GRAD, &ins, &[out::<T>(&[rows, d])], args(&[1e-5]));
    let t = |i: usize| if weighted { w[i % d] * dy[i] } else { dy[i] };
    let a: Vec<T> = (0..rows).map(|r| lanes(d, |s: T, j| s + t(r * d + j)) / count).collect();
    let c: Vec<T> = (0..rows).map(|r| lanes(d, |s, j| t(r * d + j).mul_add(h(r * d + j), s)) / count).collect();
    let dx = |i: usize| (-h(i)).mul_add(c[i / d], t(i) - a[i / d]) * rstd[i / d];
    same_bits(&got[0], &(0..rows * d).map(dx).collect::<Vec<T>>());

    let ins = [xs.view(), saved[1].view(), saved[2].view(), dys.view()];
    let outs = [out::<T>(&[d]), if biased { out::<T>(&[d]) } else { None }];
    let got = every_way::<T>(&LAYERNORM_GRAD_WEIGHT, &ins, &outs, args(&[]));
    let dw = |j: usize| down(rows, |s, r| dy[r * d + j].mul_add(h(r * d + j), s));
    same_bits(&got[0], &(0..d).map(dw).collect::<Vec<T>>());
    if biased {
        same_bits(&got[1], &(0..d).map(|j| down(rows, |s, r| s + dy[r * d + j])).collect::<Vec<T>>());
    }
}

#[test]
fn layernorm_is_its_twin() {
    for (rows, d) in SHAPES {
        layernorm_twin::<f32>(rows, d, true, true);
        layernorm_twin::<f64>(rows, d, true, true);
        layernorm_twin::<f32>(rows, d, false, false);
    }
    layernorm_twin::<f32>(3, 100, true, false);
    layernorm_twin::<f32>(3, 100, false, true);
}

#[test]
fn rows_may_be_far_apart() {
    let (rows, d) = (6, 70);
    let wide = Buffer::of(&[rows, 100], &noise::<f32>(rows * 100, 1));
    let x = wide.window(13, &[2, 3, d], &[300, 100, 1]);
    let dense: Vec<f32> = (0..rows).flat_map(|r| wide.elements::<f32>()[r * 100 + 13..][..d].to_vec()).collect();
    let dense = Buffer::of(&[2, 3, d], &dense);
    let outs = [out::<f32>(&[2, 3, d]), out::<f32>(&[2, 3]), out::<f32>(&[2, 3])];
    let far = every_way::<f32>(&LAYERNORM, &[x, None, None], &outs, args(&[1e-5]));
    let near = every_way::<f32>(&LAYERNORM, &[dense.view(), None, None], &outs, args(&[1e-5]));
    for (far, near) in far.iter().zip(&near) {
        same_bits(far, near.elements::<f32>());
    }
    let ins = |x| [x, near[1].view(), near[2].view(), x];
    let far = every_way::<f32>(&LAYERNORM_GRAD_WEIGHT, &ins(x), &[None, out::<f32>(&[d])], args(&[]));
    let near = every_way::<f32>(&LAYERNORM_GRAD_WEIGHT, &ins(dense.view()), &[None, out::<f32>(&[d])], args(&[]));
    same_bits(&far[0], near[0].elements::<f32>());
}

/// The gradients against central differences of the forward kernel, in f64.
#[test]
fn gradients_are_differences() {
    let (rows, d) = (3, 11);
    let (x, w, b, dy): (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>) =
        (noise(rows * d, 1), noise(d, 2), noise(d, 4), noise(rows * d, 3));
    let rms = |x: &[f64], w: &[f64]| {
        let (x, w) = (Buffer::of(&[rows, d], x), Buffer::of(&[d], w));
        every_way::<f64>(&RMSNORM, &[x.view(), w.view()], &[out::<f64>(&[rows, d]), None], args(&[1e-2, 1.0]))
    };
    let layer = |x: &[f64], w: &[f64]| {
        let (x, w, b) = (Buffer::of(&[rows, d], x), Buffer::of(&[d], w), Buffer::of(&[d], &b));
        let outs = [out::<f64>(&[rows, d]), None, None];
        every_way::<f64>(&LAYERNORM, &[x.view(), w.view(), b.view()], &outs, args(&[1e-2]))
    };
    let dot = |y: Vec<Buffer>| y[0].elements::<f64>().iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>();
    let differences = |at: &[f64], f: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
        (0..at.len())
            .map(|i| {
                let (mut up, mut low) = (at.to_vec(), at.to_vec());
                up[i] += 1e-5;
                low[i] -= 1e-5;
                (f(&up) - f(&low)) / 2e-5
            })
            .collect()
    };
    let (xs, ws, dys) = (Buffer::of(&[rows, d], &x), Buffer::of(&[d], &w), Buffer::of(&[rows, d], &dy));
    let outs = [out::<f64>(&[rows, d]), out::<f64>(&[rows])];
    let rstd = every_way::<f64>(&RMSNORM, &[xs.view(), ws.view()], &outs, args(&[1e-2, 1.0])).remove(1);
    let ins = [xs.view(), ws.view(), rstd.view(), dys.view()];
    let dx = every_way::<f64>(&RMSNORM_GRAD, &ins, &outs[..1], args(&[1e-2, 1.0]));
    close(dx[0].elements::<f64>(), &differences(&x, &|x| dot(rms(x, &w))), 1e-7);
    let ins = [xs.view(), rstd.view(), dys.view()];
    let dw = every_way::<f64>(&RMSNORM_GRAD_WEIGHT, &ins, &[out::<f64>(&[d])], args(&[]));
    close(dw[0].elements::<f64>(), &differences(&w, &|w| dot(rms(&x, w))), 1e-7);

    let outs = [out::<f64>(&[rows, d]), out::<f64>(&[rows]), out::<f64>(&[rows])];
    let saved = every_way::<f64>(&LAYERNORM, &[xs.view(), None, None], &outs, args(&[1e-2]));
    let ins = [xs.view(), ws.view(), saved[1].view(), saved[2].view(), dys.view()];
    let dx = every_way::<f64>(&LAYERNORM_GRAD, &ins, &outs[..1], args(&[1e-2]));
    close(dx[0].elements::<f64>(), &differences(&x, &|x| dot(layer(x, &w))), 1e-7);
    let ins = [xs.view(), saved[1].view(), saved[2].view(), dys.view()];
    let dw = every_way::<f64>(&LAYERNORM_GRAD_WEIGHT, &ins, &[out::<f64>(&[d]), None], args(&[]));
    close(dw[0].elements::<f64>(), &differences(&w, &|w| dot(layer(&x, w))), 1e-7);
}
