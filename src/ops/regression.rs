//! Losses of values and of distributions: each compares two values of one shape, element by element.

use super::activation::{at_least, at_most};
use super::arithmetic::{ABS, DETACH, EXP, LOG, SQUARE, map_op};
use super::function::MAP_GE;
use super::loss::{MIXES, REDUCTION, equal_rows, reduce_rows, reduced};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Domain};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::op::{Body, Facts, Gradient, Misfit, OpDef, Operand, RuleCx};
use crate::kernels::map;

const PREDICTION: &[Operand] = &[Operand::float("input"), Operand::float("target")];
const PLAIN: &[AttrDef] = &[REDUCTION];
const FULL: AttrDef =
    AttrDef::new("full", &[AttrKind::Bool], AttrDefault::Bool(false), "whether terms that no gradient sees are added");

/// All values have the shape of the first.
pub(super) fn equal_shapes(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.dims(0)?;
    for index in 1..cx.ins.len() {
        equal_rows(cx, index, &dims)?;
    }
    reduced(cx, &dims);
    Ok(())
}

/// A loss of equal shapes.
pub(super) const fn pointwise(name: &'static str, formula: &'static str, operands: &'static [Operand]) -> OpDef {
    OpDef {
        name,
        formula,
        shape: "([..], [..]) -> []",
        attrs: PLAIN,
        operands,
        rule: equal_shapes,
        facts: MIXES,
        ..OpDef::DEFAULT
    }
}

/// The mean (or sum, or nothing) of what is said of each element.
pub(super) fn finished<'g>(cx: &ExpandCx<'_, 'g>, each: Var<'g>) -> Vec<Var<'g>> {
    vec![reduce_rows(cx, each, None)]
}

/// c·(a - c/2) with c = min(|difference|, knee): half the square up to the knee, straight beyond.
fn bent<'g>(cx: &ExpandCx<'_, 'g>, knee: f64) -> Var<'g> {
    let size = (cx.x(0) - cx.x(1)).op(&ABS);
    let inner = at_most(size, knee);
    inner * (size - inner * 0.5)
}

fn kl_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    if cx.attrs.str("reduction") == Some("batchmean") {
        cx.rank(0, 1, 8)?;
    }
    equal_shapes(cx)
}

fn kl<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (x, t) = (cx.x(0), cx.x(1));
    let each = match cx.attrs.flag("log_target") {
        true => t.op(&EXP) * (t - x),
        // 0 times the logarithm of the smallest float is 0.
        false => t * (at_least(t, 1e-38).op(&LOG) - x),
    };
    match cx.attrs.str("reduction") {
        Some("batchmean") => vec![each.sum_all() / x.size(x.dims()[0])],
        _ => finished(cx, each),
    }
}

fn poisson<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (x, t) = (cx.x(0), cx.x(1));
    let each = match cx.attrs.flag("log_input") {
        true => x.op(&EXP) - t * x,
        false => x - t * (x + cx.attrs.float("eps").unwrap_or(1e-8)).op(&LOG),
    };
    if !cx.attrs.flag("full") {
        return finished(cx, each);
    }
    // Stirling's ln t!, of targets above 1.
    let above = 1.0 - t.then(&MAP_GE, &[("value", Attr::Float(1.0)), ("number_first", Attr::Bool(true))]);
    let large = at_least(t, 1.0);
    let log = large.op(&LOG);
    let half_turn = 0.918_938_533_204_672_8; // ln(2π) / 2
    let stirling = large * log - large + log * 0.5 + half_turn;
    finished(cx, each + above * stirling)
}

fn gaussian<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (mean, target, var) = (cx.x(0), cx.x(1), cx.x(2));
    // Clamped without a gradient: what flows to the variance is as if it had been that large.
    let floor = at_least(var, cx.attrs.float("eps").unwrap_or(1e-6));
    let var = var + (floor - var).op(&DETACH);
    let each = (var.op(&LOG) + (mean - target).op(&SQUARE) / var) * 0.5;
    let turn = 0.918_938_533_204_672_8; // ln(2π) / 2
    finished(cx, if cx.attrs.flag("full") { each + turn } else { each })
}

fn bce_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let dims = cx.dims(0)?;
    equal_rows(cx, 1, &dims)?;
    if let Some(ty) = cx.ins.get(2).copied().flatten() {
        let rank = cx.shapes.rank(ty).min(dims.len());
        equal_rows(cx, 2, &dims[dims.len() - rank..])?;
    }
    reduced(cx, &dims);
    Ok(())
}

ops! { OPS;

/// The mean absolute difference: outliers pull no harder than anything else. Gradient 0 where the two are equal.
L1 = OpDef {
    derivative: "dinput = dy * sign(input - target) / n; dtarget = -dy * sign(input - target) / n; 0 where they are \
        equal",
    torch: "nn.L1Loss",
    example: "input: f32[2] = [1, 2], target: f32[2] = [3, 2] -> 1",
    body: Body::Expand(|cx| finished(cx, (cx.x(0) - cx.x(1)).op(&ABS))),
    ..pointwise("l1", "mean |input - target|", PREDICTION)
};

/// Square below beta, absolute above, smooth where they meet. `beta = 0` is `l1`.
SMOOTH_L1 = OpDef {
    derivative: "dinput = dy * max(-1, min(d / beta, 1)) / n; dtarget = -dy * max(-1, min(d / beta, 1)) / n; d = \
        input - target",
    source: "Girshick 2015",
    torch: "nn.SmoothL1Loss",
    example: "input: f32[2] = [0, 3], target: f32[2] = [0.5, 0] -> 1.3125",
    attrs: &[
        AttrDef::new("beta", &[AttrKind::Number], AttrDefault::Float(1.0), "where the square ends").within(Domain::NonNegative),
        REDUCTION,
    ],
    body: Body::Expand(|cx| {
        let beta = cx.attrs.float("beta").unwrap_or(1.0);
        let each = if beta == 0.0 { (cx.x(0) - cx.x(1)).op(&ABS) } else { bent(cx, beta) / beta };
        finished(cx, each)
    }),
    ..pointwise("smooth_l1", "mean (d^2 / (2 beta) if |d| < beta, else |d| - beta / 2)", PREDICTION)
};

/// Square below delta, straight with slope delta above: delta times `smooth_l1(delta)`.
HUBER = OpDef {
    derivative: "dinput = dy * max(-delta, min(d, delta)) / n; dtarget = -dy * max(-delta, min(d, delta)) / n; d = \
        input - target",
    source: "Huber 1964",
    torch: "nn.HuberLoss",
    example: "input: f32[2] = [0, 3], target: f32[2] = [0.5, 0] -> 1.3125",
    attrs: &[
        AttrDef::new("delta", &[AttrKind::Number], AttrDefault::Float(1.0), "where the square ends").within(Domain::Positive),
        REDUCTION,
    ],
    body: Body::Expand(|cx| finished(cx, bent(cx, cx.attrs.float("delta").unwrap_or(1.0)))),
    ..pointwise("huber", "mean (d^2 / 2 if |d| <= delta, else delta (|d| - delta / 2))", PREDICTION)
};

/// The Kullback-Leibler divergence of log-probabilities from a target distribution; 0·ln 0 is 0.
///
/// `reduction = "batchmean"` divides by the number of samples: the divergence as it is defined.
KL_DIV = OpDef {
    derivative: "dlogprobs = -dy * target / n; dtarget = dy * (ln(target) + 1 - logprobs) / n if target > 0, else dy \
        * (ln(1e-38) - logprobs) / n; with `log_target` e^target takes the target's place",
    torch: "nn.KLDivLoss",
    example: "logprobs: f32[1, 2] = [-0.6931472, -0.6931472], target: f32[1, 2] = [1, 0] -> 0.3465736",
    attrs: &[
        AttrDef::new("log_target", &[AttrKind::Bool], AttrDefault::Bool(false), "whether the target is logarithms too"),
        AttrDef { kinds: &[AttrKind::Choice(&["mean", "sum", "none", "batchmean"])], ..REDUCTION },
    ],
    rule: kl_rule,
    facts: Facts { domain: (f64::NEG_INFINITY, 80.0), ..MIXES },
    body: Body::Expand(kl),
    ..pointwise("kl_div", "mean t (ln t - logp)", &[Operand::float("logprobs"), Operand::float("target")])
};

/// The negative log-likelihood of counts under Poisson distributions; the input is the logarithm of the rate.
POISSON_NLL = OpDef {
    derivative: "dinput = dy * (e^input - target) / n; dtarget = -dy * input / n; without `log_input` dy * (1 - \
        target / (input + eps)) / n",
    torch: "nn.PoissonNLLLoss",
    example: "input: f32[1] = [0], target: f32[1] = [3] -> 1",
    attrs: &[
        AttrDef::new("log_input", &[AttrKind::Bool], AttrDefault::Bool(true), "whether the input is the logarithm of the rate"),
        FULL,
        AttrDef::new("eps", &[AttrKind::Number], AttrDefault::Float(1e-8), "keeps the logarithm away from 0").within(Domain::Positive),
        REDUCTION,
    ],
    facts: Facts { domain: (1e-30, 80.0), ..MIXES },
    body: Body::Expand(poisson),
    ..pointwise("poisson_nll", "mean (e^x - t x)", PREDICTION)
};

/// The negative log-likelihood of values under normal distributions whose mean and variance are predicted.
///
/// The variance is kept above eps, without a gradient of that.
GAUSSIAN_NLL = OpDef {
    derivative: "dmean = dy * (mean - target) / v / n; dtarget = -dy * (mean - target) / v / n; dvar = dy * (1 - \
        (mean - target)^2 / v) / v / 2 / n; v = max(var, eps)",
    shape: "(mean [..], target [..], var [..]) -> []",
    torch: "nn.GaussianNLLLoss",
    example: "m: f32[1] = [0], t: f32[1] = [2], v: f32[1] = [1] -> 2",
    attrs: &[
        FULL,
        AttrDef::new("eps", &[AttrKind::Number], AttrDefault::Float(1e-6), "the smallest variance").within(Domain::Positive),
        REDUCTION,
    ],
    facts: Facts { domain: (1e-30, f64::INFINITY), kinks: &[0.25, 1.5], ..MIXES },
    body: Body::Expand(gaussian),
    ..pointwise("gaussian_nll", "mean (ln var + (mean - target)^2 / var) / 2", &[Operand::float("mean"), Operand::float("target"), Operand::float("var")])
};

/// The cost of a yes or no by its *probability*; `bce_with_logits` takes logits, and does not overflow.
///
/// Logarithms are kept above -100, and the gradient's denominator above 1e-12, as in PyTorch.
BCE = OpDef {
    derivative: "dp = dy * (p - target) / max(p * (1 - p), 9.99999996e-13) / n; dtarget = dy * (max(ln(1 - p), -100) \
        - max(ln(p), -100)) / n; the smallest divisor is PyTorch's, 1e-12 as an f32",
    torch: "nn.BCELoss",
    example: "p: f32[2] = [0.5, 0.25], target: f32[2] = [1, 0] -> 0.49041462",
    rule: bce_rule,
    facts: Facts { domain: (0.0, 1.0), kinks: &[0.0, 1.0], ..MIXES },
    body: Body::Expand(|cx| {
        let each = cx.x(0).with(cx.x(1), &BCE_EACH, &[]);
        finished(cx, cx.maybe(2).map_or(each, |weight| each * weight))
    }),
    ..pointwise("bce", "mean -(t ln p + (1 - t) ln(1 - p))", &[
        Operand::float("p"), Operand::float("target"), Operand::float("weight").optional(),
    ])
};

/// Binary cross entropy of each element.
BCE_EACH = OpDef {
    gradient: Gradient::Formula(|cx| {
        vec![
            cx.when(0, || cx.dy() * cx.x(0).with(cx.x(1), &BCE_SLOPE, &[])),
            cx.when(1, || cx.dy() * cx.x(0).op(&BCE_TARGET_SLOPE)),
        ]
    }),
    ..map_op("map.bce", &map::ops::BCE, PREDICTION)
};

/// Its derivative for the probability.
BCE_SLOPE = OpDef { gradient: Gradient::Zero, ..map_op("map.bce'", &map::ops::BCE_DERIVATIVE, PREDICTION) };

/// Its derivative for the target.
BCE_TARGET_SLOPE = OpDef {
    gradient: Gradient::Zero,
    ..map_op("map.bce'target", &map::ops::BCE_TARGET, &[Operand::float("input")])
};

}
