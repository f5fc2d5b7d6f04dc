//! Convolution over one to three axes.

use super::linear::{bias_init, check_pin, weight_init};
use super::reparam::{self, REPARAM};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    ArgsCx, Body, CostCx, Gradient, Misfit, MisfitKind, OpDef, Operand, ParamCx, ParamDef, RuleCx, Why, size_of,
};
use crate::ir::shape::Type;
use crate::kernels::call::Args;
use crate::kernels::conv;

const CONV_ATTRS: &[AttrDef] = &[
    AttrDef::required("out", &[AttrKind::Size], "channels of the result; `in -> out` checks the input")
        .torch("out_channels"),
    AttrDef::required("kernel", &[AttrKind::PerAxis], "the window, for every axis or one an axis").torch("kernel_size"),
    AttrDef::new("stride", &[AttrKind::PerAxis], AttrDefault::Int(1), "from one window to the next"),
    AttrDef::new(
        "pad",
        &[AttrKind::PerAxisZero, AttrKind::Choice(&["same", "valid", "causal"])],
        AttrDefault::Int(0),
        "rows added on both sides",
    )
    .torch("padding"),
    AttrDef::new("dilation", &[AttrKind::PerAxis], AttrDefault::Int(1), "from one input of a window to the next"),
    AttrDef::new("groups", &[AttrKind::Size], AttrDefault::Int(1), "channel groups that do not see each other"),
    AttrDef::new("bias", &[AttrKind::Bool], AttrDefault::Bool(true), "whether a bias is added"),
    AttrDef::new(
        "pad_mode",
        &[AttrKind::Choice(&["zeros", "reflect", "replicate", "circular"])],
        AttrDefault::Str("zeros"),
        "what is added",
    )
    .torch("padding_mode"),
    AttrDef::new("gain", &[AttrKind::Number], AttrDefault::None, "1: stand aside from deep norm's initial gain")
        .within(Domain::Unit)
        .named(),
    AttrDef::new("init", &[AttrKind::Init], AttrDefault::None, "of the weight").named(),
    AttrDef::new("bias_init", &[AttrKind::Init], AttrDefault::None, "of the bias").named(),
    REPARAM,
    AttrDef::new("in", &[AttrKind::Size], AttrDefault::None, "the pinned input").named().torch("in_channels"),
];

/// An attribute with one entry an axis.
pub(super) fn per_axis(cx: &RuleCx<'_>, name: &'static str, axes: usize) -> Result<Vec<i64>, Misfit> {
    per_axis_of(cx.attrs, name, axes).ok_or_else(|| cx.bad_attr(name, format!("must be a number, or a list of {axes}")))
}

/// The same outside of rules.
pub(super) fn per_axis_of(attrs: &Attrs, name: &str, axes: usize) -> Option<Vec<i64>> {
    match attrs.get(name) {
        Attr::Int(value) => Some(vec![*value; axes]),
        _ => attrs.ints(name).filter(|list| list.len() == axes),
    }
}

/// Padding in front and behind, an axis.
fn pads(attrs: &Attrs, axes: usize, kernel: &[i64], dilation: &[i64]) -> Option<Vec<(i64, i64)>> {
    let reach = |i: usize| dilation[i] * (kernel[i] - 1);
    match attrs.str("pad") {
        Some("same") => Some((0..axes).map(|i| (reach(i) / 2, reach(i) - reach(i) / 2)).collect()),
        Some("causal") => Some((0..axes).map(|i| (reach(i), 0)).collect()),
        Some(_) => Some(vec![(0, 0); axes]),
        None => Some(per_axis_of(attrs, "pad", axes)?.into_iter().map(|pad| (pad, pad)).collect()),
    }
}

/// The size of a window's output: floor((h + pads - reach - 1) / stride) + 1; the padded input must hold a window.
pub(super) fn window_out(
    cx: &mut RuleCx<'_>,
    axis: usize,
    size: Dim,
    pads: i64,
    reach: i64,
    stride: i64,
) -> Result<Dim, Misfit> {
    let pads = cx.shapes.dims.constant(pads);
    let padded = cx.shapes.dims.add(size, pads);
    let window = cx.shapes.dims.constant(reach + 1);
    cx.at_least(0, axis, padded, window, Why::Window)?;
    let room = cx.shapes.dims.sub(padded, window);
    let stride = cx.shapes.dims.constant(stride);
    let steps = cx.shapes.dims.floor_div(room, stride);
    Ok(cx.shapes.dims.add(steps, Dims::ONE))
}

fn conv_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.rank(0, 3, 5)?;
    let axes = dims.len() - 2;
    check_pin(cx, 1, dims[1])?;
    let out = cx.size("out").ok_or_else(|| cx.bad_attr("out", "must be given"))?;
    check_groups(cx, dims[1], out)?;
    let (kernel, stride) = (per_axis(cx, "kernel", axes)?, per_axis(cx, "stride", axes)?);
    let dilation = per_axis(cx, "dilation", axes)?;
    if cx.attrs.str("pad") == Some("same") && stride.iter().any(|&s| s != 1) {
        // What keeps the size but for the stride; the kernel must have a middle.
        let both: Vec<i64> = (0..axes).map(|i| dilation[i] * (kernel[i] - 1)).collect();
        let meant = both.iter().all(|&own| own == both[0] && own % 2 == 0).then(|| (both[0] / 2).to_string());
        return Err(Misfit { meant, ..cx.bad_attr("pad", "can be \"same\" only with stride 1") });
    }
    if cx.attrs.str("pad") == Some("causal") && axes != 1 {
        let meant = stride.iter().all(|&stride| stride == 1).then(|| "\"same\"".to_string());
        return Err(Misfit { meant, ..cx.bad_attr("pad", "can be \"causal\" only over one axis, time") });
    }
    let pads = pads(cx.attrs, axes, &kernel, &dilation);
    let pads = pads.ok_or_else(|| cx.bad_attr("pad", format!("must be a number, or a list of {axes}")))?;
    let mut shape = vec![dims[0], out];
    for i in 0..axes {
        let reach = dilation[i] * (kernel[i] - 1);
        super::parts::check_border(cx, "pad", i + 2, pads[i], cx.attrs.str("pad_mode").unwrap_or("zeros"))?;
        shape.push(window_out(cx, i + 2, dims[i + 2], pads[i].0 + pads[i].1, reach, stride[i])?);
    }
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &shape);
    Ok(())
}

fn conv_params(cx: &mut ParamCx<'_>) -> Vec<ParamDef> {
    let dims = cx.dims(0);
    let sizes = (size_of(cx.shapes, cx.attrs.get("out")), size_of(cx.shapes, cx.attrs.get("groups")));
    let ((Some(out), Some(groups)), Some(&c)) = (sizes, dims.get(1)) else { return vec![] };
    let Some(kernel) = per_axis_of(cx.attrs, "kernel", dims.len() - 2) else { return vec![] };
    let mut shape = vec![out, cx.shapes.dims.floor_div(c, groups)];
    shape.extend(kernel.iter().map(|&k| cx.shapes.dims.constant(k)));
    let fan = cx.shapes.dims.product(&shape[1..]);
    let fan = cx.shapes.dims.as_const(fan);
    let init = weight_init(cx, fan);
    let mut params = reparam::weight_params(cx, &shape, init, 0);
    if cx.attrs.flag("bias") {
        params.push(ParamDef::other("bias", &[out], bias_init(cx, fan)));
    }
    params
}

fn conv<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (x, weight) = (cx.x(0), reparam::weight(cx, 0));
    let axes = x.rank() - 2;
    let list = |name: &str| per_axis_of(cx.attrs, name, axes).unwrap_or_else(|| vec![1; axes]);
    let (kernel, stride, dilation) = (list("kernel"), list("stride"), list("dilation"));
    let mut pads = pads(cx.attrs, axes, &kernel, &dilation).unwrap_or_default();
    let mode = cx.attrs.str("pad_mode").unwrap_or("zeros");
    let mut x = x;
    if mode != "zeros" {
        for (axis, pad) in (2..).zip(&mut pads).filter(|(_, pad)| **pad != (0, 0)) {
            x = super::parts::bordered(x, axis, std::mem::take(pad), mode);
        }
    }
    let ints = |values: Vec<i64>| Attr::List(values.into_iter().map(Attr::Int).collect());
    let given = [
        ("kernel", ints(kernel)),
        ("stride", ints(stride)),
        ("pad", ints(pads.iter().map(|p| p.0).collect())),
        ("pad_end", ints(pads.iter().map(|p| p.1).collect())),
        ("dilation", ints(dilation)),
        ("groups", cx.attrs.get("groups").clone()),
    ];
    let attrs = Attrs::with(CONV_PLAIN.attrs, &given);
    cx.builder.apply(&CONV_PLAIN, attrs, &[Some(x), Some(weight), cx.param("bias")])
}

// Transposed -------------------------------------------------------------------------------------------------------

const TRANSPOSE_ATTRS: &[AttrDef] = &[
    AttrDef::required("out", &[AttrKind::Size], "channels of the result; `in -> out` checks the input")
        .torch("out_channels"),
    AttrDef::required("kernel", &[AttrKind::PerAxis], "the window, for every axis or one an axis").torch("kernel_size"),
    AttrDef::new("stride", &[AttrKind::PerAxis], AttrDefault::Int(1), "how far apart the inputs are laid"),
    AttrDef::new("pad", &[AttrKind::PerAxisZero], AttrDefault::Int(0), "rows taken away on both sides")
        .torch("padding"),
    AttrDef::new("output_pad", &[AttrKind::PerAxisZero], AttrDefault::Int(0), "rows more at the end")
        .torch("output_padding"),
    AttrDef::new("dilation", &[AttrKind::PerAxis], AttrDefault::Int(1), "from one output of a window to the next"),
    AttrDef::new("groups", &[AttrKind::Size], AttrDefault::Int(1), "channel groups that do not see each other"),
    AttrDef::new("bias", &[AttrKind::Bool], AttrDefault::Bool(true), "whether a bias is added"),
    AttrDef::new("gain", &[AttrKind::Number], AttrDefault::None, "1: stand aside from deep norm's initial gain")
        .named(),
    AttrDef::new("init", &[AttrKind::Init], AttrDefault::None, "of the weight").named(),
    AttrDef::new("bias_init", &[AttrKind::Init], AttrDefault::None, "of the bias").named(),
    REPARAM,
    AttrDef::new("in", &[AttrKind::Size], AttrDefault::None, "the pinned input").named().torch("in_channels"),
];

/// Groups must divide the channels on both sides.
fn check_groups(cx: &mut RuleCx<'_>, channels: Dim, out: Dim) -> Result<(), Misfit> {
    let groups = cx.size("groups").unwrap_or(Dims::ONE);
    cx.divides(0, 1, channels, groups, Why::Groups)?;
    let misfit = Misfit {
        attr: Some("out"),
        wanted: Some(groups),
        found: Some(out),
        ..Misfit::of(MisfitKind::Divides(Why::Groups))
    };
    cx.need(crate::ir::op::Condition::Divides { what: out, by: groups }, misfit)
}

/// (h - 1)·stride - 2·pad + dilation·(kernel - 1) + output_pad + 1, an axis.
fn transpose_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.rank(0, 3, 5)?;
    let axes = dims.len() - 2;
    check_pin(cx, 1, dims[1])?;
    let out = cx.size("out").ok_or_else(|| cx.bad_attr("out", "must be given"))?;
    check_groups(cx, dims[1], out)?;
    let (kernel, stride) = (per_axis(cx, "kernel", axes)?, per_axis(cx, "stride", axes)?);
    let (pad, dilation) = (per_axis(cx, "pad", axes)?, per_axis(cx, "dilation", axes)?);
    let more = per_axis(cx, "output_pad", axes)?;
    let mut shape = vec![dims[0], out];
    for i in 0..axes {
        if more[i] >= stride[i].max(dilation[i]) {
            let meant = Some((stride[i].max(dilation[i]) - 1).to_string())
                .filter(|_| axes == 1 || more.iter().all(|&own| own == more[0]));
            let clause = "must be smaller than the stride, or than the dilation";
            return Err(Misfit { meant, ..cx.bad_attr("output_pad", clause) });
        }
        let rest = dilation[i] * (kernel[i] - 1) + more[i] + 1 - 2 * pad[i] - stride[i];
        let (apart, rest) = (cx.shapes.dims.scale(dims[i + 2], stride[i]), cx.shapes.dims.constant(rest));
        let size = cx.shapes.dims.add(apart, rest);
        cx.at_least(0, i + 2, size, Dims::ONE, Why::Other)?;
        shape.push(size);
    }
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &shape);
    Ok(())
}

fn transpose_params(cx: &mut ParamCx<'_>) -> Vec<ParamDef> {
    let dims = cx.dims(0);
    let sizes = (size_of(cx.shapes, cx.attrs.get("out")), size_of(cx.shapes, cx.attrs.get("groups")));
    let ((Some(out), Some(groups)), Some(&c)) = (sizes, dims.get(1)) else { return vec![] };
    let Some(kernel) = per_axis_of(cx.attrs, "kernel", dims.len() - 2) else { return vec![] };
    let mut shape = vec![c, cx.shapes.dims.floor_div(out, groups)];
    shape.extend(kernel.iter().map(|&k| cx.shapes.dims.constant(k)));
    // PyTorch takes the second axis for the fan here too.
    let fan = cx.shapes.dims.product(&shape[1..]);
    let fan = cx.shapes.dims.as_const(fan);
    let init = weight_init(cx, fan);
    let mut params = reparam::weight_params(cx, &shape, init, 1);
    if cx.attrs.flag("bias") {
        params.push(ParamDef::other("bias", &[out], bias_init(cx, fan)));
    }
    params
}

/// What flows in is the gradient of a convolution, what comes out that of its input.
fn transpose<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (x, weight) = (cx.x(0), reparam::weight(cx, 1));
    let axes = x.rank() - 2;
    let list = |name: &str| per_axis_of(cx.attrs, name, axes).unwrap_or_else(|| vec![1; axes]);
    let ints = |values: Vec<i64>| Attr::List(values.into_iter().map(Attr::Int).collect());
    let behind = list("pad").into_iter().zip(list("output_pad")).map(|(pad, more)| pad - more).collect();
    let dims = {
        let mut graph = cx.builder.graph.borrow_mut();
        let ins = [Some(graph.ty(x.port))];
        let mut rule = RuleCx::new(&mut graph.shapes, cx.attrs, &ins);
        let outs = transpose_rule(&mut rule).map(|()| rule.outs);
        outs.map_or(vec![], |outs| graph.shapes.dims(outs[0]).to_vec())
    };
    let given = [
        ("kernel", ints(list("kernel"))),
        ("stride", ints(list("stride"))),
        ("pad", ints(list("pad"))),
        ("pad_end", ints(behind)),
        ("dilation", ints(list("dilation"))),
        ("groups", cx.attrs.get("groups").clone()),
        ("shape", crate::ir::build::shape_attr(&dims)),
    ];
    let y = cx.builder.one(&CONV_GRAD_INPUT, Attrs::with(PLAIN, &given), &[x, weight]);
    let others: Vec<usize> = (0..dims.len()).filter(|&axis| axis != 1).collect();
    vec![cx.param("bias").map_or(y, |bias| y + bias.spread(&dims, &others))]
}

/// The gradients of a transposed convolution are a convolution and its weight's gradient, the two sides exchanged.
fn transpose_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let (x, weight, dy) = (cx.x(0), cx.x(1), cx.dy());
    let like = |var: Var<'g>| cx.attrs.replaced("shape", crate::ir::build::shape_attr(&var.dims()));
    vec![
        cx.when(0, || cx.builder.apply(&CONV_PLAIN, like(x), &[Some(dy), Some(weight), None])[0]),
        cx.when(1, || cx.builder.one(&CONV_GRAD_WEIGHT, like(weight), &[dy, x])),
    ]
}

/// Twice the input's size times a filter.
fn transpose_flops(cx: &mut CostCx<'_>) -> Dim {
    let Some(x) = cx.ins[0] else { return Dims::ZERO };
    let axes = cx.shapes.rank(x).saturating_sub(2);
    let window = cx.shapes.dims.constant(per_axis_of(cx.attrs, "kernel", axes).unwrap_or_default().iter().product());
    let groups = size_of(cx.shapes, cx.attrs.get("groups")).unwrap_or(Dims::ONE);
    let out = size_of(cx.shapes, cx.attrs.get("out")).unwrap_or(Dims::ONE);
    let count = cx.shapes.count(x);
    let table = &mut cx.shapes.dims;
    let out = table.floor_div(out, groups);
    let product = table.product(&[count, out, window]);
    table.scale(product, 2)
}

/// Attributes of the primitives: all lists, one entry an axis.
const PLAIN: &[AttrDef] = &[
    AttrDef::required("kernel", &[AttrKind::PerAxis], "window"),
    AttrDef::required("stride", &[AttrKind::PerAxis], "stride"),
    AttrDef::required("pad", &[AttrKind::PerAxisZero], "in front"),
    AttrDef::required("pad_end", &[AttrKind::PerAxisZero], "behind"),
    AttrDef::required("dilation", &[AttrKind::PerAxis], "dilation"),
    AttrDef::required("groups", &[AttrKind::Size], "groups"),
    AttrDef::new("shape", &[AttrKind::Shape], AttrDefault::None, "the sizes of the result, for gradients"),
];

fn plain_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let (dims, weight) = (cx.rank(0, 3, 5)?, cx.dims(1)?);
    let axes = dims.len() - 2;
    let (kernel, stride) = (per_axis(cx, "kernel", axes)?, per_axis(cx, "stride", axes)?);
    let (front, behind) = (per_axis(cx, "pad", axes)?, per_axis(cx, "pad_end", axes)?);
    let dilation = per_axis(cx, "dilation", axes)?;
    let mut shape = vec![dims[0], weight[0]];
    for i in 0..axes {
        let reach = dilation[i] * (kernel[i] - 1);
        shape.push(window_out(cx, i + 2, dims[i + 2], front[i] + behind[i], reach, stride[i])?);
    }
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &shape);
    Ok(())
}

/// The shape rule of gradients: the shape is an attribute.
pub(super) fn told_shape(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = super::source::shape_dims(cx.shapes, cx.attrs.get("shape")).unwrap_or_default();
    let dtype = cx.operand(cx.ins.len() - 1)?.dtype;
    cx.out_of(dtype, &dims);
    Ok(())
}

fn conv_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    for (at, name) in [(0, "stride"), (3, "pad"), (6, "dilation")] {
        for (i, value) in cx.attrs.ints(name).unwrap_or_default().into_iter().take(3).enumerate() {
            args.ints[at + i] = value as i32;
        }
    }
    args.ints[9] = cx.attrs.int("groups").unwrap_or(1) as i32;
    args
}

fn conv_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let (x, weight, dy) = (cx.x(0), cx.x(1), cx.dy());
    let back = |op: &'static OpDef, like: Var<'g>, ins: [Var<'g>; 2]| {
        let attrs = cx.attrs.replaced("shape", crate::ir::build::shape_attr(&like.dims()));
        cx.builder.one(op, attrs, &ins)
    };
    let axes: Vec<usize> = (0..x.rank()).filter(|&axis| axis != 1).collect();
    vec![
        cx.when(0, || back(&CONV_GRAD_INPUT, x, [dy, weight])),
        cx.when(1, || back(&CONV_GRAD_WEIGHT, weight, [x, dy])),
        cx.when(2, || dy.sum(&axes, false)),
    ]
}

fn conv_flops(cx: &mut CostCx<'_>) -> Dim {
    let count = cx.shapes.count(cx.outs[0]);
    let dims = cx.ins[0].map_or(vec![], |ty| cx.shapes.dims(ty).to_vec());
    let kernel = per_axis_of(cx.attrs, "kernel", dims.len().saturating_sub(2)).unwrap_or_default();
    let window = cx.shapes.dims.constant(kernel.iter().product());
    let groups = size_of(cx.shapes, cx.attrs.get("groups")).unwrap_or(Dims::ONE);
    let channels = dims.get(1).map_or(Dims::ONE, |&c| cx.shapes.dims.floor_div(c, groups));
    let inner = cx.shapes.dims.mul(window, channels);
    let inner = cx.shapes.dims.scale(inner, 2);
    cx.shapes.dims.mul(count, inner)
}

/// Twice the size of the (smaller) plane times a filter: what all three products of a convolution cost.
fn product_flops(cx: &mut CostCx<'_>, plane: Type, weight: Type) -> Dim {
    let count = cx.shapes.count(plane);
    let filter = cx.shapes.dims(weight).get(1..).unwrap_or_default().to_vec();
    let filter = cx.shapes.dims.product(&filter);
    let twice = cx.shapes.dims.scale(count, 2);
    cx.shapes.dims.mul(twice, filter)
}

ops! { OPS;

/// A small window of weights slides over the spatial axes; every output sees its neighbourhood only.
///
/// One to three spatial axes by rank, channels on axis 1. `groups = c` is depthwise. Output sizes are
/// floor((h + 2·pad - dilation·(kernel - 1) - 1) / stride) + 1.
CONV = OpDef {
    derivative: "x gets the transposed convolution of dy with the same weights; weight[o, c, k] gets sum_b,p dy[b, \
        o, p] * x[b, c, p·stride + k·dilation - pad]; bias[o] the sum of dy[:, o]",
    name: "conv",
    formula: "y[b, o, p] = sum_c,k x[b, c, p·stride + k·dilation - pad] · weight[o, c, k] + bias[o]",
    shape: "[B, c, S…] -> [B, out, S'…]",
    source: "LeCun et al. 1989",
    torch: "nn.Conv2d",
    example: "x: f32[1, 1, 3] = [1, 2, 3], out = 1, kernel = 2, bias = false, init = ones -> [3, 5]",
    attrs: CONV_ATTRS,
    rule: conv_rule,
    params: conv_params,
    body: Body::Expand(conv),
    flops: Some(conv_flops),
    ..OpDef::DEFAULT
};

/// A convolution the other way round: every input lays a window of weights onto the output, `stride` apart; what
/// overlaps adds up.
///
/// Output sizes are (h - 1)·stride - 2·pad + dilation·(kernel - 1) + output_pad + 1. A kernel that the stride does not
/// divide lays unevenly (checkerboards; Odena 2016). Its forward is the gradient of a convolution by its input.
CONV_TRANSPOSE = OpDef {
    derivative: "x gets the convolution of dy with the same weights; weight[c, o, k] gets sum_b,p x[b, c, p] * dy[b, \
        o, p·stride + k·dilation - pad]; bias[o] the sum of dy[:, o]",
    name: "conv_transpose",
    formula: "y[b, o, q] = sum_c,p,k: q = p·stride + k·dilation - pad x[b, c, p] · weight[c, o, k] + bias[o]",
    shape: "[B, c, S…] -> [B, out, S'…]",
    source: "Zeiler et al. 2010",
    torch: "nn.ConvTranspose2d",
    example: "x: f32[1, 1, 2] = [1, 2], out = 1, kernel = 2, bias = false, init = ones -> [1, 3, 2]",
    attrs: TRANSPOSE_ATTRS,
    rule: transpose_rule,
    params: transpose_params,
    body: Body::Expand(transpose),
    flops: Some(transpose_flops),
    ..OpDef::DEFAULT
};

/// The convolution itself.
CONV_PLAIN = OpDef {
    name: "conv.plain",
    attrs: PLAIN,
    operands: &[Operand::float("x"), Operand::float("weight"), Operand::float("bias").optional()],
    rule: plain_rule,
    body: Body::Kernel { kernel: &conv::CONV, args: conv_args },
    gradient: Gradient::Formula(conv_gradient),
    flops: Some(|cx| match cx.ins[1] {
        Some(weight) => product_flops(cx, cx.outs[0], weight),
        None => Dims::ZERO,
    }),
    ..OpDef::DEFAULT
};

/// Its gradient for x: the transposed convolution.
CONV_GRAD_INPUT = OpDef {
    name: "conv.plain'x",
    attrs: PLAIN,
    operands: &[Operand::float("dy"), Operand::float("weight")],
    rule: told_shape,
    body: Body::Kernel { kernel: &conv::CONV_GRAD_INPUT, args: conv_args },
    gradient: Gradient::Formula(transpose_gradient),
    flops: Some(|cx| match (cx.ins[0], cx.ins[1]) {
        (Some(dy), Some(weight)) => product_flops(cx, dy, weight),
        _ => Dims::ZERO,
    }),
    ..OpDef::DEFAULT
};

/// Its gradient for the weight.
CONV_GRAD_WEIGHT = OpDef {
    name: "conv.plain'weight",
    attrs: PLAIN,
    operands: &[Operand::float("x"), Operand::float("dy")],
    rule: told_shape,
    body: Body::Kernel { kernel: &conv::CONV_GRAD_WEIGHT, args: conv_args },
    gradient: Gradient::Zero,
    flops: Some(|cx| match cx.ins[1] {
        Some(dy) => product_flops(cx, dy, cx.outs[0]),
        None => Dims::ZERO,
    }),
    ..OpDef::DEFAULT
};

}
