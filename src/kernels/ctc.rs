//! Connectionist temporal classification: sums over paths, in logarithms.
//!
//! A target of L labels has 2L + 1 places: a blank before, between and behind the labels. A path goes on from a place to
//! itself, to the next, and to the label after the next blank if that is another label. A row of the batch is a unit.

use super::call::{Access, Call, FaultKind, Kernel, Layout, View, Worker};
use super::float::Float;
use super::gather::within;
use super::lanes::vector;
use std::ops::Range;

const ROWS: (Layout, Access) = (Layout::Dense, Access::Unit);
/// Log-probabilities of any strides.
const ANY: (Layout, Access) = (Layout::Any, Access::Unit);

/// The cost of each row.
///
/// Operands: logprobs `[B, T, C]`, target i64 `[B, S]`, input lengths and target lengths i64 `[B]`. Outputs: loss `[B]`,
/// alpha `[B, T, 2S + 1]` (0 where a row has no such step or place). ints: the blank; whether infinity becomes 0.
///
/// `alpha[t, s] = logprobs[t, s] + lse(alpha[t - 1, s], [t - 1, s - 1], [t - 1, s - 2])` where a path may go so, with
/// `lse(a, b, c) = ln((e^(a - m) + e^(b - m)) + e^(c - m)) + m`, m the largest.
pub static CTC: Kernel = Kernel {
    name: "ctc",
    run: [forward::<f32>, forward::<f64>],
    units: |call| call.input(0).dim(0),
    // Where nobody keeps alpha, it stands aside.
    work: |call| if call.outs[1].is_some() { 0 } else { call.input(0).dim(1) * (2 * call.input(1).last() + 1) * 8 },
    reads: &[ANY, ROWS, ROWS, ROWS],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The gradient of `CTC` in the log-probabilities: minus the probability that a path is there, given the target.
///
/// Operands: as for `CTC`, its alpha, dloss `[B]`. Output: dlogprobs `[B, T, C]`, 0 beyond a row's input and for a row
/// whose cost is infinite. The places of a class are added up in order, from 0. ints as for `CTC`.
pub static CTC_GRAD: Kernel = Kernel {
    name: "ctc_grad",
    run: [backward::<f32>, backward::<f64>],
    units: |call| call.input(0).dim(0),
    work: |call| 2 * call.input(4).last() * 8,
    reads: &[ANY, ROWS, ROWS, ROWS, ROWS, ROWS],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The logarithm of a sum of three exponentials.
fn lse<T: Float>([a, b, c]: [T; 3]) -> T {
    let m = a.maximum(b).maximum(c);
    if m == T::NEG_INF { m } else { (((a - m).exp() + (b - m).exp()) + (c - m).exp()).ln() + m }
}

/// One row: its scores, its target, its lengths.
struct Row<'a, T> {
    scores: *const T,
    steps: [isize; 2],
    labels: &'a [i64],
    blank: usize,
    classes: usize,
    length: usize,
}

impl<T: Float> Row<'_, T> {
    /// # Safety
    /// Nobody writes the operands of this row meanwhile.
    unsafe fn of(call: &Call, worker: &Worker<'_>, b: usize) -> Self {
        let (scores, target) = (call.input(0), call.input(1));
        let length = |index: usize, most: usize| {
            // SAFETY: a length of this row.
            let length = unsafe { call.input(index).slice::<i64>(b, 1)[0] };
            if !(0..=most as i64).contains(&length) {
                worker.report(FaultKind::LengthOutOfRange);
            }
            length.clamp(0, most as i64) as usize
        };
        let (steps, labels) = (length(2, scores.dim(1)), length(3, target.last()));
        // SAFETY: the labels of this row.
        let labels = unsafe { target.slice::<i64>(b * target.last(), labels) };
        let classes = scores.dim(2);
        if labels.iter().any(|&label| within(label, classes).is_none()) {
            worker.report(FaultKind::IndexOutOfRange);
        }
        Row {
            scores: scores.as_ptr::<T>().wrapping_offset(b as isize * scores.stride(0)),
            steps: [scores.stride(1), scores.stride(2)],
            labels,
            blank: call.args.ints[0] as usize,
            classes,
            length: steps,
        }
    }

    fn places(&self) -> usize {
        2 * self.labels.len() + 1
    }

    /// The class of a place; of labels outside the classes 0.
    fn class(&self, place: usize) -> usize {
        if place.is_multiple_of(2) { self.blank } else { within(self.labels[place / 2], self.classes).unwrap_or(0) }
    }

    /// Whether a path may go from a place to the one after the next.
    fn skips(&self, place: usize) -> bool {
        place + 2 < self.places() && self.class(place) != self.class(place + 2)
    }

    /// # Safety
    /// As `of`.
    unsafe fn score(&self, t: usize, place: usize) -> T {
        let at = t as isize * self.steps[0] + self.class(place) as isize * self.steps[1];
        // SAFETY: promised by the caller.
        unsafe { *self.scores.wrapping_offset(at) }
    }

    /// The logarithm of the target's probability, from the beginnings of the last step.
    fn total(&self, last: Option<&[T]>) -> T {
        match (last, self.places()) {
            (Some(last), 1) => last[0],
            (Some(last), n) => lse([last[n - 1], last[n - 2], T::NEG_INF]),
            (None, 1) => T::ZERO,
            (None, _) => T::NEG_INF,
        }
    }
}

unsafe fn forward<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (loss, alpha) = (vector::<T>(&call.outs[0]), call.outs[1].as_ref());
    let (steps, wide) = (call.input(0).dim(1), 2 * call.input(1).last() + 1);
    for b in units {
        // SAFETY: rows of these units only, as the caller promises.
        unsafe {
            let row = Row::<T>::of(call, worker, b);
            let alpha = match alpha {
                Some(alpha) => alpha.slice_mut::<T>(b * steps * wide, steps * wide),
                None => worker.scratch::<T>(0, steps * wide),
            };
            alpha.fill(T::ZERO);
            for t in 0..row.length {
                let (before, now) = alpha.split_at_mut(t * wide);
                let before = t.checked_sub(1).map(|t| &before[t * wide..]);
                for place in 0..row.places() {
                    let from = |back: usize| before.filter(|_| place >= back).map(|before| before[place - back]);
                    let sum = match before {
                        None if place < 2 => T::ZERO,
                        None => T::NEG_INF,
                        Some(_) => {
                            let skip = from(2).filter(|_| row.skips(place - 2));
                            lse([from(0), from(1), skip].map(|from| from.unwrap_or(T::NEG_INF)))
                        }
                    };
                    now[place] = row.score(t, place) + sum;
                }
            }
            let cost = T::ZERO - row.total(row.length.checked_sub(1).map(|t| &alpha[t * wide..]));
            if let Some(loss) = loss {
                let zero = call.args.ints[1] != 0 && cost == T::ZERO - T::NEG_INF;
                *loss.add(b) = if zero { T::ZERO } else { cost };
            }
        }
    }
}

unsafe fn backward<T: Float>(call: &Call, worker: &mut Worker<'_>, units: Range<usize>) {
    let (out, alpha, dloss): (&View, &View, &View) = (call.output(0), call.input(4), call.input(5));
    let (steps, classes, wide) = (out.dim(1), out.last(), alpha.last());
    for b in units {
        // SAFETY: rows of these units only, as the caller promises.
        unsafe {
            let row = Row::<T>::of(call, worker, b);
            let out = out.slice_mut::<T>(b * steps * classes, steps * classes);
            out.fill(T::ZERO);
            let alpha = alpha.slice::<T>(b * steps * wide, steps * wide);
            let total = row.total(row.length.checked_sub(1).map(|t| &alpha[t * wide..]));
            if total == T::NEG_INF {
                continue;
            }
            let (places, flowing) = (row.places(), dloss.slice::<T>(b, 1)[0]);
            let (mut after, mut now) = worker.scratch::<T>(0, 2 * wide).split_at_mut(wide);
            for t in (0..row.length).rev() {
                for place in 0..places {
                    let from = |on: usize| if place + on < places { after[place + on] } else { T::NEG_INF };
                    let rest = match t + 1 == row.length {
                        true if place + 2 >= places => T::ZERO,
                        true => T::NEG_INF,
                        false => lse([from(0), from(1), if row.skips(place) { from(2) } else { T::NEG_INF }]),
                    };
                    let beginning = alpha[t * wide + place];
                    if beginning != T::NEG_INF && rest != T::NEG_INF {
                        let share = ((beginning + rest) - total).exp();
                        out[t * classes + row.class(place)] += share;
                    }
                    now[place] = rest + row.score(t, place);
                }
                std::mem::swap(&mut after, &mut now);
                for share in &mut out[t * classes..][..classes] {
                    *share = T::ZERO - *share * flowing;
                }
            }
        }
    }
}
