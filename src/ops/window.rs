//! Windows cut out of spatial axes as columns, and columns laid back.
//!
//! An axis at a time, by the map that resampling has too: place k·n + i of the axis is the k-th of window i.

use super::conv::{per_axis, per_axis_of, window_out};
use super::parts::ask;
use super::resample::{along, axis_sizes, back_along};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::Dim;
use crate::ir::op::{Body, Condition, Misfit, OpDef, RuleCx};

const KERNEL: AttrDef =
    AttrDef::required("kernel", &[AttrKind::PerAxis], "the window, for every axis or one an axis").torch("kernel_size");
const DILATION: AttrDef =
    AttrDef::new("dilation", &[AttrKind::PerAxis], AttrDefault::Int(1), "from one place of a window to the next");
const PAD: AttrDef =
    AttrDef::new("pad", &[AttrKind::PerAxisZero], AttrDefault::Int(0), "zeros on both sides").torch("padding");
const STRIDE: AttrDef =
    AttrDef::new("stride", &[AttrKind::PerAxis], AttrDefault::Int(1), "from one window to the next");
const SIZE: AttrDef = AttrDef::required(
    "size",
    &[AttrKind::Size, AttrKind::Shape],
    "of the result's spatial axes, for all or one an axis",
)
.torch("output_size");

/// The number of windows along each axis of these sizes.
fn counts(cx: &mut RuleCx<'_>, sizes: &[Dim]) -> Result<Vec<Dim>, Misfit> {
    let axes = sizes.len();
    let (kernel, stride) = (per_axis(cx, "kernel", axes)?, per_axis(cx, "stride", axes)?);
    let (pad, dilation) = (per_axis(cx, "pad", axes)?, per_axis(cx, "dilation", axes)?);
    let one = |i: usize| window_out(cx, i + 2, sizes[i], 2 * pad[i], dilation[i] * (kernel[i] - 1), stride[i]);
    (0..axes).map(one).collect()
}

/// Positions of a window.
fn taps(cx: &mut RuleCx<'_>, axes: usize) -> Result<Dim, Misfit> {
    let taps = per_axis(cx, "kernel", axes)?.iter().try_fold(1i64, |product, &k| product.checked_mul(k));
    let taps = taps.ok_or_else(|| cx.bad_attr("kernel", "is too large"))?;
    Ok(cx.shapes.dims.constant(taps))
}

fn unfold_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let (dims, dtype) = (cx.rank(0, 3, 5)?, cx.operand(0)?.dtype);
    let counts = counts(cx, &dims[2..])?;
    let taps = taps(cx, counts.len())?;
    let (columns, windows) = (cx.shapes.dims.mul(dims[1], taps), cx.shapes.dims.product(&counts));
    cx.out_of(dtype, &[dims[0], columns, windows]);
    Ok(())
}

/// The sizes of the spatial axes that `fold` makes, the number of windows on each, and the channels.
fn folded(cx: &mut RuleCx<'_>) -> Result<(Vec<Dim>, Vec<Dim>, Dim), Misfit> {
    let dims = cx.rank(0, 3, 3)?;
    let axes = match (cx.attrs.get("size"), cx.attrs.get("kernel")) {
        (Attr::List(sizes), _) => sizes.len(),
        (_, Attr::List(kernel)) => kernel.len(),
        _ => 2,
    };
    if !(1..=3).contains(&axes) {
        return Err(cx.bad_attr("size", "must have one entry for each of 1 to 3 spatial axes"));
    }
    let sizes = axis_sizes(cx, "size", axes)?;
    let taps = taps(cx, axes)?;
    let clause = format!("has {} places, which do not divide {} channels", show(cx, taps), show(cx, dims[1]));
    cx.need(Condition::Divides { what: dims[1], by: taps }, cx.bad_attr("kernel", clause))?;
    let counts = fold_counts(cx, &sizes)?;
    let windows = cx.shapes.dims.product(&counts);
    let clause = format!("fits {} times into the result, and {} columns come in", show(cx, windows), show(cx, dims[2]));
    cx.need(Condition::Equal(dims[2], windows), cx.bad_attr("kernel", clause))?;
    Ok((sizes, counts, cx.shapes.dims.floor_div(dims[1], taps)))
}

fn show(cx: &RuleCx<'_>, dim: Dim) -> String {
    cx.shapes.dims.show(dim)
}

/// The windows of the result: it must hold one.
fn fold_counts(cx: &mut RuleCx<'_>, sizes: &[Dim]) -> Result<Vec<Dim>, Misfit> {
    let clause = "must span no more than the result, padding counted";
    counts(cx, sizes).map_err(|misfit| if misfit.attr.is_some() { misfit } else { cx.bad_attr("kernel", clause) })
}

/// The sizes with every axis as (place in the window, window), the same with all places in front, and the attributes of
/// each axis.
struct Cut {
    apart: Vec<Dim>,
    order: Vec<usize>,
    along: Vec<[(&'static str, Attr); 4]>,
}

fn cut<'g>(cx: &ExpandCx<'_, 'g>, x: Var<'g>, channels: Dim, counts: &[Dim]) -> Cut {
    let axes = counts.len();
    let list = |name: &str| per_axis_of(cx.attrs, name, axes).unwrap_or_else(|| vec![1; axes]);
    let [kernel, stride, dilation, pad] = ["kernel", "stride", "dilation", "pad"].map(list);
    let mut apart = vec![x.dims()[0], channels];
    for i in 0..axes {
        apart.push(x.builder.graph.borrow_mut().shapes.dims.constant(kernel[i]));
        apart.push(counts[i]);
    }
    let order = (0..2).chain((0..axes).map(|i| 2 + 2 * i)).chain((0..axes).map(|i| 3 + 2 * i)).collect();
    let own = |i: usize| {
        [("kernel", kernel[i]), ("stride", stride[i]), ("dilation", dilation[i]), ("pad", pad[i])]
            .map(|(name, value)| (name, Attr::Int(value)))
    };
    Cut { apart, order, along: (0..axes).map(own).collect() }
}

fn unfold<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let x = cx.x(0);
    let dims = x.dims();
    let counts = ask(cx, |rule| counts(rule, &dims[2..]));
    let cut = cut(cx, x, dims[1], &counts);
    let one =
        |x: Var<'g>, i: usize| along(x, i + 2, x.product(&cut.apart[2 + 2 * i..4 + 2 * i]), "window", &cut.along[i]);
    let windows = (0..counts.len()).rev().fold(x, one);
    let ordered = windows.reshape(&cut.apart).permute(&cut.order);
    let dims = ordered.dims();
    let (columns, places) = (x.product(&dims[1..2 + counts.len()]), x.product(&dims[2 + counts.len()..]));
    vec![ordered.reshape(&[dims[0], columns, places])]
}

fn fold<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let x = cx.x(0);
    let (sizes, counts, channels) = ask(cx, folded);
    let cut = cut(cx, x, channels, &counts);
    let there: Vec<Dim> = cut.order.iter().map(|&axis| cut.apart[axis]).collect();
    let back: Vec<usize> =
        (0..there.len()).map(|axis| cut.order.iter().position(|&own| own == axis).unwrap_or(0)).collect();
    let mut laid = cut.apart[..2].to_vec();
    laid.extend((0..counts.len()).map(|i| x.product(&cut.apart[2 + 2 * i..4 + 2 * i])));
    let windows = x.reshape(&there).permute(&back).reshape(&laid);
    vec![(0..counts.len()).fold(windows, |x, i| back_along(x, i + 2, sizes[i], "window", &cut.along[i]))]
}

ops! { OPS;

/// Every window of the spatial axes as a column: all channels of its first place, then of the next, … windows side by side
/// on the last axis.
///
/// A convolution is a matrix product with these columns. Over one to three spatial axes (PyTorch: two); the number of
/// windows is that of `conv`, their order row-major.
UNFOLD = OpDef {
    name: "unfold",
    formula: "y[b, (c, k…), (i…)] = x[b, c, i·stride + k·dilation - pad]",
    shape: "[B, c, S…] -> [B, c * prod(kernel), windows]",
    torch: "nn.Unfold",
    example: "x: f32[1, 1, 3] = [1, 2, 3], kernel = 2 -> [1, 2, 2, 3]",
    attrs: &[KERNEL, DILATION, PAD, STRIDE],
    rule: unfold_rule,
    body: Body::Expand(unfold),
    ..OpDef::DEFAULT
};

/// Columns laid back as windows of spatial axes of a given `size`; what overlaps adds up. The transpose of `unfold`, not
/// its inverse: a place that n windows cover comes back n times.
///
/// Over as many axes as `size` (or `kernel`) has entries, two where both are numbers.
FOLD = OpDef {
    name: "fold",
    formula: "y[b, c, p] = sum of x[b, (c, k…), (i…)] over i·stride + k·dilation - pad = p",
    shape: "[B, c * prod(kernel), windows] -> [B, c, size…]",
    torch: "nn.Fold",
    example: "x: f32[1, 2, 2] = [1, 2, 2, 3], size = [3], kernel = 2 -> [1, 4, 3]",
    attrs: &[SIZE, KERNEL, DILATION, PAD, STRIDE],
    rule: |cx| {
        let (sizes, _, channels) = folded(cx)?;
        let (batch, dtype) = (cx.dims(0)?[0], cx.operand(0)?.dtype);
        cx.out_of(dtype, &[&[batch, channels][..], &sizes].concat());
        Ok(())
    },
    body: Body::Expand(fold),
    ..OpDef::DEFAULT
};

}
