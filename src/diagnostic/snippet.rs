//! The snippet of a report, drawn by miette: the only place that knows miette.
//!
//! miette draws labels that stand apart as several snippets, counts columns in bytes, and writes a header of its own.
//! What comes from it is therefore joined to one snippet a file, under a place in our own columns.

use super::Label;
use super::render::RenderOptions;
use crate::text::{Source, Span};
use indexmap::IndexMap;
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan,
    SpanContents,
};
use std::borrow::Cow;
use std::fmt;

/// What miette is shown: labels over a text, and nothing to say.
struct Drawing<'s> {
    page: Page<'s>,
    labels: Vec<LabeledSpan>,
}

/// A text of which miette reads only the lines that it draws: by itself it would count all lines before each label.
struct Page<'s> {
    text: Cow<'s, str>,
    source: &'s Source,
}

impl SourceCode for Page<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        // One line more on both sides than is asked for: what is cut off changes nothing.
        let first = self.source.line_at(span.offset()).saturating_sub(before + 1);
        let last = self.source.line_at(span.offset() + span.len()) + after + 2;
        let (from, to) = (self.source.line_start(first), self.source.line_start(last));
        let lines = self.text.get(from..to).ok_or(MietteError::OutOfBounds)?;
        let there = SourceSpan::from((span.offset() - from, span.len()));
        let read = lines.read_span(&there, before, after)?;
        let (start, length) = (read.span().offset(), read.span().len());
        let data = &lines.as_bytes()[start..start + length];
        let (line, column, count) = (read.line() + first, read.column(), read.line_count() + first);
        Ok(Box::new(MietteSpanContents::new(data, (start + from, length).into(), line, column, count)))
    }
}

impl fmt::Display for Drawing<'_> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl fmt::Debug for Drawing<'_> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Drawing<'_> {}

impl miette::Diagnostic for Drawing<'_> {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.page)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// A line of more bytes is not drawn: nobody reads it, and miette cannot count so many columns.
const LONGEST: usize = 2_000;

/// The longest line that would be drawn for a span: its own and its neighbours.
fn longest_line(source: &Source, span: Span) -> usize {
    let line = source.line_at(span.start as usize);
    let length = |line: usize| source.line_start(line + 1) - source.line_start(line);
    (line.saturating_sub(1)..=line + 1).map(length).max().unwrap_or(0)
}

/// Draws the labels of one file; the first is the place in the header.
pub(super) fn draw(source: &Source, labels: &[&Label], options: &RenderOptions) -> String {
    // A carriage return is a blank of the same length, so that offsets hold and no terminal jumps back.
    let text = match source.text.contains('\r') {
        true => Cow::Owned(source.text.replace('\r', " ")),
        false => Cow::Borrowed(source.text.as_str()),
    };
    let marks = marks(&text, labels, options);
    let drawing = Drawing { labels: marks, page: Page { text, source } };
    let mut drawn = String::new();
    let long = labels.iter().any(|label| longest_line(source, label.span) > LONGEST);
    let rendered = !long && handler(options).render_report(&mut drawn, &drawing).is_ok();
    let place = place(source, labels[0].span);
    let corner = if options.unicode { "╭─" } else { ",-" };
    if !rendered || !drawn.contains(corner) {
        return format!("  {place}: {}\n", labels[0].text);
    }
    join(&drawn, &place, corner, options)
}

/// The labels as miette wants them; of one place (a line in two copies of a block) everything is said at once.
fn marks(text: &str, labels: &[&Label], options: &RenderOptions) -> Vec<LabeledSpan> {
    let mut said: IndexMap<(usize, usize), Vec<Cow<'_, str>>> = IndexMap::new();
    for label in labels {
        let words = if options.unicode { label.text.as_str().into() } else { super::render::ascii(&label.text).into() };
        let here = said.entry(on_one_line(text, label.span)).or_default();
        if !here.contains(&words) {
            here.push(words);
        }
    }
    said.into_iter().map(|((start, length), words)| LabeledSpan::new(Some(words.join("; ")), start, length)).collect()
}

fn handler(options: &RenderOptions) -> GraphicalReportHandler {
    let theme = match (options.unicode, options.color) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::unicode_nocolor(),
        (false, true) => GraphicalTheme { characters: miette::ThemeCharacters::ascii(), ..GraphicalTheme::unicode() },
        (false, false) => GraphicalTheme::none(),
    };
    GraphicalReportHandler::new_themed(theme).with_width(options.width.max(40)).with_context_lines(1).with_links(false)
}

/// `name:line:column`.
pub(super) fn place(source: &Source, span: Span) -> String {
    let (line, column) = source.position(span.start);
    format!("{}:{line}:{column}", source.name)
}

/// The part of a span on its first line, inside the text.
fn on_one_line(text: &str, span: Span) -> (usize, usize) {
    let start = (span.start as usize).min(text.len());
    let end = (span.end as usize).clamp(start, text.len());
    if start == text.len() && text.ends_with('\n') {
        // The end of the text is shown at the end of its last line.
        return (start - 1, 0);
    }
    let line = text.get(start..end).and_then(|said| said.find('\n')).unwrap_or(end - start);
    (start, line)
}

/// Joins miette's snippets to one, with gutters of one width, and puts our place into the header.
fn join(drawn: &str, place: &str, corner: &str, options: &RenderOptions) -> String {
    let foot = if options.unicode { "╰──" } else { "`--" };
    let mut sections: Vec<Vec<&str>> = vec![];
    for line in drawn.lines() {
        if plain(line).trim_start().starts_with(corner) {
            sections.push(vec![]);
        } else if let Some(section) = sections.last_mut()
            && !plain(line).trim_start().starts_with(foot)
        {
            section.push(line);
        }
    }
    let gutter = |section: &Vec<&str>| {
        section.iter().filter_map(|line| plain(line).find(['│', '·', '|', ':'])).min().unwrap_or(3)
    };
    let width = sections.iter().map(gutter).max().unwrap_or(3);
    let pad = " ".repeat(width);
    let mut out = format!("{pad}{corner}[{place}]\n");
    for (at, section) in sections.iter().enumerate() {
        if at > 0 {
            out.push_str(&format!("{pad}{}\n", if options.unicode { '⋮' } else { ':' }));
        }
        let indent = " ".repeat(width - gutter(section).min(width));
        for line in section.iter().filter(|line| !line.trim().is_empty()) {
            out.push_str(format!("{indent}{line}").trim_end());
            out.push('\n');
        }
    }
    out.push_str(&format!("{pad}{}\n", if options.unicode { "╰────" } else { "`----" }));
    out
}

/// A line without its colours.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut escape = false;
    for c in line.chars() {
        match c {
            '\u{1b}' => escape = true,
            'm' if escape => escape = false,
            _ if escape => {}
            c => out.push(c),
        }
    }
    out
}
