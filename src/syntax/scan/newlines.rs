//! Newlines: which of them end a statement.

use super::super::lex::Kind;
use super::Scanner;

impl Scanner<'_> {
    /// Blanks the newlines that end no statement.
    pub(super) fn newlines(&mut self) {
        self.following = vec![self.tokens.len(); self.tokens.len()];
        for at in (1..self.tokens.len()).rev() {
            let skipped = self.tokens[at].kind == Kind::Newline || self.tokens[at].is_comment();
            self.following[at - 1] = if skipped { self.following[at] } else { at };
        }
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
        let before = before.map_or("", |i| self.say(i));
        let after = self.following[at];
        if after == self.tokens.len() || self.enters(after) {
            return false;
        }
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
        self.tokens.get(self.following[at]).is_some_and(|t| t.text(self.text) == "{")
    }
}

/// Whether a statement goes on after a line that ends with this token.
pub(in crate::syntax) fn continues_after(token: &str) -> bool {
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
