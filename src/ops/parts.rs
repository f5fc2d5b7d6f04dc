//! Parts of a value along an axis, and what is put around it.
//!
//! All are expressions over the split of a value into views and the joining of values.

use super::activation::at_least;
use super::arithmetic::{ABS, MAP_MINIMUM, MAP_REM};
use super::index::{chosen, counted};
use super::movement::{concat, split};
use super::source::FILL;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs};
use crate::ir::build::{ExpandCx, Var, shape_attr};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{Body, Condition, Facts, Misfit, OpDef, Operand, RuleCx, Why, resolve_axis, size_of};
use crate::tensor::DType;

const VIEW: Facts = Facts { view: true, ..Facts::NONE };
const ANY: &[Operand] = &[Operand::any("x")];
const AXIS: AttrDef = AttrDef::required("axis", &[AttrKind::Axis], "along which").torch("dim");
const LAST: AttrDef = AttrDef::new("axis", &[AttrKind::Axis], AttrDefault::Int(-1), "along which").torch("dim");

const SLICE: &[AttrDef] = &[
    AXIS,
    AttrDef::new("from", &[AttrKind::Size, AttrKind::Int], AttrDefault::Int(0), "the first; negative: from the end")
        .torch("start"),
    AttrDef::new("to", &[AttrKind::Size, AttrKind::Int], AttrDefault::None, "one past the last; the end otherwise")
        .torch("end"),
    AttrDef::new("step", &[AttrKind::Size], AttrDefault::Int(1), "from one to the next"),
];

/// The axis of an expansion.
pub(super) fn axis_of(cx: &ExpandCx<'_, '_>) -> usize {
    let rank = cx.x(0).rank();
    cx.attrs.int("axis").and_then(|axis| resolve_axis(axis, rank)).unwrap_or(rank.saturating_sub(1))
}

/// A place on an axis: negative numbers count from its end.
fn place(cx: &mut RuleCx<'_>, name: &str, size: Dim, otherwise: Dim) -> Dim {
    match cx.attrs.get(name) {
        Attr::Int(value) if *value < 0 => {
            let back = cx.shapes.dims.constant(*value);
            cx.shapes.dims.add(size, back)
        }
        other => size_of(cx.shapes, other).unwrap_or(otherwise),
    }
}

/// `least <= what`, said of an attribute where it is decided.
fn ordered(cx: &mut RuleCx<'_>, axis: usize, attr: &'static str, least: Dim, what: Dim) -> Result<(), Misfit> {
    let (size, difference) = (cx.dims(0)?[axis], cx.shapes.dims.sub(what, least));
    match cx.shapes.dims.as_const(difference) {
        Some(room) if room < 0 && attr == "from" && least != Dims::ZERO && what != size => {
            Err(cx.bad_attr(attr, "lies behind `to`"))
        }
        Some(room) if room < 0 => {
            let size = cx.shapes.dims.show(size);
            Err(cx.bad_attr(attr, format!("lies outside of the axis, which has a size of {size}")))
        }
        _ => cx.at_least(0, axis, what, least, Why::Other),
    }
}

/// Where a part begins and ends on its axis.
fn ends(cx: &mut RuleCx<'_>, axis: usize) -> Result<(Dim, Dim), Misfit> {
    let size = cx.dims(0)?[axis];
    let zero = cx.shapes.dims.constant(0);
    let from = place(cx, "from", size, zero);
    let to = place(cx, "to", size, size);
    ordered(cx, axis, "from", zero, from)?;
    ordered(cx, axis, "to", to, size)?;
    ordered(cx, axis, "from", from, to)?;
    Ok((from, to))
}

/// What a rule says of a composite's operands, asked again where it is expanded.
pub(super) fn ask<T>(cx: &ExpandCx<'_, '_>, question: impl FnOnce(&mut RuleCx<'_>) -> Result<T, Misfit>) -> T {
    let ins: Vec<_> = cx.ins.iter().map(|var| var.map(Var::ty)).collect();
    let mut graph = cx.builder.graph.borrow_mut();
    let mut rule = RuleCx::new(&mut graph.shapes, cx.attrs, &ins);
    question(&mut rule).unwrap_or_else(|misfit| panic!("{} passed its rule and now fails it: {misfit:?}", cx.op.name))
}

/// The part of an axis from one place to another, as a view.
pub(super) fn part<'g>(x: Var<'g>, axis: usize, from: Dim, to: Dim) -> Var<'g> {
    let size = x.dims()[axis];
    let (front, own, rest) = {
        let table = &mut x.builder.graph.borrow_mut().shapes.dims;
        (from, table.sub(to, from), table.sub(size, to))
    };
    let none = |dim: Dim| x.builder.graph.borrow().shapes.dims.as_const(dim) == Some(0);
    match (none(front), none(rest)) {
        (true, true) => x,
        (true, false) => split(x, axis, &[own, rest])[0],
        (false, true) => split(x, axis, &[front, own])[1],
        (false, false) => split(x, axis, &[front, own, rest])[1],
    }
}

/// The same number all over a shape.
pub(super) fn filled<'g>(like: Var<'g>, dims: &[Dim], value: f64) -> Var<'g> {
    let given =
        [("shape", shape_attr(dims)), ("value", Attr::Float(value)), ("dtype", Attr::Str(like.dtype().word().into()))];
    like.builder.apply(&FILL, Attrs::with(FILL.attrs, &given), &[])[0]
}

/// Every step-th place of an axis: it is cut into groups of `step`, of which the first stay.
fn strided<'g>(x: Var<'g>, axis: usize, step: i64) -> Var<'g> {
    let mut dims = x.dims();
    let size = dims[axis];
    let (step, groups, missing) = {
        let table = &mut x.builder.graph.borrow_mut().shapes.dims;
        let groups = steps(table, size, step);
        let whole = table.scale(groups, step);
        (table.constant(step), groups, table.sub(whole, size))
    };
    dims[axis] = missing;
    let none = x.builder.graph.borrow().shapes.dims.as_const(missing) == Some(0);
    let x = if none { x } else { concat(&[x, filled(x, &dims, 0.0)], axis) };
    dims[axis] = groups;
    let mut grouped = dims.clone();
    grouped.insert(axis + 1, step);
    part(x.reshape(&grouped), axis + 1, Dims::ZERO, Dims::ONE).reshape(&dims)
}

/// How many steps an axis has.
fn steps(table: &mut Dims, size: Dim, step: i64) -> Dim {
    let (by, more) = (table.constant(step), table.constant(step - 1));
    let size = table.add(size, more);
    table.floor_div(size, by)
}

/// The two halves of the axis of a gated unit.
pub(super) fn halves<'g>(cx: &ExpandCx<'_, 'g>) -> [Var<'g>; 2] {
    let (x, axis) = (cx.x(0), axis_of(cx));
    let whole = x.dims()[axis];
    let half = {
        let table = &mut x.builder.graph.borrow_mut().shapes.dims;
        let two = table.constant(2);
        table.floor_div(whole, two)
    };
    let both = split(x, axis, &[half, half]);
    [both[0], both[1]]
}

/// The sizes of the parts of `split`.
fn part_sizes(cx: &mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit> {
    let dims = cx.dims(0)?;
    let axis = cx.axis("axis", dims.len())?;
    let sizes = cx.attrs.ints("size").unwrap_or_default();
    if sizes.is_empty() || sizes.iter().any(|&size| size < 0) {
        return Err(cx.bad_attr("size", "must be a size, or a list of sizes"));
    }
    if let Attr::List(_) = cx.attrs.get("size") {
        let total = cx.shapes.dims.constant(sizes.iter().sum());
        cx.equal(0, axis, dims[axis], total, Why::Other)?;
        return Ok(sizes.iter().map(|&size| cx.shapes.dims.constant(size)).collect());
    }
    let (Some(whole), size) = (cx.shapes.dims.as_const(dims[axis]), sizes[0].max(1)) else {
        return Err(cx.bad_attr("size", "must be a list where the size of the axis is not a number: how many parts?"));
    };
    let parts = (0..whole.max(1)).step_by(size as usize).map(|from| size.min(whole - from));
    Ok(parts.map(|size| cx.shapes.dims.constant(size)).collect())
}

/// The sizes of the parts of `chunk`.
fn chunk_sizes(cx: &mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit> {
    let dims = cx.dims(0)?;
    let axis = cx.axis("axis", dims.len())?;
    let n = cx.attrs.int("n").ok_or_else(|| cx.bad_attr("n", "must be a number"))?;
    let parts = cx.shapes.dims.constant(n);
    cx.divides(0, axis, dims[axis], parts, Why::Other)?;
    let size = cx.shapes.dims.floor_div(dims[axis], parts);
    Ok(vec![size; n as usize])
}

fn parts_rule(cx: &mut RuleCx<'_>, sizes: fn(&mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit>) -> Result<(), Misfit> {
    let (mut dims, dtype) = (cx.dims(0)?, cx.operand(0)?.dtype);
    let axis = cx.axis("axis", dims.len())?;
    for size in sizes(cx)? {
        dims[axis] = size;
        cx.out_of(dtype, &dims);
    }
    Ok(())
}

/// What `pad` adds in front and behind, for the last axes.
fn amounts(cx: &RuleCx<'_>, rank: usize) -> Result<Vec<(i64, i64)>, Misfit> {
    let pair = |item: &Attr| match item {
        Attr::List(both) => match both[..] {
            [Attr::Int(front), Attr::Int(behind)] => Some((front, behind)),
            _ => None,
        },
        _ => None,
    };
    let pairs = match cx.attrs.get("amount") {
        Attr::Int(n) => Some(vec![(*n, *n); rank.saturating_sub(2)]),
        Attr::List(items) => items.iter().map(pair).collect(),
        _ => None,
    };
    let clause = "must be a number for every spatial axis, or a pair an axis, for the last axes: `[[1, 1], [2, 2]]`";
    pairs.filter(|pairs| pairs.len() <= rank).ok_or_else(|| {
        match in_axis_order(&cx.attrs.ints("amount").unwrap_or_default()) {
            Some(meant) => {
                let clause = "is a flat list, as PyTorch's, last axis first: here one pair an axis, in axis order";
                Misfit { meant: Some(meant), ..cx.bad_attr("amount", clause) }
            }
            None => cx.bad_attr("amount", clause),
        }
    })
}

/// PyTorch's flat list of paddings, last axis first, as pairs in axis order.
pub fn in_axis_order(flat: &[i64]) -> Option<String> {
    let pairs = flat.chunks(2).rev().map(|pair| format!("[{}, {}]", pair[0], pair[1]));
    (flat.len() > 1 && flat.len().is_multiple_of(2)).then(|| format!("[{}]", pairs.collect::<Vec<_>>().join(", ")))
}

/// A mirror shows what stands before it, a circle what is there once; the ends must be there to be repeated.
pub(super) fn check_border(
    cx: &mut RuleCx<'_>,
    attr: &'static str,
    axis: usize,
    (front, behind): (i64, i64),
    mode: &str,
) -> Result<(), Misfit> {
    let (size, most) = (cx.dims(0)?[axis], front.max(behind).max(0));
    let (least, clause) = match mode {
        "reflect" if most > 0 => (most + 1, "a mirror shows all but its last place"),
        "circular" => (most, "a circle goes around once at most"),
        "replicate" => (most.min(1), "there is nothing to repeat"),
        _ => return Ok(()),
    };
    let clause = format!("adds {most} to an axis of {} as \"{mode}\": {clause}", cx.shapes.dims.show(size));
    let misfit = Misfit { operand: Some(0), axis: Some(axis), ..cx.bad_attr(attr, clause) };
    let least = cx.shapes.dims.constant(least);
    cx.need(Condition::AtLeast(size, least), misfit)
}

fn pad_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let mut dims = cx.dims(0)?;
    let pairs = amounts(cx, dims.len())?;
    let first = dims.len() - pairs.len();
    for (axis, (front, behind)) in (first..).zip(pairs) {
        // What is cropped must be there.
        let crop = cx.shapes.dims.constant(-front.min(0) - behind.min(0));
        cx.at_least(0, axis, dims[axis], crop, Why::Other)?;
        check_border(cx, "amount", axis, (front, behind), cx.attrs.str("mode").unwrap_or("constant"))?;
        let more = cx.shapes.dims.constant(front + behind);
        dims[axis] = cx.shapes.dims.add(dims[axis], more);
    }
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &dims);
    Ok(())
}

/// An axis with something in front and behind, or less of it.
fn padded<'g>(x: Var<'g>, axis: usize, (front, behind): (i64, i64), value: f64) -> Var<'g> {
    let size = x.dims()[axis];
    let (from, to) = {
        let table = &mut x.builder.graph.borrow_mut().shapes.dims;
        let less = table.constant(behind.min(0));
        (table.constant(-front.min(0)), table.add(size, less))
    };
    let kept = part(x, axis, from, to);
    let beside = |n: i64| {
        let mut dims = kept.dims();
        dims[axis] = x.builder.graph.borrow_mut().shapes.dims.constant(n);
        (n > 0).then(|| filled(x, &dims, value))
    };
    let all: Vec<Var<'g>> = [beside(front), Some(kept), beside(behind)].into_iter().flatten().collect();
    concat(&all, axis)
}

/// An axis continued by what it holds: each place of the result says where it is taken from.
pub(super) fn bordered<'g>(x: Var<'g>, axis: usize, (front, behind): (i64, i64), mode: &str) -> Var<'g> {
    let size = x.dims()[axis];
    let length = {
        let table = &mut x.builder.graph.borrow_mut().shapes.dims;
        let more = table.constant(front + behind);
        table.add(size, more)
    };
    let place = counted(x.builder, length) - front as f64;
    let size = x.size(size).to(DType::I64);
    let last = size - 1.0;
    let from = match mode {
        "reflect" => last - (last - place.op(&ABS)).op(&ABS),
        "circular" => place.with(size, &MAP_REM, &[]),
        _ => at_least(place, 0.0).with(last, &MAP_MINIMUM, &[]),
    };
    chosen(x, from, axis)
}

ops! { OPS;

/// One place of an axis, which goes: the class token is `select(1, 0)`. Negative counts from the end.
SELECT = OpDef {
    derivative: "dy at the place that was taken, 0 elsewhere",
    name: "select",
    formula: "y[.., ..] = x[.., index, ..]",
    shape: "[.., n, ..] -> [.., ..]",
    torch: "torch.select",
    example: "x: f32[2, 2] = [1, 2, 3, 4], axis = 0, index = 1 -> [3, 4]",
    attrs: &[AXIS, AttrDef::required("index", &[AttrKind::Int], "which; negative: from the end")],
    operands: ANY,
    rule: |cx| {
        let mut dims = cx.dims(0)?;
        let axis = cx.axis("axis", dims.len())?;
        let index = place(cx, "index", dims[axis], Dims::ZERO);
        ordered(cx, axis, "index", Dims::ZERO, index)?;
        let end = cx.shapes.dims.add(index, Dims::ONE);
        ordered(cx, axis, "index", end, dims[axis])?;
        dims.remove(axis);
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    facts: VIEW,
    body: Body::Expand(|cx| {
        let (x, axis) = (cx.x(0), axis_of(cx));
        let mut dims = x.dims();
        let (from, to) = ask(cx, |cx| {
            let from = place(cx, "index", dims[axis], Dims::ZERO);
            Ok((from, cx.shapes.dims.add(from, Dims::ONE)))
        });
        dims.remove(axis);
        vec![part(x, axis, from, to).reshape(&dims)]
    }),
    ..OpDef::DEFAULT
};

/// The places `from`, `from + step`, … before `to` of an axis; negative ones count from the end, none may lie outside.
///
/// A view; with a step other than 1 what it skips is left out on the way.
SLICE_OP = OpDef {
    derivative: "dy at the places that were taken, 0 elsewhere",
    name: "slice",
    formula: "y[.., i, ..] = x[.., from + i * step, ..]",
    shape: "[.., n, ..] -> [.., m, ..]",
    torch: "x[:, from:to:step]",
    example: "x: f32[4] = [1, 2, 3, 4], axis = 0, from = 1, to = -1 -> [2, 3]",
    attrs: SLICE,
    operands: ANY,
    rule: |cx| {
        let mut dims = cx.dims(0)?;
        let axis = cx.axis("axis", dims.len())?;
        let (from, to) = ends(cx, axis)?;
        let step = cx.attrs.int("step").filter(|step| *step > 0);
        let step = step.ok_or_else(|| cx.bad_attr("step", "must be a number"))?;
        let size = cx.shapes.dims.sub(to, from);
        dims[axis] = if step == 1 { size } else { steps(&mut cx.shapes.dims, size, step) };
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    facts: VIEW,
    body: Body::Expand(|cx| {
        let axis = axis_of(cx);
        let (from, to) = ask(cx, |cx| ends(cx, axis));
        let whole = part(cx.x(0), axis, from, to);
        vec![match cx.attrs.int("step") {
            Some(step) if step > 1 => strided(whole, axis, step),
            _ => whole,
        }]
    }),
    ..OpDef::DEFAULT
};

/// `length` places of an axis from `start` on.
NARROW = OpDef {
    derivative: "dy at the places that were taken, 0 elsewhere",
    name: "narrow",
    formula: "y[.., i, ..] = x[.., start + i, ..]",
    shape: "[.., n, ..] -> [.., length, ..]",
    torch: "torch.narrow",
    example: "x: f32[4] = [1, 2, 3, 4], axis = 0, start = 1, length = 2 -> [2, 3]",
    attrs: &[
        AXIS,
        AttrDef::required("start", &[AttrKind::Size, AttrKind::Int], "the first; negative: from the end"),
        AttrDef::required("length", &[AttrKind::Size], "how many"),
    ],
    operands: ANY,
    rule: |cx| {
        let mut dims = cx.dims(0)?;
        let axis = cx.axis("axis", dims.len())?;
        let start = place(cx, "start", dims[axis], Dims::ZERO);
        ordered(cx, axis, "start", Dims::ZERO, start)?;
        let length = cx.size("length").ok_or_else(|| cx.bad_attr("length", "must be a size"))?;
        let end = cx.shapes.dims.add(start, length);
        ordered(cx, axis, "length", end, dims[axis])?;
        dims[axis] = length;
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    facts: VIEW,
    body: Body::Expand(|cx| {
        let (x, axis) = (cx.x(0), axis_of(cx));
        let (start, end) = ask(cx, |cx| {
            let start = place(cx, "start", cx.dims(0)?[axis], Dims::ZERO);
            let length = cx.size("length").unwrap_or(Dims::ONE);
            Ok((start, cx.shapes.dims.add(start, length)))
        });
        vec![part(x, axis, start, end)]
    }),
    ..OpDef::DEFAULT
};

/// Several values, one behind the other on an axis: of `size` each (the last may be smaller), or of the sizes listed.
SPLIT = OpDef {
    derivative: "the parts' gradients, one behind the other",
    name: "split",
    formula: "x = [a, b, …] along axis",
    shape: "[.., n + m + …, ..] -> ([.., n, ..], [.., m, ..], …)",
    torch: "torch.split",
    example: "x: f32[3] = [1, 2, 3], size = [1, 2] -> [1]",
    attrs: &[AttrDef::required("size", &[AttrKind::Size, AttrKind::Shape], "of each part, or a list").torch("split_size_or_sections"), LAST],
    operands: ANY,
    rule: |cx| parts_rule(cx, part_sizes),
    facts: VIEW,
    body: Body::Expand(|cx| {
        let sizes = ask(cx, part_sizes);
        split(cx.x(0), axis_of(cx), &sizes)
    }),
    ..OpDef::DEFAULT
};

/// Several values of equal size, one behind the other on an axis.
CHUNK = OpDef {
    derivative: "the parts' gradients, one behind the other",
    name: "chunk",
    formula: "x = [a, b, …] along axis",
    shape: "[.., n * m, ..] -> ([.., m, ..], …)",
    torch: "torch.chunk",
    example: "x: f32[4] = [1, 2, 3, 4], n = 2 -> [1, 2]",
    attrs: &[AttrDef::required("n", &[AttrKind::Size], "how many; it must divide the axis").torch("chunks"), LAST],
    operands: ANY,
    rule: |cx| parts_rule(cx, chunk_sizes),
    facts: VIEW,
    body: Body::Expand(|cx| {
        let sizes = ask(cx, chunk_sizes);
        split(cx.x(0), axis_of(cx), &sizes)
    }),
    ..OpDef::DEFAULT
};

/// A border around the spatial axes, or around the last axes, one pair each: `[[1, 0], [2, 2]]` is one row above and two
/// columns on both sides. Negative amounts crop.
///
/// A constant, or what the axis holds: mirrored at its ends (without them), its ends repeated, or once more from the
/// other end. In axis order (**differs** from PyTorch's flat list, which begins with the last axis).
PAD = OpDef {
    derivative: "dy without the border; what was mirrored or repeated from x is added to where it came from",
    name: "pad",
    formula: "y[.., front + i, ..] = x[.., i, ..], value elsewhere",
    shape: "[.., n, ..] -> [.., front + n + behind, ..]",
    torch: "F.pad",
    example: "x: f32[1, 1, 2] = [1, 2], amount = 1 -> [0, 1, 2, 0]",
    attrs: &[
        AttrDef::required("amount", &[AttrKind::Int, AttrKind::Numbers], "for every spatial axis, or a pair an axis"),
        AttrDef::new("mode", &[AttrKind::Choice(&["constant", "reflect", "replicate", "circular"])], AttrDefault::Str("constant"), "what is put there"),
        AttrDef::new("value", &[AttrKind::Number], AttrDefault::Float(0.0), "the constant"),
    ],
    rule: pad_rule,
    body: Body::Expand(|cx| {
        let (x, value) = (cx.x(0), cx.attrs.float("value").unwrap_or(0.0));
        let rank = x.rank();
        let pairs = ask(cx, |rule| amounts(rule, rank));
        let first = rank - pairs.len();
        let mode = cx.attrs.str("mode").unwrap_or("constant");
        let along = |x, (axis, pair)| match mode {
            "constant" => padded(x, axis, pair, value),
            _ => bordered(x, axis, pair, mode),
        };
        vec![(first..).zip(pairs).filter(|(_, pair)| *pair != (0, 0)).fold(x, along)]
    }),
    ..OpDef::DEFAULT
};

}
