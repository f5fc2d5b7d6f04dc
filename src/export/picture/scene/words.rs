//! What stands in the boxes: the user's names, what was written, how many parameters.

use super::{Node, What};
use crate::export::summary::grouped;
use crate::ir::attr::Attr;
use crate::ir::graph::shown_given;
use crate::ir::op::Role;
use crate::ir::params;
use crate::ir::shape::Shapes;
use crate::ir::structured::{
    Item, OpItem, Part, Region, RepeatId, RepeatItem, Run, ScopeItem, ScopeKind, Structured, ValueId, show_path,
};
use indexmap::{IndexMap, IndexSet};

/// A type longer than this is cut; the tip says all.
const LONGEST: usize = 60;

pub(super) struct Words<'m> {
    model: &'m Structured,
    shapes: Shapes,
    /// Parameters that have been counted, with the run that they belong to.
    seen: IndexSet<String>,
    firsts: IndexMap<RepeatId, u64>,
    /// Values whose type is news.
    labelled: IndexSet<ValueId>,
}

impl<'m> Words<'m> {
    pub fn new(model: &'m Structured) -> Words<'m> {
        let (seen, firsts, labelled) = (IndexSet::new(), IndexMap::new(), IndexSet::new());
        Words { model, shapes: model.shapes.clone(), seen, firsts, labelled }
    }

    pub fn begin_run(&mut self, repeat: RepeatId, first: u64) {
        self.firsts.insert(repeat, first);
    }

    /// `f32[batch, 784]`.
    pub fn typed(&self, value: ValueId) -> String {
        self.model.shapes.show(self.model.values[value.0 as usize].ty)
    }

    pub fn same_type(&self, a: ValueId, b: ValueId) -> bool {
        self.model.values[a.0 as usize].ty == self.model.values[b.0 as usize].ty
    }

    pub fn labelled(&mut self, value: ValueId, news: bool) {
        if news {
            self.labelled.insert(value);
        } else {
            self.labelled.swap_remove(&value);
        }
    }

    /// The type of a value, if it is news; floats without their word.
    pub fn label(&self, value: ValueId) -> String {
        if !self.labelled.contains(&value) {
            return String::new();
        }
        let ty = self.model.values[value.0 as usize].ty;
        let word = if ty.dtype.is_float() { "" } else { ty.dtype.word() };
        let shown = format!("{word}{}", self.model.shapes.show_dims(self.model.shapes.dims(ty)));
        cut(&shown)
    }

    /// The box of an operator, and its tip.
    pub fn op(&mut self, op: &OpItem) -> (What, String) {
        let written = self.written(op);
        let out = op.outs.first().map(|&value| self.typed(value)).unwrap_or_default();
        let path = show_path(&op.application);
        let tip = format!("{path}: {written} -> {out}");
        let spoken = op.word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let joins = op.operands.iter().flatten().count() == 2;
        // The sum of a residual has no word of its own.
        let sum = op.word == "residual";
        if joins && (sum || !spoken) {
            let alpha = op.attrs.float("alpha").filter(|alpha| *alpha != 1.0);
            let aside = alpha.map(|alpha| format!("skip × {alpha:.3}")).unwrap_or_default();
            let sign = if sum { "+".into() } else { op.word.clone() };
            return (What::Sign { sign, aside }, tip);
        }
        let (count, learned) = self.count(op);
        let name = name_of(op);
        let by_mode = op.op.acts_by_mode(&op.attrs);
        (What::Node(Node { name, text: written, count, learned, by_mode }), tip)
    }

    /// `linear(256)`: the operator's word and what was not left to defaults.
    fn written(&self, op: &OpItem) -> String {
        let word = if op.op.is_public() { op.op.name } else { &op.word };
        let layer = op.attrs.values().iter().find_map(|value| match value {
            Attr::Layer(layer) => self.model.layers.get(layer.index as usize),
            _ => None,
        });
        let given = match layer {
            // What is borrowed from a layer is said by its name.
            Some(layer) => show_path(&layer.path),
            None => shown_given(&op.attrs, &self.shapes).join(", "),
        };
        // A number stands beside its sign.
        let number = op.attrs.number_beside().filter(|_| !op.word.starts_with(char::is_alphabetic));
        match number {
            Some((number, true)) => format!("{} {} x", short(number), op.word),
            Some((number, false)) => format!("x {} {}", op.word, short(number)),
            None if given.is_empty() => word.to_string(),
            None => cut(&format!("{word}({given})")),
        }
    }

    /// `2,362,368`, or `shared` where all are counted elsewhere.
    fn count(&mut self, op: &OpItem) -> (String, bool) {
        match self.count_of(op) {
            None => (String::new(), false),
            Some(sum) => (sum.map_or_else(|| "shared".into(), grouped), true),
        }
    }

    /// The parameters of a use, if it has any: how many that are not counted elsewhere.
    fn count_of(&mut self, op: &OpItem) -> Option<Option<u64>> {
        let ty = |value: &ValueId| self.model.values[value.0 as usize].ty;
        let ins: Vec<_> = op.operands.iter().map(|value| value.as_ref().map(ty)).collect();
        let defs = params::defs(op, &op.attrs, &ins, &mut self.shapes);
        let learned: Vec<_> = defs.iter().filter(|def| def.role != Role::State).collect();
        if learned.is_empty() {
            return None;
        }
        let place = self.place(&op.path);
        let mut sum = None;
        for def in learned {
            if self.seen.insert(format!("{place}.{}", def.name)) {
                let sizes = def.dims.iter().map(|&dim| self.shapes.dims.as_const(dim).unwrap_or(0) as u64);
                let sizes: u64 = sizes.fold(1, u64::saturating_mul);
                sum = Some(sum.unwrap_or(0u64).saturating_add(sizes));
            }
        }
        Some(sum)
    }

    fn place(&self, path: &[Part]) -> String {
        let parts = path.iter().map(|part| match part {
            Part::Name(name) => name.clone(),
            Part::Copy(id) => self.firsts.get(id).map_or_else(String::new, u64::to_string),
        });
        parts.collect::<Vec<_>>().join(".")
    }

    /// The box for runs that have no frame of their own, and its tip.
    pub fn more(&mut self, repeat: &RepeatItem, runs: &[Run]) -> (Node, String) {
        let copies: u64 = runs.iter().map(|run| run.count).sum();
        let mut sum = 0u64;
        for run in runs {
            self.begin_run(repeat.id, run.first);
            sum = sum.saturating_add(self.sum(&run.region).saturating_mul(run.count));
        }
        let first = runs.first().map_or(0, |run| run.first);
        let text = format!("{copies} more copies");
        let tip = format!("{} [{first}..{}), alike but for their sizes", repeat.label, first + copies);
        let count = if sum == 0 { String::new() } else { grouped(sum) };
        (Node { name: "⋮".into(), text, learned: sum > 0, count, by_mode: false }, tip)
    }

    /// The parameters of a region that are not counted elsewhere.
    fn sum(&mut self, region: &Region) -> u64 {
        region.items.iter().fold(0, |sum, item| {
            let own = match item {
                Item::Op(op) => self.count_of(op).flatten().unwrap_or(0),
                Item::Scope(scope) => self.sum(&scope.region),
                Item::Repeat(repeat) => repeat.runs.iter().fold(0u64, |sum, run| {
                    self.begin_run(repeat.id, run.first);
                    sum.saturating_add(self.sum(&run.region).saturating_mul(run.count))
                }),
            };
            sum.saturating_add(own)
        })
    }

    /// The words of a run: `h`, `repeat depth`, `[1..6)`; `c = 128` of a for.
    pub fn run(&self, repeat: &RepeatItem, run: &Run) -> Vec<String> {
        let name = last(&repeat.path).filter(|name| !is_counted(name, "repeat") && !is_counted(name, "for"));
        let mut head = if repeat.is_for { format!("for {}", run.shown) } else { repeat.label.clone() };
        if repeat.shared && !head.ends_with("shared") {
            head.push_str(" shared");
        }
        let mut lines: Vec<String> = name.map(String::from).into_iter().chain([head]).collect();
        if !repeat.is_for && repeat.runs.len() > 1 {
            let end = run.first + run.count;
            lines.push(if run.count == 1 { format!("[{}]", run.first) } else { format!("[{}..{end})", run.first) });
        }
        lines
    }

    /// The words of a group: `attn`, `residual pre layernorm`; `ffn(d = 256)`; `img`.
    pub fn scope(&self, scope: &ScopeItem, outer: &[Part]) -> Vec<String> {
        let own = last(&scope.path).filter(|_| scope.path.len() > outer.len());
        let word: String = scope.label.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match own {
            Some(name) if scope.kind == ScopeKind::Flow => vec![name.to_string()],
            Some(name) if !is_counted(name, &word) => vec![name.to_string(), scope.label.clone()],
            _ => vec![scope.label.clone()],
        }
    }
}

/// The name that the user gave a stage; empty for a word that was only counted (`conv_2`).
fn name_of(op: &OpItem) -> String {
    let own = last(&op.path).unwrap_or("");
    // A declared layer is called by its name; a residual's norm is `norm`, which says nothing beside `layernorm`.
    let called = own == op.word && op.word != op.op.name;
    let given = called || !is_counted(own, &op.word) && !is_counted(own, op.op.name) && !is_counted(own, "norm");
    if given && !own.is_empty() && op.op.is_public() { own.to_string() } else { String::new() }
}

fn last(path: &[Part]) -> Option<&str> {
    match path.last() {
        Some(Part::Name(name)) => Some(name.rsplit('.').next().unwrap_or(name)),
        Some(Part::Copy(_)) | None => None,
    }
}

/// Whether a name is the word, or the word and its number.
fn is_counted(name: &str, word: &str) -> bool {
    match name.strip_prefix(word) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('_').is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit())),
        None => false,
    }
}

/// A number, with four digits behind the point at most.
fn short(number: f64) -> String {
    let whole = number.to_string();
    if whole.len() <= 8 { whole } else { format!("{number:.4}").trim_end_matches('0').into() }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.into();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}
