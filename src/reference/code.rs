//! The page of a code: its rule, a text that breaks it, and the report that this text gets now.

use super::codes::{CODE_FAMILIES, Code};
use super::page::{Example, ExampleKind, Page, lead};
use crate::elaborate::Request;
use crate::pipeline::check;
use crate::text::{NoFiles, Source};

/// `shape` of `shape::residual`.
pub(super) fn family(code: &Code) -> &'static str {
    code.code.split_once("::").map_or("", |(family, _)| family)
}

pub(super) fn page(code: &Code) -> Page {
    let (first, text) = lead(code.means);
    let title = CODE_FAMILIES.iter().find(|(word, _)| *word == family(code)).map_or("", |(_, title)| title);
    let examples = answered(code.example);
    Page {
        name: code.code.into(),
        kind: "code of a report".into(),
        lead: first,
        facts: vec![("family", title.to_string())],
        attributes: vec![],
        text,
        examples,
        curve: None,
    }
}

/// A text that is wrong, and the report that it gets; nothing of an empty one.
pub(super) fn answered(text: &str) -> Vec<Example> {
    if text.is_empty() {
        return vec![];
    }
    let report = check(Source::new("example.model", text), &Request::default(), Some(&NoFiles)).render();
    vec![
        Example { says: "For example:".into(), text: text.into(), kind: ExampleKind::Model },
        Example { says: "which is answered so:".into(), text: report, kind: ExampleKind::Report },
    ]
}
