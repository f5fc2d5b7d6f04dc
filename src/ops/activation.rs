//! Activations.

use super::arithmetic::{MAP_MAXIMUM, MAP_MINIMUM, RELU_GATE, chain, map_op};
use super::parts::halves;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::op::{Body, Facts, Gradient, Misfit, OpDef, Operand, RuleCx, Why};
use crate::kernels::map;

const ONE: &[Operand] = &[Operand::float("x")];
const KINK: Facts = Facts { kinks: &[0.0], ..Facts::NONE };

const FORM: &[AttrDef] = &[AttrDef::new(
    "form",
    &[AttrKind::Choice(&["exact", "tanh", "sigmoid"])],
    AttrDefault::Str("exact"),
    "which formula",
)
.torch("approximate")];

fn gelu<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let form = match cx.attrs.str("form") {
        Some("tanh") => &GELU_TANH,
        Some("sigmoid") => &GELU_SIGMOID,
        _ => &GELU_EXACT,
    };
    vec![cx.x(0).op(form)]
}

const LIMITS: &[AttrDef] = &[
    AttrDef::new("min", &[AttrKind::Number], AttrDefault::Float(-1.0), "the lower limit").torch("min_val"),
    AttrDef::new("max", &[AttrKind::Number], AttrDefault::Float(1.0), "the upper limit").torch("max_val"),
];

const HALVED: &[AttrDef] =
    &[AttrDef::new("axis", &[AttrKind::Axis], AttrDefault::Int(-1), "the axis that is halved").torch("dim")];

/// The rule of gated units: the axis has two halves, and one of them is the result's size.
fn gated_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let mut dims = cx.rank(0, 1, 8)?;
    let axis = cx.axis("axis", dims.len())?;
    let two = cx.shapes.dims.constant(2);
    cx.divides(0, axis, dims[axis], two, Why::Other)?;
    dims[axis] = cx.shapes.dims.floor_div(dims[axis], two);
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &dims);
    Ok(())
}

const fn gated(name: &'static str, formula: &'static str) -> OpDef {
    let shape = "[.., 2 * d, ..] -> [.., d, ..]";
    OpDef { name, formula, shape, attrs: HALVED, rule: gated_rule, ..OpDef::DEFAULT }
}

/// The first half through `act`, times the second.
fn gate_first<'g>(cx: &ExpandCx<'_, 'g>, act: &'static OpDef) -> Vec<Var<'g>> {
    let [gate, value] = halves(cx);
    vec![gate.op(act) * value]
}

ops! { OPS;

/// Zero for negative x, x itself otherwise. Its gradient at 0 is 0.
///
/// Cheap, and the reason that deep plain networks began to train; a unit whose input is always negative learns nothing.
RELU = OpDef {
    derivative: "dx = dy if x > 0, else 0",
    formula: "max(0, x)",
    source: "Nair and Hinton 2010",
    torch: "nn.ReLU",
    example: "x: f32[3] = [-1, 0, 2] -> [0, 0, 2]",
    facts: Facts { range: Facts::NOT_NEGATIVE, fixed: Some(Facts::NOT_NEGATIVE), ..KINK },
    gradient: Gradient::Formula(|cx| vec![Some(cx.x(0).with(cx.dy(), &RELU_GATE, &[]))]),
    ..map_op("relu", &map::ops::RELU, ONE)
};

/// x between two limits, which cut it off; its gradient at and beyond them is 0.
HARDTANH = OpDef {
    derivative: "dx = dy if min < x < max, else 0",
    name: "hardtanh",
    formula: "min(max(x, min), max)",
    torch: "nn.Hardtanh",
    example: "x: f32[3] = [-2, 0.5, 2] -> [-1, 0.5, 1]",
    attrs: LIMITS,
    rule: |cx| {
        if cx.attrs.float("min") > cx.attrs.float("max") {
            return Err(cx.bad_attr("min", "lies above `max`"));
        }
        crate::ir::op::same_as_first(cx)
    },
    facts: Facts { kinks: &[-1.0, 0.25, 1.0, 1.5], ..Facts::NONE },
    body: Body::Expand(|cx| {
        let limit = |name| cx.attrs.float(name).unwrap_or(0.0);
        vec![at_most(at_least(cx.x(0), limit("min")), limit("max"))]
    }),
    ..OpDef::DEFAULT
};

/// relu, cut off at 6. Its gradient at both kinks is 0. (Texts that give 6 for negative x are wrong.)
RELU6 = OpDef {
    derivative: "dx = dy if 0 < x < 6, else 0",
    name: "relu6",
    formula: "min(max(0, x), 6)",
    source: "Krizhevsky 2010; Howard et al. 2017",
    torch: "nn.ReLU6",
    example: "x: f32[3] = [-1, 2, 7] -> [0, 2, 6]",
    facts: Facts { kinks: &[0.0, 6.0], range: (0.0, 6.0), fixed: Some((0.0, 6.0)), ..Facts::NONE },
    body: Body::Expand(|cx| vec![at_most(cx.x(0).op(&RELU), 6.0)]),
    ..OpDef::DEFAULT
};

/// One half of an axis, opened and closed by the sigmoid of the other. The *second* half is the gate, as in PyTorch.
GLU = OpDef {
    derivative: "da = dy * s; db = dy * a * s * (1 - s); s = sigmoid(b)",
    source: "Dauphin et al. 2016",
    torch: "nn.GLU",
    example: "x: f32[2] = [3, 0] -> [1.5]",
    body: Body::Expand(|cx| {
        let [value, gate] = halves(cx);
        vec![value * gate.op(&SIGMOID)]
    }),
    ..gated("glu", "a * sigmoid(b), x = [a, b]")
};

/// One half of an axis times the gelu of the other. The *first* half is the gate (**differs** from `glu`).
GEGLU = OpDef {
    derivative: "da = dy * b * (Phi(a) + a * phi(a)); db = dy * gelu(a)",
    source: "Shazeer 2020",
    example: "x: f32[2] = [1, 2] -> [1.6826895]",
    body: Body::Expand(|cx| gate_first(cx, &GELU_EXACT)),
    ..gated("geglu", "gelu(a) * b, x = [a, b]")
};

/// One half of an axis times the silu of the other. The *first* half is the gate (**differs** from `glu`).
SWIGLU = OpDef {
    derivative: "da = dy * b * s * (1 + a * (1 - s)); db = dy * silu(a); s = sigmoid(a)",
    source: "Shazeer 2020",
    example: "x: f32[2] = [1, 2] -> [1.4621172]",
    body: Body::Expand(|cx| gate_first(cx, &SILU)),
    ..gated("swiglu", "silu(a) * b, x = [a, b]")
};

/// One half of an axis times the relu of the other. The *first* half is the gate (**differs** from `glu`).
REGLU = OpDef {
    derivative: "da = dy * b if a > 0, else 0; db = dy * max(0, a)",
    source: "Shazeer 2020",
    example: "x: f32[2] = [3, 2] -> [6]",
    facts: KINK,
    body: Body::Expand(|cx| gate_first(cx, &RELU)),
    ..gated("reglu", "relu(a) * b, x = [a, b]")
};

/// Squeezes any number into 0…1: the probability of a logit.
///
/// Saturates on both sides; stacked without residuals its gradients vanish (derivative at most 1/4).
SIGMOID = OpDef {
    derivative: "dx = dy * y * (1 - y); at most 1/4, at x = 0",
    formula: "1 / (1 + e^-x)",
    torch: "nn.Sigmoid",
    example: "x: f32[2] = [-1, 0] -> [0.26894142, 0.5]",
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * (cx.y(0) * (1.0 - cx.y(0))))]),
    facts: Facts { range: (0.0, 1.0), ..Facts::NONE },
    ..map_op("sigmoid", &map::ops::SIGMOID, ONE)
};

/// Squeezes any number into -1…1, odd and zero-centred.
TANH = OpDef {
    derivative: "dx = dy * (1 - y^2); at most 1, at x = 0",
    formula: "(e^x - e^-x) / (e^x + e^-x)",
    torch: "nn.Tanh",
    example: "x: f32[2] = [-1, 0] -> [-0.7615942, 0]",
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * (1.0 - cx.y(0) * cx.y(0)))]),
    facts: Facts { range: (-1.0, 1.0), ..Facts::NONE },
    ..map_op("tanh", &map::ops::TANH, ONE)
};

/// x times its sigmoid: smooth, slightly negative for negative x. Also called swish.
SILU = OpDef {
    derivative: "dx = dy * s * (1 + x * (1 - s)); s = sigmoid(x)",
    formula: "x * sigmoid(x)",
    source: "Elfwing et al. 2017",
    torch: "nn.SiLU",
    example: "x: f32[2] = [-1, 1] -> [-0.26894142, 0.7310586]",
    gradient: Gradient::Formula(|cx| chain(cx, &SILU_DERIVATIVE)),
    facts: Facts { range: (-0.279, f64::INFINITY), ..Facts::NONE },
    ..map_op("silu", &map::ops::SILU, ONE)
};

/// x times the probability that a standard normal is below x.
///
/// `form = "exact"` uses erf; `"tanh"` is 0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))), at most 4.7323e-4 away (at
/// x = 2.70); `"sigmoid"` is x·sigmoid(1.702 x). The constant is sqrt(2/π): texts that write sqrt(π/2) are wrong by up to
/// 0.092.
GELU = OpDef {
    derivative: "dx = dy * (Phi(x) + x * phi(x)); tanh: dx = dy / 2 * (1 + t + x * (1 - t^2) * sqrt(2 / pi) * (1 + \
        0.134145 * x^2)); t = tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)); sigmoid: dx = dy * s * (1 + 1.702 \
        * x * (1 - s)); s = sigmoid(1.702 * x); Phi and phi are the distribution and density of a standard \
        normal",
    name: "gelu",
    formula: "x * Phi(x) = x / 2 * (1 + erf(x / sqrt(2)))",
    source: "Hendrycks and Gimpel 2016",
    torch: "nn.GELU",
    example: "x: f32[2] = [1, -1] -> [0.84134475, -0.15865525]",
    attrs: FORM,
    facts: Facts { range: (-0.171, f64::INFINITY), ..Facts::NONE },
    body: Body::Expand(gelu),
    ..OpDef::DEFAULT
};

/// The exact form.
GELU_EXACT = OpDef {
    gradient: Gradient::Formula(|cx| chain(cx, &GELU_EXACT_DERIVATIVE)),
    ..map_op("map.gelu_exact", &map::ops::GELU, ONE)
};

/// The tanh form.
GELU_TANH = OpDef {
    gradient: Gradient::Formula(|cx| chain(cx, &GELU_TANH_DERIVATIVE)),
    ..map_op("map.gelu_tanh", &map::ops::GELU_TANH, ONE)
};

/// The sigmoid form.
GELU_SIGMOID = OpDef {
    gradient: Gradient::Formula(|cx| chain(cx, &GELU_SIGMOID_DERIVATIVE)),
    ..map_op("map.gelu_sigmoid", &map::ops::GELU_SIGMOID, ONE)
};

/// ln(1 + e^x): relu without its kink, and the cost of a logit.
SOFTPLUS_EXACT = OpDef {
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * cx.x(0).op(&SIGMOID))]),
    ..map_op("map.softplus", &map::ops::SOFTPLUS, ONE)
};

/// Phi(x) + x·phi(x).
GELU_EXACT_DERIVATIVE = OpDef { gradient: Gradient::Zero, ..map_op("map.gelu_exact'", &map::ops::GELU_DERIVATIVE, ONE) };

/// The derivative of the tanh form.
GELU_TANH_DERIVATIVE = OpDef { gradient: Gradient::Zero, ..map_op("map.gelu_tanh'", &map::ops::GELU_TANH_DERIVATIVE, ONE) };

/// The derivative of the sigmoid form.
GELU_SIGMOID_DERIVATIVE = OpDef { gradient: Gradient::Zero, ..map_op("map.gelu_sigmoid'", &map::ops::GELU_SIGMOID_DERIVATIVE, ONE) };

/// s(x)·(1 + x·(1 - s(x))).
SILU_DERIVATIVE = OpDef { gradient: Gradient::Zero, ..map_op("map.silu'", &map::ops::SILU_DERIVATIVE, ONE) };

}

/// max(x, value), for expressions that need a floor.
pub(super) fn at_least<'g>(x: Var<'g>, value: f64) -> Var<'g> {
    x.then(&MAP_MAXIMUM, &[("value", Attr::Float(value))])
}

/// min(x, value).
pub(super) fn at_most<'g>(x: Var<'g>, value: f64) -> Var<'g> {
    x.then(&MAP_MINIMUM, &[("value", Attr::Float(value))])
}
