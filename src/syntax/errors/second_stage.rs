//! A second stage on a line, or another language's statement.

use super::construct::missing_body;
use super::statement::{lonely, other_way};
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
    if let Some(report) = foreign_statement(text, good, at, junk, first) {
        return report;
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

/// A line of another language, by its first word.
fn foreign_statement(text: &str, good: Span, at: Span, junk: Span, first: &str) -> Option<Diagnostic> {
    let ours = match first {
        "let" | "var" | "const" | "val" | "auto" => {
            let rest = said(text, junk);
            let mutable = rest.strip_prefix("mut ").map_or(0, |rest| 4 + rest.len() - rest.trim_start().len());
            let word = Span { end: at.start + mutable as u32, ..good };
            let message = format!("a value is named by `=` alone, without `{first}`");
            let report = Diagnostic::error("syntax::let", message, good, "not a word of the language");
            return Some(report.mend(text, word, ""));
        }
        "elif" | "elseif" | "elsif" => {
            let message = format!("there is no `{first}` here: write `else if`");
            let report = Diagnostic::error("syntax::foreign_word", message, good, "not a word of the language");
            let follows = text[..good.start as usize].trim_end().ends_with('}');
            return Some(if follows { report.mend(text, good, "else if") } else { report });
        }
        "def" | "fn" | "func" | "class" => "a part that is used again is a `block`, outside of this body",
        "while" | "loop" => "`repeat n { … }` and `for c in [64, 128] { … }` are the loops",
        "import" | "from" | "use" => "`use \"blocks.model\"` stands outside of bodies",
        "match" | "switch" | "case" => "several cases are `if a == b { … } else if a == c { … }`",
        "not" => "a condition is turned by its comparison: `==` and `!=`",
        "lambda" | "fun" | "function" => {
            "a part that is used again is a `block`, and an activation is chosen by its name: `act = gelu`"
        }
        "with" | "async" | "await" | "yield" | "assert" | "print" => "a body is a list of stages",
        _ => return None,
    };
    let message = format!("there is no `{first}` here: {ours}");
    Some(Diagnostic::error("syntax::foreign_word", message, good, "not a word of the language"))
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
    let other = ["shortcut", "identity", "projection", "downsample", "otherwise", "skip_connection"].contains(&second);
    if other && said(text, good).starts_with("residual") && rest[second.len()..].trim_start().starts_with('{') {
        return Some(other_way(text, at, second));
    }
    if number_of_an_item(said(text, good)) {
        let message = format!("a body is no list of items: a stage begins its line, without `{}`", said(text, good));
        let gap = Span { end: at.start, ..good };
        let label = format!("no `{}` here", said(text, good));
        return Some(Diagnostic::error("syntax::list", message, good, label).mend(text, gap, ""));
    }
    if second == "{" && first == "skip" {
        return Some(lonely("skip", good));
    }
    if second == "{" {
        let inner = rest.trim_start_matches('{').trim_end_matches('}').trim();
        if bare && word(inner) && inner.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(in_parentheses(text, good, junk, inner));
        }
        return Some(stray_body(text, good, at, rest));
    }
    if kind == Kind::Number && bare && rest == second {
        return Some(in_parentheses(text, good, junk, second));
    }
    None
}

/// `1.` before a stage.
fn number_of_an_item(said: &str) -> bool {
    said.strip_suffix('.').is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// `forward(x) { … }`, `layers = { … }`.
fn stray_body(text: &str, good: Span, at: Span, rest: &str) -> Diagnostic {
    let before = said(text, good);
    let code = "syntax::stray_body";
    let word = before.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("");
    if matches!(word, "forward" | "call" | "__call__" | "apply" | "setup" | "build") {
        let message = format!("there is no `{word}` here: the body of a model is what happens to its inputs");
        return Diagnostic::error(code, message, good, "its lines stand in the model's own body");
    }
    if before.trim_end().ends_with('=') && rest[1..].trim_start().starts_with(['"', '\'']) {
        let message = "there are no dictionaries: each layer stands on a line, under its name";
        return Diagnostic::error(code, message, at, "no body belongs here").note("for instance `fc = linear(10)`");
    }
    let message = format!("`{{ … }}` cannot follow `{}`", quoted(before));
    let report = Diagnostic::error(code, message, at, "no body belongs here");
    report.note("a body belongs to `residual`, `repeat`, `for`, `if` or `parallel`")
}
