//! Stacks of residuals, and where their norms stand.

use super::kinds::HEADS;
use super::{Check, Cx, Flow, Lint, Reader, Site, follow};
use crate::ir::structured::{Item, OpItem, Region};
use crate::text::Span;
use std::collections::{BTreeMap, HashMap};

lints! { LINTS;

/// A stack of `residual pre` reaches the head, or the model's end, without a norm in between.
///
/// In `pre` placement only the branches are normed; the stream itself is a sum that grows with every sublayer (its standard
/// deviation is about 2 after 12 sublayers and 4.7 after 96, at width 64). GPT-2 added a norm behind the last block for
/// that reason, and all that followed kept it.
MISSING_FINAL_NORM = Lint {
    code: "lint::missing_final_norm",
    why: "with `pre` only the branches are normed: the stream grows with every sublayer, and a norm belongs behind the last",
    source: "Radford et al. 2019, section 2.3",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  repeat 4 {
    residual pre layernorm { linear(32); gelu; linear(16) }
  }
  linear(3)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  repeat 4 {
    residual pre layernorm { linear(32); gelu; linear(16) }
  }
  layernorm
  linear(3)
}
",
    check: Check::Flow(missing_final_norm),
    ..Lint::DEFAULT
};

/// A deep stack of `residual post` is trained without warm-up.
///
/// From about ten layers on the first updates of a post-norm stack are too large for it. Warm-up, `pre` or `deep` are the
/// known ways out. Its gradients do not vanish at the start: the size of the updates is the trouble.
POST_NORM_DEEP = Lint {
    code: "lint::post_norm_deep",
    why: "a deep post-norm stack is unstable under large first updates: warm up (`schedule warmup(4000) |> …`), or use `pre` or `deep`",
    source: "Xiong et al. 2020, 2002.04745; Takase et al. 2022, 2206.00330",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  repeat 24 {
    residual post layernorm { linear(32); gelu; linear(16) }
  }
  linear(3)
}
train m {
  target y: i64[batch]
  loss   cross_entropy
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  repeat 24 {
    residual post layernorm { linear(32); gelu; linear(16) }
  }
  linear(3)
}
train m {
  target   y: i64[batch]
  loss     cross_entropy
  schedule warmup(1000) |> cosine(20000)
}
",
    check: Check::Flow(post_norm_deep),
    ..Lint::DEFAULT
};

/// The constants of a deep norm are not those of its stack.
///
/// For a stream of S sublayers the paper has alpha = S^(1/4) and beta = (4 S)^(-1/4); `residual deep` derives both. Ones
/// that are written stay when the depth changes. It looks only where all deep residuals lie in one row.
DEEP_COEFFICIENTS = Lint {
    code: "lint::deep_coefficients",
    why: "alpha = S^(1/4) and beta = (4 S)^(-1/4) for a stream of S sublayers; `deep` alone derives both",
    source: "Wang et al. 2022, 2203.00555",
    fires: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  repeat 24 {
    residual deep(alpha = 0.9) layernorm { linear(32); gelu; linear(16) }
  }
  linear(3)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 16]) -> f32[batch, 3] {
  repeat 24 {
    residual deep(alpha = 2.2134) layernorm { linear(32); gelu; linear(16) }
  }
  linear(3)
}
",
    check: Check::Flow(deep_coefficients),
    ..Lint::DEFAULT
};

}

/// A given constant may be rounded by so much.
const ROUNDED: f64 = 0.05;

/// So many sublayers are deep.
const DEEP: u64 = 20;
/// Schedules that begin below their rate.
const WARM: &[&str] = &["warmup", "one_cycle", "noam", "cyclic"];

/// Residuals in a row along a stream, and the last of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Row {
    count: u64,
    last: Option<Site>,
}

impl Row {
    fn and(self, site: Site) -> Row {
        Row { count: self.count + 1, last: Some(site) }
    }

    /// After `more` further copies, each of which adds what the last one added.
    fn grown(one: &Row, two: &Row, more: u64) -> Row {
        let step = two.count.saturating_sub(one.count);
        Row { count: two.count.saturating_add(step.saturating_mul(more)), last: two.last }
    }
}

fn longer(a: Row, b: Row) -> Row {
    if b.count > a.count { b } else { a }
}

/// The first stage of a region.
fn first(region: &Region) -> Option<&OpItem> {
    region.items.iter().find_map(|item| match item {
        Item::Op(op) => Some(op),
        Item::Scope(scope) => first(&scope.region),
        Item::Repeat(repeat) => repeat.runs.first().and_then(|run| first(&run.region)),
    })
}

/// Where the norm of a residual stands, by what the graph does, whichever way it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Placement {
    Plain,
    Pre,
    Post,
    Deep,
}

/// The placement of the residual that a sum closes.
fn placement(flow: &Flow<'_>, sum: Site) -> Option<Placement> {
    if !flow.is(sum, &["residual.add"]) {
        return None;
    }
    if flow.op(sum).attrs.float("alpha").is_some_and(|alpha| alpha != 1.0) {
        return Some(Placement::Deep);
    }
    let branch = flow.scope(sum).and_then(|scope| first(&scope.region));
    if branch.is_some_and(|op| crate::ops::family(op.op).starts_with("Normalisation")) {
        return Some(Placement::Pre);
    }
    Some(match flow.after(sum).as_slice() {
        [Reader::Op(next, 0)] if flow.is_norm(*next) => Placement::Post,
        _ => Placement::Plain,
    })
}

/// So many stages may stand between a head and what it is an answer to.
const BEHIND_A_HEAD: usize = 8;

/// Whether what a site makes ends as an output (or in the loss), through nothing that is normed or learned. What is
/// `known` of a site and the steps left is not worked out again.
fn ends(flow: &Flow<'_>, site: Site, steps: usize, known: &mut HashMap<(Site, usize), bool>) -> bool {
    if let Some(&known) = known.get(&(site, steps)) {
        return known;
    }
    let readers = flow.after(site);
    let mut end = |reader: &Reader| match *reader {
        Reader::Output => true,
        Reader::Op(next, _) if flow.in_loss(next) => true,
        Reader::Op(next, _) => {
            let lets = flow.is_plain(next) || flow.is_activation(next) || flow.is(next, &["softmax", "log_softmax"]);
            lets && steps > 0 && ends(flow, next, steps - 1, known)
        }
    };
    let all = !readers.is_empty() && readers.iter().all(&mut end);
    known.insert((site, steps), all);
    all
}

fn missing_final_norm(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    let mut heads: BTreeMap<Site, Row> = BTreeMap::new();
    let known = follow(
        flow,
        |site, known| match placement(flow, site) {
            Some(Placement::Pre) => known.operand(0).and(site),
            Some(Placement::Plain) => known.operand(0),
            Some(Placement::Post | Placement::Deep) => Row::default(),
            None if flow.is(site, HEADS) => {
                heads.insert(site, known.operand(0));
                Row::default()
            }
            None if flow.is_plain(site) || flow.pools(site) => known.operand(0),
            None => Row::default(),
        },
        Row::grown,
    );
    let mut found = HashMap::new();
    for (head, row) in heads {
        if row.count >= 2 && ends(flow, head, BEHIND_A_HEAD, &mut found) {
            report_final_norm(cx, row, Some(head));
        }
    }
    for output in &flow.model.outputs {
        let row = known[output.value.0 as usize];
        if row.count >= 2 {
            report_final_norm(cx, row, None);
        }
    }
}

fn report_final_norm(cx: &mut Cx<'_>, row: Row, head: Option<Site>) {
    let Some(last) = row.last else { return };
    let flow = cx.flow;
    let stack = format!("the last of {} residuals with `pre`", row.count);
    let report = match head {
        Some(head) => {
            let text = "no norm between a stack of `residual pre` and the head";
            cx.at(head, text, "reads the stream as it is").label(flow.span(last), stack)
        }
        None => cx.at(last, "no norm behind a stack of `residual pre`", format!("{stack}: the model ends with it")),
    };
    let norm = flow.scope(last).and_then(|scope| first(&scope.region)).map(|op| op.op.name);
    let report = match head.zip(norm) {
        Some((head, norm)) => cx.line_before(report, head, norm),
        None => report,
    };
    cx.found(report);
}

fn post_norm_deep(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    let Some(training) = cx.training() else { return };
    if training.schedule.iter().any(|call| WARM.contains(&call.name.as_str())) {
        return;
    }
    let known = follow(
        flow,
        |site, known| match placement(flow, site) {
            Some(Placement::Post) => longer(known.operand(0), known.operand(1)).and(site),
            Some(_) => longer(known.operand(0), known.operand(1)),
            // What is only an operand is another stream.
            None => known.operand(0),
        },
        Row::grown,
    );
    let Some(row) = known.into_iter().max_by_key(|row| row.count).filter(|row| row.count >= DEEP) else { return };
    let Some(last) = row.last else { return };
    let text = format!("{} sublayers with `post` in a row, and the training begins at its full rate", row.count);
    let report = cx.at(last, text, "the last of them");
    let start = training.schedule.first().map_or(training.span, |call| call.span);
    let start = Span { end: start.end.min(start.start + cx.first_line(start)), ..start };
    cx.found(report.label(start, "no warm-up"));
}

fn deep_coefficients(cx: &mut Cx<'_>) {
    let flow = cx.flow;
    let deep: Vec<Site> = flow.sites().filter(|&site| placement(flow, site) == Some(Placement::Deep)).collect();
    let all: u64 = deep.iter().map(|&site| flow.copies(site)).fold(0, u64::saturating_add);
    let known = follow(
        flow,
        |site, known| match placement(flow, site) {
            Some(Placement::Deep) => longer(known.operand(0), known.operand(1)).and(site),
            Some(_) => longer(known.operand(0), known.operand(1)),
            None => known.operand(0),
        },
        Row::grown,
    );
    if known.iter().map(|row| row.count).max() != Some(all) {
        return;
    }
    let alpha = (all as f64).sqrt().sqrt();
    let beta = 1.0 / (4.0 * all as f64).sqrt().sqrt();
    for site in deep {
        let head = cx.written(flow.span(site));
        let given = [
            ("alpha", flow.op(site).attrs.float("alpha"), alpha),
            ("beta", flow.scope(site).and_then(|scope| gain(&scope.region)), beta),
        ];
        let wrong = given.into_iter().find_map(|(name, value, wanted)| {
            let value = value.filter(|_| head.contains(name))?;
            ((value - wanted).abs() > ROUNDED * wanted).then_some((name, value, wanted))
        });
        if let Some((name, value, wanted)) = wrong {
            let text = format!("`{name} = {value}` is given, and a stack of {all} sublayers asks for {wanted:.3}");
            let report = cx.at(site, text, format!("of {all} sublayers in a row"));
            cx.found(cx.without_arguments(report, site, "deep"));
        }
    }
}

/// The initial gain of the first layer of a branch that has one.
fn gain(region: &Region) -> Option<f64> {
    region.items.iter().find_map(|item| match item {
        Item::Op(op) => op.gain,
        Item::Scope(scope) => gain(&scope.region),
        Item::Repeat(repeat) => repeat.runs.first().and_then(|run| gain(&run.region)),
    })
}
