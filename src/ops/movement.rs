//! Shape: views (metadata only), and what copies.

use super::source::shape_dims;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    Body, Condition, Elements, Facts, Gradient, Misfit, MisfitKind, OpDef, Operand, RuleCx, ViewCx, Why, resolve_axis,
    size_of,
};
use crate::kernels::call::View;
use crate::tensor::DType;

const VIEW: Facts = Facts { view: true, ..Facts::NONE };
const ANY: &[Operand] = &[Operand::any("x")];
const SHAPE: &[AttrDef] = &[AttrDef::required("shape", &[AttrKind::Shape], "the new sizes; one may be -1")];

/// The sizes of a shape with one -1 filled in, and `...` as all axes of the value.
fn target_shape(cx: &mut RuleCx<'_>) -> Result<Vec<Dim>, Misfit> {
    let dims = cx.dims(0)?;
    let items = match cx.attrs.get("shape") {
        Attr::List(items) => items.clone(),
        other => vec![other.clone()],
    };
    let (mut shape, mut open) = (vec![], None);
    for item in items {
        match item {
            Attr::Int(-1) if open.is_none() => {
                open = Some(shape.len());
                shape.push(Dims::ONE);
            }
            Attr::Rest => shape.extend(&dims),
            other => match size_of(cx.shapes, &other) {
                Some(dim) if cx.shapes.dims.as_const(dim).is_none_or(|n| n >= 0) => shape.push(dim),
                _ => return Err(cx.bad_attr("shape", "must hold sizes and at most one -1")),
            },
        }
    }
    if let Some(open) = open {
        let (count, known) = (cx.shapes.dims.product(&dims), cx.shapes.dims.product(&shape));
        let misfit = Misfit { wanted: Some(count), found: Some(known), ..Misfit::of(MisfitKind::Count) };
        if cx.shapes.dims.as_const(known) == Some(0) {
            return Err(misfit);
        }
        cx.need(Condition::Divides { what: count, by: known }, misfit)?;
        shape[open] = cx.shapes.dims.floor_div(count, known);
    }
    Ok(shape)
}

fn reshape_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let shape = target_shape(cx)?;
    let dims = cx.dims(0)?;
    let (count, new) = (cx.shapes.dims.product(&dims), cx.shapes.dims.product(&shape));
    let misfit = Misfit { operand: Some(0), wanted: Some(count), found: Some(new), ..Misfit::of(MisfitKind::Count) };
    cx.need(Condition::Equal(new, count), misfit)?;
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &shape);
    Ok(())
}

/// Strides of the same elements under other axes, where no copy is needed.
fn reshape_view(cx: &ViewCx<'_>) -> Option<View> {
    let x = &cx.input;
    let mut out = View::dense(x.ptr, x.dtype, cx.shape);
    if x.is_dense() {
        return Some(out);
    }
    // Axes of both sides fall into groups of equal products; within a group the old axes must fold.
    let old: Vec<usize> = (0..x.rank()).filter(|&axis| x.dim(axis) != 1).collect();
    let new: Vec<usize> = (0..cx.shape.len()).filter(|&axis| cx.shape[axis] != 1).collect();
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        let (mut left, mut right) = (x.dim(old[i]), cx.shape[new[j]]);
        let (from, to) = (i, j);
        while left != right {
            if left < right {
                i += 1;
                left *= x.dim(*old.get(i)?);
            } else {
                j += 1;
                right *= cx.shape[*new.get(j)?];
            }
        }
        let folds =
            old[from..=i].windows(2).all(|pair| x.stride(pair[0]) == x.stride(pair[1]) * x.dim(pair[1]) as isize);
        if !folds {
            return None;
        }
        let mut stride = x.stride(old[i]);
        for &axis in new[to..=j].iter().rev() {
            out.strides[axis] = stride as i32;
            stride *= cx.shape[axis] as isize;
        }
        (i, j) = (i + 1, j + 1);
    }
    Some(out)
}

fn permute_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.dims(0)?;
    let axes = cx.attrs.ints("axes").unwrap_or_default();
    let mut seen = vec![];
    for &axis in &axes {
        let index = resolve_axis(axis, dims.len());
        let index =
            index.ok_or(Misfit { attr: Some("axes"), ..Misfit::of(MisfitKind::Axis { axis, rank: dims.len() }) })?;
        if seen.contains(&index) {
            return Err(Misfit { attr: Some("axes"), ..Misfit::of(MisfitKind::AxisTwice { axis }) });
        }
        seen.push(index);
    }
    if seen.len() != dims.len() {
        return Err(cx.bad_attr("axes", format!("must name all {} axes", dims.len())));
    }
    let out: Vec<Dim> = seen.iter().map(|&axis| dims[axis]).collect();
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &out);
    Ok(())
}

fn permute_view(cx: &ViewCx<'_>) -> Option<View> {
    let x = &cx.input;
    let mut out = *x;
    for (to, axis) in cx.attrs.ints("axes")?.into_iter().enumerate() {
        let from = resolve_axis(axis, x.rank())?;
        out.dims[to] = x.dims[from];
        out.strides[to] = x.strides[from];
    }
    Some(out)
}

fn inverse(axes: &[i64]) -> Vec<usize> {
    let mut back = vec![0; axes.len()];
    for (to, &from) in axes.iter().enumerate() {
        back[from as usize] = to;
    }
    back
}

fn spread_view(cx: &ViewCx<'_>) -> Option<View> {
    let x = &cx.input;
    let axes = cx.attrs.ints("axes")?;
    let mut out = View::dense(x.ptr, x.dtype, cx.shape);
    let mut from = 0;
    for axis in 0..cx.shape.len() {
        if axes.contains(&(axis as i64)) {
            out.strides[axis] = 0;
        } else {
            out.strides[axis] = x.strides[from];
            from += 1;
        }
    }
    Some(out)
}

/// The sizes of the parts of a split.
fn parts(cx: &mut RuleCx<'_>) -> Vec<Dim> {
    shape_dims(cx.shapes, cx.attrs.get("sizes")).unwrap_or_default()
}

fn split_view(cx: &ViewCx<'_>) -> Option<View> {
    let axis = cx.attrs.int("axis")? as usize;
    let sizes = cx.attrs.ints("sizes")?;
    let before: i64 = sizes[..cx.index].iter().sum();
    let mut out = cx.input;
    out.dims[axis] = sizes[cx.index] as u32;
    let bytes = before as isize * out.stride(axis) * out.dtype.size() as isize;
    out.ptr = std::ptr::NonNull::new(out.ptr.as_ptr().wrapping_offset(bytes))?;
    Some(out)
}

/// Parts of these sizes along an axis, as views.
pub(super) fn split<'g>(x: Var<'g>, axis: usize, sizes: &[Dim]) -> Vec<Var<'g>> {
    let given = [("axis", Attr::Int(axis as i64)), ("sizes", crate::ir::build::shape_attr(sizes))];
    x.builder.apply(&VIEW_SPLIT, crate::ir::attr::Attrs::with(VIEW_SPLIT.attrs, &given), &[Some(x)])
}

/// Zeros of a shape.
pub fn zeros_like<'g>(x: Var<'g>) -> Var<'g> {
    let given = [("shape", crate::ir::build::shape_attr(&x.dims())), ("dtype", Attr::Str(x.dtype().word().into()))];
    let attrs = crate::ir::attr::Attrs::with(super::source::FILL.attrs, &given);
    x.builder.apply(&super::source::FILL, attrs, &[])[0]
}

/// Values laid one behind the other.
pub fn concat<'g>(parts: &[Var<'g>], axis: usize) -> Var<'g> {
    if let [only] = parts {
        return *only;
    }
    let ins: Vec<Option<Var<'g>>> = parts.iter().copied().map(Some).collect();
    let attrs = crate::ir::attr::Attrs::with(JOIN.attrs, &[("axis", Attr::Int(axis as i64))]);
    parts[0].builder.apply(&JOIN, attrs, &ins)[0]
}

/// All operands must hold the same elements as the first.
pub(super) fn same_elements(cx: &RuleCx<'_>) -> Result<(), Misfit> {
    let dtype = cx.operand(0)?.dtype;
    let other = (1..cx.ins.len()).find(|&index| cx.ins[index].is_some_and(|ty| ty.dtype != dtype));
    let wanted = match dtype {
        DType::F32 | DType::F64 => Elements::Float,
        DType::I64 => Elements::Int,
        DType::Bool => Elements::Bool,
    };
    other.map_or(Ok(()), |index| Err(Misfit { operand: Some(index), ..Misfit::of(MisfitKind::Elements(wanted)) }))
}

fn concat_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let first = cx.dims(0)?;
    let axis = cx.axis("axis", first.len())?;
    same_elements(cx)?;
    let (mut out, dtype) = (first.clone(), cx.operand(0)?.dtype);
    for index in 1..cx.ins.len() {
        let dims = cx.rank(index, first.len(), first.len())?;
        for (i, (&found, &wanted)) in dims.iter().zip(&first).enumerate() {
            if i == axis {
                out[axis] = cx.shapes.dims.add(out[axis], found);
            } else {
                cx.equal(index, i, found, wanted, Why::Concat)?;
            }
        }
    }
    cx.out_of(dtype, &out);
    Ok(())
}

fn flatten_axes(cx: &mut RuleCx<'_>, rank: usize) -> Result<(usize, usize), Misfit> {
    let (from, to) = (cx.axis("from", rank)?, cx.axis("to", rank)?);
    if from > to {
        return Err(cx.bad_attr("from", "lies behind `to`"));
    }
    Ok((from, to))
}

/// The operator's own output shape, asked of its rule: composites that are a reshape.
pub(super) fn as_reshape<'g>(cx: &ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let ty = cx.x(0).ty();
    let dims = {
        let mut graph = cx.builder.graph.borrow_mut();
        let ins = [Some(ty)];
        let mut rule = RuleCx::new(&mut graph.shapes, cx.attrs, &ins);
        let told = (cx.op.rule)(&mut rule).map(|()| rule.outs[0]);
        told.map(|ty| graph.shapes.dims(ty).to_vec())
    };
    vec![dims.map_or(cx.x(0), |dims| cx.x(0).reshape(&dims))]
}

ops! { OPS;

/// Other axes over the same elements in the same order; one size may be -1.
///
/// A view where the strides allow it, else a copy.
RESHAPE = OpDef {
    derivative: "dy in the shape of x",
    name: "reshape",
    formula: "same elements, other axes",
    shape: "[..] -> [shape]",
    torch: "torch.reshape",
    example: "x: f32[4] = [1, 2, 3, 4], shape = [2, 2] -> [1, 2, 3, 4]",
    attrs: SHAPE,
    operands: ANY,
    rule: reshape_rule,
    facts: VIEW,
    body: Body::Expand(|cx| as_reshape(cx)),
    ..OpDef::DEFAULT
};

/// Folds the axes `from` to `to` into one; the batch axis stays unless `from = 0`.
FLATTEN = OpDef {
    derivative: "dy in the shape of x",
    name: "flatten",
    formula: "same elements, fewer axes",
    shape: "[.., a, b, ..] -> [.., a * b, ..]",
    torch: "nn.Flatten",
    example: "x: f32[1, 2, 2] = [1, 2, 3, 4] -> [1, 2, 3, 4]",
    attrs: &[
        AttrDef::new("from", &[AttrKind::Axis], AttrDefault::Int(1), "the first axis to fold").torch("start_dim"),
        AttrDef::new("to", &[AttrKind::Axis], AttrDefault::Int(-1), "the last axis to fold").torch("end_dim"),
    ],
    operands: ANY,
    rule: |cx| {
        let dims = cx.dims(0)?;
        let dtype = cx.operand(0)?.dtype;
        if dims.is_empty() {
            cx.out_of(dtype, &[Dims::ONE]);
            return Ok(());
        }
        if dims.len() == 1 && cx.attrs.int("from") == Some(1) {
            cx.out_of(dtype, &dims);
            return Ok(());
        }
        let (from, to) = flatten_axes(cx, dims.len())?;
        let folded = cx.shapes.dims.product(&dims[from..=to]);
        let out = [&dims[..from], &[folded], &dims[to + 1..]].concat();
        cx.out_of(dtype, &out);
        Ok(())
    },
    facts: VIEW,
    body: Body::Expand(|cx| as_reshape(cx)),
    ..OpDef::DEFAULT
};

/// The axes in another order: only the strides change, no data moves. (Texts that say that permute moves data are
/// wrong: a copy is made where a later operator needs dense rows, and the plan shows it.)
PERMUTE = OpDef {
    derivative: "dy with its axes put back",
    name: "permute",
    formula: "y[i_p0, i_p1, …] = x[i_0, i_1, …]",
    torch: "torch.permute",
    example: "x: f32[2, 2] = [1, 2, 3, 4], axes = [1, 0] -> [1, 3, 2, 4]",
    attrs: &[AttrDef::required("axes", &[AttrKind::Axes], "all axes, in their new order").torch("dims")],
    operands: ANY,
    rule: permute_rule,
    facts: VIEW,
    body: Body::Expand(|cx| {
        let rank = cx.x(0).rank();
        let axes = cx.attrs.ints("axes").unwrap_or_default();
        let axes: Vec<usize> = axes.iter().filter_map(|&axis| resolve_axis(axis, rank)).collect();
        vec![cx.x(0).permute(&axes)]
    }),
    ..OpDef::DEFAULT
};

/// Two axes exchanged, by default the last two: only the strides change.
TRANSPOSE = OpDef {
    derivative: "dy with its axes put back",
    name: "transpose",
    formula: "y_ji = x_ij",
    torch: "torch.transpose",
    example: "x: f32[2, 2] = [1, 2, 3, 4] -> [1, 3, 2, 4]",
    attrs: &[
        AttrDef::new("a", &[AttrKind::Axis], AttrDefault::Int(-2), "one axis").torch("dim0"),
        AttrDef::new("b", &[AttrKind::Axis], AttrDefault::Int(-1), "the other").torch("dim1"),
    ],
    operands: ANY,
    rule: |cx| {
        let mut dims = cx.dims(0)?;
        let (a, b) = (cx.axis("a", dims.len())?, cx.axis("b", dims.len())?);
        dims.swap(a, b);
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    facts: VIEW,
    body: Body::Expand(|cx| {
        let rank = cx.x(0).rank();
        let axis = |name| cx.attrs.int(name).and_then(|axis| resolve_axis(axis, rank)).unwrap_or(0);
        vec![cx.x(0).swap(axis("a"), axis("b"))]
    }),
    ..OpDef::DEFAULT
};

/// Drops axes of size 1; which ones must be said.
SQUEEZE = OpDef {
    derivative: "dy in the shape of x",
    name: "squeeze",
    formula: "same elements, fewer axes",
    torch: "torch.squeeze",
    example: "x: f32[1, 2] = [1, 2] -> [1, 2]",
    attrs: &[AttrDef::new("axis", &[AttrKind::Axes], AttrDefault::Int(0), "which; each must have size 1").torch("dim")],
    operands: ANY,
    rule: |cx| {
        let dims = cx.dims(0)?;
        let axes = cx.axes("axis", dims.len())?;
        for &axis in &axes {
            cx.equal(0, axis, dims[axis], Dims::ONE, Why::Other)?;
        }
        let out: Vec<Dim> = (0..dims.len()).filter(|i| !axes.contains(i)).map(|i| dims[i]).collect();
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &out);
        Ok(())
    },
    facts: VIEW,
    body: Body::Expand(|cx| as_reshape(cx)),
    ..OpDef::DEFAULT
};

/// New axes of size 1, at these places of the result.
UNSQUEEZE = OpDef {
    derivative: "dy in the shape of x",
    name: "unsqueeze",
    formula: "same elements, more axes",
    torch: "torch.unsqueeze",
    example: "x: f32[2] = [1, 2], axis = 0 -> [1, 2]",
    attrs: &[AttrDef::required("axis", &[AttrKind::Axes], "where, counted in the result").torch("dim")],
    operands: ANY,
    rule: |cx| {
        let dims = cx.dims(0)?;
        let wanted = cx.attrs.ints("axis").unwrap_or_default().len();
        let axes = cx.axes("axis", dims.len() + wanted)?;
        let total = dims.len() + wanted;
        let mut old = dims.into_iter();
        let next = |i: usize| if axes.contains(&i) { Some(Dims::ONE) } else { old.next() };
        let out: Vec<Dim> = (0..total).map_while(next).collect();
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &out);
        Ok(())
    },
    facts: VIEW,
    body: Body::Expand(|cx| as_reshape(cx)),
    ..OpDef::DEFAULT
};

/// Repeats along new leading axes and along axes of size 1, as a view; `...` stands for all axes of the value.
///
/// `expand([..., h, w])` shows new axes behind. -1 keeps a size. Its gradient is a sum.
EXPAND = OpDef {
    derivative: "dy, summed over what was repeated",
    name: "expand",
    formula: "y[.., i, ..] = x[.., 0, ..]",
    shape: "[..] -> [shape]",
    torch: "Tensor.expand",
    example: "x: f32[1] = [3], shape = [2] -> [3, 3]",
    attrs: &[AttrDef::required("shape", &[AttrKind::Shape], "the new sizes; -1 keeps one, `...` stands for all")],
    operands: ANY,
    rule: |cx| {
        let (dims, dtype) = (cx.dims(0)?, cx.operand(0)?.dtype);
        let (out, _) = expanded(cx, &dims)?;
        cx.out_of(dtype, &out);
        Ok(())
    },
    facts: VIEW,
    body: Body::Expand(|cx| {
        let x = cx.x(0);
        let dims = x.dims();
        let found = {
            let mut graph = cx.builder.graph.borrow_mut();
            let ins = [Some(graph.ty(x.port))];
            let mut rule = RuleCx::new(&mut graph.shapes, cx.attrs, &ins);
            expanded(&mut rule, &dims)
        };
        let Ok((shape, new)) = found else { return vec![x] };
        let kept: Vec<Dim> = (0..shape.len()).filter(|i| !new.contains(i)).map(|i| shape[i]).collect();
        vec![x.reshape(&kept).spread(&shape, &new)]
    }),
    ..OpDef::DEFAULT
};

/// Values laid one behind the other along an axis; all other sizes must be equal.
CONCAT = OpDef {
    derivative: "each value gets its part of dy",
    name: "concat",
    formula: "[a, b, …] along axis",
    shape: "([.., n, ..], [.., m, ..], …) -> [.., n + m + …, ..]",
    torch: "torch.cat",
    example: "a: f32[1] = [1], b: f32[2] = [2, 3], axis = 0 -> [1, 2, 3]",
    attrs: &[AttrDef::required("axis", &[AttrKind::Axis], "along which").torch("dim")],
    operands: &[Operand::any("a"), Operand::any("more").optional().many()],
    rule: concat_rule,
    body: Body::Expand(|cx| {
        let rank = cx.x(0).rank();
        let axis = cx.attrs.int("axis").and_then(|axis| resolve_axis(axis, rank)).unwrap_or(0);
        let parts: Vec<Var<'_>> = cx.ins.iter().copied().flatten().collect();
        vec![concat(&parts, axis)]
    }),
    ..OpDef::DEFAULT
};

/// Values of equal shape along a new axis.
STACK = OpDef {
    derivative: "each value gets its part of dy",
    name: "stack",
    formula: "[a, b, …] along a new axis",
    torch: "torch.stack",
    example: "a: f32[1] = [1], b: f32[1] = [2] -> [1, 2]",
    attrs: &[AttrDef::new("axis", &[AttrKind::Axis], AttrDefault::Int(0), "where the new axis stands").torch("dim")],
    operands: &[Operand::any("a"), Operand::any("more").optional().many()],
    rule: |cx| {
        let mut dims = cx.dims(0)?;
        same_elements(cx)?;
        for index in 1..cx.ins.len() {
            let other = cx.rank(index, dims.len(), dims.len())?;
            for (i, (&found, &wanted)) in other.iter().zip(&dims).enumerate() {
                cx.equal(index, i, found, wanted, Why::Concat)?;
            }
        }
        let axis = cx.axis("axis", dims.len() + 1)?;
        let count = cx.shapes.dims.constant(cx.ins.len() as i64);
        dims.insert(axis, count);
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    body: Body::Expand(|cx| {
        let mut dims = cx.x(0).dims();
        let axis = cx.attrs.int("axis").and_then(|axis| resolve_axis(axis, dims.len() + 1)).unwrap_or(0);
        dims.insert(axis, Dims::ONE);
        let parts: Vec<Var<'_>> = cx.ins.iter().flatten().map(|part| part.reshape(&dims)).collect();
        vec![concat(&parts, axis)]
    }),
    ..OpDef::DEFAULT
};

/// The next token as the target of each: shifted by one along the last axis; the last position is ignored.
NEXT = OpDef {
    name: "next",
    formula: "y_i = x_(i + 1), the last is -100",
    shape: "i64[.., seq] -> i64[.., seq]",
    example: "x: i64[3] = [5, 6, 7] -> [6, 7, -100]",
    operands: &[Operand::int("tokens")],
    rule: |cx| {
        let dims = cx.rank(0, 1, 8)?;
        let last = dims.len() - 1;
        cx.at_least(0, last, dims[last], Dims::ONE, Why::Other)?;
        crate::ir::op::same_as_first(cx)
    },
    gradient: Gradient::Zero,
    body: Body::Expand(|cx| {
        let x = cx.x(0);
        let dims = x.dims();
        let axis = dims.len() - 1;
        let rest = cx.builder.graph.borrow_mut().shapes.dims.sub(dims[axis], Dims::ONE);
        let tail = split(x, axis, &[Dims::ONE, rest])[1];
        let mut last = dims;
        last[axis] = Dims::ONE;
        let given = [
            ("shape", crate::ir::build::shape_attr(&last)),
            ("value", Attr::Float(-100.0)),
            ("dtype", Attr::Str("i64".into())),
        ];
        let fill = &super::source::FILL;
        let ignored = cx.builder.apply(fill, crate::ir::attr::Attrs::with(fill.attrs, &given), &[])[0];
        vec![concat(&[tail, ignored], axis)]
    }),
    ..OpDef::DEFAULT
};

/// The same elements under other sizes.
VIEW_RESHAPE = OpDef {
    name: "view.reshape",
    attrs: SHAPE,
    operands: ANY,
    rule: |cx| {
        let dims = shape_dims(cx.shapes, cx.attrs.get("shape")).unwrap_or_default();
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    facts: VIEW,
    body: Body::View(reshape_view),
    gradient: Gradient::Formula(|cx| vec![Some(cx.dy().reshape(&cx.x(0).dims()))]),
    ..OpDef::DEFAULT
};

/// The axes in another order.
VIEW_PERMUTE = OpDef {
    name: "view.permute",
    attrs: &[AttrDef::required("axes", &[AttrKind::Axes], "all axes, in their new order")],
    operands: ANY,
    rule: permute_rule,
    facts: VIEW,
    body: Body::View(permute_view),
    gradient: Gradient::Formula(|cx| {
        vec![Some(cx.dy().permute(&inverse(&cx.attrs.ints("axes").unwrap_or_default())))]
    }),
    ..OpDef::DEFAULT
};

/// Repeated along the axes `axes` of the result, with stride 0.
VIEW_SPREAD = OpDef {
    name: "view.spread",
    attrs: &[
        AttrDef::required("shape", &[AttrKind::Shape], "the sizes of the result"),
        AttrDef::required("axes", &[AttrKind::Axes], "its new axes"),
    ],
    operands: ANY,
    rule: |cx| {
        let dims = shape_dims(cx.shapes, cx.attrs.get("shape")).unwrap_or_default();
        let dtype = cx.operand(0)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    facts: VIEW,
    body: Body::View(spread_view),
    gradient: Gradient::Formula(|cx| {
        let axes: Vec<usize> = cx.attrs.ints("axes").unwrap_or_default().iter().map(|&axis| axis as usize).collect();
        vec![Some(cx.dy().sum(&axes, false))]
    }),
    ..OpDef::DEFAULT
};

/// Parts along an axis, as views.
VIEW_SPLIT = OpDef {
    name: "view.split",
    attrs: &[
        AttrDef::required("axis", &[AttrKind::Axis], "along which"),
        AttrDef::required("sizes", &[AttrKind::Shape], "of the parts"),
    ],
    operands: ANY,
    rule: |cx| {
        let (mut dims, dtype) = (cx.dims(0)?, cx.operand(0)?.dtype);
        let axis = cx.axis("axis", dims.len())?;
        for size in parts(cx) {
            dims[axis] = size;
            cx.out_of(dtype, &dims);
        }
        Ok(())
    },
    facts: VIEW,
    body: Body::View(split_view),
    gradient: Gradient::Formula(|cx| {
        let axis = cx.attrs.int("axis").unwrap_or(0) as usize;
        let part = |i: usize| cx.grads[i].unwrap_or_else(|| zeros_like(cx.y(i)));
        let parts: Vec<Var<'_>> = (0..cx.outs.len()).map(part).collect();
        vec![Some(concat(&parts, axis))]
    }),
    ..OpDef::DEFAULT
};

/// Operands laid one behind the other.
JOIN = OpDef {
    name: "view.concat",
    attrs: &[AttrDef::required("axis", &[AttrKind::Axis], "along which")],
    operands: &[Operand::any("a"), Operand::any("more").optional().many()],
    rule: concat_rule,
    body: Body::Concat,
    gradient: Gradient::Formula(|cx| {
        let axis = cx.attrs.int("axis").unwrap_or(0) as usize;
        let sizes: Vec<Dim> = cx.ins.iter().flatten().map(|part| part.dims()[axis]).collect();
        split(cx.dy(), axis, &sizes).into_iter().map(Some).collect()
    }),
    ..OpDef::DEFAULT
};

}

/// The sizes that `expand` makes, and which of its axes are new or stretched.
fn expanded(cx: &mut RuleCx<'_>, dims: &[Dim]) -> Result<(Vec<Dim>, Vec<usize>), Misfit> {
    let items = match cx.attrs.get("shape") {
        Attr::List(items) => items.clone(),
        other => vec![other.clone()],
    };
    let (mut out, mut new) = (vec![], vec![]);
    if items.contains(&Attr::Rest) {
        for item in items {
            match item {
                Attr::Rest => out.extend(dims),
                other => {
                    new.push(out.len());
                    out.push(size_of(cx.shapes, &other).ok_or_else(|| cx.bad_attr("shape", "must hold sizes"))?);
                }
            }
        }
        return Ok((out, new));
    }
    if items.len() < dims.len() {
        return Err(cx.bad_attr("shape", format!("must show all {} axes", dims.len())));
    }
    let extra = items.len() - dims.len();
    for (i, item) in items.iter().enumerate() {
        let own = i.checked_sub(extra).map(|i| dims[i]);
        match (item, own) {
            (Attr::Int(-1), Some(own)) => out.push(own),
            (item, own) => {
                let size = size_of(cx.shapes, item).filter(|&dim| cx.shapes.dims.as_const(dim).is_none_or(|n| n >= 0));
                let size =
                    size.ok_or_else(|| cx.bad_attr("shape", "must hold sizes; -1 keeps an axis that is there"))?;
                match own {
                    None => new.push(i),
                    Some(Dims::ONE) if size != Dims::ONE => new.push(i),
                    Some(own) => cx.equal(0, i - extra, own, size, Why::Other)?,
                }
                out.push(size);
            }
        }
    }
    Ok((out, new))
}
