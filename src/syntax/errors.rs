//! What is said about a text that cannot be read: one function a mistake, each with its own code and words.
//!
//! The words are for the person who made the mistake: they name what was typed, say what the language has instead,
//! and carry the mended line where there is one. Rules of the grammar are never named. In the order of a reader: signs
//! and brackets are in `lexical`, what stands outside of bodies in `entry` and its `types`, the heads of constructs in
//! `header` and `construct`, lines in `statement` and `second_stage`, what they are made of in `flow`, `expr` and `number`, and the lines
//! of a train section in `setting`.

mod construct;
mod entry;
mod expr;
mod flow;
mod header;
mod lexical;
mod number;
mod second_stage;
mod setting;
mod statement;
mod types;

pub(super) use construct::*;
pub(super) use entry::*;
pub(super) use expr::*;
pub(super) use flow::*;
pub(super) use header::*;
pub(super) use lexical::*;
pub(super) use number::*;
pub(super) use setting::*;
pub(super) use statement::*;
pub(super) use types::*;

use super::ast::Name;
use super::lex::{Kind, Token, lex};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// What a name was to be, for the better name that is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Block,
    Dim,
    Param,
    Layer,
    Option,
    Value,
    Label,
    Model,
}

/// The text under a span.
fn said(text: &str, span: Span) -> &str {
    text.get(span.start as usize..span.end as usize).unwrap_or("")
}

/// The first token under a span.
fn first_token(text: &str, span: Span) -> (Span, &str, Kind) {
    match lex(said(text, span)).iter().find(|t| t.kind != Kind::Newline && !t.is_comment()) {
        Some(&Token { kind, start, end }) => {
            let at = Span::new(span.file, span.start as usize + start, span.start as usize + end);
            (at, said(text, at), kind)
        }
        None => (span, "", Kind::Sign),
    }
}

/// What stands on a line before and after an offset, at most 500 bytes of each.
fn around(text: &str, at: u32) -> (&str, &str) {
    let at = (at as usize).min(text.len());
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let left = text[boundary(at.saturating_sub(500))..at].rsplit('\n').next().unwrap_or("");
    let right = text[at..boundary((at + 500).min(text.len())).max(at)].split('\n').next().unwrap_or("");
    (left, right)
}

/// A short quotation of what was typed: its first line, cut at 40 characters.
fn quoted(said: &str) -> String {
    let line = said.lines().next().unwrap_or("").trim();
    if line.chars().count() <= 40 {
        return line.to_string();
    }
    line.chars().take(39).chain(['…']).collect()
}

/// The comment that swallowed the end of this line, if it stands right after a value and looks like `// 2`.
fn swallowed(text: &str, at: u32) -> Option<Span> {
    let (before, after) = around(text, at);
    let start = after.find("//").filter(|&i| after[..i].trim().is_empty())?;
    let operand = before.trim_end().ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ')');
    let divisor = after[start + 2..].trim_start().starts_with(|c: char| c.is_ascii_alphanumeric());
    let body = after.contains('{');
    let start = at as usize + start;
    (operand && divisor && body).then(|| Span { start: start as u32, end: start as u32 + 2, ..Span::default() })
}

/// Fixes that show the mended line.
trait Mend {
    /// With the fix that replaces `span` by `replacement`, shown as the line that comes of it.
    fn mend(self, text: &str, span: Span, replacement: &str) -> Diagnostic;
}

impl Mend for Diagnostic {
    fn mend(self, text: &str, span: Span, replacement: &str) -> Diagnostic {
        let (before, _) = around(text, span.start);
        let (_, after) = around(text, span.end);
        let after = &after[..after.find("//").unwrap_or(after.len())];
        let line = format!("{before}{replacement}{after}");
        let shown = line.lines().next().unwrap_or("").trim().to_string();
        let shown = if shown.is_empty() { "leave the line out".to_string() } else { shown };
        self.fix(span, replacement, shown)
    }
}

/// A keyword where a name must stand.
pub(super) fn keyword_as_name(text: &str, name: &Name, role: Role) -> Diagnostic {
    let word = name.text.as_str();
    let better = better_name(word, role);
    let what = match role {
        Role::Option if word == "dim" => "the option is called",
        Role::Option => "an option has another name, for instance",
        Role::Block => "call the block",
        Role::Dim => "call the dim",
        Role::Param => "call the hyperparameter",
        Role::Layer => "call the layer",
        Role::Value | Role::Label => "call it",
        Role::Model => "name the model, for instance",
    };
    let message = format!("`{word}` is a keyword: {what} `{better}`");
    Diagnostic::error("syntax::keyword", message, name.span, "a keyword cannot be a name")
        .mend(text, name.span, &better)
}

/// A name close to the keyword that was tried.
fn better_name(word: &str, role: Role) -> String {
    let better = match (word, role) {
        ("dim", Role::Option) => "axis",
        ("layer", Role::Block) => "encoder_layer",
        ("block", Role::Block) => "basic_block",
        ("dim", _) => "d",
        ("layer", _) => "layer1",
        ("block", _) => "block1",
        ("model", _) => "net",
        ("train", _) => "training",
        ("residual", _) => "res",
        ("repeat", _) => "copies",
        ("parallel", _) => "branches",
        ("return", _) => "out",
        (other, _) => return format!("{other}_"),
    };
    better.to_string()
}

/// The engine gave up: only its own limit can do that.
pub(super) fn unreadable(span: Span) -> Diagnostic {
    Diagnostic::error("limit::text", "this text needs more work to read than is allowed", span, "reading begins here")
}
