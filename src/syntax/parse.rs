//! From the grammar's pairs to the tree.
//!
//! Every function here takes what the grammar found and never fails: what is missing becomes a `Broken` node or an
//! empty name and one report, made by a function of `errors`. Top-level entries are in this file, statements and
//! stages in `flow`, expressions in `expr`.

mod expr;
mod flow;
mod train;

use super::ast::*;
use super::errors;
use super::grammar::{Grammar, Rule};
use super::lex::is_keyword;
use super::scan::{Comment, MAX_REPORTS, Scan, scan};
use crate::diagnostic::Diagnostic;
use crate::text::Span;
use pest::Parser;
use pest::iterators::{Pair, Pairs};

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

/// Brings the reports of the scan and of the tree together: in order, each once, none that only repeats another.
fn settle(scan: &mut Scan, text: &str, of_tree: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut all = std::mem::take(&mut scan.faults);
    if scan.too_deep {
        all.retain(|fault| fault.code == "limit::depth");
        return all;
    }
    let muted = |d: &Diagnostic| {
        let at = d.labels[0].span.start as usize;
        scan.muted.iter().any(|&(start, end)| (start..=end).contains(&at))
    };
    all.extend(of_tree.into_iter().filter(|d| !muted(d)));
    all.sort_by_key(|d| (d.labels[0].span.start, d.code));
    all.dedup_by(|a, b| a.code == b.code && a.labels[0].span == b.labels[0].span);
    let loops: Vec<Span> = all.iter().filter(|d| d.code == "syntax::for_form").map(|d| d.labels[0].span).collect();
    let inside = |d: &Diagnostic| {
        let at = d.labels[0].span.start;
        d.code != "syntax::for_form" && loops.iter().any(|head| head.start <= at && at < head.end)
    };
    all.retain(|d| !inside(d));
    forgive_braces(text, &mut all);
    forgive_lines_outside(text, &mut all);
    forgive_after_commas(text, &mut all);
    all.truncate(MAX_REPORTS);
    all
}

/// Where a `{` is missing, the braces of its entry no longer pair: what only follows from that is not told.
fn forgive_braces(text: &str, all: &mut Vec<Diagnostic>) {
    let mut until = 0;
    all.retain(|d| {
        let at = d.labels[0].span.start as usize;
        if d.code == "syntax::missing_body" && at >= until {
            let next = ["\nblock ", "\nmodel ", "\ntrain "].iter().filter_map(|word| text[at..].find(word)).min();
            until = next.map_or(text.len() + 1, |next| at + next);
        }
        let follows =
            matches!(d.code, "syntax::outside" | "syntax::after_entry" | "syntax::stray_bracket" | "syntax::dim_value");
        !(follows && at < until)
    });
}

/// Where a list of dims breaks off at a comma, what stands behind it in its line is no second mistake.
fn forgive_after_commas(text: &str, all: &mut Vec<Diagnostic>) {
    let at = |d: &Diagnostic| d.labels[0].span.start as usize;
    let mut broken = None;
    all.retain(|d| {
        if d.code == "syntax::trailing_comma" {
            broken = Some(at(d));
        }
        d.code != "syntax::after_entry" || broken.is_none_or(|comma| text[comma..at(d)].contains('\n'))
    });
}

/// Where an entry has a `}` too many (or a `{` too few), what stands behind its early end is outside of it: the brace that
/// closes nothing tells that, and shows the one that came too early.
fn forgive_lines_outside(text: &str, all: &mut Vec<Diagnostic>) {
    let at = |d: &Diagnostic| d.labels[0].span.start as usize;
    let stray = |d: &Diagnostic| d.code == "syntax::stray_bracket" && text[at(d)..].starts_with('}');
    let braces: Vec<usize> = all.iter().filter(|d| stray(d)).map(at).collect();
    all.retain(|d| {
        let next = braces.partition_point(|&brace| brace < at(d));
        let follows = matches!(d.code, "syntax::outside" | "syntax::after_entry" | "syntax::dim_value");
        let one_entry = |&&brace: &&usize| {
            let between = &text[at(d)..brace];
            !["\nblock ", "\nmodel ", "\ntrain "].iter().any(|word| between.contains(word))
        };
        !follows || braces.get(next).filter(one_entry).is_none()
    });
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

    fn params(&mut self, pair: Pair<'_, Rule>) -> Vec<Param> {
        let mut params = vec![];
        let whole = self.span(&pair);
        let mut inputs = false;
        let list: Vec<_> = pair.into_inner().collect();
        let count = list.len();
        for (at, param) in list.into_iter().enumerate() {
            let span = self.span(&param);
            let mut kids = Kids::of(param);
            let name = kids.take(Rule::name_any);
            let assign = kids.take(Rule::assign).map(|assign| self.span(&assign));
            let value = kids.take(Rule::expr);
            if let Some(junk) = kids.take(Rule::item_junk) {
                let junk = self.span(&junk);
                let typed =
                    self.said(junk).starts_with(':') && (self.said(junk).contains('[') || self.arrow_follows(whole));
                if typed && !std::mem::replace(&mut inputs, true) {
                    let arrow = self.arrow_follows(whole);
                    self.report(errors::typed_inputs(self.text, whole, junk, arrow));
                } else if !typed {
                    self.report(errors::in_params(self.text, junk));
                }
            } else if let (Some(assign), None) = (assign, &value) {
                self.report(errors::missing_value(self.text, assign));
            }
            let Some(name) = name else {
                if span.is_empty() && (at + 1 < count) {
                    self.report(errors::empty_item(self.text, span, whole));
                }
                continue;
            };
            let name = self.name(name, errors::Role::Param);
            let default = value.map(|value| self.expr(value));
            params.push(Param { name, default });
        }
        params
    }

    /// Whether `->` follows: then a parenthesis was meant to be a signature.
    fn arrow_follows(&self, params: Span) -> bool {
        self.text[params.end as usize..].trim_start().starts_with("->")
    }

    fn sig(&mut self, pair: Pair<'_, Rule>) -> Option<Sig> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let ins = kids.take(Rule::ports).map(|ports| self.ports(ports))?;
        let arrow = kids.take(Rule::arrow).map(|arrow| self.span(&arrow));
        let outs = kids.take(Rule::ports).map(|ports| self.ports(ports));
        if let (Some(arrow), None) = (arrow, &outs) {
            self.report(errors::missing_outputs(arrow));
        }
        Some(Sig { ins, outs, span })
    }

    fn ports(&mut self, pair: Pair<'_, Rule>) -> Vec<Port> {
        let whole = self.span(&pair);
        let list: Vec<_> = pair.into_inner().collect();
        let count = list.len();
        let mut ports = vec![];
        let said = self.said(whole);
        if said.starts_with('(') && count > 1 && !said.contains([':', '[', '<', '{']) && said.ends_with(')') {
            self.report(errors::sizes_in_parentheses(self.text, whole));
            return vec![];
        }
        let mut angle = false;
        for (at, kid) in list.into_iter().enumerate() {
            if kid.as_rule() == Rule::typed {
                ports.push(Port { name: None, ty: self.typed(kid) });
                continue;
            }
            let span = self.span(&kid);
            let mut kids = Kids::of(kid);
            let name = kids.take(Rule::name_any).map(|name| self.name(name, errors::Role::Value));
            kids.take(Rule::colon);
            let ty = kids.take(Rule::typed);
            if let (None, Some(ty)) = (&name, &ty)
                && !ty.as_str().contains('[')
            {
                let word = self.span(ty);
                self.report(errors::missing_type(self.text, word));
                continue;
            }
            let junk = kids.take(Rule::item_junk).map(|junk| self.span(&junk));
            let sizes = junk.map_or("", |junk| self.said(junk));
            let opened = ty.as_ref().is_some_and(|ty| !ty.as_str().contains('[')) && sizes.starts_with(['(', '<']);
            let inner = angle;
            angle = (opened || angle) && !sizes.contains('>');
            match (&name, &ty, junk) {
                // The type itself tells that its sizes stand in other brackets.
                (_, _, Some(_)) if opened || inner => {}
                (_, _, Some(junk)) => self.report(errors::in_type(self.text, junk)),
                (Some(name), None, None) => self.report(errors::missing_type(self.text, name.span)),
                (None, Some(ty), None) => {
                    let ty = self.span(ty);
                    self.report(errors::unnamed_port(self.text, ty));
                }
                (None, None, None) if at + 1 < count => self.report(errors::empty_item(self.text, span, whole)),
                _ => {}
            }
            if let Some(ty) = ty {
                ports.push(Port { name, ty: self.typed(ty) });
            }
        }
        ports
    }

    /// `f32[batch, d]`.
    fn typed(&mut self, pair: Pair<'_, Rule>) -> Typed {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let dtype =
            kids.take(Rule::name_any).map(|dtype| Name { text: dtype.as_str().to_string(), span: self.span(&dtype) });
        let Some(axes) = kids.take(Rule::axes) else {
            self.report(errors::missing_axes(self.text, span));
            return Typed { dtype, axes: vec![], span };
        };
        Typed { dtype, axes: self.axes(axes), span }
    }

    fn axes(&mut self, pair: Pair<'_, Rule>) -> Vec<Axis> {
        let whole = self.span(&pair);
        let list: Vec<_> = pair.into_inner().collect();
        let count = list.len();
        let mut axes = vec![];
        for (at, axis) in list.into_iter().enumerate() {
            let span = self.span(&axis);
            let mut kids = Kids::of(axis);
            if let Some(rest) = kids.take(Rule::rest) {
                axes.push(Axis::Rest(self.span(&rest)));
            } else if let Some(size) = kids.take(Rule::expr) {
                axes.push(if self.span(&size).len() == 1 && size.as_str().trim() == "_" {
                    Axis::Any(self.span(&size))
                } else {
                    Axis::Size(self.expr(size))
                });
            } else if span.is_empty() && at + 1 < count {
                self.report(errors::empty_item(self.text, span, whole));
            }
            if let Some(junk) = kids.take(Rule::item_junk) {
                let junk = self.span(&junk);
                self.report(errors::in_type(self.text, junk));
            }
        }
        axes
    }

    /// The facts of `where` and `if`.
    fn conds(&mut self, pair: Pair<'_, Rule>) -> Vec<Cond> {
        let mut conds = vec![];
        for kid in pair.into_inner() {
            match kid.as_rule() {
                Rule::and_word => {
                    let word = self.span(&kid);
                    self.report(errors::and_word(self.text, word));
                }
                Rule::cond => conds.extend(self.cond(kid)),
                _ => {}
            }
        }
        conds
    }

    fn cond(&mut self, pair: Pair<'_, Rule>) -> Option<Cond> {
        let span = self.span(&pair);
        let mut kids = Kids::of(pair);
        let left = kids.take(Rule::expr).map(|left| self.expr(left));
        let sign = kids.take(Rule::cmp);
        let Some(sign) = sign else {
            if left.is_none() {
                self.report(errors::missing_condition(self.text, span));
            }
            return left.map(|left| Cond { left, right: None, span });
        };
        let sign_span = self.span(&sign);
        let cmp = comparison(sign.as_str());
        let right = kids.take(Rule::expr).map(|right| self.expr(right));
        if left.is_none() || right.is_none() {
            self.report(errors::missing_operand(self.text, sign_span));
        }
        if let (Some(second), Some(right)) = (kids.take(Rule::cmp), &right) {
            let second = self.span(&second);
            self.report(errors::chain(self.text, span, right.span, second));
        }
        let broken = Expr { kind: ExprKind::Broken, span: sign_span };
        let left = left.unwrap_or_else(|| broken.clone());
        Some(Cond { left, right: Some((cmp, right.unwrap_or(broken))), span })
    }
}

fn comparison(sign: &str) -> Cmp {
    match sign {
        "!=" => Cmp::Ne,
        "<" => Cmp::Lt,
        "<=" => Cmp::Le,
        ">" => Cmp::Gt,
        ">=" => Cmp::Ge,
        _ => Cmp::Eq,
    }
}

/// The text between the quotes.
fn unquoted(string: &str) -> String {
    let inner = string.strip_prefix('"').unwrap_or(string);
    inner.strip_suffix('"').unwrap_or(inner).to_string()
}
