//! Hyperparameters and types.

use super::expr::{missing_comma, semicolon, unexpected};
use super::{Kind, Mend, around, first_token, quoted, said};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// What follows a hyperparameter.
pub(in crate::syntax) fn in_params(text: &str, junk: Span) -> Diagnostic {
    let (at, sign, kind) = first_token(text, junk);
    match (sign, kind) {
        (":", _) => {
            let rest = said(text, junk);
            let annotation = rest.find('=').map_or(rest.len(), |at| rest[..at].trim_end().len());
            let cut = Span { end: junk.start + annotation as u32, ..junk };
            let message = "a hyperparameter has no type: its kind follows from its default";
            Diagnostic::error("syntax::param_type", message, cut, "leave it out").mend(text, cut, "")
        }
        ("*" | "**", _) => {
            Diagnostic::error("syntax::splat", "there are no collected parameters", at, "name each hyperparameter")
        }
        (";", _) => semicolon(text, at),
        (_, Kind::Word) => missing_comma(text, at),
        (_, Kind::Number | Kind::Str) => {
            let message = format!("`{sign}` is a value: a hyperparameter is a name, `d = {sign}` gives it a default");
            Diagnostic::error("syntax::param_name", message, at, "not a name")
        }
        _ => unexpected(text, at, junk),
    }
}

/// What cannot stand in a type.
pub(in crate::syntax) fn in_type(text: &str, junk: Span) -> Diagnostic {
    let (at, sign, kind) = first_token(text, junk);
    match (sign, kind) {
        (";", _) => semicolon(text, at),
        ("?" | "*" | ":" | "-", _) => {
            let message = format!("`{sign}` is no size: `_` is any size, `...` any number of axes");
            Diagnostic::error("syntax::any_size", message, at, "write `_`").mend(text, at, "_")
        }
        ("=", _) => {
            let (before, _) = around(text, at.start);
            let gap = (before.len() - before.trim_end().len()) as u32;
            let place = Span { start: at.start - gap, end: junk.end, ..at };
            Diagnostic::error("syntax::port_default", "an input has no default value", at, "leave it out")
                .mend(text, place, "")
        }
        ("x", _) => {
            let (before, _) = around(text, at.start);
            let after = said(text, Span { start: at.end, ..junk });
            let gap = (before.len() - before.trim_end().len()) as u32;
            let space = (after.len() - after.trim_start().len()) as u32;
            let place = Span { start: at.start - gap, end: at.end + space, ..at };
            Diagnostic::error("syntax::missing_comma", "sizes are separated by `,`, not by `x`", at, "write `,`")
                .mend(text, place, ", ")
        }
        (_, Kind::Word | Kind::Number) => missing_comma(text, at),
        _ => unexpected(text, at, junk),
    }
}

/// `x` without `: f32[…]`.
pub(in crate::syntax) fn missing_type(text: &str, name: Span) -> Diagnostic {
    let said = said(text, name);
    let message = format!("say what `{said}` is: `{said}: f32[batch, d]`");
    let report = Diagnostic::error("syntax::missing_type", message, name, "its type is missing");
    // `(x, y: [batch, d])`: the type of the next one was most likely meant for both.
    let (_, rest) = around(text, name.end);
    let Some((names, next)) = rest.split_once(':').filter(|(names, _)| names.trim_start().starts_with(',')) else {
        return report;
    };
    let word = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ',' | ' '));
    match next.find(']') {
        Some(end) if word(names) && names.matches(',').count() == 1 => {
            let place = Span { start: name.end, end: name.end, ..name };
            report.mend(text, place, &format!(": {}", next[..=end].trim()))
        }
        _ => report,
    }
}

/// `([batch, d])`.
pub(in crate::syntax) fn unnamed_port(text: &str, ty: Span) -> Diagnostic {
    let said = quoted(said(text, ty));
    let start = Span { end: ty.start, ..ty };
    let (before, after) = around(text, ty.start);
    let taken = |name: &&str| !format!("{before}{after}").contains(&format!("{name}:"));
    let name = ["x", "y", "z"].into_iter().find(taken).unwrap_or("other");
    Diagnostic::error(
        "syntax::unnamed_port",
        format!("in parentheses each has a name: `{name}: {said}`"),
        ty,
        "its name is missing",
    )
    .mend(text, start, &format!("{name}: "))
}

/// `x: f32`.
pub(in crate::syntax) fn missing_axes(text: &str, span: Span) -> Diagnostic {
    let said = said(text, span);
    let end = Span { start: span.end, ..span };
    let (_, rest) = around(text, span.end);
    let close = if rest.starts_with('(') { rest.find(')') } else { rest.find('>').filter(|_| rest.starts_with('<')) };
    if let Some(close) = close {
        let inner = &rest[1..close];
        let message = format!("sizes stand in brackets: `{said}[{inner}]`");
        let place = Span { end: span.end + close as u32 + 1, ..end };
        return Diagnostic::error("syntax::missing_axes", message, place, "write `[…]`").mend(
            text,
            place,
            &format!("[{inner}]"),
        );
    }
    if let Some(end) = rest.find("->").or(rest.find('{')).filter(|_| rest.starts_with(':')) {
        let inner = rest[..end].trim_end();
        let place = Span { end: span.end + inner.len() as u32, ..span };
        let message = format!("an input with a name stands in parentheses: `({said}{inner})`");
        return Diagnostic::error("syntax::missing_axes", message, place, "parentheses are missing").mend(
            text,
            place,
            &format!("({said}{inner})"),
        );
    }
    let number = said.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let element = matches!(said, "bool" | "int" | "float" | "double" | "half" | "long")
        || !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && said.len() <= 8 && number.len() > 1;
    if !element {
        let message = format!("an input stands in parentheses, with its type: `({said}: f32[batch, d])`");
        return Diagnostic::error("syntax::missing_axes", message, span, "which sizes has it?")
            .note("without a name the sizes are enough: `[batch, d]`");
    }
    let message = format!("`{said}` has no axes: `{said}[batch, d]`, or `{said}[]` for a single number");
    Diagnostic::error("syntax::missing_axes", message, span, "`[…]` is missing after this").mend(text, end, "[]")
}

/// `model net(x: f32[batch, 784]) -> f32[batch, 10]`: inputs where hyperparameters stand.
pub(in crate::syntax) fn typed_inputs(text: &str, params: Span, junk: Span, arrow: bool) -> Diagnostic {
    let inputs = quoted(said(text, params));
    let message = format!("inputs stand after `:`, hyperparameters before it: `: {inputs} -> …`");
    let start = Span { end: params.start, ..params };
    let report = Diagnostic::error("syntax::typed_inputs", message, junk, "a type: this is an input");
    if !arrow {
        return report;
    }
    let (before, _) = around(text, start.start);
    report.mend(text, start, if before.ends_with(' ') { ": " } else { " : " })
}

/// `: (batch, 784)`.
pub(in crate::syntax) fn sizes_in_parentheses(text: &str, span: Span) -> Diagnostic {
    let said = said(text, span);
    let fixed = format!("[{}]", said.trim_start_matches('(').trim_end_matches(')'));
    let message = format!("sizes stand in brackets: `{fixed}`");
    Diagnostic::error("syntax::sizes", message, span, "write `[…]`").mend(text, span, &fixed)
}
