//! What stands between the keyword of a construct and its `{`.

use super::{Kind, Mend, around, first_token, quoted, said};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// What stands between a head and its `{`.
pub(in crate::syntax) fn in_header(text: &str, head: Span, junk: Span, body: bool) -> Diagnostic {
    let (at, sign, kind) = first_token(text, junk);
    let (_, keyword, _) = first_token(text, head);
    if sign == "?" {
        return ternary(text, at);
    }
    if let Some(report) = slip_of_header(text, head, junk, (at, sign, keyword)) {
        return report;
    }
    if (keyword == "block" || keyword == "model") && matches!(sign, "->" | "=>") {
        let message = "a signature begins with `:` and its inputs: `: [batch, d] -> [batch, d]`";
        return Diagnostic::error("syntax::signature_colon", message, at, "`:` and the inputs are missing before this");
    }
    if keyword == "parallel" && sign != "join" && kind == Kind::Word {
        let after = Span { end: at.start, start: at.start, ..at };
        let message = "a parallel says how its branches are joined: `parallel join concat(axis = 1) { … }`";
        return Diagnostic::error("syntax::parallel_join", message, at, "`join` is missing before this")
            .mend(text, after, "join ");
    }
    if keyword == "repeat" && matches!(sign, "times" | "x") {
        return Diagnostic::error("syntax::in_head", "a repeat is written `repeat 3 { … }`", at, "not needed").mend(
            text,
            Span {
                start: at.start - around(text, at.start).0.len() as u32
                    + around(text, at.start).0.trim_end().len() as u32,
                ..at
            },
            "",
        );
    }
    if sign == ":" && !body {
        let message =
            format!("a body stands in braces: `{} {{ … }}`", quoted(said(text, Span { end: at.start, ..head })));
        let report = Diagnostic::error("syntax::colon_body", message, at, "`{` must stand here, and `}` at the end");
        return with_braces(report, text, at);
    }
    let code = if body { "syntax::in_head" } else { "syntax::missing_body" };
    if !body {
        let message = format!("`{keyword}` has no body: `{{` is missing");
        let report = Diagnostic::error(code, message, at, "`{ … }` was expected before this");
        let inner = said(text, junk);
        let stage = kind == Kind::Word && !inner.contains(['\n', '{', ':', '=']);
        return if stage { report.mend(text, junk, &format!("{{ {inner} }}")) } else { report };
    }
    let message = format!("`{}` cannot stand between `{keyword}` and its `{{`", quoted(said(text, junk)));
    let report = Diagnostic::error(code, message, junk, "not expected here");
    match form(keyword) {
        Some(form) => report.note(format!("the form is `{form}`")),
        None => report,
    }
}

/// A sign or word of another language between a keyword and its body.
fn slip_of_header(text: &str, head: Span, junk: Span, (at, sign, keyword): (Span, &str, &str)) -> Option<Diagnostic> {
    let entry = matches!(keyword, "block" | "model");
    let raw = said(text, junk);
    let before = said(text, Span { end: at.start, ..head });
    let clause = before.contains("where") || keyword == "if" || keyword == "else";
    if sign == "=" && clause && !raw.starts_with("==") && !raw.starts_with("=>") {
        let message = "two sizes are compared by `==`: a single `=` names a value";
        return Some(Diagnostic::error("syntax::compare", message, at, "write `==`").mend(text, at, "=="));
    }
    if entry && raw.starts_with("=>") {
        let arrow = Span { end: at.start + 2, ..at };
        let report = Diagnostic::error("syntax::signature_arrow", "outputs stand after `->`", arrow, "write `->`");
        return Some(report.mend(text, arrow, "->"));
    }
    if entry && raw.starts_with("- ") && raw[1..].trim_start().starts_with('>') {
        let length = raw.find('>').unwrap_or(0) as u32 + 1;
        let arrow = Span { end: at.start + length, ..at };
        let message = "outputs stand after `->`, which is one sign";
        return Some(
            Diagnostic::error("syntax::signature_arrow", message, arrow, "write `->`").mend(text, arrow, "->"),
        );
    }
    let typed = raw.contains('[') && before.contains('[') && before.contains(':');
    if entry && typed && !before.contains("->") && sign == ":" {
        let message = "outputs stand after `->`, not after a second `:`";
        return Some(Diagnostic::error("syntax::signature_arrow", message, at, "write `->`").mend(text, at, "->"));
    }
    let begins = raw.starts_with(['[', '(']) || ["f32", "i64", "bool"].iter().any(|word| raw.starts_with(word));
    if entry && typed && !before.contains("->") && begins {
        let place = Span { end: at.start, ..at };
        let message = "outputs stand after `->`: it is missing before these";
        let report = Diagnostic::error("syntax::signature_arrow", message, junk, "`->` is missing before this");
        return Some(report.mend(text, place, "-> "));
    }
    if entry && sign == "=" && raw.contains('[') {
        let message = "a signature begins with `:` and its inputs: `: [batch, d] -> [batch, d]`";
        return Some(Diagnostic::error("syntax::signature_colon", message, at, "write `:`").mend(text, at, ":"));
    }
    if entry && matches!(sign, "if" | "when" | "with" | "requires") {
        let message = format!("facts of a `{keyword}` stand after `where`");
        return Some(Diagnostic::error("syntax::where_word", message, at, "write `where`").mend(text, at, "where"));
    }
    let name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if keyword == "block" && !before.contains(['(', ':']) && raw.split_whitespace().all(name) {
        let names: Vec<&str> = raw.split_whitespace().collect();
        let place = Span { start: at.start - (before.len() - before.trim_end().len()) as u32, ..junk };
        let fixed = format!("({})", names.join(", "));
        let message = format!("hyperparameters stand in parentheses: `{}{fixed}`", before.trim_end());
        return Some(
            Diagnostic::error("syntax::params", message, junk, "parentheses are missing").mend(text, place, &fixed),
        );
    }
    if keyword == "residual" && sign == "(" && raw.ends_with(')') {
        let inner = raw[1..raw.len() - 1].trim();
        let message = format!("a branch stands in braces: `residual {{ {inner} }}`");
        let report = Diagnostic::error("syntax::braces", message, at, "write `{`");
        return Some(report.mend(text, junk, &format!(" {{ {inner} }}")));
    }
    if keyword == "for" && raw.starts_with("..") {
        let from: String =
            before.chars().rev().take_while(char::is_ascii_digit).collect::<Vec<_>>().into_iter().rev().collect();
        let to = raw[2..].trim_start_matches('=').trim();
        let range = if from == "0" { format!("range({to})") } else { format!("range({from}, {to})") };
        let place = Span { start: at.start - from.len() as u32, ..junk };
        let message = format!("numbers in a row are `{range}`");
        return Some(Diagnostic::error("syntax::range", message, junk, "not a list").mend(text, place, &range));
    }
    if let ("if", Some(word)) = (keyword, raw.strip_prefix('!').filter(|rest| !rest.starts_with('='))) {
        let message = "a condition is turned by its comparison: there is no `!`";
        let report = Diagnostic::error("syntax::in_head", message, at, "not a sign of a condition");
        return Some(if name(word.trim()) {
            report.mend(text, junk, &format!("{} == false", word.trim()))
        } else {
            report
        });
    }
    if let ("if", Some((word, _))) = (keyword, before.rsplit_once("not ").filter(|(word, _)| word.trim() == "if")) {
        return Some(negated(text, head, at, junk, word.len()));
    }
    let no_comparison = matches!(sign, "is" | "in" | "not") || before.trim_end().ends_with("not");
    if keyword == "if" && no_comparison {
        let message = "a condition compares two numbers: `if d == 64 { … }`, `if d != 64 { … }`";
        let report = Diagnostic::error("syntax::in_head", message, at, "not a comparison");
        let note = match sign {
            "in" => "for several cases: `if d == 64 { … } else if d == 128 { … }`",
            "is" => "nothing is `none`: `if act == none { … }`",
            _ => "a condition is turned by its comparison: `==` and `!=`, `<` and `>=`",
        };
        return Some(report.note(note));
    }
    None
}

/// `if not d == 64 {`.
fn negated(text: &str, head: Span, at: Span, junk: Span, length: usize) -> Diagnostic {
    let not = Span { start: head.start + length as u32, end: head.start + length as u32 + 3, ..head };
    let message = "a condition is turned by its comparison: `==` and `!=`, `<` and `>=`";
    let report = Diagnostic::error("syntax::in_head", message, not, "no word before a comparison");
    let cond = said(text, Span { start: not.end, end: junk.end.max(at.end), ..head }).trim();
    let turned = [("==", "!="), ("!=", "=="), ("<=", ">"), (">=", "<"), ("<", ">="), (">", "<=")];
    let place = Span { start: not.start, end: junk.end.max(at.end), ..head };
    match turned.iter().find(|(sign, _)| cond.contains(sign)) {
        Some((sign, other)) => report.mend(text, place, &cond.replacen(sign, other, 1)),
        None if cond.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => {
            report.mend(text, place, &format!("{cond} == false"))
        }
        None => report,
    }
}

/// With the fix that puts a body, known by its indentation, between braces.
pub(super) fn with_braces(report: Diagnostic, text: &str, colon: Span) -> Diagnostic {
    let line = &text[text[..colon.start as usize].rfind('\n').map_or(0, |at| at + 1)..];
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    let margin = &line[..indent];
    let Some(first) = text[colon.end as usize..].find('\n').map(|at| colon.end as usize + at + 1) else {
        return report;
    };
    if !text[colon.end as usize..first].trim().is_empty() {
        return report;
    }
    // The last line that stands further right, before the first that does not.
    let (mut at, mut end) = (first, None);
    for line in text[first..].split_inclusive('\n') {
        let inner = line.len() - line.trim_start_matches([' ', '\t']).len();
        if !line.trim().is_empty() {
            if inner <= indent {
                break;
            }
            end = Some(at + line.trim_end().len());
        }
        at += line.len();
    }
    let Some(end) = end else { return report };
    let gap = text[..colon.start as usize].len() - text[..colon.start as usize].trim_end().len();
    let open = Span { start: colon.start - gap as u32, ..colon };
    let close = Span { start: end as u32, end: end as u32, ..colon };
    report.mend(text, open, " {").also(close, format!("\n{margin}}}"))
}

/// How a construct is written.
pub(super) fn form(keyword: &str) -> Option<&'static str> {
    Some(match keyword {
        "block" => "block name(parameters) : inputs -> outputs where facts { … }",
        "model" => "model name(parameters) : (x: f32[…]) -> f32[…] where facts { … }",
        "train" => "train model(overrides) { … }",
        "residual" => "residual pre layernorm { … } skip { … }",
        "repeat" => "repeat n { … }",
        "for" => "for c in [64, 128] { … }",
        "if" | "else" => "if d % 2 == 0 { … } else { … }",
        "parallel" => "parallel join sum { | a | b }",
        _ => return None,
    })
}

/// `a == b ? x : y`.
pub(super) fn ternary(text: &str, at: Span) -> Diagnostic {
    let report =
        Diagnostic::error("syntax::ternary", "a choice is written `if a == b { … } else { … }`", at, "there is no `?`");
    // `d == 64 ? relu : gelu`, alone on its line.
    let (before, after) = around(text, at.start);
    let code = after[1..].split("//").next().unwrap_or("");
    let report = match (before.trim(), code.split_once(':')) {
        (cond, Some((yes, no)))
            if cond.contains(['=', '<', '>']) && !cond.contains(['{', '(']) && !no.contains('}') =>
        {
            let cond = cond
                .rsplit_once("= ")
                .filter(|(name, _)| !name.contains(['=', '!', '<', '>']))
                .map_or(cond, |(_, cond)| cond);
            let start = at.start - (before.len() - before.rfind(cond).unwrap_or(0)) as u32;
            let place = Span { start, end: at.end + code.trim_end().len() as u32, ..at };
            report.mend(text, place, &format!("if {cond} {{ {} }} else {{ {} }}", yes.trim(), no.trim()))
        }
        _ => report,
    };
    report.note("the condition is over numbers and dims: it is decided when the file is checked, not when it runs")
}

/// `and` between facts.
pub(in crate::syntax) fn and_word(text: &str, word: Span) -> Diagnostic {
    let sign = said(text, word);
    if matches!(sign, "or" | "||") {
        let message = format!("there is no `{sign}`: all facts must hold");
        return Diagnostic::error("syntax::or", message, word, "facts are joined by `,`, which means and")
            .note("two cases are two `if`s, or an `else if`");
    }
    let gap = around(text, word.start).0;
    let before = Span { start: word.start - (gap.len() - gap.trim_end().len()) as u32, ..word };
    Diagnostic::error("syntax::and", format!("`{sign}` is written `,` here"), word, "facts are joined by `,`")
        .mend(text, before, ",")
}

/// `1 <= k <= 3`.
pub(in crate::syntax) fn chain(text: &str, cond: Span, middle: Span, second: Span) -> Diagnostic {
    let link = said(text, middle);
    let place = Span { start: middle.end, end: second.start, ..second };
    let first = said(text, Span { end: middle.end, ..cond });
    let rest = said(text, Span { start: second.start, ..cond });
    let message = format!("a comparison has two sides: write `{first}, {link} {rest}`");
    Diagnostic::error("syntax::chain", message, second, "a second comparison").mend(text, place, &format!(", {link} "))
}

/// `if {`.
pub(in crate::syntax) fn missing_condition(text: &str, span: Span) -> Diagnostic {
    let _ = text;
    Diagnostic::error("syntax::missing_condition", "a condition is missing: `if d % 2 == 0 { … }`", span, "here")
}
