//! Attention: projections in and out around the scaled dot product.

use super::linear::affine;
use super::movement::{concat, split};
use super::parts::filled;
use super::position::ROPE_OP;
use super::sdpa::{ALIBI, CAUSAL, DROPOUT, DROPS, Parts, SCALE, SOFTCAP, WINDOW, attend, mask_fits, spread_mask};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init, Stage};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    Body, CostCx, Misfit, MisfitKind, OpDef, Operand, Output, ParamCx, ParamDef, Role, RuleCx, Why, size_of,
};
use crate::ir::shape::{Shapes, Type};
use crate::tensor::DType;

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
    WINDOW,
    AttrDef::new(
        "rope",
        &[AttrKind::Stage, AttrKind::Nothing],
        AttrDefault::None,
        "rotary positions for queries and keys",
    ),
    ALIBI,
    AttrDef::new(
        "bias",
        &[AttrKind::Bool, AttrKind::Bools],
        AttrDefault::Bool(true),
        "of the input projections; `[true, false, true]`: of queries, keys, values",
    ),
    AttrDef::new(
        "out_bias",
        &[AttrKind::Bool],
        AttrDefault::Same("bias"),
        "of the output projection; where `bias` is a list, whether one of it is true",
    ),
    DROPOUT,
    AttrDef::new(
        "qk_norm",
        &[AttrKind::Stage, AttrKind::Nothing],
        AttrDefault::None,
        "a norm for each head of queries and keys, before `rope`",
    ),
    SCALE,
    SOFTCAP,
    AttrDef::new(
        "add_bias_kv",
        &[AttrKind::Bool],
        AttrDefault::Bool(false),
        "a learned key and value more, which every query may look at",
    ),
    AttrDef::new(
        "add_zero_attn",
        &[AttrKind::Bool],
        AttrDefault::Bool(false),
        "a key and value of zeros more: a way to look at nothing",
    ),
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

fn sizes(shapes: &mut Shapes, attrs: &Attrs, ins: [Option<Dim>; 3]) -> Option<Sizes> {
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
    fn joint(&self, attrs: &Attrs, dims: &mut Dims) -> bool {
        let [q, k, _] = self.widths(dims);
        let whole = q == self.d || *attrs.get("head_dim") == Attr::None;
        q == k && whole && self.memory == self.d && self.value == self.d && !matches!(attrs.get("bias"), Attr::List(_))
    }

    /// The types of the heads of queries and of keys.
    fn heads(&self, shapes: &mut Shapes, x: &[Dim], memory: &[Dim]) -> [Type; 2] {
        let [queries, keys] = [x, memory].map(|dims| dims.get(1).copied().unwrap_or(Dims::ONE));
        let batch = x.first().copied().unwrap_or(Dims::ONE);
        [(self.heads, queries), (self.kv_heads, keys)]
            .map(|(heads, seq)| shapes.ty(DType::F32, &[batch, heads, seq, self.head_dim]))
    }

    /// Widths of q, k and v.
    fn widths(&self, dims: &mut Dims) -> [Dim; 3] {
        let q = dims.mul(self.heads, self.head_dim);
        let k = dims.mul(self.kv_heads, self.head_dim);
        [q, k, k]
    }
}

/// Which of the projections of q, k and v have a bias of their own.
fn own_biases(attrs: &Attrs) -> Option<[bool; 3]> {
    let Attr::List(items) = attrs.get("bias") else { return None };
    let yes = |i: usize| items.get(i) == Some(&Attr::Bool(true));
    Some([yes(0), yes(1), yes(2)])
}

fn out_bias(attrs: &Attrs) -> bool {
    match attrs.get("out_bias") {
        Attr::List(items) => items.contains(&Attr::Bool(true)),
        other => *other == Attr::Bool(true),
    }
}

fn stage<'a>(attrs: &'a Attrs, name: &str) -> Option<&'a Stage> {
    match attrs.get(name) {
        Attr::Stage(stage) => Some(stage),
        _ => None,
    }
}

/// Keys behind those of the sequence: learned, and zero.
fn more_keys(attrs: &Attrs) -> i64 {
    ["add_bias_kv", "add_zero_attn"].iter().map(|name| i64::from(attrs.flag(name))).sum()
}

/// A stage for the heads keeps their shape, and remembers nothing.
fn stage_fits(cx: &mut RuleCx<'_>, name: &'static str, heads: [Type; 2]) -> Result<(), Misfit> {
    let Some(stage) = stage(cx.attrs, name) else { return Ok(()) };
    if name == "rope" && !std::ptr::eq(stage.op, &ROPE_OP) {
        return Err(cx.bad_attr(name, "must be `rope`, perhaps with arguments: `rope(base = 1e6)`"));
    }
    for ty in heads {
        let ins = [Some(ty)];
        let mut inner = RuleCx::new(cx.shapes, &stage.attrs, &ins);
        let fits = (stage.op.rule)(&mut inner).is_ok() && inner.outs == [ty] && inner.needs.is_empty();
        let params = (stage.op.params)(&mut ParamCx { shapes: cx.shapes, attrs: &stage.attrs, ins: &ins, gain: None });
        if !fits {
            let width = cx.shapes.dims(ty)[3];
            let width = cx.shapes.dims.show(width);
            return Err(cx.bad_attr(name, format!("must fit a head, whose width is {width}, and keep its shape")));
        }
        if params.iter().any(|param| param.role == Role::State) {
            return Err(cx.bad_attr(name, "must be a norm of single positions: this one keeps statistics"));
        }
    }
    Ok(())
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
    if let Attr::List(items) = cx.attrs.get("bias")
        && items.len() != 3
    {
        return Err(
            cx.bad_attr("bias", format!("is a list of three, for queries, keys and values, and has {}", items.len()))
        );
    }
    let keys = keys_of(cx, &dims)?;
    let heads_of = sizes.heads(cx.shapes, &dims, &[dims[0], keys]);
    stage_fits(cx, "qk_norm", heads_of)?;
    stage_fits(cx, "rope", heads_of)?;
    mask_fits(cx, 3, &[dims[0], heads, dims[1], keys], true)?;
    mask_fits(cx, 4, &[dims[0], heads, dims[1], keys], false)?;
    let ty = cx.operand(0)?;
    cx.out(ty);
    let more = cx.shapes.dims.constant(more_keys(cx.attrs));
    let keys = cx.shapes.dims.add(keys, more);
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
    if sizes.joint(cx.attrs, &mut cx.shapes.dims) {
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
    let own = own_biases(cx.attrs).unwrap_or([false; 3]);
    for ((name, width), own) in [("q_proj_bias", q), ("k_proj_bias", k), ("v_proj_bias", v)].into_iter().zip(own) {
        params.extend(own.then(|| ParamDef::other(name, &[width], Init::Zeros)));
    }
    if cx.attrs.flag("add_bias_kv") {
        for (name, width) in [("bias_k", k), ("bias_v", v)] {
            params.push(ParamDef::other(name, &[Dims::ONE, Dims::ONE, width], Init::XavierNormal(1.0)));
        }
    }
    params.extend(norm_params(cx, &sizes));
    let fan = cx.shapes.dims.as_const(q).unwrap_or(1);
    let out = fixed(cx, gain.map_or(Init::UniformFan(fan), Init::XavierNormal));
    let out = cx.init("out_init", out);
    params.push(ParamDef::weight("out_proj.weight", &[sizes.d, q], out));
    if out_bias(cx.attrs) {
        params.push(ParamDef::other("out_proj.bias", &[sizes.d], Init::Zeros));
    }
    params
}

/// What the norms of queries and keys own: `q_norm.weight`, `k_norm.weight`.
fn norm_params(cx: &mut ParamCx<'_>, sizes: &Sizes) -> Vec<ParamDef> {
    let Some(stage) = stage(cx.attrs, "qk_norm") else { return vec![] };
    let (x, memory) = (cx.dims(0), cx.dims(1));
    let heads = sizes.heads(cx.shapes, &x, if memory.is_empty() { &x } else { &memory });
    let below = |(name, ty): (&str, Type)| {
        let ins = [Some(ty)];
        let own = (stage.op.params)(&mut ParamCx { shapes: cx.shapes, attrs: &stage.attrs, ins: &ins, gain: None });
        own.into_iter().map(|def| ParamDef { name: format!("{name}.{}", def.name), ..def }).collect::<Vec<_>>()
    };
    ["q_norm", "k_norm"].into_iter().zip(heads).flat_map(below).collect()
}

/// Queries, keys and values, each [B, S, width].
fn project<'g>(cx: &ExpandCx<'_, 'g>, widths: &[Dim; 3]) -> [Var<'g>; 3] {
    let x = cx.x(0);
    let memory = cx.maybe(1).unwrap_or(x);
    let sources = [x, memory, cx.maybe(2).unwrap_or(memory)];
    let bias = cx.param("in_proj_bias");
    let joint = cx.param("in_proj_weight");
    if let (Some(weight), None, None) = (joint, cx.maybe(1), cx.maybe(2)) {
        let all = split(affine(x, weight, bias), 2, widths);
        return [all[0], all[1], all[2]];
    }
    let weights: Vec<Var<'g>> = match joint {
        Some(weight) => split(weight, 0, widths),
        None => ["q_proj_weight", "k_proj_weight", "v_proj_weight"].iter().filter_map(|name| cx.param(name)).collect(),
    };
    let biases: Vec<Option<Var<'g>>> = match bias {
        Some(bias) => split(bias, 0, widths).into_iter().map(Some).collect(),
        None => ["q_proj_bias", "k_proj_bias", "v_proj_bias"].iter().map(|name| cx.param(name)).collect(),
    };
    [0, 1, 2].map(|i| affine(sources[i], weights[i], biases[i]))
}

fn heads<'g>(x: Var<'g>, heads: Dim, head_dim: Dim) -> Var<'g> {
    let dims = x.dims();
    x.reshape(&[dims[0], dims[1], heads, head_dim]).swap(1, 2)
}

/// A stage on the heads of queries and keys, with the parameters that stand below these names.
fn staged<'g>(cx: &ExpandCx<'_, 'g>, name: &str, below: [&str; 2], heads: [Var<'g>; 2]) -> [Var<'g>; 2] {
    let Some(stage) = stage(cx.attrs, name) else { return heads };
    let one = |i: usize| cx.builder.below(below[i], || cx.builder.one(stage.op, stage.attrs.clone(), &[heads[i]]));
    [one(0), one(1)]
}

/// Heads with those behind them that belong to no position: a learned one, and one of zeros.
fn extended<'g>(cx: &ExpandCx<'_, 'g>, own: Var<'g>, learned: &str) -> Var<'g> {
    let mut dims = own.dims();
    dims[2] = Dims::ONE;
    let learned = cx.param(learned).map(|row| {
        let row = row.reshape(&[dims[1], Dims::ONE, dims[3]]);
        row.spread(&dims, &[0])
    });
    let zeros = cx.attrs.flag("add_zero_attn").then(|| filled(own, &dims, 0.0));
    let parts: Vec<Var<'g>> = [Some(own), learned, zeros].into_iter().flatten().collect();
    concat(&parts, 2)
}

fn expand<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let dims = cx.x(0).dims();
    let last = [0, 1, 2].map(|i| cx.maybe(i).and_then(|var| var.dims().last().copied()));
    let found = sizes(&mut cx.builder.graph.borrow_mut().shapes, cx.attrs, last);
    let sizes = found.expect("elaborate refuses an attention without heads");
    let widths = sizes.widths(&mut cx.builder.graph.borrow_mut().shapes.dims);
    let [q, k, v] = project(cx, &widths);
    let own = [heads(q, sizes.heads, sizes.head_dim), heads(k, sizes.kv_heads, sizes.head_dim)];
    let own = staged(cx, "qk_norm", ["q_norm", "k_norm"], own);
    let [q, k] = staged(cx, "rope", ["", ""], own);
    let v = heads(v, sizes.kv_heads, sizes.head_dim);
    let full = [dims[0], sizes.heads, dims[1], k.dims()[2]];
    let (mask, bias) = (spread_mask(cx.maybe(3), &full, true), spread_mask(cx.maybe(4), &full, false));
    let (k, v, more) = (extended(cx, k, "bias_k"), extended(cx, v, "bias_v"), more_keys(cx.attrs));
    let [y, weights] = attend(cx, Parts { q, k, v, mask, bias, more });
    let y = y.reshape(&[dims[0], dims[1], widths[0]]);
    let out = cx.param("out_proj.weight").expect("attention declares its output projection");
    vec![affine(y, out, cx.param("out_proj.bias")), weights]
}

fn attention_flops(cx: &mut CostCx<'_>) -> Dim {
    let dims = |cx: &CostCx<'_>, i: usize| cx.ins.get(i).copied().flatten().map(|ty| cx.shapes.dims(ty).to_vec());
    let (Some(x), memory) = (dims(cx, 0), dims(cx, 1)) else { return Dims::ZERO };
    let keys = memory.as_ref().map_or(x[1], |memory| memory[1]);
    let last = [Some(x[2]), memory.map(|memory| memory[2]), dims(cx, 2).map(|value| value[2])];
    let Some(sizes) = sizes(cx.shapes, cx.attrs, last) else { return Dims::ZERO };
    let table = &mut cx.shapes.dims;
    let [q, k, v] = sizes.widths(table);
    let more = table.constant(more_keys(cx.attrs));
    let seen = table.add(keys, more);
    let mut sum = Dims::ZERO;
    let products = [
        [x[1], sizes.d, q],
        [keys, sizes.memory, k],
        [keys, sizes.value, v],
        [x[1], q, sizes.d],
        [x[1], seen, q],
        [x[1], seen, q],
    ];
    for product in products {
        let product = table.product(&product);
        sum = table.add(sum, product);
    }
    let sum = table.scale(sum, 2);
    table.mul(sum, x[0])
}

ops! { OPS;

/// Every position looks at all others (or at a memory) and takes a weighted mean of what it finds.
///
/// Projections in and out included. Keys come from `memory`, values from `value`, where these flow in; else from x.
/// `causal`: at earlier positions only. `kv_heads`: key heads shared by groups of heads. mask: true = may be looked at
/// (**differs** from MultiheadAttention's, which mark what is hidden); [B, k] (padding of keys), [B, q, k] or
/// [B, h, q, k]. bias: added to the scores; [q, k], [h, q, k] or [B, h, q, k]. The heads must divide the width.
///
/// Parameters: `in_proj_weight` (queries, keys, values in rows) and `in_proj_bias`; where kv_heads or head_dim make them
/// of unequal widths, memory or value has another width, or `bias` is a list: `q_proj_weight`, `k_proj_weight`,
/// `v_proj_weight`, and with a list `q_proj_bias` and so on; `out_proj.weight`, `out_proj.bias`; of `add_bias_kv` `bias_k`
/// and `bias_v`; of `qk_norm` those of the norm, below `q_norm` and `k_norm` (rope turns what is normed). A key of
/// `add_bias_kv` or `add_zero_attn` stands behind the others at no position: every query may look at it, without norm,
/// turn or bias.
///
/// The weights, where something reads them, are computed once more beside the kernel, which never holds them; in training
/// they are those after dropout. They are not averaged over the heads.
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
    body: Body::Expand(expand),
    flops: Some(attention_flops),
    ..OpDef::DEFAULT
};

}
