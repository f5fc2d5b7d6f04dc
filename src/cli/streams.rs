//! Where the program writes: results to standard output, reports and progress to standard error.
//!
//! `println!` panics when the reader has gone (`wythe summary … | head -1`); these writers say so as an error, which
//! ends the program quietly.

use super::Failure;
use clap::ValueEnum;
use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, Write};

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set; elsewhere if FORCE_COLOR is.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Color {
    /// The choice among the arguments, before they are parsed: clap's own reports obey it, too.
    pub fn among(args: &[OsString]) -> Color {
        let mut args = args.iter().filter_map(|arg| arg.to_str()).take_while(|arg| *arg != "--");
        let mut choice = Color::Auto;
        while let Some(arg) = args.next() {
            let value = if arg == "--color" { args.next() } else { arg.strip_prefix("--color=") };
            if let Some(value) = value.and_then(|value| Color::from_str(value, false).ok()) {
                choice = value;
            }
        }
        choice
    }

    /// Whether a stream is coloured.
    pub fn on(self, terminal: bool) -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR") => false,
            Color::Auto => set("FORCE_COLOR") || terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        }
    }
}

/// One stream and what it can show.
pub struct Stream {
    writer: Box<dyn Write>,
    /// Whether a person looks at it.
    pub terminal: bool,
    /// Whether colours may be used.
    pub color: bool,
    /// Whether anything beyond ASCII may be used.
    pub unicode: bool,
    /// Its columns.
    pub width: usize,
}

impl Stream {
    /// Standard output.
    pub fn out(color: Color) -> Stream {
        let terminal = io::stdout().is_terminal();
        Stream::new(Box::new(BufWriter::new(io::stdout())), terminal, color)
    }

    /// Standard error.
    pub fn err(color: Color) -> Stream {
        let terminal = io::stderr().is_terminal();
        Stream::new(Box::new(io::stderr()), terminal, color)
    }

    fn new(writer: Box<dyn Write>, terminal: bool, color: Color) -> Stream {
        let width = if terminal { terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)) } else { None };
        Stream { writer, terminal, color: color.on(terminal), unicode: unicode(), width: width.unwrap_or(100).max(40) }
    }

    /// Writes text as it is.
    pub fn put(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Writes a line.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.put(text)?;
        self.put("\n")
    }

    /// Writes bytes: `-o -`.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.writer.write_all(bytes).map_err(|error| failure(&error))
    }

    /// Makes sure that all is written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(|error| failure(&error))
    }
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::usage(format!("the output cannot be written: {error}")),
    }
}

/// Whether the locale is UTF-8: the first of the three that is set decides.
fn unicode() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(|name| std::env::var(name).ok());
    match set.into_iter().find(|value| !value.is_empty()) {
        Some(locale) => {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        }
        // Windows and macOS have no such variables in a program that was started by a click, and show everything.
        None => cfg!(any(windows, target_os = "macos")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_found_before_parsing() {
        let among = |args: &[&str]| Color::among(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(among(&["wythe", "check", "a.model"]), Color::Auto);
        assert_eq!(among(&["wythe", "check", "--color", "always"]), Color::Always);
        assert_eq!(among(&["wythe", "--color=never", "check"]), Color::Never);
        assert_eq!(among(&["wythe", "check", "--", "--color=never"]), Color::Auto);
    }

    #[test]
    fn always_and_never_are_kept() {
        assert!(Color::Always.on(false) && !Color::Never.on(true));
    }
}
