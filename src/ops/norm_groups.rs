//! Norms over groups of channels, over single channels, over neighbours.

use super::arithmetic::SQUARE;
use super::function::{POW_NUMBER, with_numbers};
use super::norm::{BATCH_APPLY_EVAL, EPS, LAYER, blend};
use super::parts::{filled, part};
use super::statistic::variance;
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind, Attrs, Domain, Init};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::{Dim, Dims};
use crate::ir::op::{Body, Facts, Misfit, MisfitKind, OpDef, ParamCx, ParamDef, RuleCx, Why, same_as_first, size_of};
use crate::tensor::DType;

const CHANNELS: AttrDef =
    AttrDef::new("channels", &[AttrKind::Size], AttrDefault::None, "the size of axis 1, checked").torch("num_features");
const BIAS: AttrDef = AttrDef::new("bias", &[AttrKind::Bool], AttrDefault::Bool(true), "whether a bias is learned");

const fn affine(default: bool) -> AttrDef {
    AttrDef::new("affine", &[AttrKind::Bool], AttrDefault::Bool(default), "whether gain (and bias) are learned")
}

/// The channels that were said are those of axis 1.
fn channels(cx: &mut RuleCx<'_>, least: usize) -> Result<Vec<Dim>, Misfit> {
    let dims = cx.rank(0, least, 5)?;
    if let Some(channels) = cx.size("channels") {
        cx.equal(0, 1, dims[1], channels, Why::Pin)?;
    }
    Ok(dims)
}

/// What a norm takes its statistics of must be more than one number.
fn several(cx: &mut RuleCx<'_>, sizes: &[Dim]) -> Result<(), Misfit> {
    let (count, two) = (cx.shapes.dims.product(sizes), cx.shapes.dims.constant(2));
    let text = "one value has no variance: a norm over a single number gives 0".to_string();
    let none = sizes.iter().any(|&size| cx.shapes.dims.as_const(size) == Some(0));
    if none {
        Ok(())
    } else {
        cx.need(crate::ir::op::Condition::AtLeast(count, two), Misfit::of(MisfitKind::Sentence(text)))
    }
}

fn gains(cx: &ParamCx<'_>) -> Vec<ParamDef> {
    let Some(&c) = cx.dims(0).get(1) else { return vec![] };
    match (cx.attrs.flag("affine"), cx.attrs.flag("bias")) {
        (false, _) => vec![],
        (true, false) => vec![ParamDef::other("weight", &[c], Init::Ones)],
        (true, true) => vec![ParamDef::other("weight", &[c], Init::Ones), ParamDef::other("bias", &[c], Init::Zeros)],
    }
}

/// A number a channel, all over x.
fn of_channels<'g>(value: Var<'g>, dims: &[Dim]) -> Var<'g> {
    let others: Vec<usize> = (0..dims.len()).filter(|&axis| axis != 1).collect();
    value.spread(dims, &others)
}

/// Normalised over groups of channels and all of space, then gain and bias a channel.
fn grouped<'g>(cx: &ExpandCx<'_, 'g>, groups: Dim) -> Var<'g> {
    let x = cx.x(0);
    let dims = x.dims();
    let each = x.builder.graph.borrow_mut().shapes.dims.floor_div(dims[1], groups);
    let rows = [&[dims[0], groups, each], &dims[2..]].concat();
    let attrs = Attrs::with(LAYER.attrs, &[("eps", cx.attrs.get("eps").clone())]);
    let flat = x.reshape(&rows).fold_from(2);
    let y = x.builder.apply(&LAYER, attrs, &[Some(flat), None, None])[0].reshape(&dims);
    let y = cx.param("weight").map_or(y, |weight| y * of_channels(weight, &dims));
    cx.param("bias").map_or(y, |bias| y + of_channels(bias, &dims))
}

/// The running statistics: the mean over the batch of each sample's own.
fn move_statistics<'g>(cx: &ExpandCx<'_, 'g>, mean: Var<'g>, var: Var<'g>) {
    let x = cx.x(0);
    let space: Vec<usize> = (2..x.rank()).collect();
    let own = x.mean(&space, false).mean(&[0], false);
    let own_var = variance(x, &space, 1.0).mean(&[0], false);
    let update = cx.attrs.float("update").unwrap_or(0.1);
    cx.set_state("running_mean", blend(mean, own, update));
    cx.set_state("running_var", blend(var, own_var, update));
}

fn instance<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let x = cx.x(0);
    match cx.param("running_mean").zip(cx.param("running_var")) {
        Some((mean, var)) if !cx.train() => {
            let attrs = Attrs::with(BATCH_APPLY_EVAL.attrs, &[("eps", cx.attrs.get("eps").clone())]);
            cx.builder.apply(
                &BATCH_APPLY_EVAL,
                attrs,
                &[Some(x), Some(mean), Some(var), cx.param("weight"), cx.param("bias")],
            )
        }
        running => {
            if let Some((mean, var)) = running {
                move_statistics(cx, mean, var);
            }
            vec![grouped(cx, x.dims()[1])]
        }
    }
}

/// The mean of squares over neighbouring channels, with zeros beyond the ends.
fn neighbours<'g>(x: Var<'g>, size: i64) -> Var<'g> {
    let squares = x.op(&SQUARE);
    let channels = x.dims()[1];
    let zeros = |n: i64| {
        let mut dims = x.dims();
        dims[1] = x.builder.graph.borrow_mut().shapes.dims.constant(n);
        (n > 0).then(|| filled(x, &dims, 0.0))
    };
    let parts: Vec<Var<'g>> = [zeros(size / 2), Some(squares), zeros((size - 1) / 2)].into_iter().flatten().collect();
    let padded = super::movement::concat(&parts, 1);
    let window = |i: i64| {
        let (from, to) = {
            let table = &mut x.builder.graph.borrow_mut().shapes.dims;
            let from = table.constant(i);
            (from, table.add(from, channels))
        };
        part(padded, 1, from, to)
    };
    (1..size).fold(window(0), |sum, i| sum + window(i)) / size as f64
}

ops! { OPS;

/// Normalises each sample's groups of channels over their space: like batch norm, without the batch.
///
/// 2c parameters. Biased variance, per sample and group: the same in train and eval, for any batch size. One group is a
/// layer norm over all channels, as many groups as channels an instance norm.
GROUPNORM = OpDef {
    derivative: "as layernorm, with means over the group: dx = (g - mean(g) - h mean(g h)) / s, g = dy * weight, h \
        the normalised x, s its divisor",
    name: "groupnorm",
    formula: "(x - mean) / sqrt(var + eps) * weight + bias",
    shape: "[B, c, S…] -> [B, c, S…]",
    source: "Wu and He 2018",
    torch: "nn.GroupNorm",
    example: "x: f32[1, 2, 2] = [1, 3, 5, 9], groups = 2 -> [-0.999995, 0.999995, -0.99999875, 0.99999875]",
    attrs: &[
        AttrDef::required("groups", &[AttrKind::Size], "how many; they divide the channels").torch("num_groups"),
        CHANNELS, EPS, affine(true), BIAS,
    ],
    rule: |cx| {
        let dims = channels(cx, 2)?;
        let groups = cx.size("groups").ok_or_else(|| cx.bad_attr("groups", "must be given"))?;
        cx.divides(0, 1, dims[1], groups, Why::Groups)?;
        let each = cx.shapes.dims.floor_div(dims[1], groups);
        several(cx, &[&[each], &dims[2..]].concat())?;
        same_as_first(cx)
    },
    params: |cx| gains(cx),
    body: Body::Expand(|cx| {
        let groups = {
            let mut graph = cx.builder.graph.borrow_mut();
            size_of(&mut graph.shapes, cx.attrs.get("groups")).unwrap_or(Dims::ONE)
        };
        vec![grouped(cx, groups)]
    }),
    ..OpDef::DEFAULT
};

/// Normalises each channel of each sample over its space: contrast goes, shape stays.
///
/// No parameters by default (2c with `affine`). With `track` running statistics, means over the batch of the samples'
/// own, are kept in train and used in eval; the counter stays 0, as PyTorch's.
INSTANCENORM = OpDef {
    derivative: "as layernorm, with means over the space of one channel; where running statistics are used (`track`, \
        eval), dy / s",
    name: "instancenorm",
    formula: "(x - mean) / sqrt(var + eps)",
    shape: "[B, c, S…] -> [B, c, S…]",
    source: "Ulyanov et al. 2016",
    torch: "nn.InstanceNorm2d",
    example: "x: f32[1, 1, 2] = [1, 3] -> [-0.999995, 0.999995]",
    attrs: &[
        CHANNELS, EPS,
        AttrDef::new("update", &[AttrKind::Number], AttrDefault::Float(0.1), "the weight of the new value in the running statistics")
            .within(Domain::Probability)
            .torch("momentum"),
        affine(false), BIAS,
        AttrDef::new("track", &[AttrKind::Bool], AttrDefault::Bool(false), "whether running statistics are kept and used in eval")
            .torch("track_running_stats"),
    ],
    rule: |cx| {
        let dims = channels(cx, 3)?;
        several(cx, &dims[2..])?;
        same_as_first(cx)
    },
    params: |cx| {
        let mut params = gains(cx);
        if let (true, Some(&c)) = (cx.attrs.flag("track"), cx.dims(0).get(1)) {
            params.push(ParamDef::state("running_mean", &[c], DType::F32, Init::Zeros));
            params.push(ParamDef::state("running_var", &[c], DType::F32, Init::Ones));
            params.push(ParamDef::state("num_batches_tracked", &[], DType::I64, Init::Zeros));
        }
        params
    },
    facts: Facts { by_mode: true, ..Facts::NONE },
    body: Body::Expand(instance),
    ..OpDef::DEFAULT
};

/// Divides by a power of what the neighbouring channels hold: loud channels quieten the ones beside them.
LOCAL_RESPONSE_NORM = OpDef {
    derivative: "dx_c = dy_c / d_c^beta - 2 * alpha * beta / size * x_c * sum of dy_j x_j / d_j^(beta + 1) over the \
        channels j that see c; d = k + alpha * mean",
    name: "local_response_norm",
    formula: "x / (k + alpha * mean of x^2 over size channels)^beta",
    shape: "[B, c, S…] -> [B, c, S…]",
    source: "Krizhevsky et al. 2012",
    torch: "nn.LocalResponseNorm",
    example: "x: f32[1, 1, 1] = [2], size = 1, alpha = 1, beta = 0.5, k = 0 -> 1",
    attrs: &[
        AttrDef::required("size", &[AttrKind::Size], "how many channels, the own in the middle"),
        AttrDef::new("alpha", &[AttrKind::Number], AttrDefault::Float(1e-4), "the weight of the mean"),
        AttrDef::new("beta", &[AttrKind::Number], AttrDefault::Float(0.75), "the power"),
        AttrDef::new("k", &[AttrKind::Number], AttrDefault::Float(1.0), "keeps it away from 0"),
    ],
    rule: |cx| {
        cx.rank(0, 3, 5)?;
        if cx.attrs.int("size").is_none() {
            return Err(cx.bad_attr("size", "must be a number"));
        }
        same_as_first(cx)
    },
    body: Body::Expand(|cx| {
        let number = |name: &str, otherwise: f64| cx.attrs.float(name).unwrap_or(otherwise);
        let mean = neighbours(cx.x(0), cx.attrs.int("size").unwrap_or(1));
        let weight = with_numbers(mean * number("alpha", 1e-4) + number("k", 1.0), &POW_NUMBER, [number("beta", 0.75), 0.0]);
        vec![cx.x(0) / weight]
    }),
    ..OpDef::DEFAULT
};

}
