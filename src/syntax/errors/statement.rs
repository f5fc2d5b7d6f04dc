//! Statements: what follows one on its line, and lines of which nothing can be read.

use super::header::ternary;
use super::second_stage::{in_parentheses, second_stage};
use super::{Kind, Mend, around, first_token, quoted, said};
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
    let raw = rest.trim_start();
    let before = said(text, good);
    if let Some(report) = foreign_sign_of_flow(text, good, at, raw).or_else(|| entry_inside(before, good, kind)) {
        return report;
    }
    match (sign, kind) {
        (",", _) => match taken_apart(text, good, junk) {
            Some(report) => report,
            None => comma(text, at, rest),
        },
        ("+" | "-", _) if before.ends_with(sign) => counted_up(text, good, at),
        ("\\", _) => {
            let message = "a line goes on without a sign: one that begins with `|>` belongs to the line before";
            let gap = Span { start: good.end, ..at };
            Diagnostic::error("syntax::unexpected", message, at, "leave it out").mend(text, gap, "")
        }
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
        ("@", _) => matrix_product(text, good, at, junk),
        ("==" | "!=" | "<" | "<=" | ">" | ">=", _) => {
            let message = format!("a comparison stands only after `if` and `where`, not in a flow: `{sign}`");
            let stage = match sign {
                "==" => "eq",
                "!=" => "ne",
                "<" => "lt",
                "<=" => "le",
                ">" => "gt",
                _ => "ge",
            };
            Diagnostic::error("syntax::comparison", message, at, "values are not compared here").note(format!(
                "values are compared element by element by a stage: `(a, b) |> {stage}`, or `{stage}(0.5)`"
            ))
        }
        ("and" | "or" | "&&" | "&", _) => {
            let message = format!("there is no `{sign}` between values");
            Diagnostic::error("syntax::and", message, at, "facts are joined by `,` in `where` and `if`")
        }
        ("else", _) if before.starts_with("residual") => other_way(text, at, sign),
        ("else", _) => lonely(sign, at),
        ("skip", _) if rest["skip".len()..].trim_start().starts_with('{') => lonely(sign, at),
        (":", _) => after_colon(text, good, at, junk),
        ("=", _) if said(text, good).starts_with("self.") => {
            let message = "there is no `self`: a name of this body stands alone";
            Diagnostic::error("syntax::self", message, good, "write the name alone")
        }
        ("=", _) => left_of_sign(text, good, at),
        (_, Kind::Word | Kind::Number | Kind::Str | Kind::QuotedStr | Kind::Open) => second_stage(text, good, at, junk),
        _ => {
            let message = format!("`{sign}` cannot stand here");
            Diagnostic::error("syntax::unexpected", message, at, "the statement is complete before this")
        }
    }
}

/// `block f(d) { … }` or `train { … }` within a body.
fn entry_inside(before: &str, good: Span, kind: Kind) -> Option<Diagnostic> {
    let word = before.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
    let begins = matches!(word, "block" | "model" | "train" | "use") && before.len() == word.len();
    (begins && matches!(kind, Kind::Word | Kind::Open | Kind::Str)).then(|| {
        let message = format!("a `{word}` stands outside of bodies, at the beginning of a line");
        let note = match word {
            "use" => "`use \"blocks.model\"` stands at the top of the file",
            "train" => "its model ends with `}` before it",
            _ => "it stands beside the model that uses it, above or below",
        };
        Diagnostic::error("syntax::inside", message, good, "not inside another body").note(note)
    })
}

/// `x++`.
fn counted_up(text: &str, good: Span, at: Span) -> Diagnostic {
    let sign = said(text, at);
    let both = Span { start: good.end - 1, ..at };
    let message = format!("a name is bound once: there is no `{sign}{sign}`");
    let report = Diagnostic::error("syntax::update", message, both, "values are never changed");
    report.mend(text, both, &format!(" {sign} 1"))
}

/// `(y, (h, c)) = …`, `h[0] = …`.
fn left_of_sign(text: &str, good: Span, at: Span) -> Diagnostic {
    let left = said(text, good);
    let message = "on the left of `=` stands one name, or `(a, b)`";
    let report =
        Diagnostic::error("syntax::assignment", message, good, "not a name").label(at, "this `=` names what follows");
    let names: Vec<&str> = left.split(['(', ')', ',']).map(str::trim).filter(|part| !part.is_empty()).collect();
    let name = |part: &&str| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if left.starts_with('(') && names.len() > 1 && names.iter().all(name) {
        return report.note("a pattern holds names only: all values of a stage stand beside each other").mend(
            text,
            good,
            &format!("({})", names.join(", ")),
        );
    }
    report
}

/// `residual { … } else { … }`, `residual { … } shortcut { … }`.
pub(super) fn other_way(text: &str, at: Span, word: &str) -> Diagnostic {
    let message = format!("the other way of a residual is called `skip`, not `{word}`");
    Diagnostic::error("syntax::lonely_word", message, at, "write `skip`").mend(text, at, "skip")
}

/// Signs by which other languages pipe, name, count or call.
fn foreign_sign_of_flow(text: &str, good: Span, at: Span, raw: &str) -> Option<Diagnostic> {
    let run = |length: usize| Span { end: at.start + length as u32, ..at };
    if let Some(sign) = [">>=", ">>", "=>", "~>"].into_iter().find(|sign| raw.starts_with(sign)) {
        let message = format!("a stage follows after `|>`, not after `{sign}`");
        let report = Diagnostic::error("syntax::arrow", message, run(sign.len()), "write `|>`");
        return Some(report.mend(text, run(sign.len()), "|>"));
    }
    if raw.starts_with('|') && raw[1..].contains('|') && said(text, good).ends_with('=') {
        let message = "there are no functions as values: a part that is used again is a `block`";
        return Some(Diagnostic::error("syntax::foreign_word", message, at, "not a value"));
    }
    if raw.starts_with("<-") {
        let report = Diagnostic::error("syntax::update", "a value is named by `=`", run(2), "write `=`");
        return Some(report.mend(text, run(2), "="));
    }
    if let Some(after) = raw.strip_prefix('<') {
        let inner = after.find('>').map(|end| after[..end].trim())?;
        let number = !inner.is_empty() && inner.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        return number.then(|| in_parentheses(text, good, run(raw.find('>').unwrap_or(0) + 1), inner));
    }
    None
}

/// `a, b = chunk(2)`.
fn taken_apart(text: &str, good: Span, junk: Span) -> Option<Diagnostic> {
    let rest = said(text, junk);
    let line = rest.lines().next()?;
    let end = line.find('=').filter(|&at| !line[at..].starts_with("=="))?;
    let names = format!("{}{}", said(text, good), &line[..end]);
    let name =
        |part: &str| !part.trim().is_empty() && part.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !names.split(',').all(name) {
        return None;
    }
    let place = Span { end: junk.start + end as u32, ..good };
    let fixed = format!("({}) ", names.trim());
    let message = format!("several values are named in parentheses: `({}) = …`", names.trim());
    let label = Span { end: place.start + names.trim_end().len() as u32, ..place };
    Some(Diagnostic::error("syntax::pattern", message, label, "parentheses are missing").mend(text, place, &fixed))
}

/// `q @ k`, `q @ k.T`.
fn matrix_product(text: &str, good: Span, at: Span, junk: Span) -> Diagnostic {
    let report =
        Diagnostic::error("syntax::at_sign", "a matrix product is written `(a, b) |> matmul`", at, "there is no `@`");
    let whole = said(text, good);
    let from = whole.rfind('=').map_or(0, |sign| sign + 1);
    let left = whole[from..].trim();
    let right = said(text, junk).lines().next().unwrap_or("").trim_start_matches('@').trim();
    let (right, stage) = match right.strip_suffix(".T").or(right.strip_suffix(".mT")) {
        Some(right) => (right, "matmul_nt"),
        None => (right, "matmul"),
    };
    let name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !name(left) || !name(right) {
        return report;
    }
    let start = good.start + (from + whole[from..].len() - whole[from..].trim_start().len()) as u32;
    let end = junk.start + said(text, junk).lines().next().unwrap_or("").trim_end().len() as u32;
    report.mend(text, Span { start, end, ..good }, &format!("({left}, {right}) |> {stage}"))
}

/// `else { … }` after something else than an `if`.
pub(super) fn lonely(sign: &str, at: Span) -> Diagnostic {
    let opener = if sign == "else" { "if … { … }" } else { "residual … { … }" };
    let message = format!("this `{sign}` belongs to no `{opener}`");
    Diagnostic::error("syntax::lonely_word", message, at, format!("no `{opener}` right before it"))
}

/// `relu, linear(3)`, and lines that end with a comma.
fn comma(text: &str, at: Span, rest: &str) -> Diagnostic {
    let mut depth = 0;
    let mut mended = String::new();
    for (i, c) in rest.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if c != ',' || depth > 0 {
            mended.push(c);
        } else if !rest[i + 1..].trim_start_matches([' ', '\t', '\r']).starts_with('\n') {
            mended.push(';');
        }
    }
    if rest == "," {
        mended = ";".into();
    }
    let lines = rest.contains('\n');
    let message = match lines {
        true => "stages stand one a line, without `,`",
        false => "stages on one line are separated by `;`, not by `,`",
    };
    let run = Span { end: at.start + rest.len() as u32, ..at };
    let label = if lines { "leave it out" } else { "write `;`" };
    Diagnostic::error("syntax::comma", message, at, label).mend(text, run, &mended)
}

/// `while x: …`, `h: f32[batch] = …`, `linear: 10`, `- linear: 10`.
fn after_colon(text: &str, good: Span, at: Span, junk: Span) -> Diagnostic {
    let first = said(text, good);
    let rest = said(text, junk).lines().next().unwrap_or("").trim_start_matches(':');
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if let Some(stage) = first.strip_prefix('-') {
        return as_a_list(text, good, junk, stage.trim(), rest.trim());
    }
    if let Some(sign) = rest.find('=').filter(|_| word(first)) {
        let place = Span { end: junk.start + 1 + sign as u32, ..at };
        let label = Span { end: place.start + said(text, place).trim_end().len() as u32, ..place };
        let message = format!("a value has no written type: `{first} = …`, its shape is inferred");
        return Diagnostic::error("syntax::local_type", message, label, "leave it out").mend(text, place, " ");
    }
    if word(first) && word(rest.trim()) && rest.trim().starts_with(|c: char| c.is_ascii_digit()) {
        let junk = Span { start: at.start, end: junk.start + 1 + rest.trim_end().len() as u32, ..junk };
        return in_parentheses(text, good, junk, rest.trim());
    }
    let message = format!("`:` cannot follow `{}`", quoted(first));
    Diagnostic::error("syntax::colon", message, at, "not expected here")
        .note("a body stands in braces, a type only in the signature of a block or model")
}

/// `- linear: 10`, as in YAML.
fn as_a_list(text: &str, good: Span, junk: Span, stage: &str, rest: &str) -> Diagnostic {
    let sign = Span { end: good.start + 1, ..good };
    let message = "a body is no list of items: a stage begins its line, its numbers stand in parentheses";
    let report = Diagnostic::error("syntax::list", message, sign, "no `-` here");
    let end = junk.start + said(text, junk).lines().next().unwrap_or("").trim_end().len() as u32;
    let fixed = if rest.is_empty() { stage.to_string() } else { format!("{stage}({rest})") };
    report.mend(text, Span { end, ..good }, &fixed)
}

/// A line of which nothing can be read.
pub(in crate::syntax) fn unreadable_statement(text: &str, span: Span) -> Diagnostic {
    let (at, sign, kind) = first_token(text, span);
    match (sign, kind) {
        ("+" | "-" | "*" | "/" | "%" | "^" | "**", _) => leading_sign(text, span),
        ("=", _) => {
            let rest = said(text, Span { start: at.end, ..span });
            let sign = Span { end: at.end + (rest.len() - rest.trim_start_matches(' ').len()) as u32, ..at };
            Diagnostic::error("syntax::missing_left", "a name is missing before this `=`", at, "which name?")
                .mend(text, sign, "")
        }
        ("else" | "skip", _) => lonely(sign, at),
        (",", _) => comma(text, at, ","),
        ("...", _) => {
            Diagnostic::error("syntax::unexpected", "`...` stands for axes in a shape, not for stages", at, "no stage")
                .mend(text, at, "it")
        }
        ("@", _) => {
            let report = Diagnostic::error("syntax::decorator", "there are no decorators", at, "not a stage");
            let (before, _) = around(text, span.start);
            let line = Span { start: span.start - before.len() as u32, end: span.end + 1, ..span };
            let alone = before.trim().is_empty() && said(text, line).ends_with('\n');
            if alone { report.mend(text, line, "") } else { report }
        }
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
    let before = text[..at.start as usize].trim_end();
    let item = said(text, Span { start: at.end, ..span });
    let last = before.lines().next_back().unwrap_or("").trim_start();
    let listed = before.ends_with('{') || last.starts_with("- ") || last.starts_with("* ");
    if matches!(sign, "-" | "*") && listed && item.starts_with(' ') {
        let message = format!("a body is no list of items: a stage begins its line, without `{sign}`");
        let space = Span { end: at.end + (item.len() - item.trim_start().len()) as u32, ..at };
        return Diagnostic::error("syntax::list", message, at, format!("no `{sign}` here")).mend(text, space, "");
    }
    let message = format!("a statement cannot begin with `{sign}`");
    let report = Diagnostic::error("syntax::leading_sign", message, at, "nothing stands before it");
    let start = text[..at.start as usize].trim_end().len();
    if text[start..at.start as usize].contains('\n') && !text[..start].ends_with(['{', ';']) {
        let start = Span { end: at.start, ..at };
        report
            .note(format!(
                "to go on from the line before, end that line with `{sign}`; `it {sign} x` uses the current value"
            ))
            .mend(text, start, "it ")
    } else {
        report.note(format!("`it {sign} x` uses the current value"))
    }
}
