//! What draws random numbers.

use super::arithmetic::elementwise;
use super::source::{INPUT, shape_dims};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::graph::Source;
use crate::ir::op::{Body, Facts, Gradient, Misfit, OpDef, Operand, RuleCx};
use crate::kernels::map::{self, MapOp};
use crate::tensor::DType;

const P: &[AttrDef] = &[AttrDef::new("p", &[AttrKind::Number], AttrDefault::Float(0.5), "the share that becomes zero")
    .within(Domain::Probability)];

/// Dropout of a value in train mode.
pub(super) fn dropped<'g>(x: Var<'g>, p: f64) -> Var<'g> {
    let (seed, step) = (x.builder.host(&INPUT, Source::Seed), x.builder.host(&INPUT, Source::Step));
    let attrs = Attrs::with(DROP.attrs, &[("p", Attr::Float(p))]);
    x.builder.one(&DROP, attrs, &[x, seed, step])
}

const SHAPE: &[AttrDef] = &[AttrDef::required("shape", &[AttrKind::Shape], "the sizes")];
const SHAPE_DTYPE: &[AttrDef] = &[
    AttrDef::required("shape", &[AttrKind::Shape], "the sizes"),
    AttrDef::required("dtype", &[AttrKind::Choice(&["f32", "f64"])], "the floats of the run"),
];
const SEED_STEP: &[Operand] = &[Operand::int("seed"), Operand::int("step")];

/// A shape that an attribute tells.
fn told(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = shape_dims(cx.shapes, cx.attrs.get("shape"));
    let negative = |dims: &Vec<_>| dims.iter().any(|&dim| cx.shapes.dims.as_const(dim).is_some_and(|n| n < 0));
    let dims = dims.filter(|dims| !negative(dims)).ok_or_else(|| cx.bad_attr("shape", "must be a list of sizes"))?;
    let dtype = if cx.attrs.str("dtype") == Some("f64") { DType::F64 } else { DType::F32 };
    cx.out_of(dtype, &dims);
    Ok(())
}

const DRAWS: Facts = Facts { random: true, ..Facts::NONE };

/// A source of random numbers by its word.
const fn source(name: &'static str, formula: &'static str) -> OpDef {
    let (shape, attrs, operands) = ("-> [shape]", SHAPE, &[]);
    OpDef { name, formula, shape, attrs, operands, rule: told, facts: DRAWS, ..OpDef::DEFAULT }
}

/// Its primitive.
const fn draw(name: &'static str, op: &'static MapOp) -> OpDef {
    let body = Body::Map { op, imm: super::arithmetic::plain };
    let (attrs, operands, gradient) = (SHAPE_DTYPE, SEED_STEP, Gradient::Zero);
    OpDef { name, attrs, operands, rule: told, facts: DRAWS, body, gradient, ..OpDef::DEFAULT }
}

/// Numbers of a shape by seed and step.
fn drawn<'g>(cx: &ExpandCx<'_, 'g>, op: &'static OpDef) -> Vec<Var<'g>> {
    let (seed, step) = (cx.builder.host(&INPUT, Source::Seed), cx.builder.host(&INPUT, Source::Step));
    let given = [("shape", cx.attrs.get("shape").clone()), ("dtype", Attr::Str(cx.builder.float.word().into()))];
    vec![cx.builder.one(op, Attrs::with(op.attrs, &given), &[seed, step])]
}

/// Uniform numbers, one an element of x.
pub(super) fn uniform_like(x: Var<'_>) -> Var<'_> {
    let (seed, step) = (x.builder.host(&INPUT, Source::Seed), x.builder.host(&INPUT, Source::Step));
    let given = [("shape", crate::ir::build::shape_attr(&x.dims())), ("dtype", Attr::Str(x.dtype().word().into()))];
    x.builder.one(&UNIFORM, Attrs::with(UNIFORM.attrs, &given), &[seed, step])
}

ops! { OPS;

/// In train each element becomes zero with probability p, and what stays is scaled by 1 / (1 - p); in eval nothing.
///
/// The mask is keyed by seed, path of the application, step and element: it does not depend on threads, resumes, or on
/// layers elsewhere, and it is drawn again on the way back, not kept. p = 1 gives zeros.
DROPOUT = OpDef {
    derivative: "eval: dy; train: dy * mask / (1 - p), with forward's mask, drawn again",
    name: "dropout",
    formula: "x * mask / (1 - p)",
    source: "Srivastava et al. 2014",
    torch: "nn.Dropout",
    example: "x: f32[2] = [1, 2] -> [1, 2]",
    attrs: P,
    facts: Facts { by_mode: true, random: true, ..Facts::NONE },
    body: Body::Expand(|cx| {
        let p = cx.attrs.float("p").unwrap_or(0.5);
        vec![if cx.train() && p > 0.0 { dropped(cx.x(0), p) } else { cx.x(0) }]
    }),
    ..OpDef::DEFAULT
};

/// Normal numbers of mean 0 and deviation 1: new ones at each step, in train and in eval.
///
/// Drawn by seed, path, step and element: equal for any number of threads, and again after a resume.
RANDN = OpDef {
    torch: "torch.randn",
    example: "shape = [0] -> []",
    body: Body::Expand(|cx| drawn(cx, &NORMAL)),
    ..source("randn", "y ~ N(0, 1)")
};

/// Uniform numbers from 0 to below 1: new ones at each step, in train and in eval.
RAND = OpDef {
    torch: "torch.rand",
    example: "shape = [0] -> []",
    body: Body::Expand(|cx| drawn(cx, &UNIFORM)),
    ..source("rand", "y ~ U[0, 1)")
};

/// Normal numbers by seed and step.
NORMAL = OpDef { ..draw("random.normal", &map::ops::NORMAL) };

/// Uniform numbers by seed and step.
UNIFORM = OpDef { ..draw("random.uniform", &map::ops::UNIFORM) };

/// Dropout by seed and step.
DROP = OpDef {
    name: "random.dropout",
    attrs: P,
    operands: &[Operand::float("x"), Operand::int("seed"), Operand::int("step")],
    rule: elementwise,
    facts: Facts { random: true, ..Facts::NONE },
    body: Body::Map { op: &map::ops::DROPOUT, imm: |attrs| [attrs.float("p").unwrap_or(0.5), 0.0] },
    gradient: Gradient::Formula(|cx| vec![Some(cx.builder.one(&DROP, cx.attrs.clone(), &[cx.dy(), cx.x(1), cx.x(2)]))]),
    ..OpDef::DEFAULT
};

}
