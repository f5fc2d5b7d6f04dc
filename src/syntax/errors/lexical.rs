//! Signs, strings, comments, brackets.

use super::{Mend, around, quoted, said};
use crate::diagnostic::{Diagnostic, Label};
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

/// Signs of another keyboard, all of a text in one report: each with its place and what is written instead.
pub(in crate::syntax) fn foreign_signs(text: &str, found: &[(Span, char, &'static str)]) -> Option<Diagnostic> {
    let code = "syntax::foreign_character";
    let &(first, c, ours) = found.first()?;
    let blank = ours == " ";
    let mut kinds: Vec<(char, &str)> = vec![];
    for &(_, c, ours) in found {
        if !kinds.contains(&(c, ours)) {
            kinds.push((c, ours));
        }
    }
    let list = |of: &dyn Fn(&(char, &'static str)) -> String| {
        let words: Vec<String> = kinds.iter().take(6).map(of).collect();
        match words.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
            None => String::new(),
        }
    };
    let message = match (blank, kinds.len()) {
        (true, 1) => format!("the character U+{:04X} looks like a space and is none", c as u32),
        (true, _) => "some characters look like a space and are none".to_string(),
        (false, 1) => format!("`{c}` is written `{ours}` here"),
        (false, _) => {
            let theirs = list(&|(c, _)| format!("`{c}`"));
            format!("{theirs} are written {} here", list(&|(_, ours)| format!("`{ours}`")))
        }
    };
    let label = if blank { "not a plain space".to_string() } else { format!("write `{ours}`") };
    let mut report = Diagnostic::error(code, message, first, label);
    let line = |at: u32| text[..at as usize].matches('\n').count() + 1;
    if !blank {
        let near = |span: &Span| !text[first.start as usize..span.start as usize].contains('\n');
        for &(c, ours) in kinds.iter().skip(1) {
            let place = found.iter().find(|(span, other, _)| *other == c && near(span)).map(|(span, ..)| *span);
            report.labels.extend(place.map(|span| Label { span, text: format!("write `{ours}`") }));
        }
    }
    let mut lines: Vec<usize> = found.iter().map(|(span, ..)| line(span.start)).collect();
    lines.dedup();
    if lines.len() > 1 {
        let more: Vec<String> = lines[1..].iter().take(6).map(usize::to_string).collect();
        let word = if lines.len() == 2 { "line" } else { "lines" };
        report = report.note(format!("also in {word} {}", more.join(", ")));
    }
    let (before, _) = around(text, first.start);
    let start = first.start as usize - before.len();
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let mut shown = String::new();
    let mut done = start;
    for &(span, _, ours) in found.iter().take_while(|(span, ..)| (span.start as usize) < end) {
        shown.push_str(&text[done..span.start as usize]);
        shown.push_str(ours);
        done = span.end as usize;
    }
    shown.push_str(&text[done..end]);
    let shown = if blank { "put plain spaces here".to_string() } else { shown.trim().to_string() };
    report = report.fix(first, ours, shown);
    for &(span, _, ours) in &found[1..] {
        report = report.also(span, ours);
    }
    Some(report)
}

/// A character that the language does not have.
pub(in crate::syntax) fn foreign_character(text: &str, span: Span, c: char) -> Diagnostic {
    let code = "syntax::foreign_character";
    if c.is_alphabetic() {
        let message = format!("`{c}` cannot stand in a name: names are made of a-z, A-Z, 0-9 and `_`");
        let report = Diagnostic::error(code, message, span, "not a letter of a name");
        return with_plain_name(report, text, span);
    }
    Diagnostic::error(code, format!("`{c}` is no sign of the language"), span, "nothing is written with this")
}

/// With the fix that writes a name with plain letters, wherever it stands: `größe` as `groesse`.
fn with_plain_name(report: Diagnostic, text: &str, span: Span) -> Diagnostic {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let from = text[..span.start as usize].char_indices().rev().take_while(|(_, c)| letter(*c)).last();
    let start = from.map_or(span.start as usize, |(at, _)| at);
    let end = text[start..].find(|c: char| !letter(c)).map_or(text.len(), |at| start + at);
    let name = &text[start..end];
    let mut plain = String::new();
    for c in name.chars() {
        match c {
            'ä' => plain.push_str("ae"),
            'ö' => plain.push_str("oe"),
            'ü' => plain.push_str("ue"),
            'ß' => plain.push_str("ss"),
            'à' | 'á' | 'â' | 'å' => plain.push('a'),
            'ç' => plain.push('c'),
            'è' | 'é' | 'ê' | 'ë' => plain.push('e'),
            'ì' | 'í' | 'î' => plain.push('i'),
            'ñ' => plain.push('n'),
            'ò' | 'ó' | 'ô' | 'ø' => plain.push('o'),
            'ù' | 'ú' | 'û' => plain.push('u'),
            'α' => plain.push_str("alpha"),
            'β' => plain.push_str("beta"),
            'γ' => plain.push_str("gamma"),
            'ε' => plain.push_str("eps"),
            'λ' => plain.push_str("lambda"),
            'μ' | 'µ' => plain.push_str("mu"),
            'σ' => plain.push_str("sigma"),
            c if c.is_ascii() => plain.push(c),
            _ => return report,
        }
    }
    let all: Vec<usize> = text
        .match_indices(name)
        .map(|(at, _)| at)
        .filter(|&at| !text[..at].ends_with(letter) && !text[at + name.len()..].starts_with(letter))
        .collect();
    if text.contains(&plain) || all.is_empty() || all.len() > 100 {
        return report;
    }
    let place = |at: usize| Span { start: at as u32, end: (at + name.len()) as u32, ..span };
    let report = report.mend(text, place(all[0]), &plain);
    all[1..].iter().fold(report, |report, &at| report.also(place(at), plain.as_str()))
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

/// Where a `}` is missing.
#[derive(Clone, Copy)]
pub(in crate::syntax) enum Missing<'t> {
    /// Before an entry, which begins there.
    Before(Span, &'t str),
    /// Before a line that stands no further right than the one of the `{`.
    Line(Span),
    /// At the end of the text, which is there.
    End(Span),
}

/// `{` that nothing closes.
pub(in crate::syntax) fn missing_brace(text: &str, open: Span, missing: Missing<'_>) -> Diagnostic {
    let head = quoted(around(text, open.start).0.trim());
    let message = match head.as_str() {
        "" => "this `{` is never closed: `}` is missing".to_string(),
        head => format!("the `{{` of `{head}` is never closed: `}}` is missing"),
    };
    let report = Diagnostic::error("syntax::missing_brace", message, open, "opened here");
    let at = |place: u32| Span { start: place, end: place, ..open };
    match missing {
        Missing::Before(place, word) => report.label(place, format!("`}}` is missing before this `{word}`")).fix(
            at(place.start),
            "}\n\n",
            format!("put `}}` on a line of its own before `{word}`"),
        ),
        Missing::Line(next) => {
            let (before, _) = around(text, open.start);
            let margin = &before[..before.len() - before.trim_start().len()];
            let line = next.start - around(text, next.start).0.len() as u32;
            let word = quoted(said(text, Span { end: next.start + around(text, next.start).1.len() as u32, ..next }));
            report.label(next, "`}` is missing before this line").fix(
                at(line),
                format!("{margin}}}\n"),
                format!("put `}}` on a line of its own before `{word}`"),
            )
        }
        Missing::End(place) => {
            let replacement = if text.ends_with('\n') { "}\n" } else { "\n}\n" };
            report.label(place, "the text ends here without its `}`").fix(
                at(text.len() as u32),
                replacement,
                "put `}` at the end of the file",
            )
        }
    }
}
