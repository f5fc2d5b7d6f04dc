//! What is written and does nothing.

use super::report::Subject;
use super::{Check, Flow, Lint, Maker, Site};
use crate::diagnostic::Diagnostic;
use crate::ir::op::Gradient;
use crate::ir::params;
use crate::ir::shape::Shapes;
use crate::ir::structured::{Item, Region, Structured, ValueId, show_path};
use crate::ir::training::Training;
use crate::syntax::ast::{Block, Entry};
use crate::syntax::lex::{Kind, Token, lex};
use crate::text::Span;
use std::collections::{HashMap, HashSet};

lints! { LINTS;

/// Something is written and never used.
///
/// A hyperparameter that no expression reads, a block that nobody calls (in a file with a model), an input that nothing
/// reads, a value that was computed for nothing, a layer that the loss does not depend on. A name that begins with `_` is
/// meant to be idle.
UNUSED = Lint {
    code: "lint::unused",
    why: "what is never used cannot matter: take it out, or begin its name with `_`",
    fires: "dim batch
model m(d = 32, depth = 4) : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(d)
  relu
  linear(3)
}
",
    quiet: "dim batch
model m(d = 32, _depth = 4) : (x: f32[batch, 16]) -> f32[batch, 3] {
  linear(d)
  relu
  linear(3)
}
",
    check: Check::File(unused),
    ..Lint::DEFAULT
};

}

fn unused(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let mut found = names(subject);
    for model in subject.models {
        let trainings: Vec<&Training> = subject.trainings.iter().filter(|t| t.model.name == model.name).collect();
        let flows: Vec<Flow<'_>> = match trainings.is_empty() {
            true => vec![Flow::of_model(model)],
            false => trainings.iter().map(|training| Flow::of_training(training)).collect(),
        };
        found.extend(inputs(model, &flows));
        let dead = in_all(&flows, dead);
        let none = dead.is_empty();
        found.extend(dead.into_iter().map(|(span, (word, path))| Diagnostic {
            path,
            ..UNUSED.report(span, format!("`{word}` is computed and never used"), "nobody reads it")
        }));
        if none && !trainings.is_empty() {
            found.extend(without_gradient(&flows));
        }
    }
    found
}

// Names ------------------------------------------------------------------------------------------------------------

/// Hyperparameters and blocks, by the words of the text: no other place says the name.
fn names(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let (Some(source), Some(file)) = (subject.sources.0.first(), subject.files.first()) else { return vec![] };
    let tokens: Vec<Token> = lex(&source.text).into_iter().filter(|token| reads(token.kind)).collect();
    let words = Words::of(&source.text, &tokens);
    let trains: Vec<Span> =
        file.entries.iter().filter_map(|e| if let Entry::Train(t) = e { Some(t.span) } else { None }).collect();
    let has_model = file.entries.iter().any(|entry| matches!(entry, Entry::Model(_)));
    let mut found = vec![];
    for entry in &file.entries {
        let (block, is_model) = match entry {
            Entry::Block(block) => (block, false),
            Entry::Model(block) => (block, true),
            Entry::Dim(..) | Entry::Use(..) | Entry::Train(_) => continue,
        };
        let outside = if is_model { &trains[..] } else { &[] };
        found.extend(hyperparameters(block, outside, &words));
        let name = &block.name;
        if !is_model && has_model && !idle(&name.text) && words.all(&name.text).all(|at| inside(block.span, at)) {
            let text = format!("nobody calls the block `{}`", name.text);
            found.push(UNUSED.report(name.span, text, "never called"));
        }
    }
    found
}

fn hyperparameters(block: &Block, outside: &[Span], words: &Words<'_>) -> Vec<Diagnostic> {
    let used = |name: &str, own: u32| {
        let spans = std::iter::once(&block.span).chain(outside);
        spans.flat_map(|&span| words.read_in(name, span)).any(|at| at != own)
    };
    let idle =
        block.params.iter().filter(|param| !idle(&param.name.text) && !used(&param.name.text, param.name.span.start));
    let report = |param: &crate::syntax::ast::Param| {
        let text = format!("nothing depends on the hyperparameter `{}` of `{}`", param.name.text, block.name.text);
        UNUSED.report(param.name.span, text, "never read")
    };
    idle.map(report).collect()
}

fn idle(name: &str) -> bool {
    name.starts_with('_')
}

fn inside(span: Span, at: u32) -> bool {
    span.start <= at && at < span.end
}

/// What stands between words matters; white space and comments do not.
fn reads(kind: Kind) -> bool {
    !matches!(kind, Kind::Newline | Kind::Comment | Kind::HashComment | Kind::BlockComment)
}

/// The places of each word of a text.
struct Words<'t> {
    /// The place, and whether a `=` follows: then it is given a value there, not read.
    places: HashMap<&'t str, Vec<(u32, bool)>>,
}

impl<'t> Words<'t> {
    fn of(text: &'t str, tokens: &[Token]) -> Words<'t> {
        let mut places: HashMap<&str, Vec<(u32, bool)>> = HashMap::new();
        for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Word) {
            let given = tokens.get(at + 1).is_some_and(|next| next.text(text) == "=");
            places.entry(token.text(text)).or_default().push((token.start as u32, given));
        }
        Words { places }
    }

    /// All places of a word.
    fn all(&self, word: &str) -> impl Iterator<Item = u32> {
        self.places.get(word).into_iter().flatten().map(|(at, _)| *at)
    }

    /// The places within a span where it is read.
    fn read_in(&self, word: &str, span: Span) -> impl Iterator<Item = u32> {
        let places = self.places.get(word).map_or(&[][..], Vec::as_slice);
        let places = &places[places.partition_point(|(at, _)| *at < span.start)..];
        places.iter().take_while(move |(at, _)| *at < span.end).filter(|(_, given)| !given).map(|(at, _)| *at)
    }
}

// Values -----------------------------------------------------------------------------------------------------------

/// Inputs that neither the model nor any loss or metric reads.
fn inputs(model: &Structured, flows: &[Flow<'_>]) -> Vec<Diagnostic> {
    let mut found = vec![];
    for (index, port) in model.inputs.iter().enumerate() {
        let name = port.name.as_deref().unwrap_or("the input");
        let read = |flow: &Flow<'_>| {
            let value = flow.model.inputs[index].value;
            let metrics = flow.training.map_or(&[][..], |training| &training.metrics);
            !flow.readers(value).is_empty() || metrics.iter().any(|(_, tail)| holds(&tail.region, value))
        };
        if !idle(name) && !flows.iter().any(read) {
            found.push(UNUSED.report(port.span, format!("nothing reads the input `{name}`"), "never read"));
        }
    }
    found
}

fn holds(region: &Region, value: ValueId) -> bool {
    region.items.iter().any(|item| match item {
        Item::Op(op) => op.operands.contains(&Some(value)),
        Item::Scope(scope) => holds(&scope.region, value),
        Item::Repeat(repeat) => repeat.ins.contains(&value) || repeat.runs.iter().any(|run| holds(&run.region, value)),
    })
}

/// What stands at a place and is idle: how it is called, and its `where:` line.
type Idle = (String, Option<String>);

/// What is idle in every flow, by place.
fn in_all(flows: &[Flow<'_>], look: impl Fn(&Flow<'_>) -> Vec<(Span, Idle)>) -> Vec<(Span, Idle)> {
    let Some((first, rest)) = flows.split_first() else { return vec![] };
    let mut found = look(first);
    for flow in rest {
        let also: HashSet<Span> = look(flow).into_iter().map(|(span, _)| span).collect();
        found.retain(|(span, _)| also.contains(span));
    }
    found
}

/// Stages whose results nobody reads.
fn dead(flow: &Flow<'_>) -> Vec<(Span, Idle)> {
    let unread = |&site: &Site| {
        let op = flow.op(site);
        !flow.in_loss(site) && !op.outs.is_empty() && op.outs.iter().all(|&out| flow.readers(out).is_empty())
    };
    let named = |site: Site| {
        let op = flow.op(site);
        let name = op.outs.iter().find_map(|out| flow.model.values[out.0 as usize].name.clone());
        let word = name.unwrap_or_else(|| op.word.clone());
        (!idle(&word)).then(|| (op.span, (word, flow.path(site))))
    };
    flow.sites().filter(unread).filter_map(named).collect()
}

/// Layers that no loss depends on.
fn without_gradient(flows: &[Flow<'_>]) -> Vec<Diagnostic> {
    let left = in_all(flows, |flow| {
        let (reached, mut shapes) = (reached(flow), flow.model.shapes.clone());
        let mut learned = |site: &Site| learns(flow, *site, &mut shapes);
        let unreached = flow.sites().filter(|site| !reached.contains(site)).filter(|site| learned(site));
        unreached.map(|site| (flow.span(site), (flow.op(site).word.clone(), flow.path(site)))).collect()
    });
    let Some((span, (word, path))) = left.first().cloned() else { return vec![] };
    let text = format!("the loss does not depend on this `{word}`: it is never trained");
    let mut report = Diagnostic { path, ..UNUSED.report(span, text, "gets no gradient") };
    report.notes = vec!["a pattern after `freeze` says that it is meant".into()];
    let others = left.iter().map(|(span, _)| *span).collect::<HashSet<Span>>().len() - 1;
    vec![match others {
        0 => report,
        1 => report.note("and one other layer".to_string()),
        n => report.note(format!("and {n} other layers")),
    }]
}

/// Whether a site owns parameters that are to be learned.
fn learns(flow: &Flow<'_>, site: Site, shapes: &mut Shapes) -> bool {
    let op = flow.op(site);
    let ins: Vec<_> = op.operands.iter().map(|v| v.map(|v| flow.model.values[v.0 as usize].ty)).collect();
    let path = show_path(&op.path);
    let frozen = |pattern: &String| params::matches(pattern, &format!("{path}.weight"));
    let freeze = flow.training.map_or(&[][..], |training| &training.freeze);
    !flow.in_loss(site) && !freeze.iter().any(frozen) && !params::defs(op, &op.attrs, &ins, shapes).is_empty()
}

/// The sites that a gradient of the loss reaches.
fn reached(flow: &Flow<'_>) -> HashSet<Site> {
    let (mut seen, mut open) = (HashSet::new(), vec![]);
    open.extend(flow.training.map(|training| training.loss.result));
    while let Some(value) = open.pop() {
        for maker in flow.makers(value) {
            let Maker::Op(site) = maker else { continue };
            if seen.insert(site) && !matches!(flow.op(site).op.gradient, Gradient::Zero) {
                open.extend(flow.op(site).operands.iter().flatten());
            }
        }
    }
    seen
}
