//! Models: hyperparameters, inputs, body, outputs, and the graph as a whole.

use super::Elab;
use super::chain::{Frame, Producer};
use super::scope::{Bound, Inst, Meaning, near};
use super::value::{Elem, Static, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::structured::{PortDef, Region, Structured};
use crate::syntax::ast::{Block, Port};
use crate::text::Span;

/// A model that was read, its graph still open.
pub(super) struct Read {
    /// Its inputs.
    pub inputs: Vec<PortDef>,
    /// Its outputs.
    pub outputs: Vec<PortDef>,
}

impl<'a> Elab<'a> {
    /// Elaborates a model. `None` where it has no graph; mistakes are reported.
    pub(super) fn model(&mut self, model: &'a Block, overrides: &[(String, Static, Span)]) -> Option<Structured> {
        let read = self.read_model(model, overrides);
        let made = read.map(|read| self.close_model(&model.name.text, read));
        self.settle_reports();
        made
    }

    /// Reads a model; its region and values stay open for losses and metrics.
    pub(super) fn read_model(&mut self, model: &'a Block, overrides: &[(String, Static, Span)]) -> Option<Read> {
        self.fresh();
        self.inst = Inst { model: true, ..Inst::of(model) };
        self.fact_home = (model.header, !model.conds.is_empty());
        self.chain.push(Frame::Model(model.name.text.clone()));
        self.model_hypers(model, overrides);
        let Some(sig) = &model.sig else {
            let text = format!("the model `{}` needs a signature: what flows in and out", model.name.text);
            let report = Diagnostic::error("type::signature", text, model.name.span, "has none");
            self.report(report.note("write it so: `model m : (x: f32[batch, 784]) -> f32[batch, 10] { … }`"));
            return None;
        };
        for cond in &model.conds {
            self.learn_fact(cond);
        }
        self.regions.push(Region::default());
        let (inputs, it) = self.model_inputs(&sig.ins);
        let result = self.body(&model.body, it, true);
        let outputs = self.model_outputs(sig.outs.as_deref(), &result, sig.span)?;
        Some(Read { inputs, outputs })
    }

    pub(super) fn model_hypers(&mut self, model: &'a Block, overrides: &[(String, Static, Span)]) {
        for param in &model.params {
            let name = &param.name;
            if let Some((_, first)) = self.inst.hypers.get(&name.text) {
                let first = *first;
                self.report_param_twice(&name.text, name.span, first);
                continue;
            }
            let default = param.default.as_ref().map(|default| self.eval(default));
            let set = self.set_value(&name.text, default.as_ref(), name.span);
            let given = overrides.iter().find(|(key, ..)| *key == name.text).map(|(_, value, _)| value.clone());
            let value = set.or(given).or(default).unwrap_or_else(|| {
                let text = format!("the model's hyperparameter `{}` has no value", name.text);
                let report = Diagnostic::error("attr::no_value", text, name.span, "has no default");
                self.report(report.note(format!("give it one: `{} = …`, or say `--set {}=…`", name.text, name.text)));
                Static::Unknown
            });
            self.inst.hypers.insert(name.text.clone(), (value, name.span));
        }
        for (key, _, span) in overrides {
            if !model.params.iter().any(|param| param.name.text == *key) {
                let text = format!("the model `{}` has no hyperparameter `{key}`", model.name.text);
                let report = Diagnostic::error("attr::hyperparameter", text, *span, "unknown");
                let report = match near(key, model.params.iter().map(|param| param.name.text.as_str())) {
                    Some(meant) => {
                        let key = Span { end: span.start + key.len() as u32, ..*span };
                        self.meant_name(report, key, meant)
                    }
                    None => report.label(model.name.span, "defined here"),
                };
                self.report(report);
            }
        }
    }

    pub(super) fn report_param_twice(&mut self, name: &str, span: Span, first: Span) {
        let text = format!("`{name}` stands twice in one list");
        self.report(Diagnostic::error("name::param_twice", text, span, "again here").label(first, "first here"));
    }

    pub(super) fn model_inputs(&mut self, ports: &'a [Port]) -> (Vec<PortDef>, Option<Val>) {
        let mut scope = indexmap::IndexMap::new();
        let mut inputs = vec![];
        let mut vals = vec![];
        for port in ports {
            let ty = self.port_type(&port.ty, None);
            let val = match ty {
                None => Val::Unknown,
                Some(ty) => {
                    let name = port.name.as_ref().map(|name| name.text.clone());
                    let producer =
                        Producer { word: String::new(), from: None, span: port.ty.span, alias: false, block: None };
                    let id = self.value(ty, Some(producer));
                    self.values[id.0 as usize].name = name.clone();
                    inputs.push(PortDef { name, value: id, span: port.ty.span });
                    Val::One(id)
                }
            };
            if let Some(name) = &port.name {
                let bound = Bound { what: Meaning::Value(val.clone()), span: name.span };
                if let Some(old) = scope.insert(name.text.clone(), bound) {
                    self.report_param_twice(&name.text, name.span, old.span);
                }
            }
            vals.push(val);
        }
        self.inst.scopes.push(scope);
        let it = if vals.len() == 1 { vals.pop() } else { None };
        (inputs, it)
    }

    /// The result against the signature; `None` where something is not known.
    pub(super) fn model_outputs(
        &mut self,
        ports: Option<&'a [Port]>,
        result: &Val,
        span: Span,
    ) -> Option<Vec<PortDef>> {
        let parts = match result {
            Val::Tuple(elems) => elems.clone(),
            other => vec![Elem { name: None, val: other.clone(), span }],
        };
        let Some(ports) = ports else {
            let one = parts.len() == 1;
            let port = |(i, elem): (usize, &Elem)| {
                let value = elem.val.single()?;
                let name = elem.name.clone().or_else(|| self.values[value.0 as usize].name.clone());
                let name = if one { None } else { Some(name.unwrap_or_else(|| format!("out_{i}"))) };
                Some(PortDef { name, value, span: elem.span })
            };
            return parts.iter().enumerate().map(port).collect();
        };
        if result.is_unknown() {
            return None;
        }
        self.check_outputs(ports, &parts, span, None)?;
        let port = |(port, elem): (&Port, &Elem)| {
            let name = port.name.as_ref().map(|name| name.text.clone());
            Some(PortDef { name, value: elem.val.single()?, span: port.ty.span })
        };
        ports.iter().zip(&parts).map(port).collect()
    }

    /// Closes a model: deep norm's constants, paths, and the graph as a whole.
    pub(super) fn close_model(&mut self, name: &str, read: Read) -> Structured {
        let body = self.close_region();
        let hypers = std::mem::take(&mut self.inst.hypers);
        let hypers = hypers.iter().map(|(name, (value, _))| (name.clone(), self.shown(value))).collect();
        let mut made = Structured {
            name: name.into(),
            hypers,
            shapes: std::mem::take(&mut self.shapes),
            values: std::mem::take(&mut self.values),
            layers: self.layer_defs(),
            repeats: self.repeats,
            inputs: read.inputs,
            outputs: read.outputs,
            body,
            needs: std::mem::take(&mut self.needs),
            facts: std::mem::take(&mut self.facts),
        };
        super::deep::fill_in(&mut made, &self.deeps);
        let paths = std::mem::replace(&mut self.paths, super::path::Paths::new());
        let (resolved, clashes) = paths.resolve();
        self.check_clashes(&made, &resolved, clashes);
        resolved.fill(&mut made.body);
        for layer in &mut made.layers {
            layer.path = resolved.path_of(&layer.path);
        }
        self.resolved = Some(resolved);
        made
    }
}
