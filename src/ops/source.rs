//! Sources: values that nothing flows into.

use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Init};
use crate::ir::op::{ArgsCx, Body, Gradient, OpDef, ParamDef, Role};
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
