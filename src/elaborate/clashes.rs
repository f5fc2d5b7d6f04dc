//! One parameter a path: what two written names, or two uses of a layer, would put in the same place of a checkpoint.

use super::Elab;
use super::path::{Clash, Resolved};
use crate::diagnostic::Diagnostic;
use crate::ir::params;
use crate::ir::shape::Type;
use crate::ir::structured::{Item, OpItem, Part, Region, Structured, show_path};
use crate::text::Span;
use indexmap::IndexMap;

/// Who has a path.
struct Owner {
    /// The stage.
    span: Span,
    /// Its sizes, as shown.
    dims: String,
    /// It stands in a declared layer or a shared copy: other uses have the same path.
    shared: bool,
}

/// The copies around a stage, each run from its first to one past its last, and where the stage stands.
type Copied = (Vec<(u64, u64)>, Span);

/// The walk over a model whose paths are still placeholders.
struct Walk<'m> {
    model: &'m Structured,
    resolved: &'m Resolved,
    shapes: crate::ir::shape::Shapes,
    /// The first copy of each run around the stage.
    runs: Vec<u64>,
    /// The copies of each run around the stage: the first, and one past the last.
    ranges: Vec<(u64, u64)>,
    /// Parameters of copies, `h.*.linear.weight`, with the copies that each `*` stands for.
    copies: IndexMap<String, Vec<Copied>>,
    /// Parameters outside of copies in whose path a number stands: `path = "h.0.linear"`.
    numbered: IndexMap<String, Span>,
    /// The uses of declared layers around the stage: their path and place.
    uses: Vec<(String, Span)>,
    owners: IndexMap<(String, Vec<u64>), Owner>,
    found: Vec<Diagnostic>,
}

impl Elab<'_> {
    /// Reports parameters of equal paths. The paths of the graph are not filled in yet.
    pub(super) fn check_clashes(&mut self, made: &Structured, resolved: &Resolved, written: Vec<Clash>) {
        for clash in written {
            self.report_clash(path_twice(&clash.path, clash.first, clash.second));
        }
        let shapes = made.shapes.clone();
        let mut walk = Walk {
            model: made,
            resolved,
            shapes,
            runs: vec![],
            ranges: vec![],
            copies: IndexMap::new(),
            numbered: IndexMap::new(),
            uses: vec![],
            owners: IndexMap::new(),
            found: vec![],
        };
        walk.region(&made.body);
        walk.meet_copies();
        for report in walk.found {
            self.report_clash(report);
        }
    }

    fn report_clash(&mut self, report: Diagnostic) {
        if !self.reported_at(report.labels[0].span) {
            self.report(report);
        }
    }
}

impl Walk<'_> {
    fn region(&mut self, region: &Region) {
        for item in &region.items {
            match item {
                Item::Op(op) => self.op(op),
                Item::Scope(scope) => {
                    let layer = self.resolved.layer(&scope.path).map(|path| show_path(&path));
                    let depth = self.uses.len();
                    self.uses.extend(layer.map(|path| (path, scope.span)));
                    self.region(&scope.region);
                    self.uses.truncate(depth);
                }
                Item::Repeat(repeat) => {
                    for run in &repeat.runs {
                        self.runs.push(run.first);
                        self.ranges.push((run.first, run.first.saturating_add(run.count)));
                        self.region(&run.region);
                        self.ranges.pop();
                        self.runs.pop();
                    }
                }
            }
        }
    }

    fn op(&mut self, op: &OpItem) {
        let Some((path, shared)) = self.resolved.owner(&op.path) else { return };
        let ins: Vec<Option<Type>> =
            op.operands.iter().map(|value| value.map(|value| self.model.values[value.0 as usize].ty)).collect();
        let copied = path.iter().any(|part| matches!(part, Part::Copy(_)));
        let shown = show_path(&path);
        for def in params::defs(op, &op.attrs, &ins, &mut self.shapes) {
            let name = [shown.as_str(), def.name.as_str()].into_iter().filter(|part| !part.is_empty());
            let name = name.collect::<Vec<_>>().join(".");
            let key = (name.clone(), if copied { self.runs.clone() } else { vec![] });
            let span = self.uses.last().map_or(op.span, |(_, span)| *span);
            if copied {
                let ranges = (self.ranges.clone(), span);
                self.copies.entry(name.clone()).or_default().push(ranges);
            } else if name.split('.').any(|part| part.parse::<u64>().is_ok()) {
                self.numbered.entry(name.clone()).or_insert(span);
            }
            let owner = Owner { span, dims: self.shapes.show_dims(&def.dims), shared };
            match self.owners.get(&key) {
                None => {
                    self.owners.insert(key, owner);
                }
                Some(first) if first.shared && shared && first.dims == owner.dims => {}
                Some(first) if first.shared && shared => {
                    let layer = self.uses.last().map_or("", |(path, _)| path.as_str());
                    let inner = name.strip_prefix(layer).unwrap_or(&name).trim_start_matches('.');
                    let (old, new) = (&first.dims, &owner.dims);
                    let text =
                        format!("the layer `{layer}` was made for another input: its `{inner}` is {old}, here {new}");
                    let label = "another input than at its first use";
                    let report = Diagnostic::error("type::layer_input", text, span, label);
                    self.found.push(report.label(first.span, "made here"));
                    return;
                }
                Some(first) => {
                    self.found.push(path_twice(&name, first.span, span));
                    return;
                }
            }
        }
    }
}

impl Walk<'_> {
    /// What has a number in its path may stand where a copy does.
    fn meet_copies(&mut self) {
        for (name, &span) in self.numbered.iter().take(100) {
            let clash = self.copies.iter().find_map(|(pattern, runs)| {
                runs.iter().find(|(ranges, _)| stands_for(pattern, ranges, name)).map(|(_, copy)| *copy)
            });
            if let Some(copy) = clash {
                let (first, second) = if copy < span { (copy, span) } else { (span, copy) };
                let text = format!("two parameters would have the path `{name}`");
                let report = Diagnostic::error("path::twice", text, second, "has it, too").label(first, "has it");
                self.found.push(report.note("a number in a path is that of a copy: give what is no copy another one"));
                return;
            }
        }
    }
}

/// Whether `h.*.linear.weight`, of these copies, has such a path among its own.
fn stands_for(pattern: &str, ranges: &[(u64, u64)], name: &str) -> bool {
    let (theirs, ours): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), name.split('.').collect());
    let stars = theirs.iter().filter(|part| **part == "*").count();
    // A shared repeat around them adds no number.
    let mut ranges = ranges[ranges.len().saturating_sub(stars)..].iter();
    theirs.len() == ours.len()
        && theirs.iter().zip(&ours).all(|(theirs, ours)| match (*theirs, ours.parse::<u64>()) {
            ("*", Ok(copy)) => ranges.next().is_some_and(|&(first, end)| (first..end).contains(&copy)),
            ("*", Err(_)) => false,
            (theirs, _) => theirs == *ours,
        })
}

fn path_twice(path: &str, first: Span, second: Span) -> Diagnostic {
    let text = format!("two parameters would have the path `{path}`");
    let report = Diagnostic::error("path::twice", text, second, "named so again").label(first, "named so first");
    report.note("name the residual, if or parallel that they stand in")
}
