//! Elements by number along an axis.

use super::movement::concat;
use super::parts::{axis_of, part};
use super::source::RANGE;
use crate::ir::attr::{Attr, AttrDef, AttrKind, Attrs};
use crate::ir::build::{Builder, Var, shape_attr};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    ArgsCx, Body, Condition, Gradient, Misfit, MisfitKind, OpDef, Operand, RuleCx, Why, same_as_first, size_of,
};
use crate::kernels::call::Args;
use crate::kernels::{gather, take};
use crate::tensor::DType;

const AXIS: AttrDef = AttrDef::required("axis", &[AttrKind::Axis], "along which").torch("dim");
const AT: &[AttrDef] = &[AXIS];
const SHAPED: &[AttrDef] = &[AXIS, AttrDef::required("shape", &[AttrKind::Shape], "of the result")];
const BY_INDEX: &[Operand] = &[Operand::any("x"), Operand::int("index")];

fn axis_arg(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.ints[0] = cx.attrs.int("axis").unwrap_or(0) as i32;
    args
}

/// Elements of x by numbers along an axis: one number an element of the result.
pub(super) fn taken<'g>(x: Var<'g>, index: Var<'g>, axis: usize) -> Var<'g> {
    x.with(index, &TAKE, &[("axis", Attr::Int(axis as i64))])
}

/// The same numbers for all other axes.
pub(super) fn chosen<'g>(x: Var<'g>, numbers: Var<'g>, axis: usize) -> Var<'g> {
    let mut dims = x.dims();
    dims[axis] = numbers.dims()[0];
    let others: Vec<usize> = (0..dims.len()).filter(|&other| other != axis).collect();
    taken(x, numbers.spread(&dims, &others), axis)
}

/// Zeros of a shape, to which values are added at numbers along an axis.
pub(super) fn scattered<'g>(index: Var<'g>, values: Var<'g>, axis: usize, dims: &[Dim]) -> Var<'g> {
    let given = [("axis", Attr::Int(axis as i64)), ("shape", shape_attr(dims))];
    index.with(values, &TAKE_GRAD, &given)
}

/// 1 at each number, 0 elsewhere, as bools, along a new last axis.
pub(super) fn one_hot<'g>(ids: Var<'g>, classes: Dim, dtype: DType) -> Var<'g> {
    ids.then(&HOT, &[("classes", Attr::Dim(classes)), ("dtype", Attr::Str(dtype.word().into()))])
}

/// 0, 1, … below a size.
pub(super) fn counted(builder: &Builder, size: Dim) -> Var<'_> {
    builder.one(&RANGE, Attrs::with(RANGE.attrs, &[("from", Attr::Dim(size))]), &[])
}

/// An axis the other way round.
pub(super) fn flipped(x: Var<'_>, axis: usize) -> Var<'_> {
    let size = x.dims()[axis];
    let last = x.size(size).to(DType::I64) - 1.0;
    chosen(x, last - counted(x.builder, size), axis)
}

/// The index has the rank of x; what is said of its other sizes.
fn index_rule(cx: &mut RuleCx<'_>, equal: bool) -> Result<(), Misfit> {
    let dims = cx.rank(0, 1, 8)?;
    let axis = cx.axis("axis", dims.len())?;
    let index = cx.rank(1, dims.len(), dims.len())?;
    for at in (0..dims.len()).filter(|&at| at != axis) {
        match equal {
            true => cx.equal(1, at, index[at], dims[at], Why::Other)?,
            false => cx.at_least(0, at, dims[at], index[at], Why::Other)?,
        }
    }
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &index);
    Ok(())
}

/// The listed axes of an attribute, and a number for each of them.
fn rolls(cx: &RuleCx<'_>, rank: usize) -> Result<Vec<(usize, i64)>, Misfit> {
    let shifts = cx.attrs.ints("shift").unwrap_or_default();
    let axes = cx.attrs.ints("axis").unwrap_or_default();
    if shifts.len() != axes.len() {
        return Err(cx.bad_attr("shift", "must be one number an axis"));
    }
    let resolve = |axis: i64| {
        crate::ir::op::resolve_axis(axis, rank)
            .ok_or(Misfit { attr: Some("axis"), ..Misfit::of(MisfitKind::Axis { axis, rank }) })
    };
    axes.into_iter().zip(shifts).map(|(axis, shift)| Ok((resolve(axis)?, shift))).collect()
}

ops! { OPS;

/// Elements by number along an axis: as many as the index has, whose other sizes may be smaller than those of x.
///
/// Its gradient adds up what was taken several times. A number outside of the axis is an error at run time.
GATHER = OpDef {
    derivative: "dy added to where each element was taken from",
    name: "gather",
    formula: "y[.., i, ..] = x[.., index[.., i, ..], ..]",
    shape: "(x [.., n, ..], index i64[.., m, ..]) -> [.., m, ..]",
    torch: "torch.gather",
    example: "x: f32[2, 2] = [1, 2, 3, 4], index: i64[2, 1] = [1, 0], axis = 1 -> [2, 3]",
    attrs: AT,
    operands: BY_INDEX,
    rule: |cx| index_rule(cx, false),
    body: Body::Expand(|cx| vec![taken(cx.x(0), cx.x(1), axis_of(cx))]),
    ..OpDef::DEFAULT
};

/// Rows by number, of each sample its own: row `ids[b, j]` of `x[b]`.
///
/// Picks tokens (the masked ones, the class token's neighbours) out of sequences. A number outside of the axis is an error
/// at run time.
GATHER_ROWS = OpDef {
    derivative: "dy added to where each row was taken from",
    name: "gather_rows",
    formula: "y[b, j, ..] = x[b, ids[b, j], ..]",
    shape: "(x [B, n, ..], ids i64[B, k]) -> [B, k, ..]",
    torch: "torch.take_along_dim(x, ids[:, :, None], 1)",
    example: "x: f32[1, 2, 1] = [5, 6], ids: i64[1, 3] = [1, 1, 0] -> [6, 6, 5]",
    attrs: &[AttrDef::new("axis", &[AttrKind::Axis], crate::ir::attr::AttrDefault::Int(1), "along which").torch("dim")],
    operands: &[Operand::any("x"), Operand::int("ids")],
    rule: |cx| {
        let (mut dims, ids) = (cx.rank(0, 2, 8)?, cx.rank(1, 2, 2)?);
        let axis = cx.axis("axis", dims.len())?;
        if axis == 0 {
            return Err(cx.bad_attr("axis", "cannot be the first: each sample has ids of its own"));
        }
        cx.equal(1, 0, ids[0], dims[0], Why::Leading)?;
        dims[axis] = ids[1];
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    body: Body::Expand(|cx| {
        let (axis, ids, mut dims) = (axis_of(cx), cx.x(1), cx.x(0).dims());
        dims[axis] = ids.dims()[1];
        let others: Vec<usize> = (1..dims.len()).filter(|&other| other != axis).collect();
        vec![taken(cx.x(0), ids.spread(&dims, &others), axis)]
    }),
    ..OpDef::DEFAULT
};

/// Elements by number along an axis, as `gather`; the other sizes of the index are those of x.
TAKE_ALONG = OpDef {
    derivative: "dy added to where each element was taken from",
    name: "take_along",
    formula: "y[.., i, ..] = x[.., index[.., i, ..], ..]",
    shape: "(x [.., n, ..], index i64[.., m, ..]) -> [.., m, ..]",
    torch: "torch.take_along_dim",
    example: "x: f32[2, 2] = [1, 2, 3, 4], index: i64[2, 1] = [1, 0], axis = 1 -> [2, 3]",
    attrs: AT,
    operands: BY_INDEX,
    rule: |cx| index_rule(cx, true),
    body: Body::Expand(|cx| vec![taken(cx.x(0), cx.x(1), axis_of(cx))]),
    ..OpDef::DEFAULT
};

/// Whole slices by number along an axis: rows of a table, columns, channels.
INDEX_SELECT = OpDef {
    derivative: "dy added to where each slice was taken from",
    name: "index_select",
    formula: "y[.., i, ..] = x[.., index[i], ..]",
    shape: "(x [.., n, ..], index i64[m]) -> [.., m, ..]",
    torch: "torch.index_select",
    example: "x: f32[2, 2] = [1, 2, 3, 4], index: i64[3] = [1, 0, 1], axis = 0 -> [3, 4, 1, 2, 3, 4]",
    attrs: AT,
    operands: BY_INDEX,
    rule: |cx| {
        let mut dims = cx.rank(0, 1, 8)?;
        let axis = cx.axis("axis", dims.len())?;
        dims[axis] = cx.rank(1, 1, 1)?[0];
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    body: Body::Expand(|cx| vec![chosen(cx.x(0), cx.x(1), axis_of(cx))]),
    ..OpDef::DEFAULT
};

/// 1 in the place that an id names, 0 elsewhere, along a new last axis; integers, as in PyTorch.
///
/// An id outside of the classes is an error at run time. For floats: `one_hot(n) |> cast("f32")`.
ONE_HOT = OpDef {
    name: "one_hot",
    formula: "y[.., c] = 1 if ids[..] = c, else 0",
    shape: "i64[..] -> i64[.., classes]",
    torch: "F.one_hot",
    example: "ids: i64[2] = [2, 0], classes = 3 -> [0, 0, 1, 1, 0, 0]",
    attrs: &[AttrDef::required("classes", &[AttrKind::Size], "how many").torch("num_classes")],
    operands: &[Operand::int("ids")],
    rule: |cx| hot_rule(cx, DType::I64),
    gradient: Gradient::Zero,
    body: Body::Expand(|cx| {
        let classes = {
            let mut graph = cx.builder.graph.borrow_mut();
            size_of(&mut graph.shapes, cx.attrs.get("classes")).unwrap_or(Dims::ONE)
        };
        vec![one_hot(cx.x(0), classes, DType::I64)]
    }),
    ..OpDef::DEFAULT
};

/// Axes the other way round. A copy.
FLIP = OpDef {
    derivative: "dy, flipped back",
    name: "flip",
    formula: "y[.., i, ..] = x[.., n - 1 - i, ..]",
    torch: "torch.flip",
    example: "x: f32[3] = [1, 2, 3], axis = 0 -> [3, 2, 1]",
    attrs: &[AttrDef::required("axis", &[AttrKind::Axes], "which").torch("dims")],
    operands: &[Operand::any("x")],
    rule: |cx| {
        let rank = cx.dims(0)?.len();
        cx.axes("axis", rank)?;
        same_as_first(cx)
    },
    body: Body::Expand(|cx| vec![super::reduce::axes_of(cx, "axis").into_iter().fold(cx.x(0), flipped)]),
    ..OpDef::DEFAULT
};

/// Axes shifted, what leaves at the end coming in at the front. A copy.
ROLL = OpDef {
    derivative: "dy, rolled back",
    name: "roll",
    formula: "y[.., i, ..] = x[.., (i - shift) mod n, ..]",
    torch: "torch.roll",
    example: "x: f32[3] = [1, 2, 3], shift = 1, axis = 0 -> [3, 1, 2]",
    attrs: &[
        AttrDef::required("shift", &[AttrKind::Int, AttrKind::Numbers], "by how much; one number an axis").torch("shifts"),
        AttrDef::required("axis", &[AttrKind::Axes], "which").torch("dims"),
    ],
    operands: &[Operand::any("x")],
    rule: |cx| {
        let dims = cx.dims(0)?;
        for (axis, shift) in rolls(cx, dims.len())? {
            // A symbolic axis is cut once: where, must be known.
            let least = cx.shapes.dims.constant(shift.abs());
            if cx.shapes.dims.as_const(dims[axis]).is_none() {
                cx.need(Condition::AtLeast(dims[axis], least), cx.bad_attr("shift", "is larger than the axis, whose size is no number"))?;
            }
        }
        same_as_first(cx)
    },
    body: Body::Expand(|cx| {
        let rank = cx.x(0).rank();
        let rolls = super::parts::ask(cx, |rule| rolls(rule, rank));
        vec![rolls.into_iter().fold(cx.x(0), |x, (axis, shift)| rolled(x, axis, shift))]
    }),
    ..OpDef::DEFAULT
};

/// Elements by number.
TAKE = OpDef {
    name: "index.take",
    attrs: AT,
    operands: BY_INDEX,
    rule: |cx| {
        let (dtype, index) = (cx.operand(0)?.dtype, cx.dims(1)?);
        cx.out_of(dtype, &index);
        Ok(())
    },
    body: Body::Kernel { kernel: &take::TAKE, args: axis_arg },
    gradient: Gradient::Formula(|cx| {
        let axis = cx.attrs.int("axis").unwrap_or(0) as usize;
        vec![cx.when(0, || scattered(cx.x(1), cx.dy(), axis, &cx.x(0).dims())), None]
    }),
    ..OpDef::DEFAULT
};

/// Values added up at numbers.
TAKE_GRAD = OpDef {
    name: "index.take'",
    attrs: SHAPED,
    operands: &[Operand::int("index"), Operand::float("values")],
    rule: |cx| {
        let dims = super::source::shape_dims(cx.shapes, cx.attrs.get("shape")).unwrap_or_default();
        let dtype = cx.operand(1)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    body: Body::Kernel { kernel: &take::TAKE_GRAD, args: axis_arg },
    gradient: Gradient::Formula(|cx| {
        let axis = cx.attrs.int("axis").unwrap_or(0) as usize;
        vec![None, cx.when(1, || taken(cx.dy(), cx.x(0), axis))]
    }),
    ..OpDef::DEFAULT
};

/// 1 at the ids, of any elements.
HOT = OpDef {
    name: "index.one_hot",
    attrs: &[
        AttrDef::required("classes", &[AttrKind::Size], "how many"),
        AttrDef::required("dtype", &[AttrKind::Choice(&["i64", "bool"])], "the elements"),
    ],
    operands: &[Operand::int("ids")],
    rule: |cx| hot_rule(cx, if cx.attrs.str("dtype") == Some("bool") { DType::Bool } else { DType::I64 }),
    body: super::reduce::bare(&gather::ONE_HOT),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

}

fn hot_rule(cx: &mut RuleCx<'_>, dtype: DType) -> Result<(), Misfit> {
    let mut dims = cx.rank(0, 0, 7)?;
    dims.push(cx.size("classes").ok_or_else(|| cx.bad_attr("classes", "must be a size"))?);
    cx.out_of(dtype, &dims);
    Ok(())
}

/// An axis shifted: its end in front of its beginning.
fn rolled(x: Var<'_>, axis: usize, shift: i64) -> Var<'_> {
    let size = x.dims()[axis];
    let cut = {
        let table = &mut x.builder.graph.borrow_mut().shapes.dims;
        match table.as_const(size) {
            Some(0) => return x,
            Some(n) => table.constant(n - shift.rem_euclid(n)),
            None => {
                let back = table.constant(-shift.max(0));
                let front = table.constant(-shift.min(0));
                if shift > 0 { table.add(size, back) } else { front }
            }
        }
    };
    if cut == size || shift == 0 {
        return x;
    }
    concat(&[part(x, axis, cut, size), part(x, axis, Dims::ZERO, cut)], axis)
}
