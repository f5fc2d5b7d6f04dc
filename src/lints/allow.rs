//! `// allow(code)`: the one way to silence a lint, where it stands and no further.
//!
//! On a line it speaks for that line; on a line that opens a body (a block, model, train section, residual, repeat …)
//! for all of the body; alone on a line, for the next one. Several codes are separated by commas, `-` and `_` are equal,
//! `lint::` may be left out.

use super::report::Subject;
use super::{Lint, all, find};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::Entry;
use crate::syntax::lex::{Kind, lex};
use crate::text::{Source, Span};
use std::collections::HashMap;

lints! { LINTS;

/// An `allow` names a lint that does not exist.
///
/// Nothing is silenced by it. The nearest code is proposed.
UNKNOWN_CODE = Lint {
    code: "lint::unknown_code",
    why: "an unknown code silences nothing",
    fires: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)   // allow(colapse)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(8)   // allow(collapse)
  linear(3)
}
",
    ..Lint::DEFAULT
};

/// An `allow` silences nothing.
///
/// Its reason is gone, or it stands on the wrong line. It is not told where hyperparameters or a model are chosen from
/// outside: there the lint may fire for other choices.
UNUSED_ALLOW = Lint {
    code: "lint::unused_allow",
    why: "on a line it speaks for that line, on the line of a `{` for all of its body, alone for the next line",
    fires: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)   // allow(collapse)
}
",
    quiet: "dim batch
model m : (x: f32[batch, 4]) -> f32[batch, 3] {   // allow(collapse)
  linear(8)
  linear(3)
}
",
    ..Lint::DEFAULT
};

}

/// A code that a comment allows, and for which part of the text.
struct Allow {
    lint: &'static Lint,
    /// The code as written.
    span: Span,
    /// Where it holds.
    holds: Vec<Span>,
    used: bool,
}

/// Takes out what is allowed; adds what is wrong with the comments themselves.
pub(super) fn filter(subject: &Subject<'_>, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let (mut allows, mut told) = read(subject);
    let mut silent = vec![false; found.len()];
    for (allow, report) in covering(&allows, &found) {
        (silent[report], allows[allow].used) = (true, true);
    }
    told.extend(found.into_iter().zip(silent).filter_map(|(report, silent)| (!silent).then_some(report)));
    if subject.whole && !subject.models.is_empty() {
        told.extend(allows.iter().filter(|allow| !allow.used && allow.span.file == 0).map(Allow::unused));
    }
    told
}

/// Which allow covers a label of which report: places of both are walked in order, once for each lint.
fn covering(allows: &[Allow], found: &[Diagnostic]) -> Vec<(usize, usize)> {
    let mut by_code: HashMap<&str, (Places<'_>, Places<'_>)> = HashMap::new();
    for (index, allow) in allows.iter().enumerate() {
        let held = &mut by_code.entry(allow.lint.code).or_default().0;
        held.extend(allow.holds.iter().map(|span| (span, index)));
    }
    for (index, report) in found.iter().enumerate() {
        if let Some((_, labels)) = by_code.get_mut(report.code) {
            labels.extend(report.labels.iter().map(|label| (&label.span, index)));
        }
    }
    let mut pairs = vec![];
    for (mut held, mut labels) in by_code.into_values() {
        held.sort_unstable();
        labels.sort_unstable();
        let mut held = held.into_iter().peekable();
        // Those that have begun and not ended: bodies within each other, and a line.
        let mut open: Places<'_> = vec![];
        for (label, report) in labels {
            let begun = |(span, _): &(&Span, usize)| (span.file, span.start) <= (label.file, label.start);
            open.extend(std::iter::from_fn(|| held.next_if(begun)));
            open.retain(|(span, _)| span.file == label.file && label.start < span.end);
            pairs.extend(open.iter().map(|&(_, allow)| (allow, report)));
        }
    }
    pairs
}

/// Places, each with the number of what stands there.
type Places<'a> = Vec<(&'a Span, usize)>;

impl Allow {
    fn unused(&self) -> Diagnostic {
        let text = format!("`{}` is allowed here, and does not occur", self.lint.name());
        UNUSED_ALLOW.report(self.span, text, "silences nothing")
    }
}

/// All allows of all files, and reports about those that name no lint.
fn read(subject: &Subject<'_>) -> (Vec<Allow>, Vec<Diagnostic>) {
    let (mut allows, mut wrong) = (vec![], vec![]);
    for (file, comments) in subject.comments.iter().enumerate() {
        let Some(source) = subject.sources.0.get(file) else { continue };
        let mut places = None;
        for comment in comments {
            for (code, span) in codes(source, comment.span) {
                let Some(lint) = find(code) else {
                    wrong.push(unknown(code, span));
                    continue;
                };
                let places = places.get_or_insert_with(|| Layout::of(source, &subject.files[file].entries));
                allows.push(Allow { lint, span, holds: places.around(span, comment.own_line), used: false });
            }
        }
    }
    (allows, wrong)
}

/// The codes of `// allow(a, b)`, each with its place.
fn codes(source: &Source, comment: Span) -> Vec<(&str, Span)> {
    let text = source.text.get(comment.start as usize..comment.end as usize).unwrap_or("");
    let mut found = vec![];
    for (sign, _) in text.match_indices("//") {
        let rest = &text[sign + 2..];
        let Some(list) = rest.trim_start().strip_prefix("allow(") else { continue };
        let mut at = text.len() - list.len();
        for part in list[..list.find(')').unwrap_or(list.len())].split(',') {
            let code = part.trim();
            let start = comment.start as usize + at + (part.len() - part.trim_start().len());
            found.push((code, Span::new(comment.file, start, start + code.len())));
            at += part.len() + 1;
        }
    }
    found
}

fn unknown(code: &str, span: Span) -> Diagnostic {
    let written = code.trim_start_matches("lint::").replace('-', "_");
    let text = if code.is_empty() { "`allow` names no lint".to_string() } else { format!("there is no lint `{code}`") };
    let report = UNKNOWN_CODE.report(span, text, "unknown");
    match crate::data::nearest(&written, all().map(Lint::name)) {
        Some(near) => report.fix(span, near, format!("// allow({near})")),
        None => report.note("`wythe check --help` says how lints are allowed, the README lists them"),
    }
}

/// Where lines begin and which bodies they open.
struct Layout<'s> {
    source: &'s Source,
    /// Each pair of braces: the bytes of its opener and its end.
    bodies: Vec<(usize, usize)>,
    /// Headers that may stand on several lines, and what they belong to.
    headers: Vec<(Span, Span)>,
}

impl<'s> Layout<'s> {
    fn of(source: &'s Source, entries: &[Entry]) -> Layout<'s> {
        let (mut open, mut bodies) = (vec![], vec![]);
        for token in lex(&source.text) {
            match (token.kind, token.text(&source.text)) {
                (Kind::Open, "{") => open.push(token.start),
                (Kind::Close, "}") => bodies.extend(open.pop().map(|start| (start, token.end))),
                _ => {}
            }
        }
        bodies.sort_unstable();
        let header = |entry: &Entry| match entry {
            Entry::Block(block) | Entry::Model(block) => Some((block.header, block.span)),
            Entry::Train(train) => Some((train.header, train.span)),
            Entry::Dim(..) | Entry::Use(..) => None,
        };
        Layout { source, bodies, headers: entries.iter().filter_map(header).collect() }
    }

    /// The line of a byte, as a range of bytes with its newline.
    fn line(&self, at: usize) -> (usize, usize) {
        let text = &self.source.text;
        let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        (start, text[at..].find('\n').map_or(text.len(), |end| at + end + 1))
    }

    /// What a comment at a place speaks for: its line (the next one with code, where it is alone) and what opens there.
    fn around(&self, span: Span, alone: bool) -> Vec<Span> {
        let (mut start, mut end) = self.line(span.start as usize);
        while alone && end < self.source.text.len() {
            (start, end) = self.line(end);
            let code = self.source.text[start..end].trim_start();
            if !code.is_empty() && !code.starts_with("//") {
                break;
            }
        }
        let mut holds = vec![Span::new(span.file, start, end)];
        let from = self.bodies.partition_point(|(open, _)| *open < start);
        let opened = self.bodies[from..].iter().take_while(|(open, _)| *open < end);
        holds.extend(opened.map(|&(open, close)| Span::new(span.file, open, close)));
        let from = self.headers.partition_point(|(header, _)| header.end as usize <= start);
        let touched = self.headers[from..].iter().take_while(|(header, _)| (header.start as usize) < end);
        holds.extend(touched.map(|(_, whole)| *whole));
        holds
    }
}
