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
    let raw = rest.trim_start();
    if let Some(report) = foreign_sign_of_flow(text, good, at, raw) {
        return report;
    }
    match (sign, kind) {
        (",", _) => match taken_apart(text, good, junk) {
            Some(report) => report,
            None => comma(text, at, rest),
        },
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
            Diagnostic::error("syntax::comparison", message, at, "values are not compared here")
        }
        ("and" | "or" | "&&" | "&", _) => {
            let message = format!("there is no `{sign}` between values");
            Diagnostic::error("syntax::and", message, at, "facts are joined by `,` in `where` and `if`")
        }
        ("else", _) => lonely(sign, at),
        ("skip", _) if rest["skip".len()..].trim_start().starts_with('{') => lonely(sign, at),
        (":", _) => after_colon(text, good, at, junk),
        ("=", _) if said(text, good).starts_with("self.") => {
            let message = "there is no `self`: a name of this body stands alone";
            Diagnostic::error("syntax::self", message, good, "write the name alone")
        }
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

/// `linear 10`, `linear: 10`, `linear<10>`, `linear{10}`: the numbers of a stage stand in parentheses.
fn in_parentheses(text: &str, good: Span, junk: Span, inner: &str) -> Diagnostic {
    let word = said(text, good).rsplit(['=', '>']).next().unwrap_or("").trim();
    let message = format!("the numbers of a stage stand in parentheses: `{word}({inner})`");
    let place = Span { start: good.end, ..junk };
    Diagnostic::error("syntax::arguments", message, junk, format!("`({inner})` is meant")).mend(
        text,
        place,
        &format!("({inner})"),
    )
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
fn lonely(sign: &str, at: Span) -> Diagnostic {
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

/// Two stages on one line, or another language's statement.
fn second_stage(text: &str, good: Span, at: Span, junk: Span) -> Diagnostic {
    let whole = said(text, good);
    let first = whole.rsplit(['=', ' ']).next().unwrap_or("").trim();
    let (_, second, second_kind) = first_token(text, junk);
    if let Some(report) = odd_second(text, good, at, junk, (first, second, second_kind)) {
        return report;
    }
    let ours = match first {
        "let" | "var" | "const" | "val" | "auto" => {
            let rest = said(text, junk);
            let mutable = rest.strip_prefix("mut ").map_or(0, |rest| 4 + rest.len() - rest.trim_start().len());
            let word = Span { end: at.start + mutable as u32, ..good };
            let message = format!("a value is named by `=` alone, without `{first}`");
            return Diagnostic::error("syntax::let", message, good, "not a word of the language").mend(text, word, "");
        }
        "def" | "fn" | "func" | "class" => Some("a part that is used again is a `block`, outside of this body"),
        "while" | "loop" => Some("`repeat n { … }` and `for c in [64, 128] { … }` are the loops"),
        "elif" | "elseif" | "elsif" => Some("write `else if`"),
        "import" | "from" | "use" => Some("`use \"blocks.model\"` stands outside of bodies"),
        "not" => Some("a condition is turned by its comparison: `==` and `!=`"),
        "lambda" | "fun" | "function" => {
            Some("a part that is used again is a `block`, a stage with fixed numbers a word: `act = gelu`")
        }
        "with" | "async" | "await" | "yield" | "assert" | "print" => Some("a body is a list of stages"),
        _ => None,
    };
    if let Some(ours) = ours {
        let message = format!("there is no `{first}` here: {ours}");
        return Diagnostic::error("syntax::foreign_word", message, good, "not a word of the language");
    }
    let called = said(text, junk);
    if at.start == good.end && called.starts_with('(') && called.ends_with(')') {
        let message = "a stage is not called on a value: what it works on flows in, `x |> linear(10)`";
        let first = said(text, good);
        let name = first[..first.find('(').unwrap_or(0)].rfind('=').map_or(0, |at| at + 1);
        let start = good.start + (name + first[name..].len() - first[name..].trim_start().len()) as u32;
        return Diagnostic::error("syntax::called", message, Span { start, ..good }.to(junk), "called on something");
    }
    if said(text, at) == "skip" && said(text, good).ends_with('}') {
        return missing_body(text, at);
    }
    let second = quoted(said(text, junk));
    let message = format!("`{second}` follows on the same line: one stage a line, or `;` between them");
    let gap = Span { start: good.end, end: at.start, ..at };
    Diagnostic::error("syntax::two_stages", message, at, "a new stage begins here").mend(text, gap, "; ")
}

/// What follows a word on its line and is no stage: `linear 10`, `f"…"`, `elif …`, `skip { … }`.
fn odd_second(
    text: &str,
    good: Span,
    at: Span,
    junk: Span,
    (first, second, kind): (&str, &str, Kind),
) -> Option<Diagnostic> {
    let rest = said(text, junk);
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let bare = word(first) && !first.starts_with(|c: char| c.is_ascii_digit());
    if matches!(second, "elif" | "elseif" | "elsif") {
        let message = format!("there is no `{second}` here: write `else if`");
        let report = Diagnostic::error("syntax::foreign_word", message, at, "not a word of the language");
        return Some(report.mend(text, at, "else if"));
    }
    if second == "{" && first == "skip" {
        return Some(lonely("skip", good));
    }
    if second == "{" {
        let inner = rest.trim_start_matches('{').trim_end_matches('}').trim();
        if bare && word(inner) && inner.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(in_parentheses(text, good, junk, inner));
        }
        let message = format!("`{{ … }}` cannot follow `{}`", quoted(said(text, good)));
        let report = Diagnostic::error("syntax::stray_body", message, at, "a body of nothing");
        return Some(report.note("a body belongs to `residual`, `repeat`, `for`, `if` or `parallel`"));
    }
    if kind == Kind::Number && bare && rest == second {
        return Some(in_parentheses(text, good, junk, second));
    }
    None
}

/// A line of which nothing can be read.
pub(in crate::syntax) fn unreadable_statement(text: &str, span: Span) -> Diagnostic {
    let (at, sign, kind) = first_token(text, span);
    match (sign, kind) {
        ("+" | "-" | "*" | "/" | "%" | "^" | "**", _) => leading_sign(text, span),
        ("=", _) => Diagnostic::error("syntax::missing_left", "a name is missing before this `=`", at, "which name?"),
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
