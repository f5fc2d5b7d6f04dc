//! Other numbers of places along spatial axes: enlarging, shrinking, sampling between places.
//!
//! Every mode is one map an axis ([`ALONG`]): a table of places and weights, the same for all rows.

use super::conv::told_shape;
use super::parts::ask;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::build::{ExpandCx, GradCx, Var, shape_attr};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{ArgsCx, Body, Condition, Gradient, Misfit, OpDef, Operand, RuleCx, Why, size_of};
use crate::kernels::call::Args;
use crate::kernels::resample;

/// The modes that lie between places, and over how many axes each of them works.
const BETWEEN: &[(&str, usize)] = &[("linear", 1), ("bilinear", 2), ("trilinear", 3), ("bicubic", 2)];

const ALONG_ATTRS: &[AttrDef] = &[
    AttrDef::required("axis", &[AttrKind::Int], "along which"),
    AttrDef::required("rule", &[AttrKind::Choice(resample::RULES)], "how places are made of others"),
    AttrDef::required("shape", &[AttrKind::Shape], "of the result"),
    AttrDef::new("scale", &[AttrKind::Number], AttrDefault::None, "how many times larger it is meant to be"),
    AttrDef::new("kernel", &[AttrKind::Size], AttrDefault::Int(1), "windows: the size of one"),
    AttrDef::new("stride", &[AttrKind::Size], AttrDefault::Int(1), "windows: from one to the next"),
    AttrDef::new("dilation", &[AttrKind::Size], AttrDefault::Int(1), "windows: within one"),
    AttrDef::new("pad", &[AttrKind::Int], AttrDefault::Int(0), "windows: zeros on both sides"),
];

fn along_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    let rule = cx.attrs.str("rule").and_then(|rule| resample::RULES.iter().position(|own| *own == rule));
    args.ints[1] = rule.unwrap_or(0) as i32;
    for (at, name) in [(0, "axis"), (2, "kernel"), (3, "stride"), (4, "dilation"), (5, "pad")] {
        args.ints[at] = cx.attrs.int(name).unwrap_or(0) as i32;
    }
    args.nums[0] = cx.attrs.float("scale").unwrap_or(0.0);
    args
}

fn transposed<'g>(cx: &GradCx<'_, 'g>, op: &'static OpDef) -> Vec<Option<Var<'g>>> {
    let attrs = cx.attrs.replaced("shape", shape_attr(&cx.x(0).dims()));
    vec![Some(cx.builder.one(op, attrs, &[cx.dy()]))]
}

/// An axis with another number of places.
pub(super) fn along<'g>(x: Var<'g>, axis: usize, to: Dim, rule: &str, more: &[(&'static str, Attr)]) -> Var<'g> {
    given(x, &ALONG, (axis, to), rule, more)
}

/// What flows back through `along`, as an operator of its own: sums at the places that were read.
pub(super) fn back_along<'g>(y: Var<'g>, axis: usize, to: Dim, rule: &str, more: &[(&'static str, Attr)]) -> Var<'g> {
    given(y, &ALONG_GRAD, (axis, to), rule, more)
}

fn given<'g>(
    x: Var<'g>,
    op: &'static OpDef,
    (axis, to): (usize, Dim),
    rule: &str,
    more: &[(&'static str, Attr)],
) -> Var<'g> {
    let mut dims = x.dims();
    dims[axis] = to;
    let own = [("axis", Attr::Int(axis as i64)), ("rule", Attr::Str(rule.into())), ("shape", shape_attr(&dims))];
    x.then(op, &[&own[..], more].concat())
}

/// Sizes of the spatial axes: one for all, or one an axis.
pub(super) fn axis_sizes(cx: &mut RuleCx<'_>, name: &'static str, axes: usize) -> Result<Vec<Dim>, Misfit> {
    let sizes: Option<Vec<Dim>> = match cx.attrs.get(name).clone() {
        Attr::List(items) => items.iter().map(|item| size_of(cx.shapes, item)).collect(),
        one => size_of(cx.shapes, &one).map(|size| vec![size; axes]),
    };
    let small = |&size: &Dim| cx.shapes.dims.as_const(size).is_some_and(|size| size < 1);
    match sizes {
        Some(sizes) if sizes.len() == axes && !sizes.iter().any(small) => Ok(sizes),
        _ => Err(cx.bad_attr(name, format!("must be a size, or a list of {axes}: one for every spatial axis"))),
    }
}

/// What `scale` says, an axis.
fn scales(attrs: &Attrs, axes: usize) -> Option<Vec<f64>> {
    let number = |attr: &Attr| match attr {
        Attr::Int(value) => Some(*value as f64),
        Attr::Float(value) => Some(*value),
        _ => None,
    };
    match attrs.get("scale") {
        Attr::List(items) if items.len() == axes => items.iter().map(number).collect(),
        one => number(one).map(|scale| vec![scale; axes]),
    }
}

/// floor(size * scale). Where the size has a name, the scale must be a fraction whose denominator is a power of 2.
fn enlarged(cx: &mut RuleCx<'_>, axis: usize, size: Dim, scale: f64) -> Result<Dim, Misfit> {
    let out = match cx.shapes.dims.as_const(size) {
        Some(size) => cx.shapes.dims.constant((size as f64 * scale).floor() as i64),
        None => {
            let parts = (0..=10).map(|k| 1i64 << k).find(|&parts| (scale * parts as f64).fract() == 0.0);
            let parts = parts.filter(|_| scale < 1e6).ok_or_else(|| {
                cx.bad_attr("scale", "must be whole, or in halves, quarters, … where a size has a name; or give `size`")
            })?;
            let times = cx.shapes.dims.scale(size, (scale * parts as f64) as i64);
            let parts = cx.shapes.dims.constant(parts);
            cx.shapes.dims.floor_div(times, parts)
        }
    };
    let misfit = cx.bad_attr("scale", format!("leaves nothing of an axis of {}", cx.shapes.dims.show(size)));
    cx.need(Condition::AtLeast(out, Dims::ONE), Misfit { operand: Some(0), axis: Some(axis), ..misfit })?;
    Ok(out)
}

fn axes_word(count: usize) -> &'static str {
    if count == 1 { "axis" } else { "axes" }
}

/// The mode must fit the number of axes, and corners can be aligned only between places.
fn check_mode(cx: &RuleCx<'_>, axes: usize) -> Result<(), Misfit> {
    let mode = cx.attrs.str("mode").unwrap_or("nearest");
    let between = BETWEEN.iter().find(|(name, _)| *name == mode);
    if let Some((_, wanted)) = between.filter(|(_, wanted)| *wanted != axes) {
        let (meant, _) = BETWEEN[axes - 1];
        let clause =
            format!("works over {wanted} spatial {} as \"{mode}\"; here it is \"{meant}\"", axes_word(*wanted));
        return Err(Misfit { meant: Some(format!("\"{meant}\"")), ..cx.bad_attr("mode", clause) });
    }
    if between.is_none() && cx.attrs.flag("align_corners") {
        let clause = format!("goes with \"linear\", \"bilinear\", \"trilinear\" and \"bicubic\", not with \"{mode}\"");
        return Err(cx.bad_attr("align_corners", clause));
    }
    Ok(())
}

/// The sizes of the spatial axes of the result.
fn upsampled(cx: &mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit> {
    let dims = cx.rank(0, 3, 5)?;
    let axes = dims.len() - 2;
    check_mode(cx, axes)?;
    for (axis, &size) in dims.iter().enumerate().skip(2) {
        cx.at_least(0, axis, size, Dims::ONE, Why::Other)?;
    }
    match (cx.attrs.get("scale"), cx.attrs.get("size")) {
        (Attr::None, Attr::None) => Err(cx.bad_attr("scale", "must be given, or `size`")),
        (Attr::None, _) => axis_sizes(cx, "size", axes),
        (_, Attr::None) => {
            let scales = scales(cx.attrs, axes);
            let scales =
                scales.ok_or_else(|| cx.bad_attr("scale", format!("must be a number, or a list of {axes}")))?;
            (0..axes).map(|i| enlarged(cx, i + 2, dims[i + 2], scales[i])).collect()
        }
        _ => Err(cx.bad_attr("size", "cannot be given beside `scale`: one of them says it")),
    }
}

fn upsample<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let x = cx.x(0);
    let sizes = ask(cx, upsampled);
    let aligned = cx.attrs.flag("align_corners");
    let rule = match (cx.attrs.str("mode").unwrap_or("nearest"), aligned) {
        ("linear" | "bilinear" | "trilinear", false) => "linear",
        ("linear" | "bilinear" | "trilinear", true) => "linear_aligned",
        ("bicubic", false) => "cubic",
        ("bicubic", true) => "cubic_aligned",
        (mode, _) => mode,
    };
    let scales = scales(cx.attrs, sizes.len()).filter(|_| rule != "area" && !aligned);
    let one = |x: Var<'g>, axis: usize| {
        let scale = scales.as_ref().map(|scales| scales[axis - 2]);
        if x.dims()[axis] == sizes[axis - 2] && scale.is_none_or(|scale| scale == 1.0) {
            return x;
        }
        let scale = scale.map(|scale| ("scale", Attr::Float(scale)));
        along(x, axis, sizes[axis - 2], rule, scale.as_slice())
    };
    vec![(2..x.rank()).rev().fold(x, one)]
}

ops! { OPS;

/// Spatial axes made larger or smaller, by a `scale` or to a `size`: what is between the places is taken from the nearest
/// of them, or from a line or curve through its neighbours.
///
/// A place o of the result lies at (o + 1/2) / scale - 1/2 of x; with `size`, scale is h'/h; with `align_corners` at
/// o·(h - 1)/(h' - 1), so that the outer places of both lie on each other. nearest: the place at floor(o / scale);
/// nearest_exact: at floor((o + 1/2) / scale). linear, bilinear, trilinear (1, 2, 3 axes): between two neighbours an
/// axis; bicubic: four, by Keys' curve with a = -0.75. area: the mean of the window that shrinks to the place, as
/// `adaptive_avgpool`. Linear in x, so that the gradient is the transposed map. h' = floor(h·scale).
UPSAMPLE = OpDef {
    name: "upsample",
    formula: "y[.., o, ..] = sum_i w[o, i] x[.., i, ..], an axis at a time",
    shape: "[B, c, S…] -> [B, c, S'…]",
    source: "Keys 1981 (bicubic)",
    torch: "nn.Upsample, F.interpolate",
    example: "x: f32[1, 1, 2] = [1, 3], scale = 2, mode = \"linear\" -> [1, 1.5, 2.5, 3]",
    attrs: &[
        AttrDef::new("scale", &[AttrKind::Number, AttrKind::Numbers], AttrDefault::None, "how many times larger, for every axis or one an axis")
            .within(Domain::Positive)
            .torch("scale_factor"),
        AttrDef::new("size", &[AttrKind::Size, AttrKind::Shape, AttrKind::Nothing], AttrDefault::None, "or how large, for every axis or one an axis"),
        AttrDef::new(
            "mode",
            &[AttrKind::Choice(&["nearest", "nearest_exact", "linear", "bilinear", "trilinear", "bicubic", "area"])],
            AttrDefault::Str("nearest"),
            "what stands between the places",
        ),
        AttrDef::new("align_corners", &[AttrKind::Bool], AttrDefault::Bool(false), "whether the outer places lie on each other"),
    ],
    rule: |cx| {
        let sizes = upsampled(cx)?;
        let (dims, dtype) = (cx.dims(0)?, cx.operand(0)?.dtype);
        cx.out_of(dtype, &[&dims[..2], &sizes].concat());
        Ok(())
    },
    body: Body::Expand(upsample),
    ..OpDef::DEFAULT
};

/// An axis whose places are sums of few places of x.
ALONG = OpDef {
    name: "resample.along",
    attrs: ALONG_ATTRS,
    rule: told_shape,
    body: Body::Kernel { kernel: &resample::RESAMPLE, args: along_args },
    gradient: Gradient::Formula(|cx| transposed(cx, &ALONG_GRAD)),
    ..OpDef::DEFAULT
};

/// The transposed map: sums at the places that were read.
ALONG_GRAD = OpDef {
    name: "resample.along'",
    attrs: ALONG_ATTRS,
    operands: &[Operand::float("dy")],
    rule: told_shape,
    body: Body::Kernel { kernel: &resample::RESAMPLE_GRAD, args: along_args },
    gradient: Gradient::Formula(|cx| transposed(cx, &ALONG)),
    ..OpDef::DEFAULT
};

}
