//! Pooling to a size: of windows that follow from it, or of everything.

use super::conv::told_shape;
use super::extreme::largest;
use super::parts::ask;
use super::pool::{MAX_OUTPUTS, SHAPED, to_chosen};
use super::resample::{along, axis_sizes};
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind, Attrs};
use crate::ir::build::shape_attr;
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{Body, Gradient, Misfit, OpDef, RuleCx, Why};
use crate::kernels::call::Args;
use crate::kernels::pool;
use crate::tensor::DType;

const SIZE: AttrDef = AttrDef::required(
    "size",
    &[AttrKind::Size, AttrKind::Shape],
    "of the result's spatial axes, for all or one an axis",
)
.torch("output_size");
const KEEP: &[AttrDef] =
    &[AttrDef::new("keep", &[AttrKind::Bool], AttrDefault::Bool(false), "whether the axes stay with size 1")];

/// The sizes of windows that do not fit a stride: what there is must be at least one place.
fn adaptive(cx: &mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit> {
    let dims = cx.rank(0, 3, 5)?;
    for (axis, &size) in dims.iter().enumerate().skip(2) {
        cx.at_least(0, axis, size, Dims::ONE, Why::Window)?;
    }
    let sizes = axis_sizes(cx, "size", dims.len() - 2)?;
    Ok([&dims[..2], &sizes].concat())
}

/// The sizes without the spatial axes, or with 1 for them.
fn global_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
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
}

ops! { OPS;

/// The mean over all spatial axes; `keep = true` leaves them with size 1.
AVGPOOL_GLOBAL = OpDef {
    derivative: "every element of a channel gets dy / n, n its number of elements",
    name: "avgpool_global",
    formula: "mean over S…",
    shape: "[B, c, S…] -> [B, c]",
    torch: "nn.AdaptiveAvgPool2d(1)",
    example: "x: f32[1, 1, 2, 2] = [1, 4, 3, 2] -> [2.5]",
    attrs: KEEP,
    rule: global_rule,
    body: Body::Expand(|cx| {
        let axes: Vec<usize> = (2..cx.x(0).rank()).collect();
        vec![cx.x(0).mean(&axes, cx.attrs.flag("keep"))]
    }),
    ..OpDef::DEFAULT
};

/// The largest value over all spatial axes; `keep = true` leaves them with size 1.
///
/// NaN wins; of equals the first takes all the gradient.
MAXPOOL_GLOBAL = OpDef {
    name: "maxpool_global",
    formula: "max over S…",
    shape: "[B, c, S…] -> [B, c]",
    torch: "nn.AdaptiveMaxPool2d(1)",
    example: "x: f32[1, 1, 2, 2] = [1, 4, 3, 2] -> [4]",
    attrs: KEEP,
    rule: global_rule,
    body: Body::Expand(|cx| {
        let x = cx.x(0);
        let mut dims = x.dims()[..2].to_vec();
        if cx.attrs.flag("keep") {
            dims.resize(x.rank(), Dims::ONE);
        }
        vec![largest(x, &(2..x.rank()).collect::<Vec<_>>()).reshape(&dims)]
    }),
    ..OpDef::DEFAULT
};

/// The mean of windows that follow from the `size` of the result, whatever the input's: a head for images of any size.
///
/// Window i of an axis: floor(i·h/size) to ceil((i + 1)·h/size). Where size divides h it is `avgpool(h/size)`; elsewhere
/// the windows overlap by a place, or differ in size by one. An axis is kept by its own name: `[h, 1]`.
ADAPTIVE_AVGPOOL = OpDef {
    name: "adaptive_avgpool",
    formula: "y[i] = mean of x[floor(i·h/size) .. ceil((i + 1)·h/size)], an axis at a time",
    shape: "[B, c, S…] -> [B, c, size…]",
    torch: "nn.AdaptiveAvgPool2d",
    example: "x: f32[1, 1, 3] = [1, 2, 6], size = 2 -> [1.5, 4]",
    attrs: &[SIZE],
    rule: |cx| {
        let (dims, dtype) = (adaptive(cx)?, cx.operand(0)?.dtype);
        cx.out_of(dtype, &dims);
        Ok(())
    },
    body: Body::Expand(|cx| {
        let dims = ask(cx, adaptive);
        vec![(2..dims.len()).fold(cx.x(0), |x, axis| if x.dims()[axis] == dims[axis] { x } else { along(x, axis, dims[axis], "area", &[]) })]
    }),
    ..OpDef::DEFAULT
};

/// The largest value of windows that follow from the `size` of the result, and where it was, as in `maxpool`.
///
/// Windows as in `adaptive_avgpool`; NaN wins, of equals the first.
ADAPTIVE_MAXPOOL = OpDef {
    name: "adaptive_maxpool",
    formula: "y[i] = max of x[floor(i·h/size) .. ceil((i + 1)·h/size)] over all axes",
    shape: "[B, c, S…] -> ([B, c, size…], indices i64)",
    torch: "nn.AdaptiveMaxPool2d",
    example: "x: f32[1, 1, 3] = [1, 6, 2], size = 2 -> [6, 6]",
    attrs: &[SIZE],
    outputs: MAX_OUTPUTS,
    rule: |cx| {
        let (dims, dtype) = (adaptive(cx)?, cx.operand(0)?.dtype);
        cx.out_of(dtype, &dims);
        cx.out_of(DType::I64, &dims);
        Ok(())
    },
    body: Body::Expand(|cx| {
        let dims = ask(cx, adaptive);
        cx.builder.apply(&MAXPOOL_ADAPTIVE, Attrs::with(SHAPED, &[("shape", shape_attr(&dims))]), &[Some(cx.x(0))])
    }),
    ..OpDef::DEFAULT
};

/// Max pooling whose windows follow from the sizes.
MAXPOOL_ADAPTIVE = OpDef {
    name: "pool.max_adaptive",
    attrs: SHAPED,
    outputs: MAX_OUTPUTS,
    rule: |cx| {
        told_shape(cx)?;
        let mut ty = cx.outs[0];
        ty.dtype = DType::I64;
        cx.out(ty);
        Ok(())
    },
    body: Body::Kernel {
        kernel: &pool::MAXPOOL,
        args: |_| {
            let mut args = Args::default();
            args.ints[13] = 1;
            args
        },
    },
    gradient: Gradient::Formula(to_chosen),
    ..OpDef::DEFAULT
};

}
