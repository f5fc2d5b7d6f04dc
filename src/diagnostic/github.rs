//! Reports as annotations of a GitHub workflow: one command a diagnostic, drawn beside the line in a pull request.
//!
//! `::error file=…,line=…,col=…,endLine=…,endColumn=…,title=CODE::message`. Columns count characters from 1, the end is
//! one past the last. Everything after the second `::` is one line, in which `%0A` breaks lines.

use super::render::fix_text;
use super::{Diagnostic, Label, Severity};
use crate::text::Sources;

/// A workflow command for each diagnostic, a line each.
///
/// ```
/// use wythe::diagnostic::{Diagnostic, github::github};
/// use wythe::text::{Source, Sources, Span};
///
/// let mut sources = Sources::default();
/// let file = sources.add(Source::new("a.model", "x |> relux\n"));
/// let report = Diagnostic::error("name::unknown", "there is no `relux`", Span::new(file, 5, 10), "not a name");
/// assert_eq!(
///     github(&[report], &sources),
///     "::error file=a.model,line=1,col=6,endLine=1,endColumn=11,title=name%3A%3Aunknown::there is no `relux`%0Aa.model:1:6: not a name\n"
/// );
/// ```
pub fn github(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    diagnostics.iter().map(|diagnostic| command(diagnostic, sources)).collect()
}

fn command(d: &Diagnostic, sources: &Sources) -> String {
    let word = match d.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    };
    let place = d.labels.first().map(|label| place(label, sources)).unwrap_or_default();
    format!("::{word} {place}title={}::{}\n", property(d.code), data(&message(d, sources)))
}

/// `file=…,line=…,col=…,endLine=…,endColumn=…,`.
fn place(label: &Label, sources: &Sources) -> String {
    let source = sources.of(label.span);
    let (line, column) = source.position(label.span.start);
    let (end_line, end_column) = source.position(label.span.end);
    let file = property(&source.name);
    format!("file={file},line={line},col={column},endLine={end_line},endColumn={end_column},")
}

/// The sentence, what stands under each place, and the way out: a line each.
fn message(d: &Diagnostic, sources: &Sources) -> String {
    let mut lines = vec![d.message.clone()];
    for label in d.labels.iter().filter(|label| !label.text.is_empty()) {
        let source = sources.of(label.span);
        let (line, column) = source.position(label.span.start);
        lines.push(format!("{}:{line}:{column}: {}", source.name, label.text));
    }
    lines.extend(d.path.iter().map(|path| format!("where: {path}")));
    lines.extend(d.flow.iter().map(|flow| format!("flow: {flow}")));
    lines.extend(d.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(d.fixes.first().map(|fix| format!("fix: {}", fix_text(d, fix, sources))));
    lines.join("\n")
}

/// What stands after the last `::`: only `%` and line ends have a meaning there.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which a colon or a comma would end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Source, Span};

    /// A command as the runner reads it: the word, the properties, the message.
    fn read(line: &str) -> (String, Vec<(String, String)>, String) {
        let (head, message) = line.strip_prefix("::").expect("a command").split_once("::").expect("a message");
        let (word, properties) = head.split_once(' ').expect("properties");
        let unescape = |text: &str| {
            let text = text.replace("%3A", ":").replace("%2C", ",").replace("%0D", "\r").replace("%0A", "\n");
            text.replace("%25", "%")
        };
        let pair = |property: &str| {
            let (key, value) = property.split_once('=').expect("a pair");
            (key.to_string(), unescape(value))
        };
        (word.into(), properties.split(',').map(pair).collect(), unescape(message))
    }

    fn one(name: &str, text: &str, span: (usize, usize)) -> Vec<(String, String)> {
        let mut sources = Sources::default();
        let file = sources.add(Source::new(name, text));
        let report = Diagnostic::error("shape::residual", "no", Span::new(file, span.0, span.1), "here");
        read(github(&[report], &sources).trim_end()).1
    }

    #[test]
    fn a_runner_reads_back_what_was_said() {
        let mut sources = Sources::default();
        let file = sources.add(Source::new("a,b: 100%.model", "one\r\ntwo\r\n"));
        let span = Span::new(file, 5, 8);
        let report = Diagnostic::error("shape::residual", "50% of it: gone\r\nreally, all", span, "here, or: there")
            .warning()
            .label(Span::new(file, 0, 3), "and here")
            .note("a note")
            .fix(span, "three", "three   // 100%");
        let line = github(&[report], &sources);
        assert_eq!(line.matches('\n').count(), 1, "one command is one line: {line:?}");
        let (word, properties, message) = read(line.trim_end_matches('\n'));
        assert_eq!(word, "warning");
        let keys: Vec<&str> = properties.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["file", "line", "col", "endLine", "endColumn", "title"]);
        assert_eq!(properties[0].1, "a,b: 100%.model");
        assert_eq!(properties[5].1, "shape::residual");
        assert_eq!(
            message,
            "50% of it: gone\r\nreally, all\na,b: 100%.model:2:1: here, or: there\na,b: 100%.model:1:1: and here\n\
             note: a note\nfix: three   // 100%"
        );
    }

    #[test]
    fn places_count_characters_whatever_the_line_is_made_of() {
        for (text, span, place) in [
            ("日本 x\n", (7, 8), ["1", "4", "1", "5"]),
            ("\tx\n", (1, 2), ["1", "2", "1", "3"]),
            ("a\r\nb xy\r\n", (5, 7), ["2", "3", "2", "5"]),
            ("𝒳 y\n", (5, 6), ["1", "3", "1", "4"]),
            ("a {\n}\n", (2, 5), ["1", "3", "2", "2"]),
        ] {
            let read: Vec<String> = one("a.model", text, span)[1..5].iter().map(|(_, value)| value.clone()).collect();
            assert_eq!(read, place, "{text:?}");
        }
    }
}
