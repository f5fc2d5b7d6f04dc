//! The optimizers beside SGD and Adam, with `torch.optim`'s defaults; their updates are `kernels::update::rules`.

use super::OptimizerDef;
use super::optimizers::{
    BETAS, DECAY, DECAYS, EPS, PLAIN, Sound, UPDATE, betas, decay, lr, pair, two_betas, weight_decay,
};
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::op::{ArgsCx, Body, OpDef};
use crate::kernels::call::Args;
use crate::kernels::float::Float;
use crate::kernels::update;

const NUMBER: &[AttrKind] = &[AttrKind::Number];

const fn eps(default: f64) -> AttrDef {
    let doc = "keeps the divisor away from 0";
    AttrDef::new("eps", NUMBER, AttrDefault::Float(default), doc).within(Domain::NonNegative)
}

fn number(attrs: &Attrs, name: &str) -> f64 {
    attrs.float(name).unwrap_or(0.0)
}

fn args(nums: [f64; 4]) -> Args {
    Args { nums, ..Args::default() }
}

/// b1, b2, eps, weight decay: what the relatives of Adam read.
fn moments(cx: &mut ArgsCx<'_>) -> Args {
    let [b1, b2] = betas(cx.attrs);
    args([b1, b2, number(cx.attrs, "eps"), decay(cx)])
}

// ---------------------------------------------------------------------------------------------------------------- rmsprop

const RMSPROP_ATTRS: &[AttrDef] = &[
    lr(1e-2),
    AttrDef::new("alpha", NUMBER, AttrDefault::Float(0.99), "decay of the mean square").within(Domain::HalfOpen),
    EPS,
    weight_decay(0.0),
    AttrDef::new("momentum", NUMBER, AttrDefault::Float(0.0), "share of the last step that is kept")
        .within(Domain::NonNegative),
    AttrDef::new("centered", &[AttrKind::Bool], AttrDefault::Bool(false), "divide by the deviation around the mean")
        .named(),
    DECAY,
    DECAYS,
];

static RMSPROP_UPDATE: OpDef = OpDef {
    name: "update.rmsprop",
    attrs: RMSPROP_ATTRS,
    body: Body::Kernel {
        kernel: &update::RMSPROP,
        args: |cx| {
            let [alpha, eps, momentum] = ["alpha", "eps", "momentum"].map(|name| number(cx.attrs, name));
            let mut args = args([alpha, eps, decay(cx), momentum]);
            args.ints[0] = i32::from(momentum != 0.0);
            args.ints[1] = i32::from(cx.attrs.flag("centered"));
            args
        },
    },
    ..UPDATE
};

pub(super) static RMSPROP: OptimizerDef = OptimizerDef {
    name: "rmsprop",
    doc: "Steps over the root of a running mean of the squared gradient (Hinton 2012); with `centered`, of its variance \
          (Graves 2013).",
    formula: "v = alpha*v + (1 - alpha)*g^2; p = p - lr*g/(sqrt(v) + eps)",
    attrs: RMSPROP_ATTRS,
    slots: |attrs| {
        let parts = [("momentum_buffer", number(attrs, "momentum") != 0.0), ("grad_avg", attrs.flag("centered"))];
        let kept = parts.into_iter().filter_map(|(name, kept)| kept.then_some(name));
        std::iter::once("square_avg").chain(kept).collect()
    },
    op: &RMSPROP_UPDATE,
    ..PLAIN
};

// --------------------------------------------------------------------------------------------------- adagrad and adadelta

const ADAGRAD_ATTRS: &[AttrDef] = &[
    lr(1e-2),
    AttrDef::new("lr_decay", NUMBER, AttrDefault::Float(0.0), "how fast the rate falls").within(Domain::NonNegative),
    weight_decay(0.0),
    AttrDef::new("initial_accumulator", NUMBER, AttrDefault::Float(0.0), "the sum of squares at the start")
        .within(Domain::NonNegative)
        .torch("initial_accumulator_value"),
    eps(1e-10),
    DECAY,
    DECAYS,
];

static ADAGRAD_UPDATE: OpDef = OpDef {
    name: "update.adagrad",
    attrs: ADAGRAD_ATTRS,
    body: Body::Kernel {
        kernel: &update::ADAGRAD,
        args: |cx| {
            let [fall, eps, start] = ["lr_decay", "eps", "initial_accumulator"].map(|name| number(cx.attrs, name));
            args([fall, eps, decay(cx), start])
        },
    },
    ..UPDATE
};

pub(super) static ADAGRAD: OptimizerDef = OptimizerDef {
    name: "adagrad",
    doc: "Steps over the root of the sum of all squared gradients so far (Duchi, Hazan and Singer 2011): for sparse ones.",
    formula: "s = s + g^2; p = p - lr/(1 + (t - 1)*lr_decay)*g/(sqrt(s) + eps)",
    attrs: ADAGRAD_ATTRS,
    slots: |_| vec!["sum"],
    op: &ADAGRAD_UPDATE,
    ..PLAIN
};

const ADADELTA_ATTRS: &[AttrDef] = &[
    lr(1.0),
    AttrDef::new("rho", NUMBER, AttrDefault::Float(0.9), "decay of the two mean squares").within(Domain::HalfOpen),
    eps(1e-6),
    weight_decay(0.0),
    DECAY,
    DECAYS,
];

static ADADELTA_UPDATE: OpDef = OpDef {
    name: "update.adadelta",
    attrs: ADADELTA_ATTRS,
    body: Body::Kernel {
        kernel: &update::ADADELTA,
        args: |cx| args([number(cx.attrs, "rho"), number(cx.attrs, "eps"), decay(cx), 0.0]),
    },
    ..UPDATE
};

pub(super) static ADADELTA: OptimizerDef = OptimizerDef {
    name: "adadelta",
    doc: "Steps as large as the last ones were, over the gradient's size: in the parameter's own unit (Zeiler 2012).",
    formula: "v = rho*v + (1 - rho)*g^2; d = g*sqrt(u + eps)/sqrt(v + eps); u = rho*u + (1 - rho)*d^2; p = p - lr*d",
    attrs: ADADELTA_ATTRS,
    slots: |_| vec!["square_avg", "acc_delta"],
    op: &ADADELTA_UPDATE,
    ..PLAIN
};

// ------------------------------------------------------------------------------------------------ relatives of adam

const NADAM_ATTRS: &[AttrDef] = &[
    lr(2e-3),
    BETAS,
    EPS,
    weight_decay(0.0),
    AttrDef::new("momentum_decay", NUMBER, AttrDefault::Float(4e-3), "how fast the momentum warms up")
        .within(Domain::NonNegative),
    DECAY,
    DECAYS,
];

static NADAM_UPDATE: OpDef = OpDef {
    name: "update.nadam",
    attrs: NADAM_ATTRS,
    body: Body::Kernel { kernel: &update::NADAM, args: moments },
    ..UPDATE
};

/// The momentum of NAdam's update t.
fn momentum(attrs: &Attrs, t: f64) -> f64 {
    let fall = Float::exp(t * number(attrs, "momentum_decay") * Float::ln(0.96f64));
    betas(attrs)[0] * (1.0 - 0.5 * fall)
}

/// The product of all momenta up to update t, its number beside it, the momenta of t and of t + 1.
fn nadam_host(attrs: &Attrs, hyper: &mut [f64]) {
    let t = hyper[1];
    let (mut product, mut at) = (hyper[4], hyper[5]);
    if at == 0.0 || at > t {
        (product, at) = (1.0, 0.0);
    }
    // The smallest numbers times 0.9 are rounded up again: below the normal ones the product has vanished.
    while at < t && product >= f64::MIN_POSITIVE {
        at += 1.0;
        product *= momentum(attrs, at);
    }
    if product < f64::MIN_POSITIVE {
        product = 0.0;
    }
    (hyper[4], hyper[5]) = (product, t);
    (hyper[6], hyper[7]) = (momentum(attrs, t), momentum(attrs, t + 1.0));
}

pub(super) static NADAM: OptimizerDef = OptimizerDef {
    name: "nadam",
    doc: "Adam that looks ahead, as Nesterov's momentum does (Dozat 2016).",
    formula: "p = p - lr*((1 - mu_t)/(1 - prod mu)*g + mu_(t+1)/(1 - prod mu * mu_(t+1))*m)/(sqrt(v^) + eps)",
    attrs: NADAM_ATTRS,
    slots: |_| vec!["exp_avg", "exp_avg_sq"],
    sound: two_betas,
    host: nadam_host,
    op: &NADAM_UPDATE,
};

const RADAM_ATTRS: &[AttrDef] = &[lr(1e-3), BETAS, EPS, weight_decay(0.0), DECAY, DECAYS];

static RADAM_UPDATE: OpDef = OpDef {
    name: "update.radam",
    attrs: RADAM_ATTRS,
    body: Body::Kernel { kernel: &update::RADAM, args: moments },
    ..UPDATE
};

pub(super) static RADAM: OptimizerDef = OptimizerDef {
    name: "radam",
    doc: "Adam that takes plain steps until its mean square has seen enough, and rectified ones then (Liu 2019).",
    formula: "p = p - lr*m^*r_t*sqrt(1 - b2^t)/(sqrt(v) + eps) where the average is longer than 5 steps, else p - lr*m^",
    attrs: RADAM_ATTRS,
    slots: |_| vec!["exp_avg", "exp_avg_sq"],
    sound: two_betas,
    op: &RADAM_UPDATE,
    ..PLAIN
};

const ADAMAX_ATTRS: &[AttrDef] = &[lr(2e-3), BETAS, EPS, weight_decay(0.0), DECAY, DECAYS];

static ADAMAX_UPDATE: OpDef = OpDef {
    name: "update.adamax",
    attrs: ADAMAX_ATTRS,
    body: Body::Kernel { kernel: &update::ADAMAX, args: moments },
    ..UPDATE
};

pub(super) static ADAMAX: OptimizerDef = OptimizerDef {
    name: "adamax",
    doc: "Adam over the largest gradient of late in place of the mean square (Kingma and Ba 2014).",
    formula: "u = max(b2*u, |g| + eps); p = p - lr/(1 - b1^t)*m/u",
    attrs: ADAMAX_ATTRS,
    slots: |_| vec!["exp_avg", "exp_inf"],
    sound: two_betas,
    op: &ADAMAX_UPDATE,
    ..PLAIN
};

const LION_ATTRS: &[AttrDef] = &[
    lr(1e-4),
    AttrDef::new(
        "betas",
        &[AttrKind::Numbers],
        AttrDefault::Floats(&[0.9, 0.99]),
        "share of m in the step, and decay of m",
    )
    .within(Domain::HalfOpen),
    weight_decay(0.0),
    DECAY,
    DECAYS,
];

static LION_UPDATE: OpDef = OpDef {
    name: "update.lion",
    attrs: LION_ATTRS,
    body: Body::Kernel {
        kernel: &update::LION,
        args: |cx| {
            let [b1, b2] = betas(cx.attrs);
            args([b1, b2, decay(cx), 0.0])
        },
    },
    ..UPDATE
};

pub(super) static LION: OptimizerDef = OptimizerDef {
    name: "lion",
    doc: "Steps of lr in every direction, by the sign of a mean gradient (Chen 2023); the decay acts on the weights.",
    formula: "p = p*(1 - lr*wd) - lr*sign(b1*m + (1 - b1)*g); m = b2*m + (1 - b2)*g",
    attrs: LION_ATTRS,
    slots: |_| vec!["exp_avg"],
    sound: two_betas,
    op: &LION_UPDATE,
    ..PLAIN
};

// ------------------------------------------------------------------------------------------------------ rprop and asgd

const RPROP_ATTRS: &[AttrDef] = &[
    lr(1e-2),
    AttrDef::new(
        "etas",
        &[AttrKind::Numbers],
        AttrDefault::Floats(&[0.5, 1.2]),
        "factors of a step, after a change of sign and without",
    )
    .within(Domain::Positive),
    AttrDef::new(
        "step_sizes",
        &[AttrKind::Numbers],
        AttrDefault::Floats(&[1e-6, 50.0]),
        "the least and the largest step",
    )
    .within(Domain::Positive),
    DECAYS,
];

fn rprop_sound(attrs: &Attrs) -> Sound {
    match (pair(attrs, "etas"), pair(attrs, "step_sizes")) {
        (Some([down, up]), _) if !(down < 1.0 && up > 1.0) => {
            Err(("etas", "one below 1 and one above, such as [0.5, 1.2]"))
        }
        (None, _) => Err(("etas", "two numbers, such as [0.5, 1.2]")),
        (_, Some([least, most])) if least <= most => Ok(()),
        _ => Err(("step_sizes", "two numbers, the smaller first, such as [1e-6, 50]")),
    }
}

static RPROP_UPDATE: OpDef = OpDef {
    name: "update.rprop",
    attrs: RPROP_ATTRS,
    body: Body::Kernel {
        kernel: &update::RPROP,
        args: |cx| {
            let [down, up] = pair(cx.attrs, "etas").unwrap_or([0.5, 1.2]);
            let [least, most] = pair(cx.attrs, "step_sizes").unwrap_or([1e-6, 50.0]);
            args([down, up, least, most])
        },
    },
    ..UPDATE
};

pub(super) static RPROP: OptimizerDef = OptimizerDef {
    name: "rprop",
    doc: "A step of its own for every element, longer while the gradient keeps its sign (Riedmiller and Braun 1993): for \
          batches that are the whole set. `lr` is the first step; schedules do not reach it.",
    formula: "s = s*eta+ where g*g' > 0, s*eta- where g*g' < 0 (and g = 0), within step_sizes; p = p - s*sign(g)",
    attrs: RPROP_ATTRS,
    slots: |_| vec!["prev", "step_size"],
    sound: rprop_sound,
    op: &RPROP_UPDATE,
    ..PLAIN
};

const ASGD_ATTRS: &[AttrDef] = &[
    lr(1e-2),
    AttrDef::new("lambd", NUMBER, AttrDefault::Float(1e-4), "how strongly parameters are drawn to 0")
        .within(Domain::NonNegative),
    AttrDef::new("alpha", NUMBER, AttrDefault::Float(0.75), "the power by which the rate falls")
        .within(Domain::NonNegative),
    AttrDef::new("t0", NUMBER, AttrDefault::Float(1e6), "the step from which on the mean is taken")
        .within(Domain::NonNegative),
    weight_decay(0.0),
    DECAY,
    DECAYS,
];

static ASGD_UPDATE: OpDef = OpDef {
    name: "update.asgd",
    attrs: ASGD_ATTRS,
    body: Body::Kernel {
        kernel: &update::ASGD,
        args: |cx| {
            let [lambd, alpha, t0] = ["lambd", "alpha", "t0"].map(|name| number(cx.attrs, name));
            args([lambd, alpha, t0, decay(cx)])
        },
    },
    ..UPDATE
};

pub(super) static ASGD: OptimizerDef = OptimizerDef {
    name: "asgd",
    doc: "SGD with a falling rate, and a running mean of the parameters beside it, in the slot `ax` (Polyak and Juditsky \
          1992).",
    formula: "r = lr/(1 + lambd*lr*(t - 1))^alpha; p = p*(1 - lambd*r) - r*g; a = a + (p - a)/max(1, t - 1 - t0)",
    attrs: ASGD_ATTRS,
    slots: |_| vec!["ax"],
    op: &ASGD_UPDATE,
    ..PLAIN
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_goes_on_or_is_made_anew() {
        let attrs = Attrs::with(NADAM_ATTRS, &[]);
        let mut whole = [0.0; 8];
        for t in 1..=50 {
            whole[1] = f64::from(t);
            nadam_host(&attrs, &mut whole);
        }
        let mut resumed = [0.0; 8];
        resumed[1] = 50.0;
        nadam_host(&attrs, &mut resumed);
        assert_eq!(whole, resumed);
        // Long after the product has vanished nothing takes long.
        resumed[1] = 1e15;
        nadam_host(&attrs, &mut resumed);
        assert_eq!(resumed[4], 0.0);
    }
}
