//! Statements, flows and settings.

use super::header::{missing_body, ternary};
use super::{Kind, Mend, Name, around, first_token, quoted, said};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// What follows a statement on its line.
pub(in crate::syntax) fn in_statement(text: &str, good: Span, junk: Span) -> Diagnostic {
    let (at, sign, kind) = first_token(text, junk);
    let rest = said(text, junk);
    if rest.contains('?') && !rest.contains('\n') {
        let question = junk.start + rest.find('?').unwrap_or(0) as u32;
        return ternary(text, Span { start: question, end: question + 1, ..at });
    }
    match (sign, kind) {
        (",", _) => comma(text, at, rest),
        ("|" | "||", _) => Diagnostic::error("syntax::single_bar", "a stage follows after `|>`", at, "write `|>`")
            .note("a single `|` begins a branch of `parallel`")
            .mend(text, at, "|>"),
        ("->" | "=>", _) => Diagnostic::error(
            "syntax::arrow",
            format!("a stage follows after `|>`, not after `{sign}`"),
            at,
            "write `|>`",
        )
        .mend(text, at, "|>"),
        ("@", _) => Diagnostic::error(
            "syntax::at_sign",
            "a matrix product is written `(a, b) |> matmul`",
            at,
            "there is no `@`",
        ),
        ("==" | "!=" | "<" | "<=" | ">" | ">=", _) => {
            let message = format!("a comparison stands only after `if` and `where`, not in a flow: `{sign}`");
            Diagnostic::error("syntax::comparison", message, at, "values are not compared here")
        }
        ("and" | "or" | "&&" | "&", _) => {
            let message = format!("there is no `{sign}` between values");
            Diagnostic::error("syntax::and", message, at, "facts are joined by `,` in `where` and `if`")
        }
        ("else", _) => lonely(sign, at),
        ("skip", _) if rest["skip".len()..].trim_start().starts_with('{') => lonely(sign, at),
        (":", _) => after_colon(text, good, at),
        ("=", _) => Diagnostic::error(
            "syntax::assignment",
            "on the left of `=` stands one name, or `(a, b)`",
            good,
            "not a name",
        )
        .label(at, "this `=` names what follows"),
        (_, Kind::Word | Kind::Number | Kind::Str | Kind::QuotedStr | Kind::Open) => second_stage(text, good, at, junk),
        _ => {
            let message = format!("`{sign}` cannot stand here");
            Diagnostic::error("syntax::unexpected", message, at, "the statement is complete before this")
        }
    }
}

/// `else { … }` after something else than an `if`.
fn lonely(sign: &str, at: Span) -> Diagnostic {
    let opener = if sign == "else" { "if … { … }" } else { "residual … { … }" };
    let message = format!("this `{sign}` belongs to no `{opener}`");
    Diagnostic::error("syntax::lonely_word", message, at, format!("no `{opener}` right before it"))
}

/// `relu, linear(3)`.
fn comma(text: &str, at: Span, rest: &str) -> Diagnostic {
    let mut depth = 0;
    let mut mended = String::new();
    for c in rest.lines().next().unwrap_or(",").chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        mended.push(if c == ',' && depth == 0 { ';' } else { c });
    }
    let message = "stages on one line are separated by `;`, not by `,`";
    let run = Span { end: at.start + mended.len() as u32, ..at };
    Diagnostic::error("syntax::comma", message, at, "write `;`").mend(text, run, &mended)
}

/// `while x: …`, `x: f32 = …`.
fn after_colon(text: &str, good: Span, at: Span) -> Diagnostic {
    let message = format!("`:` cannot follow `{}`", quoted(said(text, good)));
    Diagnostic::error("syntax::colon", message, at, "not expected here")
        .note("a body stands in braces, a type only in the signature of a block or model")
}

/// Two stages on one line, or another language's statement.
fn second_stage(text: &str, good: Span, at: Span, junk: Span) -> Diagnostic {
    let first = said(text, good);
    let ours = match first {
        "let" | "var" | "const" | "val" | "auto" => {
            let word = Span { end: at.start, ..good };
            let message = format!("a value is named by `=` alone, without `{first}`");
            return Diagnostic::error("syntax::let", message, good, "not a word of the language").mend(text, word, "");
        }
        "def" | "fn" | "func" | "class" => Some("a part that is used again is a `block`, outside of this body"),
        "while" | "loop" => Some("`repeat n { … }` and `for c in [64, 128] { … }` are the loops"),
        "elif" | "elseif" | "elsif" => Some("write `else if`"),
        "import" | "from" | "use" => Some("`use \"blocks.model\"` stands outside of bodies"),
        "not" => Some("a condition is turned by its comparison: `==` and `!=`"),
        "with" | "lambda" | "async" | "await" | "yield" | "assert" | "print" => Some("a body is a list of stages"),
        _ => None,
    };
    if let Some(ours) = ours {
        let message = format!("there is no `{first}` here: {ours}");
        return Diagnostic::error("syntax::foreign_word", message, good, "not a word of the language");
    }
    if said(text, at) == "skip" && said(text, good).ends_with('}') {
        return missing_body(text, at);
    }
    let second = quoted(said(text, junk));
    let message = format!("`{second}` follows on the same line: one stage a line, or `;` between them");
    let gap = Span { start: good.end, end: at.start, ..at };
    Diagnostic::error("syntax::two_stages", message, at, "a new stage begins here").mend(text, gap, "; ")
}

/// A line of which nothing can be read.
pub(in crate::syntax) fn unreadable_statement(text: &str, span: Span) -> Diagnostic {
    let (at, sign, kind) = first_token(text, span);
    match (sign, kind) {
        ("+" | "-" | "*" | "/" | "%" | "^" | "**", _) => leading_sign(text, span),
        ("=", _) => Diagnostic::error("syntax::missing_left", "a name is missing before this `=`", at, "which name?"),
        ("else" | "skip", _) => lonely(sign, at),
        (",", _) => comma(text, at, ","),
        ("@", _) => Diagnostic::error("syntax::decorator", "there are no decorators", at, "not a stage"),
        _ => {
            let message = format!("`{}` is no statement", quoted(said(text, span)));
            Diagnostic::error("syntax::unexpected", message, at, "a stage cannot begin with this")
                .note("a body is a list of stages: `linear(256)`, `h = conv(8, 3)`, `residual { … }`, `x |> relu`")
        }
    }
}

/// `+ x` at the beginning of a line.
pub(in crate::syntax) fn leading_sign(text: &str, span: Span) -> Diagnostic {
    let (at, sign, _) = first_token(text, span);
    let message = format!("a statement cannot begin with `{sign}`");
    let report = Diagnostic::error("syntax::leading_sign", message, at, "nothing stands before it");
    let start = text[..at.start as usize].trim_end().len();
    if text[start..at.start as usize].contains('\n') && !text[..start].ends_with(['{', ';']) {
        report.note(format!(
            "to go on from the line before, end that line with `{sign}`; `it {sign} x` uses the current value"
        ))
    } else {
        report.note(format!("`it {sign} x` uses the current value"))
    }
}

/// `; relu` at the beginning of a body.
pub(in crate::syntax) fn leading_separator(text: &str, span: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax::leading_separator",
        "a body begins with a statement, not with `;`",
        span,
        "nothing before it",
    )
    .mend(text, span, "")
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
    if good == junk { unreadable_statement(text, junk) } else { in_statement(text, good, junk) }
}

/// `parallel join sum { relu }`.
pub(in crate::syntax) fn missing_bar(text: &str, span: Span) -> Diagnostic {
    let start = Span { end: span.start, ..span };
    Diagnostic::error(
        "syntax::missing_bar",
        "each branch of a parallel begins with `|`",
        span,
        "`|` is missing before this",
    )
    .mend(text, start, "| ")
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

// ---- The train section -------------------------------------------------------------------------------------------

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
