//! Bodies, bindings, flows and branches.

use super::statement::{in_statement, unreadable_statement};
use super::{Mend, Name, around, first_token, quoted, said};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// `; relu` at the beginning of a body.
pub(in crate::syntax) fn leading_separator(text: &str, span: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax::leading_separator",
        "a body begins with a statement, not with `;`",
        span,
        "nothing before it",
    )
    .mend(text, Span { end: span.end + blanks(text, span.end), ..span }, "")
}

/// How many blanks follow a place.
fn blanks(text: &str, at: u32) -> u32 {
    let rest = &text[at as usize..];
    (rest.len() - rest.trim_start_matches(' ').len()) as u32
}

/// `{ }`.
pub(in crate::syntax) fn empty_body(text: &str, span: Span) -> Diagnostic {
    let report = Diagnostic::error(
        "syntax::empty_body",
        "this body is empty: write `it` for what changes nothing",
        span,
        "no stage",
    );
    report.mend(text, span, "{ it }")
}

/// `dim hidden` in a body.
pub(in crate::syntax) fn dim_in_body(text: &str, span: Span, name: Option<&Name>) -> Diagnostic {
    let _ = text;
    let name = name.map_or("hidden", |name| name.text.as_str());
    let message = format!("in a body a dim is computed: `dim {name} = 4 * d`");
    Diagnostic::error("syntax::dim_in_body", message, span, "its value is missing")
        .note("a free symbol is declared outside of bodies: `dim batch, seq`")
}

/// `layer x` without its call.
pub(in crate::syntax) fn layer_form(text: &str, span: Span) -> Diagnostic {
    let _ = text;
    Diagnostic::error(
        "syntax::layer_form",
        "a layer is declared as `layer wte = embedding(vocab, d)`",
        span,
        "not complete",
    )
}

/// `return` alone.
pub(in crate::syntax) fn empty_return(span: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax::empty_return",
        "say what is returned: `return (sim, img)`, or `return it`",
        span,
        "nothing follows",
    )
}

/// `optimizer = = adamw`, `x = = relu`.
pub(in crate::syntax) fn double_assign(text: &str, sign: Span) -> Diagnostic {
    let start = around(text, sign.start).0.trim_end().len();
    let start = sign.start - (around(text, sign.start).0.len() - start) as u32;
    Diagnostic::error("syntax::double_assign", "a second `=`", sign, "one is enough").mend(
        text,
        Span { start, ..sign },
        "",
    )
}

/// `x += f`.
pub(in crate::syntax) fn update_sign(text: &str, stmt: Span, sign: Span) -> Diagnostic {
    let update = said(text, sign);
    let left = quoted(said(text, Span { end: sign.start, ..stmt }));
    let code = "syntax::update";
    if update == ":=" {
        return Diagnostic::error(code, "a value is named by `=`", sign, "write `=`").mend(text, sign, "=");
    }
    let infix = &update[..1];
    let right = quoted(said(text, Span { start: sign.end, ..stmt }));
    let right = if right.is_empty() { "y" } else { &right };
    let message = format!("a name is bound once: there is no `{update}`");
    let report = Diagnostic::error(code, message, sign, "values are never changed");
    let report = report.mend(text, sign, infix);
    if infix == "+" {
        report.note(format!(
            "`residual {{ … }}` adds a branch to the value; `{left} + {right}` is the sum as a new value"
        ))
    } else {
        report.note(format!("`{left} {infix} {right}` is a new value"))
    }
}

/// `x =`, `p = ,`.
pub(in crate::syntax) fn missing_value(text: &str, sign: Span) -> Diagnostic {
    let said = said(text, sign);
    let message =
        if said == "=" { "a value is missing after this `=`".to_string() } else { format!("`{said}` has no value") };
    Diagnostic::error("syntax::missing_value", message, sign, "nothing follows")
}

/// `x |>`.
pub(in crate::syntax) fn missing_stage(text: &str, pipe: Span) -> Diagnostic {
    let start = text[..pipe.start as usize].trim_end().len() as u32;
    Diagnostic::error("syntax::missing_stage", "a stage is missing after this `|>`", pipe, "nothing follows").mend(
        text,
        Span { start, ..pipe },
        "",
    )
}

/// What follows a branch.
pub(in crate::syntax) fn in_branch(text: &str, good: Span, junk: Span) -> Diagnostic {
    let (at, sign, _) = first_token(text, junk);
    let rest = said(text, junk).trim_start_matches(sign).trim_start();
    let name = said(text, good);
    let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match sign {
        // `a: conv(8, 1)`.
        ":" if good != junk && word && rest.contains(|c: char| c.is_ascii_alphabetic()) => {
            let message = format!("a branch is named by `=`: `| {name} = {}`", quoted(rest));
            let (before, _) = around(text, good.start);
            let begins = if before.trim_end().ends_with('|') { "" } else { "| " };
            let head = Span { end: at.end, ..good };
            Diagnostic::error("syntax::colon", message, at, "write `=`").mend(text, head, &format!("{begins}{name} ="))
        }
        // `conv(8, 1), conv(8, 3)`.
        "," if good != junk => {
            let message = "branches are separated by `|`, not by `,`: each begins with one";
            let report = Diagnostic::error("syntax::missing_bar", message, at, "write `|`");
            let branches: Vec<String> =
                apart(said(text, good.to(junk))).into_iter().map(|branch| format!("| {branch}")).collect();
            let (before, _) = around(text, good.start);
            let bar = before.trim_end().ends_with('|');
            let fixed = branches.join(" ");
            report.mend(text, good.to(junk), if bar { fixed.trim_start_matches("| ") } else { &fixed })
        }
        _ if good == junk => unreadable_statement(text, junk),
        _ => in_statement(text, good, junk),
    }
}

/// The parts of a text between the commas that stand in no bracket.
fn apart(said: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, vec![]);
    for (i, c) in said.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(said[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(said[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// `parallel join sum { relu }`: the branches without a bar, and the commas between branches.
pub(in crate::syntax) fn missing_bars(text: &str, bare: &[Span], commas: &[Span]) -> Option<Diagnostic> {
    let first = bare.first().or(commas.first())?;
    let code = "syntax::missing_bar";
    let mut report = match bare.first() {
        Some(first) => {
            let message = "each branch of a parallel begins with `|`";
            Diagnostic::error(code, message, *first, "`|` is missing before this").mend(
                text,
                Span { end: first.start, ..*first },
                "| ",
            )
        }
        None => {
            let message = "no `,` stands between branches: each begins with `|`";
            Diagnostic::error(code, message, *first, "leave it out").mend(text, *first, "")
        }
    };
    for other in bare.iter().skip(1) {
        report = report.also(Span { end: other.start, ..*other }, "| ");
    }
    let told = usize::from(bare.is_empty());
    for comma in commas.iter().skip(told) {
        report = report.also(*comma, "");
    }
    if let (Some(fix), Some(_)) = (report.fixes.first_mut(), commas.first()) {
        fix.shown = fix.shown.trim_end_matches(',').to_string();
    }
    Some(report)
}

/// `| | relu`.
pub(in crate::syntax) fn empty_branch(text: &str, bar: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax::empty_branch",
        "this branch is empty: write `| it` for what changes nothing",
        bar,
        "no stage",
    )
    .mend(text, bar, "| it")
}

/// `parallel join sum { }`.
pub(in crate::syntax) fn no_branches(span: Span) -> Diagnostic {
    let message = "a parallel has branches, one after each `|`: `{ | conv(8, 1) | conv(8, 3) }`";
    Diagnostic::error("syntax::no_branches", message, span, "no branch")
}

/// `| (a, b) = f`.
pub(in crate::syntax) fn pattern_in_branch(span: Span) -> Diagnostic {
    Diagnostic::error("syntax::pattern_in_branch", "a branch has one name: `| img = conv(8, 3)`", span, "several names")
}
