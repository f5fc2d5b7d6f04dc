//! Reports for tools: one object with a version.
//!
//! Lines and columns count from 1, columns and the `length` of a label in characters; `start` and `length` of an edit
//! are bytes of the text.

use super::{Checked, Diagnostic, Fix, Label, Severity};
use crate::text::{Sources, Span};
use serde::Serialize;

/// What `check --format json` prints.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    diagnostics: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'a str,
    severity: Severity,
    message: &'a str,
    labels: Vec<Place<'a>>,
    path: Option<&'a str>,
    flow: Option<&'a str>,
    notes: &'a [String],
    fixes: Vec<Mending<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    length: usize,
    text: &'a str,
    primary: bool,
}

#[derive(Serialize)]
struct Mending<'a> {
    shown: &'a str,
    checked: Checked,
    edits: Vec<Edit<'a>>,
}

#[derive(Serialize)]
struct Edit<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    start: u32,
    length: usize,
    replacement: &'a str,
}

/// The diagnostics as one JSON object.
pub fn json(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let diagnostics = diagnostics.iter().map(|d| entry(d, sources)).collect();
    // Serialising strings and numbers into memory cannot fail.
    serde_json::to_string_pretty(&Report { version: 1, diagnostics }).unwrap_or_default()
}

fn entry<'a>(d: &'a Diagnostic, sources: &'a Sources) -> Entry<'a> {
    Entry {
        code: d.code,
        severity: d.severity,
        message: &d.message,
        labels: d.labels.iter().enumerate().map(|(at, label)| place(label, at == 0, sources)).collect(),
        path: d.path.as_deref(),
        flow: d.flow.as_deref(),
        notes: &d.notes,
        fixes: d.fixes.iter().map(|fix| mending(fix, sources)).collect(),
    }
}

fn at(span: Span, sources: &Sources) -> (&str, usize, usize) {
    let source = sources.of(span);
    let (line, column) = source.position(span.start);
    (&source.name, line, column)
}

fn place<'a>(label: &'a Label, primary: bool, sources: &'a Sources) -> Place<'a> {
    let (file, line, column) = at(label.span, sources);
    let length = sources.text(label.span).chars().count();
    Place { file, line, column, length, text: &label.text, primary }
}

fn mending<'a>(fix: &'a Fix, sources: &'a Sources) -> Mending<'a> {
    let edit = |span: Span, replacement: &'a str| {
        let (file, line, column) = at(span, sources);
        Edit { file, line, column, start: span.start, length: span.len(), replacement }
    };
    let also = fix.also.iter().map(|(span, by)| edit(*span, by));
    let edits = std::iter::once(edit(fix.span, &fix.replacement)).chain(also).collect();
    Mending { shown: &fix.shown, checked: fix.checked, edits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Source;

    #[test]
    fn the_object_has_a_version_and_places() {
        let mut sources = Sources::default();
        let file = sources.add(Source::new("a.model", "é |> relu\n"));
        let d = Diagnostic::error("name::unknown", "no", Span::new(file, 6, 10), "here").fix(
            Span::new(file, 6, 10),
            "gelu",
            "é |> gelu",
        );
        let value: serde_json::Value = serde_json::from_str(&json(&[d], &sources)).expect("it is JSON");
        assert_eq!(value["version"], 1);
        assert_eq!(value["diagnostics"][0]["labels"][0]["column"], 6);
        assert_eq!(value["diagnostics"][0]["labels"][0]["length"], 4);
        assert_eq!(value["diagnostics"][0]["fixes"][0]["edits"][0]["start"], 6);
        assert_eq!(value["diagnostics"][0]["fixes"][0]["checked"], "no");
    }
}
