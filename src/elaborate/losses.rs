//! Targets, loss and metrics: flows over the model's values.

use super::Elab;
use super::chain::Producer;
use super::flow::It;
use super::model::Read;
use super::path::Adds;
use super::scope::{Bound, Meaning};
use super::settings::{SETTINGS, Section, is_target};
use super::value::{Elem, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::attr::{Attr, Attrs};
use crate::ir::structured::{Item, PortDef, Region, Tail, ValueId};
use crate::ops;
use crate::syntax::ast::{self, Expr, ExprKind, Flow, Lhs, Name, SettingValue, StageKind, StmtKind};
use crate::tensor::DType;
use crate::text::Span;

impl<'a> Elab<'a> {
    /// Outputs and inputs by their names: what loss and metrics may use.
    pub(super) fn train_scope(&mut self, read: &Read) {
        let mut scope = self.inst.scopes.drain(..).next().unwrap_or_default();
        for port in &read.outputs {
            let name = port.name.clone().unwrap_or_else(|| "out".into());
            let bound = Bound { what: Meaning::Value(Val::One(port.value)), span: port.span };
            scope.entry(name).or_insert(bound);
        }
        self.inst.scopes.push(scope);
        self.scope = self.paths.add(super::path::Paths::ROOT, Adds::Word("loss".into()));
        self.it = None;
    }

    pub(super) fn targets(&mut self, settings: &[(&'a ast::Setting, Option<Span>)], section: &mut Section) {
        for (setting, _) in settings.iter().filter(|(setting, _)| is_target(&setting.name.text)) {
            match &setting.value {
                SettingValue::Ports(ports) => {
                    for (name, typed) in ports {
                        let Some(ty) = self.port_type(typed, None) else { continue };
                        let (word, span) = (String::new(), typed.span);
                        let made = Producer { word, from: None, span, alias: false, block: None };
                        let value = self.value(ty, Some(made));
                        self.values[value.0 as usize].name = Some(name.text.clone());
                        section.targets.push(PortDef { name: Some(name.text.clone()), value, span: typed.span });
                        section.target_elems.push(Elem { name: None, val: Val::One(value), span: typed.span });
                        self.bind_target(name, Val::One(value));
                    }
                }
                SettingValue::Flow(Some(Lhs::Name(name)), flow) => {
                    self.regions.push(Region::default());
                    let val = self.flow(flow, None);
                    section.derived.items.extend(self.regions.pop().unwrap_or_default().items);
                    if let Some(id) = val.single() {
                        self.values[id.0 as usize].name.get_or_insert_with(|| name.text.clone());
                        section.target_elems.push(Elem { name: None, val: Val::One(id), span: flow.span });
                    }
                    self.bind_target(name, val);
                }
                SettingValue::Broken => {}
                SettingValue::None | SettingValue::Body(_) | SettingValue::Flow(..) => {
                    let text = "a target has a name: `target y: i64[batch]`, or `target y = tokens |> next`";
                    let report = Diagnostic::error("train::target", text, setting.span, "not a target");
                    self.report(match &setting.pattern {
                        Some((column, _)) => report.note(format!(
                            "the column of a table is named by its source: `data csv(\"…\", label = \"{column}\")`"
                        )),
                        None => report,
                    });
                    // What the loss gets is not known.
                    section.target_elems.push(Elem { name: None, val: Val::Unknown, span: setting.span });
                }
            }
        }
    }

    /// A target may carry the name of an output only if it hides nothing else.
    pub(super) fn bind_target(&mut self, name: &Name, val: Val) {
        self.bind_name(name, Meaning::Value(val));
    }

    pub(super) fn tuple(&self, section: &Section) -> Val {
        let elems: Vec<Elem> = section.outputs.iter().chain(&section.target_elems).cloned().collect();
        if elems.len() == 1 { elems[0].val.clone() } else { Val::Tuple(elems) }
    }

    pub(super) fn loss(
        &mut self,
        train: &'a ast::Train,
        settings: &[(&'a ast::Setting, Option<Span>)],
        section: &mut Section,
    ) -> Option<Tail> {
        let Some((setting, _)) = settings.iter().find(|(setting, _)| setting.name.text == "loss") else {
            let known = |name: &str| SETTINGS.contains(&name) || self.declared().contains_key(name);
            let broken = |setting: &ast::Setting| {
                let wrong = matches!(setting.value, SettingValue::Broken) || self.faulty(setting.span);
                wrong || !known(&setting.name.text)
            };
            if train.settings.iter().any(broken) {
                return None;
            }
            let text = "a train section needs a loss";
            let report = Diagnostic::error("train::no_loss", text, train.header, "has none");
            self.report(report.note("for instance `loss cross_entropy` or `loss mse`"));
            return None;
        };
        let mut tail = self.tail_of(setting, section)?;
        let mut items = std::mem::take(&mut section.derived.items);
        items.append(&mut tail.region.items);
        tail.region.items = items;
        let ty = self.ty(tail.result);
        if ty.dtype != DType::F32 || self.shapes.rank(ty) != 0 {
            let text = format!("a loss is one number, f32[], and this is {}", self.shapes.show(ty));
            let report =
                Diagnostic::error("train::loss_shape", text, setting.span, format!("ends as {}", self.shapes.show(ty)));
            self.report(report.note("a loss has `reduction = \"mean\"` by default; else end with `mean`"));
            return None;
        }
        Some(tail)
    }

    /// A loss or metric: an operator on (outputs…, targets…), or a body.
    pub(super) fn tail_of(&mut self, setting: &'a ast::Setting, section: &Section) -> Option<Tail> {
        let it = self.tuple(section);
        self.regions.push(Region::default());
        self.it = Some(It { val: it.clone(), used: false });
        self.last_scope.clear();
        let (val, label) = match &setting.value {
            SettingValue::Flow(None, flow) => {
                let val = self.flow(flow, None);
                (val, flow_words(flow))
            }
            SettingValue::Body(body) => (self.body(body, Some(it), false), "{ … }".to_string()),
            SettingValue::Broken => (Val::Unknown, String::new()),
            SettingValue::None | SettingValue::Ports(_) | SettingValue::Flow(Some(_), _) => {
                let text = format!("`{}` takes an operator, or a body", setting.name.text);
                let report = Diagnostic::error("train::loss", text, setting.span, "not an operator");
                let report = self.without_quotes(report, setting);
                let name = &setting.name.text;
                self.report(
                    report.note(format!("for instance `{name} cross_entropy`, or `{name} {{ (out, y) |> mse }}`")),
                );
                (Val::Unknown, String::new())
            }
        };
        self.it = None;
        let region = self.regions.pop().unwrap_or_default();
        let result = val.single()?;
        let mut terms = vec![];
        for (name, bound) in std::mem::take(&mut self.last_scope) {
            if let Meaning::Value(val) = bound.what
                && let Some(id) = val.single()
                && self.shapes.rank(self.ty(id)) == 0
            {
                terms.push((name, id));
            }
        }
        Some(Tail { region, result, terms, label, span: setting.span })
    }

    pub(super) fn metrics(
        &mut self,
        settings: &[(&'a ast::Setting, Option<Span>)],
        section: &Section,
        loss: Option<&Tail>,
    ) -> Vec<(String, Tail)> {
        let mut metrics: Vec<(String, Tail)> = vec![];
        let mut given = false;
        for (setting, _) in settings.iter().filter(|(setting, _)| setting.name.text == "metric") {
            given = true;
            let Some(tail) = self.tail_of(setting, section) else { continue };
            let ty = self.ty(tail.result);
            if self.shapes.rank(ty) != 0 {
                let text = format!("a metric is one number, and this is {}", self.shapes.show(ty));
                self.report(Diagnostic::error("train::metric_shape", text, setting.span, "not one number"));
                continue;
            }
            let base = metric_name(setting);
            let taken = |name: &String| metrics.iter().any(|(own, _)| own == name);
            let numbered = (2..).map(|n| format!("{base}_{n}"));
            let name = std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base);
            metrics.push((name, tail));
        }
        if !given && let Some(tail) = loss.and_then(|loss| self.accuracy(loss)) {
            metrics.push(("accuracy".into(), tail));
        }
        metrics
    }

    /// Accuracy, where the loss is a cross entropy of classes.
    pub(super) fn accuracy(&mut self, loss: &Tail) -> Option<Tail> {
        let entropy = loss.region.items.iter().rev().find_map(|item| match item {
            Item::Op(op) if op.op.name == "cross_entropy" => Some(op.clone()),
            Item::Op(_) | Item::Scope(_) | Item::Repeat(_) => None,
        })?;
        let op = ops::find("accuracy")?;
        let operands: Vec<ValueId> = entropy.operands.iter().take(2).copied().collect::<Option<_>>()?;
        if operands.len() != 2 || self.ty(operands[1]).dtype != DType::I64 {
            return None;
        }
        let mut attrs = Attrs::with(op.attrs, &[]);
        for name in ["axis", "ignore_index"] {
            if *entropy.attrs.get(name) != Attr::None {
                attrs = attrs.replaced(name, entropy.attrs.get(name).clone());
            }
        }
        self.regions.push(Region::default());
        let val = self.internal_op(op, attrs, &operands, "accuracy", entropy.span);
        let region = self.regions.pop().unwrap_or_default();
        Some(Tail { region, result: val.single()?, terms: vec![], label: "accuracy".into(), span: loss.span })
    }
}

/// `accuracy` of `metric accuracy(axis = 1)`; the last operator of a flow or of a body.
pub(super) fn metric_name(setting: &ast::Setting) -> String {
    let last = match &setting.value {
        SettingValue::Flow(_, flow) => flow.stages.last(),
        SettingValue::Body(body) => match body.stmts.last().map(|stmt| &stmt.kind) {
            Some(StmtKind::Flow(_, flow) | StmtKind::Return(flow)) => flow.stages.last(),
            _ => None,
        },
        _ => None,
    };
    match last.map(|stage| &stage.kind) {
        Some(StageKind::Expr(Expr { kind: ExprKind::Call(call), .. })) => call.name.text.clone(),
        _ => "metric".into(),
    }
}

/// A flow of calls, in one spelling.
fn flow_words(flow: &Flow) -> String {
    let words = flow.stages.iter().map(|stage| match &stage.kind {
        StageKind::Expr(inner) => super::words::expr(inner),
        _ => "…".into(),
    });
    words.collect::<Vec<_>>().join(" |> ")
}
