//! One parameter a path: what two written names, or two uses of a layer, would put in the same place of a checkpoint.

use super::Elab;
use super::path::{Clash, Resolved};
use crate::diagnostic::Diagnostic;
use crate::ir::dim::Dim;
use crate::ir::params;
use crate::ir::shape::Type;
use crate::ir::structured::{Item, OpItem, Part, Region, Structured, show_path};
use crate::text::Span;
use indexmap::IndexMap;

/// Who has a path.
struct Owner {
    /// The stage.
    span: Span,
    /// Its sizes.
    dims: Vec<Dim>,
    /// It stands in a declared layer or a shared copy: other uses have the same path.
    shared: bool,
}

/// The walk over a model whose paths are still placeholders.
struct Walk<'m> {
    model: &'m Structured,
    resolved: &'m Resolved,
    shapes: crate::ir::shape::Shapes,
    /// The first copy of each run around the stage.
    runs: Vec<u64>,
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
        let mut walk =
            Walk { model: made, resolved, shapes, runs: vec![], uses: vec![], owners: IndexMap::new(), found: vec![] };
        walk.region(&made.body);
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
                        self.region(&run.region);
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
            let owner = Owner { span, dims: def.dims, shared };
            match self.owners.get(&key) {
                None => {
                    self.owners.insert(key, owner);
                }
                Some(first) if first.shared && shared && first.dims == owner.dims => {}
                Some(first) if first.shared && shared => {
                    let layer = self.uses.last().map_or("", |(path, _)| path.as_str());
                    let inner = name.strip_prefix(layer).unwrap_or(&name).trim_start_matches('.');
                    let (old, new) = (self.shapes.show_dims(&first.dims), self.shapes.show_dims(&owner.dims));
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

fn path_twice(path: &str, first: Span, second: Span) -> Diagnostic {
    let text = format!("two parameters would have the path `{path}`");
    let report = Diagnostic::error("path::twice", text, second, "named so again").label(first, "named so first");
    report.note("name the residual, if or parallel that they stand in")
}
