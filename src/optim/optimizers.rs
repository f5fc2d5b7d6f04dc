//! The optimizers; their updates are kernels (`kernels::update`).

use super::{OptimizerDef, more};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::dim::Dims;
use crate::ir::op::{ArgsCx, Body, Gradient, Misfit, OpDef, Operand, Output, RuleCx};
use crate::kernels::call::Args;
use crate::kernels::update;
use crate::tensor::DType;

pub(super) const fn lr(default: f64) -> AttrDef {
    AttrDef::new("lr", &[AttrKind::Number], AttrDefault::Float(default), "the base rate").within(Domain::NonNegative)
}
pub(super) const fn weight_decay(default: f64) -> AttrDef {
    let doc = "how strongly weights are drawn to 0";
    AttrDef::new("weight_decay", &[AttrKind::Number], AttrDefault::Float(default), doc).within(Domain::NonNegative)
}
const MAXIMIZE: AttrDef =
    AttrDef::new("maximize", &[AttrKind::Bool], AttrDefault::Bool(false), "climb instead").named();
const AMSGRAD: AttrDef =
    AttrDef::new("amsgrad", &[AttrKind::Bool], AttrDefault::Bool(false), "divide by the largest v so far").named();
pub(super) const BETAS: AttrDef =
    AttrDef::new("betas", &[AttrKind::Numbers], AttrDefault::Floats(&[0.9, 0.999]), "decay of the two means")
        .within(Domain::HalfOpen);
pub(super) const EPS: AttrDef =
    AttrDef::new("eps", &[AttrKind::Number], AttrDefault::Float(1e-8), "keeps the divisor away from 0")
        .within(Domain::NonNegative);
pub(super) const DECAY: AttrDef = AttrDef::new(
    "decay",
    &[AttrKind::Choice(&["weights", "all"])],
    AttrDefault::Str("weights"),
    "what weight decay acts on: not on biases and gains, or on all (torch's plain behaviour)",
)
.named();
/// Filled in by the update pass: whether weight decay acts on this parameter. No user can write its name.
pub(super) const DECAYS: AttrDef = AttrDef::new(".decays", &[AttrKind::Bool], AttrDefault::Bool(false), "").named();

const SGD_ATTRS: &[AttrDef] = &[
    lr(1e-3),
    AttrDef::new("momentum", &[AttrKind::Number], AttrDefault::Float(0.0), "share of the last direction that is kept")
        .within(Domain::NonNegative),
    AttrDef::new(
        "dampening",
        &[AttrKind::Number],
        AttrDefault::Float(0.0),
        "share of the new gradient that is dropped",
    )
    .within(Domain::Probability),
    weight_decay(0.0),
    AttrDef::new("nesterov", &[AttrKind::Bool], AttrDefault::Bool(false), "look ahead"),
    MAXIMIZE,
    DECAY,
    DECAYS,
];
const ADAM_ATTRS: &[AttrDef] = &[lr(1e-3), BETAS, EPS, weight_decay(0.0), AMSGRAD, MAXIMIZE, DECAY, DECAYS];
const ADAMW_ATTRS: &[AttrDef] = &[lr(1e-3), BETAS, EPS, weight_decay(1e-2), AMSGRAD, MAXIMIZE, DECAY, DECAYS];

const OPERANDS: &[Operand] = &[
    Operand::float("p"),
    Operand::float("g"),
    Operand::float("slot").optional(),
    Operand::float("slot").optional(),
    Operand::float("slot").optional(),
    Operand::float("hyper"),
];
const OUTPUTS: &[Output] =
    &[Output::main("p"), Output::main("slot"), Output::main("slot"), Output::main("slot"), Output::main("squares")];

/// p, three slots like it, and a partial sum of squares for each slice along the first axis.
fn rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let ty = cx.operand(0)?;
    for _ in 0..4 {
        cx.out(ty);
    }
    let first = cx.dims(0)?.first().copied().unwrap_or(Dims::ONE);
    cx.out_of(DType::F64, &[first]);
    Ok(())
}

/// Weight decay, where it acts.
pub(super) fn decay(cx: &ArgsCx<'_>) -> f64 {
    if cx.attrs.flag(".decays") { cx.attrs.float("weight_decay").unwrap_or(0.0) } else { 0.0 }
}

fn sgd_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    let momentum = cx.attrs.float("momentum").unwrap_or(0.0);
    args.ints[0] = i32::from(cx.attrs.flag("nesterov"));
    args.ints[1] = i32::from(cx.attrs.flag("maximize"));
    args.ints[2] = i32::from(momentum != 0.0);
    args.nums = [momentum, cx.attrs.float("dampening").unwrap_or(0.0), decay(cx), 0.0];
    args
}

/// The two numbers of a list.
pub(super) fn pair(attrs: &Attrs, name: &str) -> Option<[f64; 2]> {
    let number = |item: &Attr| match item {
        Attr::Float(value) => Some(*value),
        Attr::Int(value) => Some(*value as f64),
        _ => None,
    };
    match attrs.get(name) {
        Attr::List(items) if items.len() == 2 => Some([number(&items[0])?, number(&items[1])?]),
        _ => None,
    }
}

pub(super) fn betas(attrs: &Attrs) -> [f64; 2] {
    pair(attrs, "betas").unwrap_or([0.9, 0.999])
}

/// Which attribute does not fit, and what it must be.
pub(super) type Sound = Result<(), (&'static str, &'static str)>;

/// The two betas.
pub(super) fn two_betas(attrs: &Attrs) -> Sound {
    pair(attrs, "betas").map(|_| ()).ok_or(("betas", "two numbers, such as [0.9, 0.999]"))
}

/// Nesterov's step needs a momentum without dampening.
fn sgd_sound(attrs: &Attrs) -> Sound {
    let zero = |name: &str| attrs.float(name).unwrap_or(0.0) == 0.0;
    if attrs.flag("nesterov") && (zero("momentum") || !zero("dampening")) {
        return Err(("nesterov", "false, or come with a momentum and no dampening"));
    }
    Ok(())
}

fn adam_args(cx: &mut ArgsCx<'_>, decoupled: bool) -> Args {
    let mut args = Args::default();
    args.ints[0] = i32::from(decoupled);
    args.ints[1] = i32::from(cx.attrs.flag("amsgrad"));
    args.ints[2] = i32::from(cx.attrs.flag("maximize"));
    let [b1, b2] = betas(cx.attrs);
    args.nums = [b1, b2, cx.attrs.float("eps").unwrap_or(1e-8), decay(cx)];
    args
}

pub(super) const UPDATE: OpDef =
    OpDef { operands: OPERANDS, outputs: OUTPUTS, rule, gradient: Gradient::Zero, ..OpDef::DEFAULT };

static SGD_UPDATE: OpDef = OpDef {
    name: "update.sgd",
    attrs: SGD_ATTRS,
    body: Body::Kernel { kernel: &update::SGD, args: sgd_args },
    ..UPDATE
};
static ADAM_UPDATE: OpDef = OpDef {
    name: "update.adam",
    attrs: ADAM_ATTRS,
    body: Body::Kernel { kernel: &update::ADAM, args: |cx| adam_args(cx, false) },
    ..UPDATE
};
static ADAMW_UPDATE: OpDef = OpDef {
    name: "update.adamw",
    attrs: ADAMW_ATTRS,
    body: Body::Kernel { kernel: &update::ADAM, args: |cx| adam_args(cx, true) },
    ..UPDATE
};

fn sgd_slots(attrs: &Attrs) -> Vec<&'static str> {
    if attrs.float("momentum").unwrap_or(0.0) != 0.0 { vec!["momentum_buffer"] } else { vec![] }
}

fn adam_slots(attrs: &Attrs) -> Vec<&'static str> {
    let mut slots = vec!["exp_avg", "exp_avg_sq"];
    if attrs.flag("amsgrad") {
        slots.push("max_exp_avg_sq");
    }
    slots
}

/// What an optimizer has unless its entry says otherwise.
pub(super) const PLAIN: OptimizerDef = OptimizerDef {
    name: "",
    doc: "",
    formula: "",
    attrs: &[],
    slots: |_| vec![],
    sound: |_| Ok(()),
    host: |_, _| {},
    op: &SGD_UPDATE,
};

/// All of them.
pub static OPTIMIZERS: &[&OptimizerDef] = &[
    &OptimizerDef {
        name: "sgd",
        doc: "Steps against the gradient; with momentum, against a running mean of it.",
        formula: "b = momentum*b + (1 - dampening)*g; p = p - lr*b",
        attrs: SGD_ATTRS,
        slots: sgd_slots,
        sound: sgd_sound,
        ..PLAIN
    },
    &OptimizerDef {
        name: "adam",
        doc: "Steps of about lr in every direction: the mean gradient over the root of its mean square (Kingma and Ba 2014).",
        formula: "m = b1*m + (1 - b1)*g; v = b2*v + (1 - b2)*g^2; p = p - lr*m^/(sqrt(v^) + eps)",
        attrs: ADAM_ATTRS,
        slots: adam_slots,
        sound: two_betas,
        op: &ADAM_UPDATE,
        ..PLAIN
    },
    &OptimizerDef {
        name: "adamw",
        doc: "Adam whose weight decay acts on the weights and not through the gradient (Loshchilov and Hutter 2017).",
        formula: "p = p*(1 - lr*wd); then as adam",
        attrs: ADAMW_ATTRS,
        slots: adam_slots,
        sound: two_betas,
        op: &ADAMW_UPDATE,
        ..PLAIN
    },
    &more::RMSPROP,
    &more::ADAGRAD,
    &more::ADADELTA,
    &more::NADAM,
    &more::RADAM,
    &more::ADAMAX,
    &more::LION,
    &more::RPROP,
    &more::ASGD,
];
