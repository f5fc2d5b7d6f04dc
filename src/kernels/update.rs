//! Optimizer updates: one pass over a parameter, its gradient and its slots.
//!
//! All take the same operands: p, g, up to three slots (as the optimizer needs them) and, as operand 5, eight f64 that
//! change from step to step:
//!
//! | hyper | |
//! |---|---|
//! | 0 | the learning rate |
//! | 1 | t: the number of this update, from 1 |
//! | 2 | the factor that clips the norm: every gradient is multiplied by it first (1: no clipping) |
//! | 3 | the limit to ± which each gradient is then cut (0 or less: none) |
//! | 4-7 | what the optimizer's own `host` function says (NAdam's momenta) |
//!
//! Outputs: p', up to three slots', and, as output 4, f64 `[k]`: the sums of `g^2` of k equal parts of the parameter
//! before clipping, in the order of `SUM_SQUARES`. k is what the planner makes it (the rows, the first axis, 1); a unit is
//! such a part, without output 4 a row of p (an element, if p has one axis). Every output may be its operand's memory.
//!
//! An element whose gradient is not finite (after the factor) is left alone, its slots too, and reported
//! (`GradientNotFinite`). One that becomes something not finite itself, or a slot of it, is written and reported
//! (`UpdateNotFinite`). Elements do not depend on each other.

// Loops over the indices of several arrays of one length are the ones that vectorise.
#![allow(clippy::needless_range_loop)]

use super::call::{Access, Call, FaultKind, Kernel, Layout, View, Worker, no_work};
use super::float::Float;
use super::guard::CHECKED;
use super::lanes::{LANES, load, load_part, store, store_part, tree};
use std::ops::Range;

const READS: &[(Layout, Access)] = &[
    (Layout::Dense, Access::Unit),
    (Layout::Dense, Access::Unit),
    (Layout::Dense, Access::Unit),
    (Layout::Dense, Access::Unit),
    (Layout::Dense, Access::Unit),
    (Layout::Dense, Access::All),
];
const INPLACE: &[(usize, usize)] = &[(0, 0), (2, 1), (3, 2), (4, 3)];

/// Stochastic gradient descent, as `torch.optim.SGD`.
///
/// Slot 1: the momentum buffer, if there is momentum. ints: nesterov, maximize, has momentum. nums: momentum, dampening,
/// weight decay. With g clipped, and negated to maximize: `g = fma(decay, p, g)`; `b = g` at t = 1, else
/// `fma(1 - dampening, g, b momentum)`; `d = b`, with nesterov `fma(momentum, b, g)`, without momentum g;
/// `p = fma(-lr, d, p)`.
pub static SGD: Kernel = Kernel {
    name: "sgd",
    run: [sgd::<f32>, sgd::<f64>],
    units: parts,
    work: no_work,
    reads: READS,
    writes: &[Access::Unit],
    inplace: INPLACE,
};

/// Adam and AdamW, as `torch.optim.Adam` and `torch.optim.AdamW`.
///
/// Slots: m, v and, with amsgrad, the largest v. ints: decoupled decay (AdamW), amsgrad, maximize. nums: b1, b2, eps,
/// weight decay. With g clipped, and negated to maximize: coupled, `g = fma(decay, p, g)`; `m = fma(1 - b1, g - m, m)`;
/// `v = fma((1 - b2) g, g, v b2)`; with amsgrad its largest so far in its place; `d = fma(sqrt(v), 1 / sqrt(1 - b2^t),
/// eps)`; `p = fma(-lr / (1 - b1^t), m / d, p)`, p multiplied by `1 - lr decay` before if decoupled. The scalars are
/// computed in f64 and rounded once.
pub static ADAM: Kernel = Kernel {
    name: "adam",
    run: [adam::<f32>, adam::<f64>],
    units: parts,
    work: no_work,
    reads: READS,
    writes: &[Access::Unit],
    inplace: INPLACE,
};

fn parts(call: &Call) -> usize {
    match call.outs.get(4) {
        Some(Some(squares)) => squares.len(),
        _ if call.input(0).rank() < 2 => call.input(0).len(),
        _ => call.input(0).rows(),
    }
}

/// The memory of one update, from some element on.
#[derive(Clone, Copy)]
struct Memory<T, const SLOTS: usize> {
    p: *const T,
    g: *const T,
    slots: [*const T; SLOTS],
    new_p: *mut T,
    new_slots: [*mut T; SLOTS],
}

impl<T: Float, const SLOTS: usize> Memory<T, SLOTS> {
    fn of(call: &Call) -> Self {
        let slots = std::array::from_fn(|k| call.input(2 + k).as_ptr::<T>().cast_const());
        let new_slots = std::array::from_fn(|k| call.output(1 + k).as_ptr());
        let (p, g, new_p) = (call.input(0).as_ptr(), call.input(1).as_ptr(), call.output(0).as_ptr());
        Memory { p, g, slots, new_p, new_slots }
    }

    #[inline(always)]
    fn from(mut self, at: usize) -> Self {
        self.p = self.p.wrapping_add(at);
        self.g = self.g.wrapping_add(at);
        self.new_p = self.new_p.wrapping_add(at);
        for k in 0..SLOTS {
            self.slots[k] = self.slots[k].wrapping_add(at);
            self.new_slots[k] = self.new_slots[k].wrapping_add(at);
        }
        self
    }
}

/// What changes from step to step.
struct Hyper<T> {
    lr: f64,
    t: u64,
    clip: Clip<T>,
    more: [f64; 4],
}

/// What is done to a gradient first.
#[derive(Clone, Copy)]
struct Clip<T> {
    /// Its factor, negative to maximize.
    scale: T,
    /// It is cut to ± this.
    limit: T,
}

impl<T: Float> Hyper<T> {
    /// # Safety
    /// Nobody writes the hyperparameters meanwhile.
    unsafe fn of(call: &Call, maximize: bool) -> Hyper<T> {
        // SAFETY: eight f64, as the caller of `run` promises.
        let hyper = unsafe { call.input(5).slice::<f64>(0, 8) };
        let limit = if hyper[3] > 0.0 { T::of(hyper[3]) } else { -T::NEG_INF };
        let scale = T::of(if maximize { -hyper[2] } else { hyper[2] });
        let more = [hyper[4], hyper[5], hyper[6], hyper[7]];
        Hyper { lr: hyper[0], t: hyper[1] as u64, clip: Clip { scale, limit }, more }
    }
}

/// What was not finite.
#[derive(Clone, Copy, Default)]
struct Bad {
    /// A gradient: nothing was made of it.
    gradient: bool,
    /// A parameter or a slot, after the update.
    update: bool,
}

/// Calls `update(start, length, wants the sum of squares)`, which returns what was not finite and that sum,
/// for the parts of this range: one after the other if their sums are wanted.
///
/// # Safety
/// As `Kernel::run`.
unsafe fn each_part(
    call: &Call,
    worker: &Worker<'_>,
    range: Range<usize>,
    mut update: impl FnMut(usize, usize, bool) -> (Bad, f64),
) {
    let n = call.input(0).len() / parts(call).max(1);
    let mut bad = Bad::default();
    match call.outs.get(4).and_then(|squares| squares.as_ref().map(View::as_ptr::<f64>)) {
        None => bad = update(range.start * n, range.len() * n, false).0,
        Some(squares) => {
            for part in range {
                let (part_bad, sum) = update(part * n, n, true);
                bad = Bad { gradient: bad.gradient | part_bad.gradient, update: bad.update | part_bad.update };
                // SAFETY: the part's sum is this range's.
                unsafe { *squares.add(part) = sum };
            }
        }
    }
    if bad.gradient {
        worker.report(FaultKind::GradientNotFinite);
    } else if bad.update {
        worker.report(FaultKind::UpdateNotFinite);
    }
}

/// Elements in registers at once.
const CHUNK: usize = 16;

/// `(p, slots) = f(p, g, slots)` for n elements, g clipped: what was not finite, and the sum of squares.
///
/// # Safety
/// n elements of each may be read and written; outputs are the operands themselves or overlap nothing.
#[inline(always)]
unsafe fn walk<T: Float, const SLOTS: usize, const SQUARES: bool>(
    n: usize,
    memory: Memory<T, SLOTS>,
    clip: Clip<T>,
    f: impl Fn(T, T, [T; SLOTS]) -> (T, [T; SLOTS]),
) -> (Bad, f64) {
    let mut squares = [0.0f64; LANES];
    let mut bad = Bad::default();
    let whole = n - n % CHUNK;
    let mut at = 0;
    while at < whole {
        let memory = memory.from(at);
        // SAFETY: a whole chunk is left.
        let (p, g, mut slots) = unsafe { (load(memory.p), load(memory.g), [[T::ZERO; CHUNK]; SLOTS]) };
        for k in 0..SLOTS {
            // SAFETY: as above.
            slots[k] = unsafe { load(memory.slots[k]) };
        }
        let (new_p, new_slots) = chunk(CHUNK, p, g, slots, clip, &f, &mut bad);
        // SAFETY: as above.
        unsafe { store(memory.new_p, new_p) };
        for k in 0..SLOTS {
            // SAFETY: as above.
            unsafe { store(memory.new_slots[k], new_slots[k]) };
        }
        if SQUARES {
            add_squares(&mut squares, at, &g);
        }
        at += CHUNK;
    }
    let rest = n - whole;
    if rest > 0 {
        let memory = memory.from(whole);
        // SAFETY: `rest` elements are left.
        let (p, g) = unsafe { (load_part(memory.p, rest, T::ZERO), load_part(memory.g, rest, T::ZERO)) };
        let mut slots = [[T::ZERO; CHUNK]; SLOTS];
        for k in 0..SLOTS {
            // SAFETY: as above.
            slots[k] = unsafe { load_part(memory.slots[k], rest, T::ZERO) };
        }
        let (new_p, new_slots) = chunk(rest, p, g, slots, clip, &f, &mut bad);
        // SAFETY: as above.
        unsafe { store_part(memory.new_p, new_p, rest) };
        for k in 0..SLOTS {
            // SAFETY: as above.
            unsafe { store_part(memory.new_slots[k], new_slots[k], rest) };
        }
        if SQUARES {
            add_squares(&mut squares, whole, &g);
        }
    }
    (bad, tree(squares, |a, b| a + b))
}

/// The first `n` of a chunk's elements are no padding.
#[inline(always)]
fn chunk<T: Float, const SLOTS: usize>(
    n: usize,
    p: [T; CHUNK],
    g: [T; CHUNK],
    slots: [[T; CHUNK]; SLOTS],
    clip: Clip<T>,
    f: impl Fn(T, T, [T; SLOTS]) -> (T, [T; SLOTS]),
    bad: &mut Bad,
) -> ([T; CHUNK], [[T; CHUNK]; SLOTS]) {
    let (mut new_p, mut new_slots) = (p, slots);
    let (mut gradients, mut updates) = (true, true);
    for j in 0..CHUNK {
        let mut old = [T::ZERO; SLOTS];
        for k in 0..SLOTS {
            old[k] = slots[k][j];
        }
        let g = g[j] * clip.scale;
        let keep = !CHECKED || g.finite();
        gradients &= keep;
        let g = if g > clip.limit { clip.limit } else { g };
        let g = if g < -clip.limit { -clip.limit } else { g };
        let (p_of_g, slots_of_g) = f(p[j], g, old);
        new_p[j] = if keep { p_of_g } else { p[j] };
        let mut sound = new_p[j].finite();
        for k in 0..SLOTS {
            new_slots[k][j] = if keep { slots_of_g[k] } else { old[k] };
            sound &= new_slots[k][j].finite();
        }
        updates &= !CHECKED | sound | (j >= n);
    }
    bad.gradient |= !gradients;
    bad.update |= !updates;
    (new_p, new_slots)
}

/// Adds the squares of elements `at..at + CHUNK` to their lanes; padding zeros change nothing.
#[inline(always)]
fn add_squares<T: Float>(lanes: &mut [f64; LANES], at: usize, g: &[T; CHUNK]) {
    for (lane, g) in lanes[at % LANES..][..CHUNK].iter_mut().zip(g) {
        *lane = g.to_f64().mul_add(g.to_f64(), *lane);
    }
}

/// What an optimizer does to one element, as a value of its scalars.
trait Rule<const SLOTS: usize>: Copy {
    /// The width of the run.
    type T: Float;
    /// The new p and slots.
    fn update(&self, p: Self::T, g: Self::T, slots: [Self::T; SLOTS]) -> (Self::T, [Self::T; SLOTS]);
}

/// A rule over the units of a range.
///
/// # Safety
/// As `Kernel::run`.
unsafe fn drive<R: Rule<SLOTS>, const SLOTS: usize>(
    call: &Call,
    worker: &Worker<'_>,
    range: Range<usize>,
    memory: Memory<R::T, SLOTS>,
    clip: Clip<R::T>,
    rule: R,
) {
    // SAFETY: promised by the caller.
    unsafe {
        each_part(call, worker, range, |at, n, squares| match squares {
            false => by_rule::<R, SLOTS, false>(n, memory.from(at), clip, rule),
            true => by_rule::<R, SLOTS, true>(n, memory.from(at), clip, rule),
        });
    }
}

multiversion! {
    fn by_rule<R: Rule<SLOTS>, const SLOTS: usize, const SQUARES: bool>(
        n: usize, memory: Memory<R::T, SLOTS>, clip: Clip<R::T>, rule: R
    ) -> (Bad, f64) {
        // SAFETY: these n elements are this range's, as the caller of `run` promises.
        unsafe { walk::<R::T, SLOTS, SQUARES>(n, memory, clip, |p, g, slots| rule.update(p, g, slots)) }
    }
}

/// The scalars of an SGD update.
#[derive(Clone, Copy)]
struct Sgd<T> {
    lr: T,
    momentum: T,
    damped: T,
    decay: T,
    first: bool,
    nesterov: bool,
}

unsafe fn sgd<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let [nesterov, maximize, has_momentum, ..] = call.args.ints.map(|flag| flag != 0);
    let [momentum, dampening, decay, _] = call.args.nums;
    // SAFETY: promised by the caller.
    let Hyper { lr, t, clip, .. } = unsafe { Hyper::<T>::of(call, maximize) };
    let (damped, first) = (T::of(1.0 - dampening), t == 1);
    let scalars = Sgd { lr: T::of(lr), momentum: T::of(momentum), damped, decay: T::of(decay), first, nesterov };
    // SAFETY: promised by the caller.
    unsafe {
        if has_momentum {
            let memory = Memory::<T, 1>::of(call);
            each_part(call, worker, range, |at, n, squares| match squares {
                false => sgd_momentum::<T, false>(n, memory.from(at), clip, scalars),
                true => sgd_momentum::<T, true>(n, memory.from(at), clip, scalars),
            });
        } else {
            let memory = Memory::<T, 0>::of(call);
            each_part(call, worker, range, |at, n, squares| match squares {
                false => sgd_plain::<T, false>(n, memory.from(at), clip, scalars),
                true => sgd_plain::<T, true>(n, memory.from(at), clip, scalars),
            });
        }
    }
}

multiversion! {
    fn sgd_plain<T: Float, const SQUARES: bool>(n: usize, memory: Memory<T, 0>, clip: Clip<T>, s: Sgd<T>)
        -> (Bad, f64) {
        // SAFETY: these n elements are this range's, as the caller of `run` promises.
        unsafe { walk::<T, 0, SQUARES>(n, memory, clip, |p, g, _| ((-s.lr).mul_add(s.decay.mul_add(p, g), p), [])) }
    }
}

multiversion! {
    fn sgd_momentum<T: Float, const SQUARES: bool>(n: usize, memory: Memory<T, 1>, clip: Clip<T>, s: Sgd<T>)
        -> (Bad, f64) {
        let update = |p: T, g: T, [b]: [T; 1]| {
            let g = s.decay.mul_add(p, g);
            let b = if s.first { g } else { s.damped.mul_add(g, b * s.momentum) };
            let d = if s.nesterov { s.momentum.mul_add(b, g) } else { b };
            ((-s.lr).mul_add(d, p), [b])
        };
        // SAFETY: these n elements are this range's, as the caller of `run` promises.
        unsafe { walk::<T, 1, SQUARES>(n, memory, clip, update) }
    }
}

/// The scalars of an Adam update.
#[derive(Clone, Copy)]
struct Adam<T> {
    b2: T,
    /// 1 - b1.
    c1: T,
    /// 1 - b2.
    c2: T,
    eps: T,
    /// Added to the gradient, times p.
    coupled: T,
    /// What is left of p.
    left: T,
    /// -lr / (1 - b1^t).
    step: T,
    /// 1 / sqrt(1 - b2^t).
    scale: T,
}

unsafe fn adam<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let [decoupled, amsgrad, maximize, ..] = call.args.ints.map(|flag| flag != 0);
    let [b1, b2, eps, decay] = call.args.nums;
    // SAFETY: promised by the caller.
    let Hyper { lr, t, clip, .. } = unsafe { Hyper::<T>::of(call, maximize) };
    let scalars = Adam {
        b2: T::of(b2),
        c1: T::of(1.0 - b1),
        c2: T::of(1.0 - b2),
        eps: T::of(eps),
        coupled: T::of(if decoupled { 0.0 } else { decay }),
        left: T::of(if decoupled { 1.0 - lr * decay } else { 1.0 }),
        step: T::of(-(lr / (1.0 - power(b1, t)))),
        scale: T::of(1.0 / (1.0 - power(b2, t)).sqrt()),
    };
    // SAFETY: promised by the caller.
    unsafe {
        if amsgrad {
            let memory = Memory::<T, 3>::of(call);
            each_part(call, worker, range, |at, n, squares| match squares {
                false => adam_largest::<T, false>(n, memory.from(at), clip, scalars),
                true => adam_largest::<T, true>(n, memory.from(at), clip, scalars),
            });
        } else {
            let memory = Memory::<T, 2>::of(call);
            each_part(call, worker, range, |at, n, squares| match squares {
                false => adam_plain::<T, false>(n, memory.from(at), clip, scalars),
                true => adam_plain::<T, true>(n, memory.from(at), clip, scalars),
            });
        }
    }
}

impl<T: Float> Adam<T> {
    /// The new m and v.
    #[inline(always)]
    fn moments(&self, p: T, g: T, m: T, v: T) -> (T, T) {
        let g = self.coupled.mul_add(p, g);
        (self.c1.mul_add(g - m, m), (self.c2 * g).mul_add(g, v * self.b2))
    }

    /// The new p.
    #[inline(always)]
    fn step(&self, p: T, m: T, v: T) -> T {
        self.step.mul_add(m / v.sqrt().mul_add(self.scale, self.eps), p * self.left)
    }
}

multiversion! {
    fn adam_plain<T: Float, const SQUARES: bool>(n: usize, memory: Memory<T, 2>, clip: Clip<T>, s: Adam<T>)
        -> (Bad, f64) {
        let update = |p: T, g: T, [m, v]: [T; 2]| {
            let (m, v) = s.moments(p, g, m, v);
            (s.step(p, m, v), [m, v])
        };
        // SAFETY: these n elements are this range's, as the caller of `run` promises.
        unsafe { walk::<T, 2, SQUARES>(n, memory, clip, update) }
    }
}

multiversion! {
    fn adam_largest<T: Float, const SQUARES: bool>(n: usize, memory: Memory<T, 3>, clip: Clip<T>, s: Adam<T>)
        -> (Bad, f64) {
        let update = |p: T, g: T, [m, v, largest]: [T; 3]| {
            let (m, v) = s.moments(p, g, m, v);
            let largest = if v > largest { v } else { largest };
            (s.step(p, m, largest), [m, v, largest])
        };
        // SAFETY: these n elements are this range's, as the caller of `run` promises.
        unsafe { walk::<T, 3, SQUARES>(n, memory, clip, update) }
    }
}

/// b^t by squaring, in pairs of f64: as good as rounded once.
pub fn power(b: f64, mut t: u64) -> f64 {
    let times = |(a, a_low): (f64, f64), (b, b_low): (f64, f64)| {
        let product = a * b;
        let low = f64::mul_add(a, b, -product) + (a * b_low + a_low * b);
        let sum = product + low;
        (sum, low - (sum - product))
    };
    let (mut result, mut square) = ((1.0, 0.0), (b, 0.0));
    while t > 0 {
        if t & 1 == 1 {
            result = times(result, square);
        }
        square = times(square, square);
        t >>= 1;
    }
    result.0
}

mod rules;
pub use rules::{ADADELTA, ADAGRAD, ADAMAX, ASGD, LION, NADAM, RADAM, RMSPROP, RPROP};

#[cfg(test)]
mod tests;
