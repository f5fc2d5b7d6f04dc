//! Sources: values that nothing flows into.

use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Init};
use crate::ir::build::{ExpandCx, Var, shape_attr};
use crate::ir::op::{ArgsCx, Body, Gradient, Misfit, OpDef, ParamDef, Role, RuleCx};
use crate::kernels::call::Args;
use crate::kernels::gather;
use crate::tensor::DType;

const RANGE_ATTRS: &[AttrDef] = &[
    AttrDef::required("from", &[AttrKind::Size, AttrKind::Int], "the length, or the first number where `to` is given"),
    AttrDef::new("to", &[AttrKind::Size, AttrKind::Int], AttrDefault::None, "one past the last"),
    AttrDef::new("step", &[AttrKind::Int], AttrDefault::Int(1), "from one to the next"),
];

fn range_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    let two = *cx.attrs.get("to") != Attr::None;
    args.ints[0] = if two { cx.attrs.int("from").unwrap_or(0) as i32 } else { 0 };
    args.ints[1] = cx.attrs.int("step").unwrap_or(1) as i32;
    args
}

const SHAPE_VALUE: &[AttrDef] = &[
    AttrDef::required("shape", &[AttrKind::Shape], "the sizes"),
    AttrDef::new("value", &[AttrKind::Number], AttrDefault::Float(0.0), "the number"),
    AttrDef::new("dtype", &[AttrKind::Choice(&["f32", "i64"])], AttrDefault::Str("f32"), "the elements").named(),
];

const SHAPE: &[AttrDef] = &[SHAPE_VALUE[0]];
const SHAPE_NUMBER: &[AttrDef] =
    &[SHAPE_VALUE[0], AttrDef::required("value", &[AttrKind::Number], "the number").torch("fill_value")];

/// Floats of a shape that is written.
fn floats(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = shape_dims(cx.shapes, cx.attrs.get("shape"));
    let sizes = |dims: &Vec<_>| dims.iter().all(|&dim| cx.shapes.dims.as_const(dim).is_none_or(|n| n >= 0));
    let dims =
        dims.filter(sizes).ok_or_else(|| cx.bad_attr("shape", "must be a list of sizes, none of them below 0"))?;
    cx.out_of(DType::F32, &dims);
    Ok(())
}

/// The same number all over the shape.
fn all<'g>(cx: &ExpandCx<'_, 'g>, value: f64) -> Vec<Var<'g>> {
    let dtype = Attr::Str(cx.builder.float.word().into());
    let given = [("shape", cx.attrs.get("shape").clone()), ("value", Attr::Float(value)), ("dtype", dtype)];
    cx.builder.apply(&FILL, Attrs::with(FILL.attrs, &given), &[])
}

/// Lists in lists as numbers and sizes; none where they are of different lengths.
fn unnested(attr: &Attr) -> Option<(Vec<i64>, Vec<f64>)> {
    let items = match attr {
        Attr::Int(value) => return Some((vec![], vec![*value as f64])),
        Attr::Float(value) => return Some((vec![], vec![*value])),
        Attr::List(items) => items.iter().map(unnested).collect::<Option<Vec<_>>>()?,
        _ => return None,
    };
    let inner = items.first().map_or(vec![], |(sizes, _)| sizes.clone());
    let even = items.iter().all(|(sizes, _)| *sizes == inner);
    let sizes = std::iter::once(items.len() as i64).chain(inner).collect();
    even.then(|| (sizes, items.into_iter().flat_map(|(_, values)| values).collect()))
}

/// The most numbers that are written out.
const MOST_NUMBERS: usize = 1024;

/// One filled piece for each run of equal numbers.
fn numbers<'g>(cx: &ExpandCx<'_, 'g>, sizes: &[i64], values: &[f64]) -> Var<'g> {
    let size = |n: i64| cx.builder.graph.borrow_mut().shapes.dims.constant(n);
    let dtype = Attr::Str(cx.builder.float.word().into());
    let piece = |run: &[f64]| {
        let value = run.first().copied().unwrap_or(0.0);
        let shape = shape_attr(&[size(run.len() as i64)]);
        let given = [("shape", shape), ("value", Attr::Float(value)), ("dtype", dtype.clone())];
        cx.builder.apply(&FILL, Attrs::with(FILL.attrs, &given), &[])[0]
    };
    let mut pieces: Vec<Var<'g>> = values.chunk_by(|a, b| a.to_bits() == b.to_bits()).map(piece).collect();
    if pieces.is_empty() {
        pieces.push(piece(&[]));
    }
    let sizes: Vec<_> = sizes.iter().map(|&n| size(n)).collect();
    super::movement::concat(&pieces, 0).reshape(&sizes)
}

fn fill_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.nums[0] = cx.attrs.float("value").unwrap_or(0.0);
    args
}

/// The sizes of a shape attribute, all of them known.
pub(super) fn shape_dims(shapes: &mut crate::ir::shape::Shapes, attr: &Attr) -> Option<Vec<crate::ir::dim::Dim>> {
    match attr {
        Attr::List(items) => items.iter().map(|item| crate::ir::op::size_of(shapes, item)).collect(),
        other => crate::ir::op::size_of(shapes, other).map(|dim| vec![dim]),
    }
}

ops! { OPS;

/// The integers 0, 1, … n - 1; or `range(from, to, step)`.
RANGE = OpDef {
    name: "range",
    formula: "y_i = from + i * step",
    shape: "-> i64[n]",
    torch: "torch.arange",
    example: "from = 3 -> [0, 1, 2]",
    attrs: RANGE_ATTRS,
    operands: &[],
    rule: |cx| {
        let from = cx.size("from").ok_or_else(|| cx.bad_attr("from", "must be a size"))?;
        let step = cx.attrs.int("step").unwrap_or(1);
        let length = match (cx.size("to"), step) {
            (_, 0) => return Err(cx.bad_attr("step", "must not be 0")),
            (None, _) => from,
            (Some(to), 1) => cx.shapes.dims.sub(to, from),
            (Some(to), step) => {
                let span = cx.shapes.dims.sub(to, from);
                let (span, step) = if step < 0 { (cx.shapes.dims.scale(span, -1), -step) } else { (span, step) };
                let by = cx.shapes.dims.constant(step);
                let padded = cx.shapes.dims.constant(step - 1);
                let padded = cx.shapes.dims.add(span, padded);
                cx.shapes.dims.floor_div(padded, by)
            }
        };
        if cx.shapes.dims.as_const(length).is_some_and(|n| n < 0) {
            return Err(cx.bad_attr("to", "lies before `from`"));
        }
        cx.out_of(DType::I64, &[length]);
        Ok(())
    },
    body: Body::Kernel { kernel: &gather::RANGE, args: range_args },
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// A learned tensor of its own: class tokens, layer scale, temperatures. Its path is the name itself.
PARAMETER = OpDef {
    derivative: "all of dy; of several uses the sum",
    name: "parameter",
    formula: "a learned tensor",
    shape: "-> [shape]",
    torch: "nn.Parameter",
    example: "shape = [2], init = constant(3) -> [3, 3]",
    attrs: &[
        AttrDef::required("shape", &[AttrKind::Shape], "the sizes"),
        AttrDef::new("init", &[AttrKind::Init], AttrDefault::None, "zeros otherwise").named(),
    ],
    operands: &[],
    rule: |cx| {
        let dims = shape_dims(cx.shapes, cx.attrs.get("shape"));
        let sizes = |dims: &Vec<crate::ir::dim::Dim>| dims.iter().all(|&dim| cx.shapes.dims.as_const(dim).is_none_or(|n| n >= 0));
        let dims = dims.filter(sizes).ok_or_else(|| cx.bad_attr("shape", "must be a list of sizes"))?;
        cx.out_of(DType::F32, &dims);
        Ok(())
    },
    params: |cx| {
        let dims = shape_dims(cx.shapes, cx.attrs.get("shape")).unwrap_or_default();
        let role = if dims.len() < 2 { Role::Other } else { Role::Weight };
        vec![ParamDef { role, ..ParamDef::weight("", &dims, cx.init("init", Init::Zeros)) }]
    },
    body: Body::Expand(|cx| vec![cx.param("").expect("a parameter declares itself")]),
    ..OpDef::DEFAULT
};

/// A shape full of 0.
ZEROS = OpDef {
    name: "zeros",
    formula: "0",
    shape: "-> [shape]",
    torch: "torch.zeros",
    example: "shape = [2] -> [0, 0]",
    attrs: SHAPE,
    operands: &[],
    rule: floats,
    body: Body::Expand(|cx| all(cx, 0.0)),
    ..OpDef::DEFAULT
};

/// A shape full of 1.
ONES = OpDef {
    name: "ones",
    formula: "1",
    shape: "-> [shape]",
    torch: "torch.ones",
    example: "shape = [2] -> [1, 1]",
    attrs: SHAPE,
    operands: &[],
    rule: floats,
    body: Body::Expand(|cx| all(cx, 1.0)),
    ..OpDef::DEFAULT
};

/// A shape full of one number.
FULL = OpDef {
    name: "full",
    formula: "value",
    shape: "-> [shape]",
    torch: "torch.full",
    example: "shape = [2], value = 0.5 -> [0.5, 0.5]",
    attrs: SHAPE_NUMBER,
    operands: &[],
    rule: floats,
    body: Body::Expand(|cx| all(cx, cx.attrs.float("value").unwrap_or(0.0))),
    ..OpDef::DEFAULT
};

/// The numbers of a list, in its shape: `constant([[1, 0], [0, 1]])` has two axes, `constant(3)` none.
///
/// For a few numbers that stand in the text (a filter, weights); at most 1024. What is larger is data: an input.
CONSTANT = OpDef {
    name: "constant",
    formula: "the numbers as they are written",
    shape: "-> the shape of the list",
    torch: "torch.tensor",
    example: "values = [[1, 2], [3, 4]] -> [1, 2, 3, 4]",
    attrs: &[AttrDef::required("values", &[AttrKind::Number, AttrKind::Numbers], "a number, or a list of them; lists in lists for more axes")],
    operands: &[],
    rule: |cx| {
        let uneven = || cx.bad_attr("values", "has lists of different lengths");
        let (sizes, values) = unnested(cx.attrs.get("values")).ok_or_else(uneven)?;
        if values.len() > MOST_NUMBERS {
            return Err(cx.bad_attr("values", format!("has {} numbers, and may have {MOST_NUMBERS}: more are data, which flow in", values.len())));
        }
        let dims: Vec<_> = sizes.into_iter().map(|n| cx.shapes.dims.constant(n)).collect();
        cx.out_of(DType::F32, &dims);
        Ok(())
    },
    body: Body::Expand(|cx| {
        let (sizes, values) = unnested(cx.attrs.get("values")).unwrap_or_default();
        vec![numbers(cx, &sizes, &values)]
    }),
    ..OpDef::DEFAULT
};

/// A size as a number: `f64[]`.
SIZE = OpDef {
    name: "source.size",
    attrs: &[AttrDef::required("value", &[AttrKind::Size], "which")],
    operands: &[],
    rule: |cx| {
        cx.out_of(DType::F64, &[]);
        Ok(())
    },
    body: Body::Kernel { kernel: &gather::FILL, args: fill_args },
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// The same number everywhere.
FILL = OpDef {
    name: "source.fill",
    attrs: SHAPE_VALUE,
    operands: &[],
    rule: |cx| {
        let dims = shape_dims(cx.shapes, cx.attrs.get("shape")).unwrap_or_default();
        let dtype = match cx.attrs.str("dtype") {
            Some("i64") => DType::I64,
            Some("f64") => DType::F64,
            Some("bool") => DType::Bool,
            _ => DType::F32,
        };
        cx.out_of(dtype, &dims);
        Ok(())
    },
    body: Body::Kernel { kernel: &gather::FILL, args: fill_args },
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// Something from outside: an input, a parameter, a number of the host.
INPUT = OpDef {
    name: "source.input",
    operands: &[],
    body: Body::Source,
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

}
