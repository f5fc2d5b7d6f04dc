//! Uses of every public operator, to try the laws on.
//!
//! They come from the schemas: shapes, operands and attributes of the right kinds are proposed, and the operator's own
//! shape rule says which of them make sense. What no schema tells (masks, tied tables) stands in [`MORE`], as models.

use crate::model;
use wythe::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, default};
use wythe::ir::dim::Dim;
use wythe::ir::op::{Elements, Misfit, MisfitKind, Need, OpDef, ParamCx, RuleCx};
use wythe::ir::shape::{Shapes, Type};
use wythe::ir::structured::{Item, LayerDef, OpItem, Part, PortDef, Region, Structured, ValueId, ValueInfo};
use wythe::kernels::call::MAX_RANK;
use wythe::tensor::DType;
use wythe::text::Span;

/// Uses that the schemas do not lead to, each a model whose last stage is the operator in question.
const MORE: &[(&str, &str)] = &[
    ("attention", "(x: f32[2, 3, 4], memory: f32[2, 5, 6]) { (x, memory) |> attention(2) }"),
    ("attention", "(x: f32[2, 3, 4], m: f32[2, 5, 4], mask: bool[2, 5]) { (x, m, mask = mask) |> attention(2) }"),
    ("attention", "(x: f32[3, 4, 4], b: f32[2, 4, 4]) { (x, bias = b) |> attention(2, causal = true) }"),
    ("attention", "(x: f32[2, 5, 12]) { attention(3, rope = rope(base = 50), causal = true) }"),
    ("attention", "(x: f32[2, 5, 8]) { attention(4, kv_heads = 2, bias = false) }"),
    ("attention", "(x: f32[2, 67, 16]) { attention(2, causal = true) }"),
    ("attention", "(x: f32[3, 5, 8], m: bool[3, 5]) { (x, mask = m) |> attention(4, kv_heads = 2, dropout = 0.25) }"),
    ("attention", "(x: f32[2, 4, 4], b: f32[2, 4, 4]) { (x, bias = b) |> attention(2, causal = true, dropout = 0.5) }"),
    (
        "attention",
        "(x: f32[2, 5, 8], m: f32[2, 3, 8]) { (x, m) |> attention(4, kv_heads = 2, window = 2, alibi = true) }",
    ),
    (
        "attention",
        "(x: f32[2, 4, 8], m: bool[2, 4]) { (x, mask = m) |> attention(2, add_bias_kv = true, softcap = 2) }",
    ),
    (
        "attention",
        "(x: f32[2, 4, 8], b: f32[4, 4]) { (x, bias = b) |> attention(2, causal = true, add_zero_attn = true, add_bias_kv = true) }",
    ),
    ("attention", "(x: f32[2, 4, 8]) { attention(2, qk_norm = layernorm, rope = rope(pairing = \"interleaved\")) }"),
    ("attention", "(x: f32[2, 4, 8], m: f32[2, 3, 6]) { (x, m) |> attention(2, qk_norm = rmsnorm, dropout = 0.25) }"),
    ("attention", "(x: f32[2, 4, 8], v: f32[2, 4, 3]) { (x, value = v) |> attention(2, bias = [true, false, true]) }"),
    ("attention", "(x: f32[1, 90, 8]) { attention(2, window = 7) }"),
    ("bce_with_logits", "(z: f32[3, 5], t: f32[3, 5], p: f32[5]) { (z, t, pos_weight = p) |> bce_with_logits }"),
    ("bce_with_logits", "(z: f32[3, 5], t: f32[3, 5], w: f32[5]) { (z, t, weight = w) |> bce_with_logits }"),
    ("avgpool", "(x: f32[1, 2, 4, 5]) { avgpool(3, stride = 3, pad = 1, ceil_mode = true) }"),
    ("batchnorm", "(x: f32[3, 131, 2]) { batchnorm }"),
    ("clamp", "(x: f32[3, 5], lo: f32[5], hi: f32[3, 5]) { (x, min = lo, max = hi) |> clamp }"),
    ("conv", "(x: f32[2, 6, 9, 7]) { conv(4, [3, 2], stride = 2, pad = 1, groups = 2) }"),
    ("conv", "(x: f32[2, 3, 5]) { conv(4, 3, reparam = \"spectral_norm\") }"),
    ("conv_transpose", "(x: f32[2, 3, 4]) { conv_transpose(4, 3, reparam = \"spectral_norm\") }"),
    ("conv_transpose", "(x: f32[2, 3, 4]) { conv_transpose(4, 3, reparam = \"weight_norm\") }"),
    ("linear", "(x: f32[3, 7]) { linear(5, reparam = \"weight_norm\") }"),
    ("linear", "(x: f32[3, 7]) { linear(5, reparam = \"spectral_norm\") }"),
    ("conv", "(x: f32[3, 16, 9, 9]) { conv(24, 3, pad = 1) }"),
    ("conv", "(x: f32[2, 5, 6, 6]) { conv(5, 3, pad = \"same\", groups = 5, dilation = 2) }"),
    (
        "conv_transpose",
        "(x: f32[2, 6, 5, 4]) { conv_transpose(4, 3, stride = 2, pad = 1, output_pad = 1, groups = 2) }",
    ),
    ("conv_transpose", "(x: f32[3, 16, 9, 9]) { conv_transpose(8, 2, stride = 2) }"),
    ("constant", "(x: f32[5]) { constant([[1, 2, 2], [2, 0, -1]]) }"),
    ("constant", "(x: f32[5]) { constant([]) }"),
    ("constant", "(x: f32[5]) { constant(0.5) }"),
    ("cross_entropy", "(z: f32[4, 3], t: i64[4], w: f32[3]) { (z, t, weight = w) |> cross_entropy }"),
    (
        "cross_entropy",
        "(z: f32[2, 4, 3], t: i64[2, 4], w: f32[3]) { (z, t, weight = w) |> cross_entropy(ignore_index = 1, label_smoothing = 0.25, reduction = \"sum\") }",
    ),
    (
        "nll",
        "(z: f32[2, 4, 3], t: i64[2, 4], w: f32[3]) { (z, t, weight = w) |> nll(ignore_index = 0, reduction = \"none\") }",
    ),
    (
        "cross_entropy",
        "(z: f32[4, 2], t: i64[4]) { (z, t) |> cross_entropy(weight = [0.5, 2], label_smoothing = 0.1) }",
    ),
    ("fold", "(x: f32[2, 8, 6]) { fold([3, 4], 2) }"),
    ("fold", "(x: f32[2, 6, 6]) { fold([5, 4], [2, 3], dilation = [2, 1], pad = [1, 2], stride = [2, 3]) }"),
    ("fold", "(x: f32[3, 6, 3]) { fold([6], 3, pad = 1, stride = 2) }"),
    ("fold", "(x: f32[1, 8, 4]) { fold([2, 3, 3], 2) }"),
    ("grid_sample", "(x: f32[2, 2, 3, 4], g: f32[2, 3, 2, 2]) { (x, g) |> grid_sample }"),
    ("grid_sample", "(x: f32[2, 2, 3, 4], g: f32[2, 3, 2, 2]) { (x, g) |> grid_sample(pad_mode = \"border\") }"),
    ("grid_sample", "(x: f32[1, 2, 5, 3], g: f32[1, 2, 2, 2]) { (x, g) |> grid_sample(pad_mode = \"reflection\") }"),
    ("grid_sample", "(x: f32[1, 2, 5, 3], g: f32[1, 2, 2, 2]) { (x, g) |> grid_sample(align_corners = true) }"),
    ("grid_sample", "(x: f32[2, 1, 4, 4], g: f32[2, 3, 1, 2]) { (x, g) |> grid_sample(\"bicubic\") }"),
    ("grid_sample", "(x: f32[2, 1, 4, 4], g: f32[2, 3, 1, 2]) { (x, g) |> grid_sample(\"nearest\", \"reflection\") }"),
    ("grid_sample", "(x: f32[1, 2, 2, 3, 2], g: f32[1, 2, 1, 2, 3]) { (x, g) |> grid_sample }"),
    ("embedding", "(x: i64[2, 3]) { embedding(5, 4, max_norm = 1) }"),
    ("embedding_bag", "(x: i64[2, 3], w: f32[2, 3]) { (x, w) |> embedding_bag(5, 4, \"sum\", padding_index = 1) }"),
    ("embedding_bag", "(x: i64[2, 3]) { embedding_bag(5, 4, \"max\", padding_index = 1) }"),
    ("embedding_bag", "(x: i64[2, 3]) { embedding_bag(5, 4, padding_index = 1) }"),
    ("embedding_bag", "(x: i64[2, 0]) { embedding_bag(5, 4, \"max\") }"),
    ("causal_mask", "(x: f32[5]) { causal_mask(900) }"),
    ("full", "(x: f32[5]) { full([700_000], 0.5) }"),
    ("lerp", "(a: f32[3, 5], b: f32[3, 5], w: f32[5]) { (a, b, weight = w) |> lerp }"),
    ("linear", "(x: f32[3, 67]) { linear(131) }"),
    ("linear", "(x: f32[2, 3, 520]) { linear(5) }"),
    ("matmul", "(a: f32[2, 1, 3, 4], b: f32[5, 4, 2]) { (a, b) |> matmul }"),
    ("matmul", "(a: f32[9, 600], b: f32[600, 35]) { (a, b) |> matmul }"),
    ("matmul_nt", "(a: f32[2, 3, 4], b: f32[2, 5, 4]) { (a, b) |> matmul_nt }"),
    ("maxpool", "(x: f32[1, 2, 4, 5]) { maxpool(3, stride = 3, pad = 1, ceil_mode = true) }"),
    ("maxunpool", "(x: f32[2, 2, 3, 2], i: i64[2, 2, 3, 2]) { (x, i) |> maxunpool(2, size = [7, 5]) }"),
    ("nll", "(z: f32[4, 3], t: i64[4], w: f32[3]) { (z, t, weight = w) |> nll }"),
    ("ones", "(x: f32[5]) { ones([700_000]) }"),
    ("parameter", "(x: f32[5]) { parameter([64, 5], init = normal(1)) }"),
    ("permute", "(x: f32[2, 3, 5]) { permute(0, 2, 1) }"),
    ("permute", "(x: f32[4, 2, 3, 5]) { permute(0, 3, 1, 2) }"),
    ("rand", "(x: f32[5]) { rand([700_000]) }"),
    ("relative_bias", "(x: f32[5]) { relative_bias(8, 256) }"),
    ("sincos_2d", "(x: f32[5]) { sincos_2d(80, 128) }"),
    ("window_bias", "(x: f32[5]) { window_bias(8, 16) }"),
    ("window_mask", "(x: f32[5]) { window_mask(96, 96, 8, 4) }"),
    ("randn", "(x: f32[5]) { randn([2_000_000]) }"),
    ("pow", "(x: f32[3, 5], y: f32[3, 5]) { (x, y) |> pow }"),
    ("range", "(x: f32[5]) { range(2, 11, 3) }"),
    ("range", "(x: f32[5]) { range(700_000) }"),
    ("rearrange", "(x: f32[2, 3, 8]) { rearrange(\"b s (h e) -> b h s e\", h = 2) }"),
    ("rearrange", "(x: f32[3, 4, 5]) { rearrange(\"b ... c -> b c ...\") }"),
    ("reduce", "(x: f32[2, 3, 4]) { reduce(\"b s d -> b d\", mean) }"),
    ("reduce", "(x: f32[2, 3, 4]) { reduce(\"b s d -> d s\", sum) }"),
    ("rnn", "(x: f32[3, 5, 2]) { rnn(4, layers = 2, bidirectional = true, dropout = 0.5) }"),
    ("rnn", "(x: f32[3, 5, 2], h0: f32[1, 3, 4]) { (x, h0) |> rnn(4) }"),
    ("rnn", "(x: f32[3, 5, 2], n: i64[3]) { (x, lengths = n) |> rnn(4, layers = 2) }"),
    (
        "rnn",
        "(x: f32[3, 4, 2], h0: f32[4, 3, 4], n: i64[3]) { (x, h0, n) |> rnn(4, layers = 2, bidirectional = true) }",
    ),
    ("rnn", "(x: f32[67, 3, 5]) { rnn(33) }"),
    ("gru", "(x: f32[3, 5, 2]) { gru(4, layers = 2, bidirectional = true, dropout = 0.5) }"),
    ("gru", "(x: f32[3, 5, 2], h0: f32[1, 3, 4]) { (x, h0) |> gru(4) }"),
    ("gru", "(x: f32[3, 5, 2], n: i64[3]) { (x, lengths = n) |> gru(4, layers = 2) }"),
    (
        "gru",
        "(x: f32[3, 4, 2], h0: f32[4, 3, 4], n: i64[3]) { (x, h0, n) |> gru(4, layers = 2, bidirectional = true) }",
    ),
    ("gru", "(x: f32[67, 3, 5]) { gru(33) }"),
    ("lstm", "(x: f32[3, 5, 2]) { lstm(4, layers = 2, bidirectional = true, dropout = 0.5) }"),
    ("lstm", "(x: f32[3, 5, 2], h0: f32[1, 3, 4], c0: f32[1, 3, 4]) { (x, h0, c0) |> lstm(4) }"),
    ("lstm", "(x: f32[3, 5, 2], n: i64[3]) { (x, lengths = n) |> lstm(4, layers = 2) }"),
    (
        "lstm",
        "(x: f32[3, 4, 2], h0: f32[4, 3, 4], c0: f32[4, 3, 4], n: i64[3]) { (x, h0, c0, n) |> lstm(4, layers = 2, bidirectional = true) }",
    ),
    ("lstm", "(x: f32[67, 3, 5]) { lstm(33) }"),
    (
        "lstm",
        "(x: f32[3, 4, 2], h0: f32[4, 3, 3], c0: f32[4, 3, 5], n: i64[3]) { (x, h0, c0, n) |> lstm(5, 2, true, proj = 3) }",
    ),
    ("rnn", "(x: f32[3, 4, 2], n: i64[3]) { (x, lengths = n) |> rnn(4, 2, true, \"relu\", false) }"),
    ("einsum", "(a: f32[3, 4], b: f32[4, 5]) { (a, b) |> einsum(\"ij, jk -> ik\") }"),
    ("einsum", "(a: f32[3, 4, 2], b: f32[3, 2, 5]) { (a, b) |> einsum(\"bij, bjk -> bik\") }"),
    ("einsum", "(a: f32[4, 4]) { a |> einsum(\"ii -> i\") }"),
    ("einsum", "(a: f32[3, 4, 4]) { a |> einsum(\"bii ->\") }"),
    ("einsum", "(a: f32[2, 3, 4], b: f32[4]) { (a, b) |> einsum(\"... i, i -> ...\") }"),
    ("einsum", "(a: f32[3], b: f32[5]) { (a, b) |> einsum(\"i, j -> ij\") }"),
    ("einsum", "(a: f32[2, 2, 3, 4], b: f32[2, 2, 5, 4]) { (a, b) |> einsum(\"bhqe, bhke -> bhqk\") }"),
    ("einsum", "(a: f32[3, 2], b: f32[5, 2, 4], c: f32[3, 4]) { (a, b, c) |> einsum(\"ni, oij, nj -> no\") }"),
    ("einsum", "(a: f32[3, 5], b: f32[3, 5]) { (a, b) |> einsum(\"ij, ij -> i\") }"),
    ("einsum", "(a: f32[2, 3, 4]) { a |> einsum(\"ijk -> ki\") }"),
    ("einsum", "(a: f32[2, 3], b: f32[4]) { (a, b) |> einsum(\"i..., j -> j...i\") }"),
    ("einsum", "(a: f32[67, 131], b: f32[131, 33]) { (a, b) |> einsum(\"ij, jk -> ik\") }"),
    ("einsum", "(a: f32[0, 4], b: f32[4, 2]) { (a, b) |> einsum(\"ij, jk -> ik\") }"),
    ("einsum", "(a: f32[2, 3, 4], b: f32[3, 4, 2]) { (a, b) |> einsum(\"bij, ijb -> ji\") }"),
    ("bilinear", "(a: f32[3, 2], b: f32[3, 4]) { (a, b) |> bilinear([2, 4] -> 5) }"),
    ("bilinear", "(a: f32[67, 3], b: f32[67, 5]) { (a, b) |> bilinear(7) }"),
    ("ctc", "(x: f32[4, 3, 3], t: i64[3, 2], n: i64[3], m: i64[3]) { (x, t, n, m) |> ctc(zero_infinity = true) }"),
    (
        "ctc",
        "(x: f32[7, 3, 4], t: i64[3, 3], n: i64[3], m: i64[3]) { (x, t, n, m) |> ctc(2, true, reduction = \"none\") }",
    ),
    (
        "ctc",
        "(x: f32[5, 2, 3], t: i64[2, 2], n: i64[2], m: i64[2]) { (x |> log_softmax, t, n, m) |> ctc(zero_infinity = true, reduction = \"sum\") }",
    ),
    ("pdist", "(x: f32[7, 3]) { pdist }"),
    ("pdist", "(x: f32[5, 3]) { pdist(1) }"),
    ("pdist", "(x: f32[1, 3]) { pdist(inf) }"),
    ("sdpa", "(q: f32[2, 4, 3, 8], k: f32[2, 2, 5, 8], v: f32[2, 2, 5, 3]) { (q, k, v) |> sdpa(causal = true) }"),
    (
        "sdpa",
        "(q: f32[2, 2, 3, 4], k: f32[2, 2, 5, 4], v: f32[2, 2, 5, 4], m: bool[3, 5]) { (q, k, v, mask = m) |> sdpa }",
    ),
    (
        "sdpa",
        "(q: f32[2, 2, 3, 4], k: f32[2, 2, 5, 4], v: f32[2, 2, 5, 4], b: f32[2, 3, 5]) { (q, k, v, bias = b) |> sdpa }",
    ),
    ("sdpa", "(q: f32[1, 1, 70, 4], k: f32[1, 1, 70, 4], v: f32[1, 1, 70, 4]) { (q, k, v) |> sdpa }"),
    ("sdpa", "(q: f32[2, 4, 3, 8], k: f32[2, 2, 5, 8], v: f32[2, 2, 5, 3]) { (q, k, v) |> sdpa(dropout = 0.5) }"),
    (
        "sdpa",
        "(q: f32[2, 4, 5, 8], k: f32[2, 2, 3, 8], v: f32[2, 2, 3, 3]) { (q, k, v) |> sdpa(window = 2, alibi = true) }",
    ),
    (
        "sdpa",
        "(q: f32[2, 2, 3, 4], k: f32[2, 2, 5, 4], v: f32[2, 2, 5, 4], m: bool[3, 5]) { (q, k, v, mask = m) |> sdpa(softcap = 1, dropout = 0.5) }",
    ),
    ("squeeze", "(x: f32[3, 1, 5]) { squeeze(1) }"),
    ("unembed", "(x: f32[3, 4]) { layer e = embedding(7, 4)\nx |> unembed(e) }"),
    ("unembed", "(x: f32[2, 3, 4]) { layer e = embedding(5, 4)\nx |> unembed(e, bias = true) }"),
    ("zeros", "(x: f32[5]) { zeros([700_000]) }"),
    ("where", "(c: bool[3, 5], a: f32[3, 5], b: f32[3, 5]) { (c, a, b) |> where }"),
    ("where", "(c: bool[3, 5], a: f32[5], b: f32[2, 3, 5]) { (c, a, b) |> where }"),
    ("unembed", "(x: f32[0, 4]) { layer e = embedding(1, 4)\nx |> unembed(e) }"),
];

/// One use of an operator, as a model of its own.
#[derive(Clone)]
pub struct Sample {
    /// The operator.
    pub op: &'static OpDef,
    /// `f32[2, 3] |> softmax(axis = 0)`.
    pub shown: String,
    /// The model: inputs, one use of the operator, its outputs.
    pub model: Structured,
    /// Where the model's inputs stand among the operator's operands.
    pub attrs: Attrs,
}

/// An operand: its elements and sizes; none: absent.
type Operands = Vec<Option<(DType, Vec<i64>)>>;

/// The shapes that are tried for the first operand: scalars, sizes 0, 1 and primes on every axis, lanes with a rest.
const SHAPES: &[&[i64]] = &[
    &[],
    &[1],
    &[0],
    &[7],
    &[131],
    &[3, 5],
    &[1, 5],
    &[0, 5],
    &[3, 1],
    &[3, 0],
    &[2, 3, 5],
    &[1, 3, 5],
    &[0, 3, 5],
    &[2, 1, 5],
    &[2, 3, 1],
    &[7, 67],
    &[5, 2, 4],
    &[2, 3, 5, 4],
    &[1, 3, 5, 4],
    &[0, 3, 5, 4],
    &[2, 1, 5, 7],
    &[2, 4, 6, 6],
    &[2, 3, 4, 5, 3],
    &[1, 2, 5, 3, 4],
];

/// The shapes on which attributes are tried, each with values of its own.
const SWEPT: &[&[i64]] = &[&[4], &[3, 5], &[2, 4, 6], &[2, 4, 6, 6], &[2, 2, 3, 4, 3]];

/// What a use gives: the outputs' types, and what must hold of symbols.
pub fn outcome(
    op: &OpDef,
    shapes: &mut Shapes,
    attrs: &Attrs,
    ins: &[Option<Type>],
) -> Result<(Vec<Type>, Vec<Need>), Misfit> {
    let mut cx = RuleCx::new(shapes, attrs, ins);
    (op.rule)(&mut cx)?;
    Ok((cx.outs, cx.needs))
}

/// All uses of an operator that are tried.
pub fn samples(op: &'static OpDef) -> Vec<Sample> {
    let mut found = vec![];
    let tied = op.attrs.iter().any(|def| def.kinds.contains(&AttrKind::Layer));
    for attrs in (!tied).then(|| required(op)).into_iter().flatten() {
        for ins in operand_lists(op, SHAPES) {
            found.extend(sample(op, &attrs, &ins));
        }
    }
    for base in (!tied).then(|| required(op)).into_iter().flatten() {
        for ins in operand_lists(op, SWEPT) {
            let rank = ins.first().and_then(Option::as_ref).map_or(0, |(_, shape)| shape.len());
            for def in op.attrs.iter().filter(|def| def.default != AttrDefault::Required) {
                for value in values(def, rank) {
                    found.extend(sample(op, &base.replaced(def.name, value), &ins));
                }
            }
        }
    }
    found.extend(MORE.iter().filter(|(name, _)| *name == op.name).map(|(_, text)| told(op, text)));
    let mut seen = std::collections::HashSet::new();
    found.retain(|sample| seen.insert(sample.shown.clone()));
    // Many attributes times many shapes are more than is needed: spread over all of them.
    let step = found.len().div_ceil(MOST);
    if step > 1 {
        found.into_iter().enumerate().filter(|(i, _)| i % step == 0).map(|(_, sample)| sample).collect()
    } else {
        found
    }
}

/// The most samples of one operator.
const MOST: usize = 120;

/// All ways to give the required attributes.
fn required(op: &'static OpDef) -> Vec<Attrs> {
    let mut all = vec![Attrs::with(op.attrs, &[])];
    for def in op.attrs.iter().filter(|def| def.default == AttrDefault::Required) {
        let grow = |attrs: &Attrs| {
            values(def, 2)
                .into_iter()
                .chain(values(def, 4))
                .map(|value| attrs.replaced(def.name, value))
                .collect::<Vec<_>>()
        };
        all = all.iter().flat_map(grow).collect();
    }
    // What follows another attribute follows its new value.
    let follow = |attrs: Attrs| {
        op.attrs.iter().fold(attrs, |attrs, def| match def.default {
            AttrDefault::Same(_) => {
                let value = default(def.default, |name| Some(attrs.get(name).clone()));
                attrs.replaced(def.name, value)
            }
            _ => attrs,
        })
    };
    let mut all: Vec<Attrs> = all.into_iter().map(follow).collect();
    all.dedup();
    all
}

/// Values for an attribute where the first operand has so many axes.
fn values(def: &AttrDef, rank: usize) -> Vec<Attr> {
    let mut found: Vec<Attr> = def.kinds.iter().flat_map(|kind| of_kind(*kind, rank)).collect();
    let number = |attr: &Attr| match attr {
        Attr::Int(value) => Some(*value as f64),
        Attr::Float(value) => Some(*value),
        _ => None,
    };
    found.retain(|attr| {
        number(attr).is_none_or(|x| match def.domain {
            Domain::Any => true,
            Domain::Positive => x > 0.0,
            Domain::NonNegative => x >= 0.0,
            Domain::Probability => (0.0..=1.0).contains(&x),
            Domain::HalfOpen => (0.0..1.0).contains(&x),
            Domain::Unit => x == 1.0,
        })
    });
    found
}

fn of_kind(kind: AttrKind, rank: usize) -> Vec<Attr> {
    let ints = |values: &[i64]| values.iter().map(|&value| Attr::Int(value)).collect::<Vec<_>>();
    let list = |values: &[i64]| Attr::List(ints(values));
    let (rank_i, spatial) = (rank as i64, rank.saturating_sub(2));
    match kind {
        AttrKind::Size => ints(&[2, 3]),
        AttrKind::Int => ints(&[1, -2]),
        AttrKind::Number => vec![Attr::Float(0.25), Attr::Float(1.5)],
        AttrKind::Bool => vec![Attr::Bool(true), Attr::Bool(false)],
        AttrKind::Choice(words) => words.iter().map(|&word| Attr::Str(word.into())).collect(),
        AttrKind::PerAxis => {
            vec![Attr::Int(2), Attr::Int(3), list(&(0..spatial as i64).map(|i| 1 + i % 2).collect::<Vec<_>>())]
        }
        AttrKind::PerAxisZero => vec![Attr::Int(1), list(&(0..spatial as i64).map(|i| i % 2).collect::<Vec<_>>())],
        AttrKind::Axis => (-rank_i..rank_i).map(Attr::Int).collect(),
        AttrKind::Axes => {
            let mut axes = ints(&[0, -1, 1]);
            axes.push(list(&[0, -1]));
            axes.push(list(&(0..rank_i).rev().collect::<Vec<_>>()));
            axes.push(list(&(0..rank_i).map(|i| (i + 1) % rank_i).collect::<Vec<_>>()));
            axes
        }
        AttrKind::Shape => vec![
            list(&[-1]),
            list(&[3, -1]),
            list(&[2, 3]),
            list(&[3, -1, -1]),
            Attr::List(vec![Attr::Rest, Attr::Int(2)]),
        ],
        AttrKind::Bools => vec![Attr::List([true, false, true].map(Attr::Bool).to_vec())],
        AttrKind::Text | AttrKind::Numbers | AttrKind::Init | AttrKind::Stage | AttrKind::Layer | AttrKind::Nothing => {
            vec![]
        }
    }
}

/// Operands, the first of one of these shapes, the others made from it.
fn operand_lists(op: &'static OpDef, shapes: &[&[i64]]) -> Vec<Operands> {
    let Some((first, rest)) = op.operands.split_first() else { return vec![vec![]] };
    let mut all = vec![];
    for shape in shapes {
        for &dtype in elements(first.dtype) {
            let mut lists: Vec<Operands> = vec![vec![Some((dtype, shape.to_vec()))]];
            for operand in rest {
                let grow = |list: &Operands| grown(list, operand.dtype, operand.optional, operand.many, dtype, shape);
                lists = lists.iter().flat_map(grow).collect();
            }
            all.extend(lists);
        }
    }
    all
}

/// A list with one operand more, in all the forms that are tried.
fn grown(list: &Operands, kind: Elements, optional: bool, many: bool, first: DType, shape: &[i64]) -> Vec<Operands> {
    let with = |dtype: DType, shape: &[i64], times: usize| {
        let mut list = list.clone();
        list.extend(std::iter::repeat_n(Some((dtype, shape.to_vec())), times));
        list
    };
    let mut all = vec![];
    if optional && !many {
        all.push(list.iter().cloned().chain([None]).collect());
        return all;
    }
    if optional {
        all.push(list.clone());
    }
    let kinds = if kind == Elements::Any { vec![first, DType::I64] } else { elements(kind).to_vec() };
    for dtype in kinds {
        for other in others(shape) {
            all.push(with(dtype, &other, 1));
        }
        if many {
            all.push(with(dtype, shape, 2));
        }
    }
    all
}

/// Shapes that a second operand may have beside a first one of this shape.
fn others(shape: &[i64]) -> Vec<Vec<i64>> {
    let n = shape.len();
    let mut all = vec![shape.to_vec()];
    if n > 0 {
        all.push(shape[1..].to_vec());
        all.push(shape[..n - 1].to_vec());
        all.push([&[2], shape].concat());
    }
    if n > 1 {
        all.push([&shape[..n - 2], &[shape[n - 1], shape[n - 2]]].concat());
        all.push(vec![shape[n - 1], 3]);
        all.push([&shape[..1], &shape[2..]].concat());
        all.push([&shape[..n - 2], &[4, shape[n - 1]]].concat());
    }
    all
}

fn elements(kind: Elements) -> &'static [DType] {
    match kind {
        Elements::Float => &[DType::F32],
        Elements::Int => &[DType::I64],
        Elements::Bool => &[DType::Bool],
        Elements::Number => &[DType::F32, DType::I64],
        Elements::Any => &[DType::F32, DType::I64, DType::Bool],
    }
}

/// A use as a model, if the rule accepts it.
fn sample(op: &'static OpDef, attrs: &Attrs, operands: &Operands) -> Option<Sample> {
    let mut shapes = Shapes::default();
    let types: Vec<Option<Type>> = operands
        .iter()
        .map(|operand| {
            let (dtype, sizes) = operand.as_ref()?;
            let dims: Vec<Dim> = sizes.iter().map(|&size| shapes.dims.constant(size)).collect();
            Some(shapes.ty(*dtype, &dims))
        })
        .collect();
    // Labels have nothing to point at where there is no class.
    let full = |sizes: &[i64]| !sizes.contains(&0);
    let labels = operands.iter().skip(1).flatten().any(|(dtype, sizes)| *dtype == DType::I64 && full(sizes));
    if labels && operands.iter().flatten().any(|(_, sizes)| !full(sizes)) {
        return None;
    }
    build(op, shapes, attrs, &types, vec![]).ok()
}

/// A model of one use.
pub fn build(
    op: &'static OpDef,
    mut shapes: Shapes,
    attrs: &Attrs,
    types: &[Option<Type>],
    layers: Vec<LayerDef>,
) -> Result<Sample, Misfit> {
    let (outs, _) = outcome(op, &mut shapes, attrs, types)?;
    if outs.iter().any(|&ty| shapes.rank(ty) > MAX_RANK) {
        return Err(Misfit::of(MisfitKind::Count));
    }
    let visible = op.outputs.iter().filter(|output| !output.saved).count();
    let mut values = vec![];
    let mut value = |ty: Type| {
        values.push(ValueInfo { ty, name: None });
        ValueId(values.len() as u32 - 1)
    };
    let operands: Vec<Option<ValueId>> = types.iter().map(|ty| ty.map(&mut value)).collect();
    let outs: Vec<ValueId> = outs.into_iter().take(visible).map(value).collect();
    let port = |name: Option<String>, value: ValueId| PortDef { name, value, span: Span::default() };
    let inputs = operands.iter().flatten().enumerate().map(|(i, &value)| port(Some(format!("x{i}")), value)).collect();
    let outputs = outs.iter().map(|&value| port(None, value)).collect();
    let path = vec![Part::Name("op".into())];
    let shown = show(op, &shapes, attrs, types);
    let item = OpItem {
        op,
        attrs: attrs.clone(),
        operands,
        outs,
        path: path.clone(),
        application: path,
        gain: None,
        word: op.name.into(),
        span: Span::default(),
    };
    let model = Structured {
        name: "m".into(),
        hypers: vec![],
        shapes,
        values,
        layers,
        repeats: 0,
        inputs,
        outputs,
        body: Region { items: vec![Item::Op(item)] },
        needs: vec![],
        facts: vec![],
    };
    Ok(Sample { op, shown, model, attrs: attrs.clone() })
}

impl Sample {
    /// The types of the operator's operands.
    pub fn types(&self) -> Vec<Option<Type>> {
        let item = last_use(&self.model.body).expect("a sample uses its operator");
        item.operands.iter().map(|operand| operand.map(|value| self.model.values[value.0 as usize].ty)).collect()
    }

    /// The sizes of the operator's operands.
    pub fn sizes(&self) -> Vec<Option<Vec<i64>>> {
        let number = |dim: &Dim| self.model.shapes.dims.as_const(*dim).expect("samples have numbers for sizes");
        self.types().into_iter().map(|ty| Some(self.model.shapes.dims(ty?).iter().map(number).collect())).collect()
    }

    /// The names of the operator's parameters.
    pub fn model_params(&self) -> Vec<String> {
        let mut shapes = self.model.shapes.clone();
        let types = self.types();
        let mut cx = ParamCx { shapes: &mut shapes, attrs: &self.attrs, ins: &types, gain: None };
        (self.op.params)(&mut cx).into_iter().map(|param| param.name).collect()
    }

    /// The same use with some sizes as symbols: `symbol` names that of (operand, axis, size); none: it stays a number.
    pub fn symbolic(&self, symbol: &dyn Fn(usize, usize, i64) -> Option<String>) -> Result<Sample, Misfit> {
        let mut shapes = self.model.shapes.clone();
        let mut types = vec![];
        for (operand, (ty, sizes)) in self.types().into_iter().zip(self.sizes()).enumerate() {
            types.push(ty.zip(sizes).map(|(ty, sizes)| {
                let dim = |(axis, &size): (usize, &i64)| match symbol(operand, axis, size) {
                    Some(name) => shapes.dims.symbol(&name),
                    None => shapes.dims.constant(size),
                };
                let dims: Vec<Dim> = sizes.iter().enumerate().map(dim).collect();
                shapes.ty(ty.dtype, &dims)
            }));
        }
        build(self.op, shapes, &self.attrs, &types, self.model.layers.clone())
    }

    /// The same use over any number of samples: axis 0 of the operands that share it is the symbol `B`. None where the
    /// first axis is not one that may vary. `leading`: the outputs have it in front, too, or behind one axis.
    pub fn along_batch(&self, leading: bool) -> Option<Sample> {
        let sizes = self.sizes();
        let first = *sizes.first()?.as_ref()?.first()?;
        if first < 2 {
            return None;
        }
        // Or the second axis of operands that have something else in front (states of recurrent layers, time).
        let attempts: [&dyn Fn(usize, usize, i64) -> Option<String>; 3] = [
            &|_, axis, size| (axis == 0 && size == first).then(|| "B".into()),
            &|operand, axis, _| (axis == 0 && operand == 0).then(|| "B".into()),
            &|operand, axis, size| {
                let inner = operand > 0 && axis == 1 && size == first;
                (inner || (axis == 0 && (operand == 0 || size == first))).then(|| "B".into())
            },
        ];
        attempts.iter().find_map(|symbol| {
            let batched = self.symbolic(symbol).ok()?;
            let mut shapes = batched.model.shapes.clone();
            let (outs, needs) = outcome(self.op, &mut shapes, &self.attrs, &batched.types()).ok()?;
            // What must hold for one number of samples only is no batch, nor is what parameters depend on.
            let is_batch = |dim: &Dim| shapes.dims.show(*dim) == "B";
            let leads = |ty: &Type| {
                let symbolic = shapes.dims(*ty).iter().enumerate().filter(|(_, dim)| shapes.dims.is_symbolic(**dim));
                matches!(symbolic.collect::<Vec<_>>().as_slice(), [(0 | 1, dim)] if is_batch(dim))
            };
            if !needs.is_empty() || (leading && !outs.iter().all(leads)) {
                return None;
            }
            let types = batched.types();
            let mut cx = ParamCx { shapes: &mut shapes, attrs: &self.attrs, ins: &types, gain: None };
            let params = (self.op.params)(&mut cx);
            let fixed = params.iter().flat_map(|param| &param.dims).all(|dim| !shapes.dims.is_symbolic(*dim));
            fixed.then_some(batched)
        })
    }
}

fn show(op: &OpDef, shapes: &Shapes, attrs: &Attrs, types: &[Option<Type>]) -> String {
    let ins: Vec<String> = types.iter().map(|ty| ty.map_or("_".into(), |ty| shapes.show(ty))).collect();
    format!("({}) |> {}{}", ins.join(", "), op.name, wythe::ir::graph::show_attrs(attrs, shapes))
}

/// A sample of the table.
fn told(op: &'static OpDef, text: &str) -> Sample {
    let model = model::model(&format!("model m : {text}")).unwrap_or_else(|report| panic!("{text}: {report}"));
    let attrs = last_use(&model.body).filter(|item| std::ptr::eq(item.op, op)).map(|item| item.attrs.clone());
    let attrs = attrs.unwrap_or_else(|| panic!("{text} does not end with {}", op.name));
    Sample { op, shown: text.into(), model, attrs }
}

/// The last operator of a model.
pub fn last_use(region: &Region) -> Option<&OpItem> {
    region.items.iter().rev().find_map(|item| match item {
        Item::Op(item) => Some(item),
        Item::Scope(scope) => last_use(&scope.region),
        Item::Repeat(repeat) => repeat.runs.last().and_then(|run| last_use(&run.region)),
    })
}
