//! The formatter: one layout for a file, made from its tokens.
//!
//! The tokens and their line breaks are the author's; what is canonical is the white space: two spaces of indent for
//! each open brace, one space around signs, at most one blank line. Because no token is added or taken away (but `;`
//! at a line's end), the meaning cannot change and every comment stays.
//!
//! Three columns are kept where an author has made them. A run of bindings is aligned at its `=` when one of them has
//! been given more than one space before it; the values of a train section are always aligned; a comment after code
//! stays in its column if it can, else it comes two spaces later.

mod columns;
mod space;
mod wrap;

use super::lex::{Kind, Token, lex};
use super::parse::parse;
use crate::diagnostic::Diagnostic;

/// Lines longer than this are broken where they can be.
const WIDTH: usize = 100;

/// A line is broken at most this often: once for each bracket that may stand in another.
const MAX_ROUNDS: usize = super::scan::MAX_BLOCKS + super::scan::MAX_LEVELS;

/// The canonical layout of a text; the reports if it cannot be read, for a damaged text is not laid out.
///
/// ```
/// let text = wythe::syntax::format("block f( d ){\nlinear( 4*d );gelu }\n").expect("it can be read");
/// assert_eq!(text, "block f(d) {\n  linear(4 * d); gelu\n}\n");
/// ```
pub fn format(text: &str) -> Result<String, Vec<Diagnostic>> {
    let parsed = parse(0, text);
    if !parsed.diagnostics.is_empty() {
        return Err(parsed.diagnostics);
    }
    let mut lines = lines_of(text);
    // Each round breaks the long lines once and lays the pieces out where they now stand.
    for _ in 0..MAX_ROUNDS {
        if !wrap::break_long(&mut lines) {
            break;
        }
        lines = lines_of(&print(&lines));
    }
    columns::align(&mut lines);
    Ok(print(&lines))
}

/// A line of the result.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Spaces before it.
    indent: usize,
    /// Its code, spaced.
    code: String,
    /// The comment that ends it, or stands alone.
    comment: Option<String>,
    /// The column of the comment in the author's text.
    comment_column: usize,
    /// Whether a blank line stands before it.
    blank: bool,
    /// Where the `=` of its binding stands in `code`, and whether the author gave it more than one space.
    equals: Option<(usize, bool)>,
    /// For a line of a train section, the bytes of its setting's name.
    setting: Option<usize>,
    /// Whether brackets are balanced in it and it goes on from no other line.
    single: bool,
    /// Which bodies it stands in: lines with equal numbers are of one body.
    body: usize,
}

/// Lays out the lines without regard to their neighbours.
fn lines_of(text: &str) -> Vec<Line> {
    let tokens = broken_at_braces(text, without_idle_separators(text));
    let mut layout = Layout { text, brackets: vec![], bodies: 0, lines: vec![], pipe: None, entry: "" };
    let mut line: Vec<Token> = vec![];
    let mut newlines = 0;
    for (at, token) in tokens.iter().enumerate() {
        if token.kind != Kind::Newline {
            line.push(*token);
            continue;
        }
        if line.is_empty() {
            newlines += 1;
            continue;
        }
        // `{`, `else {` and `skip {` stand on the line of what they belong to.
        if joins(text, &line, &tokens[at + 1..]) {
            continue;
        }
        layout.line(&line, newlines > 0);
        line.clear();
        newlines = 0;
    }
    if !line.is_empty() {
        layout.line(&line, newlines > 0);
    }
    layout.lines
}

/// The tokens without each `;` that separates nothing: at a line's end or beginning, beside another, before `}`.
fn without_idle_separators(text: &str) -> Vec<Token> {
    let tokens = lex(text);
    let idle = |at: usize| {
        let beside = |token: Option<&Token>| {
            token.is_none_or(|t| t.kind == Kind::Newline || t.is_comment() || matches!(t.text(text), ";" | "}"))
        };
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        tokens[at].text(text) == ";"
            && (beside(tokens.get(at + 1)) || before.is_none_or(|before| before.kind == Kind::Newline))
    };
    (0..tokens.len()).filter(|&at| !idle(at)).map(|at| tokens[at]).collect()
}

/// The tokens, with a newline after the `{` and before the `}` of each body that takes more than one line.
fn broken_at_braces(text: &str, tokens: Vec<Token>) -> Vec<Token> {
    let mut open: Vec<(usize, usize)> = vec![];
    let mut lines = 0;
    let mut breaks = vec![false; tokens.len() + 1];
    for (at, token) in tokens.iter().enumerate() {
        match token.text(text) {
            "\n" => lines += 1,
            "{" => open.push((at, lines)),
            "}" => {
                if let Some((start, line)) = open.pop()
                    && line < lines
                {
                    breaks[start + 1] = tokens.get(start + 1).is_some_and(|next| !next.is_comment());
                    breaks[at] = true;
                }
            }
            _ => {}
        }
    }
    let newline = |at: usize| Token { kind: Kind::Newline, start: at, end: at };
    let mut out = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.into_iter().enumerate() {
        let after_newline = out.last().is_none_or(|last: &Token| last.kind == Kind::Newline);
        if breaks[at] && !after_newline && token.kind != Kind::Newline {
            out.push(newline(token.start));
        }
        out.push(token);
    }
    out
}

/// Whether the next line is drawn up to this one.
fn joins(text: &str, line: &[Token], rest: &[Token]) -> bool {
    let said = |token: Option<&Token>| token.map_or("", |token| token.text(text));
    let mut rest = rest.iter().skip_while(|token| token.kind == Kind::Newline);
    let (next, after) = (said(rest.next()), said(rest.next()));
    let last = line.last();
    if last.is_some_and(|token| token.is_comment()) {
        return false;
    }
    next == "{" || (said(last) == "}" && (next == "else" || (next == "skip" && after == "{")))
}

/// What is open, while lines are laid out.
struct Layout<'t> {
    text: &'t str,
    /// Sign of each open bracket, the indent of the line it stands in, and its body's number.
    brackets: Vec<(char, usize, usize)>,
    bodies: usize,
    lines: Vec<Line>,
    /// The column of the first `|>` of the statement.
    pipe: Option<usize>,
    /// The keyword of the entry.
    entry: &'t str,
}

impl<'t> Layout<'t> {
    fn line(&mut self, tokens: &[Token], blank: bool) {
        let mut tokens = tokens;
        let comment = tokens.last().filter(|token| token.is_comment()).copied();
        if comment.is_some() {
            tokens = &tokens[..tokens.len() - 1];
        }
        let depth = self.brackets.len();
        let body = self.brackets.last().map_or(0, |bracket| bracket.2);
        let continued = self.continued(tokens, comment.is_some());
        let indent = self.indent(tokens, continued);
        let first = tokens.first().map_or("", |token| token.text(self.text));
        if self.brackets.is_empty() && !continued && !first.is_empty() {
            self.entry = first;
        }
        let mut line =
            Line { indent, blank: blank && !self.lines.is_empty() && !self.after_open(), body, ..Line::default() };
        let (code, starts) = space::spaced(self.text, tokens);
        line.setting = (self.entry == "train" && depth == 1 && !continued && first != "}" && tokens.len() > 1)
            .then_some(first.len());
        if line.setting.is_none() && !continued {
            line.equals = self.equals(tokens, &starts);
        }
        let pipe = tokens.iter().position(|token| token.text(self.text) == "|>").map(|at| indent + starts[at]);
        if !continued {
            self.pipe = pipe;
        }
        self.track(tokens, indent);
        line.single = !continued && self.brackets.len() == depth && first != "}";
        if let Some(comment) = comment {
            line.comment = Some(comment.text(self.text).trim_end().to_string());
            line.comment_column = self.column(comment.start);
        }
        line.code = code;
        self.lines.push(line);
    }

    /// Whether the line before it has opened a body: no blank line follows it.
    fn after_open(&self) -> bool {
        self.lines.last().is_some_and(|line| line.code.ends_with('{'))
    }

    /// The indent of a statement in the present body.
    fn base(&self) -> usize {
        2 * self.brackets.iter().filter(|bracket| bracket.0 == '{').count()
    }

    /// Whether the line goes on from the one before it.
    fn continued(&self, tokens: &[Token], comment: bool) -> bool {
        let Some(first) = tokens.first().map(|token| token.text(self.text)) else {
            return comment && self.open();
        };
        if self.brackets.last().is_some_and(|bracket| bracket.0 != '{') {
            return true;
        }
        let top = self.brackets.is_empty();
        matches!(first, "|>" | "join") || (top && matches!(first, ":" | "->" | "where")) || self.open()
    }

    /// Whether the last line of code ends in the middle of a statement.
    fn open(&self) -> bool {
        let last = self.lines.iter().rev().find(|line| !line.code.is_empty());
        let last = last.and_then(|line| lex(&line.code).last().map(|token| token.text(&line.code).to_string()));
        last.is_some_and(|last| last != "{" && super::scan::continues_after(&last))
    }

    fn indent(&self, tokens: &[Token], continued: bool) -> usize {
        let first = tokens.first().map_or("", |token| token.text(self.text));
        if let (true, Some(&(_, indent, _))) = (matches!(first, ")" | "]" | "}"), self.brackets.last()) {
            return indent;
        }
        match self.brackets.last() {
            Some(&(sign, indent, _)) if sign != '{' => indent + 2,
            _ if first == "|>" => self.pipe.unwrap_or(self.base() + 2),
            _ if continued => self.base() + 2,
            _ => self.base(),
        }
    }

    /// Opens and closes what the line opens and closes.
    fn track(&mut self, tokens: &[Token], indent: usize) {
        for token in tokens {
            match token.kind {
                Kind::Open => {
                    self.bodies += 1;
                    let sign = self.text[token.start..].chars().next().unwrap_or('(');
                    let indent = if sign == '{' { self.base() } else { indent };
                    self.brackets.push((sign, indent, self.bodies));
                }
                Kind::Close => {
                    self.brackets.pop();
                }
                _ => {}
            }
        }
    }

    /// Where the `=` of a binding stands in the spaced line, and whether the author has moved it.
    fn equals(&self, tokens: &[Token], starts: &[usize]) -> Option<(usize, bool)> {
        let inside = self.brackets.last().is_some_and(|bracket| bracket.0 == '{');
        let at = tokens.iter().position(|token| token.text(self.text) == "=")?;
        let name = if tokens[0].text(self.text) == "layer" { at == 2 } else { at == 1 };
        let moved = tokens[at].start - tokens[at - 1].end > 1;
        (inside && name).then_some((starts[at], moved))
    }

    /// The column of a byte in the author's text.
    fn column(&self, at: usize) -> usize {
        let start = self.text[..at].rfind('\n').map_or(0, |i| i + 1);
        columns::width(&self.text[start..at])
    }
}

fn print(lines: &[Line]) -> String {
    let mut out = String::new();
    for line in lines {
        if line.blank {
            out.push('\n');
        }
        let mut text = format!("{}{}", " ".repeat(line.indent), line.code);
        if let Some(comment) = &line.comment {
            if !line.code.is_empty() {
                let gap = line.comment_column.saturating_sub(columns::width(&text)).max(2);
                text.push_str(&" ".repeat(gap));
            }
            text.push_str(comment);
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::format;

    fn lays_out(text: &str, expected: &str) {
        let formatted = format(text).expect("the text can be read");
        assert_eq!(formatted, expected);
        assert_eq!(format(&formatted).expect("the layout can be read"), expected, "once is enough");
    }

    #[test]
    fn a_run_is_aligned_when_its_author_has_begun_to() {
        lays_out("block f(d) {\na = relu\nlonger = gelu\n}", "block f(d) {\n  a = relu\n  longer = gelu\n}\n");
        lays_out("block f(d) {\na  = relu\nlonger = gelu\n}", "block f(d) {\n  a      = relu\n  longer = gelu\n}\n");
    }

    #[test]
    fn settings_have_their_values_in_one_column() {
        lays_out(
            "train m {\nbatch 4\nloss cross_entropy // a\n\n\nlr  1\n}",
            "train m {\n  batch 4\n  loss  cross_entropy // a\n\n  lr    1\n}\n"
                .replace("entropy // a", "entropy  // a")
                .as_str(),
        );
    }

    #[test]
    fn a_long_line_is_broken_at_its_body_and_then_at_its_arguments() {
        let name = "a_rather_long_name_of_a_layer";
        let text = format!(
            "block f(d) {{\n  residual pre {name} {{ {name}({name}, {name}); {name}(d, {name}) }} // last\n}}\n"
        );
        let expected = format!(
            "block f(d) {{\n  residual pre {name} {{\n    {name}({name}, {name})\n    {name}(d, {name})\n  }}  // last\n}}\n"
        );
        lays_out(&text, &expected);
    }

    #[test]
    fn many_bodies_on_a_line_and_bodies_deep_in_each_other_are_broken_at_once() {
        let chain: Vec<String> = (0..40).map(|i| format!("if d == {i} {{ relu }}")).collect();
        let once = format(&format!("block f(d) {{\n{}\n}}\n", chain.join(" else "))).expect("it can be read");
        assert_eq!(format(&once).ok(), Some(once.clone()), "once is enough");
        assert!(once.lines().all(|line| line.len() <= 100), "{once}");
        let deep = format!("block f(d) {{\n{}relu{}\n}}\n", "residual { ".repeat(40), " }".repeat(40));
        let once = format(&deep).expect("it can be read");
        assert_eq!(format(&once).ok(), Some(once.clone()), "once is enough");
    }

    #[test]
    fn separators_that_separate_nothing_go() {
        lays_out(";", "");
        lays_out("block f(d) { relu;; gelu; };\ndim a;", "block f(d) { relu; gelu }\ndim a\n");
        lays_out("block f(d) {\nrelu;\n;gelu ; // last\n}", "block f(d) {\n  relu\n  gelu  // last\n}\n");
    }

    #[test]
    fn signs_have_their_spaces() {
        lays_out(
            "block f(d,k=-1):[...,d]->[...,d] where d%k==0,k>=-2{\nx=it*d^-2-(-1)\ny[0]|>f(a->b)\nfor c in[1,-2]{ it }\n}",
            "block f(d, k = -1) : [..., d] -> [..., d] where d % k == 0, k >= -2 {\n  x = it * d^-2 - (-1)\n  y[0] |> f(a -> b)\n  for c in [1, -2] { it }\n}\n",
        );
    }
}
