//! Brackets: pairs, what is not closed, what closes nothing, and what is too deep.

use super::super::errors::{self, Missing};
use super::super::lex::Kind;
use super::{MAX_BLOCKS, MAX_LEVELS, MAX_REPORTS, Open, Scanner};
use crate::text::Span;

impl Scanner<'_> {
    /// Pairs all brackets.
    pub(super) fn pair(&mut self) {
        self.scan.partner = vec![None; self.tokens.len()];
        for at in 0..self.tokens.len() {
            let token = self.tokens[at];
            match token.kind {
                Kind::Open => {
                    if self.stack.is_empty() && self.say(at) == "{" {
                        self.headless = None;
                    }
                    self.stack.push(Open { token: at, sign: self.text.as_bytes()[token.start] });
                    if self.too_deep() {
                        return self.refuse_depth(at);
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
        }
        self.close_all(self.tokens.len());
    }

    fn too_deep(&self) -> bool {
        let blocks = self.stack.iter().filter(|open| open.sign == b'{').count();
        blocks > MAX_BLOCKS || self.stack.len() - blocks > MAX_LEVELS
    }

    /// Nothing is read from here on: what follows cannot be understood without what is too deep.
    fn refuse_depth(&mut self, at: usize) {
        self.scan.too_deep = true;
        self.scan.faults.push(errors::too_deep(self.span(at), self.say(at), self.span(self.stack[0].token)));
        self.blank(self.tokens[at].start, self.text.len());
    }

    /// Whether a token at column 0 begins an entry and so closes everything that is open.
    pub(super) fn enters(&self, at: usize) -> bool {
        let token = self.tokens[at];
        if token.start > 0 && self.text.as_bytes()[token.start - 1] != b'\n' {
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
        if sign == b'}' && floor + found + 1 == self.stack.len() && self.begin_inner_body(at) {
            return;
        }
        while self.stack.len() > floor + found + 1 {
            self.unclosed(Some(at));
        }
        if let Some(open) = self.stack.pop() {
            self.scan.partner[open.token] = Some(at);
            let (start, end) = (self.tokens[open.token].start, self.tokens[at].start);
            let begins_line = self.text[self.line_start(end)..end].trim().is_empty();
            if sign == b'}' && begins_line && self.flow_indent(start) > self.indent(end) {
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
            self.fault(|scanner| {
                errors::mismatched(scanner.span(at), scanner.say(at), scanner.span(open.token), right, scanner.text)
            });
            self.mask[token.start] = right as u8;
            return;
        }
        if sign_is_brace(self.say(at)) && self.begin_body(at) {
            return;
        }
        let last = (0..at).rev().find(|&i| self.tokens[i].kind == Kind::Close && self.say(i) == self.say(at));
        self.fault(|scanner| errors::stray(scanner.text, scanner.span(at), last.map(|i| scanner.span(i))));
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
        self.fault(|scanner| errors::missing_opener(scanner.text, header, scanner.span(at)));
        true
    }

    /// A `}` that stands further right than the line of what it would close: if it stands below the head of a construct
    /// without `{`, it closes that one. Puts a `{` at the end of the head. Returns whether it could.
    fn begin_inner_body(&mut self, at: usize) -> bool {
        let (end, Some(open)) = (self.tokens[at].start, self.stack.last().map(|open| open.token)) else { return false };
        let depth = self.indent(end);
        let begins_line = self.text[self.line_start(end)..end].trim().is_empty();
        if !begins_line || depth <= self.flow_indent(self.tokens[open].start) || self.scan.faults.len() >= MAX_REPORTS {
            return false;
        }
        // The line above that is no further right: the head, if what follows it stands further right.
        let mut newline = (open..at).rev().find(|&i| self.tokens[i].kind == Kind::Newline);
        let mut deeper = false;
        while let Some(last) = newline {
            let first = (open..last).rev().find(|&i| self.tokens[i].kind == Kind::Newline);
            let Some(start) = first.map(|first| first + 1).filter(|&start| start < last) else { return false };
            if self.indent(self.tokens[start].start) <= depth {
                return deeper && self.indent(self.tokens[start].start) == depth && self.open_head(start, last, at);
            }
            (deeper, newline) = (true, first);
        }
        false
    }

    /// Opens the body of a head, tokens `start..newline`, that is closed at token `at`.
    fn open_head(&mut self, start: usize, newline: usize, at: usize) -> bool {
        let line = || self.tokens[start..newline].iter().filter(|token| !token.is_comment());
        let heads = ["residual", "repeat", "for", "if", "parallel", "loss", "metric"];
        let Some(keyword) = line().find(|token| heads.contains(&token.text(self.text))) else { return false };
        // A head that has its body in its line misses none.
        if line().any(|token| token.start > keyword.start && token.text(self.text) == "{") {
            return false;
        }
        let Some(last) = line().next_back().filter(|token| !matches!(token.kind, Kind::Open | Kind::Close)) else {
            return false;
        };
        let header = Span::new(self.file, keyword.start, last.end);
        self.mask[self.tokens[newline].start] = b'{';
        self.fault(|scanner| errors::missing_opener(scanner.text, header, scanner.span(at)));
        true
    }

    /// Takes the innermost open bracket as unclosed, noticed at token `at` (none: the end of the text).
    fn unclosed(&mut self, at: Option<usize>) {
        let Some(open) = self.stack.pop() else { return };
        let noticed = at.filter(|&at| at < self.tokens.len()).map(|at| self.span(at));
        let start = self.tokens[open.token].start;
        if open.sign != b'{' && self.scan.muted.iter().any(|m| m.0 >= start && m.1 == self.line_end(start)) {
            // An open string in this line has swallowed the closer.
            return self.mute_line(start);
        }
        if open.sign != b'{' {
            self.mute_line(start);
            self.fault(|scanner| {
                errors::unclosed(
                    scanner.text,
                    scanner.span(open.token),
                    closer(open.sign),
                    scanner.line_close(start),
                    noticed,
                )
            });
            return;
        }
        let inside = self.suspects.iter().copied().filter(|&token| token > open.token).max();
        let guilty = inside.unwrap_or(open.token);
        let returns = inside.and_then(|guilty| self.end_body(guilty));
        self.suspects.retain(|&token| token < open.token);
        let end = self.text.trim_end().len();
        self.fault(|scanner| {
            let missing = match (returns, noticed, at) {
                (Some(line), _, _) => Missing::Line(line),
                (None, Some(place), Some(at)) => Missing::Before(place, scanner.say(at)),
                _ => Missing::End(Span::new(scanner.file, end, end)),
            };
            errors::missing_brace(scanner.text, scanner.span(guilty), missing)
        });
    }

    /// Puts a `}` for a brace without one where the lines return to the depth of its own; gives what stands there.
    fn end_body(&mut self, open: usize) -> Option<Span> {
        let start = self.tokens[open].start;
        let depth = self.flow_indent(start);
        let newlines = (open..self.tokens.len()).filter(|&i| self.tokens[i].kind == Kind::Newline);
        let returns = |&i: &usize| {
            self.tokens.get(i + 1).is_some_and(|next| next.kind != Kind::Newline && self.indent(next.start) <= depth)
        };
        let newline = newlines.into_iter().find(returns)?;
        let (at, next) = (self.tokens[newline].start, self.tokens[newline + 1].start);
        self.mask[at] = b'}';
        if next > at + 1 && !matches!(self.say(newline + 1), "|>" | "|" | "}" | "else" | "skip") {
            self.mask[at + 1] = b'\n';
        }
        Some(self.span(newline + 1))
    }

    /// Where a closing bracket is missing in the line of `start`: after its last token, before a body and comments.
    fn line_close(&self, start: usize) -> Span {
        let end = self.line_end(start);
        let first = self.tokens.partition_point(|t| t.start < start);
        let line = self.tokens[first..]
            .iter()
            .take_while(|t| t.start < end)
            .take_while(|t| !t.is_comment() && !matches!(t.text(self.text), "{" | "}" | ";"));
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
