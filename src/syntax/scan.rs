//! The linear scan before the grammar: brackets, newlines, comments, and what no grammar should see.
//!
//! It pairs brackets outside strings and comments, limits their depth, and makes the *mask*: a text of the same
//! length, so that spans hold, in which comments and the newlines that end no statement are blank, stray brackets are
//! gone, and `\x01` stands where an entry at column 0 closes everything that is open.

use super::errors;
use super::lex::{Kind, Token, lex};
use crate::diagnostic::Diagnostic;
use crate::text::Span;

/// More blocks than this inside each other are refused.
pub const MAX_BLOCKS: usize = 64;
/// More parentheses and brackets than this inside each other are refused.
pub const MAX_LEVELS: usize = 128;

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
                self.scan.faults.push(errors::control_character(span, c));
                self.blank(at, at + c.len_utf8());
            } else if c == '\u{feff}' {
                self.blank(at, at + c.len_utf8());
            }
        }
    }

    /// Python's `d // 2` inside a call: the comment that swallowed the closing parenthesis is read as code.
    fn divisions(&mut self) {
        let mut at = 0;
        let mut open = 0i32;
        while at < self.tokens.len() {
            match self.tokens[at].kind {
                Kind::Newline => open = 0,
                Kind::Open => open += 1,
                Kind::Close => open -= 1,
                Kind::Comment if open > 0 && at > 0 && self.tokens[at - 1].ends_operand(self.text) => {
                    if divides(&self.say(at)[2..]) {
                        self.uncomment(at);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Replaces the comment token by a sign and the tokens of the rest of the line.
    fn uncomment(&mut self, comment: usize) {
        let Token { start, end, .. } = self.tokens[comment];
        let sign = Token { kind: Kind::Sign, start, end: start + 2 };
        let rest = lex(&self.text[start + 2..end]).into_iter();
        let rest = rest.map(|t| Token { start: t.start + start + 2, end: t.end + start + 2, ..t });
        self.tokens.splice(comment..=comment, std::iter::once(sign).chain(rest));
        self.mask[start + 1] = b' ';
        self.scan.faults.push(errors::floor_division(self.file, self.text, start));
    }

    /// Comments, strings and foreign signs.
    fn words(&mut self) {
        let mut told: Vec<char> = vec![];
        for at in 0..self.tokens.len() {
            let token = self.tokens[at];
            match token.kind {
                Kind::Comment => self.comment(at),
                Kind::HashComment => {
                    self.scan.faults.push(errors::hash_comment(self.span(at), self.say(at)));
                    self.comment(at);
                }
                Kind::BlockComment => {
                    self.scan.faults.push(errors::block_comment(self.span(at), self.say(at)));
                    self.comment(at);
                }
                Kind::QuotedStr => self.single_quotes(at),
                Kind::Str => self.string(at),
                Kind::Sign => {
                    let c = self.say(at).chars().next().unwrap_or(' ');
                    let control = c.is_control() || self.mask[token.start] == b' ';
                    if !c.is_ascii() && !control {
                        let known = errors::foreign_sign(c);
                        if !told.contains(&c) {
                            told.push(c);
                            self.scan.faults.push(errors::foreign_character(self.span(at), c, known));
                        }
                        self.overwrite(at, known.unwrap_or(""));
                        self.mute_line(token.start);
                    }
                }
                Kind::Word | Kind::Number | Kind::Open | Kind::Close | Kind::Newline => {}
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
        let Token { start, end, .. } = self.tokens[at];
        self.scan.faults.push(errors::single_quotes(self.span(at), self.say(at)));
        self.mask[start] = b'"';
        self.mask[end - 1] = b'"';
        // A double quote inside would end the string for the grammar.
        for byte in &mut self.mask[start + 1..end - 1] {
            if *byte == b'"' {
                *byte = b' ';
            }
        }
    }

    fn string(&mut self, at: usize) {
        let said = self.say(at);
        if said.len() >= 2 && said.ends_with('"') {
            return;
        }
        self.scan.faults.push(errors::open_string(self.text, self.span(at)));
        self.mute_line(self.tokens[at].start);
        let empty = format!("\"{}\"", " ".repeat(said.len().saturating_sub(2)));
        self.overwrite(at, if said.len() < 2 { "0" } else { &empty });
    }

    /// No complaints of the grammar about the rest of this line.
    fn mute_line(&mut self, start: usize) {
        self.scan.muted.push((start, self.line_end(start)));
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |i| i + 1)
    }

    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |i| at + i)
    }

    /// The number of white bytes that begin the line of `at`.
    fn indent(&self, at: usize) -> usize {
        let line = &self.text[self.line_start(at)..];
        line.len() - line.trim_start_matches([' ', '\t']).len()
    }

    // ---- Brackets -----------------------------------------------------------------------------------------------

    fn pair(&mut self) {
        self.scan.partner = vec![None; self.tokens.len()];
        let mut deep: Option<(usize, usize)> = None;
        for at in 0..self.tokens.len() {
            let token = self.tokens[at];
            match token.kind {
                Kind::Open => {
                    if self.stack.is_empty() && self.say(at) == "{" {
                        self.headless = None;
                    }
                    self.stack.push(Open { token: at, sign: self.text.as_bytes()[token.start] });
                    if deep.is_none() && self.too_deep() {
                        deep = Some((self.stack.len(), token.start));
                        self.refuse_depth(at);
                    }
                }
                Kind::Close => self.close(at),
                Kind::Word if self.enters(at) => {
                    if !self.stack.is_empty() {
                        self.close_all(at);
                        self.mask[token.start - 1] = 1;
                    }
                    self.headless = matches!(self.say(at), "block" | "model" | "train").then_some(at);
                }
                _ => {}
            }
            if let Some((depth, start)) = deep
                && self.stack.len() < depth
            {
                self.blank(start, if token.kind == Kind::Close { token.end } else { token.start.saturating_sub(1) });
                deep = None;
            }
        }
        if let Some((_, start)) = deep {
            self.blank(start, self.text.len());
        }
        self.close_all(self.tokens.len());
    }

    fn too_deep(&self) -> bool {
        let blocks = self.stack.iter().filter(|open| open.sign == b'{').count();
        blocks > MAX_BLOCKS || self.stack.len() - blocks > MAX_LEVELS
    }

    fn refuse_depth(&mut self, at: usize) {
        if !self.scan.too_deep {
            self.scan.too_deep = true;
            self.scan.faults.push(errors::too_deep(self.span(at), self.say(at), self.span(self.stack[0].token)));
        }
    }

    /// Whether a token at column 0 begins an entry and so closes everything that is open.
    fn enters(&self, at: usize) -> bool {
        let token = self.tokens[at];
        if self.line_start(token.start) != token.start {
            return false;
        }
        let rest = self.tokens[at + 1..].iter().take_while(|t| t.kind != Kind::Newline);
        match self.say(at) {
            "block" | "model" | "train" => true,
            "dim" => rest.into_iter().all(|t| t.text(self.text) != "="),
            "use" => rest.into_iter().next().is_some_and(|t| t.kind == Kind::Str),
            _ => false,
        }
    }

    fn close(&mut self, at: usize) {
        let sign = self.say(at).as_bytes()[0];
        let wanted = opener(sign);
        let floor = match sign {
            b'}' => 0,
            _ => self.stack.iter().rposition(|open| open.sign == b'{').map_or(0, |i| i + 1),
        };
        let Some(found) = self.stack[floor..].iter().rposition(|open| open.sign == wanted) else {
            return self.close_wrongly(at, floor);
        };
        while self.stack.len() > floor + found + 1 {
            self.unclosed(Some(at));
        }
        if let Some(open) = self.stack.pop() {
            self.scan.partner[open.token] = Some(at);
            let (start, end) = (self.tokens[open.token].start, self.tokens[at].start);
            let begins_line = self.text[self.line_start(end)..end].trim().is_empty();
            if sign == b'}' && begins_line && self.indent(start) > self.indent(end) {
                self.suspects.push(open.token);
            }
        }
    }

    /// A closer of the wrong kind closes what is open; one for which nothing is open is taken away.
    fn close_wrongly(&mut self, at: usize, floor: usize) {
        let token = self.tokens[at];
        if self.stack.len() > floor
            && let Some(open) = self.stack.pop()
        {
            let right = closer(open.sign);
            self.scan.partner[open.token] = Some(at);
            self.scan.faults.push(errors::mismatched(
                self.span(at),
                self.say(at),
                self.span(open.token),
                right,
                self.text,
            ));
            self.mask[token.start] = right as u8;
            return;
        }
        if sign_is_brace(self.say(at)) && self.begin_body(at) {
            return;
        }
        let last = (0..at).rev().find(|&i| self.tokens[i].kind == Kind::Close && self.say(i) == self.say(at));
        self.scan.faults.push(errors::stray(self.text, self.span(at), last.map(|i| self.span(i))));
        self.blank(token.start, token.end);
        self.scan.muted.push((self.line_start(token.start), self.line_end(token.start)));
    }

    /// A `}` that closes an entry whose `{` is missing: puts one where its header ends. Returns whether it could.
    fn begin_body(&mut self, at: usize) -> bool {
        let Some(entry) = self.headless.take() else { return false };
        let newlines = (entry..at).filter(|&i| self.tokens[i].kind == Kind::Newline);
        let ends = |&i: &usize| !matches!(self.say(i + 1), ":" | "->" | "where") && self.say(i + 1) != "\n";
        let Some(newline) = newlines.into_iter().find(ends) else { return false };
        let header = self.tokens[entry..newline].iter().rfind(|t| !t.is_comment()).map_or(0, |t| t.end);
        self.mask[self.tokens[newline].start] = b'{';
        let header = Span::new(self.file, self.tokens[entry].start, header);
        self.scan.faults.push(errors::missing_opener(self.text, header, self.span(at)));
        true
    }

    /// Takes the innermost open bracket as unclosed, noticed at token `at` (none: the end of the text).
    fn unclosed(&mut self, at: Option<usize>) {
        let Some(open) = self.stack.pop() else { return };
        let noticed = match at.filter(|&at| at < self.tokens.len()) {
            Some(at) => Some(self.span(at)),
            None => None,
        };
        let start = self.tokens[open.token].start;
        if open.sign != b'{' {
            self.mute_line(start);
            self.scan.faults.push(errors::unclosed(
                self.text,
                self.span(open.token),
                closer(open.sign),
                self.line_close(start),
                noticed,
            ));
            return;
        }
        let inside = self.suspects.iter().copied().filter(|&token| token > open.token).max();
        let guilty = inside.unwrap_or(open.token);
        self.suspects.retain(|&token| token < open.token);
        let place = noticed.unwrap_or(Span::new(self.file, self.text.len(), self.text.len()));
        self.scan.faults.push(errors::missing_brace(
            self.text,
            self.span(guilty),
            place,
            noticed.and(at).map(|at| self.say(at)),
        ));
    }

    /// Where a closing bracket is missing in the line of `start`: after its last token, before a body and comments.
    fn line_close(&self, start: usize) -> Span {
        let line = self.tokens.iter().filter(|t| t.start >= start && t.start < self.line_end(start));
        let line = line.take_while(|t| !t.is_comment() && !matches!(t.text(self.text), "{" | "}" | ";"));
        let end = line.last().map_or(start, |t| t.end);
        Span::new(self.file, end, end)
    }

    fn close_all(&mut self, at: usize) {
        while !self.stack.is_empty() {
            // Only the outermost brace is told: the others follow from it.
            if self.stack.len() > 1 && self.stack.last().is_some_and(|open| open.sign == b'{') {
                self.stack.pop();
            } else {
                self.unclosed(Some(at));
            }
        }
        self.suspects.clear();
    }

    // ---- Newlines -----------------------------------------------------------------------------------------------

    /// Blanks the newlines that end no statement.
    fn newlines(&mut self) {
        let mut closers: Vec<(usize, u8)> = vec![];
        let mut before: Option<usize> = None;
        for at in 0..self.tokens.len() {
            let token = self.tokens[at];
            match token.kind {
                Kind::Newline if self.mask[token.start] == 1 => closers.clear(),
                Kind::Newline if self.mask[token.start] != b'\n' => {}
                Kind::Newline => {
                    let inside = closers.last().map(|c| c.1);
                    if inside.is_some_and(|sign| sign != b'{') || self.continues(before, at, inside.is_none()) {
                        self.blank(token.start, token.end);
                    }
                }
                Kind::Comment | Kind::HashComment | Kind::BlockComment => {}
                Kind::Open => {
                    let sign = self.text.as_bytes()[token.start];
                    match self.scan.partner[at] {
                        Some(partner) => closers.push((partner, sign)),
                        None if sign == b'{' => closers.push((usize::MAX, sign)),
                        None => {}
                    }
                    before = Some(at);
                }
                _ => {
                    while closers.last().is_some_and(|c| c.0 <= at) {
                        closers.pop();
                    }
                    before = Some(at);
                }
            }
        }
    }

    /// Whether the newline at `at` stands inside a statement, by the tokens around it.
    fn continues(&self, before: Option<usize>, at: usize, top: bool) -> bool {
        let after =
            (at + 1..self.tokens.len()).find(|&i| self.tokens[i].kind != Kind::Newline && !self.tokens[i].is_comment());
        let before = before.map_or("", |i| self.say(i));
        let Some(after) = after else { return false };
        continues_after(before)
            || match self.say(after) {
                "{" | "}" | "|>" | "|" | "else" => true,
                "join" => before == "parallel",
                "skip" => self.opens_next(after),
                "->" | ":" | "where" => top,
                _ => false,
            }
    }

    /// Whether the token after this one, newlines and comments apart, is `{`.
    fn opens_next(&self, at: usize) -> bool {
        let mut rest = self.tokens[at + 1..].iter().filter(|t| t.kind != Kind::Newline && !t.is_comment());
        rest.next().is_some_and(|t| t.text(self.text) == "{")
    }

    fn finish(self) -> Scan {
        let mask = String::from_utf8(self.mask).unwrap_or_else(|_| " ".repeat(self.text.len()));
        Scan { mask, ..self.scan }
    }
}

/// Whether a statement goes on after a line that ends with this token.
pub(super) fn continues_after(token: &str) -> bool {
    matches!(
        token,
        "{" | ","
            | "="
            | "|>"
            | "|"
            | "+"
            | "-"
            | "*"
            | "/"
            | "%"
            | "^"
            | "->"
            | ":"
            | "=="
            | "!="
            | "<"
            | "<="
            | ">"
            | ">="
    )
}

/// Whether what stands after `//` looks like the rest of a division inside a call: an operand, then a sign or closer.
fn divides(rest: &str) -> bool {
    let rest = rest.trim_start();
    let operand = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let next = rest[operand..].trim_start();
    operand > 0 && next.starts_with([')', ']', ',', '*', '+', '-']) && rest.contains([')', ']'])
}

fn sign_is_brace(sign: &str) -> bool {
    sign == "}"
}

fn opener(sign: u8) -> u8 {
    match sign {
        b')' => b'(',
        b']' => b'[',
        _ => b'{',
    }
}

fn closer(sign: u8) -> char {
    match sign {
        b'(' => ')',
        b'[' => ']',
        _ => '}',
    }
}
