//! What flows into a loss.

use super::kinds::HEADS;
use super::{Check, Cx, Lint, Maker, Reader, Site};
use crate::diagnostic::{Diagnostic, Severity};

lints! { LINTS;

/// Softmax (or log_softmax, sigmoid) stands before a cross entropy, which has its own.
///
/// With probabilities in the place of logits the loss of a model that is always right is ln(e + C - 1) - 1, not 0, and its
/// gradients are small from the start. For 10 classes the loss can only lie in 1.461 … 2.461. Return logits, and take the
/// softmax where probabilities are wanted.
SOFTMAX_BEFORE_CE = Lint {
    code: "lint::softmax_before_ce",
    why: "cross_entropy takes logits and does its own log_softmax",
    source: "pytorch#55902",
    fires: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)
  softmax
}
train m {
  target y: i64[batch]
  loss   cross_entropy
}
",
    quiet: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)
  log_softmax
}
train m {
  target y: i64[batch]
  loss   nll
}
",
    check: Check::Flow(softmax_before_ce),
    ..Lint::DEFAULT
};

/// The last activation before a cross entropy confines the logits.
///
/// Behind relu no logit is negative, behind tanh none leaves -1 … 1: the classes cannot be told apart as far as the loss
/// asks for. A scaled `30 * tanh(x / 30)`, which caps logits softly, is another thing.
ACT_BEFORE_LOSS = Lint {
    code: "lint::act_before_loss",
    why: "a logit may be any number: large for the right class, very negative for the others",
    fires: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)
  relu
}
train m {
  target y: i64[batch]
  loss   cross_entropy
}
",
    quiet: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)
  it / 30
  tanh
  it * 30
}
train m {
  target y: i64[batch]
  loss   cross_entropy
}
",
    check: Check::Flow(act_before_loss),
    ..Lint::DEFAULT
};

/// `nll` or `kl_div` gets something that is no log-probability.
///
/// `nll` only picks a number and changes its sign: on probabilities the loss is negative, and on logits it has no minimum.
/// `log_softmax` belongs before it, or `cross_entropy` in its place.
NLL_NEEDS_LOG = Lint {
    code: "lint::nll_needs_log",
    severity: Severity::Error,
    why: "of a log-probability the loss is a surprise, at least 0; of anything else it may fall without end",
    fires: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)
}
train m {
  target y: i64[batch]
  loss   nll
}
",
    quiet: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)
  log_softmax
}
train m {
  target y: i64[batch]
  loss   nll
}
",
    check: Check::Flow(nll_needs_log),
    ..Lint::DEFAULT
};

/// A sigmoid stands before a loss that has its own.
///
/// `bce_with_logits` takes logits. Squeezed into 0 … 1 first, none can say less than one half: the probabilities it sees lie
/// in 0.5 … 0.731.
BCE_PAIRING = Lint {
    code: "lint::bce_pairing",
    why: "bce_with_logits takes logits and does its own sigmoid, without its overflow",
    source: "PyTorch, BCEWithLogitsLoss",
    fires: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)
  sigmoid
}
train m {
  target y: f32[batch, 3]
  loss   bce_with_logits
}
",
    quiet: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)
}
train m {
  target y: f32[batch, 3]
  loss   bce_with_logits
}
",
    check: Check::Flow(bce_pairing),
    ..Lint::DEFAULT
};

/// A cross entropy over one class is 0 whatever the model says.
///
/// With two classes and one logit the loss is `bce_with_logits`, or there are two logits.
ONE_CLASS_CE = Lint {
    code: "lint::one_class_ce",
    severity: Severity::Error,
    why: "softmax over one class is 1 and its logarithm 0: nothing is learned",
    fires: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 1] {
  linear(1)
}
train m {
  target y: i64[batch]
  loss   cross_entropy
}
",
    quiet: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 2] {
  linear(2)
}
train m {
  target y: i64[batch]
  loss   cross_entropy
}
",
    check: Check::Flow(one_class_ce),
    ..Lint::DEFAULT
};

/// Dropout behind the last layer: the answers themselves are dropped.
///
/// A dropped logit is 0 in training, which is no answer but enters the loss like one. Dropout belongs before the last
/// layer.
DROPOUT_AT_OUTPUT = Lint {
    code: "lint::dropout_at_output",
    why: "in training a part of the answers is set to 0 and the loss judges them all the same",
    fires: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)
  dropout(0.1)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 4] {
  residual {
    linear(8)
    relu
    linear(4)
    dropout(0.1)
  }
}
",
    check: Check::Flow(dropout_at_output),
    ..Lint::DEFAULT
};

}

/// The stages that make what a loss takes first, seen through views and dropout.
fn judged(cx: &Cx<'_>, loss: Site) -> Vec<Site> {
    let flow = cx.flow;
    let Some(value) = flow.operand(loss, 0) else { return vec![] };
    let makers = flow.makers_through(value, |site| flow.is_plain(site));
    makers.into_iter().filter_map(|maker| if let Maker::Op(site) = maker { Some(site) } else { None }).collect()
}

/// Calls a function with each loss of these names and each stage that feeds it.
fn fed(cx: &mut Cx<'_>, names: &[&str], judge: impl Fn(&Cx<'_>, Site, Site) -> Option<Diagnostic>) {
    for loss in cx.flow.sites_of(names) {
        for maker in judged(cx, loss) {
            if let Some(report) = judge(cx, maker, loss) {
                cx.found(report);
            }
        }
    }
}

fn classes(cx: &Cx<'_>, loss: Site) -> Option<i64> {
    cx.flow.size(*cx.flow.dims_in(loss).get(cx.flow.axis(loss, "axis")?)?)
}

fn softmax_before_ce(cx: &mut Cx<'_>) {
    fed(cx, &["cross_entropy"], |cx, maker, loss| {
        let word = cx.flow.op(maker).op.name;
        let made = match word {
            "softmax" => "makes probabilities",
            "log_softmax" => "makes log-probabilities",
            "sigmoid" => "squeezes each logit into 0 … 1",
            _ => return None,
        };
        let report = cx.at(maker, format!("`{word}` stands before `cross_entropy`, which takes logits"), made);
        let report = report.label(cx.flow.span(loss), "does its own log_softmax");
        let report = match (word, classes(cx, loss)) {
            ("softmax", Some(count)) if count > 1 => {
                let most = crate::kernels::math::f64::ln(std::f64::consts::E + count as f64 - 1.0);
                let (least, most) = (most - 1.0, most);
                report.note(format!("of {count} classes the loss can only lie in {least:.3} … {most:.3}"))
            }
            ("log_softmax", _) => report.note("done twice it changes nothing and costs a pass over the logits"),
            _ => report,
        };
        Some(cx.without(report, maker))
    });
}

fn act_before_loss(cx: &mut Cx<'_>) {
    fed(cx, &["cross_entropy"], |cx, maker, loss| {
        let op = cx.flow.op(maker).op;
        let (low, high) = op.facts.range;
        if op.name == "sigmoid" || !cx.flow.is_activation(maker) || (low.is_infinite() && high.is_infinite()) {
            return None;
        }
        let confined =
            if high.is_infinite() { format!("none below {low}") } else { format!("all in {low} … {high}") };
        let text = format!("`{}` is the last stage before `cross_entropy`, and confines the logits", op.name);
        let report = cx.at(maker, text, confined).label(cx.flow.span(loss), "takes logits");
        Some(cx.without(report, maker))
    });
}

fn nll_needs_log(cx: &mut Cx<'_>) {
    fed(cx, &["nll", "kl_div"], |cx, maker, loss| {
        let flow = cx.flow;
        let taker = flow.op(loss).op.name;
        let word = flow.op(maker).op.name;
        let is = match word {
            "softmax" | "sigmoid" => "probabilities",
            _ if flow.is(maker, HEADS) => "logits",
            _ if flow.is_norm(maker) || flow.is_activation(maker) => "no log-probabilities",
            _ => return None,
        };
        let report =
            cx.at(maker, format!("`{taker}` takes log-probabilities, and `{word}` makes {is}"), format!("makes {is}"));
        let report = report.label(flow.span(loss), "takes log-probabilities");
        Some(match word {
            "softmax" => cx.renamed(report, maker, "log_softmax"),
            _ if is == "logits" && taker == "nll" => cx.renamed(report, loss, "cross_entropy"),
            _ => report,
        })
    });
}

fn bce_pairing(cx: &mut Cx<'_>) {
    fed(cx, &["bce_with_logits"], |cx, maker, loss| {
        let word = cx.flow.op(maker).op.name;
        let made = match word {
            "sigmoid" | "softmax" => "makes probabilities",
            "logsigmoid" | "log_softmax" => "makes log-probabilities",
            _ => return None,
        };
        let report = cx.at(maker, format!("`{word}` stands before `bce_with_logits`, which takes logits"), made);
        let report = report.label(cx.flow.span(loss), "does its own sigmoid");
        Some(cx.without(report, maker))
    });
}

fn one_class_ce(cx: &mut Cx<'_>) {
    for loss in cx.flow.sites_of(&["cross_entropy"]) {
        if classes(cx, loss) != Some(1) {
            continue;
        }
        let report = cx.at(loss, "a cross entropy over one class is always 0", "its class axis has one element");
        let makers = judged(cx, loss);
        let report = match makers.first() {
            Some(&maker) => report.label(cx.flow.span(maker), "makes one logit"),
            None => report,
        };
        cx.found(report.note("of two classes there are two logits, or `bce_with_logits` on one"));
    }
}

fn dropout_at_output(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    for site in flow.sites() {
        let (Some(_), Some(value)) = (flow.drops(site), flow.operand(site, 0)) else { continue };
        let makers = flow.makers_through(value, |site| flow.is_view(site));
        let [Maker::Op(head)] = makers.as_slice() else { continue };
        let out = |reader: &Reader| match reader {
            Reader::Output => true,
            Reader::Op(site, _) => flow.in_loss(*site),
        };
        let readers = flow.after(site);
        if flow.is(*head, HEADS) && readers.contains(&Reader::Output) && readers.iter().all(out) {
            let report = cx.at(site, "dropout stands behind the last layer", "drops the model's own answers");
            let report = report.label(flow.span(*head), "the last layer");
            cx.found(cx.without(report, site));
        }
    }
}
