//! `--set train.lr=3e-4`: attributes of a section's optimizer, from the command line.

use super::Elab;
use super::sets::Set;
use super::settings::{Made, SETTINGS};
use crate::diagnostic::Diagnostic;
use crate::ir::attr::{Attr, Attrs};
use crate::ir::training::{Call, Group};
use crate::optim;
use crate::syntax::ast::Name;
use crate::text::Span;

impl<'a> Elab<'a> {
    /// `--set train.lr=…`: an attribute of the optimizers, else of the schedules.
    pub(super) fn set_optimizer_attrs(&mut self, made: &mut Made) {
        let sets: &'a [Set] = self.sets;
        for (index, set) in sets.iter().enumerate().filter(|(_, set)| set.train) {
            let known = SETTINGS.contains(&set.key.as_str()) || self.declared().contains_key(&set.key);
            if known || set.key.starts_with('.') {
                continue;
            }
            if made.optimizers.is_empty()
                && let Some(def) = optim::find_optimizer("adamw")
            {
                let attrs = Attrs::with(def.attrs, &[("lr", Attr::Float(1e-3))]);
                let optimizer = Call { name: def.name.into(), attrs, span: Span::default() };
                made.optimizers.push(Group { pattern: None, optimizer });
            }
            let has = |call: &Call| call.attrs.defs().iter().any(|def| def.name == set.key);
            let optimizers = made.optimizers.iter_mut().map(|group| &mut group.optimizer);
            let mut calls: Vec<&mut Call> = optimizers.filter(|call| has(call)).collect();
            if calls.is_empty() {
                calls = made.schedule.iter_mut().filter(|call| has(call)).collect();
            }
            for call in calls {
                self.used_sets.insert(index);
                self.set_attr(set, call);
            }
        }
    }

    pub(super) fn set_attr(&mut self, set: &'a Set, call: &mut Call) {
        let expr = set.setting.as_ref().and_then(|setting| self.expression(setting));
        let outer = self.report_at.replace(call.span);
        match expr {
            Some(expr) => {
                let value = self.eval(expr);
                let name = Name { text: set.key.clone(), span: expr.span };
                let given = super::value::Given {
                    name: Some(name),
                    value,
                    pin: None,
                    span: expr.span,
                    value_span: expr.span,
                    items: vec![],
                    hyper: false,
                };
                let defs = call.attrs.defs();
                if let Some(attr) = self.one_attr(defs, &call.name, given) {
                    call.attrs = call.attrs.replaced(&set.key, attr);
                    let sound = self.plain_numbers(call);
                    if sound && optim::find_optimizer(&call.name).is_some() {
                        self.sound_optimizer(call);
                    }
                }
            }
            None => {
                let text = format!("`--set train.{}={}` cannot be read", set.key, set.text);
                self.report(Diagnostic::error("attr::set", text, call.span, "set from outside"));
            }
        }
        self.report_at = outer;
    }
}
