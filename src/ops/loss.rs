//! Losses and metrics.

use super::index::{scattered, taken};
use super::logic::{EQ, choose, number};
use super::reduce::{LOG_SOFTMAX_LAST, bare};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    ArgsCx, Body, Elements, Facts, Gradient, Misfit, MisfitKind, OpDef, Operand, Output, RuleCx, Why, resolve_axis,
};
use crate::kernels::call::Args;
use crate::kernels::{guard, loss};
use crate::tensor::DType;

const AXIS: AttrDef = AttrDef::new("axis", &[AttrKind::Axis], AttrDefault::Int(-1), "the axis of the classes");
const IGNORE: AttrDef =
    AttrDef::new("ignore_index", &[AttrKind::Int], AttrDefault::Int(-100), "a target that does not count");
const SMOOTHING: AttrDef =
    AttrDef::new("label_smoothing", &[AttrKind::Number], AttrDefault::Float(0.0), "how much all classes share")
        .within(Domain::Probability);
pub(super) const WEIGHT: AttrDef =
    AttrDef::new("weight", &[AttrKind::Numbers], AttrDefault::None, "a weight a class, in place of the operand")
        .named();
pub(super) const REDUCTION: AttrDef = AttrDef::new(
    "reduction",
    &[AttrKind::Choice(&["mean", "sum", "none"])],
    AttrDefault::Str("mean"),
    "how rows become one number",
)
.named();

/// Losses are no rows: a row's share depends on the number of rows.
pub(super) const MIXES: Facts = Facts { mixes_rows: true, ..Facts::NONE };

/// The shape of targets: without the class axis.
fn rows_of(dims: &[Dim], axis: usize) -> Vec<Dim> {
    dims.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, &dim)| dim).collect()
}

pub(super) fn reduced(cx: &mut RuleCx<'_>, rows: &[Dim]) {
    let dims = if cx.attrs.str("reduction") == Some("none") { rows } else { &[] };
    let dtype = DType::F32;
    let dtype = cx.ins[0].map_or(dtype, |ty| ty.dtype);
    cx.out_of(dtype, dims);
}

pub(super) fn equal_rows(cx: &mut RuleCx<'_>, index: usize, wanted: &[Dim]) -> Result<(), Misfit> {
    let found = cx.dims(index)?;
    if found.len() != wanted.len() {
        let rank = MisfitKind::Rank { least: wanted.len(), most: wanted.len() };
        return Err(Misfit { operand: Some(index), ..Misfit::of(rank) });
    }
    for (axis, (&found, &wanted)) in found.iter().zip(wanted).enumerate() {
        cx.equal(index, axis, found, wanted, Why::Rows)?;
    }
    Ok(())
}

fn class_weight(cx: &mut RuleCx<'_>, classes: Dim) -> Result<(), Misfit> {
    if cx.ins.get(2).copied().flatten().is_some() {
        let dims = cx.rank(2, 1, 1)?;
        cx.equal(2, 0, dims[0], classes, Why::Classes)?;
    }
    Ok(())
}

fn classes_rule(cx: &mut RuleCx<'_>, probabilities: bool) -> Result<(), Misfit> {
    let dims = cx.rank(0, 1, 8)?;
    let axis = cx.axis("axis", dims.len())?;
    let rows = rows_of(&dims, axis);
    let target = cx.operand(1)?;
    if target.dtype.is_float() {
        if !probabilities {
            return Err(Misfit { operand: Some(1), ..Misfit::of(MisfitKind::Elements(Elements::Int)) });
        }
        equal_rows(cx, 1, &dims)?;
    } else {
        equal_rows(cx, 1, &rows)?;
    }
    class_weight(cx, dims[axis])?;
    reduced(cx, &rows);
    Ok(())
}

/// The class axis moved to the end.
fn classes_last<'g>(cx: &ExpandCx<'_, 'g>, value: Var<'g>) -> Var<'g> {
    let rank = cx.x(0).rank();
    value.axis_last(cx.attrs.int("axis").and_then(|axis| resolve_axis(axis, rank)).unwrap_or(rank - 1))
}

/// The class weights: the operand, or the list.
pub(super) fn weights<'g>(cx: &ExpandCx<'_, 'g>) -> Option<Var<'g>> {
    if let Some(weight) = cx.maybe(2) {
        return Some(weight);
    }
    let Attr::List(items) = cx.attrs.get("weight") else { return None };
    let number = |item: &Attr| match item {
        Attr::Int(value) => *value as f64,
        Attr::Float(value) => *value,
        _ => 1.0,
    };
    let one = |value: f64| {
        let given = [("shape", crate::ir::build::shape_attr(&[Dims::ONE])), ("value", Attr::Float(value))];
        let fill = &super::source::FILL;
        cx.builder.apply(fill, Attrs::with(fill.attrs, &given), &[])[0].to(cx.x(0).dtype())
    };
    let parts: Vec<Var<'g>> = items.iter().map(|item| one(number(item))).collect();
    Some(super::movement::concat(&parts, 0))
}

/// Rows to one number: the mean divides by the rows' weights.
pub(super) fn reduce_rows<'g>(cx: &ExpandCx<'_, 'g>, rows: Var<'g>, weight: Option<Var<'g>>) -> Var<'g> {
    match (cx.attrs.str("reduction"), weight) {
        (Some("none"), _) => rows,
        (Some("sum"), _) => rows.sum_all(),
        (_, Some(weight)) => rows.sum_all() / weight.sum_all(),
        (_, None) => {
            let axes: Vec<usize> = (0..rows.rank()).collect();
            rows.mean(&axes, false)
        }
    }
}

fn cross_entropy<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let logits = classes_last(cx, cx.x(0));
    let weight = weights(cx);
    if cx.x(1).dtype().is_float() {
        return vec![soft_targets(cx, logits, classes_last(cx, cx.x(1)), weight)];
    }
    let given = [
        ("ignore_index", cx.attrs.get("ignore_index").clone()),
        ("label_smoothing", cx.attrs.get("label_smoothing").clone()),
    ];
    let attrs = Attrs::with(CE_ROWS.attrs, &given);
    let rows = cx.builder.apply(&CE_ROWS, attrs, &[Some(logits), Some(cx.x(1)), weight]);
    vec![reduce_rows(cx, rows[0], Some(rows[1]))]
}

/// Targets that are probabilities: -Σ w·t·log_softmax(z), smoothed towards 1/C; the mean is over rows.
fn soft_targets<'g>(cx: &ExpandCx<'_, 'g>, logits: Var<'g>, target: Var<'g>, weight: Option<Var<'g>>) -> Var<'g> {
    let smoothing = cx.attrs.float("label_smoothing").unwrap_or(0.0);
    let dims = logits.dims();
    let last = dims.len() - 1;
    let target = match smoothing {
        0.0 => target,
        s => target * (1.0 - s) + s / target.size(dims[last]),
    };
    let mut terms = target * logits.op(&LOG_SOFTMAX_LAST);
    if let Some(weight) = weight {
        terms = terms * weight;
    }
    reduce_rows(cx, -terms.sum(&[last], false), None)
}

fn row_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.ints[0] = cx.attrs.int("ignore_index").unwrap_or(-100) as i32;
    args.nums[0] = cx.attrs.float("label_smoothing").unwrap_or(0.0);
    args
}

fn rows_rule(cx: &mut RuleCx<'_>, outputs: usize) -> Result<(), Misfit> {
    let dims = cx.rank(0, 1, 8)?;
    equal_rows(cx, 1, &dims[..dims.len() - 1])?;
    class_weight(cx, dims[dims.len() - 1])?;
    let dtype = cx.operand(0)?.dtype;
    for _ in 0..outputs {
        cx.out_of(dtype, &dims[..dims.len() - 1]);
    }
    Ok(())
}

fn ce_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let ins = [Some(cx.x(0)), Some(cx.x(1)), cx.maybe(2), Some(cx.y(2)), Some(cx.dy())];
    let dlogits = cx.when(0, || cx.builder.apply(&CE_ROWS_GRAD, cx.attrs.clone(), &ins)[0]);
    let dweight = || {
        let costs = -cx.x(0).as_rows().op(&LOG_SOFTMAX_LAST);
        let smoothing = cx.attrs.float("label_smoothing").unwrap_or(0.0);
        let (own, counted) = class_shares(cx, costs, 1.0 - smoothing);
        match smoothing {
            0.0 => own,
            s => own + (costs * counted.spread(&costs.dims(), &[1])).sum(&[0], false) * s / costs.size(costs.dims()[1]),
        }
    };
    vec![dlogits, None, cx.when(2, dweight)]
}

/// What the rows say of the weights of their classes, each by its own target; and the gradients of the rows that count.
///
/// A row's loss is its weight times `share` of the cost of its class; its weight is an output of its own.
fn class_shares<'g>(cx: &GradCx<'_, 'g>, costs: Var<'g>, share: f64) -> (Var<'g>, Var<'g>) {
    let (target, dims, zero) = (cx.x(1).fold_from(0), costs.dims(), number(cx.builder, costs.dtype(), 0.0));
    let ignored = target.then(&EQ, &[("value", cx.attrs.get("ignore_index").clone())]);
    // The number of a row that does not count may be none of a class.
    let class = choose(ignored, number(cx.builder, DType::I64, 0.0), target);
    let counting = |rows: Var<'g>| choose(ignored, zero, rows.fold_from(0));
    let dloss = counting(cx.dy());
    let cost = taken(costs, class.reshape(&[dims[0], Dims::ONE]), 1).reshape(&dims[..1]);
    let own = dloss * cost * share;
    let own = cx.grads[1].map_or(own, |dweight| own + counting(dweight));
    (scattered(class, own, 0, &dims[1..]), dloss)
}

const ROWS: &[AttrDef] = &[IGNORE, SMOOTHING];
const LOGITS_TARGET: &[Operand] =
    &[Operand::float("logits"), Operand::int("target"), Operand::float("weight").optional()];
const PREDICTION: &[Operand] = &[Operand::float("input"), Operand::float("target")];

ops! { OPS;

/// How surprised the predicted distribution is by the true class: nll(log_softmax(logits)), without its overflow.
///
/// Takes *logits*: softmax before it confines the loss. Classes on the last axis (**differs** from PyTorch's axis 1:
/// `axis = 1` says so). The mean divides by the sum of the targets' weights over what is not ignored. f32 targets are
/// probabilities; their mean is over rows. Weights of the classes that are learned have their gradient, which PyTorch
/// does not give.
CROSS_ENTROPY = OpDef {
    derivative: "dlogits = dy * (softmax(logits) - [i = target]); targets that are probabilities: dy * \
        (softmax(logits) * sum of target - target); of a mean times the row's weight over the sum of \
        weights; 0 in rows that are ignored",
    name: "cross_entropy",
    formula: "mean_r w_t (lse(z_r) - z_rt)",
    shape: "(logits [.., C], target i64[..]) -> []",
    torch: "nn.CrossEntropyLoss",
    example: "logits: f32[1, 2] = [0, 0], target: i64[1] = [1] -> 0.6931472",
    attrs: &[AXIS, IGNORE, SMOOTHING, WEIGHT, REDUCTION],
    operands: &[Operand::float("logits"), Operand::any("target"), Operand::float("weight").optional()],
    rule: |cx| classes_rule(cx, true),
    facts: MIXES,
    body: Body::Expand(cross_entropy),
    ..OpDef::DEFAULT
};

/// The negative log-likelihood of the true class; takes *log*-probabilities.
NLL = OpDef {
    derivative: "dlogprobs = -dy * [i = target]; of a mean times the row's weight over the sum of weights; 0 in rows \
        that are ignored",
    name: "nll",
    formula: "mean_r -w_t logp_rt",
    shape: "(logprobs [.., C], target i64[..]) -> []",
    torch: "nn.NLLLoss",
    example: "logprobs: f32[1, 2] = [-1, -2], target: i64[1] = [1] -> 2",
    attrs: &[AXIS, IGNORE, WEIGHT, REDUCTION],
    operands: &[Operand::float("logprobs"), Operand::int("target"), Operand::float("weight").optional()],
    rule: |cx| classes_rule(cx, false),
    facts: MIXES,
    body: Body::Expand(|cx| {
        let logprobs = classes_last(cx, cx.x(0));
        let attrs = Attrs::with(NLL_ROWS.attrs, &[("ignore_index", cx.attrs.get("ignore_index").clone())]);
        let rows = cx.builder.apply(&NLL_ROWS, attrs, &[Some(logprobs), Some(cx.x(1)), weights(cx)]);
        vec![reduce_rows(cx, rows[0], Some(rows[1]))]
    }),
    ..OpDef::DEFAULT
};

/// The mean squared difference; the two shapes must be equal.
MSE = OpDef {
    derivative: "dinput = 2 * dy * (input - target) / n; dtarget = -2 * dy * (input - target) / n",
    name: "mse",
    formula: "mean (input - target)^2",
    shape: "([..], [..]) -> []",
    torch: "nn.MSELoss",
    example: "input: f32[2] = [1, 2], target: f32[2] = [3, 2] -> 2",
    attrs: &[REDUCTION],
    operands: PREDICTION,
    rule: |cx| {
        let dims = cx.dims(0)?;
        equal_rows(cx, 1, &dims)?;
        reduced(cx, &dims);
        Ok(())
    },
    facts: MIXES,
    body: Body::Expand(|cx| vec![reduce_rows(cx, (cx.x(0) - cx.x(1)).op(&super::arithmetic::SQUARE), None)]),
    ..OpDef::DEFAULT
};

/// The cost of a yes or no by its logit: cross entropy of two classes, without the overflow of a sigmoid before it.
///
/// `weight` counts elements, `pos_weight` the yes of each; both have the shape of the logits, or its last axes.
BCE_WITH_LOGITS = OpDef {
    derivative: "dlogits = dy * (sigmoid(logits) - target) / n; dtarget = -dy * logits / n",
    name: "bce_with_logits",
    formula: "mean w ((1 - t) z + (1 + (pos_weight - 1) t) ln(1 + e^-z))",
    shape: "(logits [..], target f32[..]) -> []",
    torch: "nn.BCEWithLogitsLoss",
    example: "logits: f32[2] = [0, 0], target: f32[2] = [1, 0.5] -> 0.6931472",
    attrs: &[REDUCTION],
    operands: &[
        Operand::float("logits"), Operand::float("target"), Operand::float("weight").optional(),
        Operand::float("pos_weight").optional(),
    ],
    rule: |cx| {
        let dims = cx.dims(0)?;
        equal_rows(cx, 1, &dims)?;
        for index in 2..cx.ins.len() {
            if let Some(ty) = cx.ins[index] {
                let rank = cx.shapes.rank(ty).min(dims.len());
                equal_rows(cx, index, &dims[dims.len() - rank..])?;
            }
        }
        reduced(cx, &dims);
        Ok(())
    },
    facts: MIXES,
    body: Body::Expand(|cx| {
        let (z, t) = (cx.x(0), cx.x(1));
        let yes = (-z).op(&super::activation::SOFTPLUS_EXACT);
        let yes = match cx.maybe(3) {
            Some(positive) => (t * (positive - 1.0) + 1.0) * yes,
            None => yes,
        };
        let each = (1.0 - t) * z + yes;
        let each = cx.maybe(2).map_or(each, |weight| each * weight);
        vec![reduce_rows(cx, each, None)]
    }),
    ..OpDef::DEFAULT
};

/// The share of rows whose largest logit is the true class; ties go to the first.
ACCURACY = OpDef {
    name: "accuracy",
    formula: "mean_r [argmax z_r = t_r]",
    shape: "(logits [.., C], target i64[..]) -> []",
    example: "logits: f32[1, 2] = [0, 1], target: i64[1] = [1] -> 1",
    attrs: &[AXIS, IGNORE],
    operands: &[Operand::float("logits"), Operand::int("target")],
    rule: |cx| classes_rule(cx, false),
    facts: MIXES,
    body: Body::Expand(|cx| {
        let attrs = Attrs::with(HITS.attrs, &[("ignore_index", cx.attrs.get("ignore_index").clone())]);
        let hits = cx.builder.apply(&HITS, attrs, &[Some(classes_last(cx, cx.x(0))), Some(cx.x(1))]);
        vec![hits[0].sum_all() / hits[1].sum_all()]
    }),
    ..OpDef::DEFAULT
};

/// Cross entropy of each row, its weight, and the logarithm of its sum of exp(z - largest).
CE_ROWS = OpDef {
    name: "loss.cross_entropy",
    attrs: ROWS,
    operands: LOGITS_TARGET,
    outputs: &[Output::main("loss"), Output::main("weight"), Output::saved("log")],
    rule: |cx| rows_rule(cx, 3),
    body: Body::Kernel { kernel: &loss::CROSS_ENTROPY, args: row_args },
    gradient: Gradient::Formula(ce_gradient),
    ..OpDef::DEFAULT
};

/// Its gradient.
CE_ROWS_GRAD = OpDef {
    name: "loss.cross_entropy'",
    attrs: ROWS,
    operands: &[
        Operand::float("logits"), Operand::int("target"), Operand::float("weight").optional(), Operand::float("log"),
        Operand::float("dloss"),
    ],
    body: Body::Kernel { kernel: &loss::CROSS_ENTROPY_GRAD, args: row_args },
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// Negative log-likelihood of each row, and its weight.
NLL_ROWS = OpDef {
    name: "loss.nll",
    attrs: ROWS,
    operands: LOGITS_TARGET,
    outputs: &[Output::main("loss"), Output::main("weight")],
    rule: |cx| rows_rule(cx, 2),
    body: Body::Kernel { kernel: &loss::NLL, args: row_args },
    gradient: Gradient::Formula(|cx| {
        let shape = crate::ir::build::shape_attr(&cx.x(0).dims());
        let attrs = Attrs::with(NLL_ROWS_GRAD.attrs, &[("ignore_index", cx.attrs.get("ignore_index").clone()), ("shape", shape)]);
        let ins = [Some(cx.x(1)), cx.maybe(2), Some(cx.dy())];
        let dlogprobs = cx.when(0, || cx.builder.apply(&NLL_ROWS_GRAD, attrs, &ins)[0]);
        vec![dlogprobs, None, cx.when(2, || class_shares(cx, -cx.x(0).as_rows(), 1.0).0)]
    }),
    ..OpDef::DEFAULT
};

/// Its gradient.
NLL_ROWS_GRAD = OpDef {
    name: "loss.nll'",
    attrs: &[IGNORE, AttrDef::required("shape", &[AttrKind::Shape], "of the log-probabilities")],
    operands: &[Operand::int("target"), Operand::float("weight").optional(), Operand::float("dloss")],
    rule: super::conv::told_shape,
    body: Body::Kernel { kernel: &loss::NLL_GRAD, args: row_args },
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// 1 for each row that is right, and 1 for each that counts.
HITS = OpDef {
    name: "loss.hits",
    attrs: &[IGNORE],
    operands: &[Operand::float("logits"), Operand::int("target")],
    outputs: &[Output::main("hit"), Output::main("counted")],
    rule: |cx| rows_rule(cx, 2),
    body: Body::Kernel { kernel: &loss::ACCURACY_ROWS, args: row_args },
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// Stops the run, before anything is changed, where the loss is not finite.
GUARD = OpDef {
    name: "loss.guard",
    body: bare(&guard::GUARD),
    facts: Facts { stops: true, ..Facts::NONE },
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy())]),
    ..OpDef::DEFAULT
};

}
