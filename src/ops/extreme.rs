//! The largest and the smallest along axes, products, and whether something holds.

use super::arithmetic::{MAP_MAXIMUM, MAP_MINIMUM, MAP_MUL};
use super::index::one_hot;
use super::logic::{NOT, choose, number};
use super::reduce::{AXES, AXES_PLAIN, TUPLE, axes_of, mask, reduce_rule, reduced};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs};
use crate::ir::build::{ExpandCx, GradCx, Var, ints_attr};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{Body, Facts, Gradient, Misfit, OpDef, Operand, Output, RuleCx, Why};
use crate::kernels::call::Kernel;
use crate::kernels::reduce;
use crate::tensor::DType;

const MIXES: Facts = Facts { mixes_rows: true, ..Facts::NONE };
const OF_ANY: &[Operand] = &[Operand::any("x")];
const BOTH: &[Output] = &[Output::main("values"), Output::main("indices")];
const ONE_AXIS: &[AttrDef] = &[
    AttrDef::new("axis", &[AttrKind::Axis], AttrDefault::None, "the axis that goes; all of them otherwise")
        .torch("dim"),
    AttrDef::new("keep", &[AttrKind::Bool], AttrDefault::Bool(false), "whether it stays with size 1")
        .named()
        .torch("keepdim"),
];

/// An extreme over nothing is none.
fn full(cx: &mut RuleCx<'_>, dims: &[Dim], axes: &[usize]) -> Result<(), Misfit> {
    axes.iter().try_for_each(|&axis| cx.at_least(0, axis, dims[axis], Dims::ONE, Why::Other))
}

/// Values, and with one axis their indices.
fn extreme_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    reduce_rule(cx, "axis")?;
    if cx.ins.len() > 1 {
        return Ok(());
    }
    let dims = cx.dims(0)?;
    let axes = cx.axes("axis", dims.len())?;
    full(cx, &dims, &axes)?;
    if cx.attrs.ints("axis").is_some_and(|axes| axes.len() == 1) {
        let out = reduced(&dims, &axes, cx.attrs.flag("keep"));
        cx.out_of(DType::I64, &out);
    }
    Ok(())
}

fn index_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.dims(0)?;
    let axes = cx.axes("axis", dims.len())?;
    full(cx, &dims, &axes)?;
    let out = reduced(&dims, &axes, cx.attrs.flag("keep"));
    cx.out_of(DType::I64, &out);
    Ok(())
}

/// Value and index over axes, without them.
fn both<'g>(x: Var<'g>, op: &'static OpDef, axes: &[usize]) -> Vec<Var<'g>> {
    let given = [("axes", ints_attr(axes.iter().copied())), ("keep", Attr::Bool(false))];
    x.builder.apply(op, Attrs::with(op.attrs, &given), &[Some(x)])
}

/// The largest over some axes.
pub(super) fn largest<'g>(x: Var<'g>, axes: &[usize]) -> Var<'g> {
    if axes.is_empty() { x } else { both(x, &REDUCE_MAX, axes)[0] }
}

/// The smallest over some axes.
pub(super) fn smallest<'g>(x: Var<'g>, axes: &[usize]) -> Var<'g> {
    if axes.is_empty() { x } else { both(x, &REDUCE_MIN, axes)[0] }
}

/// The axes back as ones, if they are to be kept.
pub(super) fn kept<'g>(cx: &ExpandCx<'_, 'g>, value: Var<'g>, axes: &[usize]) -> Var<'g> {
    match cx.attrs.flag("keep") {
        true => value.reshape(&reduced(&cx.x(0).dims(), axes, true)),
        false => value,
    }
}

fn extreme<'g>(cx: &ExpandCx<'_, 'g>, op: &'static OpDef, pair: &'static OpDef) -> Vec<Var<'g>> {
    if cx.ins.len() > 1 {
        return vec![cx.ins.iter().skip(1).flatten().fold(cx.x(0), |best, &next| best.with(next, pair, &[]))];
    }
    let axes = axes_of(cx, "axis");
    if axes.is_empty() {
        return vec![cx.x(0)];
    }
    let mut found = both(cx.x(0), op, &axes);
    found.truncate(if cx.attrs.ints("axis").is_some_and(|axes| axes.len() == 1) { 2 } else { 1 });
    found.into_iter().map(|value| kept(cx, value, &axes)).collect()
}

fn place<'g>(cx: &ExpandCx<'_, 'g>, op: &'static OpDef) -> Vec<Var<'g>> {
    let axes = axes_of(cx, "axis");
    vec![kept(cx, both(cx.x(0), op, &axes)[1], &axes)]
}

/// These axes folded into one, behind the others.
pub(super) fn axes_last<'g>(x: Var<'g>, axes: &[usize]) -> Var<'g> {
    let others: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    x.permute(&[&others[..], axes].concat()).fold_from(others.len())
}

/// The inverse of that: the shape is the whole's.
pub(super) fn axes_back<'g>(x: Var<'g>, dims: &[Dim], axes: &[usize]) -> Var<'g> {
    let others: Vec<usize> = (0..dims.len()).filter(|axis| !axes.contains(axis)).collect();
    let order = [&others[..], axes].concat();
    let sizes: Vec<Dim> = order.iter().map(|&axis| dims[axis]).collect();
    let back: Vec<usize> = (0..dims.len()).filter_map(|axis| order.iter().position(|&from| from == axis)).collect();
    x.reshape(&sizes).permute(&back)
}

fn axes_attr(cx: &GradCx<'_, '_>) -> Vec<usize> {
    cx.attrs.ints("axes").unwrap_or_default().iter().map(|&axis| axis as usize).collect()
}

/// A gradient for each element of the reduced axes, folded into one.
fn repeated<'g>(dy: Var<'g>, count: Dim) -> Var<'g> {
    let mut dims = dy.dims();
    dims.push(count);
    dy.spread(&dims, &[dims.len() - 1])
}

/// All gradient to the place that was found.
fn to_its_place<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let (dims, axes) = (cx.x(0).dims(), axes_attr(cx));
    let sizes: Vec<Dim> = axes.iter().map(|&axis| dims[axis]).collect();
    let count = cx.x(0).product(&sizes);
    let rows = reduced(&dims, &axes, false);
    let (dy, index) = (cx.dy().reshape(&rows), cx.y(1).reshape(&rows));
    let found = one_hot(index, count, DType::Bool);
    let share = choose(found, repeated(dy, count), number(cx.builder, dy.dtype(), 0.0));
    vec![Some(axes_back(share, &dims, &axes))]
}

/// The product of all others: that of those before times that of those behind. Zeros are no exception.
fn product_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let (dims, axes) = (cx.x(0).dims(), axes_attr(cx));
    let x = axes_last(cx.x(0), &axes);
    let others = |backwards: bool| x.then(&super::scan::PRODUCT_OF_OTHERS, &[("backwards", Attr::Bool(backwards))]);
    let all = others(false) * others(true);
    let dy = cx.dy().reshape(&reduced(&dims, &axes, false));
    let count = all.dims()[all.rank() - 1];
    vec![Some(axes_back(repeated(dy, count) * all, &dims, &axes))]
}

const fn over_axes(name: &'static str, formula: &'static str) -> OpDef {
    let shape = "[..] -> [..] without axis";
    OpDef { name, formula, shape, attrs: AXES, operands: TUPLE, facts: MIXES, ..OpDef::DEFAULT }
}

const fn place_of(name: &'static str, formula: &'static str) -> OpDef {
    let shape = "[..] -> i64[..] without axis";
    OpDef {
        name,
        formula,
        shape,
        attrs: ONE_AXIS,
        facts: MIXES,
        rule: index_rule,
        gradient: Gradient::Zero,
        ..OpDef::DEFAULT
    }
}

const fn primitive(name: &'static str, kernel: &'static Kernel) -> OpDef {
    OpDef {
        name,
        attrs: AXES_PLAIN,
        outputs: BOTH,
        rule: |cx| {
            let dims = cx.dims(0)?;
            let axes = cx.axes("axes", dims.len())?;
            let (dtype, out) = (cx.operand(0)?.dtype, reduced(&dims, &axes, cx.attrs.flag("keep")));
            cx.out_of(dtype, &out);
            cx.out_of(DType::I64, &out);
            Ok(())
        },
        body: Body::Kernel { kernel, args: mask },
        gradient: Gradient::Formula(to_its_place),
        ..OpDef::DEFAULT
    }
}

/// The rule of what asks something of all elements.
fn truth_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    reduce_rule(cx, "axis")?;
    cx.outs[0].dtype = DType::Bool;
    Ok(())
}

const fn asks(name: &'static str, formula: &'static str) -> OpDef {
    OpDef {
        shape: "[..] -> bool[..] without axis",
        operands: OF_ANY,
        rule: truth_rule,
        gradient: Gradient::Zero,
        ..over_axes(name, formula)
    }
}

/// Whether at least one of some bools holds.
fn some_hold<'g>(cx: &ExpandCx<'_, 'g>, what: Var<'g>) -> Var<'g> {
    what.to(cx.builder.float).sum(&axes_of(cx, "axis"), cx.attrs.flag("keep")).to(DType::Bool)
}

ops! { OPS;

/// The largest over axes; with one axis also where it is: `(values, indices) = x |> max(1)`. Of a tuple, elementwise.
///
/// Not-a-number wins. All gradient goes to the first of equals. The largest of nothing is an error.
MAX = OpDef {
    derivative: "dx = dy if i = first(x = y), else 0; of equals all to the first. Of a tuple: equal values share it \
        half and half",
    torch: "torch.max",
    example: "x: f32[3] = [1, 3, 2] -> 3",
    outputs: BOTH,
    rule: extreme_rule,
    body: Body::Expand(|cx| extreme(cx, &REDUCE_MAX, &MAP_MAXIMUM)),
    ..over_axes("max", "max_i x_i")
};

/// The smallest over axes; with one axis also where it is: `(values, indices) = x |> min(1)`. Of a tuple, elementwise.
///
/// Not-a-number wins. All gradient goes to the first of equals. The smallest of nothing is an error.
MIN = OpDef {
    derivative: "dx = dy if i = first(x = y), else 0; of equals all to the first. Of a tuple: equal values share it \
        half and half",
    torch: "torch.min",
    example: "x: f32[3] = [2, 1, 3] -> 1",
    outputs: BOTH,
    rule: extreme_rule,
    body: Body::Expand(|cx| extreme(cx, &REDUCE_MIN, &MAP_MINIMUM)),
    ..over_axes("min", "min_i x_i")
};

/// Where the largest is along an axis (the first of equals); without axis, its flat position.
ARGMAX = OpDef {
    torch: "torch.argmax",
    example: "x: f32[2, 2] = [1, 3, 4, 2], axis = 1 -> [1, 0]",
    body: Body::Expand(|cx| place(cx, &REDUCE_MAX)),
    ..place_of("argmax", "the first i of the largest x_i")
};

/// Where the smallest is along an axis (the first of equals); without axis, its flat position.
ARGMIN = OpDef {
    torch: "torch.argmin",
    example: "x: f32[2, 2] = [1, 3, 4, 2], axis = 1 -> [0, 1]",
    body: Body::Expand(|cx| place(cx, &REDUCE_MIN)),
    ..place_of("argmin", "the first i of the smallest x_i")
};

/// The product over axes; of a tuple, the product of its elements. Its gradient is that of the others' product, which
/// zeros do not spoil.
PROD = OpDef {
    derivative: "dx_i = dy * the product of the others, which zeros do not spoil",
    torch: "torch.prod",
    example: "x: f32[3] = [2, 3, 4] -> 24",
    // A product of many large numbers is no float any more.
    facts: Facts { domain: (-4.0, 4.0), ..MIXES },
    rule: |cx| reduce_rule(cx, "axis"),
    body: Body::Expand(|cx| {
        if cx.ins.len() > 1 {
            return vec![cx.ins.iter().skip(1).flatten().fold(cx.x(0), |all, &next| all.with(next, &MAP_MUL, &[]))];
        }
        let axes = axes_of(cx, "axis");
        if axes.is_empty() {
            return vec![cx.x(0)];
        }
        let given = [("axes", ints_attr(axes.iter().copied())), ("keep", Attr::Bool(cx.attrs.flag("keep")))];
        vec![cx.x(0).then(&REDUCE_PROD, &given)]
    }),
    ..over_axes("prod", "prod_i x_i")
};

/// Whether some element is not 0; nothing in nothing.
ANY = OpDef {
    torch: "torch.any",
    example: "x: bool[3] = [0, 1, 0] -> 1",
    body: Body::Expand(|cx| vec![some_hold(cx, cx.x(0).to(DType::Bool))]),
    ..asks("any", "x_0 or x_1 or …")
};

/// Whether no element is 0; of nothing that is true.
ALL = OpDef {
    torch: "torch.all",
    example: "x: bool[3] = [0, 1, 0] -> 0",
    body: Body::Expand(|cx| vec![some_hold(cx, cx.x(0).to(DType::Bool).op(&NOT)).op(&NOT)]),
    ..asks("all", "x_0 and x_1 and …")
};

/// The largest over `axes`, and its number among them.
REDUCE_MAX = OpDef { ..primitive("reduce.max", &reduce::MAX) };

/// The smallest over `axes`, and its number among them.
REDUCE_MIN = OpDef { ..primitive("reduce.min", &reduce::MIN) };

/// The product over `axes`, in the kernel's defined order.
REDUCE_PROD = OpDef {
    name: "reduce.prod",
    attrs: AXES_PLAIN,
    rule: |cx| reduce_rule(cx, "axes"),
    body: Body::Kernel { kernel: &reduce::PROD, args: mask },
    gradient: Gradient::Formula(product_gradient),
    ..OpDef::DEFAULT
};

}
