//! Scaled dot-product attention: the kernel for what is common, an expression for what is rare.

use super::arithmetic::{ABS, RSQRT};
use super::index::counted;
use super::linear::BMM;
use super::logic::{AND, GE, LT, choose, number};
use super::movement::concat;
use super::parts::filled;
use super::random::dropped;
use super::reduce::SOFTMAX_LAST;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::build::{Builder, ExpandCx, GradCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    ArgsCx, Body, CostCx, Facts, Gradient, Misfit, MisfitKind, OpDef, Operand, Output, RuleCx, Why, size_of,
};
use crate::kernels::attention;
use crate::kernels::call::{Args, View};
use crate::tensor::DType;

pub(super) const CAUSAL: AttrDef =
    AttrDef::new("causal", &[AttrKind::Bool], AttrDefault::Bool(false), "position i looks at j ≤ i only")
        .torch("is_causal");
pub(super) const SCALE: AttrDef =
    AttrDef::new("scale", &[AttrKind::Number], AttrDefault::None, "of the scores; head_dim^-½ otherwise")
        .within(Domain::Positive);
pub(super) const DROPOUT: AttrDef = AttrDef::new(
    "dropout",
    &[AttrKind::Number],
    AttrDefault::Float(0.0),
    "the share of weights that become zero in training",
)
.within(Domain::Probability)
.torch("dropout_p");
pub(super) const WINDOW: AttrDef = AttrDef::new(
    "window",
    &[AttrKind::Size, AttrKind::Nothing],
    AttrDefault::None,
    "position i looks at j only where |i - j| < window",
)
.torch("sliding_window");
pub(super) const SOFTCAP: AttrDef = AttrDef::new(
    "softcap",
    &[AttrKind::Number, AttrKind::Nothing],
    AttrDefault::None,
    "scores become softcap · tanh(score / softcap), before any bias (Gemma 2)",
)
.within(Domain::Positive);
pub(super) const ALIBI: AttrDef = AttrDef::new(
    "alibi",
    &[AttrKind::Bool],
    AttrDefault::Bool(false),
    "scores fall with the distance, each head at its own rate, as by `alibi`",
);

const PLAIN: &[AttrDef] = &[CAUSAL, SCALE, WINDOW];
const SDPA_ATTRS: &[AttrDef] = &[CAUSAL, SCALE, DROPOUT, WINDOW, SOFTCAP, ALIBI];

/// Where the axes of a mask or bias stand in [B, h, q, k].
fn mask_axes(rank: usize, keys_only: bool) -> Vec<usize> {
    match (rank, keys_only) {
        (2, true) => vec![0, 3],
        (3, true) => vec![0, 2, 3],
        _ => (4 - rank.min(4)..4).collect(),
    }
}

pub(super) fn mask_fits(cx: &mut RuleCx<'_>, index: usize, full: &[Dim; 4], keys_only: bool) -> Result<(), Misfit> {
    if cx.ins.get(index).copied().flatten().is_none() {
        return Ok(());
    }
    let dims = cx.rank(index, 2, 4)?;
    for (axis, &at) in mask_axes(dims.len(), keys_only).iter().enumerate() {
        cx.equal(index, axis, dims[axis], full[at], Why::Mask)?;
    }
    Ok(())
}

pub(super) fn spread_mask<'g>(mask: Option<Var<'g>>, full: &[Dim; 4], keys_only: bool) -> Option<Var<'g>> {
    let mask = mask?;
    let own = mask_axes(mask.rank(), keys_only);
    let new: Vec<usize> = (0..4).filter(|axis| !own.contains(axis)).collect();
    Some(mask.spread(full, &new))
}

/// What one use attends with: heads in axis 1, the mask and the bias spread over all of `[B, h, q, k]`.
#[derive(Clone, Copy)]
pub(super) struct Parts<'g> {
    pub q: Var<'g>,
    pub k: Var<'g>,
    pub v: Var<'g>,
    pub mask: Option<Var<'g>>,
    pub bias: Option<Var<'g>>,
    /// Keys behind those of the sequence that every query may look at: the mask and the bias do not speak of them.
    pub more: i64,
}

/// The result with its heads behind, [B, q, h, f], and the weights, [B, h, q, k].
pub(super) fn attend<'g>(cx: &ExpandCx<'_, 'g>, mut parts: Parts<'g>) -> [Var<'g>; 2] {
    let full = full(&parts);
    if cx.attrs.flag("alibi") {
        let far = falling(cx.builder, full[1], full[2], full[3], parts.q.dtype()).spread(&full, &[0]);
        parts.bias = Some(parts.bias.map_or(far, |bias| bias + far));
    }
    let rest = match parts.more {
        0 => cx.attrs.clone(),
        more => {
            parts.mask = both(parts.mask, near(cx, &full).map(|near| near.spread(&full, &[0, 1])));
            let edge = |value: f64| move |own: Var<'g>| with_more(own, more, value);
            (parts.mask, parts.bias) = (parts.mask.map(edge(1.0)), parts.bias.map(edge(0.0)));
            cx.attrs.replaced("causal", Attr::Bool(false)).replaced("window", Attr::None)
        }
    };
    let weights = weights(&ExpandCx { attrs: &rest, ..*cx }, &parts);
    let written_out = drops(cx) || cx.attrs.float("softcap").is_some();
    let y = if written_out { means(weights, parts.v).swap(1, 2) } else { core(cx.builder, &rest, &parts) };
    [y, weights]
}

/// [B, h, q, k], without the keys behind the sequence.
fn full(parts: &Parts<'_>) -> [Dim; 4] {
    let (q, k) = (parts.q.dims(), parts.k.dims());
    let table = &mut parts.q.builder.graph.borrow_mut().shapes.dims;
    let more = table.constant(parts.more);
    [q[0], q[1], q[2], table.sub(k[2], more)]
}

/// The same with columns more.
fn with_more(own: Var<'_>, more: i64, value: f64) -> Var<'_> {
    let mut dims = own.dims();
    dims[3] = own.builder.graph.borrow_mut().shapes.dims.constant(more);
    concat(&[own, filled(own, &dims, value)], 3)
}

fn both<'g>(a: Option<Var<'g>>, b: Option<Var<'g>>) -> Option<Var<'g>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.with(b, &AND, &[])),
        (a, b) => a.or(b),
    }
}

/// Whether this graph drops weights: then they are written out, for the kernel never has them.
fn drops(cx: &ExpandCx<'_, '_>) -> bool {
    cx.train() && cx.attrs.float("dropout").is_some_and(|p| p > 0.0)
}

/// Key heads, each repeated for the queries that share it.
fn shared<'g>(keys: Var<'g>, heads: Dim) -> Var<'g> {
    let dims = keys.dims();
    if dims[1] == heads {
        return keys;
    }
    let group = keys.builder.graph.borrow_mut().shapes.dims.floor_div(heads, dims[1]);
    let spread = keys.spread(&[dims[0], dims[1], group, dims[2], dims[3]], &[2]);
    spread.reshape(&[dims[0], heads, dims[2], dims[3]])
}

/// The mean of the values under weights: [B, h, q, f].
fn means<'g>(weights: Var<'g>, v: Var<'g>) -> Var<'g> {
    weights.with(shared(v, weights.dims()[1]), &BMM, &[])
}

/// What the kernel never shows: the weight of every key for every query, [B, h, q, k], after dropout in training.
fn weights<'g>(cx: &ExpandCx<'_, 'g>, parts: &Parts<'g>) -> Var<'g> {
    let (q, dtype) = (parts.q, parts.q.dtype());
    let scores = q.with(shared(parts.k, q.dims()[1]).t(), &BMM, &[]);
    let scores = match cx.attrs.float("scale") {
        Some(scale) => scores * scale,
        None => scores * q.size(q.dims()[3]).op(&RSQRT),
    };
    let scores = match cx.attrs.float("softcap") {
        Some(cap) => (scores / cap).op(&super::activation::TANH) * cap,
        None => scores,
    };
    let dims = scores.dims();
    let scores = parts.bias.map_or(scores, |bias| scores + bias);
    let weights = match both(parts.mask, near(cx, &[dims[0], dims[1], dims[2], dims[3]])) {
        None => scores.op(&SOFTMAX_LAST),
        // What is hidden is far below all else; a row that sees nothing is zero.
        Some(may) => {
            let hidden = choose(may, scores, number(cx.builder, dtype, -1e30));
            choose(may, hidden.op(&SOFTMAX_LAST), number(cx.builder, dtype, 0.0))
        }
    };
    if drops(cx) { dropped(weights, cx.attrs.float("dropout").unwrap_or(0.0)) } else { weights }
}

/// Where `causal` and `window` let query i look: [q, k].
fn near<'g>(cx: &ExpandCx<'_, 'g>, full: &[Dim; 4]) -> Option<Var<'g>> {
    let window = size_of(&mut cx.builder.graph.borrow_mut().shapes, cx.attrs.get("window"));
    let behind = behind(cx.builder, full[2], full[3]);
    let causal = cx.attrs.flag("causal").then(|| behind.then(&GE, &[("value", Attr::Int(0))]));
    let back = window.map(|window| behind.with(behind.size(window), &LT, &[]));
    let ahead = window.filter(|_| causal.is_none()).map(|window| (0.0 - behind).with(behind.size(window), &LT, &[]));
    both(causal, both(back, ahead))
}

/// How far key j lies behind query i: i - j, `i64[q, k]`.
fn behind(builder: &Builder, queries: Dim, keys: Dim) -> Var<'_> {
    let rows = counted(builder, queries).spread(&[queries, keys], &[1]);
    rows - counted(builder, keys)
}

/// What ALiBi adds to the scores: -2^(-8(j + 1)/heads) · |i - j|, [heads, q, k].
fn falling(builder: &Builder, heads: Dim, queries: Dim, keys: Dim, dtype: DType) -> Var<'_> {
    let number = counted(builder, heads).to(DType::F64) + 1.0;
    let rates = (number * -8.0 / number.size(heads)).op(&super::function::EXP2);
    let distance = behind(builder, queries, keys).to(DType::F64).op(&ABS);
    (rates.spread(&[heads, queries, keys], &[1, 2]) * -1.0 * distance).to(dtype)
}

/// The kernel; the result has its heads behind: [B, q, h, f].
fn core<'g>(builder: &'g Builder, attrs: &Attrs, parts: &Parts<'g>) -> Var<'g> {
    let given = ["causal", "scale", "window"].map(|name| (name, attrs.get(name).clone()));
    let given: Vec<_> = given.into_iter().filter(|(_, value)| *value != Attr::None).collect();
    let ins = [Some(parts.q), Some(parts.k), Some(parts.v), parts.mask, parts.bias];
    builder.apply(&SDPA_PLAIN, Attrs::with(PLAIN, &given), &ins)[0]
}

/// The sizes of q, k and v.
fn sdpa_shapes(cx: &mut RuleCx<'_>) -> Result<[Vec<Dim>; 3], Misfit> {
    let (q, k, v) = (cx.rank(0, 4, 4)?, cx.rank(1, 4, 4)?, cx.rank(2, 4, 4)?);
    cx.equal(1, 0, k[0], q[0], Why::Leading)?;
    cx.equal(1, 3, k[3], q[3], Why::Inner)?;
    for axis in 0..3 {
        cx.equal(2, axis, v[axis], k[axis], Why::Keys)?;
    }
    let misfit = Misfit {
        operand: Some(1),
        axis: Some(1),
        wanted: Some(k[1]),
        found: Some(q[1]),
        ..Misfit::of(MisfitKind::Divides(Why::KeyHeads))
    };
    cx.need(crate::ir::op::Condition::Divides { what: q[1], by: k[1] }, misfit)?;
    let full = [q[0], q[1], q[2], k[2]];
    mask_fits(cx, 3, &full, false)?;
    mask_fits(cx, 4, &full, false)?;
    Ok([q, k, v])
}

fn sdpa_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.ints[0] = i32::from(cx.attrs.flag("causal"));
    args.ints[1] = cx.attrs.int("window").unwrap_or(0) as i32;
    let e = cx.ins[0].as_ref().map_or(1, |q| q.dim(3)) as f64;
    args.nums[0] = cx.attrs.float("scale").unwrap_or_else(|| 1.0 / e.sqrt());
    args
}

/// [B, q, h, f] seen as [B, h, q, f].
fn heads_forward(view: &mut Option<View>) {
    if let Some(view) = view {
        view.dims.swap(1, 2);
        view.strides.swap(1, 2);
    }
}

fn sdpa_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let ins = [cx.ins[0], cx.ins[1], cx.ins[2], cx.maybe(3), cx.maybe(4), Some(cx.y(0)), Some(cx.y(1)), Some(cx.dy())];
    let grads = cx.builder.apply(&SDPA_GRAD, cx.attrs.clone(), &ins);
    let pick = |i: usize, from: usize| cx.wants(i).then(|| grads[from]);
    vec![pick(0, 0), pick(1, 1), pick(2, 2), None, pick(4, 3)]
}

/// Two products, scores and mean of the values; on the way back two and a half times that.
fn core_flops(cx: &mut CostCx<'_>, halves: i64) -> Dim {
    let dims = |cx: &CostCx<'_>, i: usize| cx.ins.get(i).copied().flatten().map(|ty| cx.shapes.dims(ty).to_vec());
    let (Some(q), Some(v)) = (dims(cx, 0), dims(cx, 2)) else { return Dims::ZERO };
    let table = &mut cx.shapes.dims;
    let width = table.add(q[3], v[3]);
    let product = table.product(&[q[0], q[1], q[2], v[2], width]);
    table.scale(product, halves)
}

/// Dropout, where there is any, acts in training only.
pub(super) const DROPS: Facts = Facts { by_mode: true, random: true, ..Facts::NONE };

const QKV: &[Operand] = &[
    Operand::float("q"),
    Operand::float("k"),
    Operand::float("v"),
    Operand::bool("mask").optional(),
    Operand::float("bias").optional(),
];

ops! { OPS;

/// Scaled dot-product attention without projections.
///
/// Query head i uses key head i / (h / hk). mask (true = may be looked at) and bias (added to the scores): [q, k],
/// [h, q, k] or [B, h, q, k]. A row that may look at nothing gives 0. `causal` counts from the first query and the first
/// key; with `window` it looks at the last `window` keys, its own included, without `causal` as far ahead as behind.
/// Dropout and softcap are computed from weights that are written out; all else by one kernel that never has them.
SDPA = OpDef {
    derivative: "with p the weights: v gets pᵀ dy; with g = dy vᵀ the logits get s = p * (g - sum(g * p) a row), q \
        gets scale * s k, and k gets scale * sᵀ q; the weights are computed again from the log-sum-exp of \
        each row",
    name: "sdpa",
    formula: "softmax(q kᵀ · scale + bias) v",
    shape: "(q [B, h, q, e], k [B, hk, k, e], v [B, hk, k, f][, mask][, bias]) -> [B, h, q, f]",
    torch: "F.scaled_dot_product_attention",
    example: "q: f32[1, 1, 1, 1] = [1], k: f32[1, 1, 2, 1] = [0, 0], v: f32[1, 1, 2, 1] = [1, 3] -> [2]",
    attrs: SDPA_ATTRS,
    operands: QKV,
    facts: DROPS,
    rule: |cx| {
        let [q, _, v] = sdpa_shapes(cx)?;
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &[q[0], q[1], q[2], v[3]]);
        Ok(())
    },
    body: Body::Expand(|cx| {
        let (q, k) = (cx.x(0).dims(), cx.x(1).dims());
        let full = [q[0], q[1], q[2], k[2]];
        let (mask, bias) = (spread_mask(cx.maybe(3), &full, false), spread_mask(cx.maybe(4), &full, false));
        let [y, _] = attend(cx, Parts { q: cx.x(0), k: cx.x(1), v: cx.x(2), mask, bias, more: 0 });
        vec![y.swap(1, 2)]
    }),
    flops: Some(|cx| core_flops(cx, 2)),
    ..OpDef::DEFAULT
};

/// Scores that fall with the distance of query and key, each head at a rate of its own: positions without a table.
///
/// Between the product of queries and keys and the softmax; a model that was trained on short sequences reads longer ones.
/// The rates are those for a number of heads that is a power of two, taken for any number.
ALIBI_OP = OpDef {
    name: "alibi",
    formula: "x_(j, q, k) - 2^(-8 (j + 1) / heads) |q - k|",
    shape: "scores [.., heads, q, k] -> same",
    source: "Press, Smith and Lewis 2021",
    example: "scores: f32[1, 1, 3] = [0, 0, 0] -> [0, -0.00390625, -0.0078125]",
    operands: &[Operand::float("scores")],
    rule: |cx| {
        cx.rank(0, 3, 8)?;
        crate::ir::op::same_as_first(cx)
    },
    body: Body::Expand(|cx| {
        let x = cx.x(0);
        let [.., heads, queries, keys] = x.dims()[..] else { return vec![x] };
        vec![x + falling(cx.builder, heads, queries, keys, x.dtype())]
    }),
    ..OpDef::DEFAULT
};

/// The kernel's form: heads behind in the result, and the log-sum-exp of each row.
SDPA_PLAIN = OpDef {
    name: "attention.sdpa",
    attrs: PLAIN,
    operands: QKV,
    outputs: &[Output::main("y"), Output::saved("lse")],
    rule: |cx| {
        let [q, _, v] = sdpa_shapes(cx)?;
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &[q[0], q[2], q[1], v[3]]);
        cx.out_of(dtype, &q[..3]);
        Ok(())
    },
    body: Body::Kernel {
        kernel: &attention::SDPA,
        args: |cx| {
            heads_forward(&mut cx.outs[0]);
            sdpa_args(cx)
        },
    },
    gradient: Gradient::Formula(sdpa_gradient),
    flops: Some(|cx| core_flops(cx, 2)),
    ..OpDef::DEFAULT
};

/// Its gradients.
SDPA_GRAD = OpDef {
    name: "attention.sdpa'",
    attrs: PLAIN,
    operands: &[
        Operand::float("q"), Operand::float("k"), Operand::float("v"), Operand::bool("mask").optional(),
        Operand::float("bias").optional(), Operand::float("y"), Operand::float("lse"), Operand::float("dy"),
    ],
    outputs: &[Output::main("dq"), Output::main("dk"), Output::main("dv"), Output::main("dbias")],
    rule: |cx| {
        let dtype = cx.operand(0)?.dtype;
        let (q, k, v) = (cx.dims(0)?, cx.dims(1)?, cx.dims(2)?);
        for dims in [&q, &k, &v] {
            cx.out_of(dtype, dims);
        }
        cx.out_of(dtype, &[q[0], q[1], q[2], k[2]]);
        Ok(())
    },
    body: Body::Kernel {
        kernel: &attention::SDPA_GRAD,
        args: |cx| {
            heads_forward(&mut cx.ins[5]);
            heads_forward(&mut cx.ins[7]);
            sdpa_args(cx)
        },
    },
    gradient: Gradient::Zero,
    flops: Some(|cx| core_flops(cx, 5)),
    ..OpDef::DEFAULT
};

}
