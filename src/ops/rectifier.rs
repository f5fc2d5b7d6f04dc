//! Activations made of pieces: rectifiers with slopes, thresholds and soft knees.

use super::activation::{RELU6, SIGMOID, SOFTPLUS_EXACT, TANH};
use super::arithmetic::{RELU_GATE, map_op};
use super::function::{CLAMP_TO, MAP_GE, with_numbers};
use super::random::uniform_like;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::dim::Dims;
use crate::ir::op::{
    Body, Condition, Facts, Gradient, Misfit, MisfitKind, OpDef, Operand, ParamDef, RuleCx, Why, same_as_first,
};
use crate::kernels::map::{self, MapOp};

const ONE: &[Operand] = &[Operand::float("x")];
const KINK: Facts = Facts { kinks: &[0.0], ..Facts::NONE };

const SLOPE: &[AttrDef] =
    &[AttrDef::new("slope", &[AttrKind::Number], AttrDefault::Float(0.01), "of the negative side")
        .torch("negative_slope")];
const ALPHA: &[AttrDef] =
    &[AttrDef::new("alpha", &[AttrKind::Number], AttrDefault::Float(1.0), "minus the limit on the negative side")
        .within(Domain::Positive)];
const LAMBDA: AttrDef =
    AttrDef::new("lambda", &[AttrKind::Number], AttrDefault::Float(0.5), "half the width of the gap")
        .within(Domain::NonNegative)
        .torch("lambd");
const GAP: Facts = Facts { kinks: &[-1.5, -0.5, -0.25, 0.25, 0.5, 1.5], ..Facts::NONE };

/// The immediates of operators that have these two attributes (a missing one is 0).
fn numbers(attrs: &Attrs, p: &str, q: &str) -> [f64; 2] {
    [attrs.float(p).unwrap_or(0.0), attrs.float(q).unwrap_or(0.0)]
}

/// alpha (e^x - 1) and alpha (e^(x/alpha) - 1).
fn elu(attrs: &Attrs) -> [f64; 2] {
    [attrs.float("alpha").unwrap_or(1.0), 1.0]
}

fn celu(attrs: &Attrs) -> [f64; 2] {
    let alpha = attrs.float("alpha").unwrap_or(1.0);
    [alpha, 1.0 / alpha]
}

/// dy times a derivative with the same two numbers.
fn chain_with<'g>(cx: &GradCx<'_, 'g>, derivative: &'static OpDef, numbers: [f64; 2]) -> Vec<Option<Var<'g>>> {
    vec![Some(cx.dy() * with_numbers(cx.x(0), derivative, numbers))]
}

const PQ: &[AttrDef] = super::function::PQ;

/// A primitive with two numbers.
const fn numbered(name: &'static str, op: &'static MapOp) -> OpDef {
    let body = Body::Map { op, imm: |attrs| numbers(attrs, "p", "q") };
    OpDef { name, attrs: PQ, body, gradient: Gradient::Zero, ..OpDef::DEFAULT }
}

fn prelu_axis(rank: usize) -> usize {
    usize::from(rank > 1)
}

fn prelu_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.dims(0)?;
    let channels = cx.size("channels").unwrap_or(Dims::ONE);
    if channels != Dims::ONE {
        let axis = prelu_axis(dims.len());
        let Some(&found) = dims.get(axis) else { return Err(cx.bad_attr("channels", "must be 1 for a scalar")) };
        let misfit = Misfit {
            operand: Some(0),
            axis: Some(axis),
            wanted: Some(channels),
            found: Some(found),
            ..Misfit::of(MisfitKind::Size(Why::Pin))
        };
        cx.need(Condition::Equal(found, channels), misfit)?;
    }
    same_as_first(cx)
}

fn prelu<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (x, weight) = (cx.x(0), cx.param("weight").expect("prelu declares its slopes"));
    let dims = x.dims();
    let slope = if weight.dims() == [Dims::ONE] {
        weight.reshape(&[])
    } else {
        let others: Vec<usize> = (0..dims.len()).filter(|&axis| axis != prelu_axis(dims.len())).collect();
        weight.spread(&dims, &others)
    };
    vec![x.with(slope, &SLOPED, &[])]
}

fn rrelu<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let [lower, upper] = numbers(cx.attrs, "lower", "upper");
    let x = cx.x(0);
    vec![if cx.train() {
        x.with(uniform_like(x) * (upper - lower) + lower, &SLOPED, &[])
    } else {
        x.then(&LEAKY_RELU, &[("slope", Attr::Float((lower + upper) / 2.0))])
    }]
}

const SELU_LAMBDA: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

ops! { OPS;

/// x where it is positive, a small slope elsewhere: no unit is ever silent. Its gradient at 0 is the slope.
LEAKY_RELU = OpDef {
    derivative: "dx = dy if x > 0, else slope * dy",
    formula: "x if x > 0, else slope * x",
    source: "Maas et al. 2013",
    torch: "nn.LeakyReLU",
    example: "x: f32[2] = [-2, 3] -> [-0.02, 3]",
    attrs: SLOPE,
    facts: KINK,
    body: Body::Map { op: &map::ops::LEAKY, imm: |attrs| numbers(attrs, "slope", "") },
    gradient: Gradient::Formula(|cx| chain_with(cx, &LEAK, numbers(cx.attrs, "slope", ""))),
    ..map_op("leaky_relu", &map::ops::LEAKY, ONE)
};

/// leaky_relu whose slope is learned: one for all, or one a channel.
///
/// Channels are axis 1 (axis 0 of a vector). No weight decay on the slopes: it would pull them to relu.
PRELU = OpDef {
    derivative: "dx = dy if x > 0, else weight * dy; dweight = sum(0 if x > 0, else dy * x); with a slope a channel, \
        the sum is over that channel",
    name: "prelu",
    formula: "x if x > 0, else weight * x",
    source: "He et al. 2015",
    torch: "nn.PReLU",
    example: "x: f32[2] = [-2, 3] -> [-0.5, 3]",
    attrs: &[
        AttrDef::new("channels", &[AttrKind::Size], AttrDefault::Int(1), "1, or the size of axis 1").torch("num_parameters"),
        AttrDef::new("init", &[AttrKind::Number], AttrDefault::Float(0.25), "where the slopes begin"),
    ],
    rule: prelu_rule,
    params: |cx| {
        let channels = crate::ir::op::size_of(cx.shapes, cx.attrs.get("channels")).unwrap_or(Dims::ONE);
        vec![ParamDef::other("weight", &[channels], Init::Constant(cx.attrs.float("init").unwrap_or(0.25)))]
    },
    facts: KINK,
    body: Body::Expand(prelu),
    ..OpDef::DEFAULT
};

/// leaky_relu with a random slope: in train each element draws its own, kept for its gradient; in eval their mean.
RRELU = OpDef {
    derivative: "dx = dy if x > 0, else dy * (lower + upper) / 2; in train with the slope that was drawn for the \
        element in place of the mean",
    name: "rrelu",
    formula: "x if x > 0, else a * x, a ~ U[lower, upper]",
    source: "Xu et al. 2015",
    torch: "nn.RReLU",
    example: "x: f32[2] = [-4.8, 3] -> [-1.1, 3]",
    attrs: &[
        AttrDef::new("lower", &[AttrKind::Number], AttrDefault::Float(1.0 / 8.0), "the smallest slope"),
        AttrDef::new("upper", &[AttrKind::Number], AttrDefault::Float(1.0 / 3.0), "the largest"),
    ],
    rule: |cx| {
        if cx.attrs.float("lower") > cx.attrs.float("upper") {
            return Err(cx.bad_attr("lower", "lies above `upper`"));
        }
        same_as_first(cx)
    },
    facts: Facts { by_mode: true, random: true, ..KINK },
    body: Body::Expand(rrelu),
    ..OpDef::DEFAULT
};

/// x where it is positive; for negative x it bends smoothly to -alpha, so that means stay near 0.
ELU = OpDef {
    derivative: "dx = dy if x > 0, else dy * alpha * e^x",
    formula: "x if x > 0, else alpha * (e^x - 1)",
    source: "Clevert et al. 2015",
    torch: "nn.ELU",
    example: "x: f32[2] = [-1, 3] -> [-0.6321206, 3]",
    attrs: ALPHA,
    facts: KINK,
    body: Body::Map { op: &map::ops::ELU, imm: elu },
    gradient: Gradient::Formula(|cx| chain_with(cx, &ELU_SLOPE, elu(cx.attrs))),
    ..map_op("elu", &map::ops::ELU, ONE)
};

/// elu with a derivative that is continuous for every alpha: `elu` and `celu` are the same for alpha = 1.
CELU = OpDef {
    derivative: "dx = dy if x > 0, else dy * e^(x / alpha)",
    formula: "x if x > 0, else alpha * (e^(x / alpha) - 1)",
    source: "Barron 2017",
    torch: "nn.CELU",
    example: "x: f32[2] = [-2, 3], alpha = 2 -> [-1.2642411, 3]",
    attrs: ALPHA,
    facts: KINK,
    body: Body::Map { op: &map::ops::ELU, imm: celu },
    gradient: Gradient::Formula(|cx| chain_with(cx, &ELU_SLOPE, celu(cx.attrs))),
    ..map_op("celu", &map::ops::ELU, ONE)
};

/// elu, scaled so that mean 0 and variance 1 are a fixed point: plain stacks normalise themselves.
///
/// lambda = 1.0507009873554805, alpha = 1.6732632423543772. Wants `lecun_normal` weights and `alpha_dropout`.
SELU = OpDef {
    derivative: "dx = dy * lambda if x > 0, else dy * lambda * alpha * e^x; lambda = 1.0507009873554805; alpha = \
        1.6732632423543772",
    name: "selu",
    formula: "lambda * (x if x > 0, else alpha * (e^x - 1))",
    source: "Klambauer et al. 2017",
    torch: "nn.SELU",
    example: "x: f32[2] = [-1, 1] -> [-1.1113307, 1.050701]",
    facts: Facts { range: (-1.7582, f64::INFINITY), ..KINK },
    body: Body::Expand(|cx| vec![cx.x(0).then(&ELU, &[("alpha", Attr::Float(SELU_ALPHA))]) * SELU_LAMBDA]),
    ..OpDef::DEFAULT
};

/// Relu with a soft knee; positive everywhere. `beta` sharpens it; above `threshold` (of beta·x) it is x itself.
///
/// Its derivative is sigmoid(beta·x).
SOFTPLUS = OpDef {
    derivative: "dx = dy * sigmoid(beta * x) if beta * x <= threshold, else dy",
    formula: "ln(1 + e^(beta * x)) / beta",
    source: "Dugas et al. 2000",
    torch: "nn.Softplus",
    example: "x: f32[3] = [-1, 0, 30] -> [0.3132617, 0.6931472, 30]",
    attrs: &[
        AttrDef::new("beta", &[AttrKind::Number], AttrDefault::Float(1.0), "how sharp the knee is").within(Domain::Positive),
        AttrDef::new("threshold", &[AttrKind::Number], AttrDefault::Float(20.0), "linear above"),
    ],
    facts: Facts { kinks: &[0.25, 1.5], range: Facts::NOT_NEGATIVE, ..Facts::NONE },
    body: Body::Map { op: &map::ops::SOFTPLUS_SCALED, imm: |attrs| numbers(attrs, "beta", "threshold") },
    gradient: Gradient::Formula(|cx| chain_with(cx, &SOFTPLUS_SLOPE, numbers(cx.attrs, "beta", "threshold"))),
    ..map_op("softplus", &map::ops::SOFTPLUS_SCALED, ONE)
};

/// The logarithm of sigmoid, without its underflow.
LOGSIGMOID = OpDef {
    derivative: "dx = dy * sigmoid(-x)",
    name: "logsigmoid",
    formula: "ln sigmoid(x) = -softplus(-x)",
    torch: "nn.LogSigmoid",
    example: "x: f32[2] = [0, -200] -> [-0.6931472, -200]",
    facts: Facts { range: (f64::NEG_INFINITY, 0.0), ..Facts::NONE },
    body: Body::Expand(|cx| vec![-(-cx.x(0)).op(&SOFTPLUS_EXACT)]),
    ..OpDef::DEFAULT
};

/// Smooth, self-gated: about 0 for very negative x, about x for large x.
MISH = OpDef {
    derivative: "dx = dy * (t + x * (1 - t^2) * sigmoid(x)); t = tanh(softplus(x))",
    name: "mish",
    formula: "x * tanh(softplus(x))",
    source: "Misra 2019",
    torch: "nn.Mish",
    example: "x: f32[3] = [-1, 0, 0.5] -> [-0.30340146, 0, 0.37524524]",
    facts: Facts { range: (-0.309, f64::INFINITY), ..Facts::NONE },
    body: Body::Expand(|cx| vec![cx.x(0) * cx.x(0).op(&SOFTPLUS_EXACT).op(&TANH)]),
    ..OpDef::DEFAULT
};

/// x times the sigmoid of beta·x; beta = 1 is `silu`. With `learned = true` beta is a parameter that begins there.
SWISH = OpDef {
    derivative: "dx = dy * s * (1 + beta * x * (1 - s)); dbeta = sum(dy * x^2 * s * (1 - s)); s = sigmoid(beta * x)",
    name: "swish",
    formula: "x * sigmoid(beta * x)",
    source: "Ramachandran et al. 2017",
    example: "x: f32[2] = [-1, 1], beta = 2 -> [-0.11920292, 0.880797]",
    attrs: &[
        AttrDef::new("beta", &[AttrKind::Number], AttrDefault::Float(1.0), "how sharp the gate is"),
        AttrDef::new("learned", &[AttrKind::Bool], AttrDefault::Bool(false), "whether beta is a parameter").named(),
    ],
    params: |cx| match cx.attrs.flag("learned") {
        true => vec![ParamDef::other("beta", &[Dims::ONE], Init::Constant(cx.attrs.float("beta").unwrap_or(1.0)))],
        false => vec![],
    },
    body: Body::Expand(|cx| {
        let x = cx.x(0);
        let turned = match cx.param("beta") {
            Some(beta) => x * beta.reshape(&[]),
            None => x * cx.attrs.float("beta").unwrap_or(1.0),
        };
        vec![x * turned.op(&SIGMOID)]
    }),
    ..OpDef::DEFAULT
};

/// sigmoid of straight pieces: 0 up to -3, 1 from 3 on. Its gradient at both kinks is 0.
HARDSIGMOID = OpDef {
    derivative: "dx = dy / 6 if -3 < x < 3, else 0",
    name: "hardsigmoid",
    formula: "relu6(x + 3) / 6",
    source: "Courbariaux et al. 2015",
    torch: "nn.Hardsigmoid",
    example: "x: f32[3] = [-4, 0, 1.5] -> [0, 0.5, 0.75]",
    facts: Facts { kinks: &[-3.0, 3.0], range: (0.0, 1.0), ..Facts::NONE },
    body: Body::Expand(|cx| vec![hardsigmoid(cx.x(0))]),
    ..OpDef::DEFAULT
};

/// x times its hardsigmoid: silu of straight pieces, cheap on small machines.
HARDSWISH = OpDef {
    derivative: "dx = dy * (x / 3 + 1 / 2) if -3 < x < 3, dy if x >= 3, else 0",
    name: "hardswish",
    formula: "x * relu6(x + 3) / 6",
    source: "Howard et al. 2019",
    torch: "nn.Hardswish",
    example: "x: f32[3] = [-4, 1, 5] -> [0, 0.6666667, 5]",
    facts: Facts { kinks: &[-3.0, 3.0], range: (-0.3751, f64::INFINITY), ..Facts::NONE },
    body: Body::Expand(|cx| vec![cx.x(0) * hardsigmoid(cx.x(0))]),
    ..OpDef::DEFAULT
};

/// x over one plus its size: like tanh, with slower tails.
SOFTSIGN = OpDef {
    derivative: "dx = dy / (1 + |x|)^2",
    name: "softsign",
    formula: "x / (1 + |x|)",
    source: "Bergstra et al. 2009",
    torch: "nn.Softsign",
    example: "x: f32[2] = [-1, 3] -> [-0.5, 0.75]",
    facts: Facts { range: (-1.0, 1.0), ..Facts::NONE },
    body: Body::Expand(|cx| vec![cx.x(0) / (cx.x(0).op(&super::arithmetic::ABS) + 1.0)]),
    ..OpDef::DEFAULT
};

/// What tanh takes away: flat at 0, x ∓ 1 far out.
TANHSHRINK = OpDef {
    derivative: "dx = dy * tanh(x)^2",
    name: "tanhshrink",
    formula: "x - tanh(x)",
    torch: "nn.Tanhshrink",
    example: "x: f32[2] = [0, 1] -> [0, 0.23840584]",
    body: Body::Expand(|cx| vec![cx.x(0) - cx.x(0).op(&TANH)]),
    ..OpDef::DEFAULT
};

/// Everything moves towards 0 by lambda, and what is smaller becomes 0: the proximal step of an L1 penalty.
SOFTSHRINK = OpDef {
    derivative: "dx = dy if |x| > lambda, else 0",
    name: "softshrink",
    formula: "x - lambda if x > lambda, x + lambda if x < -lambda, else 0",
    torch: "nn.Softshrink",
    example: "x: f32[3] = [-2, 0.25, 1] -> [-1.5, 0, 0.5]",
    attrs: &[LAMBDA],
    facts: GAP,
    body: Body::Expand(|cx| {
        let gap = cx.attrs.float("lambda").unwrap_or(0.5);
        vec![cx.x(0) - with_numbers(cx.x(0), &CLAMP_TO, [-gap, gap])]
    }),
    ..OpDef::DEFAULT
};

/// What is not larger than lambda in size becomes 0; the rest stays.
HARDSHRINK = OpDef {
    derivative: "dx = dy if |x| > lambda, else 0; the jumps have no derivative, and count as none",
    name: "hardshrink",
    formula: "x if |x| > lambda, else 0",
    torch: "nn.Hardshrink",
    example: "x: f32[3] = [-2, 0.25, 1] -> [-2, 0, 1]",
    attrs: &[AttrDef { domain: Domain::Any, ..LAMBDA }],
    facts: GAP,
    body: Body::Expand(|cx| {
        let gap = cx.attrs.float("lambda").unwrap_or(0.5);
        vec![cx.x(0) * (1.0 - with_numbers(cx.x(0), &super::function::WITHIN, [-gap, gap]))]
    }),
    ..OpDef::DEFAULT
};

/// x above a threshold, a constant elsewhere.
THRESHOLD = OpDef {
    derivative: "dx = dy if x > threshold, else 0",
    formula: "x if x > threshold, else value",
    torch: "nn.Threshold",
    example: "x: f32[2] = [1, 3], threshold = 2, value = -1 -> [-1, 3]",
    attrs: &[
        AttrDef::required("threshold", &[AttrKind::Number], "what stays is larger"),
        AttrDef::required("value", &[AttrKind::Number], "what stands elsewhere"),
    ],
    facts: Facts { kinks: &[0.25, 1.5], ..Facts::NONE },
    body: Body::Map { op: &map::ops::THRESHOLD, imm: |attrs| numbers(attrs, "threshold", "value") },
    gradient: Gradient::Formula(|cx| {
        let over = cx.x(0) - cx.attrs.float("threshold").unwrap_or(0.0);
        vec![Some(over.with(cx.dy(), &RELU_GATE, &[]))]
    }),
    ..map_op("threshold", &map::ops::THRESHOLD, ONE)
};

/// x where it is positive, squared: sharper than relu, found by searching among transformers.
RELU_SQUARED = OpDef {
    derivative: "dx = 2 * dy * max(0, x)",
    name: "relu_squared",
    formula: "max(0, x)^2",
    source: "So et al. 2021",
    example: "x: f32[2] = [-2, 3] -> [0, 9]",
    body: Body::Expand(|cx| vec![cx.x(0).op(&super::activation::RELU).op(&super::arithmetic::SQUARE)]),
    ..OpDef::DEFAULT
};

/// 1 from 0 on, 0 below: the perceptron's. Its gradient is 0 everywhere: nothing before it can learn.
STEP = OpDef {
    name: "step",
    formula: "1 if x >= 0, else 0",
    source: "Rosenblatt 1958",
    torch: "torch.heaviside",
    example: "x: f32[3] = [-1, 0, 2] -> [0, 1, 1]",
    facts: KINK,
    gradient: Gradient::Zero,
    body: Body::Expand(|cx| vec![cx.x(0).then(&MAP_GE, &[("value", Attr::Float(0.0))])]),
    ..OpDef::DEFAULT
};

/// x where it is positive, x times a slope elsewhere: a slope an element.
SLOPED = OpDef {
    gradient: Gradient::Formula(|cx| {
        let below = || cx.x(0) - cx.x(0).op(&super::activation::RELU);
        vec![
            cx.when(0, || cx.dy() * cx.x(0).with(cx.x(1), &SLOPED_SLOPE, &[])),
            cx.when(1, || cx.dy() * below()),
        ]
    }),
    ..map_op("map.sloped", &map::ops::PRELU, &[Operand::float("x"), Operand::float("slope")])
};

/// Its derivative for x.
SLOPED_SLOPE = OpDef {
    gradient: Gradient::Zero,
    ..map_op("map.sloped'", &map::ops::PRELU_DERIVATIVE, &[Operand::float("x"), Operand::float("slope")])
};

/// 1 or the slope.
LEAK = OpDef { ..numbered("map.leaky'", &map::ops::LEAKY_DERIVATIVE) };

/// The derivative of elu and celu.
ELU_SLOPE = OpDef { ..numbered("map.elu'", &map::ops::ELU_DERIVATIVE) };

/// The derivative of softplus.
SOFTPLUS_SLOPE = OpDef { ..numbered("map.softplus_scaled'", &map::ops::SOFTPLUS_SCALED_DERIVATIVE) };

}

fn hardsigmoid(x: Var<'_>) -> Var<'_> {
    (x + 3.0).op(&RELU6) / 6.0
}
