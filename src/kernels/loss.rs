//! Losses over class scores, their gradients, and accuracy: one number a row.

use super::axes::Axes;
use super::call::{Access, Call, FaultKind, Kernel, Layout, View, Worker, no_work, output_rows};
use super::float::Float;
use super::gather::within;
use super::lanes::{Rows, largest, map, sum, vector};
use super::reduce::extreme_of_row;
use std::ops::Range;

const SCORES: (Layout, Access) = (Layout::Rows, Access::Unit);
const LABELS: (Layout, Access) = (Layout::Dense, Access::Unit);
const CLASSES: (Layout, Access) = (Layout::Dense, Access::All);
const ANY: (Layout, Access) = (Layout::Any, Access::All);

/// The number of each row, in an operand of any strides.
struct PerRow<T> {
    ptr: *const T,
    axes: Axes,
}

impl<T: Float> PerRow<T> {
    fn of(view: &View) -> PerRow<T> {
        let mut axes = Axes::default();
        (0..view.rank()).for_each(|axis| axes.push(view.dim(axis), view.stride(axis)));
        PerRow { ptr: view.as_ptr(), axes }
    }

    /// # Safety
    /// Nobody writes it meanwhile.
    unsafe fn at(&self, row: usize) -> T {
        // SAFETY: promised by the caller.
        unsafe { *self.ptr.wrapping_offset(self.axes.offset(row)) }
    }
}

/// A row's label as an index: `None` if it is ignored, or outside the classes, which is a fault.
fn label(worker: &Worker<'_>, labels: &View, row: usize, ignored: i32, classes: usize) -> Option<usize> {
    // SAFETY: a label of this range's rows, which nobody writes meanwhile, as the callers of `run` promise.
    let label = unsafe { labels.slice::<i64>(row, 1)[0] };
    if label == i64::from(ignored) {
        return None;
    }
    let index = within(label, classes);
    if index.is_none() {
        worker.report(FaultKind::IndexOutOfRange);
    }
    index
}

/// A class's weight.
///
/// # Safety
/// The class has a weight where there are weights.
unsafe fn weight_of<T: Float>(weights: Option<*mut T>, class: usize) -> T {
    // SAFETY: promised by the caller.
    weights.map_or(T::ONE, |weights| unsafe { *weights.add(class) })
}

/// Writes a row's number where the output lives.
///
/// # Safety
/// The row is this range's.
unsafe fn put<T>(output: Option<*mut T>, row: usize, value: T) {
    if let Some(output) = output {
        // SAFETY: promised by the caller.
        unsafe { *output.add(row) = value };
    }
}

/// Cross entropy of each row of scores with its label.
///
/// Operands: logits `[.., C]`, target i64 `[..]`, weight `[C]` (may be absent: 1). Outputs: loss `[rows]`, rowweight
/// `[rows]`, log `[rows]`. ints: the ignored label. nums: the label smoothing s.
///
/// With m the row's largest, `log = ln(sum(exp(z - m)))` (in lanes) and `l_c = log - (z_c - m)`:
/// `loss = (w_t (1 - s)) l_t`, if s is not 0 `fma(s / C, sum(w l), that)` (in lanes of `fma(w, l, chain)`, without
/// weights of `chain + l`); `rowweight = w_t`. An ignored row has 0 in all three, and so has one with a
/// label outside the classes, which is a fault (`IndexOutOfRange`).
pub static CROSS_ENTROPY: Kernel = Kernel {
    name: "cross_entropy",
    run: [cross_entropy::<f32>, cross_entropy::<f64>],
    units: logit_rows,
    work: no_work,
    reads: &[SCORES, LABELS, CLASSES],
    writes: &[Access::Unit],
    inplace: &[],
};

fn logit_rows(call: &Call) -> usize {
    call.input(0).rows()
}

unsafe fn cross_entropy<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let (logits, weights) = (Rows::<T>::of(call.input(0)), vector::<T>(&call.ins[2]));
    let smoothing = call.args.nums[0];
    let (keep, spread) = (T::of(1.0 - smoothing), T::of(smoothing / logits.len as f64));
    let [loss, rowweight, logs] = [0, 1, 2].map(|k| vector::<T>(&call.outs[k]));
    for r in range {
        let target = label(worker, call.input(1), r, call.args.ints[0], logits.len);
        // SAFETY: rows, weights and outputs of this range, as the caller promises.
        unsafe {
            let z = logits.row(r).cast_const();
            let [mut row_loss, mut weight, mut row_log] = [T::ZERO; 3];
            if let Some(target) = target {
                let [max, log] = max_and_log(z, logits.len);
                weight = weight_of(weights, target);
                row_log = log;
                row_loss = (weight * keep) * (log - (*z.add(target) - max));
                if smoothing != 0.0 {
                    row_loss = spread.mul_add(all_classes(z, logits.len, weights, max, log), row_loss);
                }
            }
            put(loss, r, row_loss);
            put(rowweight, r, weight);
            put(logs, r, row_log);
        }
    }
}

multiversion! {
    /// A row's largest, and the logarithm of the sum of exp(z - largest).
    fn max_and_log<T: Float>(z: *const T, n: usize) -> [T; 2] {
        // SAFETY: the caller's n elements.
        unsafe {
            let max = largest(z, n);
            [max, sum([z], n, |chain, [z]| chain + (z - max).exp()).ln()]
        }
    }
}

multiversion! {
    /// The (weighted) sum of the losses of all labels.
    fn all_classes<T: Float>(z: *const T, n: usize, weights: Option<*mut T>, max: T, log: T) -> T {
        // SAFETY: the caller's n elements and weights.
        unsafe {
            match weights {
                Some(w) => sum([z, w], n, |chain, [z, w]| w.mul_add(log - (z - max), chain)),
                None => sum([z], n, |chain, [z]| chain + (log - (z - max))),
            }
        }
    }
}

/// The gradient of `CROSS_ENTROPY` in the logits.
///
/// Operands: logits `[.., C]`, target i64 `[..]`, weight `[C]` (may be absent), log `[..]`, dloss `[..]` (any strides: it
/// is often one number for all). Output: dlogits. ints and nums as there.
///
/// With m the row's largest (looked for again: `m + log` would round away what large scores need) and
/// `p = exp((z - m) - log)`, `k = dloss (w_t (1 - s))`, `q = dloss s/C` and W the sum of the weights in lanes (without
/// weights C): `dz = p fma(q, W, k)`, where s is not 0 less `q w` (`fma(-q, w, dz)`), and k less at the label. Rows that
/// do not count get zeros.
pub static CROSS_ENTROPY_GRAD: Kernel = Kernel {
    name: "cross_entropy_grad",
    run: [cross_entropy_grad::<f32>, cross_entropy_grad::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[SCORES, LABELS, CLASSES, LABELS, ANY],
    writes: &[Access::Unit],
    inplace: &[(0, 0)],
};

unsafe fn cross_entropy_grad<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let (logits, dlogits) = (Rows::<T>::of(call.input(0)), Rows::<T>::of(call.output(0)));
    let (weights, logs) = (vector::<T>(&call.ins[2]), call.input(3).as_ptr::<T>());
    let dloss = PerRow::<T>::of(call.input(4));
    let (n, smoothing) = (logits.len, call.args.nums[0]);
    let (keep, spread) = (T::of(1.0 - smoothing), T::of(smoothing / n as f64));
    let total = if smoothing != 0.0 { total_weight(weights, n) } else { T::ZERO };
    for r in range {
        let target = label(worker, call.input(1), r, call.args.ints[0], n);
        // SAFETY: rows, weights and numbers of this range, as the caller promises; dz may be z.
        unsafe {
            let (z, dz) = (logits.row(r).cast_const(), dlogits.row(r));
            let Some(target) = target else {
                std::slice::from_raw_parts_mut(dz, n).fill(T::ZERO);
                continue;
            };
            let (dloss, log) = (dloss.at(r), *logs.add(r));
            let k = dloss * (weight_of(weights, target) * keep);
            let q = dloss * spread;
            let smooth = (smoothing != 0.0).then_some((q, weights));
            scaled_softmax(z, n, log, q.mul_add(total, k), smooth, dz);
            *dz.add(target) += -k;
        }
    }
}

multiversion! {
    /// The sum of all weights, in lanes.
    fn total_weight<T: Float>(weights: Option<*mut T>, n: usize) -> T {
        match weights {
            // SAFETY: n weights, as the caller of `run` promises.
            Some(weights) => unsafe { sum([weights.cast_const()], n, |chain, [w]| chain + w) },
            None => T::of(n as f64),
        }
    }
}

multiversion! {
    /// `exp((z - largest) - log) * scale`, less q times the weights.
    fn scaled_softmax<T: Float>(z: *const T, n: usize, log: T, scale: T, smooth: Option<(T, Option<*mut T>)>,
        dz: *mut T) {
        // SAFETY: the caller's n elements and weights; dz may be z.
        unsafe {
            let max = largest(z, n);
            match smooth {
                None => map([z], dz, n, |[z]| ((z - max) - log).exp() * scale),
                Some((q, None)) => map([z], dz, n, |[z]| ((z - max) - log).exp() * scale - q),
                Some((q, Some(w))) => map([z, w], dz, n, |[z, w]| (-q).mul_add(w, ((z - max) - log).exp() * scale)),
            }
        }
    }
}

/// The negative logarithm of the label's probability.
///
/// Operands: logprobs `[.., C]`, target i64 `[..]`, weight `[C]` (may be absent: 1). Outputs: loss `[rows]` =
/// `-(w_t logprobs_t)`, rowweight `[rows]` = w_t. ints: the ignored label. A row that is ignored, or whose label is
/// outside the classes (a fault), has 0 in both.
pub static NLL: Kernel = Kernel {
    name: "nll",
    run: [nll::<f32>, nll::<f64>],
    units: logit_rows,
    work: no_work,
    reads: &[SCORES, LABELS, CLASSES],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn nll<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let (logprobs, weights) = (Rows::<T>::of(call.input(0)), vector::<T>(&call.ins[2]));
    let [loss, rowweight] = [0, 1].map(|k| vector::<T>(&call.outs[k]));
    for r in range {
        // SAFETY: rows, weights and outputs of this range, as the caller promises.
        unsafe {
            let (value, weight) = match label(worker, call.input(1), r, call.args.ints[0], logprobs.len) {
                Some(target) => {
                    let weight = weight_of(weights, target);
                    (-(weight * *logprobs.row(r).add(target)), weight)
                }
                None => (T::ZERO, T::ZERO),
            };
            put(loss, r, value);
            put(rowweight, r, weight);
        }
    }
}

/// The gradient of `NLL`.
///
/// Operands: target i64 `[..]`, weight `[C]` (may be absent), dloss `[..]` (any strides). Output: dlogprobs `[.., C]`:
/// `-(w_t dloss)` at the label of a row that counts, 0 elsewhere. ints: the ignored label.
pub static NLL_GRAD: Kernel = Kernel {
    name: "nll_grad",
    run: [nll_grad::<f32>, nll_grad::<f64>],
    units: output_rows,
    work: no_work,
    reads: &[LABELS, CLASSES, ANY],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn nll_grad<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let (dlogprobs, weights) = (Rows::<T>::of(call.output(0)), vector::<T>(&call.ins[1]));
    let dloss = PerRow::<T>::of(call.input(2));
    for r in range {
        // SAFETY: rows, weights and numbers of this range, as the caller promises.
        unsafe {
            let row = std::slice::from_raw_parts_mut(dlogprobs.row(r), dlogprobs.len);
            row.fill(T::ZERO);
            if let Some(target) = label(worker, call.input(0), r, call.args.ints[0], row.len()) {
                row[target] = -(weight_of(weights, target) * dloss.at(r));
            }
        }
    }
}

/// Whether the largest score is the label's.
///
/// Operands: logits `[.., C]`, target i64 `[..]`. Outputs: hit `[rows]`, counted `[rows]`, each 1 or 0. ints: the ignored
/// label. Of equal scores the first is taken, and NaN before all, as argmax does in PyTorch. A row that is ignored, or
/// whose label is outside the classes (a fault), has 0 in both.
pub static ACCURACY_ROWS: Kernel = Kernel {
    name: "accuracy_rows",
    run: [accuracy_rows::<f32>, accuracy_rows::<f64>],
    units: logit_rows,
    work: no_work,
    reads: &[SCORES, LABELS],
    writes: &[Access::Unit],
    inplace: &[],
};

unsafe fn accuracy_rows<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let logits = Rows::<T>::of(call.input(0));
    let [hit, counted] = [0, 1].map(|k| vector::<T>(&call.outs[k]));
    for r in range {
        let target = label(worker, call.input(1), r, call.args.ints[0], logits.len);
        // SAFETY: rows and outputs of this range, as the caller promises.
        unsafe {
            let row = std::slice::from_raw_parts(logits.row(r).cast_const(), logits.len);
            let right = target.is_some_and(|target| extreme_of_row::<T, false>(row).1 == target as i64);
            put(hit, r, if right { T::ONE } else { T::ZERO });
            put(counted, r, if target.is_some() { T::ONE } else { T::ZERO });
        }
    }
}

#[cfg(test)]
mod tests;
