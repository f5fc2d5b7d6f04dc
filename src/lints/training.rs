//! What the train section asks of a model.

use super::{Check, Cx, Flow, Lint};
use crate::diagnostic::Severity;
use crate::ir::dim::Dim;
use crate::ir::op::Role;
use crate::ir::params;
use crate::ir::training::Training;

lints! { LINTS;

/// In training a batch norm sees one value a channel.
///
/// The mean of one value is the value, and its variance 0: every output is the bias, whatever flows in. Take a larger
/// batch, or a norm that does not look at the batch.
BN_ONE_SAMPLE = Lint {
    code: "lint::bn_one_sample",
    severity: Severity::Error,
    why: "one value less its own mean is 0: nothing of the input is left, and the unbiased variance divides by 0",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32, bias = false)
  batchnorm
  relu
  linear(3)
}
train m {
  target y: i64[batch]
  loss   cross_entropy
  batch  1
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32, bias = false)
  batchnorm
  relu
  linear(3)
}
train m {
  target y: i64[batch]
  loss   cross_entropy
  batch  64
}
",
    check: Check::Flow(|cx| statistics(cx, 1, 1)),
    ..Lint::DEFAULT
};

/// In training a batch norm takes its statistics over a handful of values.
///
/// Mean and variance of fewer than 16 values are mostly noise. A larger batch helps, or a group norm.
BN_TINY_BATCH = Lint {
    code: "lint::bn_tiny_batch",
    severity: Severity::Info,
    why: "mean and variance of so few values are mostly noise: a larger batch helps, or a norm that leaves the batch alone",
    source: "Wu and He 2018, 1803.08494",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32, bias = false)
  batchnorm
  relu
  linear(3)
}
train m {
  target y: i64[batch]
  loss   cross_entropy
  batch  8
}
",
    quiet: "dim batch
model m : (x: f32[batch, 3, 8, 8]) -> f32[batch, 3] {
  conv(8, 3, pad = 1, bias = false)
  batchnorm
  relu
  avgpool_global
  linear(3)
}
train m {
  target y: i64[batch]
  loss   cross_entropy
  batch  8
}
",
    check: Check::Flow(|cx| statistics(cx, 2, 15)),
    ..Lint::DEFAULT
};

/// Weight decay draws biases and gains to 0, too.
///
/// `decay = "all"` acts on every parameter: on the gains of norms, whose neutral value is 1, on biases, and on PReLU's
/// slopes. The default acts on weights only.
DECAY_ON_SCALE = Lint {
    code: "lint::decay_on_scale",
    severity: Severity::Info,
    why: "the neutral value of a gain is 1, not 0; the default decays weights only",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  layernorm
  linear(3)
}
train m {
  target    y: i64[batch]
  loss      cross_entropy
  optimizer adamw(lr = 1e-3, decay = \"all\")
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  layernorm
  linear(3)
}
train m {
  target    y: i64[batch]
  loss      cross_entropy
  optimizer adamw(lr = 1e-3)
}
",
    check: Check::Flow(decay_on_scale),
    ..Lint::DEFAULT
};

}

/// The sizes that a train section binds.
fn bound(flow: &Flow<'_>, training: &Training, dim: Dim) -> Option<i64> {
    let size = |name: &str| training.sizes.iter().find(|(bound, _)| bound == name).map(|(_, size)| *size as i64);
    flow.model.shapes.dims.eval(dim, &size)
}

/// Batch norms whose statistics in training are over `least` to `most` values.
fn statistics(cx: &mut Cx<'_>, least: i64, most: i64) {
    let (flow, Some(training)) = (cx.flow, cx.training()) else { return };
    for site in flow.sites_of(&["batchnorm"]) {
        let axes = flow.dims_in(site).iter().enumerate().filter(|(axis, _)| *axis != 1);
        let sizes: Option<Vec<i64>> = axes.map(|(_, &dim)| bound(flow, training, dim)).collect();
        let Some(values) = sizes.map(|sizes| sizes.iter().product::<i64>()) else { continue };
        if !(least..=most).contains(&values) {
            continue;
        }
        let shown = if values == 1 { "one value".to_string() } else { format!("{values} values") };
        let text = format!("in training this batch norm takes its statistics over {shown} a channel");
        cx.found(cx.at(site, text, format!("batch {}: {shown}", training.batch)));
    }
}

fn decay_on_scale(cx: &mut Cx<'_>) {
    let (flow, Some(training)) = (cx.flow, cx.training()) else { return };
    let all = |attrs: &crate::ir::attr::Attrs| {
        attrs.str("decay") == Some("all") && attrs.float("weight_decay").is_some_and(|decay| decay > 0.0)
    };
    for group in training.optimizers.iter().filter(|group| all(&group.optimizer.attrs)) {
        let fits = |param: &params::Param| group.pattern.as_ref().is_none_or(|pattern| param.fits(pattern));
        let mut drawn = params::parameters(flow.model).filter(|param| param.def.role == Role::Other && fits(param));
        if let Some(first) = drawn.next() {
            let count = 1 + drawn.count();
            let text = format!("weight decay draws {count} biases and gains to 0, too");
            let report = cx.here(group.optimizer.span, text, format!("also on `{}`", first.shown()));
            cx.found(report);
        }
    }
}
