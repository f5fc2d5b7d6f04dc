//! A second stage on a line, or another language's statement.

use super::header::missing_body;
use super::statement::lonely;
use super::{Kind, Mend, first_token, quoted, said};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// `linear 10`, `linear: 10`, `linear<10>`, `linear{10}`: the numbers of a stage stand in parentheses.
pub(super) fn in_parentheses(text: &str, good: Span, junk: Span, inner: &str) -> Diagnostic {
    let word = said(text, good).rsplit(['=', '>']).next().unwrap_or("").trim();
    let message = format!("the numbers of a stage stand in parentheses: `{word}({inner})`");
    let place = Span { start: good.end, ..junk };
    Diagnostic::error("syntax::arguments", message, junk, format!("`({inner})` is meant")).mend(
        text,
        place,
        &format!("({inner})"),
    )
}

/// Two stages on one line, or another language's statement.
pub(super) fn second_stage(text: &str, good: Span, at: Span, junk: Span) -> Diagnostic {
    let whole = said(text, good);
    let first = whole.rsplit(['=', ' ']).next().unwrap_or("").trim();
    let (_, second, second_kind) = first_token(text, junk);
    if let Some(report) = odd_second(text, good, at, junk, (first, second, second_kind)) {
        return report;
    }
    let ours = match first {
        "let" | "var" | "const" | "val" | "auto" => {
            let rest = said(text, junk);
            let mutable = rest.strip_prefix("mut ").map_or(0, |rest| 4 + rest.len() - rest.trim_start().len());
            let word = Span { end: at.start + mutable as u32, ..good };
            let message = format!("a value is named by `=` alone, without `{first}`");
            return Diagnostic::error("syntax::let", message, good, "not a word of the language").mend(text, word, "");
        }
        "def" | "fn" | "func" | "class" => Some("a part that is used again is a `block`, outside of this body"),
        "while" | "loop" => Some("`repeat n { … }` and `for c in [64, 128] { … }` are the loops"),
        "elif" | "elseif" | "elsif" => Some("write `else if`"),
        "import" | "from" | "use" => Some("`use \"blocks.model\"` stands outside of bodies"),
        "not" => Some("a condition is turned by its comparison: `==` and `!=`"),
        "lambda" | "fun" | "function" => {
            Some("a part that is used again is a `block`, a stage with fixed numbers a word: `act = gelu`")
        }
        "with" | "async" | "await" | "yield" | "assert" | "print" => Some("a body is a list of stages"),
        _ => None,
    };
    if let Some(ours) = ours {
        let message = format!("there is no `{first}` here: {ours}");
        return Diagnostic::error("syntax::foreign_word", message, good, "not a word of the language");
    }
    let called = said(text, junk);
    if at.start == good.end && called.starts_with('(') && called.ends_with(')') {
        let message = "a stage is not called on a value: what it works on flows in, `x |> linear(10)`";
        let first = said(text, good);
        let name = first[..first.find('(').unwrap_or(0)].rfind('=').map_or(0, |at| at + 1);
        let start = good.start + (name + first[name..].len() - first[name..].trim_start().len()) as u32;
        return Diagnostic::error("syntax::called", message, Span { start, ..good }.to(junk), "called on something");
    }
    if said(text, at) == "skip" && said(text, good).ends_with('}') {
        return missing_body(text, at);
    }
    let second = quoted(said(text, junk));
    let message = format!("`{second}` follows on the same line: one stage a line, or `;` between them");
    let gap = Span { start: good.end, end: at.start, ..at };
    Diagnostic::error("syntax::two_stages", message, at, "a new stage begins here").mend(text, gap, "; ")
}

/// What follows a word on its line and is no stage: `linear 10`, `f"…"`, `elif …`, `skip { … }`.
fn odd_second(
    text: &str,
    good: Span,
    at: Span,
    junk: Span,
    (first, second, kind): (&str, &str, Kind),
) -> Option<Diagnostic> {
    let rest = said(text, junk);
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let bare = word(first) && !first.starts_with(|c: char| c.is_ascii_digit());
    if matches!(second, "elif" | "elseif" | "elsif") {
        let message = format!("there is no `{second}` here: write `else if`");
        let report = Diagnostic::error("syntax::foreign_word", message, at, "not a word of the language");
        return Some(report.mend(text, at, "else if"));
    }
    if second == "{" && first == "skip" {
        return Some(lonely("skip", good));
    }
    if second == "{" {
        let inner = rest.trim_start_matches('{').trim_end_matches('}').trim();
        if bare && word(inner) && inner.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(in_parentheses(text, good, junk, inner));
        }
        let message = format!("`{{ … }}` cannot follow `{}`", quoted(said(text, good)));
        let report = Diagnostic::error("syntax::stray_body", message, at, "a body of nothing");
        return Some(report.note("a body belongs to `residual`, `repeat`, `for`, `if` or `parallel`"));
    }
    if kind == Kind::Number && bare && rest == second {
        return Some(in_parentheses(text, good, junk, second));
    }
    None
}
