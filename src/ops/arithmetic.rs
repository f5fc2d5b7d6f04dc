//! Arithmetic, comparisons, and the elementwise functions that are not activations.

use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::op::{Body, Facts, Gradient, Misfit, MisfitKind, OpDef, Operand, Output, RuleCx};
use crate::kernels::map::{self, MapOp};
use crate::tensor::DType;

pub(super) const NUMBER: &[AttrDef] = &[
    AttrDef::new("value", &[AttrKind::Number], AttrDefault::None, "a number in place of the second operand"),
    AttrDef::new("number_first", &[AttrKind::Bool], AttrDefault::Bool(false), "number first").named(),
];

const DIVISION: &[AttrDef] = &[
    NUMBER[0],
    NUMBER[1],
    AttrDef::new(
        "rounding",
        &[AttrKind::Choice(&["floor", "trunc"]), AttrKind::Nothing],
        AttrDefault::None,
        "whether down, or towards 0",
    )
    .named()
    .torch("rounding_mode"),
];

/// No immediates.
pub(super) fn plain(_: &Attrs) -> [f64; 2] {
    [0.0; 2]
}

/// The rule of elementwise operators: equal shapes, or one a suffix of the other (missing *leading* axes only).
pub(super) fn elementwise(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let mut result = cx.operand(0)?;
    for index in 1..cx.ins.len() {
        let Some(other) = cx.ins[index] else { continue };
        let (a, b) = (cx.shapes.dims(result).to_vec(), cx.shapes.dims(other).to_vec());
        let shared = a.len().min(b.len());
        for back in 1..=shared {
            let (x, y) = (a[a.len() - back], b[b.len() - back]);
            let misfit = Misfit {
                operand: Some(index),
                axis: Some(b.len() - back),
                wanted: Some(x),
                found: Some(y),
                ..Misfit::of(MisfitKind::Shapes)
            };
            cx.need(crate::ir::op::Condition::Equal(y, x), misfit)?;
        }
        if b.len() > a.len() {
            result.shape = other.shape;
        }
    }
    cx.out(result);
    Ok(())
}

/// A primitive of class Map over floats.
pub(super) const fn map_op(name: &'static str, op: &'static MapOp, operands: &'static [Operand]) -> OpDef {
    OpDef { name, operands, rule: elementwise, body: Body::Map { op, imm: plain }, ..OpDef::DEFAULT }
}

const PAIR: &[Operand] = &[Operand::float("a"), Operand::float("b").optional()];

const MANY: &[Operand] = &[Operand::float("a"), Operand::float("b").optional().many()];

/// Folds a tuple from the left, or applies the number.
fn fold<'g>(cx: &ExpandCx<'_, 'g>, op: &'static OpDef) -> Vec<Var<'g>> {
    if let Some(value) = cx.attrs.float("value") {
        let flip = Attr::Bool(cx.attrs.flag("number_first"));
        return vec![cx.x(0).then(op, &[("value", Attr::Float(value)), ("number_first", flip)])];
    }
    let rest = cx.ins.iter().skip(1).flatten();
    vec![rest.fold(cx.x(0), |sum, &next| sum.with(next, op, &[]))]
}

pub(super) fn pair_or_number(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let given = cx.ins.iter().flatten().count();
    let number = *cx.attrs.get("value") != Attr::None;
    if given + usize::from(number) < 2 {
        return Err(Misfit { operand: Some(1), ..Misfit::of(MisfitKind::Missing) });
    }
    if number && given > 1 {
        return Err(cx.bad_attr("value", "stands in place of a second operand, and there is one"));
    }
    elementwise(cx)
}

const fn infix(name: &'static str, formula: &'static str) -> OpDef {
    OpDef {
        name,
        formula,
        shape: "([..], [..]) -> [..]",
        attrs: NUMBER,
        operands: MANY,
        rule: pair_or_number,
        ..OpDef::DEFAULT
    }
}

const ONE: &[Operand] = &[Operand::float("x")];

const POSITIVE: Facts = Facts { domain: (1e-30, f64::INFINITY), ..Facts::NONE };

/// A gradient formula of one operand from a derivative operator: `dy * f'(x)`.
pub(super) fn chain<'g>(cx: &GradCx<'_, 'g>, derivative: &'static OpDef) -> Vec<Option<Var<'g>>> {
    vec![Some(cx.dy() * cx.x(0).op(derivative))]
}

/// The element type that a cast names.
fn named(attrs: &Attrs) -> DType {
    match attrs.str("dtype") {
        Some("i64") => DType::I64,
        Some("bool") => DType::Bool,
        Some("f64") => DType::F64,
        _ => DType::F32,
    }
}

fn cast_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let mut ty = cx.operand(0)?;
    ty.dtype = named(cx.attrs);
    cx.out(ty);
    Ok(())
}

ops! { OPS;

/// `a + b`, or `a + value`.
MAP_ADD = OpDef {
    attrs: NUMBER,
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy()), cx.when(1, || cx.dy())]),
    ..map_op("map.add", &map::ops::ADD, PAIR)
};

/// `a - b`, `a - value`, `value - a`.
MAP_SUB = OpDef {
    attrs: NUMBER,
    gradient: Gradient::Formula(|cx| {
        let flip = cx.attrs.flag("number_first");
        vec![Some(if flip { -cx.dy() } else { cx.dy() }), cx.when(1, || -cx.dy())]
    }),
    ..map_op("map.sub", &map::ops::SUB, PAIR)
};

/// `a * b`, or `a * value`.
MAP_MUL = OpDef {
    attrs: NUMBER,
    gradient: Gradient::Formula(|cx| match cx.attrs.float("value") {
        Some(value) => vec![Some(cx.dy() * value)],
        None => vec![cx.when(0, || cx.dy() * cx.x(1)), cx.when(1, || cx.dy() * cx.x(0))],
    }),
    ..map_op("map.mul", &map::ops::MUL, PAIR)
};

/// `a / b`, `a / value`, `value / a`.
MAP_DIV = OpDef {
    attrs: NUMBER,
    gradient: Gradient::Formula(|cx| match (cx.attrs.float("value"), cx.attrs.flag("number_first")) {
        (Some(value), false) => vec![Some(cx.dy() / value)],
        (Some(_), true) => vec![Some(-(cx.dy() * cx.y(0) / cx.x(0)))],
        (None, _) => vec![cx.when(0, || cx.dy() / cx.x(1)), cx.when(1, || -(cx.dy() * cx.y(0) / cx.x(1)))],
    }),
    ..map_op("map.div", &map::ops::DIV, PAIR)
};

/// The remainder with the divisor's sign.
MAP_REM = OpDef {
    attrs: NUMBER,
    gradient: Gradient::Formula(|cx| {
        let zero = || cx.dy() * 0.0;
        match cx.attrs.flag("number_first") {
            false => vec![Some(cx.dy()), cx.when(1, || -(cx.dy() * (cx.x(0) / cx.x(1)).op(&FLOOR)))],
            true => vec![Some(zero())],
        }
    }),
    ..map_op("map.rem", &map::ops::REM, PAIR)
};

/// The sum of two or more values, elementwise; infix `a + b`. Missing leading axes are allowed, sizes are never stretched.
ADD = OpDef {
    derivative: "da = dy; db = dy; summed over leading axes that were missing",
    example: "a: f32[2] = [1, 2], b: f32[2] = [10, 20] -> [11, 22]",
    torch: "torch.add",
    body: Body::Expand(|cx| fold(cx, &MAP_ADD)),
    ..infix("add", "a + b")
};

/// The difference of two values, elementwise; infix `a - b`.
SUB = OpDef {
    derivative: "da = dy; db = -dy; summed over leading axes that were missing",
    example: "a: f32[2] = [1, 2], b: f32[2] = [10, 20] -> [-9, -18]",
    torch: "torch.sub",
    body: Body::Expand(|cx| fold(cx, &MAP_SUB)),
    ..infix("sub", "a - b")
};

/// The product of two or more values, elementwise; infix `a * b`.
MUL = OpDef {
    derivative: "da = dy * b; db = dy * a; summed over leading axes that were missing",
    example: "a: f32[2] = [1, 2], b: f32[2] = [10, 20] -> [10, 40]",
    torch: "torch.mul",
    body: Body::Expand(|cx| fold(cx, &MAP_MUL)),
    ..infix("mul", "a * b")
};

/// The quotient of two values, elementwise; infix `a / b`.
///
/// Rounded down or towards 0 with `rounding`: no gradient flows back then.
DIV = OpDef {
    derivative: "da = dy / b; db = -dy * y / b; with `rounding` 0: its steps are flat",
    example: "a: f32[2] = [1, 2], b: f32[2] = [4, 5] -> [0.25, 0.4]",
    torch: "torch.div",
    attrs: DIVISION,
    body: Body::Expand(|cx| {
        let quotient = fold(cx, &MAP_DIV)[0];
        vec![match cx.attrs.str("rounding") {
            Some("floor") => quotient.op(&FLOOR),
            Some("trunc") => quotient.op(&super::function::TRUNC),
            _ => quotient,
        }]
    }),
    ..infix("div", "a / b")
};

/// The remainder of a division, with the divisor's sign; infix `a % b`.
REM = OpDef {
    derivative: "da = dy; db = -dy * floor(a / b); the jumps count as none",
    example: "a: f32[2] = [7, -7], b: f32[2] = [4, 4] -> [3, 1]",
    torch: "torch.remainder",
    body: Body::Expand(|cx| fold(cx, &MAP_REM)),
    ..infix("remainder", "a - b * floor(a / b)")
};

/// The sign: -1, 0 or 1. No gradient flows back.
SIGN = OpDef {
    formula: "sign x",
    example: "x: f32[3] = [-2, 0, 5] -> [-1, 0, 1]",
    gradient: Gradient::Zero,
    facts: Facts { kinks: &[0.0], range: (-1.0, 1.0), ..Facts::NONE },
    ..map_op("sign", &map::ops::SIGN, ONE)
};

/// The largest integer that is not larger than x. No gradient flows back.
FLOOR = OpDef {
    formula: "floor x",
    example: "x: f32[2] = [1.5, -1.5] -> [1, -2]",
    gradient: Gradient::Zero,
    facts: Facts { kinks: &[-2.0, -1.0, 0.0, 1.0, 2.0], ..Facts::NONE },
    ..map_op("floor", &map::ops::FLOOR, ONE)
};

/// dy where x > 0, else 0.
RELU_GATE = OpDef {
    gradient: Gradient::Formula(|cx| vec![None, cx.when(1, || cx.x(0).with(cx.dy(), &RELU_GATE, &[]))]),
    ..map_op("map.relu_gate", &map::ops::RELU_GATE, &[Operand::float("x"), Operand::float("dy")])
};

/// The larger of two values; NaN wins.
MAP_MAXIMUM = OpDef {
    attrs: NUMBER,
    gradient: Gradient::Formula(|cx| match cx.attrs.float("value") {
        Some(value) => vec![Some((cx.x(0) - value).with(cx.dy(), &RELU_GATE, &[]))],
        None => {
            let (a, b) = (cx.x(0), cx.x(1));
            let share = ((a - b).op(&SIGN) + 1.0) * 0.5;
            vec![cx.when(0, || cx.dy() * share), cx.when(1, || cx.dy() * (1.0 - share))]
        }
    }),
    ..map_op("map.maximum", &map::ops::MAXIMUM, PAIR)
};

/// The smaller of two values; NaN wins.
MAP_MINIMUM = OpDef {
    attrs: NUMBER,
    gradient: Gradient::Formula(|cx| match cx.attrs.float("value") {
        Some(value) => vec![Some((value - cx.x(0)).with(cx.dy(), &RELU_GATE, &[]))],
        None => {
            let (a, b) = (cx.x(0), cx.x(1));
            let share = ((b - a).op(&SIGN) + 1.0) * 0.5;
            vec![cx.when(0, || cx.dy() * share), cx.when(1, || cx.dy() * (1.0 - share))]
        }
    }),
    ..map_op("map.minimum", &map::ops::MINIMUM, PAIR)
};

/// Elements as another type: "f32", "i64", "bool". Nothing else casts. To bool: what is not 0; to i64: cut towards 0, NaN or a value out of range is an error at run time.
CAST = OpDef {
    derivative: "dx = dy; between floats only: nothing flows back through integers or bools",
    name: "cast",
    formula: "x",
    torch: "Tensor.to",
    example: "x: f32[2] = [1.5, -2.5], dtype = \"i64\" -> [1, -2]",
    attrs: &[AttrDef::required("dtype", &[AttrKind::Choice(&["f32", "i64", "bool"])], "the new type")],
    operands: &[Operand::any("x")],
    rule: cast_rule,
    body: Body::Expand(|cx| {
        let dtype = named(cx.attrs);
        vec![cx.x(0).to(if dtype.is_float() { cx.builder.float } else { dtype })]
    }),
    ..OpDef::DEFAULT
};

/// Elements as just this type: where `f32` in a model means the floats of the run, this does not.
MAP_CAST = OpDef {
    name: "map.cast",
    attrs: &[AttrDef::required("dtype", &[AttrKind::Choice(&["f32", "f64", "i64", "bool"])], "the new type")],
    operands: &[Operand::any("x")],
    rule: cast_rule,
    body: Body::Map { op: &map::ops::COPY, imm: plain },
    gradient: Gradient::Formula(|cx| vec![cx.x(0).dtype().is_float().then(|| cx.dy().to(cx.x(0).dtype()))]),
    ..OpDef::DEFAULT
};

/// Nothing happens.
IDENTITY = OpDef {
    derivative: "dx = dy",
    name: "identity",
    formula: "x",
    torch: "nn.Identity",
    example: "x: f32[2] = [1, 2] -> [1, 2]",
    operands: &[Operand::any("x")],
    body: Body::Expand(|cx| vec![cx.x(0)]),
    facts: Facts { view: true, fixed: Some((f64::NEG_INFINITY, f64::INFINITY)), ..Facts::NONE },
    ..OpDef::DEFAULT
};

/// The value, through which no gradient flows back.
DETACH = OpDef {
    name: "detach",
    formula: "x",
    torch: "Tensor.detach",
    example: "x: f32[2] = [1, 2] -> [1, 2]",
    body: Body::View(|cx| Some(cx.input)),
    gradient: Gradient::Zero,
    facts: Facts { view: true, ..Facts::NONE },
    ..OpDef::DEFAULT
};

/// The sum that closes a residual: alpha·skip + branch. The two shapes must be equal; nothing is broadcast.
RESIDUAL_ADD = OpDef {
    name: "residual.add",
    formula: "alpha * skip + branch",
    attrs: &[AttrDef::new("alpha", &[AttrKind::Number], AttrDefault::Float(1.0), "weight of the skip (deep norm)")],
    operands: &[Operand::float("skip"), Operand::float("branch")],
    outputs: &[Output::main("y")],
    rule: |cx| {
        let (skip, branch) = (cx.dims(0)?, cx.dims(1)?);
        if skip.len() != branch.len() {
            return Err(Misfit { operand: Some(1), ..Misfit::of(MisfitKind::Shapes) });
        }
        elementwise(cx)
    },
    body: Body::Expand(|cx| {
        let alpha = cx.attrs.float("alpha").unwrap_or(1.0);
        let skip = if alpha == 1.0 { cx.x(0) } else { cx.x(0) * alpha };
        vec![skip + cx.x(1)]
    }),
    ..OpDef::DEFAULT
};

/// The value with its sign changed; prefix `-x`.
NEG = OpDef {
    derivative: "dx = -dy",
    formula: "-x",
    example: "x: f32[2] = [1, -2] -> [-1, 2]",
    gradient: Gradient::Formula(|cx| vec![Some(-cx.dy())]),
    ..map_op("neg", &map::ops::NEG, ONE)
};

/// The absolute value; gradient 0 at 0.
ABS = OpDef {
    derivative: "dx = dy * sign(x); 0 at 0",
    formula: "|x|",
    example: "x: f32[2] = [1, -2] -> [1, 2]",
    facts: Facts { kinks: &[0.0], range: Facts::NOT_NEGATIVE, fixed: Some(Facts::NOT_NEGATIVE), ..Facts::NONE },
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * cx.x(0).op(&SIGN))]),
    ..map_op("abs", &map::ops::ABS, ONE)
};

/// e to the power x.
EXP = OpDef {
    derivative: "dx = dy * y",
    formula: "e^x",
    example: "x: f32[2] = [0, 1] -> [1, 2.7182817]",
    facts: Facts { domain: (-80.0, 80.0), range: Facts::NOT_NEGATIVE, ..Facts::NONE },
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * cx.y(0))]),
    ..map_op("exp", &map::ops::EXP, ONE)
};

/// The natural logarithm.
LOG = OpDef {
    derivative: "dx = dy / x",
    formula: "ln x",
    example: "x: f32[2] = [1, 2] -> [0, 0.6931472]",
    facts: POSITIVE,
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() / cx.x(0))]),
    ..map_op("log", &map::ops::LN, ONE)
};

/// The square root.
SQRT = OpDef {
    derivative: "dx = dy / (2 * y); infinite at 0",
    formula: "x^(1/2)",
    example: "x: f32[2] = [4, 9] -> [2, 3]",
    facts: Facts { range: Facts::NOT_NEGATIVE, ..POSITIVE },
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * 0.5 / cx.y(0))]),
    ..map_op("sqrt", &map::ops::SQRT, ONE)
};

/// One over the square root.
RSQRT = OpDef {
    derivative: "dx = -dy * y / (2 * x)",
    formula: "x^(-1/2)",
    example: "x: f32[2] = [4, 16] -> [0.5, 0.25]",
    facts: Facts { range: Facts::NOT_NEGATIVE, ..POSITIVE },
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * cx.y(0) / cx.x(0) * -0.5)]),
    ..map_op("rsqrt", &map::ops::RSQRT, ONE)
};

/// The square.
SQUARE = OpDef {
    derivative: "dx = 2 * dy * x",
    formula: "x^2",
    example: "x: f32[2] = [3, -2] -> [9, 4]",
    facts: Facts { range: Facts::NOT_NEGATIVE, ..Facts::NONE },
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * cx.x(0) * 2.0)]),
    ..map_op("square", &map::ops::SQUARE, ONE)
};

/// One over x.
RECIPROCAL = OpDef {
    derivative: "dx = -dy * y^2",
    formula: "1 / x",
    example: "x: f32[2] = [4, -2] -> [0.25, -0.5]",
    facts: POSITIVE,
    gradient: Gradient::Formula(|cx| vec![Some(-(cx.dy() * cx.y(0).op(&SQUARE)))]),
    ..map_op("reciprocal", &map::ops::RECIPROCAL, ONE)
};

/// The sine.
SIN = OpDef {
    derivative: "dx = dy * cos(x)",
    formula: "sin x",
    example: "x: f32[2] = [0, 1] -> [0, 0.841471]",
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy() * cx.x(0).op(&COS))]),
    facts: Facts { range: (-1.0, 1.0), ..Facts::NONE },
    ..map_op("sin", &map::ops::SIN, ONE)
};

/// The cosine.
COS = OpDef {
    derivative: "dx = -dy * sin(x)",
    formula: "cos x",
    example: "x: f32[2] = [0, 1] -> [1, 0.5403023]",
    gradient: Gradient::Formula(|cx| vec![Some(-(cx.dy() * cx.x(0).op(&SIN)))]),
    facts: Facts { range: (-1.0, 1.0), ..Facts::NONE },
    ..map_op("cos", &map::ops::COS, ONE)
};

}
