use super::*;
use crate::kernels::call::Args;
use crate::kernels::twin::{Buffer, Element, close, every_way, every_way_fault, lanes, noise, same_bits};

const IGNORED: i32 = -100;

fn args(smoothing: f64) -> Args {
    let mut args = Args::default();
    args.ints[0] = IGNORED;
    args.nums[0] = smoothing;
    args
}

/// Labels of all kinds: ignored every fifth, wrong where asked.
fn labels(rows: usize, classes: usize, wrong: bool) -> Vec<i64> {
    (0..rows)
        .map(|r| match r % 5 {
            4 => i64::from(IGNORED),
            3 if wrong => classes as i64,
            2 if wrong => -1,
            _ => (r * 7 % classes.max(1)) as i64,
        })
        .collect()
}

fn twin<T: Float + Element>(rows: usize, c: usize, smoothing: f64, weighted: bool, wrong: bool) {
    let (z, w, dloss): (Vec<T>, Vec<T>, Vec<T>) = (noise(rows * c, 1), noise(c, 2), noise(rows, 3));
    let labels = labels(rows, c, wrong);
    let (zs, ws, ds) = (Buffer::of(&[rows, c], &z), Buffer::of(&[c], &w), Buffer::of(&[rows], &dloss));
    let ts = Buffer::of(&[rows], &labels);
    let weights = if weighted { ws.view() } else { None };
    let args = args(smoothing);
    let fault = labels.iter().any(|&t| t != i64::from(IGNORED) && within(t, c).is_none());
    let fault = fault.then_some(FaultKind::IndexOutOfRange);
    let row = Some((T::DTYPE, vec![rows]));
    let whole = [Some((T::DTYPE, vec![rows, c]))];

    let counts = |r: usize| if labels[r] == i64::from(IGNORED) { None } else { within(labels[r], c) };
    let weight = |j: usize| if weighted { w[j] } else { T::ONE };
    let (keep, spread) = (T::of(1.0 - smoothing), T::of(smoothing / c as f64));
    let max = |r: usize| z[r * c..][..c].iter().fold(T::NEG_INF, |a, &b| a.maximum(b));
    let log = |r: usize| lanes(c, |s: T, j| s + (z[r * c + j] - max(r)).exp()).ln();
    let forward = |r: usize| -> [T; 3] {
        let Some(t) = counts(r) else { return [T::ZERO; 3] };
        let (max, log) = (max(r), log(r));
        let of = |j: usize| log - (z[r * c + j] - max);
        let mut loss = (weight(t) * keep) * of(t);
        if smoothing != 0.0 {
            let all = if weighted { lanes(c, |s, j| w[j].mul_add(of(j), s)) } else { lanes(c, |s: T, j| s + of(j)) };
            loss = spread.mul_add(all, loss);
        }
        [loss, weight(t), log]
    };
    let rows_of: Vec<[T; 3]> = (0..rows).map(forward).collect();
    let ins = [zs.view(), ts.view(), weights];
    let (got, found) = every_way_fault::<T>(&CROSS_ENTROPY, &ins, &[row.clone(), row.clone(), row.clone()], args);
    assert_eq!(found, fault);
    for k in 0..3 {
        same_bits(&got[k], &rows_of.iter().map(|row| row[k]).collect::<Vec<T>>());
    }
    let only = every_way_fault::<T>(&CROSS_ENTROPY, &ins, &[row.clone(), None, None], args).0;
    same_bits(&only[0], got[0].elements::<T>());

    let lse = &got[2];
    let ins = [zs.view(), ts.view(), weights, lse.view(), ds.view()];
    let dz = every_way_fault::<T>(&CROSS_ENTROPY_GRAD, &ins, &whole, args).0;
    let total = if weighted { lanes(c, |s: T, j| s + w[j]) } else { T::of(c as f64) };
    let dz_of = |i: usize| {
        let (r, j) = (i / c, i % c);
        let Some(t) = counts(r) else { return T::ZERO };
        let (k, q) = (dloss[r] * (weight(t) * keep), dloss[r] * spread);
        let p = ((z[i] - max(r)) - rows_of[r][2]).exp();
        let mut dz = if smoothing != 0.0 { p * q.mul_add(total, k) } else { p * k };
        if smoothing != 0.0 {
            dz = (-q).mul_add(weight(j), dz);
        }
        if j == t { dz - k } else { dz }
    };
    same_bits(&dz[0], &(0..rows * c).map(dz_of).collect::<Vec<T>>());

    // One number for all rows.
    let (one, all) = (Buffer::of(&[1], &[T::of(0.3)]), Buffer::of(&[rows], &vec![T::of(0.3); rows]));
    let ins = |d| [zs.view(), ts.view(), weights, lse.view(), d];
    let expanded = every_way_fault::<T>(&CROSS_ENTROPY_GRAD, &ins(one.window(0, &[rows], &[0])), &whole, args).0;
    let dense = every_way_fault::<T>(&CROSS_ENTROPY_GRAD, &ins(all.view()), &whole, args).0;
    same_bits(&expanded[0], dense[0].elements::<T>());

    let (got, found) = every_way_fault::<T>(&NLL, &[zs.view(), ts.view(), weights], &[row.clone(), row.clone()], args);
    assert_eq!(found, fault);
    let loss = |r: usize| counts(r).map_or(T::ZERO, |t| -(weight(t) * z[r * c + t]));
    same_bits(&got[0], &(0..rows).map(loss).collect::<Vec<T>>());
    same_bits(&got[1], &(0..rows).map(|r| counts(r).map_or(T::ZERO, weight)).collect::<Vec<T>>());
    let dz = every_way_fault::<T>(&NLL_GRAD, &[ts.view(), weights, ds.view()], &whole, args).0;
    let dz_of = |i: usize| if counts(i / c) == Some(i % c) { -(weight(i % c) * dloss[i / c]) } else { T::ZERO };
    same_bits(&dz[0], &(0..rows * c).map(dz_of).collect::<Vec<T>>());

    let (got, found) = every_way_fault::<T>(&ACCURACY_ROWS, &[zs.view(), ts.view()], &[row.clone(), row], args);
    assert_eq!(found, fault);
    let one = |yes: bool| if yes { T::ONE } else { T::ZERO };
    let hit = |r: usize| one(counts(r).is_some_and(|t| (0..c).all(|j| z[r * c + j] < z[r * c + t] || j == t)));
    same_bits(&got[0], &(0..rows).map(hit).collect::<Vec<T>>());
    same_bits(&got[1], &(0..rows).map(|r| one(counts(r).is_some())).collect::<Vec<T>>());
}

#[test]
fn losses_are_their_twins() {
    for (rows, c) in [(0, 3), (1, 1), (11, 3), (7, 64), (5, 131), (3, 700)] {
        for (smoothing, weighted) in [(0.0, false), (0.0, true), (0.1, false), (0.1, true)] {
            twin::<f32>(rows, c, smoothing, weighted, false);
            twin::<f64>(rows, c, smoothing, weighted, true);
        }
    }
}

/// Numbers from PyTorch 2.
#[test]
fn cross_entropy_is_pytorch_s() {
    let z = [0.5, -1.0, 2.0, 0.25, 3.0, 3.0, -2.0, 0.0, -0.5, 0.75, 1.5, -3.0, 1.0, 1.0, 1.0, 1.0];
    let (z, t) = (Buffer::of(&[4, 4], &z), Buffer::of(&[4], &[2i64, 0, -100, 3]));
    let w = Buffer::of(&[4], &[0.5, 1.0, 2.0, 0.25]);
    let dloss = Buffer::of(&[4], &[1.0, 2.0, 3.0, -0.5]);
    let row = Some((f64::DTYPE, vec![4]));
    let check = |smoothing: f64, weight: Option<View>, loss: [f64; 4], dz: [f64; 16]| {
        let ins = [z.view(), t.view(), weight];
        let got = every_way::<f64>(&CROSS_ENTROPY, &ins, &[row.clone(), None, row.clone()], args(smoothing));
        close(got[0].elements::<f64>(), &loss, 1e-14);
        let ins = [z.view(), t.view(), weight, got[1].view(), dloss.view()];
        let out = [Some((f64::DTYPE, vec![4, 4]))];
        let got = every_way::<f64>(&CROSS_ENTROPY_GRAD, &ins, &out, args(smoothing));
        close(got[0].elements::<f64>(), &dz, 1e-14);
    };
    #[rustfmt::skip]
    check(
        0.0, None,
        [0.36927899844825335, 0.7210176726634484, 0.0, 1.3862943611198906],
        [0.1542348252841622, 0.034414441266120206, -0.3087674692584692, 0.12011820270818684, -1.0274856930718461,
         0.9725143069281538, 0.006552749855934238, 0.04841863628775782, 0.0, 0.0, 0.0, 0.0, -0.125, -0.125, -0.125, 0.375],
    );
    #[rustfmt::skip]
    check(
        0.0, w.view(),
        [0.7385579968965067, 0.3605088363317242, 0.0, 0.34657359027997264],
        [0.3084696505683244, 0.06882888253224041, -0.6175349385169384, 0.24023640541637367, -0.5137428465359231,
         0.4862571534640769, 0.003276374927967119, 0.02420931814387891, 0.0, 0.0, 0.0, 0.0, -0.03125, -0.03125, -0.03125,
         0.09375],
    );
    #[rustfmt::skip]
    check(
        0.1, None,
        [0.5255289984482534, 0.9210176726634484, 0.0, 1.3862943611198906],
        [0.12923482528416222, 0.009414441266120205, -0.23376746925846925, 0.09511820270818683, -0.8774856930718463,
         0.9225143069281537, -0.043447250144065766, -0.0015813637122421842, 0.0, 0.0, 0.0, 0.0, -0.1125, -0.1125, -0.1125,
         0.3375],
    );
    #[rustfmt::skip]
    check(
        0.1, w.view(),
        [0.8040096033113798, 0.6608033595107501, 0.0, 0.4418813276069651],
        [0.27958220038188225, 0.04017234814771515, -0.540978394908226, 0.22122384637862885, -0.3961953456078164,
         0.47880465439218367, -0.09643694226583577, 0.013827633481468317, 0.0, 0.0, 0.0, 0.0, -0.033593750000000006,
         -0.027343750000000003, -0.014843750000000003, 0.07578125],
    );
}

#[test]
fn ties_and_nan_are_taken_first() {
    let z = Buffer::of(&[3, 3], &[1.0f32, 2.0, 2.0, 2.0, f32::NAN, 1.0, f32::NAN, 3.0, f32::NAN]);
    let t = Buffer::of(&[3], &[1i64, 1, 2]);
    let row = Some((f32::DTYPE, vec![3]));
    let got = every_way::<f32>(&ACCURACY_ROWS, &[z.view(), t.view()], &[row.clone(), row], args(0.0));
    same_bits(&got[0], &[1.0f32, 1.0, 0.0]);
    same_bits(&got[1], &[1.0f32; 3]);
}
