//! Constructs that lack a part: a body, a norm, a count, a list, a join.

use super::header::form;
use super::{Mend, Name, first_token, floor_division, said, swallowed};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// A construct without its `{ … }`.
pub(in crate::syntax) fn missing_body(text: &str, head: Span) -> Diagnostic {
    let place = Span { start: head.end, ..head };
    if let Some(comment) = swallowed(text, head.end) {
        return floor_division(head.file, text, comment.start as usize);
    }
    let (at, keyword, _) = first_token(text, head);
    let message = format!("`{keyword}` has no body: `{{` is missing");
    // A `}` on a line of its own below says that the body was only not opened.
    let below = || text[head.end as usize..].lines().skip(1).take(100).take_while(|line| !line.contains('{'));
    if keyword == "skip" && below().any(|line| line.trim() == "}") {
        let label = "`{` is missing at the end of its line";
        return Diagnostic::error("syntax::missing_body", message, at, label).mend(text, place, " {");
    }
    let report =
        Diagnostic::error("syntax::missing_body", message, at, "needs `{ … }`").label(place, "`{` is missing here");
    match form(keyword) {
        Some(form) => report.note(format!("the form is `{form}`")),
        None => report,
    }
}

/// `residual layernorm {` and `residual pre {`.
pub(in crate::syntax) fn residual_head(text: &str, word: &Name) -> Diagnostic {
    let said = said(text, word.span);
    let end = Span { start: word.span.end, ..word.span };
    let inner = said[word.text.len()..].trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let norm = inner.map(str::trim).filter(|inner| inner.starts_with(|c: char| c.is_ascii_alphabetic()));
    if let (Some(norm), "pre" | "post" | "deep") = (norm.filter(|norm| !norm.contains('=')), word.text.as_str()) {
        let fixed = format!("{} {norm}", word.text);
        let message = format!("the norm stands beside its place, without parentheses: `residual {fixed} {{ … }}`");
        let label = "a norm is no argument";
        return Diagnostic::error("syntax::residual_norm", message, word.span, label).mend(text, word.span, &fixed);
    }
    if let (Some(gap), "pre" | "post" | "deep") = (line_break(text, word.span.end), word.text.as_str()) {
        let message = format!("the norm stands on the line of its `{}`", word.text);
        let gap = Span { file: word.span.file, ..gap };
        return Diagnostic::error("syntax::residual_norm", message, word.span, "the line ends here")
            .mend(text, gap, " ");
    }
    if matches!(word.text.as_str(), "pre" | "post" | "deep") {
        let message = format!("`{}` needs a norm: `residual {said} layernorm {{ … }}`", word.text);
        return Diagnostic::error("syntax::residual_norm", message, word.span, "which norm?").mend(
            text,
            end,
            " layernorm",
        );
    }
    let start = Span { end: word.span.start, ..word.span };
    let message = format!("say where the norm stands: `residual pre {said}` or `residual post {said}`");
    Diagnostic::error(
        "syntax::residual_placement",
        message,
        word.span,
        "`pre`, `post` or `deep` is missing before this",
    )
    .mend(text, start, "pre ")
}

/// `repeat {`.
pub(in crate::syntax) fn repeat_count(text: &str, head: Span) -> Diagnostic {
    let code = "syntax::repeat_count";
    if let Some(gap) = line_break(text, head.end) {
        let message = "the number of copies stands on the line of its `repeat`";
        let gap = Span { file: head.file, ..gap };
        return Diagnostic::error(code, message, head, "the line ends here").mend(text, gap, " ");
    }
    Diagnostic::error(code, "say how often: `repeat 3 { … }`", head, "the number is missing")
}

/// The line break after a head whose rest, up to its `{`, stands on the next line.
fn line_break(text: &str, end: u32) -> Option<Span> {
    let rest = &text[end as usize..];
    let gap = rest.len() - rest.trim_start().len();
    let next = rest[gap..].lines().next().unwrap_or("");
    let head = &next[..next.find('{')?];
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '(' | ')' | ',' | '=' | '.' | '[' | ']');
    let broken = rest[..gap].matches('\n').count() == 1 && !head.trim().is_empty() && head.chars().all(plain);
    broken.then(|| Span { start: end, end: end + gap as u32, ..Span::default() })
}

/// `for c [64, 128] {`.
pub(in crate::syntax) fn for_form(text: &str, head: Span) -> Diagnostic {
    let code = "syntax::for_form";
    if let Some(gap) = line_break(text, head.end).filter(|_| !said(text, head).contains(" in ")) {
        let message = "the list of a loop stands on the line of its `for`";
        return Diagnostic::error(code, message, head, "the line ends here").mend(
            text,
            Span { file: head.file, ..gap },
            " ",
        );
    }
    let message = "a loop is written `for c in [64, 128] { … }` or `for i in range(3) { … }`";
    let report = Diagnostic::error(code, message, head, "not a complete loop");
    // `for c [64, 128]`, `for c of widths`, `for (i = 0; i < 3; i++)`.
    let words = said(text, head).strip_prefix("for").unwrap_or("").trim();
    let name = words.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(words.len());
    let list = words[name..].trim().trim_start_matches("of ");
    if name > 0 && (list.starts_with('[') && list.ends_with(']') || words[name..].trim().starts_with("of ")) {
        return report.mend(text, head, &format!("for {} in {list}", &words[..name]));
    }
    match counting(words) {
        Some(range) => report.mend(text, head, &range),
        None => report,
    }
}

/// `(i = 0; i < 3; i++)` as `for i in range(3)`.
fn counting(words: &str) -> Option<String> {
    let parts: Vec<&str> = words.strip_prefix('(')?.strip_suffix(')')?.split(';').map(str::trim).collect();
    let [first, last, step] = parts.as_slice() else { return None };
    let (name, from) = first.rsplit_once('=')?;
    let name = name.trim().rsplit(' ').next()?;
    let to = last.strip_prefix(name)?.trim().strip_prefix('<')?.trim();
    let one = [format!("{name}++"), format!("++{name}"), format!("{name} += 1")].iter().any(|way| way == step);
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let range = if from.trim() == "0" { to.to_string() } else { format!("{}, {to}", from.trim()) };
    (one && plain(to) && plain(name) && plain(from.trim())).then(|| format!("for {name} in range({range})"))
}

/// `parallel {`.
pub(in crate::syntax) fn parallel_join(text: &str, head: Span) -> Diagnostic {
    let keyword = Span { end: head.start + "parallel".len() as u32, ..head };
    let message = "a parallel says how its branches are joined: `parallel join concat(axis = 1) { … }`";
    let report = Diagnostic::error("syntax::parallel_join", message, head, "how are the branches joined?");
    if said(text, head).contains("join") {
        report
    } else {
        report.mend(text, Span { start: keyword.end, ..keyword }, " join sum")
    }
}
