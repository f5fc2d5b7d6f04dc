//! Functions of one number and of two: roots and powers, rounding, limits, the larger and the smaller.

use super::activation::{at_least, at_most};
use super::arithmetic::{MAP_MAXIMUM, MAP_MINIMUM, NUMBER, SQUARE, elementwise, map_op};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::op::{Body, Facts, Gradient, Misfit, MisfitKind, OpDef, Operand, RuleCx};
use crate::kernels::map::{self, MapOp};
use crate::tensor::DType;

const ONE: &[Operand] = &[Operand::float("x")];
const PAIR: &[Operand] = &[Operand::float("a"), Operand::float("b")];
const POSITIVE: Facts = Facts { domain: (1e-30, f64::INFINITY), ..Facts::NONE };
const SMALL: Facts = Facts { domain: (-80.0, 80.0), ..Facts::NONE };
const WHOLE: Facts = Facts { kinks: &[-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5], ..Facts::NONE };

/// Two numbers, meaning told by each primitive.
pub(super) const PQ: &[AttrDef] =
    &[AttrDef::required("p", &[AttrKind::Number], "a number"), AttrDef::required("q", &[AttrKind::Number], "another")];

fn pq(attrs: &Attrs) -> [f64; 2] {
    [attrs.float("p").unwrap_or(0.0), attrs.float("q").unwrap_or(0.0)]
}

/// A primitive with two numbers, applied.
pub(super) fn with_numbers<'g>(x: Var<'g>, op: &'static OpDef, [p, q]: [f64; 2]) -> Var<'g> {
    x.then(op, &[("p", Attr::Float(p)), ("q", Attr::Float(q))])
}

const fn numbered(name: &'static str, op: &'static MapOp) -> OpDef {
    OpDef { name, attrs: PQ, body: Body::Map { op, imm: pq }, gradient: Gradient::Zero, ..OpDef::DEFAULT }
}

/// A comparison whose result is 1 or 0 in floats: for gradients.
const fn gate(name: &'static str, op: &'static MapOp) -> OpDef {
    OpDef { attrs: NUMBER, gradient: Gradient::Zero, ..map_op(name, op, GATED) }
}
const GATED: &[Operand] = &[Operand::float("a"), Operand::float("b").optional()];

const fn pair(name: &'static str, formula: &'static str) -> OpDef {
    OpDef { name, formula, shape: "([..], [..]) -> [..]", operands: PAIR, rule: elementwise, ..OpDef::DEFAULT }
}

const fn one(name: &'static str, formula: &'static str, op: &'static MapOp) -> OpDef {
    OpDef { formula, ..map_op(name, op, ONE) }
}

const fn whole(name: &'static str, formula: &'static str, op: &'static MapOp) -> OpDef {
    OpDef { facts: WHOLE, gradient: Gradient::Zero, ..one(name, formula, op) }
}

const fn asks(name: &'static str, formula: &'static str, op: &'static MapOp) -> OpDef {
    let rule = |cx: &mut RuleCx<'_>| {
        let mut ty = cx.operand(0)?;
        ty.dtype = DType::Bool;
        cx.out(ty);
        Ok(())
    };
    OpDef { shape: "[..] -> bool[..]", rule, gradient: Gradient::Zero, ..one(name, formula, op) }
}

/// dy times what is said, for the two operands of a primitive.
fn shares<'g>(cx: &GradCx<'_, 'g>, a: impl FnOnce() -> Var<'g>, b: impl FnOnce() -> Var<'g>) -> Vec<Option<Var<'g>>> {
    vec![cx.when(0, || cx.dy() * a()), cx.when(1, || cx.dy() * b())]
}

/// What an operator takes as a number, or as an operand.
fn number_or_operand(cx: &mut RuleCx<'_>, name: &'static str) -> Result<(), Misfit> {
    let slot = cx.ins.get(1).copied().flatten().is_some();
    match (*cx.attrs.get(name) != Attr::None, slot) {
        (false, false) => Err(cx.bad_attr(name, "must be given: as a number, or as an operand")),
        (true, true) => Err(cx.bad_attr(name, "is given twice: as a number, and as an operand")),
        _ => elementwise(cx),
    }
}

fn clamp_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let given = |index: usize| cx.ins.get(index).copied().flatten().is_some();
    for (index, name) in [(1, "min"), (2, "max")] {
        if given(index) && *cx.attrs.get(name) != Attr::None {
            return Err(cx.bad_attr(name, "is given twice: as a number, and as an operand"));
        }
    }
    let (min, max) = (cx.attrs.float("min"), cx.attrs.float("max"));
    if min.is_none() && max.is_none() && !given(1) && !given(2) {
        return Err(cx.bad_attr("min", "must be given, or `max`"));
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err(cx.bad_attr("min", "lies above `max`"));
    }
    let whole = cx.dims(0)?.len();
    elementwise(cx)?;
    match cx.shapes.rank(cx.outs[0]) == whole {
        true => Ok(()),
        false => Err(Misfit { operand: Some(1), ..Misfit::of(MisfitKind::Shapes) }),
    }
}

fn clamp<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let x = cx.attrs.float("min").map_or(cx.x(0), |min| at_least(cx.x(0), min));
    let x = cx.attrs.float("max").map_or(x, |max| at_most(x, max));
    let x = cx.maybe(1).map_or(x, |least| x.with(least, &MAP_MAXIMUM, &[]));
    vec![cx.maybe(2).map_or(x, |most| x.with(most, &MAP_MINIMUM, &[]))]
}

fn round<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let decimals = cx.attrs.int("decimals").unwrap_or(0);
    let scale: f64 = (0..decimals.unsigned_abs()).map(|_| 10.0).product();
    let x = cx.x(0);
    vec![match decimals {
        0 => x.op(&ROUND_EVEN),
        1.. => (x * scale).op(&ROUND_EVEN) / scale,
        _ => (x / scale).op(&ROUND_EVEN) * scale,
    }]
}

/// A number, written out where it is given, else the largest of the run's floats times a sign.
fn or_largest(cx: &ExpandCx<'_, '_>, name: &str, sign: f64) -> f64 {
    let largest = if cx.builder.float == DType::F64 { f64::MAX } else { f64::from(f32::MAX) };
    cx.attrs.float(name).unwrap_or(largest * sign)
}

/// x^y, whose gradient at x = 0 (and of a sum that is 0) is 0: for norms.
pub(super) fn size_power<'g>(x: Var<'g>, power: f64) -> Var<'g> {
    with_numbers(x, &ABS_POWER, [power, 0.0])
}

ops! { OPS;

/// The tangent.
TAN = OpDef {
    derivative: "dx = dy * (1 + y^2)",
    torch: "torch.tan",
    example: "x: f32[2] = [0, 1] -> [0, 1.5574077]",
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * (cx.y(0).op(&SQUARE) + 1.0))]),
    ..one("tan", "sin x / cos x", &map::ops::TAN)
};

/// The error function: the share of a normal distribution of variance 1/2 within x of its mean.
ERF = OpDef {
    derivative: "dx = dy * 2 / sqrt(pi) * e^-x^2",
    torch: "torch.erf",
    example: "x: f32[2] = [0, 1] -> [0, 0.8427008]",
    gradient: Gradient::Formula(|cx| {
        let bell = (-cx.x(0).op(&SQUARE)).op(&super::arithmetic::EXP);
        vec![Some(cx.dy() * (bell * std::f64::consts::FRAC_2_SQRT_PI))]
    }),
    ..one("erf", "2 / sqrt(pi) * integral of e^-t^2 from 0 to x", &map::ops::ERF)
};

/// The smallest integer that is not smaller than x. No gradient flows back.
CEIL = OpDef {
    torch: "torch.ceil",
    example: "x: f32[2] = [1.5, -1.5] -> [2, -1]",
    ..whole("ceil", "ceil x", &map::ops::CEIL)
};

/// x cut towards 0. No gradient flows back.
TRUNC = OpDef {
    torch: "torch.trunc",
    example: "x: f32[2] = [1.5, -1.5] -> [1, -1]",
    ..whole("trunc", "sign(x) * floor |x|", &map::ops::TRUNC)
};

/// The nearest number with so many decimals; halves go to the even one. No gradient flows back.
ROUND = OpDef {
    torch: "torch.round",
    example: "x: f32[4] = [0.5, 1.5, -1.5, 2.6] -> [0, 2, -2, 3]",
    attrs: &[AttrDef::new("decimals", &[AttrKind::Int], AttrDefault::Int(0), "how many; negative: tens, hundreds")],
    facts: WHOLE,
    gradient: Gradient::Zero,
    name: "round",
    formula: "the nearest integer, half to even",
    body: Body::Expand(round),
    ..OpDef::DEFAULT
};

/// 2 to the power x.
EXP2 = OpDef {
    derivative: "dx = dy * y * ln(2)",
    torch: "torch.exp2",
    example: "x: f32[2] = [3, -1] -> [8, 0.5]",
    facts: SMALL,
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * (cx.y(0) * std::f64::consts::LN_2))]),
    ..one("exp2", "2^x", &map::ops::EXP2)
};

/// The logarithm to base 2.
LOG2 = OpDef {
    derivative: "dx = dy / (x * ln(2))",
    torch: "torch.log2",
    example: "x: f32[2] = [8, 0.5] -> [3, -1]",
    facts: POSITIVE,
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() / (cx.x(0) * std::f64::consts::LN_2))]),
    ..one("log2", "ln x / ln 2", &map::ops::LOG2)
};

/// The logarithm to base 10.
LOG10 = OpDef {
    derivative: "dx = dy / (x * ln(10))",
    torch: "torch.log10",
    example: "x: f32[2] = [100, 0.1] -> [2, -1]",
    facts: POSITIVE,
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() / (cx.x(0) * std::f64::consts::LN_10))]),
    ..one("log10", "ln x / ln 10", &map::ops::LOG10)
};

/// The logarithm of 1 + x, exact for small x.
LOG1P = OpDef {
    derivative: "dx = dy / (1 + x)",
    torch: "torch.log1p",
    example: "x: f32[2] = [0, 1] -> [0, 0.6931472]",
    facts: Facts { domain: (-0.999, f64::INFINITY), ..Facts::NONE },
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() / (cx.x(0) + 1.0))]),
    ..one("log1p", "ln(1 + x)", &map::ops::LN1P)
};

/// e to the power x, less 1, exact for small x.
EXPM1 = OpDef {
    derivative: "dx = dy * (y + 1)",
    torch: "torch.expm1",
    example: "x: f32[2] = [0, 1] -> [0, 1.7182819]",
    facts: SMALL,
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * (cx.y(0) + 1.0))]),
    ..one("expm1", "e^x - 1", &map::ops::EXPM1)
};

/// The sine of pi·x over pi·x, 1 at 0: what a perfect low-pass filter looks like.
SINC = OpDef {
    derivative: "dx = dy * (cos(pi * x) - y) / x if x ≠ 0, else 0",
    torch: "torch.sinc",
    example: "x: f32[3] = [0, 0.5, 1.5] -> [1, 0.63661975, -0.21220659]",
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * cx.x(0).op(&SINC_SLOPE))]),
    ..one("sinc", "sin(pi * x) / (pi * x) if x ≠ 0, else 1", &map::ops::SINC)
};

/// Whether it is not-a-number.
ISNAN = OpDef {
    torch: "torch.isnan",
    example: "x: f32[2] = [1, nan] -> [0, 1]",
    ..asks("isnan", "x ≠ x", &map::ops::ISNAN)
};

/// Whether it is infinity, of either sign.
ISINF = OpDef {
    torch: "torch.isinf",
    example: "x: f32[3] = [1, inf, -inf] -> [0, 1, 1]",
    ..asks("isinf", "|x| = inf", &map::ops::ISINF)
};

/// Whether it is neither not-a-number nor infinite.
ISFINITE = OpDef {
    torch: "torch.isfinite",
    example: "x: f32[3] = [1, inf, nan] -> [1, 0, 0]",
    ..asks("isfinite", "|x| < inf", &map::ops::ISFINITE)
};

/// The logit of a probability: the inverse of sigmoid. With `eps` x is first kept within eps … 1 - eps.
LOGIT = OpDef {
    derivative: "dx = dy / (x * (1 - x)) if eps <= x <= 1 - eps, else 0; without `eps` everywhere",
    name: "logit",
    formula: "ln(x / (1 - x))",
    torch: "torch.logit",
    example: "x: f32[2] = [0.5, 0.75] -> [0, 1.0986123]",
    attrs: &[AttrDef::new("eps", &[AttrKind::Number, AttrKind::Nothing], AttrDefault::None, "keeps x away from 0 and 1")],
    facts: Facts { domain: (0.0, 1.0), kinks: &[0.25, 0.75], ..Facts::NONE },
    body: Body::Expand(|cx| {
        let x = cx.x(0);
        let x = cx.attrs.float("eps").map_or(x, |eps| with_numbers(x, &CLAMP_TO, [eps, 1.0 - eps]));
        // Not the logarithm of a quotient, whose gradient at 0 would be no number.
        vec![x.op(&super::arithmetic::LOG) - (-x).op(&LOG1P)]
    }),
    ..OpDef::DEFAULT
};

/// Numbers in place of not-a-number and the infinities, by default 0 and the largest finite ones. Nothing flows back
/// where something was replaced.
NAN_TO_NUM = OpDef {
    derivative: "dx = dy if |x| < inf, else 0",
    name: "nan_to_num",
    formula: "nan if x ≠ x, max if x = inf, min if x = -inf, else x",
    torch: "torch.nan_to_num",
    example: "x: f32[4] = [1, nan, inf, -inf], max = 9, min = -9 -> [1, 0, 9, -9]",
    attrs: &[
        AttrDef::new("nan", &[AttrKind::Number], AttrDefault::Float(0.0), "for not-a-number"),
        AttrDef::new("max", &[AttrKind::Number, AttrKind::Nothing], AttrDefault::None, "for infinity").torch("posinf"),
        AttrDef::new("min", &[AttrKind::Number, AttrKind::Nothing], AttrDefault::None, "for minus infinity").torch("neginf"),
    ],
    body: Body::Expand(|cx| {
        let x = nan_to(cx.x(0), cx.attrs.float("nan").unwrap_or(0.0));
        vec![with_numbers(x, &INF_TO, [or_largest(cx, "max", 1.0), or_largest(cx, "min", -1.0)])]
    }),
    ..OpDef::DEFAULT
};

/// A power: with a number, or with an exponent an element. `x^3` between numbers is not this: it is computed once.
///
/// A negative x has whole powers only (else NaN). Gradients: p·x^(p-1), and x^p·ln x for the exponent (0 where x = 0).
POW = OpDef {
    derivative: "dx = dy * exponent * x^(exponent - 1); dexponent = dy * y * ln(x) if x > 0, else 0",
    name: "pow",
    formula: "x^exponent",
    shape: "[..] -> [..], or ([..], [..]) -> [..]",
    torch: "torch.pow",
    example: "x: f32[2] = [3, -2], exponent = 3 -> [27, -8]",
    attrs: &[AttrDef::new("exponent", &[AttrKind::Number], AttrDefault::None, "the power")],
    operands: &[Operand::float("x"), Operand::float("exponent").optional()],
    rule: |cx| number_or_operand(cx, "exponent"),
    facts: POSITIVE,
    body: Body::Expand(|cx| {
        vec![match (cx.attrs.float("exponent"), cx.maybe(1)) {
            (None, Some(exponent)) => cx.x(0).with(exponent, &POW_OF, &[]),
            (exponent, _) => with_numbers(cx.x(0), &POW_NUMBER, [exponent.unwrap_or(1.0), 0.0]),
        }]
    }),
    ..OpDef::DEFAULT
};

/// x between two limits: numbers, or values of its shape (or its last axes).
///
/// Beyond a limit no gradient flows back to x, but to the limit where that is a value. *At* a limit it is 0 for a number,
/// and shared half and half with a value, as in PyTorch 2.15 (older ones: 1).
CLAMP = OpDef {
    derivative: "dx = dy if min < x < max, else 0; a limit that is a value gets dy where it holds, and half of it \
        where x is equal",
    name: "clamp",
    formula: "min(max(x, min), max)",
    torch: "torch.clamp",
    example: "x: f32[3] = [-2, 0.5, 2], min = -1, max = 1 -> [-1, 0.5, 1]",
    attrs: &[
        AttrDef::new("min", &[AttrKind::Number, AttrKind::Nothing], AttrDefault::None, "the lower limit"),
        AttrDef::new("max", &[AttrKind::Number, AttrKind::Nothing], AttrDefault::None, "the upper limit"),
    ],
    operands: &[Operand::float("x"), Operand::float("min").optional(), Operand::float("max").optional()],
    rule: clamp_rule,
    facts: Facts { kinks: &[0.25, 1.5], ..Facts::NONE },
    body: Body::Expand(clamp),
    ..OpDef::DEFAULT
};

/// The larger of two values; not-a-number wins, and equal values share the gradient half and half.
MAXIMUM = OpDef {
    derivative: "da = dy if a > b, dy / 2 if a = b, else 0; db = dy if b > a, dy / 2 if a = b, else 0",
    torch: "torch.maximum",
    example: "a: f32[2] = [1, 5], b: f32[2] = [3, 2] -> [3, 5]",
    body: Body::Expand(|cx| vec![cx.x(0).with(cx.x(1), &MAP_MAXIMUM, &[])]),
    ..pair("maximum", "max(a, b)")
};

/// The smaller of two values; not-a-number wins, and equal values share the gradient half and half.
MINIMUM = OpDef {
    derivative: "da = dy if a < b, dy / 2 if a = b, else 0; db = dy if b < a, dy / 2 if a = b, else 0",
    torch: "torch.minimum",
    example: "a: f32[2] = [1, 5], b: f32[2] = [3, 2] -> [1, 2]",
    body: Body::Expand(|cx| vec![cx.x(0).with(cx.x(1), &MAP_MINIMUM, &[])]),
    ..pair("minimum", "min(a, b)")
};

/// The larger of two values; not-a-number loses, and equal values share the gradient half and half.
FMAX = OpDef {
    derivative: "da = dy if a > b, dy / 2 if a = b, else 0; db = dy if b > a, dy / 2 if a = b, else 0; all of it \
        goes to the number where the other is none",
    torch: "torch.fmax",
    example: "a: f32[3] = [1, 5, nan], b: f32[3] = [3, nan, 2] -> [3, 5, 2]",
    body: Body::Map { op: &map::ops::FMAX, imm: super::arithmetic::plain },
    gradient: Gradient::Formula(kept),
    ..pair("fmax", "max(a, b), of the numbers among them")
};

/// The smaller of two values; not-a-number loses, and equal values share the gradient half and half.
FMIN = OpDef {
    derivative: "da = dy if a < b, dy / 2 if a = b, else 0; db = dy if b < a, dy / 2 if a = b, else 0; all of it \
        goes to the number where the other is none",
    torch: "torch.fmin",
    example: "a: f32[3] = [1, 5, nan], b: f32[3] = [3, nan, 2] -> [1, 5, 2]",
    body: Body::Map { op: &map::ops::FMIN, imm: super::arithmetic::plain },
    gradient: Gradient::Formula(kept),
    ..pair("fmin", "min(a, b), of the numbers among them")
};

/// The remainder of a division, with the dividend's sign (that of `remainder`, infix `%`, has the divisor's).
FMOD = OpDef {
    derivative: "da = dy; db = -dy * trunc(a / b); the jumps count as none",
    torch: "torch.fmod",
    example: "a: f32[2] = [7, -7], b: f32[2] = [4, 4] -> [3, -3]",
    body: Body::Map { op: &map::ops::FMOD, imm: super::arithmetic::plain },
    gradient: Gradient::Formula(|cx| {
        let whole = || (cx.x(0) / cx.x(1)).op(&TRUNC);
        vec![cx.when(0, || cx.dy()), cx.when(1, || -(cx.dy() * whole()))]
    }),
    ..pair("fmod", "a - b * trunc(a / b)")
};

/// The length of the hypotenuse, without overflow. Gradient 0 where both are 0 (PyTorch: NaN).
HYPOT = OpDef {
    derivative: "da = dy * a / y if y > 0, else 0; db = dy * b / y if y > 0, else 0",
    torch: "torch.hypot",
    example: "a: f32[2] = [3, 0], b: f32[2] = [4, 0] -> [5, 0]",
    body: Body::Map { op: &map::ops::HYPOT, imm: super::arithmetic::plain },
    gradient: Gradient::Formula(|cx| shares(cx, || over(cx.x(0), cx.y(0)), || over(cx.x(1), cx.y(0)))),
    ..pair("hypot", "sqrt(a^2 + b^2)")
};

/// The logarithm of a sum of two exponentials, without overflow.
LOGADDEXP = OpDef {
    derivative: "da = dy * sigmoid(a - b); db = dy * sigmoid(b - a)",
    torch: "torch.logaddexp",
    example: "a: f32[2] = [0, 1000], b: f32[2] = [0, 0] -> [0.6931472, 1000]",
    body: Body::Map { op: &map::ops::LOGADDEXP, imm: super::arithmetic::plain },
    gradient: Gradient::Formula(|cx| {
        let first = || (cx.x(0) - cx.x(1)).op(&super::activation::SIGMOID);
        let second = || (cx.x(1) - cx.x(0)).op(&super::activation::SIGMOID);
        shares(cx, first, second)
    }),
    ..pair("logaddexp", "ln(e^a + e^b)")
};

/// A way between two values: a at weight 0, b at 1. The weight is a number, or a value.
LERP = OpDef {
    derivative: "da = dy * (1 - weight); db = dy * weight; dweight = dy * (b - a)",
    name: "lerp",
    formula: "a + weight * (b - a)",
    shape: "([..], [..]) -> [..]",
    torch: "torch.lerp",
    example: "a: f32[2] = [0, 10], b: f32[2] = [1, 20], weight = 0.25 -> [0.25, 12.5]",
    attrs: &[AttrDef::new("weight", &[AttrKind::Number], AttrDefault::None, "the share of b")],
    operands: &[Operand::float("a"), Operand::float("b"), Operand::float("weight").optional()],
    rule: |cx| {
        let operand = cx.ins.get(2).copied().flatten().is_some();
        match (*cx.attrs.get("weight") != Attr::None, operand) {
            (false, false) => Err(cx.bad_attr("weight", "must be given: as a number, or as an operand")),
            (true, true) => Err(cx.bad_attr("weight", "is given twice: as a number, and as an operand")),
            _ => elementwise(cx),
        }
    },
    body: Body::Expand(|cx| {
        let way = cx.x(1) - cx.x(0);
        let way = match cx.maybe(2) {
            Some(weight) => way * weight,
            None => way * cx.attrs.float("weight").unwrap_or(0.0),
        };
        vec![cx.x(0) + way]
    }),
    ..OpDef::DEFAULT
};

/// The nearest integer, half to even.
ROUND_EVEN = OpDef { gradient: Gradient::Zero, ..map_op("map.round", &map::ops::ROUND, ONE) };

/// The derivative of sinc.
SINC_SLOPE = OpDef { gradient: Gradient::Zero, ..map_op("map.sinc'", &map::ops::SINC_DERIVATIVE, ONE) };

/// x between p and q; its gradient is 1 at both.
CLAMP_TO = OpDef {
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * with_numbers(cx.x(0), &WITHIN, pq(cx.attrs)))]),
    ..numbered("map.clamp", &map::ops::CLAMP)
};

/// 1 where p ≤ x ≤ q.
WITHIN = OpDef { ..numbered("map.between", &map::ops::BETWEEN) };

/// 1 where a ≥ b.
MAP_GE = OpDef { ..gate("map.ge", &map::ops::GE) };

/// 1 where a = b.
MAP_EQ = OpDef { ..gate("map.eq", &map::ops::EQ) };

/// p where x is NaN.
NAN_TO = OpDef {
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * (1.0 - cx.x(0).op(&NAN_GATE)))]),
    ..numbered("map.nan_to", &map::ops::NAN_TO)
};

/// 1 where x is NaN.
NAN_GATE = OpDef { gradient: Gradient::Zero, ..map_op("map.isnan", &map::ops::ISNAN, ONE) };

/// p and q where x is infinite.
INF_TO = OpDef {
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * cx.x(0).op(&FINITE_GATE))]),
    ..numbered("map.inf_to", &map::ops::INF_TO)
};

/// 1 where x is finite.
FINITE_GATE = OpDef { gradient: Gradient::Zero, ..map_op("map.isfinite", &map::ops::ISFINITE, ONE) };

/// x to a power that is a number.
POW_NUMBER = OpDef {
    gradient: Gradient::Formula(|cx| {
        let [p, _] = pq(cx.attrs);
        vec![Some(match p {
            0.0 => cx.dy() * 0.0,
            _ => cx.dy() * (with_numbers(cx.x(0), &POW_NUMBER, [p - 1.0, 0.0]) * p),
        })]
    }),
    ..numbered("map.pow", &map::ops::POW)
};

/// x to a power an element.
POW_OF = OpDef {
    gradient: Gradient::Formula(|cx| {
        shares(cx, || cx.x(0).with(cx.x(1), &POW_BASE, &[]), || cx.x(0).with(cx.x(1), &POW_EXPONENT, &[]))
    }),
    ..map_op("map.pow_of", &map::ops::POW_OF, PAIR)
};

/// Its derivative for x.
POW_BASE = OpDef { gradient: Gradient::Zero, ..map_op("map.pow_of'x", &map::ops::POW_BASE, PAIR) };

/// Its derivative for the exponent.
POW_EXPONENT = OpDef { gradient: Gradient::Zero, ..map_op("map.pow_of'exponent", &map::ops::POW_EXPONENT, PAIR) };

/// |x|^p.
ABS_POWER = OpDef {
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * with_numbers(cx.x(0), &ABS_POWER_SLOPE, pq(cx.attrs)))]),
    ..numbered("map.abs_pow", &map::ops::ABS_POW)
};

/// Its derivative, 0 at 0.
ABS_POWER_SLOPE = OpDef { ..numbered("map.abs_pow'", &map::ops::ABS_POW_DERIVATIVE) };

/// The square root, whose gradient at 0 is 0: of sums of squares.
ROOT = OpDef {
    gradient: Gradient::Formula(|cx| vec![Some(over(cx.dy() * 0.5, cx.y(0)))]),
    ..map_op("map.root", &map::ops::SQRT, ONE)
};

/// a / b, and 0 where b is 0.
QUOTIENT = OpDef { gradient: Gradient::Zero, ..map_op("map.div_or_0", &map::ops::DIV_OR_0, PAIR) };

}

/// p in place of NaN.
pub(super) fn nan_to(x: Var<'_>, value: f64) -> Var<'_> {
    with_numbers(x, &NAN_TO, [value, 0.0])
}

/// a / b, and 0 where b is 0.
pub(super) fn over<'g>(a: Var<'g>, b: Var<'g>) -> Var<'g> {
    a.with(b, &QUOTIENT, &[])
}

/// The gradient of a choice between two operands: to what the result is equal to, half and half if to both.
fn kept<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let is = |index: usize| cx.x(index).with(cx.y(0), &MAP_EQ, &[]);
    let share = |index: usize| over(is(index), is(0) + is(1));
    shares(cx, || share(0), || share(1))
}
