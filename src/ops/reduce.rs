//! Along an axis: sums, means, softmax.

use super::arithmetic::elementwise;
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{ArgsCx, Body, Facts, Gradient, Misfit, OpDef, Operand, RuleCx, resolve_axis};
use crate::kernels::call::{Args, Kernel};
use crate::kernels::{reduce, softmax};
use crate::tensor::DType;

/// No numbers.
pub(super) fn no_args(_: &mut ArgsCx<'_>) -> Args {
    Args::default()
}

/// A kernel without numbers.
pub(super) const fn bare(kernel: &'static Kernel) -> Body {
    Body::Kernel { kernel, args: no_args }
}

pub(super) const AXIS: &[AttrDef] =
    &[AttrDef::new("axis", &[AttrKind::Axis], AttrDefault::Int(-1), "the axis along which").torch("dim")];

pub(super) const AXES: &[AttrDef] = &[
    AttrDef::new("axis", &[AttrKind::Axes], AttrDefault::None, "the axes that go; all of them otherwise").torch("dim"),
    AttrDef::new("keep", &[AttrKind::Bool], AttrDefault::Bool(false), "whether they stay with size 1")
        .named()
        .torch("keepdim"),
];

pub(super) const AXES_PLAIN: &[AttrDef] = &[
    AttrDef::new("axes", &[AttrKind::Axes], AttrDefault::None, "the axes that go"),
    AttrDef::new("keep", &[AttrKind::Bool], AttrDefault::Bool(false), "whether they stay with size 1"),
];

/// The sizes without some axes, or with 1 for them.
pub(super) fn reduced(dims: &[Dim], axes: &[usize], keep: bool) -> Vec<Dim> {
    let sizes = dims.iter().enumerate();
    match keep {
        true => sizes.map(|(i, &dim)| if axes.contains(&i) { Dims::ONE } else { dim }).collect(),
        false => sizes.filter(|(i, _)| !axes.contains(i)).map(|(_, &dim)| dim).collect(),
    }
}

pub(super) fn reduce_rule(cx: &mut RuleCx<'_>, name: &'static str) -> Result<(), Misfit> {
    if cx.ins.len() > 1 {
        super::movement::same_elements(cx)?;
        return elementwise(cx);
    }
    let dims = cx.dims(0)?;
    let axes = cx.axes(name, dims.len())?;
    let dtype = cx.operand(0)?.dtype;
    let out = reduced(&dims, &axes, cx.attrs.flag("keep"));
    cx.out_of(dtype, &out);
    Ok(())
}

/// The axes that a reduction takes away.
pub(super) fn axes_of<'g>(cx: &ExpandCx<'_, 'g>, name: &str) -> Vec<usize> {
    let rank = cx.x(0).rank();
    let all = (0..rank).collect();
    let listed = |axes: Vec<i64>| axes.iter().filter_map(|&axis| resolve_axis(axis, rank)).collect();
    let mut axes: Vec<usize> = cx.attrs.ints(name).map_or(all, listed);
    axes.sort_unstable();
    axes
}

fn sum_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let dims = cx.x(0).dims();
    let axes: Vec<usize> = cx.attrs.ints("axes").unwrap_or_default().iter().map(|&axis| axis as usize).collect();
    let rest = reduced(&dims, &axes, false);
    vec![Some(cx.dy().reshape(&rest).spread(&dims, &axes))]
}

pub(super) fn mask(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.ints[0] = cx.attrs.ints("axes").unwrap_or_default().iter().map(|&axis| 1 << axis).sum();
    args
}

pub(super) const TUPLE: &[Operand] = &[Operand::float("x"), Operand::float("more").optional().many()];

/// An operator along one axis, made of a primitive along the last.
pub(super) fn along<'g>(cx: &ExpandCx<'_, 'g>, last: &'static OpDef) -> Vec<Var<'g>> {
    let rank = cx.x(0).rank();
    let axis = cx.attrs.int("axis").and_then(|axis| resolve_axis(axis, rank)).unwrap_or(rank - 1);
    vec![cx.x(0).axis_last(axis).op(last).last_to(axis)]
}

pub(super) fn along_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let rank = cx.dims(0)?.len();
    cx.axis("axis", rank)?;
    let ty = cx.operand(0)?;
    cx.out(ty);
    Ok(())
}

const fn softmax_like(name: &'static str, kernel: &'static Kernel) -> OpDef {
    OpDef { name, body: bare(kernel), ..OpDef::DEFAULT }
}

const NUMBERS: &[Operand] = &[Operand::number("x"), Operand::number("more").optional().many()];

const Y_DY: &[Operand] = &[Operand::float("y"), Operand::float("dy")];

ops! { OPS;

/// Exponentials along an axis, divided by their sum: logits become probabilities.
///
/// The row's maximum is subtracted first and the sum is computed once a row. The gradient is y ⊙ (g - Σ g ⊙ y): as large
/// as x, the Jacobian is never built.
SOFTMAX = OpDef {
    derivative: "dx = y * (dy - sum(dy * y)); sums along the axis; the Jacobian is never built",
    name: "softmax",
    formula: "e^(x_i - max x) / sum_j e^(x_j - max x)",
    torch: "nn.Softmax",
    example: "x: f32[3] = [1, 2, 3] -> [0.09003057, 0.24472848, 0.66524094]",
    attrs: AXIS,
    rule: along_rule,
    facts: Facts { range: (0.0, 1.0), ..Facts::NONE },
    body: Body::Expand(|cx| along(cx, &SOFTMAX_LAST)),
    ..OpDef::DEFAULT
};

/// The logarithm of softmax, without its overflow: log-probabilities.
LOG_SOFTMAX = OpDef {
    derivative: "dx = dy - e^y * sum(dy); sums along the axis",
    name: "log_softmax",
    formula: "x_i - max x - ln sum_j e^(x_j - max x)",
    torch: "nn.LogSoftmax",
    example: "x: f32[3] = [1, 2, 3] -> [-2.407606, -1.4076059, -0.4076059]",
    attrs: AXIS,
    rule: along_rule,
    facts: Facts { range: (f64::NEG_INFINITY, 0.0), ..Facts::NONE },
    body: Body::Expand(|cx| along(cx, &LOG_SOFTMAX_LAST)),
    ..OpDef::DEFAULT
};

/// The sum over axes; of a tuple, the sum of its elements. Integers are added exactly up to 2^53.
SUM = OpDef {
    derivative: "dx = dy; the same for every element of a sum",
    name: "sum",
    formula: "sum_i x_i",
    shape: "[..] -> [..] without axis",
    torch: "torch.sum",
    example: "x: f32[3] = [1, 2, 3] -> 6",
    attrs: AXES,
    operands: NUMBERS,
    rule: |cx| reduce_rule(cx, "axis"),
    facts: Facts { mixes_rows: true, ..Facts::NONE },
    body: Body::Expand(|cx| {
        if cx.ins.len() > 1 {
            return vec![cx.ins.iter().skip(1).flatten().fold(cx.x(0), |sum, &next| sum + next)];
        }
        let (x, axes, keep) = (cx.x(0), axes_of(cx, "axis"), cx.attrs.flag("keep"));
        if x.dtype() == DType::I64 {
            return vec![x.to(DType::F64).sum(&axes, keep).to(DType::I64)];
        }
        vec![x.sum(&axes, keep)]
    }),
    ..OpDef::DEFAULT
};

/// The mean over axes: the sum divided by the number; of a tuple, the mean of its elements.
MEAN = OpDef {
    derivative: "dx = dy / n",
    name: "mean",
    formula: "sum_i x_i / n",
    shape: "[..] -> [..] without axis",
    torch: "torch.mean",
    example: "x: f32[3] = [1, 2, 6] -> 3",
    attrs: AXES,
    operands: TUPLE,
    rule: |cx| reduce_rule(cx, "axis"),
    facts: Facts { mixes_rows: true, ..Facts::NONE },
    body: Body::Expand(|cx| {
        if cx.ins.len() > 1 {
            let total = cx.ins.iter().skip(1).flatten().fold(cx.x(0), |sum, &next| sum + next);
            return vec![total / cx.ins.len() as f64];
        }
        vec![cx.x(0).mean(&axes_of(cx, "axis"), cx.attrs.flag("keep"))]
    }),
    ..OpDef::DEFAULT
};

/// The sum over the axes `axes`, in the kernel's defined order.
REDUCE_SUM = OpDef {
    name: "reduce.sum",
    attrs: AXES_PLAIN,
    rule: |cx| reduce_rule(cx, "axes"),
    body: Body::Kernel { kernel: &reduce::SUM, args: mask },
    gradient: Gradient::Formula(sum_gradient),
    ..OpDef::DEFAULT
};

/// Softmax along the last axis.
SOFTMAX_LAST = OpDef {
    gradient: Gradient::Formula(|cx| vec![Some(cx.y(0).with(cx.dy(), &SOFTMAX_GRAD, &[]))]),
    ..softmax_like("reduce.softmax", &softmax::SOFTMAX)
};

/// y ⊙ (g - Σ g ⊙ y).
SOFTMAX_GRAD = OpDef { operands: Y_DY, gradient: Gradient::Zero, ..softmax_like("reduce.softmax'", &softmax::SOFTMAX_GRAD) };

/// Log-softmax along the last axis.
LOG_SOFTMAX_LAST = OpDef {
    gradient: Gradient::Formula(|cx| vec![Some(cx.y(0).with(cx.dy(), &LOG_SOFTMAX_GRAD, &[]))]),
    ..softmax_like("reduce.log_softmax", &softmax::LOG_SOFTMAX)
};

/// g - e^y Σ g.
LOG_SOFTMAX_GRAD =
    OpDef { operands: Y_DY, gradient: Gradient::Zero, ..softmax_like("reduce.log_softmax'", &softmax::LOG_SOFTMAX_GRAD) };

/// The sum of squares of each slice along the first axis, in f64: for the norm of all gradients.
SUM_SQUARES = OpDef {
    name: "reduce.sum_squares",
    rule: |cx| {
        let dims = cx.dims(0)?;
        let first = dims.first().copied().unwrap_or(Dims::ONE);
        cx.out_of(DType::F64, &[first]);
        Ok(())
    },
    body: bare(&reduce::SUM_SQUARES),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// The largest size in each slice along the first axis, in f64: for the norm of all gradients with p = inf.
LARGEST = OpDef { name: "reduce.largest", body: bare(&reduce::LARGEST), ..SUM_SQUARES };

}
