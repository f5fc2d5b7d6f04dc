//! Runs the catalogue over a file, and brings its reports together: instances merged, allowed ones silent, in order.

use super::{Check, Flow, Lint, Site, all, allow, edit};
use crate::diagnostic::{Diagnostic, Severity};
use crate::ir::structured::Structured;
use crate::ir::training::Training;
use crate::syntax::{Comment, ast};
use crate::text::{Sources, Span};
use indexmap::IndexSet;
use std::collections::HashMap;

/// So many other places of one report are named.
const NAMED: usize = 3;

/// What lints look at: a file without errors, with everything that was made of it.
pub struct Subject<'a> {
    /// The texts: the file, and what it uses.
    pub sources: &'a Sources,
    /// Their trees.
    pub files: &'a [ast::File],
    /// Their comments.
    pub comments: &'a [Vec<Comment>],
    /// The models.
    pub models: &'a [Structured],
    /// The train sections.
    pub trainings: &'a [Training],
    /// Nothing was chosen or set from outside: what is not used here is not used.
    pub whole: bool,
}

/// A graph under one lint.
pub struct Cx<'a> {
    /// The graph.
    pub flow: &'a Flow<'a>,
    lint: &'static Lint,
    sources: &'a Sources,
    found: Vec<Diagnostic>,
}

impl<'a> Cx<'a> {
    /// The train section, where the graph is one's.
    pub fn training(&self) -> Option<&'a Training> {
        self.flow.training
    }

    /// A report at a site, to be completed.
    pub fn at(&self, site: Site, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        let path = self.flow.path(site);
        Diagnostic { path, ..self.lint.report(self.flow.span(site), message, label) }
    }

    /// A report anywhere.
    pub fn here(&self, span: Span, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        self.lint.report(span, message, label)
    }

    /// Takes a report in.
    pub fn found(&mut self, report: Diagnostic) {
        self.found.push(report);
    }

    /// The text under a span.
    pub fn written(&self, span: Span) -> &'a str {
        let sources: &'a Sources = self.sources;
        sources.text(span)
    }

    /// Proposes to take a stage out.
    pub fn without(&self, report: Diagnostic, site: Site) -> Diagnostic {
        match edit::without(self.sources, self.flow.span(site)) {
            Some((span, shown)) => report.fix(span, "", shown),
            None => report,
        }
    }

    /// Proposes an argument.
    pub fn with_argument(&self, report: Diagnostic, site: Site, name: &str, value: &str) -> Diagnostic {
        self.with_call_argument(report, self.flow.span(site), name, value)
    }

    /// Proposes an argument of the call at a place.
    pub fn with_call_argument(&self, report: Diagnostic, call: Span, name: &str, value: &str) -> Diagnostic {
        match edit::with_argument(self.sources, call, name, value) {
            Some((span, by, shown)) => report.fix(span, by, shown),
            None => report,
        }
    }

    /// Proposes a word of a stage without its arguments.
    pub fn without_arguments(&self, report: Diagnostic, site: Site, word: &str) -> Diagnostic {
        match edit::arguments(self.sources, self.flow.span(site), word) {
            Some(span) => report.fix(span, "", format!("`{word}` without its arguments")),
            None => report,
        }
    }

    /// Proposes a line before the one that a stage stands on.
    pub fn line_before(&self, report: Diagnostic, site: Site, line: &str) -> Diagnostic {
        match edit::line_before(self.sources, self.flow.span(site), line) {
            Some((span, by)) => report.fix(span, by, format!("`{line}` on a line before it")),
            None => report,
        }
    }

    /// The call behind the name of a declared layer: `wte` of `layer wte = embedding(8, 4)`.
    pub fn call_of(&self, name: Span) -> Option<Span> {
        edit::call_behind(self.sources, name)
    }

    /// The length of the first line of a span.
    pub fn first_line(&self, span: Span) -> u32 {
        let text = self.written(span);
        text.find('\n').unwrap_or(text.len()) as u32
    }

    /// Proposes another word for a stage, its arguments kept.
    pub fn renamed(&self, report: Diagnostic, site: Site, word: &str) -> Diagnostic {
        let span = self.flow.span(site);
        let text = self.written(span);
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let head = Span { end: span.start + end as u32, ..span };
        report.fix(head, word, format!("`{word}` in its place"))
    }
}

impl Lint {
    /// A report of this lint, with its reason.
    pub(super) fn report(&self, span: Span, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        let report = Diagnostic { severity: self.severity, ..Diagnostic::error(self.code, message, span, label) };
        match (self.why, self.source) {
            ("", _) => report,
            (why, "") => report.note(why),
            (why, source) => report.note(format!("{why} ({source})")),
        }
    }
}

/// All that lints have to say about a file, in the order of the text. What a comment allows is not told.
pub fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let flows: Vec<Flow<'_>> = flows(subject);
    let mut found = vec![];
    for lint in all() {
        match lint.check {
            Check::Flow(look) => {
                for flow in &flows {
                    let mut cx = Cx { flow, lint, sources: subject.sources, found: vec![] };
                    look(&mut cx);
                    found.append(&mut cx.found);
                }
            }
            Check::File(look) => found.extend(look(subject)),
            Check::Comment => {}
        }
    }
    let found = merged(found);
    let mut told = allow::filter(subject, found);
    told.sort_by_key(|report| (report.labels.first().map(|label| label.span), report.code));
    told
}

/// The graphs: of each train section, and of each model that none trains as it stands.
fn flows<'a>(subject: &Subject<'a>) -> Vec<Flow<'a>> {
    let trained = |model: &Structured| {
        let same = |t: &Training| t.model.name == model.name && t.model.hypers == model.hypers;
        subject.trainings.iter().any(same)
    };
    let alone = subject.models.iter().filter(|model| !trained(model)).map(Flow::of_model);
    alone.chain(subject.trainings.iter().map(Flow::of_training)).collect()
}

/// One report a code and place; the other instances are named by their paths.
fn merged(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut first: HashMap<(&str, Option<Span>), usize> = HashMap::new();
    let mut reports: Vec<(Diagnostic, IndexSet<String>)> = vec![];
    for report in found {
        let key = (report.code, report.labels.first().map(|label| label.span));
        match first.get(&key) {
            None => {
                first.insert(key, reports.len());
                reports.push((report, IndexSet::new()));
            }
            Some(&at) => {
                let (told, others) = &mut reports[at];
                others.extend(report.path.filter(|path| told.path.as_ref() != Some(path)));
            }
        }
    }
    let close = |(report, others): (Diagnostic, IndexSet<String>)| match others.len() {
        0 => report,
        count => {
            let named: Vec<&str> =
                others.iter().take(NAMED).map(|path| path.split("  ").next().unwrap_or("")).collect();
            let more = if count > NAMED { format!(", and {} more", count - NAMED) } else { String::new() };
            report.note(format!("also at {}{more}", named.join(", ")))
        }
    };
    reports.into_iter().map(close).collect()
}

/// Whether a report comes from a lint.
pub fn is_lint(report: &Diagnostic) -> bool {
    report.code.starts_with("lint::")
}

/// Whether a file may be trained in spite of what lints say: none of them is an error.
pub fn may_train(reports: &[Diagnostic]) -> bool {
    !reports.iter().any(|report| is_lint(report) && report.severity == Severity::Error)
}
