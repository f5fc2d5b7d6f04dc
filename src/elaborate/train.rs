//! The train section: targets, loss and metrics over the model's values; everything else from its own tables.

use super::Elab;
use super::bind::Called;
use super::body::It;
use super::path::Adds;
use super::scope::{Bound, Meaning, near};
use super::sets::Set;
use super::value::{Elem, Static, Val};
use crate::data;
use crate::diagnostic::Diagnostic;
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs};
use crate::ir::params;
use crate::ir::structured::{Item, PortDef, Region, Tail, ValueId};
use crate::ir::training::{Call, Clip, Group, Length, Training, Valid};
use crate::ops;
use crate::optim;
use crate::syntax::ast::{self, Block, Expr, ExprKind, Flow, Lhs, Name, SettingValue, StageKind};
use crate::tensor::DType;
use crate::text::Span;
use indexmap::IndexMap;

/// The settings of a train section, but for dims.
const SETTINGS: &[&str] = &[
    "target",
    "loss",
    "metric",
    "optimizer",
    "freeze",
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

/// Settings that may stand several times.
const MANY: &[&str] = &["target", "metric", "optimizer", "freeze"];

/// The names of all settings.
pub(super) fn setting_names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().copied()
}

const CLIP_NORM: &[AttrDef] = &[
    AttrDef::required("max", &[AttrKind::Number], "the largest norm").within(crate::ir::attr::Domain::Positive),
    AttrDef::new("p", &[AttrKind::Number], AttrDefault::Float(2.0), "which norm")
        .within(crate::ir::attr::Domain::Positive),
];

const CLIP_VALUE: &[AttrDef] =
    &[AttrDef::required("max", &[AttrKind::Number], "the largest value").within(crate::ir::attr::Domain::Positive)];

/// A section while it is read.
struct Section {
    targets: Vec<PortDef>,
    outputs: Vec<Elem>,
    target_elems: Vec<Elem>,
    derived: Region,
    made: Made,
}

/// The settings that are no values.
#[derive(Default)]
struct Made {
    optimizers: Vec<Group>,
    freeze: Vec<String>,
    schedule: Vec<Call>,
    data: Option<Call>,
    valid: Option<Valid>,
    sizes: Vec<(String, u64)>,
    batch: Option<u64>,
    length: Option<Length>,
    clip: Option<Clip>,
    shuffle: Option<bool>,
    drop_last: bool,
    seed: u64,
    save: Option<u64>,
    eval_every: Option<u64>,
}

impl<'a> Elab<'a> {
    /// Elaborates a train section. `known`: its model, and whether that was sound.
    pub(super) fn train(&mut self, train: &'a ast::Train, known: Option<(&'a Block, bool)>) -> Option<Training> {
        self.fresh();
        let Some((model, sound)) = known else {
            self.report_no_model(train);
            return None;
        };
        let before = self.reports.len();
        let overrides = self.overrides(train, model);
        let read = if self.faulty(model.header) { None } else { self.read_model(model, &overrides) };
        let body = self.regions.pop().unwrap_or_default();
        let settings = self.settings(train);
        let mut section = Section {
            targets: vec![],
            outputs: vec![],
            target_elems: vec![],
            derived: Region::default(),
            made: Made::default(),
        };
        if let Some(read) = &read {
            section.outputs = read
                .outputs
                .iter()
                .map(|port| Elem { name: None, val: Val::One(port.value), span: port.span })
                .collect();
            self.train_scope(read);
        }
        let values = read.is_some() && sound;
        if values {
            self.targets(&settings, &mut section);
        }
        self.plain_settings(&settings, &mut section);
        let loss = if values { self.loss(train, &settings, &mut section) } else { None };
        let metrics = if values { self.metrics(&settings, &section, loss.as_ref()) } else { vec![] };
        let (read, mut loss) = (read?, loss?);
        self.regions.push(body);
        let mut structured = self.close_model(&model.name.text, read);
        self.check_patterns(&settings, &structured);
        self.settle_reports();
        if self.reports.len() > before || !sound {
            return None;
        }
        let mut metrics = metrics;
        if let Some(resolved) = self.resolved.take() {
            resolved.fill(&mut loss.region);
            metrics.iter_mut().for_each(|(_, tail)| resolved.fill(&mut tail.region));
        }
        structured.name.clone_from(&model.name.text);
        Some(self.finished(train, structured, section, loss, metrics))
    }

    /// A pattern that no parameter fits does nothing.
    fn check_patterns(
        &mut self,
        settings: &[(&'a ast::Setting, Option<Span>)],
        model: &crate::ir::structured::Structured,
    ) {
        let params: Vec<params::Param> = params::parameters(model).collect();
        for (setting, _) in settings {
            let Some((pattern, span)) = &setting.pattern else { continue };
            if params.iter().any(|param| param.fits(pattern)) {
                continue;
            }
            let text = format!("no parameter fits the pattern \"{pattern}\"");
            let report = Diagnostic::error("train::pattern", text, *span, "fits nothing");
            let paths: Vec<String> = params.iter().map(params::Param::shown).collect();
            let stem = pattern.trim_matches(['*', '.']);
            let known = paths.iter().flat_map(|path| path.split('.'));
            let note = match near(stem, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the parameters: {}", paths.iter().take(4).cloned().collect::<Vec<_>>().join(", ")),
            };
            self.report(report.note(note));
        }
    }

    fn finished(
        &self,
        train: &ast::Train,
        model: crate::ir::structured::Structured,
        section: Section,
        loss: Tail,
        metrics: Vec<(String, Tail)>,
    ) -> Training {
        let made = section.made;
        let batch = made.batch.unwrap_or(32);
        let mut sizes = made.sizes;
        if let Some(name) = batch_dim(&model)
            && !sizes.iter().any(|(dim, _)| *dim == name)
        {
            sizes.insert(0, (name, batch));
        }
        let mut optimizers = made.optimizers;
        if !optimizers.iter().any(|group| group.pattern.is_none())
            && let Some(def) = optim::find_optimizer("adamw")
        {
            let attrs = Attrs::with(def.attrs, &[("lr", Attr::Float(1e-3))]);
            let optimizer = Call { name: def.name.into(), attrs, span: train.header };
            optimizers.push(Group { pattern: None, optimizer });
        }
        Training {
            label: train.label.as_ref().map(|label| label.text.clone()),
            model,
            targets: section.targets,
            loss,
            metrics,
            optimizers,
            freeze: made.freeze,
            schedule: made.schedule,
            data: made.data,
            valid: made.valid,
            sizes,
            batch,
            length: made.length,
            clip: made.clip,
            shuffle: made.shuffle.unwrap_or(true),
            drop_last: made.drop_last,
            seed: made.seed,
            save: made.save,
            eval_every: made.eval_every,
            span: train.span,
        }
    }

    fn report_no_model(&mut self, train: &'a ast::Train) {
        let name = &train.model.name;
        let entries = self.files.first().map_or(&[][..], |file| &file.entries);
        let models = entries.iter().filter_map(|entry| match entry {
            ast::Entry::Model(model) => Some(model.name.text.as_str()),
            _ => None,
        });
        let models: Vec<&str> = models.collect();
        let report =
            Diagnostic::error("name::model", format!("there is no model `{}`", name.text), name.span, "unknown");
        let report = match near(&name.text, models.iter().copied()) {
            Some(meant) => self.meant_name(report, name.span, meant),
            None => report.note(format!("the models of this file: {}", models.join(", "))),
        };
        self.report(report);
    }

    /// `train m(d = 64)`: the section's own hyperparameters.
    fn overrides(&mut self, train: &'a ast::Train, model: &'a Block) -> Vec<(String, Static, Span)> {
        let Some(args) = &train.model.args else { return vec![] };
        self.inst = super::scope::Inst { name: model.name.text.clone(), model: true, ..Default::default() };
        let given = self.given(args);
        let mut overrides = vec![];
        for (i, arg) in given.into_iter().enumerate() {
            let name = match &arg.name {
                Some(name) => Some(name.text.clone()),
                None => model.params.get(i).map(|param| param.name.text.clone()),
            };
            match name {
                Some(name) => overrides.push((name, arg.value, arg.span)),
                None => {
                    let text = format!(
                        "the model `{}` takes {} hyperparameters, not more",
                        model.name.text,
                        model.params.len()
                    );
                    self.report(Diagnostic::error("attr::too_many", text, arg.span, "one too many"));
                }
            }
        }
        overrides
    }

    /// The settings of the section, those of `--set` in place of theirs.
    fn settings(&mut self, train: &'a ast::Train) -> Vec<(&'a ast::Setting, Option<Span>)> {
        let sets: &'a [Set] = self.sets;
        let mut settings: Vec<(&'a ast::Setting, Option<Span>)> = vec![];
        let mut seen: IndexMap<&str, Span> = IndexMap::new();
        for setting in &train.settings {
            let name = setting.name.text.as_str();
            let known = SETTINGS.contains(&name) || self.declared.contains_key(name);
            if !known {
                if !self.unknown_dims.iter().any(|dim| dim == name) && !self.faulty(setting.span) {
                    self.report_setting(&setting.name);
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
            if !SETTINGS.contains(&set.key.as_str()) && !self.declared.contains_key(&set.key) {
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

    fn report_setting(&mut self, name: &Name) {
        let text = format!("a train section has no setting `{}`", name.text);
        let report = Diagnostic::error("train::setting", text, name.span, "unknown");
        let dims = self.declared.keys().map(String::as_str);
        let report = match near(&name.text, SETTINGS.iter().copied().chain(dims)) {
            Some(meant) => self.meant_name(report, name.span, meant),
            None if name.text == "lr" => report.note("it belongs to the optimizer: `optimizer adamw(lr = 1e-3)`"),
            None => report.note(format!("its settings are {}, and any declared dim", SETTINGS.join(", "))),
        };
        self.report(report);
    }

    /// Outputs and inputs by their names: what loss and metrics may use.
    fn train_scope(&mut self, read: &super::block::Read) {
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

    fn targets(&mut self, settings: &[(&'a ast::Setting, Option<Span>)], section: &mut Section) {
        for (setting, _) in settings.iter().filter(|(setting, _)| setting.name.text == "target") {
            match &setting.value {
                SettingValue::Ports(ports) => {
                    for (name, typed) in ports {
                        let Some(ty) = self.port_type(typed, None) else { continue };
                        let value = self.value(ty, None);
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
                    self.report(Diagnostic::error("train::target", text, setting.span, "not a target"));
                }
            }
        }
    }

    /// A target may carry the name of an output only if it hides nothing else.
    fn bind_target(&mut self, name: &Name, val: Val) {
        self.bind_name(name, Meaning::Value(val));
    }

    fn tuple(&self, section: &Section) -> Val {
        let elems: Vec<Elem> = section.outputs.iter().chain(&section.target_elems).cloned().collect();
        if elems.len() == 1 { elems[0].val.clone() } else { Val::Tuple(elems) }
    }

    fn loss(
        &mut self,
        train: &'a ast::Train,
        settings: &[(&'a ast::Setting, Option<Span>)],
        section: &mut Section,
    ) -> Option<Tail> {
        let Some((setting, _)) = settings.iter().find(|(setting, _)| setting.name.text == "loss") else {
            let known = |name: &str| SETTINGS.contains(&name) || self.declared.contains_key(name);
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
    fn tail_of(&mut self, setting: &'a ast::Setting, section: &Section) -> Option<Tail> {
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
                self.report(report.note("for instance `loss cross_entropy`, or `loss { (out, y) |> mse }`"));
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

    fn metrics(
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
            let count = metrics.iter().filter(|(name, _)| name.split('_').next() == Some(base.as_str())).count();
            let name = if count == 0 { base } else { format!("{base}_{}", count + 1) };
            metrics.push((name, tail));
        }
        if !given && let Some(tail) = loss.and_then(|loss| self.accuracy(loss)) {
            metrics.push(("accuracy".into(), tail));
        }
        metrics
    }

    /// Accuracy, where the loss is a cross entropy of classes.
    fn accuracy(&mut self, loss: &Tail) -> Option<Tail> {
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

    fn plain_settings(&mut self, settings: &[(&'a ast::Setting, Option<Span>)], section: &mut Section) {
        for &(setting, at) in settings {
            let outer = std::mem::replace(&mut self.report_at, at);
            self.plain_setting(setting, section);
            self.report_at = outer;
        }
        self.set_optimizer_attrs(&mut section.made);
    }

    fn plain_setting(&mut self, setting: &'a ast::Setting, section: &mut Section) {
        let made = &mut section.made;
        let pattern = setting.pattern.as_ref().map(|(text, _)| text.clone());
        match setting.name.text.as_str() {
            "target" | "loss" | "metric" => {}
            "optimizer" => {
                if let Some(optimizer) = self.catalogue_call(setting, "optimizer", Table::Optimizers) {
                    made.optimizers.push(Group { pattern, optimizer });
                }
            }
            "freeze" => match pattern {
                Some(pattern) => made.freeze.push(pattern),
                None => self.report_value(setting, "a pattern of paths: `freeze \"*.base.*\"`"),
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

    fn report_value(&mut self, setting: &ast::Setting, wants: &str) {
        if !matches!(setting.value, SettingValue::Broken) {
            let text = format!("`{}` takes {wants}", setting.name.text);
            self.report(Diagnostic::error("train::value", text, setting.span, "does not fit"));
        }
    }

    /// The one expression that a setting is given.
    fn expression(&mut self, setting: &'a ast::Setting) -> Option<&'a Expr> {
        if let SettingValue::Flow(None, flow) = &setting.value
            && let [stage] = flow.stages.as_slice()
            && let StageKind::Expr(expr) = &stage.kind
        {
            return Some(expr);
        }
        None
    }

    fn count(&mut self, setting: &'a ast::Setting, least: i64) -> Option<u64> {
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
                self.report(Diagnostic::error("train::number", text, expr.span, format!("this is {shown}")));
                None
            }
        }
    }

    fn flag(&mut self, setting: &'a ast::Setting) -> Option<bool> {
        let value = self.expression(setting).map(|expr| self.eval(expr));
        match value {
            Some(Static::Bool(value)) => Some(value),
            Some(Static::Unknown) => None,
            Some(_) | None => {
                self.report_value(setting, "true or false");
                None
            }
        }
    }

    fn length(&mut self, setting: &'a ast::Setting, made: &mut Made, length: fn(u64) -> Length) {
        let count = self.count(setting, 0);
        // What comes from outside replaces what stands in the file.
        if made.length.is_some() && self.report_at.is_none() {
            let text = "`steps` and `epochs` both say how long: one is enough";
            self.report(Diagnostic::error("train::length", text, setting.span, "the second"));
            return;
        }
        made.length = count.map(length).or(made.length);
    }

    fn valid(&mut self, setting: &'a ast::Setting) -> Option<Valid> {
        let expr = self.expression(setting)?;
        if matches!(expr.kind, ExprKind::Int(_) | ExprKind::Float(_)) {
            let value = self.eval(expr);
            let share = value.float().filter(|x| (0.0..1.0).contains(x));
            if share.is_none() {
                self.report_value(setting, "a fraction between 0 and 1, or a source");
            }
            return share.map(Valid::Fraction);
        }
        self.catalogue_call(setting, "source", Table::Sources).map(Valid::Source)
    }

    fn clip(&mut self, setting: &'a ast::Setting) -> Option<Clip> {
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

    fn bind_call(&mut self, defs: &'static [AttrDef], call: &'a ast::Call) -> Option<Call> {
        let given = call.args.as_ref().map_or(vec![], |args| self.given(args));
        let called = Called { defs, word: &call.name.text, span: call.span };
        let bound = self.bind(called, &given, None)?;
        self.train_attrs.extend(defs.iter().filter(|def| !def.name.starts_with('.')).map(|def| def.name.to_string()));
        Some(Call { name: call.name.text.clone(), attrs: bound.attrs, span: call.span })
    }

    fn catalogue_call(&mut self, setting: &'a ast::Setting, kind: &str, table: Table) -> Option<Call> {
        match self.expression(setting).map(|expr| &expr.kind) {
            Some(ExprKind::Call(call)) => self.table_call(call, kind, table),
            _ => {
                self.report_value(setting, &format!("the name of a {kind}"));
                None
            }
        }
    }

    fn table_call(&mut self, call: &'a ast::Call, kind: &str, table: Table) -> Option<Call> {
        let word = call.name.text.as_str();
        match table.find(word) {
            Some(defs) => self.bind_call(defs, call),
            None => {
                let text = format!("there is no {kind} `{word}`");
                let report = Diagnostic::error(table.code(), text, call.name.span, "unknown");
                let names = table.names();
                let lower = word.to_lowercase();
                let meant = names.iter().copied().find(|name| *name == lower).or(near(&lower, names.iter().copied()));
                let report = match meant {
                    Some(meant) => self.meant_name(report, call.name.span, meant),
                    None => report.note(format!("there are {}", names.join(", "))),
                };
                self.report(report);
                None
            }
        }
    }

    fn schedule(&mut self, setting: &'a ast::Setting) -> Vec<Call> {
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

    /// `--set train.lr=…`: an attribute of the optimizers, else of the schedules.
    fn set_optimizer_attrs(&mut self, made: &mut Made) {
        let sets: &'a [Set] = self.sets;
        for (index, set) in sets.iter().enumerate().filter(|(_, set)| set.train) {
            let known = SETTINGS.contains(&set.key.as_str()) || self.declared.contains_key(&set.key);
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

    fn set_attr(&mut self, set: &'a Set, call: &mut Call) {
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
                    hyper: false,
                };
                let defs = call.attrs.defs();
                if let Some(attr) = self.one_attr(defs, &call.name, given) {
                    call.attrs = call.attrs.replaced(&set.key, attr);
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

/// The first axis of all inputs, where it is one declared dim.
fn batch_dim(model: &crate::ir::structured::Structured) -> Option<String> {
    let mut names = model.inputs.iter().map(|port| {
        let ty = model.values[port.value.0 as usize].ty;
        model.shapes.dims(ty).first().map(|&dim| (dim, model.shapes.dims.show(dim)))
    });
    let (dim, name) = names.next()??;
    let symbol = model.shapes.dims.is_symbolic(dim) && model.shapes.dims.symbols(dim).contains(&name);
    symbol.then_some(name)
}

/// `accuracy` of `metric accuracy(axis = 1)`; the name of a body's last value.
fn metric_name(setting: &ast::Setting) -> String {
    let last = match &setting.value {
        SettingValue::Flow(_, flow) => flow.stages.last(),
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

/// The tables of a train section.
#[derive(Clone, Copy)]
enum Table {
    Optimizers,
    Schedules,
    Sources,
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
