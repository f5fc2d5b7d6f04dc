//! Signs, strings, comments, brackets.

use super::{Mend, around, quoted, said};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// A control character, or one that turns the direction of writing.
pub(in crate::syntax) fn control_character(span: Span, c: char) -> Diagnostic {
    let code = format!("U+{:04X}", c as u32);
    let message = match c {
        '\0' => "a NUL byte stands in the text: is this a text file?".to_string(),
        c if c.is_control() => format!("the control character {code} stands in the text"),
        _ => format!("the invisible character {code} turns the direction of writing: a reader would see another text"),
    };
    Diagnostic::error("syntax::control_character", message, span, format!("{code} stands here")).fix(
        span,
        "",
        "leave the character out",
    )
}

/// What a foreign sign stands for, in our spelling.
pub(in crate::syntax) fn foreign_sign(c: char) -> Option<&'static str> {
    Some(match c {
        '→' => "->",
        '×' | '·' | '∗' => "*",
        '÷' => "/",
        '−' | '–' | '—' => "-",
        '≤' => "<=",
        '≥' => ">=",
        '≠' => "!=",
        '…' => "...",
        '“' | '”' | '„' | '‘' | '’' => "\"",
        '\u{a0}' | '\u{2009}' | '\u{202f}' | '\u{3000}' | '\u{200b}' => " ",
        '，' => ",",
        '；' => ";",
        '：' => ":",
        '（' => "(",
        '）' => ")",
        _ => return None,
    })
}

/// A character that the language does not have.
pub(in crate::syntax) fn foreign_character(span: Span, c: char, known: Option<&str>, signature: bool) -> Diagnostic {
    let code = "syntax::foreign_character";
    match known {
        Some(" ") => {
            let message = format!("the character U+{:04X} looks like a space and is none", c as u32);
            Diagnostic::error(code, message, span, "not a plain space").fix(span, " ", "put a plain space here")
        }
        Some(ours) => {
            let ours = if c == '→' && !signature { "|>" } else { ours };
            let message = format!("`{c}` is written `{ours}` here");
            Diagnostic::error(code, message, span, format!("write `{ours}`")).fix(
                span,
                ours,
                format!("put `{ours}` here"),
            )
        }
        None if c.is_alphabetic() => {
            let message = format!("`{c}` cannot stand in a name: names are made of a-z, A-Z, 0-9 and `_`");
            Diagnostic::error(code, message, span, "not a letter of a name")
        }
        None => {
            Diagnostic::error(code, format!("`{c}` is no sign of the language"), span, "nothing is written with this")
        }
    }
}

/// Python's `//`.
pub(in crate::syntax) fn floor_division(file: u16, text: &str, at: usize) -> Diagnostic {
    let span = Span::new(file, at, at + 2);
    let message = "`//` begins a comment here: a division is written `d / 2`, or `floor(d / 2)` to round down";
    Diagnostic::error("syntax::floor_division", message, span, "the rest of the line is a comment")
        .note("`/` is exact: a size that comes out as a fraction is an error, never rounded in silence")
        .mend(text, span, "/")
}

/// `# a comment`, `-- a comment`.
pub(in crate::syntax) fn hash_comment(span: Span, said: &str) -> Diagnostic {
    let sign = Span { end: span.start + if said.starts_with("--") { 2 } else { 1 }, ..span };
    let mended = format!("// {}", said.trim_start_matches(['#', '-']).trim_start());
    Diagnostic::error("syntax::hash_comment", "a comment begins with `//`", sign, "not a comment here").fix(
        sign,
        "//",
        quoted(&mended),
    )
}

/// `/* a comment */`, `"""a docstring"""`, `<!-- a comment -->`.
pub(in crate::syntax) fn block_comment(span: Span, said: &str, alone: bool) -> Diagnostic {
    let (open, close, label) = match said.as_bytes().first() {
        Some(b'"') => ("\"\"\"", "\"\"\"", "there are no strings of several lines"),
        Some(b'<') => ("<!--", "-->", "comments in `<!-- -->` are not read"),
        _ => ("/*", "*/", "comments in `/* */` are not read"),
    };
    let sign = Span { end: span.start + open.len() as u32, ..span };
    let message = "a comment is written `// …`, to the end of its line";
    let report = Diagnostic::error("syntax::block_comment", message, sign, label);
    let inner = said.trim_start_matches(open);
    let inner = inner.strip_suffix(close).unwrap_or(inner).trim();
    let lines: Vec<_> =
        inner.lines().map(|line| format!("// {}", line.trim().trim_start_matches('*').trim())).collect();
    match lines.first() {
        Some(first) => report.fix(span, lines.join("\n") + if alone { "" } else { "\n" }, quoted(first)),
        None => report.fix(span, "", "leave it out"),
    }
}

/// `'same'`.
pub(in crate::syntax) fn single_quotes(span: Span, said: &str) -> Diagnostic {
    let mut inner = said.chars();
    let sign = inner.next().unwrap_or('\'');
    inner.next_back();
    let mended = format!("\"{}\"", inner.as_str().replace('"', ""));
    let label = if sign == '\'' { "single quotes" } else { "a word processor's quotes" };
    Diagnostic::error("syntax::single_quotes", "a string stands in double quotes", span, label).fix(
        span,
        mended.clone(),
        mended,
    )
}

/// `"same` without its end.
pub(in crate::syntax) fn open_string(text: &str, span: Span) -> Diagnostic {
    let sign = Span { end: span.start + 1, ..span };
    // The word right after the quote is what was most likely meant.
    let inner = &said(text, span)[1..];
    let word = inner.find([')', ',', ' ', ']', '}']).unwrap_or(inner.len());
    let end = Span { start: sign.end + word as u32, end: sign.end + word as u32, ..span };
    Diagnostic::error(
        "syntax::open_string",
        "this string has no end: a `\"` is missing in its line",
        sign,
        "it begins here",
    )
    .mend(text, end, "\"")
}

/// Blocks or expressions inside each other without end.
pub(in crate::syntax) fn too_deep(span: Span, said: &str, outermost: Span) -> Diagnostic {
    let message = if said == "{" {
        "blocks stand in each other more than 64 deep"
    } else {
        "parentheses stand in each other more than 128 deep"
    };
    Diagnostic::error("limit::depth", message, span, "one level too many").label(outermost, "the outermost opens here")
}

/// `(` closed by `]`.
pub(in crate::syntax) fn mismatched(span: Span, said: &str, open: Span, right: char, text: &str) -> Diagnostic {
    let message = format!("`{}` is closed by `{said}`: write `{right}`", super::said(text, open));
    Diagnostic::error("syntax::mismatched_bracket", message, span, format!("`{right}` must stand here"))
        .label(open, "opened here")
        .mend(text, span, &right.to_string())
}

/// `)` where nothing is open.
pub(in crate::syntax) fn stray(text: &str, span: Span, last: Option<Span>) -> Diagnostic {
    let sign = said(text, span);
    let report = Diagnostic::error(
        "syntax::stray_bracket",
        format!("this `{sign}` closes nothing"),
        span,
        "no open bracket belongs to it",
    );
    let report = match last {
        Some(last) => report.label(last, format!("this `{sign}` has closed the last one that was open")),
        None => report,
    };
    report.mend(text, span, "")
}

/// `(` that nothing closes.
pub(in crate::syntax) fn unclosed(text: &str, open: Span, right: char, end: Span, noticed: Option<Span>) -> Diagnostic {
    let sign = said(text, open);
    let message = format!("this `{sign}` is never closed: `{right}` is missing");
    // A closer of another bracket in the same line is where the missing one was due.
    let end = match noticed {
        Some(place) if !text[open.start as usize..place.start as usize].contains('\n') => {
            Span { end: place.start, ..place }
        }
        _ => end,
    };
    Diagnostic::error("syntax::unclosed_bracket", message, open, "opened here")
        .label(end, format!("`{right}` is missing here"))
        .mend(text, end, &right.to_string())
}

/// `{` that nothing closes. `before` is the entry that stands where `}` was expected.
pub(in crate::syntax) fn missing_brace(text: &str, open: Span, place: Span, before: Option<&str>) -> Diagnostic {
    let head = quoted(around(text, open.start).0.trim());
    let message = match head.as_str() {
        "" => "this `{` is never closed: `}` is missing".to_string(),
        head => format!("the `{{` of `{head}` is never closed: `}}` is missing"),
    };
    let label = match before {
        Some(word) => format!("`}}` is missing before this `{word}`"),
        None => "the text ends here without its `}`".to_string(),
    };
    let (replacement, line) = match before {
        Some(_) => ("}\n\n", place.start),
        None if text.ends_with('\n') => ("}\n", text.len() as u32),
        None => ("\n}\n", text.len() as u32),
    };
    let fix = Span { start: line, end: line, ..place };
    Diagnostic::error("syntax::missing_brace", message, open, "opened here").label(place, label).fix(
        fix,
        replacement,
        match before {
            Some(word) => format!("put `}}` on a line of its own before `{word}`"),
            None => "put `}` at the end of the file".to_string(),
        },
    )
}
