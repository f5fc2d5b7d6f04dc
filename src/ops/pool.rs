//! Pooling over one to three axes.

use super::conv::{per_axis, per_axis_of, told_shape};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs};
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
    AttrDef::new("divisor_override", &[AttrKind::Number], AttrDefault::None, "divide by this instead");
const SHAPE: AttrDef =
    AttrDef::new("shape", &[AttrKind::Shape], AttrDefault::None, "of the result, for gradients").named();

const MAX_ATTRS: &[AttrDef] = &[KERNEL, STRIDE, PAD, DILATION, CEIL, SHAPE];
const AVG_ATTRS: &[AttrDef] = &[KERNEL, STRIDE, PAD, CEIL, INCLUDE, DIVISOR, SHAPE];

fn pooled(cx: &mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit> {
    let dims = cx.rank(0, 3, 5)?;
    let axes = dims.len() - 2;
    let (kernel, stride, pad) =
        (per_axis(cx, "kernel", axes)?, per_axis(cx, "stride", axes)?, per_axis(cx, "pad", axes)?);
    let dilation = per_axis_of(cx.attrs, "dilation", axes).unwrap_or_else(|| vec![1; axes]);
    let mut shape = dims[..2].to_vec();
    for i in 0..axes {
        if 2 * pad[i] > kernel[i] {
            return Err(cx.bad_attr("pad", format!("must be at most half the window, {}", kernel[i] / 2)));
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

fn back<'g>(cx: &GradCx<'_, 'g>, op: &'static OpDef, ins: &[Var<'g>]) -> Vec<Option<Var<'g>>> {
    let attrs = cx.attrs.replaced("shape", shape_attr(&cx.x(0).dims()));
    vec![Some(cx.builder.one(op, attrs, ins))]
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

const MAX_OUTPUTS: &[Output] = &[Output::main("y"), Output::main("indices")];

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

/// The mean over all spatial axes; `keep = true` leaves them with size 1.
AVGPOOL_GLOBAL = OpDef {
    derivative: "every element of a channel gets dy / n, n its number of elements",
    name: "avgpool_global",
    formula: "mean over S…",
    shape: "[B, c, S…] -> [B, c]",
    torch: "nn.AdaptiveAvgPool2d(1)",
    example: "x: f32[1, 1, 2, 2] = [1, 4, 3, 2] -> [2.5]",
    attrs: &[AttrDef::new("keep", &[AttrKind::Bool], AttrDefault::Bool(false), "whether the axes stay with size 1")],
    rule: |cx| {
        let dims = cx.rank(0, 3, 5)?;
        for (axis, &dim) in dims.iter().enumerate().skip(2) {
            cx.at_least(0, axis, dim, Dims::ONE, Why::Window)?;
        }
        let mut out = dims[..2].to_vec();
        if cx.attrs.flag("keep") {
            out.resize(dims.len(), Dims::ONE);
        }
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &out);
        Ok(())
    },
    body: Body::Expand(|cx| {
        let axes: Vec<usize> = (2..cx.x(0).rank()).collect();
        vec![cx.x(0).mean(&axes, cx.attrs.flag("keep"))]
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
    gradient: Gradient::Formula(|cx| back(cx, &MAXPOOL_GRAD, &[cx.y(1), cx.dy()])),
    ..OpDef::DEFAULT
};

/// Its gradient.
MAXPOOL_GRAD = OpDef {
    name: "pool.max'",
    attrs: MAX_ATTRS,
    operands: &[Operand::int("indices"), Operand::float("dy")],
    rule: told_shape,
    body: Body::Kernel { kernel: &pool::MAXPOOL_GRAD, args: pool_args },
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// Mean pooling with every attribute a list.
AVGPOOL_PLAIN = OpDef {
    name: "pool.avg",
    attrs: AVG_ATTRS,
    rule: avg_rule,
    body: Body::Kernel { kernel: &pool::AVGPOOL, args: pool_args },
    gradient: Gradient::Formula(|cx| back(cx, &AVGPOOL_GRAD, &[cx.dy()])),
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
