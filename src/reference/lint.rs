//! The page of a lint: what it sees, a text that it fires on with its report, and one that it leaves alone.

use super::code::answered;
use super::page::{Example, ExampleKind, Page, lead};
use crate::diagnostic::Severity;
use crate::lints::Lint;

pub(super) fn page(lint: &Lint) -> Page {
    let (first, text) = lead(lint.doc);
    let grave = match lint.severity {
        Severity::Error => "error: `check` ends with 1, and `train` waits for it to be mended or allowed",
        Severity::Warning => "warning",
        Severity::Info => "info: told by `check --info`",
    };
    let allow = format!("`// allow({})` on the line, or on the header of its block", lint.name());
    let said = [
        ("severity", grave.to_string()),
        ("why", lint.why.into()),
        ("source", lint.source.into()),
        ("silenced by", allow),
    ];
    let mut examples = answered(lint.fires);
    if !lint.quiet.is_empty() {
        examples.push(Example {
            says: "It is silent about:".into(),
            text: lint.quiet.into(),
            kind: ExampleKind::Model,
        });
    }
    Page {
        name: lint.code.into(),
        kind: "lint".into(),
        lead: first,
        facts: said.into_iter().filter(|(_, text)| !text.is_empty()).collect(),
        attributes: vec![],
        text,
        examples,
        curve: None,
    }
}
