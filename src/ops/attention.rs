//! Attention.

use super::arithmetic::RSQRT;
use super::linear::{BMM, affine};
use super::logic::{AND, GE, choose, number};
use super::movement::split;
use super::random::dropped;
use super::reduce::SOFTMAX_LAST;
use super::source::RANGE;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    ArgsCx, Body, CostCx, Facts, Gradient, Misfit, MisfitKind, OpDef, Operand, Output, ParamCx, ParamDef, RuleCx, Why,
    size_of,
};
use crate::kernels::attention;
use crate::kernels::call::{Args, View};

const CAUSAL: AttrDef =
    AttrDef::new("causal", &[AttrKind::Bool], AttrDefault::Bool(false), "position i looks at j ≤ i only")
        .torch("is_causal");
const SCALE: AttrDef =
    AttrDef::new("scale", &[AttrKind::Number], AttrDefault::None, "of the scores; head_dim^-½ otherwise")
        .within(Domain::Positive);

const DROPOUT: AttrDef = AttrDef::new(
    "dropout",
    &[AttrKind::Number],
    AttrDefault::Float(0.0),
    "the share of weights that become zero in training",
)
.within(Domain::Probability)
.torch("dropout_p");

const ATTRS: &[AttrDef] = &[
    AttrDef::required("heads", &[AttrKind::Size], "how many").torch("num_heads"),
    AttrDef::new(
        "kv_heads",
        &[AttrKind::Size],
        AttrDefault::Same("heads"),
        "key heads, each shared by heads / kv_heads",
    ),
    CAUSAL,
    AttrDef::new("head_dim", &[AttrKind::Size], AttrDefault::None, "the width of a head; d / heads otherwise"),
    AttrDef::new(
        "rope",
        &[AttrKind::Stage, AttrKind::Nothing],
        AttrDefault::None,
        "rotary positions for queries and keys",
    ),
    AttrDef::new("bias", &[AttrKind::Bool], AttrDefault::Bool(true), "of the input projections"),
    AttrDef::new("out_bias", &[AttrKind::Bool], AttrDefault::Same("bias"), "of the output projection"),
    DROPOUT,
    SCALE,
    AttrDef::new("gain", &[AttrKind::Number], AttrDefault::None, "1: stand aside from deep norm's initial gain")
        .within(Domain::Unit)
        .named(),
    AttrDef::new("init", &[AttrKind::Init], AttrDefault::None, "of the projections").named(),
    AttrDef::new("out_init", &[AttrKind::Init], AttrDefault::None, "of the output projection; `init` otherwise")
        .named(),
];

/// Sizes of an attention layer.
struct Sizes {
    d: Dim,
    heads: Dim,
    kv_heads: Dim,
    head_dim: Dim,
    memory: Dim,
    value: Dim,
}

fn sizes(shapes: &mut crate::ir::shape::Shapes, attrs: &Attrs, ins: [Option<Dim>; 3]) -> Option<Sizes> {
    let d = ins[0]?;
    let heads = size_of(shapes, attrs.get("heads"))?;
    let kv_heads = size_of(shapes, attrs.get("kv_heads")).unwrap_or(heads);
    let head_dim = match size_of(shapes, attrs.get("head_dim")) {
        Some(dim) => dim,
        None => shapes.dims.floor_div(d, heads),
    };
    let memory = ins[1].unwrap_or(d);
    Some(Sizes { d, heads, kv_heads, head_dim, memory, value: ins[2].unwrap_or(memory) })
}

impl Sizes {
    /// Whether the three projections are one matrix, as in PyTorch.
    fn joint(&self, attrs: &Attrs) -> bool {
        self.heads == self.kv_heads
            && *attrs.get("head_dim") == Attr::None
            && self.memory == self.d
            && self.value == self.d
    }

    /// Widths of q, k and v.
    fn widths(&self, dims: &mut Dims) -> [Dim; 3] {
        let q = dims.mul(self.heads, self.head_dim);
        let k = dims.mul(self.kv_heads, self.head_dim);
        [q, k, k]
    }
}

fn last_dims(cx: &RuleCx<'_>) -> [Option<Dim>; 3] {
    [0, 1, 2].map(|i| cx.ins.get(i).copied().flatten().and_then(|ty| cx.shapes.dims(ty).last().copied()))
}

fn attention_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.rank(0, 3, 3)?;
    let heads = cx.size("heads").ok_or_else(|| cx.bad_attr("heads", "must be given"))?;
    if *cx.attrs.get("head_dim") == Attr::None {
        cx.divides(0, 2, dims[2], heads, Why::Heads)?;
    }
    let kv = cx.size("kv_heads").unwrap_or(heads);
    let misfit = Misfit {
        attr: Some("kv_heads"),
        wanted: Some(kv),
        found: Some(heads),
        ..Misfit::of(MisfitKind::Divides(Why::KeyHeads))
    };
    cx.need(crate::ir::op::Condition::Divides { what: heads, by: kv }, misfit)?;
    let ins = last_dims(cx);
    let sizes = sizes(cx.shapes, cx.attrs, ins).ok_or_else(|| cx.bad_attr("heads", "must be given"))?;
    if matches!(cx.attrs.get("rope"), Attr::Stage(_)) {
        let two = cx.shapes.dims.constant(2);
        cx.divides(0, 2, sizes.head_dim, two, Why::Pairs)?;
    }
    let keys = keys_of(cx, &dims)?;
    mask_fits(cx, 3, &[dims[0], heads, dims[1], keys], true)?;
    mask_fits(cx, 4, &[dims[0], heads, dims[1], keys], false)?;
    let ty = cx.operand(0)?;
    cx.out(ty);
    cx.out_of(ty.dtype, &[dims[0], heads, dims[1], keys]);
    Ok(())
}

/// The number of keys; memory and value must agree on it and on the batch.
fn keys_of(cx: &mut RuleCx<'_>, dims: &[Dim]) -> Result<Dim, Misfit> {
    let mut keys = dims[1];
    for index in 1..3 {
        if cx.ins.get(index).copied().flatten().is_none() {
            continue;
        }
        let other = cx.rank(index, 3, 3)?;
        cx.equal(index, 0, other[0], dims[0], Why::Leading)?;
        if index == 2 {
            cx.equal(2, 1, other[1], keys, Why::Keys)?;
        }
        keys = other[1];
    }
    Ok(keys)
}

/// Where the axes of a mask or bias stand in [B, h, q, k].
fn mask_axes(rank: usize, keys_only: bool) -> Vec<usize> {
    match (rank, keys_only) {
        (2, true) => vec![0, 3],
        (3, true) => vec![0, 2, 3],
        _ => (4 - rank.min(4)..4).collect(),
    }
}

fn mask_fits(cx: &mut RuleCx<'_>, index: usize, full: &[Dim; 4], keys_only: bool) -> Result<(), Misfit> {
    if cx.ins.get(index).copied().flatten().is_none() {
        return Ok(());
    }
    let dims = cx.rank(index, 2, 4)?;
    for (axis, &at) in mask_axes(dims.len(), keys_only).iter().enumerate() {
        cx.equal(index, axis, dims[axis], full[at], Why::Mask)?;
    }
    Ok(())
}

fn spread_mask<'g>(mask: Option<Var<'g>>, full: &[Dim; 4], keys_only: bool) -> Option<Var<'g>> {
    let mask = mask?;
    let own = mask_axes(mask.rank(), keys_only);
    let new: Vec<usize> = (0..4).filter(|axis| !own.contains(axis)).collect();
    Some(mask.spread(full, &new))
}

fn attention_params(cx: &mut ParamCx<'_>) -> Vec<ParamDef> {
    let last = [0, 1, 2].map(|i| cx.dims(i).last().copied());
    let Some(sizes) = sizes(cx.shapes, cx.attrs, last) else { return vec![] };
    let [q, k, v] = sizes.widths(&mut cx.shapes.dims);
    let all = {
        let qk = cx.shapes.dims.add(q, k);
        cx.shapes.dims.add(qk, v)
    };
    let gain = cx.gain.filter(|_| *cx.attrs.get("gain") == Attr::None);
    let plain = if gain.is_some() { Init::XavierNormal(1.0) } else { Init::XavierUniform(1.0) };
    let deep = gain.map_or(plain.clone(), Init::XavierNormal);
    let fixed = |cx: &ParamCx<'_>, init: Init| cx.init("init", init);
    let mut params = vec![];
    if sizes.joint(cx.attrs) {
        let rows = |dim: Dim| cx.shapes.dims.as_const(dim).unwrap_or(0);
        let init = match gain {
            Some(_) => Init::Blocks(vec![(rows(q), plain.clone()), (rows(k), plain), (rows(v), deep.clone())]),
            None => plain,
        };
        params.push(ParamDef::weight("in_proj_weight", &[all, sizes.d], fixed(cx, init)));
    } else {
        params.push(ParamDef::weight("q_proj_weight", &[q, sizes.d], fixed(cx, plain.clone())));
        params.push(ParamDef::weight("k_proj_weight", &[k, sizes.memory], fixed(cx, plain)));
        params.push(ParamDef::weight("v_proj_weight", &[v, sizes.value], fixed(cx, deep)));
    }
    if cx.attrs.flag("bias") {
        params.push(ParamDef::other("in_proj_bias", &[all], Init::Zeros));
    }
    let fan = cx.shapes.dims.as_const(q).unwrap_or(1);
    let out = fixed(cx, gain.map_or(Init::UniformFan(fan), Init::XavierNormal));
    let out = cx.init("out_init", out);
    params.push(ParamDef::weight("out_proj.weight", &[sizes.d, q], out));
    if cx.attrs.flag("out_bias") {
        params.push(ParamDef::other("out_proj.bias", &[sizes.d], Init::Zeros));
    }
    params
}

/// Queries, keys and values, each [B, S, width].
fn project<'g>(cx: &ExpandCx<'_, 'g>, sizes: &Sizes, widths: &[Dim; 3]) -> [Var<'g>; 3] {
    let x = cx.x(0);
    let memory = cx.maybe(1).unwrap_or(x);
    let sources = [x, memory, cx.maybe(2).unwrap_or(memory)];
    let bias = cx.param("in_proj_bias");
    let joint = cx.param("in_proj_weight");
    if let (Some(weight), None) = (joint, cx.maybe(1)) {
        let all = split(affine(x, weight, bias), 2, widths);
        return [all[0], all[1], all[2]];
    }
    let weights: Vec<Var<'g>> = match joint {
        Some(weight) => split(weight, 0, widths),
        None => ["q_proj_weight", "k_proj_weight", "v_proj_weight"].iter().filter_map(|name| cx.param(name)).collect(),
    };
    let biases = bias.map(|bias| split(bias, 0, widths));
    debug_assert_eq!(sizes.joint(cx.attrs), joint.is_some(), "names follow from the sizes");
    [0, 1, 2].map(|i| affine(sources[i], weights[i], biases.as_ref().map(|parts| parts[i])))
}

fn heads<'g>(x: Var<'g>, heads: Dim, head_dim: Dim) -> Var<'g> {
    let dims = x.dims();
    x.reshape(&[dims[0], dims[1], heads, head_dim]).swap(1, 2)
}

fn attend<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let dims = cx.x(0).dims();
    let last = [0, 1, 2].map(|i| cx.maybe(i).and_then(|var| var.dims().last().copied()));
    let found = sizes(&mut cx.builder.graph.borrow_mut().shapes, cx.attrs, last);
    let sizes = found.expect("elaborate refuses an attention without heads");
    let widths = sizes.widths(&mut cx.builder.graph.borrow_mut().shapes.dims);
    let [q, k, v] = project(cx, &sizes, &widths);
    let (mut q, mut k) = (heads(q, sizes.heads, sizes.head_dim), heads(k, sizes.kv_heads, sizes.head_dim));
    let v = heads(v, sizes.kv_heads, sizes.head_dim);
    if let Attr::Stage(stage) = cx.attrs.get("rope") {
        q = cx.builder.one(stage.op, stage.attrs.clone(), &[q]);
        k = cx.builder.one(stage.op, stage.attrs.clone(), &[k]);
    }
    let full = [dims[0], sizes.heads, dims[1], k.dims()[2]];
    let (mask, bias) = (spread_mask(cx.maybe(3), &full, true), spread_mask(cx.maybe(4), &full, false));
    let weights = weights(cx, q, k, mask, bias);
    let y = match drops(cx) {
        true => means(weights, v).swap(1, 2),
        false => core(cx.builder, cx.attrs, [q, k, v], mask, bias),
    };
    let y = y.reshape(&[dims[0], dims[1], widths[0]]);
    let out = cx.param("out_proj.weight").expect("attention declares its output projection");
    vec![affine(y, out, cx.param("out_proj.bias")), weights]
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
fn weights<'g>(cx: &ExpandCx<'_, 'g>, q: Var<'g>, k: Var<'g>, mask: Option<Var<'g>>, bias: Option<Var<'g>>) -> Var<'g> {
    let (heads, keys, width) = (q.dims()[1], k.dims()[2], q.dims()[3]);
    let dtype = q.dtype();
    let scores = q.with(shared(k, heads).t(), &BMM, &[]);
    let scores = match cx.attrs.float("scale") {
        Some(scale) => scores * scale,
        None => scores * q.size(width).op(&RSQRT),
    };
    let scores = bias.map_or(scores, |bias| scores + bias);
    let causal = cx.attrs.flag("causal").then(|| earlier(cx, q.dims()[2], keys));
    let may = match (mask, causal) {
        (Some(mask), Some(causal)) => Some(mask.with(causal, &AND, &[])),
        (mask, causal) => mask.or(causal),
    };
    let weights = match may {
        None => scores.op(&SOFTMAX_LAST),
        // What is hidden is far below all else; a row that sees nothing is zero.
        Some(may) => {
            let hidden = choose(may, scores, number(cx.builder, dtype, -1e30));
            choose(may, hidden.op(&SOFTMAX_LAST), number(cx.builder, dtype, 0.0))
        }
    };
    if drops(cx) { dropped(weights, cx.attrs.float("dropout").unwrap_or(0.0)) } else { weights }
}

/// Whether key j is not behind query i: [q, k].
fn earlier<'g>(cx: &ExpandCx<'_, 'g>, queries: Dim, keys: Dim) -> Var<'g> {
    let range = |length: Dim| {
        let attrs = Attrs::with(RANGE.attrs, &[("from", Attr::Dim(length))]);
        cx.builder.one(&RANGE, attrs, &[])
    };
    let full = [queries, keys];
    range(queries).spread(&full, &[1]).with(range(keys).spread(&full, &[0]), &GE, &[])
}

/// Scaled dot-product attention; the result has its heads behind: [B, q, h, f].
fn core<'g>(
    builder: &'g crate::ir::build::Builder,
    attrs: &Attrs,
    qkv: [Var<'g>; 3],
    mask: Option<Var<'g>>,
    bias: Option<Var<'g>>,
) -> Var<'g> {
    let given = ["causal", "scale"].map(|name| (name, attrs.get(name).clone()));
    let given: Vec<_> = given.into_iter().filter(|(_, value)| *value != Attr::None).collect();
    let ins = [Some(qkv[0]), Some(qkv[1]), Some(qkv[2]), mask, bias];
    builder.apply(&SDPA_PLAIN, Attrs::with(PLAIN, &given), &ins)[0]
}

const PLAIN: &[AttrDef] = &[CAUSAL, SCALE];
const SDPA_ATTRS: &[AttrDef] = &[CAUSAL, SCALE, DROPOUT];

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

fn attention_flops(cx: &mut CostCx<'_>) -> Dim {
    let dims = |cx: &CostCx<'_>, i: usize| cx.ins.get(i).copied().flatten().map(|ty| cx.shapes.dims(ty).to_vec());
    let (Some(x), memory) = (dims(cx, 0), dims(cx, 1)) else { return Dims::ZERO };
    let keys = memory.as_ref().map_or(x[1], |memory| memory[1]);
    let last = [Some(x[2]), memory.map(|memory| memory[2]), dims(cx, 2).map(|value| value[2])];
    let Some(sizes) = sizes(cx.shapes, cx.attrs, last) else { return Dims::ZERO };
    let table = &mut cx.shapes.dims;
    let [q, k, v] = sizes.widths(table);
    let mut sum = Dims::ZERO;
    let products = [
        [x[1], sizes.d, q],
        [keys, sizes.memory, k],
        [keys, sizes.value, v],
        [x[1], q, sizes.d],
        [x[1], keys, q],
        [x[1], keys, q],
    ];
    for product in products {
        let product = table.product(&product);
        sum = table.add(sum, product);
    }
    let sum = table.scale(sum, 2);
    table.mul(sum, x[0])
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
const DROPS: Facts = Facts { by_mode: true, random: true, ..Facts::NONE };

const QKV: &[Operand] = &[
    Operand::float("q"),
    Operand::float("k"),
    Operand::float("v"),
    Operand::bool("mask").optional(),
    Operand::float("bias").optional(),
];

ops! { OPS;

/// Every position looks at all others (or at a memory) and takes a weighted mean of what it finds.
///
/// Projections in and out included. `causal`: at earlier positions only. `kv_heads`: key heads shared by groups of heads.
/// mask: true = may be looked at (**differs** from MultiheadAttention's, which mark what is hidden); [B, k] (padding of
/// keys), [B, q, k] or [B, h, q, k]. The heads must divide the width. The weights, where something reads them, are
/// computed once more beside the kernel, which never holds them; in training they are those after dropout.
ATTENTION = OpDef {
    derivative: "that of sdpa between those of the linear layers around it",
    name: "attention",
    formula: "softmax(q kᵀ / sqrt(e) + bias) v, a head",
    shape: "(x [B, q, d][, memory [B, k, d']][, value][, mask][, bias]) -> ([B, q, d], weights [B, h, q, k])",
    source: "Vaswani et al. 2017",
    torch: "nn.MultiheadAttention(batch_first = True)",
    example: "x: f32[1, 1, 2] = [1, 2], heads = 1, init = constant(0.5) -> [1.5, 1.5]",
    attrs: ATTRS,
    operands: &[
        Operand::float("x"), Operand::float("memory").optional(), Operand::float("value").optional(),
        Operand::bool("mask").optional(), Operand::float("bias").optional(),
    ],
    outputs: &[Output::main("y"), Output::main("weights")],
    rule: attention_rule,
    params: attention_params,
    facts: DROPS,
    body: Body::Expand(attend),
    flops: Some(attention_flops),
    ..OpDef::DEFAULT
};

/// Scaled dot-product attention without projections.
///
/// Query head i uses key head i / (h / hk). A row that may look at nothing gives 0. mask and bias: [q, k], [B, h, q, k], or
/// without leading axes.
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
        vec![match drops(cx) {
            true => means(weights(cx, cx.x(0), cx.x(1), mask, bias), cx.x(2)),
            false => core(cx.builder, cx.attrs, [cx.x(0), cx.x(1), cx.x(2)], mask, bias).swap(1, 2),
        }]
    }),
    flops: Some(|cx| core_flops(cx, 2)),
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
