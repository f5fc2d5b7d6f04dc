//! The plain settings of a train section: numbers, flags, and entries of the other catalogues.

use super::Elab;
use super::bind::Called;
use super::scope::near;
use super::sets::Set;
use super::value::{Elem, Static};
use crate::data;
use crate::diagnostic::Diagnostic;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind};
use crate::ir::structured::{PortDef, Region};
use crate::ir::training::{Call, Clip, Group, Length, Valid};
use crate::ops::foreign;
use crate::optim;
use crate::syntax::ast::{self, Expr, ExprKind, Flow, SettingValue, StageKind};
use crate::text::Span;
use indexmap::IndexMap;

/// The settings of a train section, but for dims.
pub(super) const SETTINGS: &[&str] = &[
    "target",
    "loss",
    "metric",
    "optimizer",
    "freeze",
    "watch",
    "schedule",
    "data",
    "valid",
    "batch",
    "steps",
    "epochs",
    "clip",
    "shuffle",
    "drop_last",
    "seed",
    "save",
    "eval_every",
];

/// Whether a setting is a target, perhaps by another word for it.
pub(super) fn is_target(name: &str) -> bool {
    name == "target" || foreign::listed(foreign::SETTINGS, name) == Some("target")
}

/// Settings that may stand several times.
pub(super) const MANY: &[&str] = &["target", "metric", "optimizer", "freeze", "watch"];

const CLIP_NORM: &[AttrDef] = &[
    AttrDef::required("max", &[AttrKind::Number], "the largest norm").within(crate::ir::attr::Domain::Positive),
    AttrDef::new("p", &[AttrKind::Number], AttrDefault::Float(2.0), "which norm")
        .within(crate::ir::attr::Domain::Positive),
];

const CLIP_VALUE: &[AttrDef] =
    &[AttrDef::required("max", &[AttrKind::Number], "the largest value").within(crate::ir::attr::Domain::Positive)];

/// Settings that a pattern of paths may follow.
pub(super) const PATTERNED: &[&str] = &["optimizer", "freeze", "watch"];

/// Those of them that are a pattern, and nothing more.
pub(super) const NO_VALUE: &[&str] = &["freeze", "watch"];

/// A section while it is read.
pub(super) struct Section {
    pub(super) targets: Vec<PortDef>,
    pub(super) outputs: Vec<Elem>,
    pub(super) target_elems: Vec<Elem>,
    pub(super) derived: Region,
    pub(super) made: Made,
}

/// The settings that are no values.
#[derive(Default)]
pub(super) struct Made {
    pub(super) optimizers: Vec<Group>,
    pub(super) freeze: Vec<String>,
    pub(super) watch: Vec<String>,
    pub(super) schedule: Vec<Call>,
    pub(super) data: Option<Call>,
    pub(super) valid: Option<Valid>,
    pub(super) sizes: Vec<(String, u64)>,
    pub(super) batch: Option<u64>,
    pub(super) length: Option<Length>,
    pub(super) clip: Option<Clip>,
    pub(super) shuffle: Option<bool>,
    pub(super) drop_last: bool,
    pub(super) seed: u64,
    pub(super) save: Option<u64>,
    pub(super) eval_every: Option<u64>,
}

/// The tables of a train section.
#[derive(Clone, Copy)]
pub(super) enum Table {
    Optimizers,
    Schedules,
    Sources,
}

impl<'a> Elab<'a> {
    /// The settings of the section, those of `--set` in place of theirs.
    pub(super) fn settings(&mut self, train: &'a ast::Train) -> Vec<(&'a ast::Setting, Option<Span>)> {
        let sets: &'a [Set] = self.sets;
        let mut settings: Vec<(&'a ast::Setting, Option<Span>)> = vec![];
        let mut seen: IndexMap<&str, Span> = IndexMap::new();
        for setting in &train.settings {
            let name = setting.name.text.as_str();
            let known = SETTINGS.contains(&name) || self.declared().contains_key(name);
            if !known {
                if !self.unknown_dims.iter().any(|dim| dim == name) && !self.faulty(setting.span) {
                    self.report_setting(setting);
                }
                if is_target(name) {
                    // It is read as what it was meant to be: the loss has its target.
                    settings.push((setting, None));
                }
                continue;
            }
            if self.faulty(setting.span) {
                continue;
            }
            if let (Some(first), false) = (seen.insert(name, setting.span), MANY.contains(&name)) {
                let text = format!("`{name}` is set twice");
                let report = Diagnostic::error("train::twice", text, setting.span, "again here");
                self.report(report.label(first, "first here"));
                continue;
            }
            settings.push((setting, None));
        }
        for (index, set) in sets.iter().enumerate().filter(|(_, set)| set.train) {
            if !SETTINGS.contains(&set.key.as_str()) && !self.declared().contains_key(&set.key) {
                continue;
            }
            self.used_sets.insert(index);
            match &set.setting {
                Some(setting) => {
                    settings.retain(|(old, _)| old.name.text != set.key);
                    settings.push((setting, Some(train.header)));
                }
                None => {
                    let text = format!("`--set train.{}={}` cannot be read", set.key, set.text);
                    self.report(Diagnostic::error("attr::set", text, train.header, "set from outside"));
                }
            }
        }
        settings
    }

    pub(super) fn plain_settings(&mut self, settings: &[(&'a ast::Setting, Option<Span>)], section: &mut Section) {
        for &(setting, at) in settings {
            let outer = std::mem::replace(&mut self.report_at, at);
            self.plain_setting(setting, section);
            self.report_at = outer;
        }
        self.set_optimizer_attrs(&mut section.made);
    }

    pub(super) fn plain_setting(&mut self, setting: &'a ast::Setting, section: &mut Section) {
        let made = &mut section.made;
        let pattern = setting.pattern.as_ref().map(|(text, _)| text.clone());
        // A text alone is a value in quotes, of which each setting says what it takes instead.
        let alone = matches!(setting.value, SettingValue::None);
        if pattern.is_some() && !alone && !PATTERNED.contains(&setting.name.text.as_str()) {
            return self
                .report_value(setting, "no text: only `optimizer`, `freeze` and `watch` take a pattern of paths");
        }
        match setting.name.text.as_str() {
            "loss" | "metric" => {}
            name if is_target(name) => {}
            "optimizer" => {
                if let Some(optimizer) = self.catalogue_call(setting, "optimizer", Table::Optimizers)
                    && self.sound_optimizer(&optimizer)
                {
                    made.optimizers.push(Group { pattern, optimizer });
                }
            }
            "freeze" => match pattern {
                Some(pattern) => made.freeze.push(pattern),
                None => self.report_value(setting, "a pattern of paths: `freeze \"*.base.*\"`"),
            },
            "watch" => match pattern {
                Some(pattern) if made.watch.contains(&pattern) => {}
                Some(pattern) => made.watch.push(pattern),
                None => self.report_value(setting, "a pattern of paths: `watch \"head.*\"`"),
            },
            "schedule" => made.schedule = self.schedule(setting),
            "data" => made.data = self.catalogue_call(setting, "source", Table::Sources),
            "valid" => made.valid = self.valid(setting),
            "batch" => made.batch = self.count(setting, 1).or(made.batch),
            "steps" => self.length(setting, made, Length::Steps),
            "epochs" => self.length(setting, made, Length::Epochs),
            "clip" => made.clip = self.clip(setting),
            "shuffle" => made.shuffle = self.flag(setting),
            "drop_last" => made.drop_last = self.flag(setting).unwrap_or(false),
            "seed" => made.seed = self.count(setting, 0).unwrap_or(0),
            "save" => made.save = self.count(setting, 1),
            "eval_every" => made.eval_every = self.count(setting, 1),
            dim => {
                if let Some(size) = self.count(setting, 1) {
                    made.sizes.push((dim.into(), size));
                }
            }
        }
    }

    /// The one expression that a setting is given.
    pub(super) fn expression(&mut self, setting: &'a ast::Setting) -> Option<&'a Expr> {
        if let SettingValue::Flow(None, flow) = &setting.value
            && let [stage] = flow.stages.as_slice()
            && let StageKind::Expr(expr) = &stage.kind
        {
            return Some(expr);
        }
        None
    }

    pub(super) fn count(&mut self, setting: &'a ast::Setting, least: i64) -> Option<u64> {
        let Some(expr) = self.expression(setting) else {
            self.report_value(setting, "a number");
            return None;
        };
        let value = self.eval(expr);
        match self.plain(&value) {
            Static::Int(n) if n >= least => u64::try_from(n).ok(),
            Static::Unknown => None,
            Static::Word(word) => {
                self.unknown_word(&word, expr.span);
                None
            }
            other => {
                let shown = self.shown(&other);
                let text = format!("`{}` takes an integer of at least {least}, and this is {shown}", setting.name.text);
                let report = Diagnostic::error("train::number", text, expr.span, format!("this is {shown}"));
                let whole = other.float().filter(|x| *x == x.trunc() && *x >= least as f64 && *x < 1e15);
                self.report(match whole {
                    Some(x) => report.fix(expr.span, format!("{x}"), self.mended(expr.span, &format!("{x}"))),
                    None => report,
                });
                None
            }
        }
    }

    pub(super) fn flag(&mut self, setting: &'a ast::Setting) -> Option<bool> {
        let value = self.expression(setting).map(|expr| self.eval(expr));
        match value {
            Some(Static::Bool(value)) => Some(value),
            Some(Static::Unknown) => None,
            Some(Static::Word(word)) => {
                let span = self.expression(setting).map_or(setting.span, |expr| expr.span);
                self.unknown_word(&word, span);
                None
            }
            Some(_) | None => {
                self.report_value(setting, "true or false");
                None
            }
        }
    }

    pub(super) fn length(&mut self, setting: &'a ast::Setting, made: &mut Made, length: fn(u64) -> Length) {
        let count = self.count(setting, 1);
        // What comes from outside replaces what stands in the file.
        if made.length.is_some() && self.report_at.is_none() {
            let text = "`steps` and `epochs` both say how long: one is enough";
            self.report(Diagnostic::error("train::length", text, setting.span, "the second"));
            return;
        }
        made.length = count.map(length).or(made.length);
    }

    pub(super) fn valid(&mut self, setting: &'a ast::Setting) -> Option<Valid> {
        let wants = "a fraction between 0 and 1, or a source";
        let Some(expr) = self.expression(setting) else {
            self.report_value(setting, wants);
            return None;
        };
        if matches!(expr.kind, ExprKind::Int(_) | ExprKind::Float(_)) {
            let value = self.eval(expr);
            let share = value.float().filter(|x| *x > 0.0 && *x < 1.0);
            if share.is_none() {
                self.report_value(setting, wants);
            }
            return share.map(Valid::Fraction);
        }
        self.catalogue_call(setting, "source", Table::Sources).map(Valid::Source)
    }

    pub(super) fn clip(&mut self, setting: &'a ast::Setting) -> Option<Clip> {
        let wants = "`norm(1.0)` or `value(0.5)`";
        let call = match self.expression(setting).map(|expr| &expr.kind) {
            Some(ExprKind::Call(call)) if matches!(call.name.text.as_str(), "norm" | "value") => call,
            _ => {
                self.report_value(setting, wants);
                return None;
            }
        };
        let norm = call.name.text == "norm";
        let defs = if norm { CLIP_NORM } else { CLIP_VALUE };
        let call = self.bind_call(defs, call)?;
        let max = call.attrs.float("max")?;
        Some(if norm { Clip::Norm(max, call.attrs.float("p").unwrap_or(2.0)) } else { Clip::Value(max) })
    }

    pub(super) fn bind_call(&mut self, defs: &'static [AttrDef], call: &'a ast::Call) -> Option<Call> {
        let given = call.args.as_ref().map_or(vec![], |args| self.given(args));
        let called = Called { defs, word: &call.name.text, span: call.span };
        let bound = self.bind(called, &given, None)?;
        self.train_attrs.extend(defs.iter().filter(|def| !def.name.starts_with('.')).map(|def| def.name.to_string()));
        let call = Call { name: call.name.text.clone(), attrs: bound.attrs, span: call.span };
        self.plain_numbers(&call).then_some(call)
    }

    /// A size that only the data decide, or infinity, is no number for a run. (The norm of p = inf is the largest.)
    pub(super) fn plain_numbers(&mut self, call: &Call) -> bool {
        let wrong = call.attrs.defs().iter().zip(call.attrs.values()).find(|(def, value)| match value {
            Attr::Dim(_) => true,
            Attr::Float(x) => !x.is_finite() && def.name != "p",
            Attr::List(items) => items.iter().any(|item| matches!(item, Attr::Float(x) if !x.is_finite())),
            _ => false,
        });
        let Some((def, value)) = wrong else { return true };
        let must = if matches!(value, Attr::Dim(_)) { "a number, not a declared dim" } else { "finite" };
        self.report_unsound(call, def.name, must);
        false
    }

    fn report_unsound(&mut self, call: &Call, attr: &str, must: &str) {
        let text = format!("`{attr}` of `{}` must be {must}", call.name);
        self.report(Diagnostic::error("attr::domain", text, call.span, "does not fit"));
    }

    pub(super) fn catalogue_call(&mut self, setting: &'a ast::Setting, kind: &str, table: Table) -> Option<Call> {
        match self.expression(setting).map(|expr| &expr.kind) {
            Some(ExprKind::Call(call)) => self.table_call(call, kind, table),
            _ => {
                let article = if kind.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
                self.report_value(setting, &format!("the name of {article} {kind}"));
                None
            }
        }
    }

    pub(super) fn table_call(&mut self, call: &'a ast::Call, kind: &str, table: Table) -> Option<Call> {
        let word = call.name.text.as_str();
        match table.find(word) {
            Some(defs) => self.bind_call(defs, call),
            None => {
                let text = format!("there is no {kind} `{word}`");
                let report = Diagnostic::error(table.code(), text, call.name.span, "unknown");
                let names = table.names();
                let lower = word.to_lowercase();
                let meant = names.iter().copied().find(|name| *name == lower).or(near(&lower, names.iter().copied()));
                let theirs = foreign::find(word).map(|entry| entry.ours).filter(|ours| names.contains(ours));
                let report = match (theirs, meant) {
                    (Some(theirs), _) => self.meant_entry(report, call, theirs),
                    (None, Some(meant)) => self.meant_name(report, call.name.span, meant),
                    (None, None) if matches!(table, Table::Sources) && word.to_lowercase().contains("mnist") => {
                        report.note("its files are read by `idx(images, labels)`: `data idx(\"train-images-idx3-ubyte\", \"train-labels-idx1-ubyte\")`")
                    }
                    (None, None) => report.note(format!("there are {}", names.join(", "))),
                };
                self.report(report);
                None
            }
        }
    }

    /// An entry by another library's name, with its arguments under ours.
    fn meant_entry(&self, mut report: Diagnostic, call: &ast::Call, meant: &str) -> Diagnostic {
        report.labels[0].text = format!("here it is `{meant}`");
        let ours = match &call.args {
            Some(_) => super::python::translated(self.written(call.span)).map(|ours| ours.text),
            None => Some(meant.to_string()),
        };
        match ours {
            Some(ours) => report.fix(call.span, ours.clone(), self.mended(call.span, &ours)),
            None => self.meant_name(report, call.name.span, meant),
        }
    }

    /// Attributes that are right one by one may not fit together.
    pub(super) fn sound_optimizer(&mut self, call: &Call) -> bool {
        let Some(def) = optim::find_optimizer(&call.name) else { return false };
        let Err((attr, must)) = (def.sound)(&call.attrs) else { return true };
        self.report_unsound(call, attr, must);
        false
    }

    pub(super) fn schedule(&mut self, setting: &'a ast::Setting) -> Vec<Call> {
        let SettingValue::Flow(None, Flow { stages, .. }) = &setting.value else {
            self.report_value(setting, "schedules: `warmup(200) |> cosine(5000)`");
            return vec![];
        };
        let mut calls = vec![];
        for stage in stages {
            match &stage.kind {
                StageKind::Expr(Expr { kind: ExprKind::Call(call), .. }) => {
                    calls.extend(self.table_call(call, "schedule", Table::Schedules));
                }
                _ => {
                    let text = "a schedule is a name with its numbers: `warmup(200) |> cosine(5000)`";
                    self.report(Diagnostic::error("train::value", text, stage.span, "not a schedule"));
                }
            }
        }
        for pair in calls.windows(2) {
            let length = optim::find_schedule(&pair[0].name).and_then(|def| (def.length)(&pair[0].attrs));
            if length.is_none() {
                let text = format!("`{}` lasts for ever: `{}` never begins", pair[0].name, pair[1].name);
                self.report(
                    Diagnostic::error("train::endless", text, pair[1].span, "never reached")
                        .label(pair[0].span, "has no end"),
                );
            }
        }
        calls
    }
}

/// The names of all settings.
pub(super) fn setting_names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().copied()
}

impl Table {
    fn find(self, word: &str) -> Option<&'static [AttrDef]> {
        match self {
            Table::Optimizers => optim::find_optimizer(word).map(|def| def.attrs),
            Table::Schedules => optim::find_schedule(word).map(|def| def.attrs),
            Table::Sources => data::find_source(word).map(|def| def.attrs),
        }
    }

    fn names(self) -> Vec<&'static str> {
        match self {
            Table::Optimizers => optim::OPTIMIZERS.iter().map(|def| def.name).collect(),
            Table::Schedules => optim::SCHEDULES.iter().map(|def| def.name).collect(),
            Table::Sources => data::SOURCES.iter().map(|def| def.name).collect(),
        }
    }

    fn code(self) -> &'static str {
        match self {
            Table::Optimizers => "train::optimizer",
            Table::Schedules => "train::schedule",
            Table::Sources => "train::source",
        }
    }
}
