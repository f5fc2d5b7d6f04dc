//! Entries, and what stands between a keyword and its `{`.

use super::{Kind, Mend, Name, around, first_token, floor_division, quoted, said, swallowed};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// A line outside of all bodies that is no entry.
pub(in crate::syntax) fn outside(text: &str, span: Span) -> Diagnostic {
    let (at, word, kind) = first_token(text, span);
    let code = "syntax::outside";
    let line = said(text, span).lines().next().unwrap_or("");
    if let Some(told) = another_format(line, word) {
        return Diagnostic::error(code, told, at, "not a word of the language")
            .note("a file has `dim`, `use`, `block`, `model` and `train`, for instance `model net : (x: f32[batch, 784]) -> f32[batch, 10] { linear(10) }`");
    }
    if kind == Kind::Word {
        let ours = match word {
            "import" | "from" | "include" | "using" | "require" => {
                Some("operators are always there, blocks of another file come by `use \"blocks.model\"`")
            }
            "def" | "fn" | "func" | "function" => Some("a part that is used again is a `block name(d) { … }`"),
            "class" | "module" | "network" | "net" | "struct" | "impl" | "trait" => {
                Some("a network is a `model name(…) : (x: f32[…]) -> f32[…] { … }`")
            }
            "param" | "parameter" | "const" | "let" | "var" | "static" => {
                Some("a number with a name is a hyperparameter of its block or model: `model mlp(d = 256)`")
            }
            "layer" => Some("a layer is declared in the body that uses it: `layer wte = embedding(vocab, d)`"),
            _ => None,
        };
        if let Some(ours) = ours.filter(|_| !line[word.len()..].starts_with('.')) {
            return Diagnostic::error(
                code,
                format!("there is no `{word}` here: {ours}"),
                at,
                "not a word of the language",
            );
        }
        let near = ["dim", "use", "block", "model", "train"]
            .into_iter()
            .find(|keyword| strsim::damerau_levenshtein(keyword, &word.to_lowercase()) <= 1)
            .or((word == "training").then_some("train"));
        if let Some(near) = near {
            let message = format!("`{word}` begins no entry: did you mean `{near}`?");
            return Diagnostic::error("syntax::keyword_typo", message, at, "not a keyword").mend(text, at, near);
        }
        if [".fit(", ".compile(", ".train("].iter().any(|call| line.contains(call)) {
            let message = format!(
                "`{}`: training is a section of the file, `train net {{ loss cross_entropy … }}`",
                quoted(line)
            );
            return Diagnostic::error(code, message, at, "no calls here");
        }
        if let Some((name, _)) =
            line.split_once('=').filter(|(name, value)| name.trim() == word && !value.starts_with('='))
        {
            let message = format!("`{}` stands outside of every block and model", quoted(line));
            return Diagnostic::error(code, message, at, "in no body")
                .note(format!("a number with a name is a hyperparameter: `model net({} = …)`", name.trim()));
        }
    }
    let message = format!("`{}` stands outside of every block and model", quoted(said(text, span)));
    Diagnostic::error(code, message, at, "in no body")
        .note("stages stand in the body of a `block` or `model`: was a `}` typed too early?")
}

/// What is said where a line is of another format than this.
fn another_format(line: &str, word: &str) -> Option<String> {
    let line = line.trim();
    let what = match word {
        "{" => "this looks like JSON",
        "[" => "this looks like TOML",
        _ if line.starts_with("```") => "this line belongs to the text around the model",
        _ if line.starts_with("---") => "this looks like YAML",
        _ => return None,
    };
    Some(format!("{what}: a network is written as a `model` with a body of stages"))
}

/// Something after a finished entry, on its line.
pub(in crate::syntax) fn after_entry(text: &str, entry: Span, junk: Span) -> Diagnostic {
    let (at, word, kind) = first_token(text, junk);
    if said(text, entry).starts_with("dim") && word == ":" {
        let bare = said(text, entry) == "dim";
        let message = if bare { "dims stand after `dim`, without `:`" } else { "a dim has no type: it is a size" };
        let rest = said(text, junk).lines().next().unwrap_or("").trim_end();
        let place = Span { end: if bare { at.end } else { at.start + rest.len() as u32 }, ..at };
        return Diagnostic::error("syntax::after_entry", message, at, "leave it out").mend(text, place, "");
    }
    if said(text, entry).starts_with("dim") {
        if word == "=" {
            let message = "a dim of a file is a symbol, without a value: a number with a name is a hyperparameter";
            return Diagnostic::error("syntax::dim_value", message, at, "no value here").note(
                "write `model mlp(d = 256)` for a number, `dim hidden = 4 * d` inside a body for a size that is computed",
            );
        }
        if kind == Kind::Word {
            let end = Span { end: at.start, start: entry.end, ..at };
            return Diagnostic::error(
                "syntax::missing_comma",
                "dims are separated by `,`",
                at,
                "a `,` is missing before this",
            )
            .mend(text, end, ", ");
        }
    }
    let message = format!("`{}` cannot stand after the end of an entry", quoted(said(text, junk)));
    Diagnostic::error("syntax::after_entry", message, at, "not expected here")
        .note("each entry begins on a line of its own")
}

/// A keyword without the name that must follow.
pub(in crate::syntax) fn missing_name(text: &str, span: Span, keyword: &str, example: &str) -> Diagnostic {
    let (_, rest) = around(text, span.end);
    if keyword == "model" && rest.trim_start().starts_with(['=', ':']) {
        let message = "a model is an entry with a body: `model net : (x: f32[batch, 784]) -> f32[batch, 10] { … }`";
        return Diagnostic::error("syntax::missing_name", message, span, "its name is missing after this")
            .note("its stages stand in the body, one a line: `linear(256)`, then `relu`, then `linear(10)`");
    }
    let what = match keyword {
        "train" => "a train section names the model it trains",
        "dim" => "a dim has a name",
        "model" => "a model has a name",
        _ => "a block has a name",
    };
    let report = Diagnostic::error(
        "syntax::missing_name",
        format!("{what}: `{example}`"),
        span,
        "the name is missing after this",
    );
    // Looked for in short texts only: it is done again for every such report.
    let lines = text.lines().take(if text.len() < 1 << 14 { usize::MAX } else { 0 });
    let models: Vec<&str> = lines.filter_map(|line| line.strip_prefix("model ")).take(2).collect();
    if let ("train", [model]) = (keyword, models.as_slice()) {
        let name: String = model.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        return report.mend(text, Span { start: span.end, ..span }, &format!(" {name}"));
    }
    report
}

/// `dim a, b,`.
pub(in crate::syntax) fn trailing_comma(text: &str, span: Span) -> Diagnostic {
    let comma = Span { start: span.end - 1, ..span };
    Diagnostic::error("syntax::trailing_comma", "a name is missing after this `,`", comma, "the list goes on and ends")
        .mend(text, comma, "")
}

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
        return Diagnostic::error("syntax::colon_body", message, at, "`{` must stand here, and `}` at the end");
    }
    let code = if body { "syntax::in_head" } else { "syntax::missing_body" };
    if !body {
        let message = format!("`{keyword}` has no body: `{{` is missing");
        return Diagnostic::error(code, message, at, "`{ … }` was expected before this");
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

/// How a construct is written.
fn form(keyword: &str) -> Option<&'static str> {
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
    let _ = text;
    Diagnostic::error("syntax::ternary", "a choice is written `if a == b { … } else { … }`", at, "there is no `?`")
        .note("the condition is over numbers and dims: it is decided when the file is checked, not when it runs")
}

/// `block f : {`.
pub(in crate::syntax) fn missing_signature(colon: Span) -> Diagnostic {
    let message = "after `:` come the inputs and outputs: `: [batch, d] -> [batch, d]`";
    Diagnostic::error("syntax::missing_signature", message, colon, "nothing follows")
}

/// `: [batch, d] -> {`.
pub(in crate::syntax) fn missing_outputs(arrow: Span) -> Diagnostic {
    let message = "after `->` come the outputs: `-> f32[batch, classes]`";
    Diagnostic::error("syntax::missing_outputs", message, arrow, "nothing follows")
}

/// `model f { … }`.
pub(in crate::syntax) fn model_without_signature(text: &str, name: &Name, header: Span) -> Diagnostic {
    let message = format!("model `{}` does not say what flows in and out", name.text);
    let form = format!("{} : (x: f32[batch, 784]) -> f32[batch, 10]", quoted(said(text, header)));
    Diagnostic::error("syntax::model_signature", message, name.span, "a model has a signature")
        .note(format!("for instance `{form}`"))
}

/// A construct without its `{ … }`.
pub(in crate::syntax) fn missing_body(text: &str, head: Span) -> Diagnostic {
    let place = Span { start: head.end, ..head };
    if let Some(comment) = swallowed(text, head.end) {
        return floor_division(head.file, text, comment.start as usize);
    }
    let (at, keyword, _) = first_token(text, head);
    let message = format!("`{keyword}` has no body: `{{` is missing");
    let report =
        Diagnostic::error("syntax::missing_body", message, at, "needs `{ … }`").label(place, "`{` is missing here");
    match form(keyword) {
        Some(form) => report.note(format!("the form is `{form}`")),
        None => report,
    }
}

/// `residual layernorm {` and `residual pre {`.
pub(in crate::syntax) fn residual_head(text: &str, word: &Name) -> Diagnostic {
    let said = said(text, word.span);
    let end = Span { start: word.span.end, ..word.span };
    if matches!(word.text.as_str(), "pre" | "post" | "deep") {
        let message = format!("`{}` needs a norm: `residual {said} layernorm {{ … }}`", word.text);
        return Diagnostic::error("syntax::residual_norm", message, word.span, "which norm?").mend(
            text,
            end,
            " layernorm",
        );
    }
    let start = Span { end: word.span.start, ..word.span };
    let message = format!("say where the norm stands: `residual pre {said}` or `residual post {said}`");
    Diagnostic::error(
        "syntax::residual_placement",
        message,
        word.span,
        "`pre`, `post` or `deep` is missing before this",
    )
    .mend(text, start, "pre ")
}

/// `repeat {`.
pub(in crate::syntax) fn repeat_count(text: &str, head: Span) -> Diagnostic {
    let _ = text;
    Diagnostic::error("syntax::repeat_count", "say how often: `repeat 3 { … }`", head, "the number is missing")
}

/// `for c [64, 128] {`.
pub(in crate::syntax) fn for_form(text: &str, head: Span) -> Diagnostic {
    let _ = text;
    let message = "a loop is written `for c in [64, 128] { … }` or `for i in range(3) { … }`";
    Diagnostic::error("syntax::for_form", message, head, "not a complete loop")
}

/// `parallel {`.
pub(in crate::syntax) fn parallel_join(text: &str, head: Span) -> Diagnostic {
    let keyword = Span { end: head.start + "parallel".len() as u32, ..head };
    let message = "a parallel says how its branches are joined: `parallel join concat(axis = 1) { … }`";
    let report = Diagnostic::error("syntax::parallel_join", message, head, "how are the branches joined?");
    if said(text, head).contains("join") {
        report
    } else {
        report.mend(text, Span { start: keyword.end, ..keyword }, " join sum")
    }
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

/// An entry whose body has a `}` and no `{`.
pub(in crate::syntax) fn missing_opener(text: &str, header: Span, close: Span) -> Diagnostic {
    let place = Span { start: header.end, ..header };
    if let Some(comment) = swallowed(text, header.end) {
        return floor_division(header.file, text, comment.start as usize);
    }
    let (at, keyword, _) = first_token(text, header);
    let message = format!("`{keyword}` has no body: `{{` is missing");
    Diagnostic::error("syntax::missing_body", message, at, "`{` is missing at the end of its header")
        .label(close, "this `}` ends the body")
        .mend(text, place, " {")
}

/// `train net:` with the settings on the lines below.
pub(in crate::syntax) fn colon_body(text: &str, name: Span) -> Diagnostic {
    let message = format!("a section stands in braces: `train {} {{ … }}`", said(text, name));
    let colon = text[name.end as usize..].find(':').map_or(name.end, |at| name.end + at as u32);
    let place = Span { start: colon, end: colon + 1, ..name };
    Diagnostic::error("syntax::colon_body", message, place, "`{` must stand here, and `}` at the end")
}
