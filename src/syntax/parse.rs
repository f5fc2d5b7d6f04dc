//! From the grammar's pairs to the tree.
//!
//! Every function here takes what the grammar found and never fails: what is missing becomes a `Broken` node or an
//! empty name and one report, made by a function of `errors`. Top-level entries are in this file, statements and
//! stages in `flow`, expressions in `expr`.

mod construct;
mod expr;
mod flow;
mod settle;
mod signature;
mod train;

use super::ast::*;
use super::errors;
use super::grammar::{Grammar, Rule};
use super::lex::is_keyword;
use super::scan::{Comment, scan};
use crate::diagnostic::Diagnostic;
use crate::text::Span;
use pest::Parser;
use pest::iterators::{Pair, Pairs};
use settle::settle;

/// What reading a text gives: always a tree, with what could not be read.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The tree; parts that could not be read are `Broken`.
    pub file: File,
    /// The comments, in order.
    pub comments: Vec<Comment>,
    /// What could not be read, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether brackets stand in each other so deep that they were not paired: the tree was hardly meant.
    pub unpaired: bool,
}

/// Reads a text. `file` is its id in [`crate::text::Sources`].
///
/// ```
/// let parsed = wythe::syntax::parse(0, "block twice(d) { linear(d); linear(d) }");
/// assert!(parsed.diagnostics.is_empty());
/// assert_eq!(parsed.file.entries.len(), 1);
/// ```
pub fn parse(file: u16, text: &str) -> Parsed {
    let mut scan = scan(file, text);
    let mask = std::mem::take(&mut scan.mask);
    let mut tree = Tree { file, text, diagnostics: vec![] };
    let entries = match Grammar::parse(Rule::file, &mask) {
        Ok(pairs) => tree.entries(pairs, !scan.faults.is_empty()),
        // The grammar is total; what is left is the engine's own limit on calls.
        Err(_) => {
            tree.diagnostics.push(errors::unreadable(Span::new(file, 0, 0)));
            vec![]
        }
    };
    let diagnostics = settle(&mut scan, text, tree.diagnostics);
    Parsed { file: File { entries }, comments: scan.comments, diagnostics, unpaired: scan.too_deep }
}

/// Whether the grammar reads the text within the engine's present limit on rule calls; for the test of its cost.
#[doc(hidden)]
pub fn rule_calls_suffice(text: &str) -> bool {
    Grammar::parse(Rule::file, &scan(0, text).mask).is_ok()
}

/// The tree under construction.
struct Tree<'t> {
    file: u16,
    text: &'t str,
    diagnostics: Vec<Diagnostic>,
}

/// The children of a pair, taken in the order of the grammar.
struct Kids<'i> {
    pairs: Pairs<'i, Rule>,
}

impl<'i> Kids<'i> {
    fn of(pair: Pair<'i, Rule>) -> Kids<'i> {
        Kids { pairs: pair.into_inner() }
    }

    fn peek(&self) -> Option<Rule> {
        self.pairs.peek().map(|pair| pair.as_rule())
    }

    fn next(&mut self) -> Option<Pair<'i, Rule>> {
        self.pairs.next()
    }

    /// The next child, if it is of this rule.
    fn take(&mut self, rule: Rule) -> Option<Pair<'i, Rule>> {
        if self.peek() == Some(rule) { self.pairs.next() } else { None }
    }
}

impl<'t> Tree<'t> {
    /// The place of a pair, without the white space that the grammar takes in at its end.
    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let start = pair.as_span().start();
        let mut end = start + pair.as_str().trim_end().len();
        // Of a sign that the scan has blanked a part may be left.
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        Span::new(self.file, start, end)
    }

    /// An empty place right after a span.
    fn after(&self, span: Span) -> Span {
        Span { start: span.end, ..span }
    }

    /// The text under a span.
    fn said(&self, span: Span) -> &'t str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// A name; a keyword in its place is told, with a better name for such a thing.
    fn name(&mut self, pair: Pair<'_, Rule>, role: errors::Role) -> Name {
        let name = Name { text: pair.as_str().to_string(), span: self.span(&pair) };
        if is_keyword(&name.text) {
            self.report(errors::keyword_as_name(self.text, &name, role));
        }
        name
    }

    fn entries(&mut self, pairs: Pairs<'_, Rule>, told: bool) -> Vec<Entry> {
        let mut entries = vec![];
        // Lines outside of all bodies are told once a run.
        let mut outside = false;
        let mut count = 0;
        for file in pairs {
            for pair in file.into_inner().filter(|pair| pair.as_rule() == Rule::entry) {
                let mut kids = Kids::of(pair);
                let Some(first) = kids.next() else { continue };
                let (span, first_rule) = (self.span(&first), first.as_rule());
                match first_rule {
                    Rule::dims => entries.push(self.dims(first)),
                    Rule::uses => entries.push(self.uses(first)),
                    Rule::block => entries.extend(self.block(first).map(Entry::Block)),
                    Rule::model => entries.extend(self.block(first).map(Entry::Model)),
                    Rule::train => entries.extend(self.train(first).map(Entry::Train)),
                    // A stray bracket that the scan let pass: something before it must have said why.
                    Rule::stray if self.diagnostics.is_empty() && !told => {
                        self.report(errors::outside(self.text, span));
                    }
                    Rule::junk if !outside => self.report(errors::outside(self.text, span)),
                    _ => {}
                }
                // What follows an entry that could not be begun belongs to it.
                let lost = entries.len() == count && matches!(first_rule, Rule::block | Rule::model | Rule::train);
                count = entries.len();
                outside = lost || matches!(first_rule, Rule::junk | Rule::stray);
                if let Some(junk) = kids.take(Rule::junk) {
                    let junk = self.span(&junk);
                    self.report(errors::after_entry(self.text, span, junk));
                }
            }
        }
        entries
    }

    fn dims(&mut self, pair: Pair<'_, Rule>) -> Entry {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        kids.take(Rule::kw_dim);
        let colon = self.text[span.end as usize..].trim_start().starts_with(':');
        let mut names = vec![];
        while let Some(name) = kids.next() {
            names.push(self.name(name, errors::Role::Dim));
        }
        if names.is_empty() && !colon {
            self.report(errors::missing_name(self.text, span, "dim", "dim batch, seq"));
        } else if self.said(span).ends_with(',') {
            self.report(errors::trailing_comma(self.text, span));
        }
        Entry::Dim(names, span)
    }

    fn uses(&mut self, pair: Pair<'_, Rule>) -> Entry {
        let span = self.span(&pair);
        let path = Kids::of(pair).pairs.find(|kid| kid.as_rule() == Rule::string);
        Entry::Use(path.map(|path| unquoted(path.as_str())).unwrap_or_default(), span)
    }

    /// A block or a model: both have one form.
    fn block(&mut self, pair: Pair<'_, Rule>) -> Option<Block> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let keyword = kids.next()?;
        let (model, keyword) = (keyword.as_rule() == Rule::kw_model, self.span(&keyword));
        let before = self.diagnostics.len();
        let name = kids.take(Rule::name_any).map(|name| self.name(name, errors::Role::Block));
        let params = kids.take(Rule::params).map(|params| self.params(params)).unwrap_or_default();
        let colon = kids.take(Rule::colon).map(|colon| self.span(&colon));
        let sig = kids.take(Rule::sig).and_then(|sig| self.sig(sig));
        let conds = match kids.take(Rule::kw_where) {
            Some(_) => kids.take(Rule::conds).map(|conds| self.conds(conds)).unwrap_or_default(),
            None => vec![],
        };
        let junk = kids.take(Rule::sig_junk).map(|junk| self.span(&junk));
        let body = kids.take(Rule::body);
        let end = body.as_ref().map_or(span.end as usize, |body| body.as_span().start());
        let header = self.trimmed(Span::new(self.file, keyword.start as usize, end));
        // What stands before a `{` after a mistake in the signature belongs to that mistake.
        let last = self.diagnostics[before..].last().map(|told| told.code);
        let told = match junk.map(|junk| self.said(junk)) {
            Some(said) if said.starts_with("->") => last == Some("syntax::typed_inputs"),
            Some(said) if said.starts_with(['(', '<', ':', '>']) => last == Some("syntax::missing_axes"),
            _ => false,
        };
        if name.is_none() {
            self.diagnostics.truncate(before);
        }
        match (&name, junk, colon) {
            (Some(_), Some(_), _) if told => {}
            (None, _, _) => {
                let example = if model { "model mlp(d = 256) : …" } else { "block ffn(d) { … }" };
                self.report(errors::missing_name(self.text, keyword, self.said(keyword), example));
            }
            (_, Some(junk), _) => self.report(errors::in_header(self.text, header, junk, body.is_some())),
            (_, None, Some(colon)) if sig.is_none() => self.report(errors::missing_signature(colon)),
            (Some(name), None, None) if model && body.is_some() => {
                self.report(errors::model_without_signature(self.text, name, header));
            }
            _ => {}
        }
        let body = self.body_or_miss(body, header, junk.is_some() || name.is_none());
        Some(Block { name: name?, params, sig, conds, body, span, header })
    }

    /// A span without the white space and the comments at its end.
    fn trimmed(&self, span: Span) -> Span {
        let said = self.said(span);
        let code = said.lines().next_back().and_then(|line| line.find("//").map(|at| said.len() - line.len() + at));
        let end = said[..code.unwrap_or(said.len())].trim_end().len();
        Span { end: span.start + end as u32, ..span }
    }
}

/// The text between the quotes.
fn unquoted(string: &str) -> String {
    let inner = string.strip_prefix('"').unwrap_or(string);
    inner.strip_suffix('"').unwrap_or(inner).to_string()
}
