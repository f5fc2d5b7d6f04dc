//! What draws random numbers.

use super::arithmetic::elementwise;
use super::logic::{GT, choose, number};
use super::parts::filled;
use super::source::{INPUT, shape_dims};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::graph::Source;
use crate::ir::op::{Body, Facts, Gradient, Misfit, OpDef, Operand, RuleCx, same_as_first};
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

/// Numbers of the shape of x.
fn like<'g>(x: Var<'g>, op: &'static OpDef) -> Var<'g> {
    let (seed, step) = (x.builder.host(&INPUT, Source::Seed), x.builder.host(&INPUT, Source::Step));
    let given = [("shape", crate::ir::build::shape_attr(&x.dims())), ("dtype", Attr::Str(x.dtype().word().into()))];
    x.builder.one(op, Attrs::with(op.attrs, &given), &[seed, step])
}

/// Uniform numbers, one an element of x.
pub(super) fn uniform_like(x: Var<'_>) -> Var<'_> {
    like(x, &UNIFORM)
}

/// 1 / (1 - p) where what stands behind the first axes of x stays, 0 where it goes: one draw for all of it.
fn draws<'g>(x: Var<'g>, p: f64, first: usize) -> Var<'g> {
    let dims = x.dims();
    let lead = &dims[..first.min(dims.len())];
    let behind: Vec<usize> = (lead.len()..dims.len()).collect();
    dropped(filled(x, lead, 1.0), p).spread(&dims, &behind)
}

/// Dropout of parts, each as a whole: what is dropped is 0, whatever it was.
fn whole_parts<'g>(cx: &ExpandCx<'_, 'g>, first: usize) -> Vec<Var<'g>> {
    let (x, p) = (cx.x(0), cx.attrs.float("p").unwrap_or(0.5));
    if !cx.train() || p == 0.0 {
        return vec![x];
    }
    let factor = draws(x, p, first);
    vec![choose(factor.then(&GT, &[("value", Attr::Float(0.0))]), x * factor, number(cx.builder, x.dtype(), 0.0))]
}

/// What selu gives far below 0, with the sign turned: its scale times its alpha.
const FLOOR: f64 = 1.758_099_340_847_376_6;

/// Dropout to the floor of selu, then moved and scaled so that mean 0 and variance 1 stay what they are.
fn to_the_floor<'g>(cx: &ExpandCx<'_, 'g>, first: usize) -> Vec<Var<'g>> {
    use crate::kernels::float::Float;
    let (x, p) = (cx.x(0), cx.attrs.float("p").unwrap_or(0.5));
    if !cx.train() || p == 0.0 {
        return vec![x];
    }
    let stays = draws(x, p, first).then(&GT, &[("value", Attr::Float(0.0))]);
    let constant = |value: f64| number(cx.builder, x.dtype(), value);
    if p == 1.0 {
        return vec![choose(stays, x, constant(0.0))];
    }
    let scale = 1.0 / Float::sqrt((1.0 - p) * (1.0 + p * FLOOR * FLOOR));
    vec![choose(stays, x * scale, constant(-FLOOR * scale)) + scale * p * FLOOR]
}

const FEW: &[AttrDef] = &[AttrDef::new(
    "p",
    &[AttrKind::Number],
    AttrDefault::Float(0.1),
    "the share of samples whose branch becomes zero",
)
.within(Domain::Probability)];
const STD: &[AttrDef] =
    &[AttrDef::new("std", &[AttrKind::Number], AttrDefault::Float(1.0), "the deviation of the noise")
        .within(Domain::NonNegative)];
const IN_TRAIN: Facts = Facts { by_mode: true, random: true, ..Facts::NONE };

/// Channels with something behind them: [B, c, S…].
fn channels(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    cx.rank(0, 3, 8)?;
    same_as_first(cx)
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
    facts: IN_TRAIN,
    body: Body::Expand(|cx| {
        let p = cx.attrs.float("p").unwrap_or(0.5);
        vec![if cx.train() && p > 0.0 { dropped(cx.x(0), p) } else { cx.x(0) }]
    }),
    ..OpDef::DEFAULT
};

/// Dropout of whole channels: what stands behind the first two axes goes or stays together.
///
/// Neighbours in a picture or a signal know of each other, so that single elements that are dropped are no loss. One draw
/// a sample and channel; what stays is scaled by 1 / (1 - p).
DROPOUT_CHANNELS = OpDef {
    name: "dropout_channels",
    formula: "x * mask / (1 - p), one mask a channel",
    shape: "[B, c, S…] -> same",
    source: "Tompson et al. 2014",
    torch: "nn.Dropout1d, nn.Dropout2d, nn.Dropout3d",
    example: "x: f32[1, 1, 2] = [1, 2] -> [1, 2]",
    attrs: P,
    rule: channels,
    facts: IN_TRAIN,
    body: Body::Expand(|cx| whole_parts(cx, 2)),
    ..OpDef::DEFAULT
};

/// Dropout for selu: what is dropped takes the value that selu has far below 0, and mean 0 and variance 1 stay.
///
/// p = 1 gives zeros.
ALPHA_DROPOUT = OpDef {
    name: "alpha_dropout",
    formula: "a (x where kept, else -f) + a p f, f = 1.7580993408473766, a = ((1 - p)(1 + p f^2))^-½",
    source: "Klambauer et al. 2017",
    torch: "nn.AlphaDropout",
    example: "x: f32[2] = [1, 2] -> [1, 2]",
    attrs: P,
    facts: IN_TRAIN,
    body: Body::Expand(|cx| to_the_floor(cx, cx.x(0).rank())),
    ..OpDef::DEFAULT
};

/// Dropout for selu of whole channels: one draw for what stands behind the first two axes.
ALPHA_DROPOUT_CHANNELS = OpDef {
    name: "alpha_dropout_channels",
    formula: "as alpha_dropout, one draw a channel",
    shape: "[B, c, S…] -> same",
    source: "Klambauer et al. 2017",
    torch: "nn.FeatureAlphaDropout",
    example: "x: f32[1, 1, 2] = [1, 2] -> [1, 2]",
    attrs: P,
    rule: channels,
    facts: IN_TRAIN,
    body: Body::Expand(|cx| to_the_floor(cx, 2)),
    ..OpDef::DEFAULT
};

/// Stochastic depth: in training a residual branch is left out for some samples, and counts more for the others.
///
/// The last stage of the branch: `residual pre layernorm { attention(8); drop_path(0.1) }`. One draw a sample (along the
/// first axis); what stays is scaled by 1 / (1 - p).
DROP_PATH = OpDef {
    name: "drop_path",
    formula: "x * mask / (1 - p), one mask a sample",
    shape: "[B, ..] -> same",
    source: "Huang et al. 2016",
    example: "x: f32[2] = [1, 2] -> [1, 2]",
    attrs: FEW,
    rule: |cx| {
        cx.rank(0, 1, 8)?;
        same_as_first(cx)
    },
    facts: IN_TRAIN,
    body: Body::Expand(|cx| whole_parts(cx, 1)),
    ..OpDef::DEFAULT
};

/// In train each element has a normal number added; in eval nothing.
GAUSSIAN_NOISE = OpDef {
    name: "gaussian_noise",
    formula: "x + std * n, n ~ N(0, 1)",
    example: "x: f32[2] = [1, 2] -> [1, 2]",
    attrs: STD,
    facts: IN_TRAIN,
    body: Body::Expand(|cx| {
        let (x, std) = (cx.x(0), cx.attrs.float("std").unwrap_or(1.0));
        vec![if cx.train() && std > 0.0 { x + like(x, &NORMAL) * std } else { x }]
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
