//! Normalisation.

use super::activation::at_least;
use super::reduce::bare;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init};
use crate::ir::build::{ExpandCx, GradCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{
    ArgsCx, Body, Facts, Gradient, Misfit, OpDef, Operand, Output, ParamCx, ParamDef, RuleCx, Why, resolve_axis,
    same_as_first,
};
use crate::kernels::call::Args;
use crate::kernels::{batchnorm, count, norm};
use crate::tensor::DType;

pub(super) const EPS: AttrDef =
    AttrDef::new("eps", &[AttrKind::Number], AttrDefault::Float(1e-5), "keeps the root away from 0")
        .within(Domain::Positive);
const AFFINE: AttrDef =
    AttrDef::new("affine", &[AttrKind::Bool], AttrDefault::Bool(true), "whether gain (and bias) are learned")
        .torch("elementwise_affine");
const BIAS: AttrDef = AttrDef::new("bias", &[AttrKind::Bool], AttrDefault::Bool(true), "whether a bias is learned");
const SHAPE: AttrDef = AttrDef::new("shape", &[AttrKind::Shape], AttrDefault::None, "the normalised sizes, checked")
    .torch("normalized_shape");
const AXES: AttrDef = AttrDef::new("axes", &[AttrKind::Size], AttrDefault::Int(1), "how many axes at the end").named();

/// How many last axes a norm works over.
fn last_axes(attrs: &Attrs) -> usize {
    match attrs.get("shape") {
        Attr::List(items) => items.len(),
        _ => attrs.int("axes").unwrap_or(1).max(1) as usize,
    }
}

fn norm_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let over = last_axes(cx.attrs);
    let dims = cx.rank(0, over.max(1), 8)?;
    if let Some(shape) = super::source::shape_dims(cx.shapes, cx.attrs.get("shape")) {
        for (i, &wanted) in shape.iter().enumerate() {
            let axis = dims.len() - shape.len() + i;
            cx.equal(0, axis, dims[axis], wanted, Why::Pin)?;
        }
    }
    same_as_first(cx)
}

/// The sizes that a norm works over.
fn normed(cx: &ParamCx<'_>) -> Vec<Dim> {
    let dims = cx.dims(0);
    dims[dims.len().saturating_sub(last_axes(cx.attrs))..].to_vec()
}

/// Folds the normalised axes into one, works, and unfolds.
fn over_last<'g>(cx: &ExpandCx<'_, 'g>, work: impl FnOnce(Var<'g>) -> Var<'g>) -> Vec<Var<'g>> {
    let dims = cx.x(0).dims();
    let from = dims.len() - last_axes(cx.attrs);
    vec![work(cx.x(0).fold_from(from)).reshape(&dims)]
}

fn flat<'g>(param: Option<Var<'g>>) -> Option<Var<'g>> {
    param.map(|param| param.fold_from(0))
}

fn norm_args(cx: &mut ArgsCx<'_>) -> Args {
    let mut args = Args::default();
    args.nums[0] = cx.attrs.float("eps").unwrap_or(1e-5);
    args.nums[1] = cx.attrs.float("offset").unwrap_or(0.0);
    args
}

const PLAIN: &[AttrDef] =
    &[EPS, AttrDef::new("offset", &[AttrKind::Number], AttrDefault::Float(0.0), "added to the gain")];

/// Pushes the type of x, then rows of statistics.
fn with_rows(cx: &mut RuleCx<'_>, statistics: usize) -> Result<(), Misfit> {
    let ty = cx.operand(0)?;
    let dims = cx.dims(0)?;
    cx.out(ty);
    for _ in 0..statistics {
        cx.out_of(ty.dtype, &dims[..dims.len() - 1]);
    }
    Ok(())
}

/// The rule of what has the type of operand `index`.
fn like(cx: &mut RuleCx<'_>, index: usize) -> Result<(), Misfit> {
    let ty = cx.operand(index)?;
    cx.out(ty);
    Ok(())
}

fn last_of(cx: &mut RuleCx<'_>, count: usize) -> Result<(), Misfit> {
    let dims = cx.dims(0)?;
    let dtype = cx.operand(0)?.dtype;
    for _ in 0..count {
        cx.out_of(dtype, &dims[dims.len() - 1..]);
    }
    Ok(())
}

/// A node with optional operands.
fn node<'g>(x: Var<'g>, op: &'static OpDef, attrs: &Attrs, ins: &[Option<Var<'g>>]) -> Vec<Var<'g>> {
    let given: Vec<(&str, Attr)> = op.attrs.iter().map(|def| (def.name, attrs.get(def.name).clone())).collect();
    let given: Vec<(&str, Attr)> = given.into_iter().filter(|(_, value)| *value != Attr::None).collect();
    x.builder.apply(op, Attrs::with(op.attrs, &given), ins)
}

fn rms_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let (x, rstd, dy) = (cx.x(0), cx.y(1), cx.dy());
    let dx = || node(x, &RMS_GRAD, cx.attrs, &[Some(x), cx.maybe(1), Some(rstd), Some(dy)])[0];
    let dw = || node(x, &RMS_GRAD_WEIGHT, cx.attrs, &[Some(x), Some(rstd), Some(dy)])[0];
    vec![cx.when(0, dx), cx.when(1, dw)]
}

fn layer_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let (x, mean, rstd, dy) = (cx.x(0), cx.y(1), cx.y(2), cx.dy());
    let dx = || node(x, &LAYER_GRAD, cx.attrs, &[Some(x), cx.maybe(1), Some(mean), Some(rstd), Some(dy)])[0];
    let dx = cx.when(0, dx);
    let ins = [Some(x), Some(mean), Some(rstd), Some(dy)];
    let weights = (cx.wants(1) || cx.wants(2)).then(|| node(x, &LAYER_GRAD_WEIGHT, cx.attrs, &ins));
    let part = |i: usize| weights.as_ref().filter(|_| cx.wants(i + 1)).map(|parts| parts[i]);
    vec![dx, part(0), part(1)]
}

// Batch norm ------------------------------------------------------------------------------------------------------

const BATCH_ATTRS: &[AttrDef] = &[
    AttrDef::new("channels", &[AttrKind::Size], AttrDefault::None, "the size of axis 1, checked").torch("num_features"),
    EPS,
    AttrDef::new(
        "update",
        &[AttrKind::Number, AttrKind::Choice(&["average"])],
        AttrDefault::Float(0.1),
        "the weight of the new value in the running statistics",
    )
    .within(Domain::Probability)
    .torch("momentum"),
    AFFINE,
    BIAS,
    AttrDef::new(
        "track",
        &[AttrKind::Bool],
        AttrDefault::Bool(true),
        "whether running statistics are kept and used in eval",
    )
    .torch("track_running_stats"),
];

fn channels_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.rank(0, 2, 5)?;
    if let Some(channels) = cx.size("channels") {
        cx.equal(0, 1, dims[1], channels, Why::Pin)?;
    }
    same_as_first(cx)
}

fn batch_params(cx: &mut ParamCx<'_>) -> Vec<ParamDef> {
    let Some(&c) = cx.dims(0).get(1) else { return vec![] };
    let mut params = vec![];
    if cx.attrs.flag("affine") {
        params.push(ParamDef::other("weight", &[c], Init::Ones));
        if cx.attrs.flag("bias") {
            params.push(ParamDef::other("bias", &[c], Init::Zeros));
        }
    }
    if cx.attrs.flag("track") {
        params.push(ParamDef::state("running_mean", &[c], DType::F32, Init::Zeros));
        params.push(ParamDef::state("running_var", &[c], DType::F32, Init::Ones));
        params.push(ParamDef::state("num_batches_tracked", &[], DType::I64, Init::Zeros));
    }
    params
}

fn batch<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let x = cx.x(0);
    let running = cx.param("running_mean").zip(cx.param("running_var"));
    let from_batch = cx.train() || running.is_none();
    let (mean, var) = match running {
        Some(running) if !from_batch => running,
        _ => {
            let stats = node(x, &BATCH_STATS, cx.attrs, &[Some(x)]);
            (stats[0], stats[1])
        }
    };
    if let Some((old_mean, old_var)) = running.filter(|_| cx.train()) {
        move_statistics(cx, (old_mean, old_var), (mean, var));
    }
    let op = if from_batch { &BATCH_APPLY } else { &BATCH_APPLY_EVAL };
    vec![node(x, op, cx.attrs, &[Some(x), Some(mean), Some(var), cx.param("weight"), cx.param("bias")])[0]]
}

/// A running value moved towards a new one.
pub(super) fn blend<'g>(old: Var<'g>, new: Var<'g>, update: f64) -> Var<'g> {
    old * (1.0 - update) + new * update
}

/// running ← (1 - u)·running + u·batch, with the unbiased variance.
fn move_statistics<'g>(cx: &ExpandCx<'_, 'g>, old: (Var<'g>, Var<'g>), new: (Var<'g>, Var<'g>)) {
    let x = cx.x(0);
    let dims = x.dims();
    let n = x.product(&[&dims[..1], &dims[2..]].concat());
    let count = cx.param("num_batches_tracked").expect("batch norm counts its batches");
    let count = count.op(&COUNT_UP);
    cx.set_state("num_batches_tracked", count);
    let n = x.size(n);
    let unbiased = new.1 * (n / (n - 1.0));
    let moved = |old: Var<'g>, new: Var<'g>| match cx.attrs.float("update") {
        Some(update) => blend(old, new, update),
        None => {
            let share = 1.0 / count.to(x.dtype());
            old + (new - old) * share
        }
    };
    cx.set_state("running_mean", moved(old.0, new.0));
    cx.set_state("running_var", moved(old.1, unbiased));
}

const BATCH_OPERANDS: &[Operand] = &[
    Operand::float("x"),
    Operand::float("mean"),
    Operand::float("var"),
    Operand::float("weight").optional(),
    Operand::float("bias").optional(),
];

fn channel_sum<'g>(cx: &GradCx<'_, 'g>, value: Var<'g>) -> Var<'g> {
    let axes: Vec<usize> = (0..cx.x(0).rank()).filter(|&axis| axis != 1).collect();
    value.sum(&axes, false)
}

fn batch_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let (x, mean, var, dy) = (cx.x(0), cx.x(1), cx.x(2), cx.dy());
    let sums = node(x, &BATCH_GRAD_STATS, cx.attrs, &[Some(x), Some(mean), Some(var), Some(dy)]);
    let ins = [Some(x), Some(mean), Some(var), cx.maybe(3), Some(dy), Some(sums[0]), Some(sums[1])];
    let dx = || node(x, &BATCH_GRAD, cx.attrs, &ins)[0];
    vec![cx.when(0, dx), None, None, cx.when(3, || sums[1]), cx.when(4, || sums[0])]
}

fn batch_eval_gradient<'g>(cx: &GradCx<'_, 'g>) -> Vec<Option<Var<'g>>> {
    let (x, mean, var, dy) = (cx.x(0), cx.x(1), cx.x(2), cx.dy());
    let dx = || node(x, &BATCH_GRAD_EVAL, cx.attrs, &[Some(var), cx.maybe(3), Some(dy)])[0];
    let dw = || node(x, &BATCH_GRAD_STATS, cx.attrs, &[Some(x), Some(mean), Some(var), Some(dy)])[1];
    vec![cx.when(0, dx), None, None, cx.when(3, dw), cx.when(4, || channel_sum(cx, dy))]
}

fn per_channel(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.rank(0, 2, 5)?;
    let dtype = cx.operand(0)?.dtype;
    cx.out_of(dtype, &[dims[1]]);
    cx.out_of(dtype, &[dims[1]]);
    Ok(())
}

const PAIR: &[Output] = &[Output::main("mean"), Output::main("var")];
const EPS_ONLY: &[AttrDef] = &[EPS];
const fn with_eps(kernel: &'static crate::kernels::call::Kernel) -> Body {
    Body::Kernel { kernel, args: norm_args }
}

ops! { OPS;

/// Divides each row by its root mean square and scales it by a learned gain; the mean stays.
///
/// d parameters. Per position, no statistics of the batch: the same in train and eval. **Differs** from PyTorch's default
/// eps (that of the element type): 1e-5, inside the root.
RMSNORM = OpDef {
    derivative: "dx = (g - h * mean(g * h)) / s; g = dy * (offset + weight); h = x / s; s = sqrt(mean(x^2) + eps); \
        dweight = dy * h; summed over rows",
    name: "rmsnorm",
    formula: "x / sqrt(mean(x^2) + eps) * (offset + weight)",
    shape: "[.., d] -> [.., d]",
    source: "Zhang and Sennrich 2019",
    torch: "nn.RMSNorm",
    example: "x: f32[1, 3] = [1, 2, 3] -> [0.46290955, 0.9258191, 1.3887286]",
    attrs: &[SHAPE, EPS, AFFINE, AXES,
        AttrDef::new("offset", &[AttrKind::Number], AttrDefault::Float(0.0), "added to the gain (Gemma: 1)").named()],
    rule: norm_rule,
    params: |cx| {
        let init = if cx.attrs.float("offset").unwrap_or(0.0) == 0.0 { Init::Ones } else { Init::Zeros };
        let dims = normed(cx);
        if cx.attrs.flag("affine") { vec![ParamDef::other("weight", &dims, init)] } else { vec![] }
    },
    body: Body::Expand(|cx| {
        let weight = flat(cx.param("weight"));
        over_last(cx, |x| node(x, &RMS, cx.attrs, &[Some(x), weight])[0])
    }),
    ..OpDef::DEFAULT
};

/// Shifts each row to mean 0 and scales it to variance 1, then applies a learned gain and bias.
///
/// 2d parameters. Biased variance, per sample *and position*: the same in train and eval.
LAYERNORM = OpDef {
    derivative: "dx = (g - mean(g) - h * mean(g * h)) / s; g = dy * weight; h = (x - mean(x)) / s; s = sqrt(mean((x \
        - mean(x))^2) + eps); dweight = dy * h; dbias = dy; summed over rows",
    name: "layernorm",
    formula: "(x - mean) / sqrt(var + eps) * weight + bias",
    shape: "[.., d] -> [.., d]",
    source: "Ba, Kiros and Hinton 2016",
    torch: "nn.LayerNorm",
    example: "x: f32[1, 3] = [1, 2, 3] -> [-1.2247356, 0, 1.2247356]",
    attrs: &[SHAPE, EPS, AFFINE, BIAS, AXES],
    rule: norm_rule,
    params: |cx| {
        let dims = normed(cx);
        let mut params = vec![];
        if cx.attrs.flag("affine") {
            params.push(ParamDef::other("weight", &dims, Init::Ones));
            if cx.attrs.flag("bias") {
                params.push(ParamDef::other("bias", &dims, Init::Zeros));
            }
        }
        params
    },
    body: Body::Expand(|cx| {
        let (weight, bias) = (flat(cx.param("weight")), flat(cx.param("bias")));
        over_last(cx, |x| node(x, &LAYER, cx.attrs, &[Some(x), weight, bias])[0])
    }),
    ..OpDef::DEFAULT
};

/// A norm without statistics: a learned squashing of every element, in a norm's place.
///
/// 2d + 1 parameters: one alpha a layer, gain and bias a vector.
DYT = OpDef {
    derivative: "dx = dy * weight * alpha * (1 - t^2); t = tanh(alpha * x); dalpha = sum(dy * weight * x * (1 - \
        t^2)); dweight = dy * t; dbias = dy; summed over rows",
    name: "dyt",
    formula: "weight * tanh(alpha * x) + bias",
    shape: "[.., d] -> [.., d]",
    source: "Zhu et al. 2025",
    example: "x: f32[1, 2] = [1, -2] -> [0.46211717, -0.7615942]",
    attrs: &[AttrDef::new("alpha", &[AttrKind::Number], AttrDefault::Float(0.5), "where the learned alpha begins")],
    rule: |cx| { cx.rank(0, 1, 8)?; same_as_first(cx) },
    params: |cx| {
        let dims = cx.dims(0);
        let d = dims[dims.len().saturating_sub(1)..].to_vec();
        vec![
            ParamDef::other("alpha", &[Dims::ONE], Init::Constant(cx.attrs.float("alpha").unwrap_or(0.5))),
            ParamDef::other("weight", &d, Init::Ones),
            ParamDef::other("bias", &d, Init::Zeros),
        ]
    },
    body: Body::Expand(|cx| {
        let param = |name| cx.param(name).expect("dyt declares its parameters");
        let alpha = param("alpha").reshape(&[]);
        vec![(cx.x(0) * alpha).op(&super::activation::TANH) * param("weight") + param("bias")]
    }),
    ..OpDef::DEFAULT
};

/// Divides by the Euclidean length along an axis.
L2NORM = OpDef {
    derivative: "dx = (dy - y * sum(dy * y)) / s if s > eps, else dy / eps; s = sqrt(sum(x^2))",
    name: "l2norm",
    formula: "x / max(sqrt(sum x^2), eps)",
    torch: "F.normalize",
    example: "x: f32[1, 2] = [3, 4] -> [0.6, 0.8]",
    attrs: &[
        AttrDef::new("axis", &[AttrKind::Axis], AttrDefault::Int(-1), "along which").torch("dim"),
        AttrDef::new("eps", &[AttrKind::Number], AttrDefault::Float(1e-12), "the smallest divisor").within(Domain::Positive),
    ],
    rule: |cx| { let rank = cx.dims(0)?.len(); cx.axis("axis", rank)?; same_as_first(cx) },
    body: Body::Expand(|cx| {
        let x = cx.x(0);
        let dims = x.dims();
        let axis = cx.attrs.int("axis").and_then(|axis| resolve_axis(axis, dims.len())).unwrap_or(0);
        let eps = cx.attrs.float("eps").unwrap_or(1e-12);
        let squares = x.op(&super::arithmetic::SQUARE).sum(&[axis], false);
        let floor = at_least(squares, eps * eps).op(&super::arithmetic::SQRT);
        vec![x / floor.spread(&dims, &[axis])]
    }),
    ..OpDef::DEFAULT
};

/// Normalises each channel by the statistics of the batch, and keeps running ones for eval.
///
/// Over batch and space, a channel: 2c learned, 2c running numbers and a counter. Normalises with the biased variance,
/// stores the unbiased one: running ← (1 - update)·running + update·batch. `update` is the weight of the *new* value
/// (PyTorch's momentum; Keras' is that of the old). One value a channel is an error in train.
BATCHNORM = OpDef {
    derivative: "train: as layernorm, with means over batch and space of a channel: the gradient goes through the \
        statistics; eval: dy * weight / sqrt(running_var + eps), the statistics are constants",
    name: "batchnorm",
    formula: "(x - mean) / sqrt(var + eps) * weight + bias",
    shape: "[B, c, S…] -> [B, c, S…]",
    source: "Ioffe and Szegedy 2015",
    torch: "nn.BatchNorm2d",
    example: "x: f32[1, 2] = [1, -2] -> [0.999995, -1.99999]",
    attrs: BATCH_ATTRS,
    rule: channels_rule,
    params: batch_params,
    facts: Facts { by_mode: true, ..Facts::NONE },
    body: Body::Expand(batch),
    ..OpDef::DEFAULT
};

/// Root-mean-square norm over the last axis.
RMS = OpDef {
    name: "norm.rms",
    attrs: PLAIN,
    operands: &[Operand::float("x"), Operand::float("weight").optional()],
    outputs: &[Output::main("y"), Output::saved("rstd")],
    rule: |cx| with_rows(cx, 1),
    body: with_eps(&norm::RMSNORM),
    gradient: Gradient::Formula(rms_gradient),
    ..OpDef::DEFAULT
};

/// Its gradient for x.
RMS_GRAD = OpDef {
    name: "norm.rms'",
    attrs: PLAIN,
    operands: &[Operand::float("x"), Operand::float("weight").optional(), Operand::float("rstd"), Operand::float("dy")],
    body: with_eps(&norm::RMSNORM_GRAD),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// Its gradient for the gain.
RMS_GRAD_WEIGHT = OpDef {
    name: "norm.rms'weight",
    operands: &[Operand::float("x"), Operand::float("rstd"), Operand::float("dy")],
    rule: |cx| last_of(cx, 1),
    body: bare(&norm::RMSNORM_GRAD_WEIGHT),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// Layer norm over the last axis.
LAYER = OpDef {
    name: "norm.layer",
    attrs: EPS_ONLY,
    operands: &[Operand::float("x"), Operand::float("weight").optional(), Operand::float("bias").optional()],
    outputs: &[Output::main("y"), Output::saved("mean"), Output::saved("rstd")],
    rule: |cx| with_rows(cx, 2),
    body: with_eps(&norm::LAYERNORM),
    gradient: Gradient::Formula(layer_gradient),
    ..OpDef::DEFAULT
};

/// Its gradient for x.
LAYER_GRAD = OpDef {
    name: "norm.layer'",
    operands: &[Operand::float("x"), Operand::float("weight").optional(), Operand::float("mean"), Operand::float("rstd"), Operand::float("dy")],
    body: bare(&norm::LAYERNORM_GRAD),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// Its gradients for gain and bias.
LAYER_GRAD_WEIGHT = OpDef {
    name: "norm.layer'weight",
    operands: &[Operand::float("x"), Operand::float("mean"), Operand::float("rstd"), Operand::float("dy")],
    outputs: &[Output::main("dweight"), Output::main("dbias")],
    rule: |cx| last_of(cx, 2),
    body: bare(&norm::LAYERNORM_GRAD_WEIGHT),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// Mean and biased variance of each channel.
BATCH_STATS = OpDef {
    name: "norm.batch_stats",
    outputs: PAIR,
    rule: per_channel,
    body: bare(&batchnorm::BATCHNORM_STATS),
    gradient: Gradient::Zero,
    facts: Facts { mixes_rows: true, ..Facts::NONE },
    ..OpDef::DEFAULT
};

/// Normalises by statistics of this batch: its gradient goes through them.
BATCH_APPLY = OpDef {
    name: "norm.batch",
    attrs: EPS_ONLY,
    operands: BATCH_OPERANDS,
    body: with_eps(&batchnorm::BATCHNORM_APPLY),
    gradient: Gradient::Formula(batch_gradient),
    ..OpDef::DEFAULT
};

/// Normalises by running statistics: constants of its gradient.
BATCH_APPLY_EVAL = OpDef {
    name: "norm.batch_eval",
    attrs: EPS_ONLY,
    operands: BATCH_OPERANDS,
    body: with_eps(&batchnorm::BATCHNORM_APPLY),
    gradient: Gradient::Formula(batch_eval_gradient),
    ..OpDef::DEFAULT
};

/// The sums over a channel that its gradients need: of dy, and of dy times the normalised x.
BATCH_GRAD_STATS = OpDef {
    name: "norm.batch'stats",
    attrs: EPS_ONLY,
    operands: &[Operand::float("x"), Operand::float("mean"), Operand::float("var"), Operand::float("dy")],
    outputs: &[Output::main("sum_dy"), Output::main("sum_dy_xhat")],
    rule: per_channel,
    body: with_eps(&batchnorm::BATCHNORM_GRAD_STATS),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// The gradient through the batch's statistics.
BATCH_GRAD = OpDef {
    name: "norm.batch'",
    attrs: EPS_ONLY,
    operands: &[
        Operand::float("x"), Operand::float("mean"), Operand::float("var"), Operand::float("weight").optional(),
        Operand::float("dy"), Operand::float("sum_dy"), Operand::float("sum_dy_xhat"),
    ],
    body: with_eps(&batchnorm::BATCHNORM_GRAD),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// The gradient with constant statistics.
BATCH_GRAD_EVAL = OpDef {
    name: "norm.batch_eval'",
    attrs: EPS_ONLY,
    operands: &[Operand::float("var"), Operand::float("weight").optional(), Operand::float("dy")],
    rule: |cx| like(cx, 2),
    body: with_eps(&batchnorm::BATCHNORM_GRAD_EVAL),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

/// One more.
COUNT_UP = OpDef {
    name: "norm.count",
    operands: &[Operand::int("n")],
    body: bare(&count::COUNT_UP),
    gradient: Gradient::Zero,
    ..OpDef::DEFAULT
};

}
