//! The schedules, all but one as a closed form of the step: nothing is remembered, so a resumed run needs no state of
//! theirs. (The one that watches the loss is `plateau`.)
//!
//! A [`Schedule`] is a chain `warmup(200) |> cosine(5000)`: each link starts at its own t = 0 when the one before it is
//! over, as PyTorch's `SequentialLR` does.

use super::plateau::is_plateau;
use super::{ScheduleDef, find_schedule};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::training::Call;
use crate::kernels::float::Float;
use std::f64::consts::PI;

/// All of them.
pub static SCHEDULES: &[&ScheduleDef] = &[
    &CONSTANT,
    &STEP,
    &MULTISTEP,
    &EXPONENTIAL,
    &LINEAR,
    &POLYNOMIAL,
    &COSINE,
    &COSINE_RESTARTS,
    &WARMUP,
    &ONE_CYCLE,
    &CYCLIC,
    &NOAM,
    &super::plateau::PLATEAU,
];

const SIZE: &[AttrKind] = &[AttrKind::Size];
const NUMBER: &[AttrKind] = &[AttrKind::Number];
const BOOL: &[AttrKind] = &[AttrKind::Bool];

/// Whose steps t counts.
pub(super) const EVERY: AttrDef = AttrDef::new(
    "every",
    &[AttrKind::Choice(&["step", "epoch"])],
    AttrDefault::Str("step"),
    "whether t counts optimizer steps or epochs",
)
.named();

const GAMMA: AttrDef =
    AttrDef::new("gamma", NUMBER, AttrDefault::Float(0.1), "the factor of each drop").within(Domain::Positive);

const MIN: AttrDef = AttrDef::new("min", NUMBER, AttrDefault::Float(0.0), "the lowest rate")
    .within(Domain::NonNegative)
    .torch("eta_min");

/// The same rate throughout; or another one for the first steps.
///
/// `constant(0.1, 500)` runs the first 500 steps at a tenth of the rate (torch: ConstantLR).
static CONSTANT: ScheduleDef = ScheduleDef {
    name: "constant",
    doc: "The same rate throughout, or `factor` times it for the first `steps` steps.",
    formula: "b * factor for t < steps, then b",
    attrs: &[
        AttrDef::new("factor", NUMBER, AttrDefault::Float(1.0), "what the rate is multiplied with at first")
            .within(Domain::NonNegative),
        AttrDef::new("steps", SIZE, AttrDefault::None, "for how long").torch("total_iters"),
        EVERY,
    ],
    length: |attrs| attr_steps(attrs, "steps"),
    rate: |attrs, base, t| match attr_steps(attrs, "steps") {
        Some(steps) if t >= steps => base,
        _ => base * number(attrs, "factor"),
    },
};

/// A drop by `gamma` every `size` steps (torch: StepLR).
static STEP: ScheduleDef = ScheduleDef {
    name: "step",
    doc: "A drop by the factor `gamma` every `size` steps.",
    formula: "b * gamma^floor(t / size)",
    attrs: &[AttrDef::required("size", SIZE, "how many steps lie between two drops").torch("step_size"), GAMMA, EVERY],
    length: |_| None,
    rate: |attrs, base, t| base * power(number(attrs, "gamma"), t / steps(attrs, "size")),
};

/// A drop by `gamma` at each milestone (torch: MultiStepLR).
static MULTISTEP: ScheduleDef = ScheduleDef {
    name: "multistep",
    doc: "A drop by the factor `gamma` at each milestone; one that is named twice counts twice.",
    formula: "b * gamma^(number of milestones <= t)",
    attrs: &[AttrDef::required("milestones", &[AttrKind::Numbers], "the steps of the drops"), GAMMA, EVERY],
    length: |_| None,
    rate: |attrs, base, t| {
        let passed = |item: &&Attr| match item {
            Attr::Int(at) => *at <= t as i64,
            Attr::Float(at) => *at <= t as f64,
            _ => false,
        };
        let passed = match attrs.get("milestones") {
            Attr::List(items) => items.iter().filter(passed).count(),
            one => usize::from(passed(&one)),
        };
        base * power(number(attrs, "gamma"), passed as u64)
    },
};

/// A drop by `gamma` at every step (torch: ExponentialLR).
static EXPONENTIAL: ScheduleDef = ScheduleDef {
    name: "exponential",
    doc: "A drop by the factor `gamma` at every step.",
    formula: "b * gamma^t",
    attrs: &[AttrDef::required("gamma", NUMBER, "the factor of each step").within(Domain::Positive), EVERY],
    length: |_| None,
    rate: |attrs, base, t| base * power(number(attrs, "gamma"), t),
};

/// A straight line between two multiples of the rate (torch: LinearLR).
static LINEAR: ScheduleDef = ScheduleDef {
    name: "linear",
    doc: "A straight line between two multiples of the rate, which then stays where it arrived.",
    formula: "b * (from + (to - from) * min(t, steps) / steps)",
    attrs: &[
        AttrDef::required("from", NUMBER, "the factor at the start").within(Domain::NonNegative).torch("start_factor"),
        AttrDef::new("to", NUMBER, AttrDefault::Float(1.0), "the factor at the end")
            .within(Domain::NonNegative)
            .torch("end_factor"),
        AttrDef::required("steps", SIZE, "how long it takes").torch("total_iters"),
        EVERY,
    ],
    length: |attrs| attr_steps(attrs, "steps"),
    rate: |attrs, base, t| {
        let (from, to, steps) = (number(attrs, "from"), number(attrs, "to"), steps(attrs, "steps"));
        if t >= steps { base * to } else { base * (from + (to - from) * (t as f64 / steps as f64)) }
    },
};

/// Down to 0 along a power of the remaining share (torch: PolynomialLR).
static POLYNOMIAL: ScheduleDef = ScheduleDef {
    name: "polynomial",
    doc: "Down to 0 along a power of the share of steps that remain.",
    formula: "b * (1 - t / steps)^power, then 0",
    attrs: &[
        AttrDef::required("steps", SIZE, "how long it takes").torch("total_iters"),
        AttrDef::new("power", NUMBER, AttrDefault::Float(1.0), "1: a straight line").within(Domain::Positive),
        EVERY,
    ],
    length: |attrs| attr_steps(attrs, "steps"),
    rate: |attrs, base, t| {
        let steps = steps(attrs, "steps");
        let left = 1.0 - t.min(steps) as f64 / steps as f64;
        base * real_power(left, number(attrs, "power"))
    },
};

/// Half a cosine from the base rate down to `min` (Loshchilov and Hutter 2017; torch: CosineAnnealingLR).
static COSINE: ScheduleDef = ScheduleDef {
    name: "cosine",
    doc: "Half a cosine from the rate down to `min`, where it stays; with `periodic = true` it climbs again, as \
          PyTorch's CosineAnnealingLR does.",
    formula: "min + (b - min) * (1 + cos(pi * t / steps)) / 2",
    attrs: &[
        AttrDef::required("steps", SIZE, "how long the way down takes").torch("T_max"),
        MIN,
        AttrDef::new("periodic", BOOL, AttrDefault::Bool(false), "whether it climbs again afterwards"),
        EVERY,
    ],
    length: |attrs| if attrs.flag("periodic") { None } else { attr_steps(attrs, "steps") },
    rate: |attrs, base, t| {
        let (min, steps) = (number(attrs, "min"), steps(attrs, "steps"));
        // Only the place in the period enters the cosine, so that step 10^12 is as exact as step 1.
        let t = if attrs.flag("periodic") { t % (steps.saturating_mul(2)) } else { t.min(steps) };
        half_cosine(base, min, t, steps)
    },
};

/// Cosines one after the other, each `mult` times as long as the last (torch: CosineAnnealingWarmRestarts).
static COSINE_RESTARTS: ScheduleDef = ScheduleDef {
    name: "cosine_restarts",
    doc: "Half cosines one after the other, each `mult` times as long as the one before (Loshchilov and Hutter 2017).",
    formula: "min + (b - min) * (1 + cos(pi * t' / T)) / 2, t' and T being place and length of the current cosine",
    attrs: &[
        AttrDef::required("first", SIZE, "the length of the first cosine").torch("T_0"),
        AttrDef::new("mult", SIZE, AttrDefault::Int(1), "by how much each is longer than the last").torch("T_mult"),
        MIN,
        EVERY,
    ],
    length: |_| None,
    rate: |attrs, base, t| {
        let (mut length, mult) = (steps(attrs, "first"), steps(attrs, "mult"));
        let mut t = t;
        if mult == 1 {
            t %= length;
        }
        while t >= length {
            t -= length;
            length = length.saturating_mul(mult);
        }
        half_cosine(base, number(attrs, "min"), t, length)
    },
};

/// A straight line up from almost nothing.
static WARMUP: ScheduleDef = ScheduleDef {
    name: "warmup",
    doc: "A straight line up to the rate over the first steps, usually followed by another schedule.",
    formula: "b * (t + 1) / steps for t < steps, then b",
    attrs: &[AttrDef::required("steps", SIZE, "how many steps the way up takes"), EVERY],
    length: |attrs| attr_steps(attrs, "steps"),
    rate: |attrs, base, t| {
        let steps = steps(attrs, "steps");
        if t >= steps { base } else { base * ((t + 1) as f64 / steps as f64) }
    },
};

/// Up to `max` and down again, far below the start (Smith and Topin 2019; torch: OneCycleLR).
static ONE_CYCLE: ScheduleDef = ScheduleDef {
    name: "one_cycle",
    doc: "Up from `max / div` to `max` and down to `max / div / final_div` (Smith and Topin 2019). The optimizer's own \
          rate plays no part; momentum is not cycled.",
    formula: "anneal between max / div, max and max / (div * final_div)",
    attrs: &[
        AttrDef::required("max", NUMBER, "the highest rate").within(Domain::Positive).torch("max_lr"),
        AttrDef::required("steps", SIZE, "how long it takes").torch("total_steps"),
        AttrDef::new("pct_start", NUMBER, AttrDefault::Float(0.3), "the share of the way up")
            .within(Domain::Probability),
        AttrDef::new("anneal", &[AttrKind::Choice(&["cos", "linear"])], AttrDefault::Str("cos"), "the curve")
            .torch("anneal_strategy"),
        AttrDef::new("div", NUMBER, AttrDefault::Float(25.0), "max over the first rate")
            .within(Domain::Positive)
            .torch("div_factor"),
        AttrDef::new("final_div", NUMBER, AttrDefault::Float(1e4), "the first rate over the last")
            .within(Domain::Positive)
            .torch("final_div_factor"),
        AttrDef::new("three_phase", BOOL, AttrDefault::Bool(false), "down to the first rate before the last fall"),
        EVERY,
    ],
    length: |attrs| attr_steps(attrs, "steps"),
    rate: one_cycle,
};

fn one_cycle(attrs: &Attrs, _base: f64, t: u64) -> f64 {
    let (max, total) = (number(attrs, "max"), steps(attrs, "steps"));
    let first = max / number(attrs, "div");
    let last = first / number(attrs, "final_div");
    let (share, end) = (number(attrs, "pct_start") * total as f64, (total - 1) as f64);
    // Where each phase ends, in steps (they may lie between two steps), and the rates it leads from and to.
    let two = [(share - 1.0, first, max), (end, max, last), (end, max, last)];
    let three = [(share - 1.0, first, max), (2.0 * share - 2.0, max, first), (end, first, last)];
    let phases = if attrs.flag("three_phase") { three } else { two };
    let t = t.min(total - 1) as f64;
    let mut start = 0.0;
    for (stop, from, to) in phases {
        if t <= stop {
            let done = if stop > start { (t - start) / (stop - start) } else { 1.0 };
            return match attrs.str("anneal") {
                Some("linear") => (to - from) * done + from,
                _ => to + (from - to) / 2.0 * (1.0 + Float::cos(PI * done)),
            };
        }
        start = stop;
    }
    last
}

/// Up and down between two rates, again and again (Smith 2017; torch: CyclicLR without momentum).
static CYCLIC: ScheduleDef = ScheduleDef {
    name: "cyclic",
    doc: "Up and down between `low` and `high`, again and again (Smith 2017). The optimizer's own rate plays no part.",
    formula: "low + (high - low) * triangle(t) * scale, scale = 1, 2^-cycle or gamma^t",
    attrs: &[
        AttrDef::required("low", NUMBER, "the lowest rate").within(Domain::NonNegative).torch("base_lr"),
        AttrDef::required("high", NUMBER, "the highest rate").within(Domain::NonNegative).torch("max_lr"),
        AttrDef::required("up", SIZE, "how many steps the way up takes").torch("step_size_up"),
        AttrDef::new("down", SIZE, AttrDefault::Same("up"), "how many steps the way down takes")
            .torch("step_size_down"),
        AttrDef::new(
            "mode",
            &[AttrKind::Choice(&["triangular", "triangular2", "exp_range"])],
            AttrDefault::Str("triangular"),
            "whether the peaks stay, halve, or shrink by gamma a step",
        ),
        AttrDef::new("gamma", NUMBER, AttrDefault::Float(1.0), "for exp_range").within(Domain::Positive),
        EVERY,
    ],
    length: |_| None,
    rate: |attrs, _base, t| {
        let (low, high) = (number(attrs, "low"), number(attrs, "high"));
        let (up, down) = (steps(attrs, "up"), steps(attrs, "down"));
        let length = up.saturating_add(down);
        let (cycle, place) = (t / length, t % length);
        let climbed = if place <= up { place as f64 / up as f64 } else { (length - place) as f64 / down as f64 };
        let scale = match attrs.str("mode") {
            Some("triangular2") => power(0.5, cycle),
            Some("exp_range") => power(number(attrs, "gamma"), t),
            _ => 1.0,
        };
        low + (high - low) * climbed * scale
    },
};

/// The schedule of the first transformer (Vaswani 2017).
static NOAM: ScheduleDef = ScheduleDef {
    name: "noam",
    doc: "The schedule of the first transformer (Vaswani 2017): up for `warmup` steps, then down as 1 / sqrt(t).",
    formula: "b * d^-0.5 * min((t + 1)^-0.5, (t + 1) * warmup^-1.5)",
    attrs: &[
        AttrDef::required("d", SIZE, "the width of the model"),
        AttrDef::required("warmup", SIZE, "how many steps the way up takes"),
        EVERY,
    ],
    length: |_| None,
    rate: |attrs, base, t| {
        let (d, warmup, t) = (steps(attrs, "d") as f64, steps(attrs, "warmup") as f64, (t + 1) as f64);
        base / d.sqrt() * (1.0 / t.sqrt()).min(t / (warmup * warmup.sqrt()))
    },
};

/// `min + (b - min) (1 + cos(π t / steps)) / 2`.
fn half_cosine(base: f64, min: f64, t: u64, steps: u64) -> f64 {
    min + (base - min) * (1.0 + Float::cos(PI * (t as f64 / steps as f64))) / 2.0
}

/// A whole power by repeated squaring: the same bits everywhere, unlike the platform's `pow`.
fn power(base: f64, exponent: u64) -> f64 {
    let (mut square, mut rest, mut product) = (base, exponent, 1.0);
    while rest > 0 {
        if rest & 1 == 1 {
            product *= square;
        }
        square *= square;
        rest >>= 1;
    }
    product
}

/// A power of a number in [0, 1]; whole exponents without the logarithm.
fn real_power(base: f64, exponent: f64) -> f64 {
    if exponent.fract() == 0.0 && (0.0..1e9).contains(&exponent) {
        power(base, exponent as u64)
    } else if base <= 0.0 {
        0.0
    } else {
        Float::exp(exponent * Float::ln(base))
    }
}

fn number(attrs: &Attrs, name: &str) -> f64 {
    attrs.float(name).unwrap_or(0.0)
}

fn attr_steps(attrs: &Attrs, name: &str) -> Option<u64> {
    attrs.int(name).map(|value| value.max(1) as u64)
}

/// A number of steps; at least 1, so that nothing is ever divided by 0.
fn steps(attrs: &Attrs, name: &str) -> u64 {
    attr_steps(attrs, name).unwrap_or(1)
}

/// A chain of schedules over a base rate.
#[derive(Clone, Debug)]
pub struct Schedule {
    base: f64,
    links: Vec<Link>,
}

#[derive(Clone, Debug)]
struct Link {
    attrs: Attrs,
    rate: fn(&Attrs, f64, u64) -> f64,
    /// Whether its t counts drops in place of ticks.
    drops: bool,
    /// Its length on its own clock.
    length: Option<u64>,
    /// Steps a tick of its clock: 1, or the steps of an epoch.
    tick: u64,
}

impl Schedule {
    /// The chain over a base rate; an epoch has `epoch` steps (for links with `every = "epoch"`).
    ///
    /// A call of an unknown schedule is passed over: elaboration has reported it.
    pub fn new(calls: &[Call], base: f64, epoch: u64) -> Schedule {
        let links = calls.iter().filter_map(|call| {
            let def = find_schedule(&call.name)?;
            let tick = if call.attrs.str("every") == Some("epoch") { epoch.max(1) } else { 1 };
            let (drops, length) = (is_plateau(call), (def.length)(&call.attrs));
            Some(Link { attrs: call.attrs.clone(), rate: def.rate, drops, length, tick })
        });
        Schedule { base, links: links.collect() }
    }

    /// The rate at step t = 0, 1, …, as long as no plateau has been seen.
    pub fn rate(&self, step: u64) -> f64 {
        self.rate_after(step, 0)
    }

    /// The rate at a step, after so many drops of a `plateau`.
    pub fn rate_after(&self, step: u64, drops: u64) -> f64 {
        let mut t = step;
        for (i, link) in self.links.iter().enumerate() {
            let steps = link.length.and_then(|length| length.checked_mul(link.tick));
            match steps {
                Some(steps) if t >= steps && i + 1 < self.links.len() => t -= steps,
                _ if link.drops => return (link.rate)(&link.attrs, self.base, drops),
                _ => return (link.rate)(&link.attrs, self.base, t / link.tick),
            }
        }
        self.base
    }

    /// How many steps the whole chain lasts, if each link ends: what a run's length is when nothing else says it.
    pub fn length(&self) -> Option<u64> {
        if self.links.is_empty() {
            return None;
        }
        let mut steps = self.links.iter().map(|link| link.length?.checked_mul(link.tick));
        steps.try_fold(0u64, |sum, steps| sum.checked_add(steps?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Span;

    fn attrs(name: &str, given: &[(&str, Attr)]) -> Call {
        let def = find_schedule(name).expect("a schedule of the list");
        Call { name: name.into(), attrs: Attrs::with(def.attrs, given), span: Span::default() }
    }

    fn rates(calls: &[Call], base: f64, n: u64) -> Vec<f64> {
        let schedule = Schedule::new(calls, base, 1);
        (0..n).map(|t| schedule.rate(t)).collect()
    }

    fn close(got: &[f64], want: &[f64], what: &str) {
        assert_eq!(got.len(), want.len(), "{what}");
        for (t, (g, w)) in got.iter().zip(want).enumerate() {
            assert!((g - w).abs() <= 1e-12 * w.abs().max(1e-3), "{what}: {g} at step {t}, not {w}");
        }
    }

    /// Reads `warmup(3) |> cosine(5, min = 0.1)` as the vectors write it.
    fn parse(text: &str) -> Vec<Call> {
        text.split("|>").map(|link| parse_call(link.trim())).collect()
    }

    fn parse_call(text: &str) -> Call {
        let (name, args) = text.split_once('(').unwrap_or((text, ")"));
        let def = find_schedule(name).unwrap_or_else(|| panic!("no schedule {name}"));
        let args = args.strip_suffix(')').expect("a closing parenthesis").split(',').filter(|a| !a.trim().is_empty());
        let given: Vec<(&str, Attr)> = args
            .enumerate()
            .map(|(i, arg)| match arg.split_once('=') {
                Some((name, value)) => (name.trim(), value_of(value.trim())),
                None => (def.attrs[i].name, value_of(arg.trim())),
            })
            .collect();
        for (name, _) in &given {
            assert!(def.attrs.iter().any(|def| def.name == *name), "{text}: no attribute {name}");
        }
        attrs(name, &given)
    }

    fn value_of(text: &str) -> Attr {
        match text {
            "true" => Attr::Bool(true),
            "false" => Attr::Bool(false),
            _ if text.starts_with('"') => Attr::Str(text.trim_matches('"').into()),
            _ => match text.parse::<i64>() {
                Ok(value) => Attr::Int(value),
                Err(_) => Attr::Float(text.parse().expect("a number")),
            },
        }
    }

    #[test]
    fn stored_vectors() {
        let files = [
            include_str!("../../tests/vectors/schedule_constant.json"),
            include_str!("../../tests/vectors/schedule_cosine.json"),
            include_str!("../../tests/vectors/schedule_linear.json"),
            include_str!("../../tests/vectors/schedule_step.json"),
            include_str!("../../tests/vectors/schedule_warmup.json"),
        ];
        for file in files {
            let json: serde_json::Value = serde_json::from_str(file).expect("the vectors are JSON");
            for case in json["cases"].as_array().expect("cases") {
                let (call, base) = (case["call"].as_str().expect("a call"), case["base"].as_f64().expect("a base"));
                let want: Vec<f64> =
                    case["lr"].as_array().expect("rates").iter().map(|v| v.as_f64().expect("a rate")).collect();
                close(&rates(&parse(call), base, want.len() as u64), &want, call);
            }
        }
    }

    #[test]
    fn formulas_that_the_vectors_leave_out() {
        // Each list was made with torch.optim.lr_scheduler in f64.
        close(&rates(&parse("exponential(0.5)"), 2.0, 4), &[2.0, 1.0, 0.5, 0.25], "exponential");
        let twice =
            [attrs("multistep", &[("milestones", Attr::List(vec![1, 3, 3].into_iter().map(Attr::Int).collect()))])];
        close(&rates(&twice, 1.0, 5), &[1.0, 0.1, 0.1, 0.001, 0.001], "multistep, a milestone twice");
        close(&rates(&parse("polynomial(4, power = 2)"), 1.0, 6), &[1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0], "polynomial");
        let half = [0.866025403784438_6, std::f64::consts::FRAC_1_SQRT_2, 0.5, 0.0];
        close(&rates(&parse("polynomial(4, power = 0.5)"), 1.0, 5)[1..], &half, "polynomial, a root");
        let restarts = [1.0, 0.5, 1.0, 0.853553390593273_7, 0.5, 0.146446609406726_27, 1.0, 0.961939766255643_4];
        close(&rates(&parse("cosine_restarts(2, mult = 2)"), 1.0, 8), &restarts, "cosine_restarts");
        let noam = [0.015625, 0.03125, 0.046875, 0.0625, 0.055901699437494_74];
        close(&rates(&parse("noam(64, 4)"), 1.0, 5), &noam, "noam");
        let cycle = [
            (
                "one_cycle(0.1, 10)",
                &[
                    0.004,
                    0.052,
                    0.1,
                    0.09504846320134738,
                    0.0811745653949763,
                    0.06112620219362893,
                    0.03887419780637107,
                    0.0188258346050237,
                    0.004951936798652629,
                    4e-07,
                ],
            ),
            (
                "one_cycle(0.1, 10, three_phase = true)",
                &[
                    0.004,
                    0.052,
                    0.1,
                    0.052,
                    0.004,
                    0.0036180721853510196,
                    0.0026181721853510195,
                    0.0013822278146489802,
                    0.0003823278146489803,
                    4e-07,
                ],
            ),
            ("cyclic(0.1, 1, 2, 3)", &[0.1, 0.55, 1.0, 0.7, 0.4, 0.1, 0.55, 1.0, 0.7, 0.4]),
            ("cyclic(0.1, 1, 2, 3, mode = \"triangular2\")", &[0.1, 0.55, 1.0, 0.7, 0.4, 0.1, 0.325, 0.55, 0.4, 0.25]),
            (
                "cyclic(0.1, 1, 2, 3, mode = \"exp_range\", gamma = 0.9)",
                &[0.1, 0.505, 0.829, 0.5374, 0.29683, 0.1, 0.33914845, 0.53046721, 0.358280326, 0.2162261467],
            ),
        ];
        for (call, want) in cycle {
            close(&rates(&parse(call), 1.0, 10), want, call);
        }
        let linear = rates(&parse("one_cycle(0.1, 10, anneal = \"linear\")"), 1.0, 10);
        close(&linear[..4], &[0.004, 0.052, 0.1, 0.08571434285714286], "one_cycle, linear");
    }

    #[test]
    fn chains_start_their_own_clocks() {
        let schedule = Schedule::new(&parse("warmup(3) |> cosine(5)"), 1.0, 1);
        assert_eq!(schedule.length(), Some(8));
        assert_eq!(schedule.rate(2), 1.0);
        assert_eq!(schedule.rate(3), 1.0);
        assert_eq!(schedule.rate(1_000_000_000_000), 0.0);
        assert_eq!(Schedule::new(&[], 0.5, 1).rate(9), 0.5);
        assert_eq!(Schedule::new(&parse("warmup(3) |> constant"), 1.0, 1).length(), None);
    }

    #[test]
    fn epochs_are_ticks() {
        let by_epoch = attrs("step", &[("size", Attr::Int(2)), ("every", Attr::Str("epoch".into()))]);
        let schedule = Schedule::new(&[by_epoch], 1.0, 10);
        assert_eq!([0, 19, 20, 39, 40].map(|t| schedule.rate(t)), [1.0, 1.0, 0.1, 0.1, 0.1 * 0.1]);
    }

    #[test]
    fn no_rate_is_ever_negative_or_not_finite() {
        for def in SCHEDULES {
            let given: Vec<(&str, Attr)> = def
                .attrs
                .iter()
                .filter(|attr| attr.default == AttrDefault::Required)
                .map(|attr| {
                    (attr.name, if attr.kinds.contains(&AttrKind::Size) { Attr::Int(1) } else { Attr::Float(0.5) })
                })
                .collect();
            let schedule = Schedule::new(&[attrs(def.name, &given)], 1.0, 1);
            for t in [0, 1, 2, 3, 1000, u64::MAX / 2, u64::MAX - 1] {
                let rate = schedule.rate(t);
                assert!(rate.is_finite() && rate >= 0.0, "{} at {t}: {rate}", def.name);
            }
        }
    }
}
