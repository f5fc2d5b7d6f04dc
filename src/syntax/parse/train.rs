//! The train section.

use super::super::ast::*;
use super::super::errors;
use super::super::grammar::Rule;
use super::expr::poisoned;
use super::{Kids, Tree, unquoted};
use crate::text::Span;
use pest::iterators::Pair;

impl Tree<'_> {
    pub(super) fn train(&mut self, pair: Pair<'_, Rule>) -> Option<Train> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let keyword = kids.take(Rule::kw_train).map_or(span, |word| self.span(&word));
        let label = kids.take(Rule::label).and_then(|label| label.into_inner().next());
        let label = label.map(|label| self.name(label, errors::Role::Label));
        let colon = label.as_ref().map(|label| label.span.end as usize);
        let call = kids.take(Rule::call);
        let below =
            |call: &Pair<'_, Rule>| colon.is_some_and(|colon| self.text[colon..call.as_span().start()].contains('\n'));
        if let Some(label) = label.as_ref().filter(|_| call.as_ref().is_some_and(below)) {
            // `train net:` with its settings below, as Python has bodies.
            self.report(errors::colon_body(self.text, label.span));
            return None;
        }
        let model = call.map(|call| self.call(call, errors::Role::Model));
        let junk = kids.take(Rule::sig_junk).map(|junk| self.span(&junk));
        let settings = kids.take(Rule::settings);
        let end = settings.as_ref().map_or(span.end as usize, |settings| settings.as_span().start());
        let header = self.trimmed(Span::new(self.file, span.start as usize, end));
        if let Some(junk) = junk {
            self.report(errors::in_header(self.text, header, junk, settings.is_some()));
        } else if model.is_none() {
            self.report(errors::missing_name(self.text, keyword, "train", "train mlp { … }"));
        } else if settings.is_none() {
            self.report(errors::missing_body(self.text, header));
        }
        let settings = settings.map(|settings| self.settings(settings)).unwrap_or_default();
        Some(Train { label, model: model?, settings, span, header })
    }

    fn settings(&mut self, pair: Pair<'_, Rule>) -> Vec<Setting> {
        let mut settings = vec![];
        for kid in pair.into_inner() {
            let span = self.span(&kid);
            match kid.as_rule() {
                Rule::lead => self.report(errors::leading_separator(self.text, span)),
                Rule::setting => settings.extend(self.setting(kid)),
                _ => {}
            }
        }
        settings
    }

    fn setting(&mut self, pair: Pair<'_, Rule>) -> Option<Setting> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let Some(name) = kids.take(Rule::name_any) else {
            self.report(errors::unreadable_setting(self.text, span));
            return None;
        };
        // A setting's name may be any word: `model` and the like are told by whoever knows the settings.
        let name = Name { text: name.as_str().to_string(), span: self.span(&name) };
        let mut signs: Option<Span> = None;
        while let Some(sign) = kids.take(Rule::extra_eq) {
            signs = Some(signs.unwrap_or(self.span(&sign)).to(self.span(&sign)));
        }
        if let Some(signs) = signs {
            self.report(errors::setting_with_sign(self.text, &name, signs));
        }
        let pattern = kids.take(Rule::string).map(|string| (unquoted(string.as_str()), self.span(&string)));
        let value = kids.next();
        let (value, junk) = match value {
            Some(pair) if pair.as_rule() == Rule::junk => (None, Some(pair)),
            value => (value, kids.take(Rule::junk)),
        };
        let junk = junk.map(|junk| self.span(&junk));
        if let Some(junk) = junk {
            let good = value.as_ref().map_or(name.span, |value| self.span(value));
            self.report(errors::in_setting(self.text, &name, good, junk));
        }
        let value = match value {
            None if junk.is_some() => SettingValue::Broken,
            None => SettingValue::None,
            Some(value) => self.setting_value(value, junk.is_some()),
        };
        Some(Setting { name, pattern, value, span })
    }

    fn setting_value(&mut self, pair: Pair<'_, Rule>, told: bool) -> SettingValue {
        match pair.as_rule() {
            Rule::body => SettingValue::Body(self.body(pair)),
            Rule::typed_names => {
                let ports: Vec<_> = pair.into_inner().filter_map(|port| self.typed_name(port)).collect();
                if ports.is_empty() { SettingValue::Broken } else { SettingValue::Ports(ports) }
            }
            Rule::bound => {
                let (lhs, flow) = self.bound(pair, told);
                SettingValue::Flow(lhs, if told { poisoned(flow) } else { flow })
            }
            Rule::flow => {
                let flow = self.flow(pair);
                SettingValue::Flow(None, if told { poisoned(flow) } else { flow })
            }
            _ => SettingValue::Broken,
        }
    }

    /// `y: i64[batch]`.
    fn typed_name(&mut self, pair: Pair<'_, Rule>) -> Option<(Name, Typed)> {
        let mut kids = Kids::of(pair);
        let name = kids.take(Rule::name_any).map(|name| self.name(name, errors::Role::Value))?;
        kids.take(Rule::colon);
        match kids.take(Rule::typed) {
            Some(ty) => Some((name, self.typed(ty))),
            None => {
                self.report(errors::missing_type(self.text, name.span));
                None
            }
        }
    }
}
