//! Along an axis: every place of the result is a weighted sum of a few places of what comes in.
//!
//! One table of places and weights serves enlarging and shrinking, means of windows that fit no stride, and windows
//! cut out side by side; the same table read the other way round is the gradient.

use super::call::{Access, Args, Call, Kernel, Layout, Worker, output_rows};
use super::float::Float;
use super::spatial::{Carver, room, room_of};
use std::ops::Range;

/// Places along an axis, made of others.
///
/// Operand: x, dense. Output: y, of the same sizes but on the axis; a unit is a row. `ints[0]` the axis (not 0), `[1]` the rule
/// (the position in [`RULES`]); `nums[0]`: how many times larger the result is meant to be, or 0: its size over that of
/// x. "window": `[2]` windows' size, `[3]` stride, `[4]` dilation, `[5]` padding; place `k·n + i` is the k-th of window i.
///
/// Order of sums: a chain of `fma(x, weight, sum)` over the taps in order, begun with the product of the first; without
/// a tap: 0.
pub static RESAMPLE: Kernel = Kernel {
    name: "resample",
    run: [resample::<f32, false>, resample::<f64, false>],
    units: output_rows,
    work,
    reads: &[(Layout::Dense, Access::Batch)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The gradient of `RESAMPLE`: the transposed map.
///
/// Operand: dy, dense. Output: dx; arguments as for `RESAMPLE`. The taps of a place are those that read it, in the order
/// of the places that they belong to.
pub static RESAMPLE_GRAD: Kernel =
    Kernel { name: "resample_grad", run: [resample::<f32, true>, resample::<f64, true>], ..FORWARD };

const FORWARD: Kernel = Kernel {
    name: "",
    run: [resample::<f32, false>, resample::<f64, false>],
    units: output_rows,
    work,
    reads: &[(Layout::Dense, Access::Batch)],
    writes: &[Access::Unit],
    inplace: &[],
};

/// The rules, by the numbers that stand in `ints[1]`.
pub const RULES: &[&str] =
    &["nearest", "nearest_exact", "linear", "linear_aligned", "cubic", "cubic_aligned", "area", "window"];

/// How the places of an axis of size `to` are made of those of one of size `from`.
#[derive(Clone, Copy)]
struct Map {
    rule: i32,
    from: usize,
    to: usize,
    scale: f64,
    /// Size, stride, dilation and padding of windows.
    window: [i64; 4],
}

/// The slope of Keys' curve at the outer neighbours (Keys 1981), PyTorch's.
pub const CUBIC: f64 = -0.75;

/// The weights of the four neighbours of a point that lies `t` behind the second.
fn cubic(t: f64) -> [f64; 4] {
    let near = |x: f64| ((CUBIC + 2.0) * x - (CUBIC + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((CUBIC * x - 5.0 * CUBIC) * x + 8.0 * CUBIC) * x - 4.0 * CUBIC;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}

impl Map {
    fn of(args: &Args, from: usize, to: usize) -> Map {
        let window = std::array::from_fn(|i| i64::from(args.ints[2 + i]));
        Map { rule: args.ints[1], from, to, scale: args.nums[0], window }
    }

    /// Where a place lies on the axis of x, in its places: `half` of a place from the edge.
    fn point(&self, place: usize, half: f64) -> f64 {
        match self.scale {
            0.0 => (place as f64 + half) * self.from as f64 / self.to as f64,
            scale => (place as f64 + half) / scale,
        }
    }

    /// The same with the outer places of both axes on each other.
    fn aligned(&self, place: usize) -> f64 {
        if self.to < 2 { 0.0 } else { place as f64 * (self.from as f64 - 1.0) / (self.to as f64 - 1.0) }
    }

    /// Calls `tap(place, place of x, weight)` for all of them, in order.
    fn each(&self, mut tap: impl FnMut(usize, usize, f64)) {
        let last = self.from.saturating_sub(1);
        let inside = |at: f64| (at.max(0.0) as usize).min(last);
        for place in 0..self.to {
            match self.rule {
                0 => tap(place, inside(self.point(place, 0.0).floor()), 1.0),
                1 => tap(place, inside(self.point(place, 0.5).floor()), 1.0),
                2 | 3 => {
                    let at = if self.rule == 3 { self.aligned(place) } else { self.point(place, 0.5) - 0.5 };
                    let first = inside(at);
                    let share = (at.max(0.0) - first as f64).min(1.0);
                    tap(place, first, 1.0 - share);
                    tap(place, (first + 1).min(last), share);
                }
                4 | 5 => {
                    let at = if self.rule == 5 { self.aligned(place) } else { self.point(place, 0.5) - 0.5 };
                    let weights = cubic(at - at.floor());
                    (0..4).for_each(|k| tap(place, inside(at.floor() + k as f64 - 1.0), weights[k]));
                }
                6 => {
                    let window = place * self.from / self.to..((place + 1) * self.from).div_ceil(self.to);
                    let share = 1.0 / window.len() as f64;
                    window.for_each(|at| tap(place, at, share));
                }
                _ => {
                    let [size, stride, dilation, pad] = self.window;
                    let windows = (self.to as i64 / size.max(1)).max(1);
                    let (k, i) = (place as i64 / windows, place as i64 % windows);
                    let at = usize::try_from(i * stride + k * dilation - pad);
                    at.ok().filter(|&at| at <= last && self.from > 0).into_iter().for_each(|at| tap(place, at, 1.0));
                }
            }
        }
    }

    /// No more taps than this.
    fn most(&self) -> usize {
        match self.rule {
            0 | 1 | 7 => self.to,
            2 | 3 => 2 * self.to,
            4 | 5 => 4 * self.to,
            _ => self.from + 2 * self.to,
        }
    }
}

/// The taps of every place, one behind the other.
struct Table<'a, T> {
    /// Where those of each place begin, and the end.
    starts: &'a [u32],
    places: &'a [u32],
    weights: &'a [T],
}

impl<'a, T: Float> Table<'a, T> {
    /// The taps that `map` has, by the place that they go to: `back`: by the place that they read.
    fn of(work: &mut Carver<'a>, map: &Map, back: bool) -> Table<'a, T> {
        let rows = if back { map.from } else { map.to };
        let starts = work.take::<u32>(rows + 2);
        let (places, weights) = (work.take::<u32>(map.most()), work.take::<T>(map.most()));
        starts.fill(0);
        let ends = |place, at| if back { (at, place) } else { (place, at) };
        map.each(|place, at, _| starts[ends(place, at).0 + 2] += 1);
        (2..rows + 2).for_each(|row| starts[row] += starts[row - 1]);
        map.each(|place, at, weight| {
            let (row, other) = ends(place, at);
            let next = starts[row + 1] as usize;
            (places[next], weights[next]) = (other as u32, T::of(weight));
            starts[row + 1] += 1;
        });
        Table { starts: &starts[..=rows], places, weights }
    }

    /// The taps of a place: those places, and their weights.
    #[inline(always)]
    fn row(&self, row: usize) -> (&[u32], &[T]) {
        let taps = self.starts[row] as usize..self.starts[row + 1] as usize;
        (&self.places[taps.clone()], &self.weights[taps])
    }
}

fn work(call: &Call) -> usize {
    let axis = call.args.ints[0] as usize;
    let (x, y) = (call.input(0).dim(axis), call.output(0).dim(axis));
    // Either may be the one that is made.
    let taps = Map::of(&call.args, x, y).most().max(Map::of(&call.args, y, x).most());
    room::<u32>(x.max(y) + 2) + room::<u32>(taps) + room_of(call.output(0).dtype.size(), taps)
}

unsafe fn resample<T: Float, const BACK: bool>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let (x, y) = (call.input(0), call.output(0));
    let (axis, last) = (call.args.ints[0] as usize, y.rank() - 1);
    let (here, there) = (x.dim(axis), y.dim(axis));
    let map = if BACK { Map::of(&call.args, there, here) } else { Map::of(&call.args, here, there) };
    let table = Table::<T>::of(&mut Carver::new(worker.work), &map, BACK);
    let n = y.last();
    // Rows from one place of the axis to the next.
    let step: usize = (axis + 1..last).map(|at| y.dim(at)).product();
    for r in range {
        // SAFETY: the row of y is this range's; x may be read, and is dense.
        unsafe {
            let to = y.slice_mut::<T>(r * n, n);
            if axis == last {
                along(x.slice::<T>(r * here, here), to, &table);
            } else {
                let (before, place, behind) = (r / step / there, r / step % there, r % step);
                let first = (before * here * step + behind) * n;
                let rows = x.slice::<T>(first, ((here.max(1) - 1) * step + 1) * n * here.min(1));
                across(rows, step * n, to, table.row(place));
            }
        }
    }
}

/// Along the last axis: every element has its own taps.
fn along<T: Float>(x: &[T], y: &mut [T], table: &Table<'_, T>) {
    for (place, y) in y.iter_mut().enumerate() {
        let (places, weights) = table.row(place);
        let mut taps = places.iter().zip(weights).map(|(&at, &weight)| (x[at as usize], weight));
        let first = taps.next().map_or(T::ZERO, |(x, weight)| x * weight);
        *y = taps.fold(first, |sum, (x, weight)| x.mul_add(weight, sum));
    }
}

multiversion! {
    /// Along another axis: all elements of a row have the same taps, rows that lie `step` apart.
    fn across<T: Float>(x: &[T], step: usize, y: &mut [T], taps: (&[u32], &[T])) {
        let n = y.len();
        let row = |at: u32| &x[at as usize * step..at as usize * step + n];
        let Some((&first, rest)) = taps.0.split_first() else { return y.fill(T::ZERO) };
        let weight = taps.1[0];
        y.iter_mut().zip(row(first)).for_each(|(y, &x)| *y = x * weight);
        for (&at, &weight) in rest.iter().zip(&taps.1[1..]) {
            y.iter_mut().zip(row(at)).for_each(|(y, &x)| *y = x.mul_add(weight, *y));
        }
    }
}

#[cfg(test)]
mod tests;
