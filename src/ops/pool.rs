//! Pooling over one to three axes.

use super::conv::{per_axis, per_axis_of, told_shape};
use super::function::{POW_NUMBER, with_numbers};
use super::index::taken;
use super::logic::{NE, choose, number};
use super::parts::{ask, filled};
use super::reduce::no_args;
use super::resample::axis_sizes;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::build::{ExpandCx, GradCx, Var, shape_attr};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{ArgsCx, Body, Facts, Gradient, Misfit, OpDef, Operand, Output, RuleCx, Why};
use crate::kernels::call::Args;
use crate::kernels::pool;
use crate::tensor::DType;

const KERNEL: AttrDef = AttrDef::required("kernel", &[AttrKind::PerAxis], "the window").torch("kernel_size");
const STRIDE: AttrDef =
    AttrDef::new("stride", &[AttrKind::PerAxis], AttrDefault::Same("kernel"), "from one window to the next");
const PAD: AttrDef =
    AttrDef::new("pad", &[AttrKind::PerAxisZero], AttrDefault::Int(0), "at most half a window").torch("padding");
const DILATION: AttrDef = AttrDef::new("dilation", &[AttrKind::PerAxis], AttrDefault::Int(1), "within a window");
const CEIL: AttrDef =
    AttrDef::new("ceil_mode", &[AttrKind::Bool], AttrDefault::Bool(false), "whether a window may hang over the end");
const INCLUDE: AttrDef =
    AttrDef::new("count_include_pad", &[AttrKind::Bool], AttrDefault::Bool(true), "whether padding counts in the mean");
const DIVISOR: AttrDef =
    AttrDef::new("divisor_override", &[AttrKind::Number], AttrDefault::None, "divide by this instead")
        .within(Domain::Positive);
const SHAPE: AttrDef =
    AttrDef::new("shape", &[AttrKind::Shape], AttrDefault::None, "of the result, for gradients").named();

const MAX_ATTRS: &[AttrDef] = &[KERNEL, STRIDE, PAD, DILATION, CEIL, SHAPE];
pub(super) const SHAPED: &[AttrDef] = &[SHAPE];
const AVG_ATTRS: &[AttrDef] = &[KERNEL, STRIDE, PAD, CEIL, INCLUDE, DIVISOR, SHAPE];

fn pooled(cx: &mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit> {
    let dims = cx.rank(0, 3, 5)?;
    let axes = dims.len() - 2;
    let (kernel, stride) = (per_axis(cx, "kernel", axes)?, per_axis(cx, "stride", axes)?);
    let pad = if *cx.attrs.get("pad") == Attr::None { vec![0; axes] } else { per_axis(cx, "pad", axes)? };
    let dilation = per_axis_of(cx.attrs, "dilation", axes).unwrap_or_else(|| vec![1; axes]);
    let mut shape = dims[..2].to_vec();
    for i in 0..axes {
        if 2 * pad[i] > kernel[i] {
            let most = kernel[i] / 2;
            let meant = kernel.iter().all(|&own| own / 2 == most).then(|| most.to_string());
            return Err(Misfit { meant, ..cx.bad_attr("pad", format!("must be at most half the window, {most}")) });
        }
        shape.push(window(cx, i + 2, dims[i + 2], (kernel[i], stride[i], pad[i], dilation[i]))?);
    }
    Ok(shape)
}

/// The number of windows. With `ceil_mode` the last may hang over the end, but none may start in the padding behind: of
/// the two limits, ceil((h + 2·pad - reach - 1) / stride) + 1 and ceil((h + pad) / stride), stride, pad and reach alone
/// say which is smaller, so that sizes may be symbols.
fn window(cx: &mut RuleCx<'_>, axis: usize, size: Dim, of: (i64, i64, i64, i64)) -> Result<Dim, Misfit> {
    let (kernel, stride, pad, dilation) = of;
    let reach = dilation * (kernel - 1);
    let floor = super::conv::window_out(cx, axis, size, 2 * pad, reach, stride)?;
    if !cx.attrs.flag("ceil_mode") {
        return Ok(floor);
    }
    let more = if pad + stride <= reach + 1 { 2 * pad - reach - 1 + stride } else { pad };
    let more = cx.shapes.dims.constant(more + stride - 1);
    let over = cx.shapes.dims.add(size, more);
    let by = cx.shapes.dims.constant(stride);
    Ok(cx.shapes.dims.floor_div(over, by))
}

/// The attributes with every per-axis one as a list.
fn listed(attrs: &Attrs, axes: usize) -> Attrs {
    let mut out = attrs.clone();
    for name in ["kernel", "stride", "pad", "dilation"] {
        if let Some(list) = per_axis_of(attrs, name, axes) {
            out = out.replaced(name, Attr::List(list.into_iter().map(Attr::Int).collect()));
        }
    }
    out
}

fn as_plain<'g>(cx: &ExpandCx<'_, 'g>, op: &'static OpDef) -> Vec<Var<'g>> {
    let attrs = listed(cx.attrs, cx.x(0).rank() - 2);
    cx.builder.apply(op, attrs, &[Some(cx.x(0))])
}

fn pool_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.ints[9..12].fill(1);
    for (at, name) in [(0, "kernel"), (3, "stride"), (6, "pad"), (9, "dilation")] {
        for (i, value) in cx.attrs.ints(name).unwrap_or_default().into_iter().take(3).enumerate() {
            args.ints[at + i] = value as i32;
        }
    }
    args.ints[12] = i32::from(cx.attrs.flag("count_include_pad"));
    args.nums[0] = cx.attrs.float("divisor_override").unwrap_or(0.0);
    args
}

/// What flows back through windows whose largest element was chosen.
pub(super) fn to_chosen<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    vec![Some(laid(cx.y(1), cx.dy(), &cx.x(0).dims()))]
}

/// Values at their positions in planes of this shape, 0 elsewhere; those of one position add up.
fn laid<'g>(indices: Var<'g>, values: Var<'g>, dims: &[Dim]) -> Var<'g> {
    indices.with(values, &MAXPOOL_GRAD, &[("shape", shape_attr(dims))])
}

/// The sizes that a pooling had before it: (h - 1)·stride - 2·pad + kernel, or those that are said.
fn unpooled(cx: &mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit> {
    let dims = cx.rank(0, 3, 5)?;
    let indices = cx.rank(1, dims.len(), dims.len())?;
    for (axis, (&dim, &own)) in dims.iter().zip(&indices).enumerate() {
        cx.equal(1, axis, own, dim, Why::Other)?;
    }
    let axes = dims.len() - 2;
    let (kernel, stride) = (per_axis(cx, "kernel", axes)?, per_axis(cx, "stride", axes)?);
    let pad = per_axis(cx, "pad", axes)?;
    let mut out = dims[..2].to_vec();
    if *cx.attrs.get("size") != Attr::None {
        out.extend(axis_sizes(cx, "size", axes)?);
        return Ok(out);
    }
    for i in 0..axes {
        let (apart, more) = (cx.shapes.dims.scale(dims[i + 2], stride[i]), kernel[i] - stride[i] - 2 * pad[i]);
        let more = cx.shapes.dims.constant(more);
        let size = cx.shapes.dims.add(apart, more);
        cx.at_least(0, i + 2, size, Dims::ONE, Why::Window)?;
        out.push(size);
    }
    Ok(out)
}

/// The p-th root of the sum of p-th powers over each window; nothing flows back where that sum is 0.
fn lp_pool<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (x, p) = (cx.x(0), cx.attrs.float("p").unwrap_or(2.0));
    let axes = x.rank() - 2;
    let places = per_axis_of(cx.attrs, "kernel", axes).unwrap_or_default().iter().product::<i64>() as f64;
    let given = ["kernel", "stride", "ceil_mode"].map(|name| (name, cx.attrs.get(name).clone()));
    let attrs = listed(&Attrs::with(AVG_ATTRS, &given), axes);
    let sum = cx.builder.one(&AVGPOOL_PLAIN, attrs, &[with_numbers(x, &POW_NUMBER, [p, 0.0])]) * places;
    let some = sum.then(&NE, &[("value", Attr::Float(0.0))]);
    let [zero, one] = [0.0, 1.0].map(|value| number(cx.builder, sum.dtype(), value));
    vec![choose(some, with_numbers(choose(some, sum, one), &POW_NUMBER, [1.0 / p, 0.0]), zero)]
}

fn max_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let shape = pooled(cx)?;
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &shape);
    cx.out_of(DType::I64, &shape);
    Ok(())
}

fn avg_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let shape = pooled(cx)?;
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &shape);
    Ok(())
}

pub(super) const MAX_OUTPUTS: &[Output] = &[Output::main("y"), Output::main("indices")];

ops! { OPS;

/// The largest value of each window; also where it was, as a flat position in the unpadded plane.
///
/// Pads with -inf; NaN wins; of equals the first is taken, and all gradient goes to it.
MAXPOOL = OpDef {
    derivative: "each dy goes to the largest element of its window, of equals all to the first; windows that overlap \
        add up",
    name: "maxpool",
    formula: "y[p] = max_k x[p·stride + k·dilation - pad]",
    shape: "[B, c, S…] -> ([B, c, S'…], indices i64)",
    torch: "nn.MaxPool2d",
    example: "x: f32[1, 1, 2, 2] = [1, 4, 3, 2], kernel = 2 -> [4]",
    attrs: MAX_ATTRS,
    outputs: MAX_OUTPUTS,
    rule: max_rule,
    body: Body::Expand(|cx| as_plain(cx, &MAXPOOL_PLAIN)),
    ..OpDef::DEFAULT
};

/// The mean of each window.
AVGPOOL = OpDef {
    derivative: "each dy, divided by what the mean was divided by, goes to every element of its window; windows that \
        overlap add up",
    name: "avgpool",
    formula: "y[p] = mean_k x[p·stride + k - pad]",
    shape: "[B, c, S…] -> [B, c, S'…]",
    torch: "nn.AvgPool2d",
    example: "x: f32[1, 1, 2, 2] = [1, 4, 3, 2], kernel = 2 -> [2.5]",
    attrs: AVG_ATTRS,
    rule: avg_rule,
    body: Body::Expand(|cx| as_plain(cx, &AVGPOOL_PLAIN)),
    ..OpDef::DEFAULT
};

/// A soft maximum: the p-th root of the sum of p-th powers over each window. p = 1 is a sum, p → ∞ the maximum.
///
/// Powers are taken of x as it is, as in PyTorch: where p is odd, a negative sum has no root (NaN). No gradient flows back
/// where the sum is 0. A window that hangs over the end (`ceil_mode`) counts as its mean times the whole window.
LP_POOL = OpDef {
    name: "lp_pool",
    formula: "y[i] = (sum_k x[i·stride + k]^p)^(1/p)",
    shape: "[B, c, S…] -> [B, c, S'…]",
    torch: "nn.LPPool2d",
    example: "x: f32[1, 1, 4] = [3, 4, 6, 8], p = 2, kernel = 2 -> [5, 10]",
    attrs: &[AttrDef::required("p", &[AttrKind::Number], "the power").within(Domain::Positive).torch("norm_type"), KERNEL, STRIDE, CEIL],
    rule: avg_rule,
    facts: Facts { domain: (1e-30, f64::INFINITY), ..Facts::NONE },
    body: Body::Expand(lp_pool),
    ..OpDef::DEFAULT
};

/// Values laid back to where a `maxpool` found them, 0 elsewhere: `(y, indices) |> maxunpool(2)`.
///
/// Where several windows chose one position, it gets the mean of what they bring (for the values of one pooling: just
/// that value; PyTorch keeps any of them). The size is (h - 1)·stride - 2·pad + kernel an axis, or `size` where the
/// pooling dropped a rest. A position outside of the plane is an error at run time.
MAXUNPOOL = OpDef {
    name: "maxunpool",
    formula: "y[indices[i]] = x[i], 0 elsewhere",
    shape: "(x [B, c, S…], indices i64) -> [B, c, S'…]",
    source: "Zeiler et al. 2011",
    torch: "nn.MaxUnpool2d",
    example: "x: f32[1, 1, 2] = [5, 7], indices: i64[1, 1, 2] = [1, 2], kernel = 2 -> [0, 5, 7, 0]",
    attrs: &[
        KERNEL, STRIDE, PAD,
        AttrDef::new("size", &[AttrKind::Size, AttrKind::Shape, AttrKind::Nothing], AttrDefault::None, "of the result's spatial axes").torch("output_size"),
    ],
    operands: &[Operand::float("x"), Operand::int("indices")],
    rule: |cx| {
        let (dims, dtype) = (unpooled(cx)?, cx.operand(0)?.dtype);
        cx.out_of(dtype, &dims);
        Ok(())
    },
    body: Body::Expand(|cx| {
        let (x, indices, dims) = (cx.x(0), cx.x(1), ask(cx, unpooled));
        let times = laid(indices, filled(x, &x.dims(), 1.0), &dims);
        vec![laid(indices, x, &dims) / super::activation::at_least(times, 1.0)]
    }),
    ..OpDef::DEFAULT
};

/// Max pooling with every attribute a list.
MAXPOOL_PLAIN = OpDef {
    name: "pool.max",
    attrs: MAX_ATTRS,
    outputs: MAX_OUTPUTS,
    rule: max_rule,
    body: Body::Kernel { kernel: &pool::MAXPOOL, args: pool_args },
    gradient: Gradient::Formula(to_chosen),
    ..OpDef::DEFAULT
};

/// Its gradient: values added up at positions of planes.
MAXPOOL_GRAD = OpDef {
    name: "pool.max'",
    attrs: SHAPED,
    operands: &[Operand::int("indices"), Operand::float("dy")],
    rule: told_shape,
    body: Body::Kernel { kernel: &pool::MAXPOOL_GRAD, args: no_args },
    gradient: Gradient::Formula(|cx| {
        let there = || taken(cx.dy().fold_from(2), cx.x(0).fold_from(2), 2).reshape(&cx.x(0).dims());
        vec![None, cx.when(1, there)]
    }),
    ..OpDef::DEFAULT
};

/// Mean pooling with every attribute a list.
AVGPOOL_PLAIN = OpDef {
    name: "pool.avg",
    attrs: AVG_ATTRS,
    rule: avg_rule,
    body: Body::Kernel { kernel: &pool::AVGPOOL, args: pool_args },
    gradient: Gradient::Formula(|cx| {
        let attrs = cx.attrs.replaced("shape", shape_attr(&cx.x(0).dims()));
        vec![Some(cx.builder.one(&AVGPOOL_GRAD, attrs, &[cx.dy()]))]
    }),
    ..OpDef::DEFAULT
};

/// Its gradient.
AVGPOOL_GRAD = OpDef {
    name: "pool.avg'",
    attrs: AVG_ATTRS,
    operands: &[Operand::float("dy")],
    rule: told_shape,
    body: Body::Kernel { kernel: &pool::AVGPOOL_GRAD, args: pool_args },
    gradient: Gradient::Zero,
    facts: Facts::NONE,
    ..OpDef::DEFAULT
};

}
