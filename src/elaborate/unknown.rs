//! Words of the number world that are not known there.

use super::Elab;
use crate::diagnostic::Diagnostic;
use crate::text::Span;

impl Elab<'_> {
    /// A bare word that names nothing.
    pub(super) fn unknown_word(&mut self, word: &str, span: Span) {
        let lost = !self.is_input_name(word) && self.lost_name(word);
        if lost || self.unknown_dims.iter().any(|dim| dim == word) {
            return;
        }
        let mut report = Diagnostic::error(
            "name::unknown",
            format!("there is no hyperparameter, dim or stage `{word}`"),
            span,
            "unknown",
        );
        let written = self.written(span);
        if let (Some(at), true) = (written.find(word), written != word) {
            report.labels[0].span =
                Span { start: span.start + at as u32, end: span.start + (at + word.len()) as u32, ..span };
        }
        if self.is_input_name(word) {
            report.message = format!("`{word}` is a value: facts speak of sizes and hyperparameters");
            report.labels[0].text = "a value of the flow".into();
        } else if let Some(ours) = other_spelling(word) {
            report.message = format!("`{word}` is written `{ours}` here");
            report = self.meant_name(report, span, ours);
        } else if let Some(meant) = self.meant_number(word).or_else(|| self.meant_stage(word)) {
            report = self.meant_name(report, span, &meant);
        }
        self.report(report);
    }

    /// Whether the model or block that is read has an input of this name.
    fn is_input_name(&self, word: &str) -> bool {
        let blocks = self.files.iter().flat_map(|file| &file.entries).filter_map(|entry| match entry {
            crate::syntax::ast::Entry::Model(block) | crate::syntax::ast::Entry::Block(block) => Some(block),
            _ => None,
        });
        let mut own = blocks.filter(|block| block.name.text == self.inst.name);
        own.any(|block| {
            let ports = block.sig.iter().flat_map(|sig| &sig.ins);
            ports.filter_map(|port| port.name.as_ref()).any(|name| name.text == word)
        })
    }
}

/// Our spelling of another language's constant.
pub(super) fn other_spelling(word: &str) -> Option<&'static str> {
    Some(match word {
        "True" | "TRUE" | "yes" | "on" => "true",
        "False" | "FALSE" | "no" | "off" => "false",
        "None" | "null" | "nil" | "NULL" | "nothing" => "none",
        "Inf" | "infinity" | "Infinity" => "inf",
        _ => return None,
    })
}
