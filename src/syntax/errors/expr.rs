//! What stands in parentheses and brackets: numbers, arguments, types.

use super::header::ternary;
use super::{Kind, Mend, around, first_token, quoted, said};
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
    let (at, sign, _) = first_token(text, sign);
    let (before, _) = around(text, at.start);
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

/// `nn.ReLU()`, `x.shape[1]`, `self.fc`.
pub(in crate::syntax) fn member(text: &str, base: Span, first: Span, whole: Span) -> Diagnostic {
    let owner = said(text, base);
    let dotted = said(text, whole);
    let parts: Vec<&str> = dotted.split('(').next().unwrap_or("").split('.').collect();
    let last = parts.last().copied().unwrap_or("").trim();
    match owner {
        "nn" | "F" | "torch" | "tf" | "keras" | "layers" | "jnp" | "jax" | "np" | "mx" | "flax" | "eqx" => {
            framework(text, whole, dotted, last)
        }
        "self" => Diagnostic::error(
            "syntax::self",
            "there is no `self`: a name of this body stands alone",
            whole,
            "write the name alone",
        )
        .mend(text, whole, dotted.trim_start_matches("self.")),
        _ => of_value(text, base, first, whole),
    }
}

/// `nn.ReLU()` and its like: our names are one lower-case word.
fn framework(text: &str, whole: Span, dotted: &str, last: &str) -> Diagnostic {
    let name = last.trim_end_matches("1d").trim_end_matches("2d").trim_end_matches("3d").to_lowercase();
    let rest = dotted.find('(').map_or("", |at| &dotted[at..]);
    let mended = if rest.split_whitespace().collect::<String>() == "()" { name } else { format!("{name}{rest}") };
    let message =
        format!("`{}` is another library's name: operators are one word here, `{}`", quoted(dotted), quoted(&mended));
    Diagnostic::error("syntax::framework_name", message, whole, "no `.` in a name")
        .note("only the outputs are written, inputs are inferred: `linear(256)`")
        .mend(text, whole, &mended)
}

/// `x.shape[1]`, `x.relu()`.
fn of_value(text: &str, base: Span, first: Span, whole: Span) -> Diagnostic {
    let owner = quoted(said(text, base));
    let (_, word, _) = first_token(text, Span { start: first.start + 1, ..first });
    if matches!(word, "shape" | "size" | "ndim" | "dim") {
        let message = format!("`{}`: sizes are not read from a value, they have names", quoted(said(text, whole)));
        return Diagnostic::error("syntax::shape_of", message, whole, "a value has no parts").note(
            "give the axis a name in the signature, `block f : [batch, seq, d] -> [batch, seq, d]`, and write `seq`",
        );
    }
    let call = quoted(said(text, Span { start: first.start + 1, ..whole }));
    let message = format!("a value has no parts: `{owner} |> {call}` sends it through a stage");
    let dot = Span { end: first.start + 1, start: base.end, ..first };
    Diagnostic::error("syntax::method", message, whole, "no `.` after a value").mend(text, dot, " |> ")
}

/// `x[:, 0]`.
pub(in crate::syntax) fn slice(text: &str, base: Span, index: Span) -> Diagnostic {
    if matches!(said(text, base), "input" | "output" | "inputs" | "outputs" | "Input") {
        let message = "inputs and outputs stand in the model's signature: `: (x: f32[batch, 784]) -> f32[batch, 10]`";
        return Diagnostic::error("syntax::slice", message, base.to(index), "not in a body");
    }
    let message =
        format!("`{}{}`: an index takes one number, of a list", quoted(said(text, base)), quoted(said(text, index)));
    Diagnostic::error("syntax::slice", message, index, "not how a part of a value is taken").note(
        "a part of a value is taken by a stage: `slice(axis = 1, from = 0, to = 1)`, or `select(axis = 1, index = 0)`",
    )
}

/// `x[]`.
pub(in crate::syntax) fn empty_index(span: Span) -> Diagnostic {
    Diagnostic::error("syntax::empty_index", "an index is missing: `widths[0]`", span, "empty")
}

/// `(a, , b)`.
pub(in crate::syntax) fn empty_item(text: &str, span: Span, whole: Span) -> Diagnostic {
    let _ = span;
    let end = Span { end: span.start + 1, ..span };
    if said(text, whole).trim_matches(['(', ')', ' ', '\n']).is_empty() {
        return Diagnostic::error(
            "syntax::empty_parenthesis",
            "this parenthesis is empty: `(a, b)` is several values",
            whole,
            "no value",
        );
    }
    let report = Diagnostic::error("syntax::empty_item", "nothing stands before this `,`", end, "one `,` too many");
    if said(text, end) == "," { report.mend(text, end, "") } else { report }
}

/// What follows an argument.
pub(in crate::syntax) fn in_args(text: &str, arg: Span, junk: Span) -> Diagnostic {
    let (at, sign, kind) = first_token(text, junk);
    if said(text, junk).contains('?') {
        let question = junk.start + said(text, junk).find('?').unwrap_or(0) as u32;
        return ternary(text, Span { start: question, end: question + 1, ..at });
    }
    match (sign, kind) {
        ("|>", _) => {
            let message = "an argument is a number or an option; values come by the flow: `(a, b) |> f`";
            Diagnostic::error("syntax::flow_argument", message, at, "a flow cannot stand in arguments")
        }
        (":", _) if arg.start != junk.start => {
            let before = Span { start: at.start, ..at };
            Diagnostic::error("syntax::colon", "an option is set by `=`: `p = 0.1`", at, "write `=`")
                .mend(text, before, " =")
        }
        (":", _) => Diagnostic::error("syntax::slice", "there are no slices in an argument", at, "not a number")
            .note("a part of a value is taken by a stage: `slice(axis = 1, from = 0, to = 1)`"),
        (";", _) => semicolon(text, at),
        ("==" | "!=" | "<" | "<=" | ">" | ">=", _)
            if condition_in_parentheses(text, arg, junk, at, sign).is_some() =>
        {
            condition_in_parentheses(text, arg, junk, at, sign).unwrap_or_else(|| unexpected(text, at, junk))
        }
        ("==" | "!=" | "<" | "<=" | ">" | ">=", _) => {
            let message = format!("a comparison stands only after `if` and `where`: `{sign}`");
            Diagnostic::error("syntax::comparison", message, at, "not in an argument")
        }
        ("*" | "**", _) if arg.start == junk.start => Diagnostic::error(
            "syntax::splat",
            format!("there is no `{sign}` before an argument"),
            at,
            "write the arguments out",
        ),
        ("=", _) => Diagnostic::error("syntax::double_assign", "a second `=`", at, "one is enough").mend(text, at, ""),
        ("for", _) => Diagnostic::error("syntax::comprehension", "a list is not made by a loop", at, "no `for` in here")
            .note("copies of a stage are `repeat 3 { … }`; a loop over numbers is `for c in [64, 128] { … }`, on a line of its own"),
        (_, Kind::Str | Kind::QuotedStr)
            if arg.end == junk.end && matches!(around(text, at.start).0.chars().last(), Some('f' | 'r' | 'b')) =>
        {
            let prefix = Span { start: at.start - 1, end: at.start, ..at };
            let message = "a string has no letter before it, and nothing is filled into it";
            Diagnostic::error("syntax::string_prefix", message, prefix, "leave it out").mend(text, prefix, "")
        }
        ("$" | "@" | "&", _) => {
            let message = format!("a name stands alone, without `{sign}`");
            Diagnostic::error("syntax::unexpected", message, at, "leave it out").mend(text, at, "")
        }
        (_, Kind::Word | Kind::Number | Kind::Str | Kind::QuotedStr | Kind::Open) if arg.start != junk.start => {
            missing_comma(text, at)
        }
        _ => unexpected(text, at, junk),
    }
}

/// `if (d == 64) {`: the parenthesis stands around a whole condition.
fn condition_in_parentheses(text: &str, elem: Span, junk: Span, at: Span, sign: &str) -> Option<Diagnostic> {
    let (before, _) = around(text, elem.start);
    let head = before.trim_end().strip_suffix('(')?;
    let word = head.trim_end().rsplit(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
    if !matches!(word, "if" | "where") || !text[junk.end as usize..].starts_with(')') {
        return None;
    }
    let message = format!("a condition stands without parentheses: `{word} {}`", said(text, elem.to(junk)));
    let open = Span { start: elem.start - (before.len() - head.len()) as u32, end: elem.start, ..elem };
    let close = Span { start: junk.end, end: junk.end + 1, ..junk };
    let shown = format!("{word} {} {{ … }}", said(text, elem.to(junk)));
    let gap = if head.ends_with(' ') { "" } else { " " };
    let report = Diagnostic::error("syntax::comparison", message, at, format!("`{sign}` inside parentheses"));
    Some(report.fix(open, gap, shown).also(close, ""))
}

/// `(a; b)`.
fn semicolon(text: &str, at: Span) -> Diagnostic {
    Diagnostic::error("syntax::semicolon", "inside parentheses `,` separates, not `;`", at, "write `,`")
        .mend(text, at, ",")
}

/// `conv(8 3)`.
fn missing_comma(text: &str, at: Span) -> Diagnostic {
    let gap = around(text, at.start).0;
    let start = at.start - (gap.len() - gap.trim_end().len()) as u32;
    Diagnostic::error("syntax::missing_comma", "a `,` is missing before this", at, "a new item begins here").mend(
        text,
        Span { start, end: at.start, ..at },
        ", ",
    )
}

fn unexpected(text: &str, at: Span, junk: Span) -> Diagnostic {
    let message = format!("`{}` cannot stand here", quoted(said(text, junk)));
    Diagnostic::error("syntax::unexpected", message, at, "not expected inside these brackets")
}

/// What follows an element of a parenthesis.
pub(in crate::syntax) fn in_tuple(text: &str, elem: Span, junk: Span) -> Diagnostic {
    let (at, sign, _) = first_token(text, junk);
    match sign {
        "->" | "|" => Diagnostic::error(
            "syntax::arrow",
            format!("a stage follows after `|>`, not after `{sign}`"),
            at,
            "write `|>`",
        )
        .mend(text, at, "|>"),
        "@" => Diagnostic::error(
            "syntax::at_sign",
            "a matrix product is written `(a, b) |> matmul`",
            at,
            "there is no `@`",
        ),
        _ => in_args(text, elem, junk),
    }
}

/// `784 ->`.
pub(in crate::syntax) fn missing_pin(text: &str, arrow: Span) -> Diagnostic {
    let _ = text;
    let message = "`->` pins an input: `linear(784 -> 256)` has a number on both sides";
    Diagnostic::error("syntax::pin", message, arrow, "one side is empty")
}

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
    Diagnostic::error(
        "syntax::missing_type",
        format!("say what `{said}` is: `{said}: f32[batch, d]`"),
        name,
        "its type is missing",
    )
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
