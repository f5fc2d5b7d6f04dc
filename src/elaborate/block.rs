//! Models and blocks: hyperparameters, inputs, facts, body, outputs.

use super::apply::Application;
use super::chain::{Frame, Producer};
use super::number::Truth;
use super::path::{Adds, placeholder};
use super::scope::{Bound, Inst, Meaning, near};
use super::value::{Elem, Given, Static, Val};
use super::{Elab, signature::Fit};
use crate::diagnostic::Diagnostic;
use crate::ir::op::{Condition, Misfit, MisfitKind, Need};
use crate::ir::structured::{Item, PortDef, Region, ScopeItem, ScopeKind, Structured, ValueId};
use crate::syntax::ast::{Block, Cond, Port};
use crate::text::Span;

/// Blocks within blocks, at most.
const DEPTH: usize = 64;

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
        self.inst = Inst { name: model.name.text.clone(), model: true, ..Inst::default() };
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

    fn model_hypers(&mut self, model: &'a Block, overrides: &[(String, Static, Span)]) {
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
                    Some(meant) => report.note(format!("did you mean `{meant}`?")),
                    None => report.label(model.name.span, "defined here"),
                };
                self.report(report);
            }
        }
    }

    pub(super) fn report_param_twice(&mut self, name: &str, span: Span, first: Span) {
        let text = format!("the hyperparameter `{name}` stands twice");
        self.report(Diagnostic::error("name::param_twice", text, span, "again here").label(first, "first here"));
    }

    /// A fact of a model's `where`: known from here on, checked when sizes are bound.
    pub(super) fn learn_fact(&mut self, cond: &'a Cond) {
        match self.truth(cond) {
            Truth::Known(true) | Truth::Silent => {}
            Truth::Opaque => self.report_opaque(cond, cond.span),
            Truth::Known(false) => self.report_false(cond, None),
            Truth::Open(condition) => {
                self.prover.learn(&mut self.shapes.dims, condition);
                let misfit = Misfit::of(MisfitKind::Sentence(self.written(cond.span).to_string()));
                self.facts.push((Need { condition, misfit }, cond.span));
            }
        }
    }

    fn model_inputs(&mut self, ports: &'a [Port]) -> (Vec<PortDef>, Option<Val>) {
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
    fn model_outputs(&mut self, ports: Option<&'a [Port]>, result: &Val, span: Span) -> Option<Vec<PortDef>> {
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
        let body = self.regions.pop().unwrap_or_default();
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
        resolved.fill(&mut made.body);
        for layer in &mut made.layers {
            layer.path = resolved.path_of(&layer.path);
        }
        for clash in clashes {
            if self.reported_at(clash.second) {
                continue;
            }
            let text = format!("two parameters would have the path `{}`", clash.path);
            let report = Diagnostic::error("path::twice", text, clash.second, "named so again");
            let report = report.label(clash.first, "named so first");
            self.report(report.note("name the residual, if or parallel that they stand in"));
        }
        self.resolved = Some(resolved);
        made
    }

    /// Calls a block.
    pub(super) fn call_block(&mut self, index: usize, app: Application<'_>) -> Val {
        let block = self.blocks[index];
        if self.faulty(block.header) {
            self.calls.push((app.node, true));
            return Val::Unknown;
        }
        self.called.insert(index);
        if !self.may_call(block, app.span) || !self.allow_block(index, app.span) {
            return Val::Unknown;
        }
        let Some((hypers, shown, path)) = self.block_hypers(block, &app) else {
            self.calls.push((app.node, true));
            return Val::Unknown;
        };
        let node = match (app.node, path) {
            (Some(node), _) => node,
            (None, Some((path, span))) => self.paths.add(self.scope, Adds::Written(path, span)),
            (None, None) => self.paths.add(self.scope, Adds::Word(app.word.into())),
        };
        let inst = Inst { name: block.name.text.clone(), hypers, ..Inst::default() };
        let caller = std::mem::replace(&mut self.inst, inst);
        let tail = self.tail.take();
        let (it, scope) = (self.it.take(), std::mem::replace(&mut self.scope, node));
        let calls = std::mem::take(&mut self.calls);
        let owners = self.owners;
        self.chain.push(Frame::Block(block.name.text.clone(), shown.clone()));
        self.regions.push(Region::default());
        let result = self.block_body(block, &app, tail);
        let region = self.regions.pop().unwrap_or_default();
        self.chain.pop();
        (self.inst, self.it, self.scope, self.calls) = (caller, it, scope, calls);
        let args: Vec<String> = shown.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let label = if args.is_empty() { app.word.into() } else { format!("{}({})", app.word, args.join(", ")) };
        let (kind, path, span) = (ScopeKind::Block, placeholder(node), app.span);
        self.emit(Item::Scope(ScopeItem { kind, label, path, region, span }));
        self.calls.push((Some(node), self.owners > owners));
        result
    }

    fn may_call(&mut self, block: &Block, span: Span) -> bool {
        let names: Vec<&str> = self
            .chain
            .iter()
            .filter_map(|frame| match frame {
                Frame::Block(name, _) => Some(name.as_str()),
                Frame::Model(_) | Frame::Copy(..) | Frame::Residual(_) => None,
            })
            .collect();
        if names.len() < DEPTH {
            return true;
        }
        let name = &block.name.text;
        let cycle = names.iter().rposition(|other| other == name).unwrap_or(names.len() - 1);
        let chain: Vec<&str> = names[cycle..].iter().copied().chain([name.as_str()]).take(6).collect();
        let text = format!("the block `{name}` calls itself without end: {}", chain.join(" › "));
        let report = Diagnostic::error("limit::recursion", text, span, "deeper than 64 blocks");
        let report = report.label(block.name.span, "this block");
        let chain = std::mem::take(&mut self.chain);
        self.report(report.note("a block may call itself under an `if` that ends it"));
        self.chain = chain;
        self.limits.over = true;
        false
    }

    /// The hyperparameters of a call: given ones, then defaults, which may use the earlier ones.
    #[allow(clippy::type_complexity)]
    fn block_hypers(
        &mut self,
        block: &'a Block,
        app: &Application<'_>,
    ) -> Option<(indexmap::IndexMap<String, (Static, Span)>, Vec<(String, String)>, Option<(String, Span)>)> {
        let mut slots: Vec<Option<&Given>> = vec![None; block.params.len()];
        let mut path = None;
        let mut sound = true;
        let mut position = 0;
        for arg in app.given {
            let slot = match &arg.name {
                None => {
                    position += 1;
                    Some(position - 1).filter(|&slot| slot < slots.len())
                }
                Some(name) => block.params.iter().position(|param| param.name.text == name.text),
            };
            match (slot, &arg.name) {
                (Some(slot), _) if slots[slot].is_some() => {
                    let text = format!("`{}` of `{}` is given twice", block.params[slot].name.text, app.word);
                    self.report(Diagnostic::error("attr::twice", text, arg.span, "again here"));
                }
                (Some(slot), _) => slots[slot] = Some(arg),
                (None, Some(name)) if name.text == "path" => {
                    if let Static::Str(text) = &arg.value {
                        path = Some((text.clone(), arg.value_span));
                    }
                }
                (None, name) => {
                    self.report_block_arg(block, app, arg, name.is_some());
                    sound = false;
                }
            }
        }
        let caller = std::mem::take(&mut self.inst);
        self.inst.name = block.name.text.clone();
        let mut shown = vec![];
        let mut missing = None;
        for (param, given) in block.params.iter().zip(slots) {
            let value = match (given, &param.default) {
                (Some(given), _) => {
                    let value = self.plain(&given.value);
                    shown.push((param.name.text.clone(), given.value.clone()));
                    value
                }
                (None, Some(default)) => self.eval(default),
                (None, None) => {
                    missing = missing.or(Some(&param.name));
                    Static::Unknown
                }
            };
            self.inst.hypers.insert(param.name.text.clone(), (value, param.name.span));
        }
        let hypers = std::mem::take(&mut self.inst.hypers);
        self.inst = caller;
        if let Some(name) = missing {
            let text = format!("the block `{}` needs `{}`", app.word, name.text);
            let report = Diagnostic::error("attr::missing", text, app.span, format!("`{}` is missing", name.text));
            self.report(report.label(name.span, "has no default"));
            sound = false;
        }
        let shown = shown.iter().map(|(name, value)| (name.clone(), self.shown(value))).collect();
        sound.then_some((hypers, shown, path))
    }

    fn report_block_arg(&mut self, block: &Block, app: &Application<'_>, arg: &Given, named: bool) {
        let names = block.params.iter().map(|param| param.name.text.as_str());
        let report = match &arg.name {
            Some(name) if named => {
                let text = format!("the block `{}` has no hyperparameter `{}`", app.word, name.text);
                let report = Diagnostic::error("attr::hyperparameter", text, name.span, "unknown");
                match near(&name.text, names) {
                    Some(meant) => self.meant_name(report, name.span, meant),
                    None => report,
                }
            }
            _ => {
                let text = format!("the block `{}` takes {} arguments, not more", app.word, block.params.len());
                Diagnostic::error("attr::too_many", text, arg.span, "one too many")
            }
        };
        self.report(report.label(block.name.span, "defined here"));
    }

    /// The body of a block under its inputs, and its contract.
    fn block_body(&mut self, block: &'a Block, app: &Application<'_>, tail: Option<super::residual::Tail>) -> Val {
        let Some(sig) = &block.sig else {
            self.check_facts(block, app.span);
            return self.body(&block.body, Some(app.incoming.clone()), true);
        };
        let Some(operands) = self.block_operands(&sig.ins, app) else { return Val::Unknown };
        for (port, &value) in sig.ins.iter().zip(&operands) {
            if !self.bind_input(port, value, app) {
                return Val::Unknown;
            }
        }
        if !self.check_facts(block, app.span) {
            return Val::Unknown;
        }
        let mut scope = indexmap::IndexMap::new();
        for (port, &value) in sig.ins.iter().zip(&operands) {
            if let Some(name) = &port.name {
                let what = Meaning::Value(Val::One(value));
                scope.insert(name.text.clone(), Bound { what, span: name.span });
            }
        }
        self.inst.scopes.push(scope);
        let it = if operands.len() == 1 { operands.first().map(|&id| Val::One(id)) } else { None };
        let result = self.body(&block.body, it, true);
        match &sig.outs {
            None => result,
            Some(ports) => self.contract(ports, result, sig.span, tail),
        }
    }

    /// The values that flow into the ports of a block.
    fn block_operands(&mut self, ports: &'a [Port], app: &Application<'_>) -> Option<Vec<ValueId>> {
        if app.incoming.is_unknown() {
            return None;
        }
        let elems = match &app.incoming {
            Val::Tuple(elems) => elems.clone(),
            other => vec![Elem { name: None, val: other.clone(), span: app.span }],
        };
        let mut slots: Vec<Option<ValueId>> = vec![None; ports.len()];
        let mut position = 0;
        for elem in &elems {
            let slot = match &elem.name {
                None => {
                    position += 1;
                    Some(position - 1).filter(|&slot| slot < slots.len())
                }
                Some(name) => ports.iter().position(|port| port.name.as_ref().is_some_and(|n| n.text == *name)),
            };
            let (Some(slot), Some(value)) = (slot, elem.val.single()) else {
                let text = format!("the block `{}` takes {} values, and this is another", app.word, ports.len());
                self.report(
                    Diagnostic::error("type::operands", text, app.span, "too many flow in")
                        .label(elem.span, "this one"),
                );
                return None;
            };
            slots[slot] = Some(value);
        }
        if let Some(open) = slots.iter().position(Option::is_none) {
            let name =
                ports[open].name.as_ref().map_or_else(|| format!("input {}", open + 1), |name| name.text.clone());
            let text = format!("the block `{}` needs `{name}`, and nothing flows in for it", app.word);
            let report = Diagnostic::error("type::operand_missing", text, app.span, format!("`{name}` is missing"));
            self.report(report.label(ports[open].ty.span, "asked for here"));
            return None;
        }
        slots.into_iter().collect()
    }

    fn bind_input(&mut self, port: &'a Port, value: ValueId, app: &Application<'_>) -> bool {
        let ty = self.ty(value);
        let fit = self.fit(&port.ty, ty, false);
        let open = match fit {
            Fit::Yes => return true,
            Fit::Silent => return false,
            Fit::Open(_) if self.symbolic => return true,
            Fit::Open(condition) => Some(condition),
            Fit::No => None,
        };
        let pattern = self.shown_pattern(&port.ty);
        let text = format!("`{}` takes {pattern}, and {} flows in", app.word, self.shapes.show(ty));
        let report = Diagnostic::error("shape::input", text, app.span, format!("gets {}", self.shapes.show(ty)));
        let mut report = report.label(port.ty.span, format!("takes {}", self.shown_wanted(&port.ty)));
        if let Some(place) = self.culprit(value).filter(|place| *place != app.span) {
            report = report.label(place, format!("makes it {}", self.shapes.show(ty)));
        }
        if let Some(fact) = open.and_then(|condition| self.prover.missing(&mut self.shapes.dims, condition)) {
            report = report.note(format!("equal where `{fact}`"));
            report = self.with_fact_fix(report, &fact);
        }
        self.report_flow(report, value);
        false
    }

    /// A block's facts, proved at the call.
    fn check_facts(&mut self, block: &'a Block, span: Span) -> bool {
        let mut sound = true;
        for cond in &block.conds {
            match self.truth(cond) {
                Truth::Known(true) => {}
                Truth::Known(false) => {
                    self.report_false(cond, Some(span));
                    sound = false;
                }
                Truth::Silent => sound = false,
                Truth::Open(_) | Truth::Opaque if self.symbolic => {}
                Truth::Open(condition) => sound &= self.leave_open(condition, cond, span),
                Truth::Opaque => {
                    self.report_opaque(cond, span);
                    sound = false;
                }
            }
        }
        sound
    }

    /// A condition on sizes of a kind that cannot be proved, nor checked later.
    fn report_opaque(&mut self, cond: &'a Cond, span: Span) {
        let text = format!("whether `{}` holds is not known, and cannot be said", self.written(cond.span));
        let report = Diagnostic::error("where::opaque", text, span, "depends on sizes that are not known");
        self.report(report.note("facts on sizes are `==`, `<`, `<=`, `>`, `>=`, and `a % b == 0`"));
    }

    fn leave_open(&mut self, condition: Condition, cond: &'a Cond, span: Span) -> bool {
        let text = self.written(cond.span).to_string();
        if let Condition::AtLeast(..) = condition {
            let misfit = Misfit::of(MisfitKind::Sentence(text));
            self.needs.push((Need { condition, misfit }, span));
            return true;
        }
        let fact = self.prover.missing(&mut self.shapes.dims, condition).unwrap_or_else(|| text.clone());
        let message = format!("whether `{text}` holds is not known");
        let report = Diagnostic::error("where::undecided", message, span, "must be proved for this call");
        let report = report.label(cond.span, "asked for here").note(format!("say so: `where {fact}`"));
        let report = self.with_fact_fix(report, &fact);
        self.report(report);
        false
    }

    /// A fact that does not hold.
    pub(super) fn report_false(&mut self, cond: &'a Cond, call: Option<Span>) {
        let written = self.written(cond.span).to_string();
        let mut names = vec![];
        super::signature::dim_names(&cond.left, &mut names);
        if let Some((_, right)) = &cond.right {
            super::signature::dim_names(right, &mut names);
        }
        names.dedup();
        let mut known = vec![];
        for name in names {
            let value = self.inst.hypers.get(&name).map(|(value, _)| value.clone());
            let value = value.or_else(|| self.inst.dims.get(&name).map(|&dim| Static::Dim(dim)));
            if let Some(value) = value {
                known.push(format!("{name} = {}", self.shown(&value)));
            }
        }
        let values = if known.is_empty() { String::new() } else { format!(" for {}", known.join(", ")) };
        let text = format!("`{written}` does not hold{values}");
        let (place, label) = match call {
            Some(span) => (span, "called so"),
            None => (cond.span, "never true"),
        };
        let report = Diagnostic::error("where::false", text, place, label);
        self.report(if call.is_some() { report.label(cond.span, "asked for here") } else { report });
    }
}
