//! Tables and positions.

use super::arithmetic::{COS, EXP, SIN};
use super::movement::concat;
use super::source::RANGE;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init};
use crate::ir::build::{ExpandCx, Var, shape_attr};
use crate::ir::dim::Dims;
use crate::ir::op::{ArgsCx, Body, Condition, Gradient, Misfit, MisfitKind, OpDef, Operand, ParamDef, Why, size_of};
use crate::kernels::call::Args;
use crate::kernels::float::Float;
use crate::kernels::{attention, gather};
use crate::tensor::DType;

const PAD: AttrDef =
    AttrDef::new("padding_index", &[AttrKind::Int], AttrDefault::None, "an id whose row gets no gradient")
        .torch("padding_idx");

const ATTRS: &[AttrDef] = &[
    AttrDef::required("vocab", &[AttrKind::Size], "the number of rows").torch("num_embeddings"),
    AttrDef::required("d", &[AttrKind::Size], "the width of a row").torch("embedding_dim"),
    PAD,
    FREQUENCY,
    AttrDef::new("init", &[AttrKind::Init], AttrDefault::None, "normal(1) otherwise").named(),
];

const FREQUENCY: AttrDef = AttrDef::new(
    "scale_grad_by_freq",
    &[AttrKind::Bool],
    AttrDefault::Bool(false),
    "whether a row's gradient is divided by how often its id stands there",
)
.named();

const PLAIN: &[AttrDef] =
    &[PAD, AttrDef::new("shape", &[AttrKind::Shape], AttrDefault::None, "of the table, for the gradient"), FREQUENCY];

/// A table's gradient, each row divided by how often its id was asked for.
fn by_frequency<'g>(ids: Var<'g>, grad: Var<'g>) -> Var<'g> {
    let (dims, flat) = (grad.dims(), ids.fold_from(0));
    let ones = super::parts::filled(grad, &flat.dims(), 1.0);
    let counts = super::activation::at_least(super::index::scattered(flat, ones, 0, &dims[..1]), 1.0);
    grad / counts.spread(&dims, &[1])
}

fn pad_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.ints[0] = cx.attrs.int("padding_index").unwrap_or(-1) as i32;
    args
}

const ROPE: &[AttrDef] = &[
    AttrDef::new("base", &[AttrKind::Number], AttrDefault::Float(10000.0), "of the geometric series of angles")
        .within(Domain::Positive),
    AttrDef::new(
        "pairing",
        &[AttrKind::Choice(&["half", "interleaved"])],
        AttrDefault::Str("half"),
        "which two are rotated together",
    ),
    AttrDef::new("dims", &[AttrKind::Size], AttrDefault::None, "how many of the last axis are rotated; all otherwise"),
    AttrDef::new("offset", &[AttrKind::Int], AttrDefault::Int(0), "the first position"),
    AttrDef::new("inverse", &[AttrKind::Bool], AttrDefault::Bool(false), "rotates back").named(),
];

fn rope_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.nums[0] = cx.attrs.float("base").unwrap_or(10000.0);
    args.ints[0] = i32::from(cx.attrs.str("pairing") == Some("interleaved"));
    args.ints[1] = cx.attrs.int("dims").unwrap_or(0) as i32;
    args.ints[2] = cx.attrs.int("offset").unwrap_or(0) as i32;
    args.ints[3] = i32::from(cx.attrs.flag("inverse"));
    args
}

/// Angles by position and column, then sine and cosine side by side.
fn sinusoids<'g>(cx: &ExpandCx<'_, 'g>) -> Var<'g> {
    let (positions, base) = (cx.x(0).to(DType::F64), cx.attrs.float("base").unwrap_or(10000.0));
    let d = cx.attrs.int("d").unwrap_or(2);
    let half = cx.builder.graph.borrow_mut().shapes.dims.constant(d / 2);
    let columns = Attrs::with(RANGE.attrs, &[("from", Attr::Dim(half))]);
    let columns = cx.builder.one(&RANGE, columns, &[]).to(DType::F64);
    let rates = (columns * (-2.0 * Float::ln(base) / d as f64)).op(&EXP);
    let mut dims = positions.dims();
    let axis = dims.len();
    dims.push(half);
    let angles = positions.spread(&dims, &[axis]) * rates;
    dims.push(Dims::ONE);
    let pair = [angles.op(&SIN), angles.op(&COS)].map(|wave| wave.reshape(&dims));
    concat(&pair, axis + 1).fold_from(axis).to(cx.builder.float)
}

ops! { OPS;

/// A table of learned rows, one an id.
///
/// An id outside 0 … vocab - 1 is an error at run time. `unembed(layer)` is its tied transpose.
EMBEDDING = OpDef {
    derivative: "each row of weight gets the sum of dy over the places that asked for it; none to the padding row",
    name: "embedding",
    formula: "y_i = weight[id_i]",
    shape: "i64[..] -> f32[.., d]",
    torch: "nn.Embedding",
    example: "ids: i64[2] = [1, 0], vocab = 2, d = 2, init = eye -> [0, 1, 1, 0]",
    attrs: ATTRS,
    operands: &[Operand::int("ids")],
    rule: |cx| {
        let mut dims = cx.rank(0, 0, 7)?;
        let d = cx.size("d").ok_or_else(|| cx.bad_attr("d", "must be given"))?;
        if let (Some(index), Some(vocab)) = (cx.attrs.int("padding_index"), cx.attrs.int("vocab"))
            && !(-vocab..vocab).contains(&index)
        {
            return Err(cx.bad_attr("padding_index", format!("must lie in 0 … {}", vocab - 1)));
        }
        dims.push(d);
        cx.out_of(DType::F32, &dims);
        Ok(())
    },
    params: |cx| {
        let size = |cx: &mut crate::ir::op::ParamCx<'_>, name: &str| size_of(cx.shapes, cx.attrs.get(name));
        let (Some(vocab), Some(d)) = (size(cx, "vocab"), size(cx, "d")) else { return vec![] };
        vec![ParamDef::weight("weight", &[vocab, d], cx.init("init", Init::Normal(1.0, 0.0)))]
    },
    body: Body::Expand(|cx| {
        let table = cx.param("weight").expect("an embedding declares its table");
        let vocab = cx.attrs.int("vocab").unwrap_or(0);
        let index = cx.attrs.int("padding_index").map(|index| if index < 0 { index + vocab } else { index });
        let mut given: Vec<(&str, Attr)> = index.map(|index| ("padding_index", Attr::Int(index))).into_iter().collect();
        given.push(("scale_grad_by_freq", cx.attrs.get("scale_grad_by_freq").clone()));
        vec![cx.builder.one(&LOOKUP, Attrs::with(PLAIN, &given), &[cx.x(0), table])]
    }),
    flops: Some(|cx| cx.shapes.dims.constant(0)),
    ..OpDef::DEFAULT
};

/// Fixed positions: sines in the even columns, cosines in the odd ones, at wavelengths from 2π to 2π·base.
///
/// Of positions, not added to anything: `x + (range(seq) |> sinusoidal(d))`. Computed in f64 and rounded once.
SINUSOIDAL = OpDef {
    derivative: "positions of floats: p gets sum_i f_i * (dy_(p, 2i) cos(p f_i) - dy_(p, 2i+1) sin(p f_i)), f_i = \
        base^(-2i/d)",
    name: "sinusoidal",
    formula: "y_(p, 2i) = sin(p / base^(2i/d)), y_(p, 2i+1) = cos(p / base^(2i/d))",
    shape: "[..] -> f32[.., d]",
    source: "Vaswani et al. 2017",
    example: "p: i64[2] = [0, 1], d = 2 -> [0, 1, 0.841471, 0.5403023]",
    attrs: &[
        AttrDef::required("d", &[AttrKind::Size], "the width"),
        AttrDef::new("base", &[AttrKind::Number], AttrDefault::Float(10000.0), "of the geometric series of wavelengths")
            .within(Domain::Positive),
    ],
    operands: &[Operand::number("positions")],
    rule: |cx| {
        let mut dims = cx.rank(0, 0, 6)?;
        let d = cx.size("d").ok_or_else(|| cx.bad_attr("d", "must be given"))?;
        let two = cx.shapes.dims.constant(2);
        let misfit = Misfit { attr: Some("d"), wanted: Some(two), found: Some(d), ..Misfit::of(MisfitKind::Divides(Why::Pairs)) };
        cx.need(Condition::Divides { what: d, by: two }, misfit)?;
        dims.push(d);
        cx.out_of(DType::F32, &dims);
        Ok(())
    },
    body: Body::Expand(|cx| vec![sinusoids(cx)]),
    ..OpDef::DEFAULT
};

/// Rotary positions: pairs of the last axis are rotated by angles that grow with the position.
///
/// Products of two rotated vectors depend on the distance of their positions only. `pairing = "half"`: (x_i, x_{i + d/2}),
/// LLaMA's; `"interleaved"`: (x_2i, x_{2i+1}), the paper's.
ROPE_OP = OpDef {
    derivative: "dy, turned back by the same angles",
    name: "rope",
    formula: "pair i at position p turns by p·base^(-2i/d)",
    shape: "[.., seq, head_dim] -> same",
    source: "Su et al. 2021",
    example: "x: f32[1, 2] = [1, 2] -> [1, 2]",
    attrs: ROPE,
    rule: |cx| {
        let dims = cx.rank(0, 2, 8)?;
        let last = dims.len() - 1;
        let two = cx.shapes.dims.constant(2);
        let turned = cx.size("dims").unwrap_or(dims[last]);
        cx.divides(0, last, turned, two, Why::Pairs)?;
        cx.at_least(0, last, dims[last], turned, Why::Pairs)?;
        crate::ir::op::same_as_first(cx)
    },
    body: Body::Kernel { kernel: &attention::ROPE, args: rope_args },
    gradient: Gradient::Formula(|cx| {
        let back = !cx.attrs.flag("inverse");
        vec![Some(cx.builder.one(&ROPE_OP, cx.attrs.replaced("inverse", Attr::Bool(back)), &[cx.dy()]))]
    }),
    ..OpDef::DEFAULT
};

/// Rows of a table.
LOOKUP = OpDef {
    name: "gather.rows",
    attrs: PLAIN,
    operands: &[Operand::int("ids"), Operand::float("table")],
    rule: |cx| {
        let (mut dims, table) = (cx.dims(0)?, cx.rank(1, 2, 2)?);
        dims.push(table[1]);
        let dtype = cx.operand(1)?.dtype;
        cx.out_of(dtype, &dims);
        Ok(())
    },
    body: Body::Kernel { kernel: &gather::EMBEDDING, args: pad_args },
    gradient: Gradient::Formula(|cx| {
        let shape = shape_attr(&cx.x(1).dims());
        let back = || cx.builder.one(&LOOKUP_GRAD, cx.attrs.replaced("shape", shape), &[cx.x(0), cx.dy()]);
        let by = |grad| if cx.attrs.flag("scale_grad_by_freq") { by_frequency(cx.x(0), grad) } else { grad };
        vec![None, cx.when(1, || by(back()))]
    }),
    ..OpDef::DEFAULT
};

/// The gradient of the table: rows added in the order of their ids.
LOOKUP_GRAD = OpDef {
    name: "gather.rows'",
    attrs: PLAIN,
    operands: &[Operand::int("ids"), Operand::float("dy")],
    rule: super::conv::told_shape,
    body: Body::Kernel { kernel: &gather::EMBEDDING_GRAD, args: pad_args },
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

}
