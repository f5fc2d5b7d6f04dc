//! Reports for people: the whole picture, or a line each.

use super::{Checked, Diagnostic, Fix, Label, Severity, snippet};
use crate::text::Sources;

/// How a report is drawn.
#[derive(Clone, Copy, Debug)]
pub struct RenderOptions {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether colours may be used.
    pub color: bool,
    /// Whether anything beyond ASCII may be used.
    pub unicode: bool,
}

impl Default for RenderOptions {
    fn default() -> RenderOptions {
        RenderOptions { width: 100, color: false, unicode: true }
    }
}

/// The column at which `(checked: …)` begins, where there is room.
const ASIDE: usize = 52;

/// Every diagnostic with its snippet, `where:`, `flow:`, `note:` and `fix:` lines; a blank line between two.
///
/// ```
/// use wythe::diagnostic::{Diagnostic, render::{RenderOptions, human}};
/// use wythe::text::{Source, Sources, Span};
///
/// let mut sources = Sources::default();
/// let file = sources.add(Source::new("a.model", "x |> relux\n"));
/// let report = Diagnostic::error("name::unknown", "there is no `relux`", Span::new(file, 5, 10), "not a name");
/// let drawn = human(&[report], &sources, &RenderOptions::default());
/// assert!(drawn.starts_with("error[name::unknown] there is no `relux`\n   ╭─[a.model:1:6]\n"));
/// ```
pub fn human(diagnostics: &[Diagnostic], sources: &Sources, options: &RenderOptions) -> String {
    diagnostics.iter().map(|d| one(d, sources, options)).collect::<Vec<_>>().join("\n")
}

/// `file:line:col: error[code]: text`, a line each.
pub fn short(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let line = |d: &Diagnostic| {
        let place = d.labels.first().map(|l| snippet::place(sources.of(l.span), l.span) + ": ").unwrap_or_default();
        format!("{place}{}[{}]: {}\n", word(d.severity), d.code, d.message)
    };
    diagnostics.iter().map(line).collect()
}

fn one(d: &Diagnostic, sources: &Sources, options: &RenderOptions) -> String {
    let mut out = header(d, options);
    for group in by_file(&d.labels) {
        out.push_str(&snippet::draw(sources.of(group[0].span), &group, options));
    }
    for (key, text) in [("where:", &d.path), ("flow:", &d.flow)] {
        if let Some(text) = text {
            out.push_str(&line(key, text, options));
        }
    }
    for note in &d.notes {
        out.push_str(&wrapped("note:", note, options));
    }
    if let Some(fix) = d.fixes.first() {
        out.push_str(&line("fix:", &fix_text(d, fix, sources), options));
    }
    out
}

fn header(d: &Diagnostic, options: &RenderOptions) -> String {
    let message = if options.unicode { d.message.clone() } else { ascii(&d.message) };
    let head = format!("{}[{}]", word(d.severity), d.code);
    if !options.color {
        return format!("{head} {message}\n");
    }
    let color = match d.severity {
        Severity::Error => "31",
        Severity::Warning => "33",
        Severity::Info => "36",
    };
    format!("\u{1b}[1;{color}m{head}\u{1b}[0m \u{1b}[1m{message}\u{1b}[0m\n")
}

/// The labels of each file, files in the order in which they come.
fn by_file(labels: &[Label]) -> Vec<Vec<&Label>> {
    let mut groups: Vec<Vec<&Label>> = vec![];
    for label in labels {
        match groups.iter_mut().find(|group| group[0].span.file == label.span.file) {
            Some(group) => group.push(label),
            None => groups.push(vec![label]),
        }
    }
    groups
}

/// What the `fix:` line says.
pub(super) fn fix_text(d: &Diagnostic, fix: &Fix, sources: &Sources) -> String {
    let own = d.labels.first().is_none_or(|label| label.span.file == fix.span.file);
    let shown = if own { fix.shown.clone() } else { format!("in {}: {}", sources.of(fix.span).name, fix.shown) };
    let aside = match fix.checked {
        Checked::No => return shown,
        Checked::ThisErrorGoes => "(checked: this error goes)",
        Checked::FileChecks => "(checked: the file type-checks with this)",
    };
    let gap = ASIDE.saturating_sub(shown.chars().count()).max(2);
    format!("{shown}{}{aside}", " ".repeat(gap))
}

fn line(key: &str, text: &str, options: &RenderOptions) -> String {
    let text = if options.unicode { text.to_string() } else { ascii(text) };
    let key = if options.color { format!("\u{1b}[1m{key:<6}\u{1b}[0m") } else { format!("{key:<6}") };
    format!("  {key} {text}\n")
}

/// A line of words, broken between them at the terminal's width.
fn wrapped(key: &str, text: &str, options: &RenderOptions) -> String {
    let room = options.width.max(40) - 9;
    let mut lines = vec![String::new()];
    for word in unbroken(text) {
        let last = lines.len() - 1;
        let long = unicode_width::UnicodeWidthStr::width(lines[last].as_str())
            + unicode_width::UnicodeWidthStr::width(word.as_str())
            >= room;
        if long && !lines[last].is_empty() {
            lines.push(word);
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(&word);
        }
    }
    line(key, &lines.join("\n         "), options)
}

/// The words of a text; what stands in backquotes is one word.
fn unbroken(text: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![];
    let mut quoted = false;
    for word in text.split(' ') {
        match words.last_mut() {
            Some(last) if quoted => *last = format!("{last} {word}"),
            _ => words.push(word.to_string()),
        }
        quoted ^= word.matches('`').count() % 2 == 1;
    }
    words
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// Our own words without the signs beyond ASCII.
pub(super) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '›' => out.push('>'),
            '─' | '–' | '—' => out.push('-'),
            '→' => out.push_str("->"),
            '…' => out.push_str("..."),
            '×' | '·' => out.push('x'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Source, Span};

    fn drawn(text: &str, spans: &[(usize, usize)], options: RenderOptions) -> String {
        let mut sources = Sources::default();
        let file = sources.add(Source::new("a.model", text));
        let mut spans = spans.iter().map(|&(start, end)| Span::new(file, start, end));
        let first = spans.next().expect("a report has a place");
        let report = Diagnostic::error("lint::test", "a sentence", first, "here");
        let report = spans.fold(report, |report, span| report.label(span, "and here"));
        human(&[report], &sources, &options)
    }

    #[test]
    fn places_count_characters_whatever_the_line_is_made_of() {
        for (text, at, place) in [
            ("日本 x\n", 7, "1:4"),
            ("\tx\n", 1, "1:2"),
            ("a\r\nb x\r\n", 5, "2:3"),
            ("a\nb", 3, "2:2"),
            ("", 0, "1:1"),
        ] {
            let drawn = drawn(text, &[(at, (at + 1).min(text.len()))], RenderOptions::default());
            assert!(drawn.contains(&format!("a.model:{place}")), "{text:?}: {drawn}");
        }
    }

    #[test]
    fn labels_far_apart_share_one_snippet() {
        let text = format!("x{}y\n", "\n".repeat(120));
        let drawn = drawn(&text, &[(0, 1), (121, 122)], RenderOptions::default());
        assert_eq!(drawn.matches('╭').count(), 1, "{drawn}");
        assert!(drawn.contains("and here"), "{drawn}");
    }

    #[test]
    fn ascii_mode_draws_nothing_beyond_ascii() {
        let options = RenderOptions { unicode: false, ..RenderOptions::default() };
        assert!(drawn("x |> y\n", &[(0, 1)], options).is_ascii());
    }
}
