//! What stands in parentheses and brackets: members, indices, arguments.

use super::header::ternary;
use super::{Kind, Mend, around, first_token, quoted, said};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

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
    let whole = base.to(index);
    let word = quoted(said(text, base));
    let inner = said(text, index).trim_start_matches('[').trim_end_matches(']');
    let (before, _) = around(text, base.start);
    match taken(inner) {
        Some(stages) if !stages.is_empty() => {
            let flow = format!("{word} |> {}", stages.join(" |> "));
            let message = format!("a part of a value is taken by a stage: `{flow}`");
            let operand = before.trim_end().ends_with(['+', '-', '*', '/', '%']);
            let fixed = if operand { format!("({flow})") } else { flow };
            Diagnostic::error("syntax::slice", message, whole, "no brackets after a value").mend(text, whole, &fixed)
        }
        Some(_) => Diagnostic::error("syntax::slice", "this is all of the value", whole, "no brackets after a value")
            .mend(text, whole, &word),
        None => {
            let message = "a part of a value is taken by a stage, not by brackets";
            Diagnostic::error("syntax::slice", message, whole, "no brackets after a value")
                .note("`x |> select(axis, index)` takes one place, `x |> slice(axis, from, to)` some in a row")
        }
    }
}

/// `:, 0, 2:` of Python as our stages; axes behind `...` count from the end. None where it says more than places.
fn taken(inner: &str) -> Option<Vec<String>> {
    let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
    let rest = parts.iter().position(|part| *part == "..." || *part == "…");
    let number = |part: &str| part.parse::<i64>().is_ok();
    let mut stages = vec![];
    // From the last axis: an axis that goes moves those behind it.
    for (at, part) in parts.iter().enumerate().rev() {
        let axis = match rest {
            Some(rest) if at > rest => at as i64 - parts.len() as i64,
            _ => at as i64,
        };
        match part.split(':').map(str::trim).collect::<Vec<_>>().as_slice() {
            ["..." | "…"] => {}
            ["", ""] | ["", "", ""] => {}
            [index] if number(index) => {
                // An axis that is gone behind this one was the last.
                stages.push(format!("select({axis}, {index})"));
            }
            [from, to] if (from.is_empty() || number(from)) && (to.is_empty() || number(to)) => {
                let from = if from.is_empty() { "0" } else { from };
                let to = if to.is_empty() { String::new() } else { format!(", {to}") };
                stages.push(format!("slice({axis}, {from}{to})"));
            }
            _ => return None,
        }
    }
    let selected = stages.iter().filter(|stage| stage.starts_with("select")).count();
    // Negative axes move when one behind them goes.
    if rest.is_some() && selected > 0 && stages.len() > 1 { None } else { Some(stages) }
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
pub(super) fn semicolon(text: &str, at: Span) -> Diagnostic {
    Diagnostic::error("syntax::semicolon", "inside parentheses `,` separates, not `;`", at, "write `,`")
        .mend(text, at, ",")
}

/// `conv(8 3)`.
pub(super) fn missing_comma(text: &str, at: Span) -> Diagnostic {
    let gap = around(text, at.start).0;
    let start = at.start - (gap.len() - gap.trim_end().len()) as u32;
    Diagnostic::error("syntax::missing_comma", "a `,` is missing before this", at, "a new item begins here").mend(
        text,
        Span { start, end: at.start, ..at },
        ", ",
    )
}

pub(super) fn unexpected(text: &str, at: Span, junk: Span) -> Diagnostic {
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
