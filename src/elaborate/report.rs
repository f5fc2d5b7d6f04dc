//! What was reported: one report per (code, span), instances merged, the path line added at the end.

use super::Elab;
use super::chain::Frame;
use crate::diagnostic::{Diagnostic, Label};
use crate::ir::structured::ValueId;
use crate::text::Span;

/// Codes of what is one mistake wherever it shows: a name that is not known, a value that fits nowhere. Told once, with
/// the other places.
const ONCE: &[&str] = &["name::dim", "name::unknown", "name::stage", "name::ambiguous", "attr::positive"];

/// Whether all mistakes of this code and message are one.
fn once(code: &str, message: &str) -> bool {
    // A block that took an operator's name fits nowhere.
    ONCE.contains(&code) || code == "attr::missing" && message.starts_with("the block")
}

/// A diagnostic and where the elaboration was when it was made.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// The diagnostic.
    pub diagnostic: Diagnostic,
    /// From the model to the stage.
    chain: Vec<Frame>,
    /// The path line, once it is known.
    shown: Option<String>,
    /// Other places of the same unknown name.
    places: Vec<(Span, String)>,
    /// Arguments of other instances with the same mistake.
    others: Vec<String>,
}

impl<'a> Elab<'a> {
    /// The text under a span; nothing for what was typed on the command line.
    pub(super) fn written(&self, span: Span) -> &'a str {
        let sources: &'a crate::text::Sources = self.sources;
        match sources.0.get(usize::from(span.file)) {
            Some(_) => sources.text(span),
            None => "",
        }
    }

    /// Reports a mistake.
    pub(super) fn report(&mut self, mut diagnostic: Diagnostic) {
        if let Some(span) = self.report_at {
            diagnostic.labels.truncate(1);
            diagnostic.labels[0].span = span;
            diagnostic.fixes.clear();
        }
        let span = diagnostic.labels[0].span;
        if self.faulty(span) {
            // What could not be read there is told; the rest is guesswork.
            return;
        }
        self.mistakes += 1;
        if let Some(first) = self.earlier(span, |code| code == diagnostic.code) {
            let first = &mut self.reports[first];
            if let (Some(Frame::Block(_, before)), Some(Frame::Block(_, now))) =
                (last_block(&first.chain), last_block(&self.chain))
            {
                let differs = now.iter().find(|arg| !before.contains(arg));
                let shown = differs.map(|(name, value)| format!("{name} = {value}"));
                first.others.extend(shown.filter(|shown| !first.others.contains(shown)));
            }
            return;
        }
        // A name that is unknown in many places is one mistake.
        // (Several dims without a near name are one, too: the line that declares them is missing.)
        let undeclared = diagnostic.code == "name::dim" && diagnostic.fixes.is_empty();
        let message = if undeclared { String::new() } else { diagnostic.message.clone() };
        if self.told_again(diagnostic.code, &message, &diagnostic.message, span) {
            return;
        }
        let chain = self.chain.clone();
        self.keep_report(Report { places: vec![], diagnostic, chain, shown: None, others: vec![] });
    }

    /// Keeps the reports that are still true.
    pub(super) fn retain_reports(&mut self, keep: impl FnMut(&Report) -> bool) {
        self.reports.retain(keep);
        self.settled = 0;
        self.told.clear();
        self.told_names.clear();
        for report in std::mem::take(&mut self.reports) {
            self.keep_report(report);
        }
    }

    /// Keeps a report, and remembers its place.
    pub(super) fn keep_report(&mut self, report: Report) {
        let Diagnostic { code, message, fixes, labels, .. } = &report.diagnostic;
        let index = self.reports.len();
        self.told.entry(labels[0].span).or_default().push(index);
        if once(code, message) {
            let message = if *code == "name::dim" && fixes.is_empty() { "" } else { message };
            self.told_names.insert((code, message.into()), index);
        }
        self.reports.push(report);
    }

    /// A report with its main place there and such a code.
    fn earlier(&self, span: Span, fits: impl Fn(&str) -> bool) -> Option<usize> {
        let there = |&&index: &&usize| {
            let report = self.reports.get(index).map(|report| &report.diagnostic);
            report.is_some_and(|report| report.labels[0].span == span && fits(report.code))
        };
        self.told.get(&span)?.iter().find(there).copied()
    }

    /// Whether a name was told to be unknown before, under this key: then this is another place of the same mistake.
    pub(super) fn told_again(&mut self, code: &'static str, key: &str, message: &str, span: Span) -> bool {
        if !once(code, message) || self.faulty(span) {
            return false;
        }
        let Some(&index) = self.told_names.get(&(code, key.to_string())) else { return false };
        let Some(first) = self.reports.get_mut(index).filter(|first| first.diagnostic.code == code) else {
            return false;
        };
        self.mistakes += 1;
        if first.diagnostic.labels[0].span != span {
            first.places.push((span, message.into()));
        }
        true
    }

    /// Whether so much was told that nobody reads what further names were meant to be.
    pub(super) fn told_enough(&self) -> bool {
        self.reports.len() > 100
    }

    /// Takes back what was reported within a place, where a better report follows.
    pub(super) fn forget(&mut self, code: &str, place: Span) {
        self.retain_reports(|report| {
            let span = report.diagnostic.labels[0].span;
            report.diagnostic.code != code
                || span.file != place.file
                || span.start < place.start
                || span.end > place.end
        });
    }

    /// Reports a mistake at a value, with the chain of shapes that led there.
    pub(super) fn report_flow(&mut self, mut diagnostic: Diagnostic, value: ValueId) {
        diagnostic.flow = self.shown_flow(value);
        self.report(diagnostic);
    }

    /// Whether some report has its main place there.
    pub(super) fn reported_at(&self, span: Span) -> bool {
        self.earlier(span, |_| true).is_some()
    }

    /// A model is done: its repeats are counted, so that the path lines can be written.
    pub(super) fn settle_reports(&mut self) {
        for i in self.settled..self.reports.len() {
            if self.reports[i].shown.is_none() {
                let chain = std::mem::take(&mut self.reports[i].chain);
                self.reports[i].shown = self.shown_chain(&chain);
                self.reports[i].chain = chain;
            }
        }
        self.settled = self.reports.len();
    }

    /// All reports in the order of the text.
    pub(super) fn finished_reports(&mut self) -> Vec<Diagnostic> {
        self.settle_reports();
        let mut reports = std::mem::take(&mut self.reports);
        let sources = self.sources;
        let files = sources.0.len();
        reports.sort_by_key(|report| report.diagnostic.labels[0].span);
        let finish = |report: Report| {
            let mut diagnostic = report.diagnostic;
            diagnostic.path = report.shown;
            diagnostic.labels.retain(|label| usize::from(label.span.file) < files);
            diagnostic.fixes.retain(|fix| usize::from(fix.span.file) < files);
            if diagnostic.labels.is_empty() {
                diagnostic.labels.push(Label { span: Span::default(), text: "from `--set`".into() });
            }
            if let Some(fix) = diagnostic.fixes.first_mut().filter(|fix| fix.span == diagnostic.labels[0].span) {
                let same = report.places.iter().filter(|(_, message)| *message == diagnostic.message);
                fix.also.extend(same.map(|(place, _)| (*place, fix.replacement.clone())));
            }
            if let Some(fix) =
                diagnostic.fixes.first_mut().filter(|fix| !fix.also.is_empty() && diagnostic.code == "type::dtype")
            {
                let said = sources.text(fix.span);
                fix.shown = with_word(&fix.shown, said, &fix.replacement);
            }
            if diagnostic.code == "name::dim" && diagnostic.fixes.is_empty() {
                let mut told: Vec<&String> = vec![&diagnostic.message];
                let mut labels = vec![];
                for (place, message) in &report.places {
                    let near = place.file == diagnostic.labels[0].span.file && labels.len() < 3;
                    if near && !told.contains(&message) {
                        told.push(message);
                        labels.push(Label { span: *place, text: "not declared".into() });
                    }
                }
                if !labels.is_empty() {
                    let names: Vec<&str> = told.iter().filter_map(|told| told.split('`').nth(1)).collect();
                    let (last, rest) = names.split_last().expect("the first name is there");
                    let rest: Vec<String> = rest.iter().map(|name| format!("`{name}`")).collect();
                    diagnostic.message = format!("there are no dims {} and `{last}`", rest.join(", "));
                    diagnostic.labels.extend(labels);
                }
            } else if !report.places.is_empty() {
                let mut lines = vec![];
                let mut messages: Vec<String> = vec![];
                for (place, message) in &report.places {
                    if *message != diagnostic.message && messages.len() < 20 && !messages.contains(message) {
                        messages.push(message.clone());
                    } else if lines.len() < 20 && usize::from(place.file) < files && *message == diagnostic.message {
                        lines.push(sources.of(*place).position(place.start).0);
                    }
                }
                lines.dedup();
                diagnostic.notes.extend(messages);
                if !lines.is_empty() {
                    let word = if lines.len() == 1 { "line" } else { "lines" };
                    let lines: Vec<String> = lines.iter().take(6).map(usize::to_string).collect();
                    diagnostic.notes.push(format!("also in {word} {}", lines.join(", ")));
                }
            }
            if diagnostic.code == "name::dim" && diagnostic.fixes.is_empty() {
                let first = sources.text(diagnostic.labels[0].span);
                let told = report.places.iter().filter_map(|(_, told)| told.split('`').nth(1));
                let mut names: Vec<&str> = std::iter::once(first).chain(told).collect();
                let mut seen = std::collections::HashSet::new();
                names.retain(|name| seen.insert(*name));
                let line = format!("dim {}", names.join(", "));
                let start = Span { start: 0, end: 0, ..diagnostic.labels[0].span };
                diagnostic = diagnostic.fix(start, format!("{line}\n"), line);
            }
            if !report.others.is_empty() {
                diagnostic.notes.push(format!("also with {}", merged(&report.others)));
            }
            diagnostic
        };
        reports.into_iter().map(finish).collect()
    }
}

/// A line with a word replaced wherever it still stands.
fn with_word(line: &str, word: &str, by: &str) -> String {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if word.is_empty() || !word.chars().all(letter) {
        return line.to_string();
    }
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(word) {
        let end = at + word.len();
        let whole = !rest[..at].ends_with(letter) && !rest[end..].starts_with(letter);
        out.push_str(&rest[..at]);
        out.push_str(if whole { by } else { word });
        rest = &rest[end..];
    }
    out + rest
}

fn last_block(chain: &[Frame]) -> Option<&Frame> {
    chain.iter().rev().find(|frame| matches!(frame, Frame::Block(..)))
}

/// `c = 256`, `c = 512` as `c = 256, 512`.
fn merged(others: &[String]) -> String {
    let mut text = String::new();
    let mut last = "";
    for other in others.iter().take(8) {
        let (name, value) = other.split_once(" = ").unwrap_or((other, ""));
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(if name == last { value } else { other });
        last = name;
    }
    text
}
