//! Entries: what stands outside of bodies.

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
            let message = format!("there is no `{word}` here: {ours}");
            let report = Diagnostic::error(code, message, at, "not a word of the language");
            // Operators are always there: a line that brings them in is not needed.
            let imports = matches!(word, "import" | "from" | "using") && said(text, span).trim() == line.trim();
            let end = span.end + u32::from(text[span.end as usize..].starts_with('\n'));
            return if imports { report.mend(text, Span { end, ..span }, "") } else { report };
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
    let (before, _) = around(text, at.start);
    let comment = word == "%" || before.trim() == ";";
    if comment {
        let start = at.start - before.len() as u32 + (before.len() - before.trim_start().len()) as u32;
        let sign = Span { start, end: if word == "%" { at.end } else { start + 1 }, ..at };
        return Diagnostic::error("syntax::hash_comment", "a comment begins with `//`", sign, "not a comment here")
            .mend(text, sign, "//");
    }
    let message = format!("`{}` stands outside of every block and model", quoted(said(text, span)));
    let report = Diagnostic::error(code, message, at, "in no body");
    // Only an entry that stands before it can have ended too early.
    let ended = text[..span.start as usize].trim_end().ends_with('}');
    report.note(match ended {
        true => "stages stand in the body of a `block` or `model`: was a `}` typed too early?",
        false => "stages stand in the body of a model: `model net : (x: f32[batch, 784]) -> f32[batch, 10] { … }`",
    })
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
    let junk = quoted(said(text, junk));
    let first = said(text, entry).split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
    if matches!(first, "block" | "model" | "train") {
        let message = format!("`{junk}` stands behind the end of this `{first}`");
        return Diagnostic::error("syntax::after_entry", message, at, "not expected here")
            .label(Span { start: entry.end - 1, ..entry }, format!("the `{first}` ends here"))
            .note(
                "a stage stands before the `}`; `dim`, `use`, `block`, `model` and `train` begin a line of their own",
            );
    }
    let message = format!("`{junk}` cannot follow on this line");
    Diagnostic::error("syntax::after_entry", message, at, "not expected here")
        .note("`dim`, `use`, `block`, `model` and `train` each begin a line of their own")
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

/// An entry whose body has a `}` and no `{`.
pub(in crate::syntax) fn missing_opener(text: &str, header: Span, close: Span) -> Diagnostic {
    let place = Span { start: header.end, ..header };
    if let Some(comment) = swallowed(text, header.end) {
        return floor_division(header.file, text, comment.start as usize);
    }
    let (at, keyword, _) = first_token(text, header);
    let message = format!("`{keyword}` has no body: `{{` is missing");
    Diagnostic::error("syntax::missing_body", message, at, "`{` is missing at the end of its line")
        .label(close, "this `}` ends the body")
        .mend(text, place, " {")
}

/// `train net:` with the settings on the lines below.
pub(in crate::syntax) fn colon_body(text: &str, name: Span) -> Diagnostic {
    let message = format!("a section stands in braces: `train {} {{ … }}`", said(text, name));
    let colon = text[name.end as usize..].find(':').map_or(name.end, |at| name.end + at as u32);
    let place = Span { start: colon, end: colon + 1, ..name };
    let report = Diagnostic::error("syntax::colon_body", message, place, "`{` must stand here, and `}` at the end");
    super::header::with_braces(report, text, place)
}
