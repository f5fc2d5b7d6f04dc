//! Sources, spans, and the one door to the file system.
//!
//! A [`Span`] names a file by its id from the first commit on, since a report may underline two files.
//! Nothing below the command line opens a file: what must be read or written goes through [`Files`].

pub mod memory;

use serde::Serialize;
use std::sync::LazyLock;

/// A half-open byte range `start..end` of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// Which source: an index into [`Sources`].
    pub file: u16,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span `start..end` of file `file`.
    pub fn new(file: u16, start: usize, end: usize) -> Span {
        Span { file, start: start as u32, end: end as u32 }
    }

    /// The smallest span that covers both (of the same file; else `self`).
    pub fn to(self, other: Span) -> Span {
        if self.file != other.file {
            return self;
        }
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it covers nothing.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One text: where it came from and what it says.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name shown in reports: a path as the user gave it, or `<stdin>`, `<expression>`.
    pub name: String,
    /// The text, without a byte order mark.
    pub text: String,
    /// Byte offset of each line's first byte.
    lines: Vec<u32>,
}

impl Source {
    /// A source of that name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i as u32 + 1)).collect();
        Source { name: name.into(), text, lines }
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub fn position(&self, offset: u32) -> (usize, usize) {
        let (line, before) = self.before(offset);
        (line, before.chars().count() + 1)
    }

    /// Line and column of a byte offset, both from 1; the column counts UTF-16 code units, as editors and SARIF do.
    pub fn position_utf16(&self, offset: u32) -> (usize, usize) {
        let (line, before) = self.before(offset);
        (line, before.encode_utf16().count() + 1)
    }

    /// The line of a byte offset, and what stands before it there.
    fn before(&self, offset: u32) -> (usize, &str) {
        let offset = (offset as usize).min(self.text.len()) as u32;
        let line = self.lines.partition_point(|&start| start <= offset) - 1;
        (line + 1, self.text.get(self.lines[line] as usize..offset as usize).unwrap_or(""))
    }

    /// The line (from 0) of a byte.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start as usize <= offset).saturating_sub(1)
    }

    /// The first byte of a line (from 0); the end of the text, where it has fewer.
    pub(crate) fn line_start(&self, line: usize) -> usize {
        self.lines.get(line).map_or(self.text.len(), |&start| start as usize)
    }

    /// The text of a line (from 1), without its end.
    pub fn line(&self, line: usize) -> &str {
        let line = line.saturating_sub(1);
        let text = self.text.get(self.line_start(line)..self.line_start(line + 1)).unwrap_or("");
        let text = text.strip_suffix('\n').unwrap_or(text);
        text.strip_suffix('\r').unwrap_or(text)
    }
}

/// All texts of one check: the file itself, and what it `use`s.
#[derive(Clone, Debug, Default)]
pub struct Sources(pub Vec<Source>);

impl Sources {
    /// Adds a source and returns its id.
    pub fn add(&mut self, source: Source) -> u16 {
        self.0.push(source);
        (self.0.len() - 1) as u16
    }

    /// The source of a span; an empty one for what was typed on the command line (`--set`).
    pub fn of(&self, span: Span) -> &Source {
        static TYPED: LazyLock<Source> = LazyLock::new(|| Source::new("--set", ""));
        self.0.get(span.file as usize).unwrap_or(&TYPED)
    }

    /// The text under a span.
    pub fn text(&self, span: Span) -> &str {
        self.of(span).text.get(span.start as usize..span.end as usize).unwrap_or("")
    }
}

/// Reading and writing whole files, with limits: the only way the library touches a disk.
///
/// The command line implements it on the file system, [`memory::Memory`] in memory, where the k-th write may fail.
pub trait Files {
    /// The whole file; an error if it is longer than `limit` bytes. A path is as the user wrote it.
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FileError>;
    /// Writes the whole file atomically: a temporary beside it, flush, fsync, rename, fsync of the folder.
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), FileError>;
    /// Appends to a log (not atomic; a torn last line is expected by its reader).
    fn append(&self, path: &str, bytes: &[u8]) -> Result<(), FileError>;
    /// Whether there is such a file or folder.
    fn exists(&self, path: &str) -> bool;
}

/// No file system: for a program that keeps everything in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl NoFiles {
    fn refuse<T>(path: &str) -> Result<T, FileError> {
        Err(FileError { path: path.into(), reason: "there is no file system here".into() })
    }
}

impl Files for NoFiles {
    fn read(&self, path: &str, _limit: u64) -> Result<Vec<u8>, FileError> {
        Self::refuse(path)
    }

    fn write(&self, path: &str, _bytes: &[u8]) -> Result<(), FileError> {
        Self::refuse(path)
    }

    fn append(&self, path: &str, _bytes: &[u8]) -> Result<(), FileError> {
        Self::refuse(path)
    }

    fn exists(&self, _path: &str) -> bool {
        false
    }
}

/// Why a file could not be read or written; the sentence names the path.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct FileError {
    /// The path as given.
    pub path: String,
    /// A lower-case clause, `no such file`, `12 GB, over the limit of 4 GB`.
    pub reason: String,
}

/// `3.2 GB`.
pub fn size_words(bytes: u64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < units.len() {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{size:.1} {}", units[unit]) }
}
