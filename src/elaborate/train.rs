//! The train section: targets, loss and metrics over the model's values; everything else from its own tables.

use super::Elab;
use super::scope::near;
use super::settings::Section;
use super::settings::{Made, NO_VALUE, PATTERNED};
use super::value::{Elem, Static, Val};
use crate::diagnostic::Diagnostic;
use crate::ir::attr::{Attr, Attrs};
use crate::ir::params;
use crate::ir::structured::{Region, Tail};
use crate::ir::training::{Call, Group, Training};
use crate::optim;
use crate::syntax::ast::{self, Block};
use crate::text::Span;

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
        self.check_dims(&settings, &section.made.sizes, &structured);
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

    /// A size of a dim that the model does not have does nothing.
    fn check_dims(
        &mut self,
        settings: &[(&'a ast::Setting, Option<Span>)],
        sizes: &[(String, u64)],
        model: &crate::ir::structured::Structured,
    ) {
        let dims = &model.shapes.dims;
        let has = |name: &str| {
            let mut all = model.values.iter().flat_map(|value| model.shapes.dims(value.ty));
            all.any(|&dim| dims.symbols(dim).contains(name))
        };
        for (setting, at) in settings {
            let name = setting.name.text.as_str();
            if !sizes.iter().any(|(own, _)| own == name) || has(name) {
                continue;
            }
            let text = format!("the model has no axis `{name}`: its size would say nothing");
            let report = Diagnostic::error("train::setting", text, at.unwrap_or(setting.span), "says nothing");
            let text = self.sources.0.get(usize::from(setting.span.file)).map_or("", |source| source.text.as_str());
            self.report(if at.is_none() { super::foreign::without(report, setting.span, text) } else { report });
        }
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
            let value =
                !NO_VALUE.contains(&setting.name.text.as_str()) && matches!(setting.value, ast::SettingValue::None);
            if value || !PATTERNED.contains(&setting.name.text.as_str()) {
                // A value in quotes, and told as that.
                continue;
            }
            if params.iter().any(|param| param.fits(pattern)) {
                continue;
            }
            let text = format!("no parameter fits the pattern \"{pattern}\"");
            let report = Diagnostic::error("train::pattern", text, *span, "fits nothing");
            let paths: Vec<String> = params.iter().map(params::Param::shown).collect();
            let stem = pattern.trim_matches(['*', '.']);
            let known = paths.iter().flat_map(|path| path.split('.'));
            self.report(match near(stem, known) {
                Some(meant) => {
                    let fixed = format!("\"{}\"", pattern.replacen(stem, meant, 1));
                    let shown = self.mended(*span, &fixed);
                    report.fix(*span, fixed, shown)
                }
                None => {
                    let some: Vec<String> = paths.iter().take(4).cloned().collect();
                    report.note(format!("the parameters: {}", some.join(", ")))
                }
            });
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
            watch: made.watch,
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

    /// Each section has a name of its own for `FILE#name`: its label, or its model's name.
    pub(super) fn check_labels(&mut self, entries: &'a [ast::Entry]) {
        let mut names: indexmap::IndexMap<&str, Span> = indexmap::IndexMap::new();
        for entry in entries {
            let ast::Entry::Train(train) = entry else { continue };
            let name = train.label.as_ref().unwrap_or(&train.model.name);
            let Some(first) = names.insert(&name.text, name.span) else { continue };
            if self.faulty(train.header) {
                continue;
            }
            let text = format!("there are two train sections `{}`", name.text);
            let report = Diagnostic::error("train::label_twice", text, name.span, "again here");
            let note = format!("a label tells them apart: `train small: {} {{ … }}`", train.model.name.text);
            self.report(report.label(first, "first here").note(note));
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
        if models.is_empty() && self.faulty(train.span) {
            return;
        }
        let report =
            Diagnostic::error("name::model", format!("there is no model `{}`", name.text), name.span, "unknown");
        let report = match near(&name.text, models.iter().copied()) {
            Some(meant) => self.meant_name(report, name.span, meant),
            None if models.is_empty() => report.note("this file has none"),
            None => report.note(format!("the models of this file: {}", models.join(", "))),
        };
        self.report(report);
    }

    /// `train m(d = 64)`: the section's own hyperparameters.
    fn overrides(&mut self, train: &'a ast::Train, model: &'a Block) -> Vec<(String, Static, Span)> {
        let Some(args) = &train.model.args else { return vec![] };
        self.inst = super::scope::Inst { model: true, ..super::scope::Inst::of(model) };
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
