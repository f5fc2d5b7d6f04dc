//! `--set key=value`: hyperparameters and settings from the command line, read as the file's own text is.

use super::Elab;
use super::scope::near;
use super::settings::setting_names;
use super::value::Static;
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{Entry, Expr, Setting};
use crate::syntax::parse;
use crate::text::Span;

/// One `--set`, read.
#[derive(Debug)]
pub(super) struct Set {
    /// `depth`, or the setting's name after `train.`.
    pub key: String,
    /// The value as typed.
    pub text: String,
    /// For a hyperparameter: the value.
    pub expr: Option<Expr>,
    /// For the train section: the setting as if it were written there.
    pub setting: Option<Setting>,
    /// Whether it is meant for the train section.
    pub train: bool,
}

/// Reads the values; their spans name a file that does not exist, and never reach a report.
pub(super) fn read(sets: &[(String, String)], file: u16) -> Vec<Set> {
    sets.iter().map(|(key, text)| read_one(key, text, file)).collect()
}

fn read_one(key: &str, text: &str, file: u16) -> Set {
    let text = text.trim().to_string();
    let one_line = !text.contains(['\n', ';', '{', '}']);
    match key.strip_prefix("train.") {
        Some(setting) => {
            let parsed = parse(file, &format!("train m {{\n{setting} {text}\n}}\n"));
            let sound = one_line && parsed.diagnostics.is_empty();
            let read = parsed.file.entries.into_iter().find_map(|entry| match entry {
                Entry::Train(train) if train.settings.len() == 1 => train.settings.into_iter().next(),
                Entry::Dim(..) | Entry::Use(..) | Entry::Block(_) | Entry::Model(_) | Entry::Train(_) => None,
            });
            Set { key: setting.into(), text, expr: None, setting: read.filter(|_| sound), train: true }
        }
        None => {
            let parsed = parse(file, &format!("block m(v = {text}) {{\nit\n}}\n"));
            let sound = one_line && parsed.diagnostics.is_empty();
            let read = parsed.file.entries.into_iter().find_map(|entry| match entry {
                Entry::Block(block) if block.params.len() == 1 => block.params.into_iter().next()?.default,
                Entry::Dim(..) | Entry::Use(..) | Entry::Block(_) | Entry::Model(_) | Entry::Train(_) => None,
            });
            Set { key: key.into(), text, expr: read.filter(|_| sound), setting: None, train: false }
        }
    }
}

impl<'a> Elab<'a> {
    /// What `--set` says for a hyperparameter of the model; mistakes are reported at its name.
    pub(super) fn set_value(&mut self, name: &str, default: Option<&Static>, span: Span) -> Option<Static> {
        let sets: &'a [Set] = self.sets;
        let (index, set) = sets.iter().enumerate().rev().find(|(_, set)| !set.train && set.key == name)?;
        self.used_sets.insert(index);
        for (earlier, other) in sets.iter().enumerate() {
            if !other.train && other.key == name {
                self.used_sets.insert(earlier);
            }
        }
        let Some(expr) = &set.expr else {
            let text = format!("`--set {name}={}` cannot be read", set.text);
            self.report(Diagnostic::error("attr::set", text, span, "set from outside"));
            return Some(Static::Unknown);
        };
        let outer = self.report_at.replace(span);
        let value = self.eval(expr);
        self.report_at = outer;
        Some(self.checked_set(name, &set.text, value, default, span))
    }

    /// A set value must be of its default's kind; a bare word is a string where the default is one.
    fn checked_set(&mut self, name: &str, text: &str, value: Static, default: Option<&Static>, span: Span) -> Static {
        let number = |value: &Static| matches!(value, Static::Int(_) | Static::Float(_) | Static::Ratio(..));
        let wanted = match (default, &value) {
            (Some(Static::Str(_)), Static::Word(_) | Static::Stage(_) | Static::Init(_) | Static::Bool(_)) => {
                return Static::Str(text.into());
            }
            (_, Static::Unknown) => return value,
            (Some(default), value) if number(default) && !number(value) && !matches!(value, Static::None) => "a number",
            (Some(Static::Bool(_)), value) if !matches!(value, Static::Bool(_)) => "true or false",
            (Some(Static::Stage(_)), value) if !matches!(value, Static::Stage(_) | Static::None) => "a stage",
            (Some(Static::List(_)), value) if !matches!(value, Static::List(_)) => "a list",
            (_, Static::Word(_)) => "a value",
            _ => return value,
        };
        let mut message = format!("`--set {name}={text}`: `{name}` is {wanted}, and `{text}` is {}", value.kind());
        if let Some(meant) = self.meant_stage(text).filter(|_| wanted == "a stage") {
            message.push_str(&format!("; did you mean `{meant}`?"));
        }
        self.report(Diagnostic::error("attr::set", message, span, format!("{wanted} is wanted")));
        Static::Unknown
    }

    /// `--set` keys that reached nothing.
    pub(super) fn unused_sets(&mut self) {
        let sets: &'a [Set] = self.sets;
        let files = self.files;
        let entries = files.first().map_or(&[][..], |file| &file.entries);
        for (index, set) in sets.iter().enumerate() {
            if self.used_sets.contains(&index) {
                continue;
            }
            let mut names: Vec<String> = vec![];
            let mut place = None;
            for entry in entries {
                match entry {
                    Entry::Model(model) if !set.train => {
                        place = place.or(Some(model.name.span));
                        names.extend(model.params.iter().map(|param| param.name.text.clone()));
                    }
                    Entry::Train(train) if set.train => {
                        place = place.or(Some(train.header));
                        names.extend(setting_names().map(str::to_string));
                        names.extend(self.train_attrs.iter().cloned());
                        names.extend(self.declared().keys().cloned());
                    }
                    Entry::Model(_) | Entry::Train(_) | Entry::Dim(..) | Entry::Use(..) | Entry::Block(_) => {}
                }
            }
            let (kind, key) = match set.train {
                true => ("train section has a setting", format!("train.{}", set.key)),
                false => ("model has a hyperparameter", set.key.clone()),
            };
            let mut text = format!("`--set {key}={}`: no {kind} `{}`", set.text, set.key);
            if let Some(meant) = near(&set.key, names.iter().map(String::as_str)) {
                text.push_str(&format!("; did you mean `{meant}`?"));
            }
            let report = Diagnostic::error("name::set", text, place.unwrap_or_default(), "nothing here is called so");
            self.report(report);
        }
    }
}
