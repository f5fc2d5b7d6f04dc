//! The one schema of a report, for people, tools and editors.
//!
//! A [`Diagnostic`] is data; it is drawn or printed in a line by [`render`], or serialised by
//! [`json`], [`github`] or [`sarif`].

pub mod github;
pub mod json;
pub mod render;
pub mod sarif;
mod snippet;

use crate::text::Span;
use serde::Serialize;

/// The families of codes, and what a code of each says.
pub const FAMILIES: [(&str, &str); 13] = [
    ("syntax", "The text does not follow the grammar"),
    ("name", "A name that is not there, or that two things have"),
    ("type", "Something stands where another kind of thing is wanted"),
    ("attr", "An argument that an operator or block does not take, or a value that it cannot have"),
    ("flow", "A value that is dropped, missing or in the wrong place of the flow"),
    ("shape", "Shapes that do not fit each other"),
    ("where", "A fact that does not hold, or that nothing proves"),
    ("path", "Two layers whose parameters would have one path"),
    ("limit", "More than this program, or any machine, can take"),
    ("train", "A train section that cannot be followed"),
    ("data", "Data that do not fit the model"),
    ("weights", "Weights that do not fit the model"),
    ("lint", "It runs, and is probably a mistake"),
];

/// What a code says, by its family.
pub fn family(code: &str) -> &'static str {
    let family = code.split("::").next().unwrap_or(code);
    FAMILIES.iter().find(|(name, _)| *name == family).map_or("A mistake", |(_, words)| words)
}

/// How grave a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The text cannot mean what it says: exit code 1.
    Error,
    /// It runs and is probably a mistake.
    Warning,
    /// Worth knowing.
    Info,
}

/// One mistake, with everything a reader needs to mend it.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// `family::name`, for instance `shape::residual`; see [`FAMILIES`].
    pub code: &'static str,
    /// How grave.
    pub severity: Severity,
    /// One plain sentence in the user's own names; readable alone.
    pub message: String,
    /// Underlined places; the first is where the mistake stands.
    pub labels: Vec<Label>,
    /// `where:` the path through the blocks, copies folded; `same in all 4 copies`.
    pub path: Option<String>,
    /// `flow:` the chain of shapes that led there.
    pub flow: Option<String>,
    /// `note:` lines, each a sentence.
    pub notes: Vec<String>,
    /// `fix:` at most one is shown.
    pub fixes: Vec<Fix>,
}

/// An underlined place.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What stands under it.
    pub text: String,
}

/// An edit that would mend the mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// What is replaced (empty: an insertion).
    pub span: Span,
    /// By what.
    pub replacement: String,
    /// What else must be replaced for it to hold: the same name in other lines, a declaration.
    pub also: Vec<(Span, String)>,
    /// What `fix:` shows: the mended line or a sentence.
    pub shown: String,
    /// Whether it was applied in memory and re-checked, and how far that went.
    pub checked: Checked,
}

/// What re-checking a fix has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// Not tried: a suggestion in words.
    No,
    /// This report goes, others stay.
    ThisErrorGoes,
    /// The file type-checks with it.
    FileChecks,
}

impl Fix {
    /// The text of file `file` with every edit of this fix in that file made; none where a place is not in the text.
    pub fn applied(&self, file: u16, text: &str) -> Option<String> {
        let mut edits = vec![(self.span, self.replacement.as_str())];
        edits.extend(self.also.iter().map(|(span, by)| (*span, by.as_str())));
        edits.retain(|(span, _)| span.file == file);
        edits.sort_by_key(|(span, _)| (span.start, span.end));
        let (mut mended, mut done) = (String::with_capacity(text.len()), 0);
        for (span, by) in edits {
            // None where two edits overlap, too.
            mended.push_str(text.get(done..span.start as usize)?);
            mended.push_str(by);
            done = text.get(span.start as usize..span.end as usize).map(|_| span.end as usize)?;
        }
        mended.push_str(text.get(done..)?);
        Some(mended)
    }
}

impl Diagnostic {
    /// An error with its main place.
    pub fn error(code: &'static str, message: impl Into<String>, span: Span, label: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: vec![Label { span, text: label.into() }],
            path: None,
            flow: None,
            notes: vec![],
            fixes: vec![],
        }
    }

    /// The same as a warning.
    pub fn warning(mut self) -> Diagnostic {
        self.severity = Severity::Warning;
        self
    }

    /// With a second place.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// With a `note:` line.
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// With a fix that replaces `span` by `replacement`.
    pub fn fix(mut self, span: Span, replacement: impl Into<String>, shown: impl Into<String>) -> Diagnostic {
        let fix =
            Fix { span, replacement: replacement.into(), also: vec![], shown: shown.into(), checked: Checked::No };
        self.fixes.push(fix);
        self
    }

    /// The fix that was added last replaces this as well.
    pub fn also(mut self, span: Span, replacement: impl Into<String>) -> Diagnostic {
        if let Some(fix) = self.fixes.last_mut() {
            fix.also.push((span, replacement.into()));
        }
        self
    }
}
