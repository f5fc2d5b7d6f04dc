//! Edits that a lint proposes: a stage less, an argument more. Each is tried by the pipeline before it is shown.

use crate::text::{Sources, Span};

/// The edit that takes a stage out: with its `|>` or `;`, or with its line where it stands alone.
pub fn without(sources: &Sources, span: Span) -> Option<(Span, String)> {
    let text = sources.0.get(usize::from(span.file))?.text.as_str();
    let (start, end) = (span.start as usize, span.end as usize);
    let (before, after) = (text.get(..start)?, text.get(end..)?);
    let word = format!("without `{}`", text.get(start..end)?);
    let head = before.trim_end_matches([' ', '\t']);
    let tail = after.trim_start_matches([' ', '\t']);
    for sign in ["|>", ";"] {
        if let Some(rest) = before.trim_end().strip_suffix(sign) {
            return Some((Span::new(span.file, rest.trim_end().len(), end), word));
        }
        if let Some(rest) = tail.strip_prefix(sign) {
            let rest = rest.trim_start_matches([' ', '\t']);
            return Some((Span::new(span.file, start, text.len() - rest.len()), word));
        }
    }
    if head.ends_with('\n') && (tail.starts_with('\n') || tail.starts_with("//")) {
        let line = text.len() - after.find('\n').map_or(0, |at| after.len() - at - 1);
        return Some((Span::new(span.file, head.len(), line), word));
    }
    None
}

/// The edit that puts a line before the one on which a stage stands, where the stage begins it (perhaps named).
pub fn line_before(sources: &Sources, span: Span, line: &str) -> Option<(Span, String)> {
    let text = sources.0.get(usize::from(span.file))?.text.as_str();
    let before = text.get(..span.start as usize)?;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let code = before[start..].trim_start_matches([' ', '\t']);
    let named = code.trim_end().strip_suffix('=').is_some_and(|name| !name.contains(['|', ';', '=', '{']));
    let at = start + (before[start..].len() - code.len());
    let by = format!("{line}\n{}", &before[start..at]);
    (code.is_empty() || named).then(|| (Span::new(span.file, at, at), by))
}

/// The edit that gives a call an argument, in the place of the one of that name.
pub fn with_argument(sources: &Sources, call: Span, name: &str, value: &str) -> Option<(Span, String, String)> {
    let text = sources.0.get(usize::from(call.file))?.text.as_str();
    let written = text.get(call.start as usize..call.end as usize)?;
    let at = |from: usize, to: usize| Span { start: call.start + from as u32, end: call.start + to as u32, ..call };
    let shown = |from: usize, to: usize, by: &str| format!("{}{by}{}", &written[..from], &written[to..]);
    if let Some((from, to)) = argument(written, name) {
        return Some((at(from, to), value.to_string(), shown(from, to, value)));
    }
    let end = written.len();
    let (from, by) = match written.strip_suffix(')') {
        Some(rest) if rest.trim_end().ends_with('(') => (end - 1, format!("{name} = {value}")),
        Some(_) => (end - 1, format!(", {name} = {value}")),
        None => (end, format!("({name} = {value})")),
    };
    Some((at(from, from), by.clone(), shown(from, from, &by)))
}

/// The arguments of the first call of a word within a span, with their parentheses.
pub fn arguments(sources: &Sources, within: Span, word: &str) -> Option<Span> {
    let text = sources.text(within);
    let open = text.find(&format!("{word}("))? + word.len();
    let mut depth = 0i32;
    let close = text[open..].find(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    })?;
    Some(Span { start: within.start + open as u32, end: within.start + (open + close + 1) as u32, ..within })
}

/// The call that stands behind `name =`, up to its parenthesis.
pub fn call_behind(sources: &Sources, name: Span) -> Option<Span> {
    let text = sources.0.get(usize::from(name.file))?.text.as_str();
    let rest = text.get(name.end as usize..)?;
    let call = rest.trim_start().strip_prefix('=')?.trim_start();
    let start = text.len() - call.len();
    let mut depth = 0i32;
    let end = call.find(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0 && (c == ')' || c == '\n')
    });
    let end = end.map_or(call.len(), |end| end + usize::from(call[end..].starts_with(')')));
    Some(Span::new(name.file, start, start + end))
}

/// Where the value of a named argument stands in a call.
fn argument(call: &str, name: &str) -> Option<(usize, usize)> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let (at, _) = call.match_indices(name).find(|(at, _)| {
        let alone = !call[..*at].ends_with(word) && !call[at + name.len()..].starts_with(word);
        alone && call[at + name.len()..].trim_start().starts_with('=')
    })?;
    let sign = at + name.len() + call[at + name.len()..].find('=')? + 1;
    let from = sign + (call[sign..].len() - call[sign..].trim_start().len());
    let mut depth = 0i32;
    let end = call[from..].find(|c: char| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        depth < 0 || (depth == 0 && c == ',')
    })?;
    Some((from, from + call[from..from + end].trim_end().len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Source;

    fn edited(text: &str, word: &str, edit: impl Fn(&Sources, Span) -> Option<(Span, String)>) -> String {
        let mut sources = Sources::default();
        let file = sources.add(Source::new("a.model", text));
        let at = text.find(word).expect("it is there");
        let (span, by) = edit(&sources, Span::new(file, at, at + word.len())).expect("there is an edit");
        format!("{}{by}{}", &text[..span.start as usize], &text[span.end as usize..])
    }

    #[test]
    fn a_stage_goes_with_its_sign_or_its_line() {
        let gone = |text: &str| edited(text, "relu", |sources, span| Some((without(sources, span)?.0, String::new())));
        assert_eq!(gone("{\n  linear(3)\n  relu   // why\n  tanh\n}"), "{\n  linear(3)\n  tanh\n}");
        assert_eq!(gone("{ linear(3); relu; tanh }"), "{ linear(3); tanh }");
        assert_eq!(gone("{ x |> relu |> tanh }"), "{ x |> tanh }");
        assert_eq!(gone("{ relu; tanh }"), "{ tanh }");
        assert_eq!(gone("{\n  x\n    |> relu\n}"), "{\n  x\n}");
    }

    #[test]
    fn an_argument_is_replaced_or_added() {
        let bias = |text: &str| {
            edited(text, text, |sources, span| {
                with_argument(sources, span, "bias", "false").map(|(span, by, _)| (span, by))
            })
        };
        assert_eq!(bias("conv(8, 3)"), "conv(8, 3, bias = false)");
        assert_eq!(bias("conv(8, bias = true, pad = 1)"), "conv(8, bias = false, pad = 1)");
        assert_eq!(
            bias("conv(8, bias_init = constant(1, 2), bias=true)"),
            "conv(8, bias_init = constant(1, 2), bias=false)"
        );
        assert_eq!(bias("f"), "f(bias = false)");
        assert_eq!(bias("f()"), "f(bias = false)");
    }
}
