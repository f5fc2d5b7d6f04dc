//! Models and blocks: hyperparameters, inputs, facts, body, outputs.

use super::apply::Application;
use super::chain::Frame;
use super::path::{Adds, placeholder};
use super::scope::{Bound, Inst, Meaning, near};
use super::value::{Elem, Given, Static, Val};
use super::{Elab, signature::Fit};
use crate::diagnostic::Diagnostic;
use crate::ir::structured::{Item, Region, ScopeItem, ScopeKind, ValueId};
use crate::syntax::ast::{Block, Port};
use crate::text::Span;

/// Blocks within blocks, at most.
const DEPTH: usize = 64;

impl<'a> Elab<'a> {
    /// Calls a block.
    pub(super) fn call_block(&mut self, index: usize, app: Application<'_>) -> Val {
        let block = self.blocks[index];
        if self.faulty(block.header) {
            self.calls.push((app.node, true));
            return Val::Unknown;
        }
        self.called.insert(index);
        if !self.may_call(block, app.span) || !self.allow_block(index, app.span) || !self.count_block(app.span) {
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
        let inst = Inst { hypers, ..Inst::of(block) };
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
        let text = match names.iter().rposition(|other| other == name) {
            Some(cycle) => {
                let chain: Vec<&str> = names[cycle..].iter().copied().chain([name.as_str()]).take(6).collect();
                format!("the block `{name}` calls itself more than 64 deep: {}", chain.join(" › "))
            }
            None => {
                let last = names[names.len() - 3..].join(" › ");
                format!("more than 64 blocks stand within one another: {} › … › {last} › {name}", names[0])
            }
        };
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
        self.inst = Inst::of(block);
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
        if !sound {
            // An argument that fits nothing was told; what is missing may be what it was meant to be.
            return None;
        }
        if let Some(name) = missing {
            let text = format!("the block `{}` needs `{}`", app.word, name.text);
            let report = Diagnostic::error("attr::missing", text, app.span, format!("`{}` is missing", name.text));
            let params: Vec<&str> = block
                .params
                .iter()
                .map(|param| {
                    let end = param.default.as_ref().map_or(param.name.span.end, |default| default.span.end);
                    self.written(Span { end, ..param.name.span })
                })
                .collect();
            let note = format!("it is called so: {}({})", app.word, params.join(", "));
            self.report(report.label(name.span, "has no default").note(note));
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
                    None if block.params.len() == 1 => self.meant_name(report, name.span, &block.params[0].name.text),
                    None => report,
                }
            }
            _ => {
                let count = block.params.len();
                let count = if count == 1 { "1 argument".into() } else { format!("{count} arguments") };
                let text = format!("the block `{}` takes {count}, not more", app.word);
                let before = app.given.iter().map(|given| given.span.end).filter(|&end| end <= arg.span.start).max();
                let place = Span { start: before.unwrap_or(arg.span.start), ..arg.span };
                let report = Diagnostic::error("attr::too_many", text, arg.span, "one too many");
                report.fix(place, "", self.mended(place, ""))
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
            let report = report.label(ports[open].ty.span, "asked for here");
            let names: Option<Vec<&str>> =
                ports.iter().map(|port| port.name.as_ref().map(|name| name.text.as_str())).collect();
            self.report(match names {
                Some(names) => {
                    report.note(format!("several values flow in together: `({}) |> {}`", names.join(", "), app.word))
                }
                None => report,
            });
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
        let pattern = self.shown_wanted(&port.ty);
        let text = format!("`{}` takes {pattern}, and {} flows in", app.word, self.shapes.show(ty));
        let report = Diagnostic::error("shape::input", text, app.span, format!("gets {}", self.shapes.show(ty)));
        let mut report = report.label(port.ty.span, format!("takes {}", self.shown_wanted(&port.ty)));
        if let Some(place) = self.culprit(value).filter(|place| *place != app.span) {
            let verb = if self.is_input(place) { "comes in as" } else { "makes it" };
            report = report.label(place, format!("{verb} {}", self.shapes.show(ty)));
        }
        if let Some(fact) = open.and_then(|condition| self.prover.missing(&mut self.shapes.dims, condition)) {
            report = report.note(format!("equal where `{fact}`"));
            report = self.with_fact_fix(report, &fact);
        } else if let (Some(wanted), Some(place)) =
            (self.wanted_dims(&port.ty, self.shapes.dims(ty).len()), self.culprit(value))
        {
            let found = self.shapes.dims(ty).to_vec();
            report = self.with_size_fix(report, place, &wanted, &found);
        }
        self.report_flow(report, value);
        false
    }
}
