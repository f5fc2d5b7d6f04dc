//! Blocks looked at once, for all sizes: their sizes are symbols, and their contract must hold for every one.

use super::Elab;
use super::chain::{Frame, Producer};
use super::condition::Truth;
use super::scope::{Bound, Inst, Meaning};
use super::signature::dim_names;
use super::value::{Static, Val};
use crate::ir::structured::Region;
use crate::syntax::ast::{Axis, Block, Port};
use indexmap::IndexMap;

impl<'a> Elab<'a> {
    /// Checks a block with a signature once, its sizes being symbols: its contract must hold for all of them.
    pub(super) fn check_for_all_sizes(&mut self, index: usize) {
        let block: &'a Block = self.blocks[index];
        let Some(sig) = &block.sig else {
            if !self.called.contains(&index) {
                self.read_alone(block);
            }
            return;
        };
        if self.faulty(block.header) {
            return;
        }
        self.fresh();
        let before = self.reports.len();
        self.symbolic = true;
        self.fact_home = (block.header, !block.conds.is_empty());
        self.inst = Inst::of(block);
        self.chain.push(Frame::Block(block.name.text.clone(), vec![]));
        self.contract_names = signature_names(block);
        let ports = || sig.ins.iter().chain(sig.outs.iter().flatten());
        self.open_rank = ports().any(|port| port.ty.axes.iter().any(|axis| matches!(axis, Axis::Rest(_))));
        self.symbolic_hypers(block);
        self.symbolic_dims(block);
        for cond in &block.conds {
            match self.truth(cond) {
                Truth::Open(condition) => self.prover.learn(&mut self.shapes.dims, condition),
                Truth::Known(false) if self.speaks_of_sizes(cond) => self.report_never(cond),
                Truth::Known(_) | Truth::Opaque | Truth::Silent => {}
            }
        }
        self.regions.push(Region::default());
        if let Some((scope, it)) = self.symbolic_inputs(&sig.ins) {
            self.inst.scopes.push(scope);
            let result = self.body(&block.body, it, true);
            let unread = result.is_unknown() || self.faulty(block.span);
            if let (Some(ports), false) = (&sig.outs, unread) {
                self.contract(ports, result, sig.span, None);
            }
        }
        (self.symbolic, self.open_rank) = (false, false);
        self.contract_names.clear();
        self.keep_new_reports(before);
        self.settle_reports();
    }

    /// A block without a signature that nobody calls: its names and arguments are looked at, its shapes are not known.
    pub(super) fn read_alone(&mut self, block: &'a Block) {
        if self.faulty(block.header) {
            return;
        }
        self.fresh();
        let before = self.reports.len();
        (self.symbolic, self.open_rank) = (true, true);
        self.inst = Inst::of(block);
        self.chain.push(Frame::Block(block.name.text.clone(), vec![]));
        self.symbolic_hypers(block);
        self.regions.push(Region::default());
        self.body(&block.body, Some(Val::Unknown), true);
        (self.symbolic, self.open_rank) = (false, false);
        self.keep_new_reports(before);
        self.settle_reports();
    }

    /// Hyperparameters of number kind as symbols: those of the signature, and those without a default.
    pub(super) fn symbolic_hypers(&mut self, block: &'a Block) {
        for param in &block.params {
            let name = param.name.text.clone();
            let default = param.default.as_ref().map(|default| self.eval(default));
            let value = match default {
                Some(Static::Int(_)) | None if self.contract_names.contains(&name) => {
                    Static::Dim(self.shapes.dims.symbol(&name))
                }
                Some(default) => default,
                None => Static::Dim(self.shapes.dims.symbol(&name)),
            };
            if let Some((_, first)) = self.inst.hypers.get(&name) {
                let first = *first;
                self.report_param_twice(&name, param.name.span, first);
            }
            self.inst.hypers.insert(name, (value, param.name.span));
        }
    }

    pub(super) fn symbolic_dims(&mut self, block: &Block) {
        let Some(sig) = &block.sig else { return };
        let mut names = vec![];
        for port in sig.ins.iter().chain(sig.outs.iter().flatten()) {
            for axis in &port.ty.axes {
                if let Axis::Size(expr) = axis {
                    dim_names(expr, &mut names);
                }
            }
        }
        for name in names {
            if self.declared().contains_key(&name) && !self.inst.hypers.contains_key(&name) {
                let symbol = self.shapes.dims.symbol(&name);
                self.inst.dims.insert(name, symbol);
            }
        }
    }

    #[allow(clippy::type_complexity)]
    pub(super) fn symbolic_inputs(&mut self, ports: &'a [Port]) -> Option<(IndexMap<String, Bound>, Option<Val>)> {
        let mut scope = IndexMap::new();
        let mut vals = vec![];
        for port in ports {
            let ty = self.port_type(&port.ty, Some("any"))?;
            if let Some(at) = port.ty.axes.iter().position(|axis| matches!(axis, Axis::Rest(_))) {
                self.inst.rest = Some(vec![self.shapes.dims(ty)[at]]);
            }
            let producer = Producer { word: String::new(), from: None, span: port.ty.span, alias: false, block: None };
            let id = self.value(ty, Some(producer));
            if let Some(name) = &port.name {
                let what = Meaning::Value(Val::One(id));
                scope.insert(name.text.clone(), Bound { what, span: name.span });
            }
            vals.push(Val::One(id));
        }
        let it = if vals.len() == 1 { vals.pop() } else { None };
        Some((scope, it))
    }

    /// A mistake that an instance has shown already is not told again.
    pub(super) fn keep_new_reports(&mut self, before: usize) {
        let new = self.reports.split_off(before);
        self.settled = self.settled.min(before);
        for report in new {
            let span = report.diagnostic.labels[0].span;
            // What grows without end does so wherever one begins to look.
            let code = report.diagnostic.code;
            let grows = matches!(code, "limit::stages" | "limit::parameters" | "limit::recursion");
            let told = grows && self.reports.iter().any(|earlier| earlier.diagnostic.code == code);
            if !told && !self.reported_at(span) {
                self.keep_report(report);
            }
        }
    }
}

/// The names that stand in a block's signature and facts.
pub(super) fn signature_names(block: &Block) -> Vec<String> {
    let mut names = vec![];
    let Some(sig) = &block.sig else { return names };
    for port in sig.ins.iter().chain(sig.outs.iter().flatten()) {
        for axis in &port.ty.axes {
            if let Axis::Size(expr) = axis {
                dim_names(expr, &mut names);
            }
        }
    }
    names
}
