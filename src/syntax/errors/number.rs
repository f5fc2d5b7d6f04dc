//! Numbers, and the signs between them.

use super::{Mend, around, first_token, quoted};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// `.5`, `5.`, `64x`.
pub(in crate::syntax) fn malformed_number(text: &str, span: Span, number: &str) -> Diagnostic {
    let code = "syntax::number";
    let letters = number.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '.');
    if number.starts_with('.') && letters.is_empty() && number.matches('.').count() == 1 {
        let mended = format!("0{number}");
        return Diagnostic::error(
            code,
            format!("write `{mended}`: a number begins with a digit"),
            span,
            "no digit before the point",
        )
        .mend(text, span, &mended);
    }
    if number.ends_with('.') && number.matches('.').count() == 1 {
        let mended = format!("{number}0");
        return Diagnostic::error(
            code,
            format!("write `{mended}`: a point has digits on both sides"),
            span,
            "no digit after the point",
        )
        .mend(text, span, &mended);
    }
    if number.ends_with('_') {
        let mended = number.trim_end_matches('_');
        return Diagnostic::error(code, "a `_` stands between the digits of a number", span, "ends with `_`")
            .mend(text, span, mended);
    }
    let digits = &number[..number.len() - letters.len()];
    if !letters.is_empty() && !digits.contains('.') {
        let message = format!("`{number}` is neither a number nor a name: a name begins with a letter");
        let report = Diagnostic::error(code, message, span, format!("digits, then `{}`", quoted(letters)));
        let thousands = match letters {
            "k" | "K" => Some("_000"),
            "m" | "M" => Some("_000_000"),
            _ => None,
        };
        if let Some(zeros) = thousands {
            return report.mend(text, span, &format!("{digits}{zeros}"));
        }
        if letters == "x" {
            return report.mend(text, span, digits);
        }
        let name =
            letters.strip_prefix('x').filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty());
        return match name {
            Some(second) => {
                let fixed = if second == digits { digits.to_string() } else { format!("[{digits}, {second}]") };
                report
                    .note(format!("two sizes are a list: `[{digits}, {second}]`; one number stands for every axis"))
                    .mend(text, span, &fixed)
            }
            None => report,
        };
    }
    Diagnostic::error(code, format!("`{number}` is not a number"), span, "cannot be read")
        .note("numbers are written `64`, `2_000`, `5.0`, `1e-3`")
}

/// `1e999`.
pub(in crate::syntax) fn number_too_large(span: Span, number: &str) -> Diagnostic {
    Diagnostic::error("syntax::number", format!("`{number}` is larger than any number here"), span, "above 1.8e308")
}

/// `a + b + …` without end.
pub(in crate::syntax) fn too_many_signs(span: Span, limit: usize) -> Diagnostic {
    let start = Span { end: span.start + 1, ..span };
    Diagnostic::error("limit::depth", format!("an expression of more than {limit} signs"), start, "it begins here")
        .note("name a part of it on a line of its own")
}

/// `else if` without end.
pub(in crate::syntax) fn too_many_else(span: Span, limit: usize) -> Diagnostic {
    let start = Span { end: span.start + 4, ..span };
    Diagnostic::error("limit::depth", format!("more than {limit} `else if` in a row"), start, "one too many")
}

/// `d +`.
pub(in crate::syntax) fn missing_operand(text: &str, sign: Span) -> Diagnostic {
    let written = super::said(text, sign).replace(' ', "");
    let (at, sign, _) = first_token(text, sign);
    let (before, after) = around(text, at.start);
    if written == "--" {
        let both = Span { end: at.start + after.trim_end().len() as u32, ..at };
        let message = "a name is bound once: there is no `--`";
        return Diagnostic::error("syntax::update", message, both, "values are never changed").mend(text, both, " - 1");
    }
    if after.starts_with("<>") {
        let both = Span { end: at.start + 2, ..at };
        let message = "two sizes that differ are compared by `!=`";
        return Diagnostic::error("syntax::compare", message, both, "write `!=`").mend(text, both, "!=");
    }
    let digits = before.trim_end().len() - before.trim_end().trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let number = &before.trim_end()[before.trim_end().len() - digits..];
    if let ("%", Ok(percent)) = (sign, number.parse::<u32>()) {
        let share = format!("{}", f64::from(percent) / 100.0);
        let share = if share.contains('.') { share } else { format!("{share}.0") };
        let start = at.start - (before.len() - before.trim_end().len() + digits) as u32;
        let message = format!("a share is written as a fraction: {percent}% is `{share}`");
        return Diagnostic::error("syntax::percent", message, Span { start, ..at }, "there are no percentages").mend(
            text,
            Span { start, ..at },
            &share,
        );
    }
    Diagnostic::error(
        "syntax::missing_operand",
        format!("a value is missing beside this `{sign}`"),
        at,
        "one side is empty",
    )
}

/// `d ** 2`.
pub(in crate::syntax) fn double_star(text: &str, sign: Span) -> Diagnostic {
    Diagnostic::error("syntax::double_star", "a power is written `^`", sign, "write `^`").mend(text, sign, "^")
}
