//! Repeating, cutting and reordering: shape operators that are expressions over views.

use super::index::{chosen, counted};
use super::logic::{AND, GE, choose, number};
use super::movement::as_reshape;
use super::parts::{ask, part};
use super::source::shape_dims;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    Body, Condition, Facts, Misfit, MisfitKind, OpDef, Operand, RuleCx, Why, resolve_axis, same_as_first,
};
use crate::tensor::DType;

const VIEWED: Facts = Facts { view: true, ..Facts::NONE };
const OF_ANY: &[Operand] = &[Operand::any("x")];
const AXIS: AttrDef = AttrDef::required("axis", &[AttrKind::Axis], "which").torch("dim");
const FACTOR: &[AttrDef] = &[AttrDef::required("factor", &[AttrKind::Size], "of both sides")];
const DIAGONAL: &[AttrDef] =
    &[AttrDef::new("diagonal", &[AttrKind::Int], AttrDefault::Int(0), "which; above 0: right of the main one")];

/// The permutation of `movedim`.
fn moved(cx: &RuleCx<'_>, rank: usize) -> Result<Vec<usize>, Misfit> {
    let read = |name: &'static str| -> Result<Vec<usize>, Misfit> {
        let mut axes = vec![];
        for axis in cx.attrs.ints(name).unwrap_or_default() {
            let misfit = |kind| Misfit { attr: Some(name), ..Misfit::of(kind) };
            let index = resolve_axis(axis, rank).ok_or(misfit(MisfitKind::Axis { axis, rank }))?;
            if axes.contains(&index) {
                return Err(misfit(MisfitKind::AxisTwice { axis }));
            }
            axes.push(index);
        }
        Ok(axes)
    };
    let (from, to) = (read("from")?, read("to")?);
    if from.len() != to.len() {
        return Err(cx.bad_attr("to", "must name as many axes as `from`"));
    }
    let mut rest = (0..rank).filter(|axis| !from.contains(axis));
    let place = |at: usize| match to.iter().position(|&own| own == at) {
        Some(i) => from[i],
        None => rest.next().unwrap_or(0),
    };
    Ok((0..rank).map(place).collect())
}

/// Sizes of an axis taken apart; one may be -1.
fn unflattened(cx: &mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit> {
    let dims = cx.dims(0)?;
    let axis = cx.axis("axis", dims.len())?;
    let Attr::List(items) = cx.attrs.get("sizes").clone() else { return Err(cx.bad_attr("sizes", "must be a list")) };
    let (mut sizes, mut open) = (vec![], None);
    for item in items {
        match (&item, crate::ir::op::size_of(cx.shapes, &item)) {
            (Attr::Int(-1), _) if open.is_none() => {
                open = Some(sizes.len());
                sizes.push(Dims::ONE);
            }
            (Attr::Dim(_), Some(size)) => sizes.push(size),
            (Attr::Int(n), Some(size)) if *n >= 0 => sizes.push(size),
            _ => return Err(cx.bad_attr("sizes", "must hold sizes and at most one -1")),
        }
    }
    let known = cx.shapes.dims.product(&sizes);
    match open {
        Some(open) => {
            cx.divides(0, axis, dims[axis], known, Why::Other)?;
            sizes[open] = cx.shapes.dims.floor_div(dims[axis], known);
        }
        None => cx.equal(0, axis, dims[axis], known, Why::Other)?,
    }
    Ok([&dims[..axis], &sizes, &dims[axis + 1..]].concat())
}

/// How often each axis is repeated, and the value's sizes with as many axes.
fn tiles(cx: &mut RuleCx<'_>) -> Result<(Vec<Dim>, Vec<Dim>), Misfit> {
    let mut dims = cx.dims(0)?;
    let mut reps = shape_dims(cx.shapes, cx.attrs.get("reps")).unwrap_or_default();
    let negative = |&dim: &Dim| cx.shapes.dims.as_const(dim).is_some_and(|n| n < 0);
    if reps.is_empty() || reps.iter().any(negative) {
        return Err(cx.bad_attr("reps", "must be numbers, one an axis"));
    }
    while reps.len() < dims.len() {
        reps.insert(0, Dims::ONE);
    }
    while dims.len() < reps.len() {
        dims.insert(0, Dims::ONE);
    }
    Ok((reps, dims))
}

/// Each axis with a repetition in front of it, where there is one.
fn tile<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (reps, dims) = ask(cx, tiles);
    let (mut shape, mut new, mut out) = (vec![], vec![], vec![]);
    for (&rep, &dim) in reps.iter().zip(&dims) {
        if rep != Dims::ONE {
            new.push(shape.len());
            shape.push(rep);
        }
        shape.push(dim);
        out.push(cx.x(0).product(&[rep, dim]));
    }
    vec![cx.x(0).reshape(&dims).spread(&shape, &new).reshape(&out)]
}

/// Whether an element of the last two axes lies on or below a diagonal (`below`), or on or above it.
fn triangle<'g>(x: Var<'g>, diagonal: i64, below: bool) -> Var<'g> {
    let dims = x.dims();
    let plane = &dims[dims.len() - 2..];
    let row = counted(x.builder, plane[0]).spread(plane, &[1]) + diagonal as f64;
    let column = counted(x.builder, plane[1]).spread(plane, &[0]);
    let mask = if below { row.with(column, &GE, &[]) } else { column.with(row, &GE, &[]) };
    match x.dtype() {
        DType::Bool => x.with(mask, &AND, &[]),
        dtype => choose(mask, x, number(x.builder, dtype, 0.0)),
    }
}

fn plane_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    cx.rank(0, 2, 8)?;
    same_as_first(cx)
}

const fn triangular(name: &'static str, formula: &'static str) -> OpDef {
    let shape = "[.., h, w] -> [.., h, w]";
    OpDef { name, formula, shape, attrs: DIAGONAL, operands: OF_ANY, rule: plane_rule, ..OpDef::DEFAULT }
}

/// The two axes of a diagonal, its offset, and its length.
fn diagonal(cx: &mut RuleCx<'_>) -> Result<(usize, usize, i64, Dim), Misfit> {
    let dims = cx.rank(0, 2, 8)?;
    let (a, b) = (cx.axis("a", dims.len())?, cx.axis("b", dims.len())?);
    if a == b {
        return Err(cx.bad_attr("b", "names the same axis as `a`"));
    }
    let offset = cx.attrs.int("offset").unwrap_or(0);
    let less = |cx: &mut RuleCx<'_>, dim: Dim, by: i64| {
        let by = cx.shapes.dims.constant(-by.max(0));
        cx.shapes.dims.add(dim, by)
    };
    let (h, w) = (less(cx, dims[a], -offset), less(cx, dims[b], offset));
    let length = match (cx.shapes.dims.as_const(h), cx.shapes.dims.as_const(w)) {
        (Some(h), Some(w)) => cx.shapes.dims.constant(h.min(w).max(0)),
        _ if dims[a] == dims[b] && offset == 0 => h,
        _ => return Err(cx.bad_attr("offset", "must be 0 and the axes of one size, where sizes are no numbers")),
    };
    Ok((a, b, offset, length))
}

/// Elements of the plane of two axes, by their flat numbers.
fn diagonal_of<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (a, b, offset, length) = ask(cx, diagonal);
    let x = cx.x(0);
    let width = x.dims()[b];
    let others: Vec<usize> = (0..x.rank()).filter(|&axis| axis != a && axis != b).collect();
    let flat = x.permute(&[&others[..], &[a, b]].concat()).fold_from(others.len());
    let width = x.size(width).to(DType::I64);
    let first = if offset < 0 { width * (-offset) as f64 } else { width * 0.0 + offset as f64 };
    let numbers = counted(cx.builder, length) * (width + 1.0) + first;
    vec![chosen(flat, numbers, others.len())]
}

/// Channels of a picture as a grid of `factor` by `factor`: the sizes [B, c, f, f, h, w] or [B, c, h, f, w, f].
fn pixels(cx: &mut RuleCx<'_>, shuffle: bool) -> Result<(Vec<Dim>, Vec<Dim>), Misfit> {
    let dims = cx.rank(0, 4, 4)?;
    let f = cx.size("factor").ok_or_else(|| cx.bad_attr("factor", "must be given"))?;
    let square = cx.shapes.dims.product(&[f, f]);
    let [b, c, h, w] = [dims[0], dims[1], dims[2], dims[3]];
    if shuffle {
        let [side, all, own] = [f, square, c].map(|dim| cx.shapes.dims.show(dim));
        let clause = format!("makes {side} by {side} pixels of {all} channels, and {own} are no multiple of that");
        cx.need(Condition::Divides { what: c, by: square }, cx.bad_attr("factor", clause))?;
        let c = cx.shapes.dims.floor_div(c, square);
        let out = vec![b, c, cx.shapes.dims.product(&[h, f]), cx.shapes.dims.product(&[w, f])];
        return Ok((vec![b, c, f, f, h, w], out));
    }
    for size in [h, w] {
        let [side, own] = [f, size].map(|dim| cx.shapes.dims.show(dim));
        let clause = format!("takes squares of {side} by {side} pixels, and an axis of {own} is no multiple of that");
        cx.need(Condition::Divides { what: size, by: f }, cx.bad_attr("factor", clause))?;
    }
    let (h, w) = (cx.shapes.dims.floor_div(h, f), cx.shapes.dims.floor_div(w, f));
    let out = vec![b, cx.shapes.dims.product(&[c, square]), h, w];
    Ok((vec![b, c, h, f, w, f], out))
}

const fn pixel_op(name: &'static str, shape: &'static str) -> OpDef {
    OpDef {
        name,
        shape,
        formula: "the same elements in another order",
        source: "Shi et al. 2016",
        attrs: FACTOR,
        operands: OF_ANY,
        ..OpDef::DEFAULT
    }
}

fn out_like(cx: &mut RuleCx<'_>, dims: &[Dim]) -> Result<(), Misfit> {
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, dims);
    Ok(())
}

ops! { OPS;

/// One axis taken apart into several; one of their sizes may be -1.
UNFLATTEN = OpDef {
    derivative: "dy in the shape of x",
    name: "unflatten",
    formula: "same elements, more axes",
    shape: "[.., a * b, ..] -> [.., a, b, ..]",
    torch: "nn.Unflatten",
    example: "x: f32[4] = [1, 2, 3, 4], axis = 0, sizes = [2, -1] -> [1, 2, 3, 4]",
    attrs: &[AXIS, AttrDef::required("sizes", &[AttrKind::Shape], "of its parts; one may be -1")],
    operands: OF_ANY,
    rule: |cx| { let dims = unflattened(cx)?; out_like(cx, &dims) },
    facts: VIEWED,
    body: Body::Expand(|cx| as_reshape(cx)),
    ..OpDef::DEFAULT
};

/// Axes moved to other places, the others closing up in their order: only the strides change.
MOVEDIM = OpDef {
    derivative: "dy with its axes put back",
    name: "movedim",
    formula: "the axes in another order",
    torch: "torch.movedim",
    example: "x: f32[2, 2] = [1, 2, 3, 4], from = 0, to = 1 -> [1, 3, 2, 4]",
    attrs: &[
        AttrDef::required("from", &[AttrKind::Axes], "which").torch("source"),
        AttrDef::required("to", &[AttrKind::Axes], "where to").torch("destination"),
    ],
    operands: OF_ANY,
    rule: |cx| {
        let dims = cx.dims(0)?;
        let out: Vec<Dim> = moved(cx, dims.len())?.into_iter().map(|axis| dims[axis]).collect();
        out_like(cx, &out)
    },
    facts: VIEWED,
    body: Body::Expand(|cx| {
        let rank = cx.x(0).rank();
        let order = ask(cx, |rule| moved(rule, rank));
        vec![cx.x(0).permute(&order)]
    }),
    ..OpDef::DEFAULT
};

/// The whole value several times along its axes: `tile(2, 1, 3)`. Missing numbers in front are 1. A copy.
TILE = OpDef {
    derivative: "dy, summed over what was repeated",
    name: "tile",
    formula: "y[.., i, ..] = x[.., i mod n, ..]",
    torch: "torch.tile",
    example: "x: f32[2] = [1, 2], reps = 2 -> [1, 2, 1, 2]",
    attrs: &[AttrDef::required("reps", &[AttrKind::Shape], "how often, one number an axis").torch("dims")],
    operands: OF_ANY,
    rule: |cx| {
        let (reps, dims) = tiles(cx)?;
        let out: Vec<Dim> = reps.iter().zip(&dims).map(|(&rep, &dim)| cx.shapes.dims.product(&[rep, dim])).collect();
        out_like(cx, &out)
    },
    body: Body::Expand(tile),
    ..OpDef::DEFAULT
};

/// Each element of an axis several times, side by side: key heads for groups of query heads. A copy.
REPEAT_INTERLEAVE = OpDef {
    derivative: "dy, summed over what was repeated",
    name: "repeat_interleave",
    formula: "y[.., i, ..] = x[.., floor(i / n), ..]",
    torch: "torch.repeat_interleave",
    example: "x: f32[2] = [1, 2], n = 2, axis = 0 -> [1, 1, 2, 2]",
    attrs: &[AttrDef::required("n", &[AttrKind::Size], "how often").torch("repeats"), AXIS],
    operands: OF_ANY,
    rule: |cx| {
        let mut dims = cx.dims(0)?;
        let axis = cx.axis("axis", dims.len())?;
        let n = cx.size("n").ok_or_else(|| cx.bad_attr("n", "must be given"))?;
        dims[axis] = cx.shapes.dims.product(&[dims[axis], n]);
        out_like(cx, &dims)
    },
    body: Body::Expand(|cx| {
        let (x, axis) = (cx.x(0), super::parts::axis_of(cx));
        let n = ask(cx, |cx| cx.size("n").ok_or_else(|| cx.bad_attr("n", "must be given")));
        let mut shape = x.dims();
        shape.insert(axis + 1, n);
        let folded = x.product(&shape[axis..axis + 2]);
        let mut out = x.dims();
        out[axis] = folded;
        vec![x.spread(&shape, &[axis + 1]).reshape(&out)]
    }),
    ..OpDef::DEFAULT
};

/// The slices of an axis, which goes, as a tuple. Views.
///
/// The axis must be said (**differs**: PyTorch takes 0, the batch), and its size must be a number.
UNBIND = OpDef {
    derivative: "the parts' gradients, side by side",
    name: "unbind",
    formula: "x[.., 0, ..], x[.., 1, ..], …",
    shape: "[.., n, ..] -> ([.., ..], …)",
    torch: "torch.unbind",
    example: "x: f32[2, 2] = [1, 2, 3, 4], axis = 0 -> [1, 2]",
    attrs: &[AXIS],
    operands: OF_ANY,
    rule: |cx| {
        let mut dims = cx.dims(0)?;
        let axis = cx.axis("axis", dims.len())?;
        let size = dims.remove(axis);
        match cx.shapes.dims.as_const(size) {
            Some(n) if n > 0 => (0..n).try_for_each(|_| out_like(cx, &dims)),
            Some(_) => Err(cx.bad_attr("axis", "has size 0: there is nothing to give")),
            None => Err(cx.bad_attr("axis", "must have a size that is a number: how many values?")),
        }
    },
    facts: VIEWED,
    body: Body::Expand(|cx| {
        let (x, axis) = (cx.x(0), super::parts::axis_of(cx));
        let mut dims = x.dims();
        let size = dims.remove(axis);
        let n = x.builder.graph.borrow().shapes.dims.as_const(size).unwrap_or(0);
        let at = |i: i64| x.builder.graph.borrow_mut().shapes.dims.constant(i);
        (0..n).map(|i| part(x, axis, at(i), at(i + 1)).reshape(&dims)).collect()
    }),
    ..OpDef::DEFAULT
};

/// The lower triangle of the last two axes, zeros above the diagonal. A copy.
TRIL = OpDef {
    derivative: "dy below the diagonal and on it, 0 above",
    torch: "torch.tril",
    example: "x: f32[2, 2] = [1, 2, 3, 4] -> [1, 0, 3, 4]",
    body: Body::Expand(|cx| vec![triangle(cx.x(0), cx.attrs.int("diagonal").unwrap_or(0), true)]),
    ..triangular("tril", "x_ij if j <= i + diagonal, else 0")
};

/// The upper triangle of the last two axes, zeros below the diagonal. A copy.
TRIU = OpDef {
    derivative: "dy above the diagonal and on it, 0 below",
    torch: "torch.triu",
    example: "x: f32[2, 2] = [1, 2, 3, 4] -> [1, 2, 0, 4]",
    body: Body::Expand(|cx| vec![triangle(cx.x(0), cx.attrs.int("diagonal").unwrap_or(0), false)]),
    ..triangular("triu", "x_ij if j >= i + diagonal, else 0")
};

/// A diagonal of two axes, as a new last axis in their place. A copy (PyTorch: a view).
DIAGONAL_OP = OpDef {
    derivative: "dy on the diagonal, 0 elsewhere",
    name: "diagonal",
    formula: "y[.., i] = x[.., i, i + offset, ..]",
    shape: "[.., h, w] -> [.., min(h, w)]",
    torch: "torch.diagonal",
    example: "x: f32[2, 2] = [1, 2, 3, 4] -> [1, 4]",
    attrs: &[
        AttrDef::new("offset", &[AttrKind::Int], AttrDefault::Int(0), "which; above 0: right of the main one"),
        AttrDef::new("a", &[AttrKind::Axis], AttrDefault::Int(0), "the axis of rows").torch("dim1"),
        AttrDef::new("b", &[AttrKind::Axis], AttrDefault::Int(1), "that of columns").torch("dim2"),
    ],
    operands: OF_ANY,
    rule: |cx| {
        let (a, b, _, length) = diagonal(cx)?;
        let dims = cx.dims(0)?;
        let mut out: Vec<Dim> = (0..dims.len()).filter(|&axis| axis != a && axis != b).map(|axis| dims[axis]).collect();
        out.push(length);
        out_like(cx, &out)
    },
    facts: Facts { mixes_rows: true, ..Facts::NONE },
    body: Body::Expand(diagonal_of),
    ..OpDef::DEFAULT
};

/// Coordinates of a grid: each vector along an axis of its own, repeated along the others. Views.
MESHGRID = OpDef {
    derivative: "each dy, summed over the axes along which its vector was repeated",
    name: "meshgrid",
    formula: "y_k[i_0, i_1, …] = x_k[i_k]",
    shape: "([n], [m], …) -> ([n, m, …], [n, m, …], …)",
    torch: "torch.meshgrid (indexing = \"ij\")",
    example: "a: f32[2] = [1, 2], b: f32[1] = [3] -> [1, 2]",
    operands: &[Operand::any("a"), Operand::any("more").optional().many()],
    rule: |cx| {
        let mut dims = vec![];
        for index in 0..cx.ins.len() {
            dims.extend(cx.rank(index, 1, 1)?);
        }
        for index in 0..cx.ins.len() {
            let dtype = cx.operand(index)?.dtype;
            cx.out_of(dtype, &dims);
        }
        Ok(())
    },
    facts: Facts { mixes_rows: true, ..VIEWED },
    body: Body::Expand(|cx| {
        let values: Vec<Var<'_>> = cx.ins.iter().copied().flatten().collect();
        let dims: Vec<Dim> = values.iter().flat_map(|value| value.dims()).collect();
        let others = |k: usize| (0..dims.len()).filter(|&axis| axis != k).collect::<Vec<usize>>();
        values.iter().enumerate().map(|(k, value)| value.spread(&dims, &others(k))).collect()
    }),
    ..OpDef::DEFAULT
};

/// Channels become pixels: upsampling by a learned, sub-pixel convolution.
PIXEL_SHUFFLE = OpDef {
    derivative: "dy with its pixels put back",
    torch: "nn.PixelShuffle",
    example: "x: f32[1, 4, 1, 1] = [1, 2, 3, 4], factor = 2 -> [1, 2, 3, 4]",
    rule: |cx| { let (_, out) = pixels(cx, true)?; out_like(cx, &out) },
    body: Body::Expand(|cx| {
        let (split, out) = ask(cx, |rule| pixels(rule, true));
        vec![cx.x(0).reshape(&split).permute(&[0, 1, 4, 2, 5, 3]).reshape(&out)]
    }),
    ..pixel_op("pixel_shuffle", "[B, c * f^2, h, w] -> [B, c, h * f, w * f]")
};

/// Pixels become channels: the inverse of `pixel_shuffle`.
PIXEL_UNSHUFFLE = OpDef {
    derivative: "dy with its pixels put back",
    torch: "nn.PixelUnshuffle",
    example: "x: f32[1, 1, 2, 2] = [1, 2, 3, 4], factor = 2 -> [1, 2, 3, 4]",
    rule: |cx| { let (_, out) = pixels(cx, false)?; out_like(cx, &out) },
    body: Body::Expand(|cx| {
        let (split, out) = ask(cx, |rule| pixels(rule, false));
        vec![cx.x(0).reshape(&split).permute(&[0, 1, 3, 5, 2, 4]).reshape(&out)]
    }),
    ..pixel_op("pixel_unshuffle", "[B, c, h * f, w * f] -> [B, c * f^2, h, w]")
};

/// The channels of several groups dealt out in turn, so that the next grouped convolution sees all of them.
CHANNEL_SHUFFLE = OpDef {
    derivative: "dy with its channels put back",
    name: "channel_shuffle",
    formula: "y[b, i * groups + g] = x[b, g * (c / groups) + i]",
    shape: "[B, c, S…] -> [B, c, S…]",
    source: "Zhang et al. 2017",
    torch: "nn.ChannelShuffle",
    example: "x: f32[1, 4, 1] = [1, 2, 3, 4], groups = 2 -> [1, 3, 2, 4]",
    attrs: &[AttrDef::required("groups", &[AttrKind::Size], "how many")],
    operands: OF_ANY,
    rule: |cx| { let (_, dims) = shuffled(cx)?; out_like(cx, &dims) },
    body: Body::Expand(|cx| {
        let (split, dims) = ask(cx, shuffled);
        vec![cx.x(0).reshape(&split).swap(1, 2).reshape(&dims)]
    }),
    ..OpDef::DEFAULT
};

}

/// The sizes of channels in groups, and of the whole.
fn shuffled(cx: &mut RuleCx<'_>) -> Result<(Vec<Dim>, Vec<Dim>), Misfit> {
    let dims = cx.rank(0, 2, 7)?;
    let groups = cx.size("groups").ok_or_else(|| cx.bad_attr("groups", "must be given"))?;
    cx.divides(0, 1, dims[1], groups, Why::Groups)?;
    let each = cx.shapes.dims.floor_div(dims[1], groups);
    Ok(([&dims[..1], &[groups, each], &dims[2..]].concat(), dims))
}
