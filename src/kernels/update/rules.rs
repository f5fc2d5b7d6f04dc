//! The optimizers beside SGD and Adam: each is a handful of scalars and what they do to one element.
//!
//! Scalars are computed in f64 from the attributes and the host's numbers, and rounded once. Formulas are
//! `torch.optim`'s (Lion's: its paper's); a weight decay that is coupled has been added to the gradient before.

use super::super::call::{Call, Kernel, Worker, no_work};
use super::super::float::Float;
use super::{Hyper, INPLACE, Memory, READS, Rule, drive, parts, power};
use crate::kernels::call::Access;
use std::ops::Range;

const UPDATE: Kernel = Kernel {
    name: "",
    run: [rprop::<f32>, rprop::<f64>],
    units: parts,
    work: no_work,
    reads: READS,
    writes: &[Access::Unit],
    inplace: INPLACE,
};

/// RMSprop. Slots: the mean square; then the momentum buffer and the mean, as they are kept. ints: has momentum,
/// centered. nums: alpha, eps, weight decay, momentum.
pub static RMSPROP: Kernel = Kernel { name: "rmsprop", run: [rmsprop::<f32>, rmsprop::<f64>], ..UPDATE };
/// Adagrad. Slot: the sum of squares. nums: lr decay, eps, weight decay, the sum at the start.
pub static ADAGRAD: Kernel = Kernel { name: "adagrad", run: [adagrad::<f32>, adagrad::<f64>], ..UPDATE };
/// Adadelta. Slots: mean squares of gradients and of steps. nums: rho, eps, weight decay.
pub static ADADELTA: Kernel = Kernel { name: "adadelta", run: [adadelta::<f32>, adadelta::<f64>], ..UPDATE };
/// NAdam. Slots: m, v. nums: b1, b2, eps, weight decay. hyper 4: the product of all mu up to now; 6, 7: mu now and next.
pub static NADAM: Kernel = Kernel { name: "nadam", run: [nadam::<f32>, nadam::<f64>], ..UPDATE };
/// RAdam. Slots: m, v. nums: b1, b2, eps, weight decay.
pub static RADAM: Kernel = Kernel { name: "radam", run: [radam::<f32>, radam::<f64>], ..UPDATE };
/// Adamax. Slots: m, and the largest gradient. nums: b1, b2, eps, weight decay.
pub static ADAMAX: Kernel = Kernel { name: "adamax", run: [adamax::<f32>, adamax::<f64>], ..UPDATE };
/// Lion. Slot: m. nums: b1, b2, weight decay.
pub static LION: Kernel = Kernel { name: "lion", run: [lion::<f32>, lion::<f64>], ..UPDATE };
/// Rprop. Slots: the last gradient, the size of the step. nums: the two factors, the least and the largest step.
pub static RPROP: Kernel = Kernel { name: "rprop", ..UPDATE };
/// ASGD. Slot: the mean of the parameters. nums: lambd, alpha, t0, weight decay.
pub static ASGD: Kernel = Kernel { name: "asgd", run: [asgd::<f32>, asgd::<f64>], ..UPDATE };

/// -1, 0 or 1.
#[inline(always)]
fn sign<T: Float>(x: T) -> T {
    if x == T::ZERO { T::ZERO } else { T::ONE.copysign(x) }
}

/// A mean that forgets: `decay * mean + (1 - decay) * square`, where `new` is `1 - decay`.
#[inline(always)]
fn mean_square<T: Float>(mean: T, decay: T, new: T, g: T) -> T {
    (new * g).mul_add(g, mean * decay)
}

/// A rule over the call's memory.
macro_rules! kernel {
    ($name:ident, $slots:literal, |$nums:ident, $ints:ident, $hyper:ident| $rule:expr) => {
        unsafe fn $name<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
            let ($nums, $ints) = (call.args.nums, call.args.ints);
            let _ = $ints;
            // SAFETY: promised by the caller.
            unsafe {
                let $hyper = Hyper::<T>::of(call, false);
                drive::<_, $slots>(call, worker, range, Memory::of(call), $hyper.clip, $rule);
            }
        }
    };
}

#[derive(Clone, Copy)]
struct Rmsprop<T> {
    lr: T,
    alpha: T,
    new: T,
    eps: T,
    decay: T,
    momentum: T,
}

impl<T: Float> Rmsprop<T> {
    fn of(nums: [f64; 4], lr: f64) -> Rmsprop<T> {
        let [alpha, eps, decay, momentum] = nums;
        let [lr, alpha, new, eps, decay, momentum] = [lr, alpha, 1.0 - alpha, eps, decay, momentum].map(T::of);
        Rmsprop { lr, alpha, new, eps, decay, momentum }
    }

    /// The gradient, and its mean square.
    #[inline(always)]
    fn begin(&self, p: T, g: T, square: T) -> (T, T) {
        let g = self.decay.mul_add(p, g);
        (g, mean_square(square, self.alpha, self.new, g))
    }

    /// The mean, and the variance around it, which no rounding makes negative.
    #[inline(always)]
    fn centre(&self, g: T, square: T, mean: T) -> (T, T) {
        let mean = self.new.mul_add(g - mean, mean);
        let variance = (-mean).mul_add(mean, square);
        (mean, if variance > T::ZERO { variance } else { T::ZERO })
    }

    #[inline(always)]
    fn over(&self, g: T, variance: T) -> T {
        g / (variance.sqrt() + self.eps)
    }
}

impl<T: Float> Rule<1> for Rmsprop<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [square]: [T; 1]) -> (T, [T; 1]) {
        let (g, square) = self.begin(p, g, square);
        ((-self.lr).mul_add(self.over(g, square), p), [square])
    }
}

/// With momentum, or centered.
#[derive(Clone, Copy)]
struct RmspropTwo<T>(Rmsprop<T>, bool);

impl<T: Float> Rule<2> for RmspropTwo<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [square, other]: [T; 2]) -> (T, [T; 2]) {
        let RmspropTwo(rule, centered) = self;
        let (g, square) = rule.begin(p, g, square);
        if *centered {
            let (mean, variance) = rule.centre(g, square, other);
            ((-rule.lr).mul_add(rule.over(g, variance), p), [square, mean])
        } else {
            let buffer = rule.momentum.mul_add(other, rule.over(g, square));
            ((-rule.lr).mul_add(buffer, p), [square, buffer])
        }
    }
}

impl<T: Float> Rule<3> for Rmsprop<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [square, buffer, mean]: [T; 3]) -> (T, [T; 3]) {
        let (g, square) = self.begin(p, g, square);
        let (mean, variance) = self.centre(g, square, mean);
        let buffer = self.momentum.mul_add(buffer, self.over(g, variance));
        ((-self.lr).mul_add(buffer, p), [square, buffer, mean])
    }
}

unsafe fn rmsprop<T: Float>(call: &Call, worker: &mut Worker<'_>, range: Range<usize>) {
    let [momentum, centered, ..] = call.args.ints.map(|flag| flag != 0);
    // SAFETY: promised by the caller.
    unsafe {
        let hyper = Hyper::<T>::of(call, false);
        let rule = Rmsprop::<T>::of(call.args.nums, hyper.lr);
        match (momentum, centered) {
            (false, false) => drive::<_, 1>(call, worker, range, Memory::of(call), hyper.clip, rule),
            (true, true) => drive::<_, 3>(call, worker, range, Memory::of(call), hyper.clip, rule),
            (_, centered) => {
                drive::<_, 2>(call, worker, range, Memory::of(call), hyper.clip, RmspropTwo(rule, centered));
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Adagrad<T> {
    lr: T,
    eps: T,
    decay: T,
    /// What the sum has before the first update.
    start: T,
}

impl<T: Float> Rule<1> for Adagrad<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [sum]: [T; 1]) -> (T, [T; 1]) {
        let g = self.decay.mul_add(p, g);
        let sum = g.mul_add(g, sum + self.start);
        ((-self.lr).mul_add(g / (sum.sqrt() + self.eps), p), [sum])
    }
}

kernel!(adagrad, 1, |nums, ints, hyper| {
    let [lr_decay, eps, decay, start] = nums;
    Adagrad {
        lr: T::of(hyper.lr / (1.0 + (hyper.t - 1) as f64 * lr_decay)),
        eps: T::of(eps),
        decay: T::of(decay),
        start: T::of(if hyper.t == 1 { start } else { 0.0 }),
    }
});

#[derive(Clone, Copy)]
struct Adadelta<T> {
    lr: T,
    rho: T,
    new: T,
    eps: T,
    decay: T,
}

impl<T: Float> Rule<2> for Adadelta<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [square, steps]: [T; 2]) -> (T, [T; 2]) {
        let g = self.decay.mul_add(p, g);
        let square = mean_square(square, self.rho, self.new, g);
        let step = (steps + self.eps).sqrt() / (square + self.eps).sqrt() * g;
        ((-self.lr).mul_add(step, p), [square, mean_square(steps, self.rho, self.new, step)])
    }
}

kernel!(adadelta, 2, |nums, ints, hyper| {
    let [lr, rho, new, eps, decay] = [hyper.lr, nums[0], 1.0 - nums[0], nums[1], nums[2]].map(T::of);
    Adadelta { lr, rho, new, eps, decay }
});

/// Two moments, and the share of the gradient and of each in the step.
#[derive(Clone, Copy)]
struct Moments<T> {
    b2: T,
    c1: T,
    c2: T,
    eps: T,
    decay: T,
}

impl<T: Float> Moments<T> {
    fn of([b1, b2, eps, decay]: [f64; 4]) -> Moments<T> {
        let [b2, c1, c2, eps, decay] = [b2, 1.0 - b1, 1.0 - b2, eps, decay].map(T::of);
        Moments { b2, c1, c2, eps, decay }
    }

    /// The gradient, m and v.
    #[inline(always)]
    fn of_gradient(&self, p: T, g: T, m: T, v: T) -> (T, T, T) {
        let g = self.decay.mul_add(p, g);
        (g, self.c1.mul_add(g - m, m), mean_square(v, self.b2, self.c2, g))
    }
}

#[derive(Clone, Copy)]
struct Nadam<T> {
    moments: Moments<T>,
    /// 1 / sqrt(1 - b2^t).
    scale: T,
    of_g: T,
    of_m: T,
}

impl<T: Float> Rule<2> for Nadam<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [m, v]: [T; 2]) -> (T, [T; 2]) {
        let (g, m, v) = self.moments.of_gradient(p, g, m, v);
        let d = v.sqrt().mul_add(self.scale, self.moments.eps);
        ((-self.of_m).mul_add(m / d, (-self.of_g).mul_add(g / d, p)), [m, v])
    }
}

kernel!(nadam, 2, |nums, ints, hyper| {
    let [product, _, now, next] = hyper.more;
    Nadam {
        moments: Moments::of(nums),
        scale: T::of(1.0 / (1.0 - power(nums[1], hyper.t)).sqrt()),
        of_g: T::of(hyper.lr * (1.0 - now) / (1.0 - product)),
        of_m: T::of(hyper.lr * next / (1.0 - product * next)),
    }
});

#[derive(Clone, Copy)]
struct Radam<T> {
    moments: Moments<T>,
    /// The step over m, with the variance rectified; without it.
    rectified: bool,
    step: T,
}

impl<T: Float> Rule<2> for Radam<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [m, v]: [T; 2]) -> (T, [T; 2]) {
        let (_, m, v) = self.moments.of_gradient(p, g, m, v);
        let direction = if self.rectified { m / (v.sqrt() + self.moments.eps) } else { m };
        ((-self.step).mul_add(direction, p), [m, v])
    }
}

kernel!(radam, 2, |nums, ints, hyper| {
    let [b1, b2, ..] = nums;
    let (left, most) = (1.0 - power(b2, hyper.t), 2.0 / (1.0 - b2) - 1.0);
    // The length of the moving average that b2 stands for, after t steps and in the end.
    let length = most - 2.0 * hyper.t as f64 * power(b2, hyper.t) / left;
    let rectified = length > 5.0;
    let share = (length - 4.0) * (length - 2.0) * most / ((most - 4.0) * (most - 2.0) * length);
    let scale = if rectified { (share * left).sqrt() } else { 1.0 };
    Radam { moments: Moments::of(nums), rectified, step: T::of(hyper.lr / (1.0 - power(b1, hyper.t)) * scale) }
});

#[derive(Clone, Copy)]
struct Adamax<T> {
    moments: Moments<T>,
    step: T,
}

impl<T: Float> Rule<2> for Adamax<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [m, largest]: [T; 2]) -> (T, [T; 2]) {
        let g = self.moments.decay.mul_add(p, g);
        let m = self.moments.c1.mul_add(g - m, m);
        let (kept, new) = (largest * self.moments.b2, g.abs() + self.moments.eps);
        let largest = if kept > new { kept } else { new };
        ((-self.step).mul_add(m / largest, p), [m, largest])
    }
}

kernel!(adamax, 2, |nums, ints, hyper| {
    Adamax { moments: Moments::of(nums), step: T::of(hyper.lr / (1.0 - power(nums[0], hyper.t))) }
});

#[derive(Clone, Copy)]
struct Lion<T> {
    lr: T,
    c1: T,
    c2: T,
    /// What is left of p.
    left: T,
}

impl<T: Float> Rule<1> for Lion<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [m]: [T; 1]) -> (T, [T; 1]) {
        let direction = sign(self.c1.mul_add(g - m, m));
        ((-self.lr).mul_add(direction, p * self.left), [self.c2.mul_add(g - m, m)])
    }
}

kernel!(lion, 1, |nums, ints, hyper| {
    let [b1, b2, decay, _] = nums;
    let [lr, c1, c2, left] = [hyper.lr, 1.0 - b1, 1.0 - b2, 1.0 - hyper.lr * decay].map(T::of);
    Lion { lr, c1, c2, left }
});

#[derive(Clone, Copy)]
struct Rprop<T> {
    down: T,
    up: T,
    least: T,
    most: T,
    /// The size of the first step; none later.
    start: Option<T>,
}

impl<T: Float> Rule<2> for Rprop<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [before, size]: [T; 2]) -> (T, [T; 2]) {
        let size = self.start.unwrap_or(size);
        let agreement = sign(g) * sign(before);
        let factor = if agreement > T::ZERO { self.up } else { T::ONE };
        let factor = if agreement < T::ZERO { self.down } else { factor };
        let size = size * factor;
        let size = if size < self.least { self.least } else { size };
        let size = if size > self.most { self.most } else { size };
        // After a change of sign the step is left out, and forgotten.
        let g = if agreement < T::ZERO { T::ZERO } else { g };
        ((-size).mul_add(sign(g), p), [g, size])
    }
}

kernel!(rprop, 2, |nums, ints, hyper| {
    let [down, up, least, most] = nums.map(T::of);
    Rprop { down, up, least, most, start: (hyper.t == 1).then(|| T::of(hyper.lr)) }
});

#[derive(Clone, Copy)]
struct Asgd<T> {
    rate: T,
    decay: T,
    /// What is left of p.
    left: T,
    /// The share of the new p in the mean.
    share: T,
}

impl<T: Float> Rule<1> for Asgd<T> {
    type T = T;
    #[inline(always)]
    fn update(&self, p: T, g: T, [mean]: [T; 1]) -> (T, [T; 1]) {
        let g = self.decay.mul_add(p, g);
        let p = (-self.rate).mul_add(g, p * self.left);
        // A share of 1 is p itself, not almost.
        (p, [if self.share == T::ONE { p } else { self.share.mul_add(p - mean, mean) }])
    }
}

kernel!(asgd, 1, |nums, ints, hyper| {
    let [lambd, alpha, t0, decay] = nums;
    let before = (hyper.t - 1) as f64;
    let fall = Float::exp(-alpha * Float::ln(1.0 + lambd * hyper.lr * before));
    let rate = hyper.lr * fall;
    let share = 1.0 / (before - t0).max(1.0);
    let [rate, decay, left, share] = [rate, decay, 1.0 - lambd * rate, share].map(T::of);
    Asgd { rate, decay, left, share }
});
