//! Norms, and what they do to the stages around them.

use super::{Check, Cx, Flow, Lint, Reader, Site, follow};
use crate::diagnostic::Severity;
use crate::ir::attr::Attr;
use crate::ir::dim::Dim;
use std::collections::BTreeSet;

lints! { LINTS;

/// A bias is taken away again by the batch norm behind it.
///
/// Batch norm subtracts the mean of each channel, and with it whatever constant was added to the channel: the bias gets no
/// gradient but noise. That holds through pooling and the identity; an activation, dropout or zero padding between makes
/// the bias matter. Instance norm does the same, and group norm with a group for each channel; layer, RMS and other group
/// norms take means over several channels, and the bias stays.
DEAD_BIAS = Lint {
    code: "lint::dead_bias",
    why: "the mean of each channel is subtracted, and the constant that the bias added with it; a bias that is wanted stands behind",
    fires: "dim batch
model m : (x: f32[batch, 3, 8, 8]) -> f32[batch, 8, 8, 8] {
  conv(8, 3, pad = 1)
  batchnorm
  relu
}
",
    quiet: "dim batch
model m : (x: f32[batch, 3, 8, 8]) -> f32[batch, 8, 8, 8] {
  conv(8, 3, pad = 1, bias = false)
  batchnorm
  relu
  conv(8, 3, pad = 1)
  relu
  batchnorm
}
",
    check: Check::Flow(dead_bias),
    ..Lint::DEFAULT
};

/// Dropout stands upstream of a batch norm.
///
/// Dropout raises the variance in training and not in eval, and batch norm remembers what it saw in training: behind
/// relu and dropout(0.5) the remembered variance is more than twice the one it meets. Dropout belongs behind the last batch
/// norm; a layer, RMS or group norm between mends it, too.
DROPOUT_THEN_BN = Lint {
    code: "lint::dropout_then_bn",
    why: "dropout raises the variance in training only, and batch norm keeps that variance for eval",
    source: "Li et al. 2018, 1801.05134",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32)
  relu
  dropout(0.5)
  linear(32, bias = false)
  batchnorm
  relu
  linear(3)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32, bias = false)
  batchnorm
  relu
  dropout(0.5)
  linear(3)
}
",
    check: Check::Flow(dropout_then_bn),
    ..Lint::DEFAULT
};

/// The running statistics of a batch norm follow the last batch more than all before.
///
/// `update` is the weight of the *new* value, as PyTorch's momentum is; Keras' momentum is the weight of the old one. 0.9
/// here keeps a tenth of what was known.
BN_UPDATE_DIRECTION = Lint {
    code: "lint::bn_update_direction",
    why: "`update` is the weight of the new value; Keras' momentum is that of the old one",
    source: "pytorch/examples#289, ludwig#2100",
    fires: "dim batch
model m : (x: f32[batch, 3, 8, 8]) -> f32[batch, 8, 8, 8] {
  conv(8, 3, pad = 1, bias = false)
  batchnorm(update = 0.9)
  relu
}
",
    quiet: "dim batch
model m : (x: f32[batch, 3, 8, 8]) -> f32[batch, 8, 8, 8] {
  conv(8, 3, pad = 1, bias = false)
  batchnorm(update = 0.01)
  relu
}
",
    check: Check::Flow(bn_update_direction),
    ..Lint::DEFAULT
};

/// A statistic over one element says nothing.
///
/// The mean of one number is the number: layer norm gives its bias, RMS norm a sign, softmax 1, log_softmax 0, whatever
/// flows in. Most often the axis is the wrong one.
ONE_ELEMENT_STAT = Lint {
    code: "lint::one_element_stat",
    severity: Severity::Error,
    why: "over one element nothing of the input is left",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 1] {
  linear(1)
  softmax
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 2] {
  linear(2)
  softmax
}
",
    check: Check::Flow(one_element_stat),
    ..Lint::DEFAULT
};

/// A wide decoder with DyT in a norm's place begins at alpha = 0.5.
///
/// The paper's language models begin lower, the wider the lower: about 0.2 in front of attention down to 0.05 elsewhere at
/// the width of LLaMA 70B.
DYT_ALPHA = Lint {
    code: "lint::dyt_alpha",
    severity: Severity::Info,
    why: "wide language models begin at a smaller alpha: 0.8 before attention and 0.2 elsewhere at 7B, 0.2 and 0.05 at 70B",
    source: "Zhu et al. 2025, 2503.10622",
    fires: "dim batch, seq
model m : (x: f32[batch, seq, 4096]) -> f32[batch, seq, 4096] {
  residual pre dyt { attention(32, causal = true) }
}
",
    quiet: "dim batch, seq
model m : (x: f32[batch, seq, 4096]) -> f32[batch, seq, 4096] {
  residual pre dyt(alpha = 0.8) { attention(32, causal = true) }
}
",
    check: Check::Flow(dyt_alpha),
    ..Lint::DEFAULT
};

}

/// Whether a constant added to each channel before a stage is the same constant behind it.
fn commutes(flow: &Flow<'_>, site: Site) -> bool {
    let op = flow.op(site);
    match op.op.name {
        "identity" | "maxpool" | "avgpool_global" => true,
        "avgpool" => op.attrs.ints("pad").is_some_and(|pad| pad.iter().all(|&pad| pad == 0)),
        _ => false,
    }
}

/// The size of axis 1, where it is a number.
fn channels(flow: &Flow<'_>, site: Site) -> Option<i64> {
    flow.dims_in(site).get(1).and_then(|&dim| flow.size(dim))
}

/// Whether a norm subtracts the mean of each channel on its own.
fn by_channel(flow: &Flow<'_>, site: Site) -> bool {
    match flow.op(site).op.name {
        "batchnorm" | "instancenorm" => true,
        "groupnorm" => flow.op(site).attrs.int("groups") == channels(flow, site),
        _ => false,
    }
}

/// Whether a layer adds a learned constant to each channel, axis 1.
fn biases_channels(flow: &Flow<'_>, site: Site) -> bool {
    let by_axis = match flow.op(site).op.name {
        "conv" | "conv_transpose" => true,
        "linear" => flow.dims_out(site).len() == 2,
        _ => false,
    };
    by_axis && flow.op(site).attrs.flag("bias") && !flow.shared(site)
}

fn dead_bias(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites().filter(|&site| biases_channels(flow, site)) {
        let mut at = site;
        for _ in 0..8 {
            match flow.after(at).as_slice() {
                [Reader::Op(next, 0)] if by_channel(flow, *next) => {
                    let word = flow.op(*next).op.name;
                    let text =
                        format!("the bias of this {} is taken away by the {word} behind it", flow.op(site).op.name);
                    let report = cx.at(site, text, "adds a constant to each channel");
                    let report = report.label(flow.span(*next), "subtracts each channel's mean");
                    cx.found(cx.with_argument(report, site, "bias", "false"));
                    break;
                }
                [Reader::Op(next, 0)] if commutes(flow, *next) => at = *next,
                _ => break,
            }
        }
    }
}

fn dropout_then_bn(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    let mut pairs: BTreeSet<(Site, Site)> = BTreeSet::new();
    follow(
        flow,
        |site, known| -> Option<Site> {
            if flow.drops(site).is_some() {
                return Some(site);
            }
            if flow.is_norm(site) {
                let dropped = known.operand(0).filter(|_| flow.is(site, &["batchnorm"]));
                pairs.extend(dropped.map(|dropout| (dropout, site)));
                return None;
            }
            known.operands().find_map(|known| *known)
        },
        |_, two, _| *two,
    );
    for (dropout, norm) in pairs {
        let report = cx.at(dropout, "dropout stands before a batch norm", "raises the variance, in training only");
        cx.found(report.label(flow.span(norm), "remembers the variance of training"));
    }
}

fn bn_update_direction(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites_of(&["batchnorm", "instancenorm"]) {
        let Some(update) = flow.op(site).attrs.float("update").filter(|&update| update > 0.5) else { continue };
        let text = "the running statistics follow the last batch more than all before";
        let report = cx.at(site, text, format!("keeps {:.0} % of what it knew", 100.0 * (1.0 - update)));
        let other = format!("{:.6}", 1.0 - update);
        let other = other.trim_end_matches('0').trim_end_matches('.');
        cx.found(cx.with_argument(report, site, "update", other));
    }
}

fn one_element_stat(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites_of(&["layernorm", "rmsnorm", "softmax", "log_softmax"]) {
        let word = flow.op(site).op.name;
        let dims = flow.dims_in(site);
        let (over, gives) = match word {
            "softmax" => (flow.axis(site, "axis").map(|axis| vec![dims[axis]]), "gives 1"),
            "log_softmax" => (flow.axis(site, "axis").map(|axis| vec![dims[axis]]), "gives 0"),
            "layernorm" => (Some(last(flow, site)), "gives its bias"),
            _ => (Some(last(flow, site)), "gives a sign"),
        };
        let sizes: Option<Vec<i64>> = over.and_then(|over| over.iter().map(|&dim| flow.size(dim)).collect());
        if sizes.is_some_and(|sizes| sizes.iter().product::<i64>() == 1) {
            cx.found(cx.at(site, format!("`{word}` over one element"), gives));
        }
    }
}

/// The axes at the end over which a norm works.
fn last(flow: &Flow<'_>, site: Site) -> Vec<Dim> {
    let attrs = &flow.op(site).attrs;
    let axes = match attrs.get("shape") {
        Attr::List(items) => items.len(),
        _ => attrs.int("axes").unwrap_or(1).max(1) as usize,
    };
    let dims = flow.dims_in(site);
    dims[dims.len().saturating_sub(axes)..].to_vec()
}

/// So wide are the decoders whose alpha the paper has tuned.
const WIDE: i64 = 2048;

fn dyt_alpha(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    if !flow.sites_of(&["attention", "sdpa"]).any(|site| flow.op(site).attrs.flag("causal")) {
        return;
    }
    for site in flow.sites_of(&["dyt"]) {
        let width = flow.dims_in(site).last().and_then(|&dim| flow.size(dim)).filter(|&width| width >= WIDE);
        if let (Some(width), Some(0.5)) = (width, flow.op(site).attrs.float("alpha")) {
            let text = format!("a decoder of width {width} begins with alpha = 0.5");
            cx.found(cx.at(site, text, "begins at 0.5"));
        }
    }
}
