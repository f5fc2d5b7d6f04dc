//! The linear scan before the grammar: brackets, newlines, comments, and what no grammar should see.
//!
//! It pairs brackets outside strings and comments, limits their depth, and makes the *mask*: a text of the same
//! length, so that spans hold, in which comments and the newlines that end no statement are blank, stray brackets are
//! gone, and `\x01` stands where an entry at column 0 closes everything that is open.

mod brackets;
mod newlines;

pub(super) use newlines::continues_after;

use super::errors;
use super::lex::{Kind, Token, lex};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// More blocks than this inside each other are refused.
pub const MAX_BLOCKS: usize = 64;
/// More parentheses and brackets than this inside each other are refused.
pub const MAX_LEVELS: usize = 128;

/// More reports than this are not made: nobody reads them.
pub(super) const MAX_REPORTS: usize = 100;

/// A comment, for the formatter and the editor.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// With its `//`.
    pub span: Span,
    /// Whether nothing else stands on its line.
    pub own_line: bool,
}

/// What the scan found.
pub(super) struct Scan {
    /// The text for the grammar.
    pub mask: String,
    /// Comments in order.
    pub comments: Vec<Comment>,
    /// What was wrong.
    pub faults: Vec<Diagnostic>,
    /// Byte ranges in which the grammar's own complaints would only repeat a fault.
    pub muted: Vec<(usize, usize)>,
    /// Whether something was too deep: then nothing else is said.
    pub too_deep: bool,
    /// For each token that opens a bracket, the token that closes it.
    partner: Vec<Option<usize>>,
}

/// Scans a text.
pub(super) fn scan(file: u16, text: &str) -> Scan {
    let mut scanner = Scanner::new(file, text);
    scanner.characters();
    scanner.divisions();
    scanner.words();
    scanner.pair();
    scanner.newlines();
    scanner.finish()
}

/// An open bracket.
#[derive(Clone, Copy)]
struct Open {
    token: usize,
    sign: u8,
}

struct Scanner<'t> {
    file: u16,
    text: &'t str,
    tokens: Vec<Token>,
    mask: Vec<u8>,
    scan: Scan,
    stack: Vec<Open>,
    /// The byte of each newline.
    line_ends: Vec<usize>,
    /// For each token, the next one that is neither newline nor comment.
    following: Vec<usize>,
    /// The last `block`, `model` or `train` at column 0, as long as no `{` has followed it.
    headless: Option<usize>,
    /// Braces whose closer stands further left than their line: the likely place of a missing brace.
    suspects: Vec<usize>,
}

impl<'t> Scanner<'t> {
    fn new(file: u16, text: &'t str) -> Scanner<'t> {
        let scan = Scan {
            mask: String::new(),
            comments: vec![],
            faults: vec![],
            muted: vec![],
            too_deep: false,
            partner: vec![],
        };
        Scanner {
            file,
            text,
            tokens: lex(text),
            mask: text.as_bytes().to_vec(),
            scan,
            stack: vec![],
            line_ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            following: vec![],
            headless: None,
            suspects: vec![],
        }
    }

    fn span(&self, token: usize) -> Span {
        let Token { start, end, .. } = self.tokens[token];
        Span::new(self.file, start, end)
    }

    fn say(&self, token: usize) -> &'t str {
        self.tokens[token].text(self.text)
    }

    /// Blanks bytes of the mask; a newline goes with the rest.
    fn blank(&mut self, start: usize, end: usize) {
        self.mask[start..end].fill(b' ');
    }

    /// Writes `by` over the token, and blanks what is left of it.
    fn overwrite(&mut self, token: usize, by: &str) {
        let Token { start, end, .. } = self.tokens[token];
        self.blank(start, end);
        if by.len() <= end - start {
            self.mask[start..start + by.len()].copy_from_slice(by.as_bytes());
        }
    }

    /// Refuses control characters and those that turn the direction of writing, wherever they stand.
    fn characters(&mut self) {
        for (at, c) in self.text.char_indices() {
            let turns =
                matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}');
            if turns || (c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}')) {
                let span = Span::new(self.file, at, at + c.len_utf8());
                self.fault(|_| errors::control_character(span, c));
                self.blank(at, at + c.len_utf8());
            } else if c == '\u{feff}' {
                self.blank(at, at + c.len_utf8());
            }
        }
    }

    /// Python's `d // 2` inside a call: the comment that swallowed the closing parenthesis is read as code.
    fn divisions(&mut self) {
        let tokens = std::mem::take(&mut self.tokens);
        let mut line = 0;
        let mut open = 0i32;
        for token in tokens {
            match token.kind {
                Kind::Newline => (line, open) = (self.tokens.len() + 1, 0),
                Kind::Open => open += 1,
                Kind::Close => open -= 1,
                Kind::Comment if self.divides(line, token, open) => {
                    self.uncomment(token);
                    continue;
                }
                _ => {}
            }
            self.tokens.push(token);
        }
    }

    /// Whether a comment is the rest of a division, on a line that begins with token `line`.
    fn divides(&self, line: usize, comment: Token, open: i32) -> bool {
        let after_operand = self.tokens.len() > line && self.tokens.last().is_some_and(|t| t.ends_operand(self.text));
        let rest = &comment.text(self.text)[2..];
        after_operand && ((open > 0 && divides(rest)) || divides_in_head(self.say(line), rest))
    }

    /// Puts a sign and the tokens of the rest of the line in the place of a comment.
    fn uncomment(&mut self, comment: Token) {
        let Token { start, end, .. } = comment;
        self.tokens.push(Token { kind: Kind::Sign, start, end: start + 2 });
        let rest = lex(&self.text[start + 2..end]).into_iter();
        self.tokens.extend(rest.map(|t| Token { start: t.start + start + 2, end: t.end + start + 2, ..t }));
        self.mask[start + 1] = b' ';
        self.fault(|scanner| errors::floor_division(scanner.file, scanner.text, start));
    }

    /// Keeps a fault, as long as there are not too many to read.
    fn fault(&mut self, report: impl FnOnce(&Scanner<'t>) -> Diagnostic) {
        if self.scan.faults.len() < MAX_REPORTS {
            let report = report(self);
            self.scan.faults.push(report);
        }
    }

    /// Comments, strings and foreign signs.
    fn words(&mut self) {
        let mut told: Vec<char> = vec![];
        let (mut signs, mut spaces) = (vec![], vec![]);
        for at in 0..self.tokens.len() {
            let token = self.tokens[at];
            match token.kind {
                Kind::Comment => self.comment(at),
                Kind::HashComment => {
                    self.fault(|scanner| errors::hash_comment(scanner.span(at), scanner.say(at)));
                    self.comment(at);
                }
                Kind::BlockComment => {
                    let alone = self.tokens.get(at + 1).is_none_or(|next| next.kind == Kind::Newline);
                    self.fault(|scanner| errors::block_comment(scanner.span(at), scanner.say(at), alone));
                    self.comment(at);
                }
                Kind::QuotedStr => self.single_quotes(at),
                Kind::Str => self.string(at),
                Kind::Sign => {
                    let c = self.say(at).chars().next().unwrap_or(' ');
                    let control = c.is_control() || self.mask[token.start] == b' ';
                    if !c.is_ascii() && !control {
                        let known = errors::foreign_sign(c);
                        let again = c.is_alphabetic() && self.scan.muted.last().is_some_and(|m| m.1 >= token.start);
                        // An arrow after a type belongs to a signature, any other one sends a value on.
                        let signature = self.text[self.line_start(token.start)..token.start].contains('[');
                        let known = if c == '→' && !signature { Some("|>") } else { known };
                        match known {
                            Some(" ") => spaces.push((self.span(at), c, " ")),
                            Some(ours) => signs.push((self.span(at), c, ours)),
                            None if !told.contains(&c) && !again => {
                                told.push(c);
                                self.fault(|scanner| errors::foreign_character(scanner.text, scanner.span(at), c));
                            }
                            None => {}
                        }
                        self.overwrite(at, known.unwrap_or(""));
                        self.mute_line(token.start);
                    }
                }
                Kind::Word | Kind::Number | Kind::Open | Kind::Close | Kind::Newline => {}
            }
        }
        for found in [signs, spaces] {
            if let Some(report) = errors::foreign_signs(self.text, &found) {
                self.fault(|_| report);
            }
        }
    }

    fn comment(&mut self, at: usize) {
        let Token { start, end, .. } = self.tokens[at];
        let own_line = at == 0 || self.tokens[at - 1].kind == Kind::Newline;
        self.scan.comments.push(Comment { span: self.span(at), own_line });
        self.blank(start, end);
    }

    fn single_quotes(&mut self, at: usize) {
        let said = self.say(at);
        self.fault(|scanner| errors::single_quotes(scanner.span(at), said));
        let mut inner = said.chars();
        inner.next();
        inner.next_back();
        // A double quote inside would end the string for the grammar.
        let string = format!("\"{}\"", inner.as_str().replace('"', " "));
        self.overwrite(at, &string);
    }

    fn string(&mut self, at: usize) {
        let said = self.say(at);
        if said.len() >= 2 && said.ends_with('"') {
            return;
        }
        self.fault(|scanner| errors::open_string(scanner.text, scanner.span(at)));
        self.mute_line(self.tokens[at].start);
        let empty = format!("\"{}\"", " ".repeat(said.len().saturating_sub(2)));
        self.overwrite(at, if said.len() < 2 { "0" } else { &empty });
    }

    /// No complaints of the grammar about the rest of this line.
    fn mute_line(&mut self, start: usize) {
        if self.scan.muted.len() >= MAX_REPORTS {
            return;
        }
        self.scan.muted.push((start, self.line_end(start)));
    }

    fn line_start(&self, at: usize) -> usize {
        let line = self.line_ends.partition_point(|&end| end < at);
        if line == 0 { 0 } else { self.line_ends[line - 1] + 1 }
    }

    fn line_end(&self, at: usize) -> usize {
        let line = self.line_ends.partition_point(|&end| end < at);
        self.line_ends.get(line).copied().unwrap_or(self.text.len())
    }

    /// The number of white bytes that begin the line of `at`.
    fn indent(&self, at: usize) -> usize {
        let line = &self.text[self.line_start(at)..];
        line.len() - line.trim_start_matches([' ', '\t']).len()
    }

    /// The same of the line where the flow of `at` begins: a line that begins with `|>` goes on with the one before.
    fn flow_indent(&self, at: usize) -> usize {
        let mut start = self.line_start(at);
        // A longer flow is not looked through: reading stays linear.
        for _ in 0..100 {
            if start == 0 || !self.text[start..].trim_start_matches([' ', '\t']).starts_with("|>") {
                break;
            }
            start = self.line_start(start - 1);
        }
        self.indent(start)
    }

    fn finish(self) -> Scan {
        let mask = String::from_utf8(self.mask).unwrap_or_else(|_| " ".repeat(self.text.len()));
        Scan { mask, ..self.scan }
    }
}

/// The same in `repeat d // 2 {` and `dim h = d // 2`, where the line begins with the construct.
fn divides_in_head(keyword: &str, rest: &str) -> bool {
    let operand = |said: &str| !said.is_empty() && said.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match keyword {
        "repeat" | "if" | "for" | "block" | "model" => {
            rest.trim_end().strip_suffix('{').is_some_and(|rest| operand(rest.trim()))
        }
        "dim" => operand(rest.trim()),
        _ => false,
    }
}

/// Whether what stands after `//` looks like the rest of a division inside a call: an operand, then a sign or closer.
fn divides(rest: &str) -> bool {
    let rest = rest.trim_start();
    let operand = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let next = rest[operand..].trim_start();
    operand > 0 && next.starts_with([')', ']', ',', '*', '+', '-']) && rest.contains([')', ']'])
}
