//! Losses that are satisfied once a margin is kept.

use super::activation::{RELU, SOFTPLUS_EXACT};
use super::arithmetic::{MAP_MINIMUM, SQUARE};
use super::distance::{cosine_of, distance};
use super::function::MAP_EQ;
use super::index::{chosen, one_hot, scattered, taken};
use super::logic::{choose, number};
use super::loss::{MIXES, REDUCTION, WEIGHT, equal_rows, reduced, weights};
use super::regression::{finished, pointwise};
use super::scan::CUMSUM_LAST;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Domain};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::Dims;
use crate::ir::op::{Body, Facts, Misfit, OpDef, Operand, RuleCx, Why};
use crate::tensor::DType;

const fn margin(default: f64) -> AttrDef {
    AttrDef::new("margin", &[AttrKind::Number], AttrDefault::Float(default), "what must be kept")
}
const X_Y: &[Operand] = &[Operand::float("x"), Operand::float("y")];
const PAIRED: &[Operand] = &[Operand::float("x1"), Operand::float("x2"), Operand::float("y")];
const TRIPLE: &[Operand] = &[Operand::float("anchor"), Operand::float("positive"), Operand::float("negative")];

fn margin_of(cx: &ExpandCx<'_, '_>) -> f64 {
    cx.attrs.float("margin").unwrap_or(0.0)
}

/// 0 where a sign is this, 1 elsewhere.
fn unless<'g>(y: Var<'g>, sign: f64) -> Var<'g> {
    1.0 - y.then(&MAP_EQ, &[("value", Attr::Float(sign))])
}

/// Rows of x, and a label each.
fn labelled_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.rank(0, 1, 7)?;
    let last = dims.len() - 1;
    equal_rows(cx, 1, &dims[..last])?;
    class_weight(cx, 2)?;
    if !matches!(cx.attrs.int("p"), Some(1 | 2)) {
        return Err(cx.bad_attr("p", "must be 1 or 2"));
    }
    cx.at_least(0, last, dims[last], Dims::ONE, Why::Classes)?;
    reduced(cx, &dims[..last]);
    Ok(())
}

/// Rows of x, and a label (or a share) for each class.
fn many_labels_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.rank(0, 1, 6)?;
    let last = dims.len() - 1;
    equal_rows(cx, 1, &dims)?;
    class_weight(cx, 2)?;
    cx.at_least(0, last, dims[last], Dims::ONE, Why::Classes)?;
    reduced(cx, &dims[..last]);
    Ok(())
}

fn class_weight(cx: &mut RuleCx<'_>, index: usize) -> Result<(), Misfit> {
    if cx.ins.get(index).copied().flatten().is_some() {
        let (dims, own) = (cx.dims(0)?, cx.rank(index, 1, 1)?);
        cx.equal(index, 0, own[0], dims[dims.len() - 1], Why::Classes)?;
    }
    Ok(())
}

/// The mean over the last axis.
fn over_classes<'g>(each: Var<'g>) -> Var<'g> {
    each.mean(&[each.rank() - 1], false)
}

fn multi_margin<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (x, target) = (cx.x(0), cx.x(1));
    let (dims, last) = (x.dims(), x.rank() - 1);
    let mut column = target.dims();
    column.push(Dims::ONE);
    let own = taken(x, target.reshape(&column), last).reshape(&dims[..last]).spread(&dims, &[last]);
    let short = (x - own + margin_of(cx)).op(&RELU);
    let mut short = if cx.attrs.int("p") == Some(2) { short.op(&SQUARE) } else { short };
    if let Some(weight) = weights(cx) {
        let flat = target.fold_from(0);
        let weight = chosen(weight, flat, 0).reshape(&dims[..last]);
        short = short * weight.spread(&dims, &[last]);
    }
    let others = choose(one_hot(target, dims[last], DType::Bool), number(cx.builder, x.dtype(), 0.0), short);
    finished(cx, over_classes(others))
}

/// Each labelled class against each that is not: [.., labels, classes].
fn multilabel_margin<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (x, target) = (cx.x(0), cx.x(1));
    let (dims, last) = (x.dims(), x.rank() - 1);
    // Labels count up to the first -1.
    let ends = target.then(&super::logic::LT, &[("value", Attr::Float(0.0))]).to(x.dtype());
    let valid = ends.op(&CUMSUM_LAST).then(&MAP_EQ, &[("value", Attr::Float(0.0))]);
    let label = super::activation::at_least(target, 0.0);
    let labelled = scattered(label, valid, last, &dims);
    let other = labelled.then(&MAP_EQ, &[("value", Attr::Float(0.0))]);
    let mut square = dims.clone();
    square.push(dims[last]);
    let down = |value: Var<'g>| value.spread(&square, &[last + 1]);
    let across = |value: Var<'g>| value.spread(&square, &[last]);
    let short = (across(x) - down(taken(x, label, last)) + 1.0).op(&RELU);
    let counted = short * down(valid) * across(other);
    finished(cx, over_classes(counted.sum(&[last + 1], false)))
}

fn multilabel_soft_margin<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (x, t) = (cx.x(0), cx.x(1));
    let cost = t * (-x).op(&SOFTPLUS_EXACT) + (1.0 - t) * x.op(&SOFTPLUS_EXACT);
    let cost = weights(cx).map_or(cost, |weight| cost * weight);
    finished(cx, over_classes(cost))
}

fn triplet<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let far = |a: usize, b: usize| {
        let (p, eps) = (cx.attrs.float("p").unwrap_or(2.0), cx.attrs.float("eps").unwrap_or(1e-6));
        distance(cx.x(a), cx.x(b), p, eps)
    };
    let mut negative = far(0, 2);
    if cx.attrs.flag("swap") {
        negative = negative.with(far(1, 2), &MAP_MINIMUM, &[]);
    }
    finished(cx, (far(0, 1) - negative + margin_of(cx)).op(&RELU))
}

/// The rule of rows that are compared: the last axis goes.
fn rows_rule(cx: &mut RuleCx<'_>, more: usize) -> Result<(), Misfit> {
    let dims = cx.rank(0, 1, 8)?;
    let last = dims.len() - 1;
    for index in 1..cx.ins.len() {
        let wanted = if index < more { &dims[..] } else { &dims[..last] };
        equal_rows(cx, index, wanted)?;
    }
    reduced(cx, &dims[..last]);
    Ok(())
}

ops! { OPS;

/// x itself for y = 1, the rest of the margin for y = -1: distances of pairs that are alike or not.
HINGE_EMBEDDING = OpDef {
    derivative: "dx = dy / n * ([y ≠ -1] - [y ≠ 1] * [x < margin]); of the sign y nothing",
    torch: "nn.HingeEmbeddingLoss",
    example: "x: f32[2] = [0.5, 0.25], y: f32[2] = [1, -1] -> 0.625",
    attrs: &[margin(1.0), REDUCTION],
    facts: Facts { kinks: &[0.25, 1.0, 1.5], ..MIXES },
    body: Body::Expand(|cx| {
        let (x, y) = (cx.x(0), cx.x(1));
        let short = (margin_of(cx) - x).op(&RELU);
        finished(cx, unless(y, 1.0) * short + unless(y, -1.0) * x)
    }),
    ..pointwise("hinge_embedding", "mean (x if y = 1, max(0, margin - x) if y = -1)", X_Y)
};

/// The logistic loss of a score and a sign, y = ±1, without overflow.
SOFT_MARGIN = OpDef {
    derivative: "dx = -dy * y * sigmoid(-x * y) / n; of the sign y likewise, with x and y exchanged",
    torch: "nn.SoftMarginLoss",
    example: "x: f32[2] = [0, 0], y: f32[2] = [1, -1] -> 0.6931472",
    body: Body::Expand(|cx| finished(cx, (-(cx.x(0) * cx.x(1))).op(&SOFTPLUS_EXACT))),
    ..pointwise("soft_margin", "mean ln(1 + e^(-y x))", X_Y)
};

/// Whether the first should rank above the second (y = 1) or below (y = -1), by a margin.
MARGIN_RANKING = OpDef {
    derivative: "dx1 = -dy * y / n if margin - y * (x1 - x2) > 0, else 0; dx2 = dy * y / n if margin - y * (x1 - x2) \
        > 0, else 0; of the sign y: -dy * (x1 - x2) / n where that holds",
    shape: "(x1 [..], x2 [..], y [..]) -> []",
    torch: "nn.MarginRankingLoss",
    example: "x1: f32[2] = [1, 2], x2: f32[2] = [3, 1], y: f32[2] = [1, 1] -> 1",
    attrs: &[margin(0.0), REDUCTION],
    body: Body::Expand(|cx| {
        let short = (-(cx.x(2) * (cx.x(0) - cx.x(1))) + margin_of(cx)).op(&RELU);
        finished(cx, short)
    }),
    ..pointwise("margin_ranking", "mean max(0, -y (x1 - x2) + margin)", PAIRED)
};

/// Every other class must stay a margin below the true one; p = 2 squares what is missing.
MULTI_MARGIN = OpDef {
    derivative: "each other class that comes within the margin gets dy * w / C (p = 2: twice what is missing times \
        that), the true one minus their sum; 0 at the margin",
    shape: "(x [.., C], target i64[..]) -> []",
    source: "Crammer and Singer 2001",
    torch: "nn.MultiMarginLoss",
    example: "x: f32[1, 3] = [1, 2, 0.5], target: i64[1] = [0] -> 0.8333333",
    attrs: &[
        AttrDef::new("p", &[AttrKind::Int], AttrDefault::Int(1), "1 or 2"), margin(1.0), WEIGHT, REDUCTION,
    ],
    operands: &[Operand::float("x"), Operand::int("target"), Operand::float("weight").optional()],
    rule: labelled_rule,
    body: Body::Expand(multi_margin),
    ..pointwise("multi_margin", "mean sum_(j ≠ t) w_t max(0, margin - x_t + x_j)^p / C", X_Y)
};

/// Every labelled class must stay 1 above every other; a row's labels end with the first -1.
MULTILABEL_MARGIN = OpDef {
    derivative: "each class that is no label and comes within 1 of a label gets dy / C, the label minus that; 0 at \
        the margin",
    shape: "(x [.., C], target i64[.., C]) -> []",
    torch: "nn.MultiLabelMarginLoss",
    example: "x: f32[1, 3] = [1, 2, 0.5], target: i64[1, 3] = [0, -1, 2] -> 0.8333333",
    operands: &[Operand::float("x"), Operand::int("target")],
    rule: many_labels_rule,
    body: Body::Expand(multilabel_margin),
    ..pointwise("multilabel_margin", "mean sum_ij max(0, 1 - (x_ti - x_j)) / C, j no label", X_Y)
};

/// Binary cross entropy of each class by its logit, averaged over the classes.
MULTILABEL_SOFT_MARGIN = OpDef {
    derivative: "dx = dy * (sigmoid(x) - target) / n",
    shape: "(x [.., C], target f32[.., C]) -> []",
    torch: "nn.MultiLabelSoftMarginLoss",
    example: "x: f32[1, 2] = [0, 0], target: f32[1, 2] = [1, 0] -> 0.6931472",
    attrs: &[WEIGHT, REDUCTION],
    operands: &[Operand::float("x"), Operand::float("target"), Operand::float("weight").optional()],
    rule: many_labels_rule,
    body: Body::Expand(multilabel_soft_margin),
    ..pointwise("multilabel_soft_margin", "mean -w (t ln sigmoid(x) + (1 - t) ln sigmoid(-x))", X_Y)
};

/// An anchor must be a margin nearer to its positive than to its negative. With `swap` the negative's distance from the
/// positive counts where it is smaller.
TRIPLET_MARGIN = OpDef {
    derivative: "where the margin is missed: that of the distance to the positive minus that of the distance to the \
        negative; 0 where it is kept, and at it",
    shape: "(anchor [.., d], positive [.., d], negative [.., d]) -> []",
    source: "Balntas et al. 2016",
    torch: "nn.TripletMarginLoss",
    example: "anchor: f32[1, 1] = [0], positive: f32[1, 1] = [2], negative: f32[1, 1] = [1] -> 2",
    attrs: &[
        margin(1.0),
        AttrDef::new("p", &[AttrKind::Number], AttrDefault::Float(2.0), "the order of the norm"),
        AttrDef::new("eps", &[AttrKind::Number], AttrDefault::Float(1e-6), "added to each difference").within(Domain::NonNegative).named(),
        AttrDef::new("swap", &[AttrKind::Bool], AttrDefault::Bool(false), "whether the positive may stand for the anchor").named(),
        REDUCTION,
    ],
    rule: |cx| rows_rule(cx, 3),
    body: Body::Expand(triplet),
    ..pointwise("triplet_margin", "mean max(0, |a - p| - |a - n| + margin)", TRIPLE)
};

/// One minus the cosine for y = 1, what of it exceeds the margin for y = -1.
COSINE_EMBEDDING = OpDef {
    derivative: "minus that of the cosine for y = 1, that of the cosine for y = -1 while it exceeds the margin",
    shape: "(x1 [.., d], x2 [.., d], y [..]) -> []",
    torch: "nn.CosineEmbeddingLoss",
    example: "x1: f32[1, 2] = [1, 0], x2: f32[1, 2] = [0, 1], y: f32[1] = [1] -> 1",
    attrs: &[margin(0.0), REDUCTION],
    rule: |cx| rows_rule(cx, 2),
    body: Body::Expand(|cx| {
        let (cosine, y) = (cosine_of(cx.x(0), cx.x(1)), cx.x(2));
        let over = (cosine - margin_of(cx)).op(&RELU);
        finished(cx, unless(y, -1.0) * (1.0 - cosine) + unless(y, 1.0) * over)
    }),
    ..pointwise("cosine_embedding", "mean (1 - cos if y = 1, max(0, cos - margin) if y = -1)", PAIRED)
};

}
