//! Sorting, and what is read off a sorted row.

use super::extreme::{axes_last, kept};
use super::function::ISNAN;
use super::index::scattered;
use super::logic::choose;
use super::parts::{ask, axis_of, filled, part};
use super::reduce::{AXIS, along_rule, axes_of, reduced};
use super::scan::{both_along, to_indices, with_indices};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{Body, Facts, Gradient, Misfit, OpDef, Output, RuleCx, Why};
use crate::kernels::call::Args;
use crate::kernels::scan;
use crate::tensor::DType;

const BOTH: &[Output] = &[Output::main("values"), Output::main("indices")];
const DESCENDING: AttrDef =
    AttrDef::new("descending", &[AttrKind::Bool], AttrDefault::Bool(false), "whether the largest come first");
const SORTED: &[AttrDef] = &[AXIS[0], DESCENDING];
const K: AttrDef = AttrDef::required("k", &[AttrKind::Size], "how many");
const LARGEST: AttrDef =
    AttrDef::new("largest", &[AttrKind::Bool], AttrDefault::Bool(true), "the largest, or the smallest").named();
const TOP: &[AttrDef] = &[K, AXIS[0], LARGEST];
const TOP_MASK: &[AttrDef] = &[K, AXIS[0]];
const MEDIAN: &[AttrDef] = &[
    AttrDef::new("axis", &[AttrKind::Axis], AttrDefault::None, "the axis that goes; all of them otherwise")
        .torch("dim"),
    AttrDef::new("keep", &[AttrKind::Bool], AttrDefault::Bool(false), "whether it stays with size 1")
        .named()
        .torch("keepdim"),
];

fn sort_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    along_rule(cx)?;
    cx.outs.clear();
    with_indices(cx)
}

/// Values and indices, sorted along the axis.
fn sorted<'g>(cx: &ExpandCx<'_, 'g>, descending: bool) -> Vec<Var<'g>> {
    both_along(cx, &SORT_LAST, &[("descending", Attr::Bool(descending))])
}

/// The sizes with k on the axis.
fn first_k(cx: &mut RuleCx<'_>) -> Result<(usize, Vec<Dim>), Misfit> {
    let mut dims = cx.rank(0, 1, 8)?;
    let axis = cx.axis("axis", dims.len())?;
    let k = cx.size("k").ok_or_else(|| cx.bad_attr("k", "must be a size"))?;
    cx.at_least(0, axis, dims[axis], k, Why::Other)?;
    dims[axis] = k;
    Ok((axis, dims))
}

fn topk<'g>(cx: &ExpandCx<'_, 'g>, largest: bool) -> Vec<Var<'g>> {
    let (axis, dims) = ask(cx, first_k);
    sorted(cx, largest).into_iter().map(|value| part(value, axis, Dims::ZERO, dims[axis])).collect()
}

fn median_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.dims(0)?;
    let axes = cx.axes("axis", dims.len())?;
    axes.iter().try_for_each(|&axis| cx.at_least(0, axis, dims[axis], Dims::ONE, Why::Other))?;
    let (dtype, out) = (cx.operand(0)?.dtype, reduced(&dims, &axes, cx.attrs.flag("keep")));
    cx.out_of(dtype, &out);
    if *cx.attrs.get("axis") != Attr::None {
        cx.out_of(DType::I64, &out);
    }
    Ok(())
}

/// The one in the middle of a sorted row; where the last is NaN, that.
fn median<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let axes = axes_of(cx, "axis");
    let x = axes_last(cx.x(0), &axes);
    let (dims, last) = (x.dims(), x.rank() - 1);
    let (middle, behind, end) = {
        let table = &mut x.builder.graph.borrow_mut().shapes.dims;
        let two = table.constant(2);
        let end = table.sub(dims[last], Dims::ONE);
        let middle = table.floor_div(end, two);
        (middle, table.add(middle, Dims::ONE), end)
    };
    let given = [("descending", Attr::Bool(false))];
    let all = cx.builder.apply(&SORT_LAST, Attrs::with(SORT_LAST.attrs, &given), &[Some(x)]);
    let at = |from: Dim, to: Dim| [0, 1].map(|i: usize| part(all[i], last, from, to).reshape(&dims[..last]));
    let ([value, index], [largest, its_index]) = (at(middle, behind), at(end, dims[last]));
    let nan = largest.op(&ISNAN);
    let mut found = vec![choose(nan, largest, value)];
    if *cx.attrs.get("axis") != Attr::None {
        found.push(choose(nan, its_index, index));
    }
    found.into_iter().map(|value| kept(cx, value, &axes)).collect()
}

ops! { OPS;

/// An axis in ascending order, and where each element was. Equal elements keep their order; not-a-number comes as the
/// largest. The gradient goes back to where each element was.
SORT = OpDef {
    derivative: "each dy_i goes back to where its value came from; equal values keep their order, so that is defined \
        for ties, too",
    name: "sort",
    formula: "y_0 <= y_1 <= …, y_i = x_(index_i)",
    torch: "torch.sort",
    example: "x: f32[3] = [3, 1, 2] -> [1, 2, 3]",
    attrs: SORTED,
    outputs: BOTH,
    rule: sort_rule,
    body: Body::Expand(|cx| sorted(cx, cx.attrs.flag("descending"))),
    ..OpDef::DEFAULT
};

/// The numbers of an axis's elements in ascending order: the indices of `sort`.
ARGSORT = OpDef {
    name: "argsort",
    formula: "x_(y_0) <= x_(y_1) <= …",
    shape: "[..] -> i64[..]",
    torch: "torch.argsort",
    example: "x: f32[3] = [3, 1, 2] -> [1, 2, 0]",
    attrs: SORTED,
    rule: |cx| { sort_rule(cx)?; cx.outs.remove(0); Ok(()) },
    gradient: Gradient::Zero,
    body: Body::Expand(|cx| vec![sorted(cx, cx.attrs.flag("descending"))[1]]),
    ..OpDef::DEFAULT
};

/// The k largest (or smallest) of an axis, in order, and where they were. Of equals the first ones are taken.
TOPK = OpDef {
    derivative: "each dy_i goes back to where its value came from, 0 to what was not taken; of equals the first are \
        taken",
    name: "topk",
    formula: "the first k of x, sorted",
    shape: "[.., n, ..] -> [.., k, ..]",
    torch: "torch.topk",
    example: "x: f32[4] = [3, 1, 4, 2], k = 2 -> [4, 3]",
    attrs: TOP,
    outputs: BOTH,
    rule: |cx| {
        let (_, dims) = first_k(cx)?;
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        cx.out_of(DType::I64, &dims);
        Ok(())
    },
    body: Body::Expand(|cx| topk(cx, cx.attrs.flag("largest"))),
    ..OpDef::DEFAULT
};

/// True at the k largest of an axis: which experts are asked, which logits may be drawn. Of equals the first ones.
TOPK_MASK = OpDef {
    name: "topk_mask",
    formula: "whether x_i is among the k largest",
    shape: "[..] -> bool[..]",
    example: "x: f32[4] = [3, 1, 4, 2], k = 2 -> [1, 0, 1, 0]",
    attrs: TOP_MASK,
    rule: |cx| {
        first_k(cx)?;
        let ty = crate::ir::shape::Type { dtype: DType::Bool, ..cx.operand(0)? };
        cx.out(ty);
        Ok(())
    },
    gradient: Gradient::Zero,
    body: Body::Expand(|cx| {
        let index = topk(cx, true)[1];
        let ones = filled(cx.x(0), &index.dims(), 1.0);
        vec![scattered(index, ones, axis_of(cx), &cx.x(0).dims()).to(DType::Bool)]
    }),
    ..OpDef::DEFAULT
};

/// The middle one in order; of an even number the lower of the two. With an axis also where it is.
///
/// One not-a-number makes it not-a-number. The gradient goes to the element that was found.
MEDIAN_OP = OpDef {
    derivative: "all of dy goes to the element that was found, 0 to the others",
    name: "median",
    formula: "the element (n - 1) / 2 of x, sorted",
    shape: "[..] -> [..] without axis",
    torch: "torch.median",
    example: "x: f32[4] = [3, 1, 4, 2] -> 2",
    attrs: MEDIAN,
    outputs: BOTH,
    rule: median_rule,
    facts: Facts { mixes_rows: true, ..Facts::NONE },
    body: Body::Expand(median),
    ..OpDef::DEFAULT
};

/// The last axis in order.
SORT_LAST = OpDef {
    name: "order.sort",
    attrs: &[DESCENDING],
    outputs: BOTH,
    rule: with_indices,
    body: Body::Kernel {
        kernel: &scan::SORT,
        args: |cx| {
            let mut args = Args::default();
            args.ints[0] = i32::from(cx.attrs.flag("descending"));
            args
        },
    },
    gradient: Gradient::Formula(to_indices),
    ..OpDef::DEFAULT
};

}
