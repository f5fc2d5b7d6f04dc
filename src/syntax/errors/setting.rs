//! The train section.

use super::statement::in_statement;
use super::{Mend, Name, around, first_token, quoted, said};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// `optimizer = adamw`.
pub(in crate::syntax) fn setting_with_sign(text: &str, name: &Name, signs: Span) -> Diagnostic {
    let message = format!("a setting is written without `=`: `{} …`", name.text);
    let start = name.span.end;
    let (_, rest) = around(text, signs.end);
    let space = rest.len() - rest.trim_start().len();
    let end = signs.end + space as u32;
    Diagnostic::error("syntax::setting_sign", message, signs, "leave it out").mend(
        text,
        Span { start, end, ..signs },
        " ",
    )
}

/// What follows a setting.
pub(in crate::syntax) fn in_setting(text: &str, name: &Name, good: Span, junk: Span) -> Diagnostic {
    let (at, sign, _) = first_token(text, junk);
    if sign == ":" && good == name.span {
        let message = format!("a setting is written without `:`: `{} …`", name.text);
        return Diagnostic::error("syntax::setting_sign", message, at, "leave it out").mend(text, at, "");
    }
    if sign == "," {
        let message = "settings are separated by newlines or `;`, not by `,`";
        return Diagnostic::error("syntax::comma", message, at, "write `;`").mend(text, at, ";");
    }
    in_statement(text, good, junk)
}

/// A line of the train section that begins with no word.
pub(in crate::syntax) fn unreadable_setting(text: &str, span: Span) -> Diagnostic {
    let (at, _, _) = first_token(text, span);
    let message = format!("`{}` is no setting", quoted(said(text, span)));
    Diagnostic::error("syntax::unexpected", message, at, "a setting begins with its name")
        .note("for instance `loss cross_entropy`, `batch 64`, `optimizer adamw(lr = 3e-4)`")
}
