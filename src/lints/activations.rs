//! Stages that change nothing, and stacks through which little comes back.

use super::kinds::LAYERS;
use super::{Check, Cx, Flow, Lint, Maker, Site, follow};
use crate::diagnostic::Severity;
use crate::ir::attr::{Attr, Init};
use indexmap::IndexMap;

lints! { LINTS;

/// A stage that does nothing to what flows in.
///
/// relu behind relu, sigmoid, softmax or exp; `identity` and `dropout(0)` as they stand; two dropouts in a row, which are
/// one; softmax twice; the same norm twice, the first without gain and bias.
IDEMPOTENT = Lint {
    code: "lint::idempotent",
    why: "a stage that changes nothing hides what was meant in its place",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32)
  sigmoid
  relu
  linear(3)
}
",
    quiet: "dim batch
model m(p = 0) : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32)
  tanh
  relu
  dropout(p)
  linear(3)
}
",
    check: Check::Flow(idempotent),
    ..Lint::DEFAULT
};

/// Four or more layers in a row end in sigmoid, and nothing leads around them.
///
/// The derivative of sigmoid is at most 1/4: what reaches the first of 8 layers is a millionth of what left the last
/// (measured at width 64: 2e-6 with the default initialisation, 7e-5 with Xavier's, 2e-3 with layer norms between). A
/// sigmoid that multiplies something is a gate and counts as none.
SATURATING_STACK = Lint {
    code: "lint::saturating_stack",
    why: "sigmoid's derivative is at most 1/4: gradients shrink from layer to layer, norms or not; relu, gelu or residuals help",
    source: "Glorot and Bengio 2010; measured at width 64",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  repeat 5 { linear(32); sigmoid }
  linear(3)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 32]) -> f32[batch, 3] {
  repeat 5 {
    residual { linear(32); sigmoid }
  }
  linear(3)
}
",
    check: Check::Flow(saturating_stack),
    ..Lint::DEFAULT
};

/// Twelve or more plain layers in a row begin with the default weights.
///
/// The default U(±1/sqrt(fan_in)) is too small to carry a signal through many layers of relu or tanh: of 16 layers the
/// first gets 2e-5 (relu) or 2e-3 (tanh) of the last one's gradient, measured at width 64. `init = kaiming` (relu) and
/// `init = xavier` (tanh) keep it near 1; so do norms and residuals.
PLAIN_DEEP_DEFAULT_INIT = Lint {
    code: "lint::plain_deep_default_init",
    why: "U(±1/sqrt(fan_in)) shrinks a signal from layer to layer: give an initialiser, a norm, or residuals",
    source: "He et al. 2015; Glorot and Bengio 2010; measured at width 64",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  repeat 16 { linear(64); relu }
  linear(3)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  repeat 16 { linear(64, init = kaiming_normal); relu }
  linear(3)
}
",
    check: Check::Flow(plain_deep_default_init),
    ..Lint::DEFAULT
};

/// Selu stands without what its argument rests on.
///
/// It keeps mean 0 and variance 1 from layer to layer only with LeCun's initial weights and nothing between that changes
/// the statistics: no batch norm, no plain dropout.
SELU_MISUSE = Lint {
    code: "lint::selu_misuse",
    severity: Severity::Info,
    why: "selu norms itself only with `init = lecun_normal` before it, and without batch norm or plain dropout around it",
    source: "Klambauer et al. 2017",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32)
  selu
  linear(3)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(32, init = lecun_normal)
  selu
  linear(3)
}
",
    check: Check::Flow(selu_misuse),
    ..Lint::DEFAULT
};

/// A negative bias keeps a relu shut from the start.
///
/// Behind a norm the sums of a layer are spread around its bias; where that is so far below 0 that fewer than one in
/// twenty sums is positive, most units give 0 and learn nothing.
DEAD_RELU_BIAS = Lint {
    code: "lint::dead_relu_bias",
    why: "a unit whose sum is never positive gives 0 and gets no gradient",
    source: "Lu et al. 2019, 1903.06733",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  layernorm
  linear(32, bias_init = constant(-2))
  relu
  linear(3)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  layernorm
  linear(32, bias_init = constant(-0.1))
  relu
  linear(3)
}
",
    check: Check::Flow(dead_relu_bias),
    ..Lint::DEFAULT
};

}

fn idempotent(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites() {
        let op = flow.op(site);
        let literal = op.word == op.op.name;
        if op.op.name == "identity" && literal && is_written(cx, site, "identity") {
            let report = cx.at(site, "`identity` changes nothing", "gives back what flows in");
            cx.found(cx.without(report, site));
        } else if op.op.name == "dropout" && op.attrs.float("p") == Some(0.0) && has_no_name(cx, site) {
            let report = cx.at(site, "`dropout(0)` drops nothing", "gives back what flows in");
            cx.found(cx.without(report, site));
        } else if let Some(first) = flow.operand(site, 0).and_then(|value| flow.maker(value)).filter(|&f| f != site) {
            twice(cx, first, site);
        }
    }
}

/// Whether a stage stands in the text as this word, and does not come out of a hyperparameter.
fn is_written(cx: &Cx<'_>, site: Site, word: &str) -> bool {
    let text = cx.written(cx.flow.span(site));
    text == word || text.strip_prefix(word).is_some_and(|rest| rest.starts_with('('))
}

/// Whether the number of a dropout is written out.
fn has_no_name(cx: &Cx<'_>, site: Site) -> bool {
    let text = cx.written(cx.flow.span(site));
    let inner = text.strip_prefix("dropout(").and_then(|rest| rest.strip_suffix(')'));
    inner.is_some_and(|inner| inner.trim_start_matches("p").trim_start_matches([' ', '=']).parse::<f64>().is_ok())
}

/// Two stages in a row of which the second adds nothing to the first.
fn twice(cx: &mut Cx<'_>, first: Site, second: Site) {
    let flow = cx.flow;
    let (a, b) = (flow.op(first), flow.op(second));
    let ((low, high), same) = (a.op.facts.range, std::ptr::eq(a.op, b.op));
    let fixed = b.op.facts.fixed.is_some_and(|(from, to)| b.op.name != "identity" && from <= low && high <= to);
    let (word, other) = (b.op.name, a.op.name);
    if fixed {
        let range =
            if high.is_infinite() { format!("gives nothing below {low}") } else { format!("gives {low} … {high}") };
        let report = cx.at(second, format!("`{word}` behind `{other}` changes nothing"), "changes nothing there");
        cx.found(cx.without(report.label(flow.span(first), range), second));
        return;
    }
    if same && word == "softmax" && flow.axis(first, "axis") == flow.axis(second, "axis") {
        let report = cx.at(second, "softmax of a softmax", "flattens what the first one made");
        cx.found(cx.without(report.label(flow.span(first), "gives 0 … 1 already"), second));
    } else if same && flow.is_norm(first) && matches!(a.attrs.get("affine"), Attr::Bool(false)) {
        let report =
            cx.at(second, format!("the same norm twice: nothing is left for the second `{word}`"), "normed already");
        cx.found(report.label(flow.span(first), "without gain and bias"));
    } else if let (true, Some(p), Some(q)) = (word == "dropout" && same, flow.drops(first), flow.drops(second)) {
        if !flow.read_once(first) {
            return;
        }
        let merged = 1.0 - (1.0 - p) * (1.0 - q);
        let merged = format!("{merged:.6}");
        let text =
            format!("two dropouts in a row are one, of p = {}", merged.trim_end_matches('0').trim_end_matches('.'));
        cx.found(cx.at(second, text, "drops from what is left").label(flow.span(first), "drops first"));
    }
}

/// Layers with one activation each, in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stack {
    count: u64,
    /// The last layer, its activation not yet seen.
    layer: Option<Site>,
    first: Option<Site>,
    last: Option<Site>,
}

impl Stack {
    fn grown(one: &Stack, two: &Stack, more: u64) -> Stack {
        let step = two.count.saturating_sub(one.count);
        Stack { count: two.count.saturating_add(step.saturating_mul(more)), ..*two }
    }
}

/// The stacks of at least `least` layers, each followed by one of these activations. `layer` says which layers count;
/// `passes` what does not break a stack.
fn stacks(
    flow: &Flow<'_>,
    least: u64,
    activations: &[&str],
    layer: impl Fn(Site) -> bool,
    passes: impl Fn(Site) -> bool,
) -> Vec<Stack> {
    let known = follow(
        flow,
        |site, known| {
            let stack: Stack = known.operand(0);
            if layer(site) {
                Stack { layer: Some(site), ..stack }
            } else if let (true, Some(layer)) = (flow.is(site, activations) && !gates(flow, site), stack.layer) {
                let first = stack.first.or(Some(layer));
                Stack { count: stack.count + 1, layer: None, first, last: Some(site) }
            } else if passes(site) {
                stack
            } else {
                Stack::default()
            }
        },
        Stack::grown,
    );
    let mut longest: IndexMap<Option<Site>, Stack> = IndexMap::new();
    for stack in known.into_iter().filter(|stack| stack.count >= least) {
        let best = longest.entry(stack.first).or_insert(stack);
        if best.count < stack.count {
            *best = stack;
        }
    }
    longest.into_values().collect()
}

/// Whether the result of a stage multiplies something.
fn gates(flow: &Flow<'_>, site: Site) -> bool {
    flow.after(site).iter().any(|reader| matches!(reader, super::Reader::Op(next, _) if flow.is(*next, &["mul"])))
}

fn saturating_stack(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    let layer = |site| flow.is(site, LAYERS);
    let passes = |site| flow.is_plain(site) || flow.is_norm(site) || flow.pools(site);
    for stack in stacks(flow, 4, &["sigmoid"], layer, passes) {
        let (Some(first), Some(last)) = (stack.first, stack.last) else { continue };
        let text = format!("{} layers in a row end in sigmoid", stack.count);
        cx.found(cx.at(last, text, "the last of them").label(flow.span(first), "the first layer"));
    }
}

fn plain_deep_default_init(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for (activation, init) in [("relu", "kaiming_normal"), ("tanh", "xavier_normal")] {
        let layer = |site| {
            let op = flow.op(site);
            flow.is(site, LAYERS) && *op.attrs.get("init") == Attr::None && op.gain.is_none()
        };
        let passes = |site| flow.is_plain(site) || flow.pools(site);
        for stack in stacks(flow, 12, &[activation], layer, passes) {
            let (Some(first), Some(last)) = (stack.first, stack.last) else { continue };
            let text = format!("{} layers of {activation} in a row begin with the default weights", stack.count);
            let report = cx.at(first, text, "begins at U(±1/sqrt(fan_in)), as those behind it");
            let report = report.label(flow.span(last), "the last of them");
            cx.found(report.note(format!("`init = {init}` is made for {activation}")));
        }
    }
}

/// The standard deviation of a layer's sums where its inputs have variance 1.
fn spread(flow: &Flow<'_>, site: Site) -> Option<f64> {
    let inputs = flow.dims_in(site).last().and_then(|&dim| flow.size(dim))? as f64;
    let outputs = flow.dims_out(site).last().and_then(|&dim| flow.size(dim))? as f64;
    let std = match flow.op(site).attrs.get("init") {
        Attr::None => (1.0 / (3.0 * inputs)).sqrt(),
        Attr::Init(init) => match init {
            Init::Normal(std, _) => *std,
            Init::KaimingNormal(gain, false) | Init::KaimingUniform(gain, false) => gain / inputs.sqrt(),
            Init::XavierNormal(gain) | Init::XavierUniform(gain) => gain * (2.0 / (inputs + outputs)).sqrt(),
            _ => return None,
        },
        _ => return None,
    };
    Some(std * inputs.sqrt())
}

/// One in twenty of a standard normal is above this.
const ONE_IN_TWENTY: f64 = 1.645;

fn dead_relu_bias(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for relu in flow.sites_of(&["relu"]) {
        let Some(layer) = flow.before(relu).filter(|&site| flow.is(site, &["linear"])) else { continue };
        let Attr::Init(Init::Constant(bias)) = flow.op(layer).attrs.get("bias_init") else { continue };
        let Some(value) = flow.operand(layer, 0) else { continue };
        let normed =
            |maker: &Maker| matches!(maker, Maker::Op(site) if flow.is(*site, &["layernorm", "rmsnorm", "batchnorm"]));
        let makers = flow.makers_through(value, |site| flow.is_view(site));
        let Some(spread) = spread(flow, layer).filter(|_| makers.iter().all(normed)) else { continue };
        if *bias < -ONE_IN_TWENTY * spread {
            let text = "fewer than one unit in twenty is open at the start";
            let report = cx.at(layer, text, format!("sums spread by {spread:.2} around {bias}"));
            cx.found(report.label(flow.span(relu), "gives 0 below 0"));
        }
    }
}

fn selu_misuse(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites_of(&["selu"]) {
        let Some(before) = flow.before(site) else { continue };
        let lecun =
            matches!(flow.op(before).attrs.get("init"), Attr::Init(Init::KaimingNormal(gain, false)) if *gain == 1.0);
        let behind = flow.after(site).iter().find_map(|reader| match reader {
            super::Reader::Op(next, 0) if flow.drops(*next).is_some() => Some(*next),
            _ => None,
        });
        let (other, label) = match behind {
            Some(dropout) => (dropout, "changes mean and variance"),
            None if flow.is(before, &["batchnorm"]) => (before, "norms already"),
            None if flow.is(before, LAYERS) && !lecun => (before, "begins with other weights than LeCun's"),
            None => continue,
        };
        let report = cx.at(site, "`selu` does not norm itself here", "keeps mean 0 and variance 1 only on its terms");
        cx.found(report.label(flow.span(other), label));
    }
}
