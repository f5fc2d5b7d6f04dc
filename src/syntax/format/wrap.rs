//! Lines that are too long.

use super::super::lex::{Kind, Token, lex};
use super::columns::width;
use super::{Line, WIDTH};

/// Breaks each line that is too long: a one-line body first, then the arguments of its last call. The headers of
/// entries are left as they were written. Returns whether there was something to break.
pub(super) fn break_long(lines: &mut Vec<Line>) -> bool {
    let before = lines.len();
    *lines = lines.drain(..).flat_map(|line| broken(&line).unwrap_or_else(|| vec![line])).collect();
    lines.len() > before
}

/// The line in pieces, if it is too long and can be broken.
fn broken(line: &Line) -> Option<Vec<Line>> {
    if line.body == 0 || line.indent + width(&line.code) <= WIDTH {
        return None;
    }
    let tokens = lex(&line.code);
    let (open, close) = body(&line.code, &tokens).or_else(|| arguments(&line.code, &tokens))?;
    let inner = &tokens[open + 1..close];
    let sign = tokens[open].text(&line.code);
    let code = |from: usize, to: usize| line.code[from..to].trim().to_string();
    let mut parts = vec![Line { code: code(0, tokens[open].end), comment: None, ..line.clone() }];
    let mut start = tokens[open].end;
    for (at, token) in inner.iter().enumerate() {
        let said = token.text(&line.code);
        let separates = if sign == "{" { said == ";" } else { said == "," };
        if separates && depth(&inner[..at]) == 0 {
            let end = if sign == "{" { token.start } else { token.end };
            parts.push(inside(line, code(start, end)));
            start = token.end;
        }
    }
    parts.push(inside(line, code(start, tokens[close].start)));
    let last = Line { code: code(tokens[close].start, line.code.len()), ..outer(line) };
    parts.push(Line { comment: line.comment.clone(), comment_column: 0, ..last });
    parts.retain(|part| !part.code.is_empty());
    Some(parts)
}

/// A line of the same place, without what belongs to its beginning.
fn outer(line: &Line) -> Line {
    Line { blank: false, equals: None, setting: None, comment: None, code: String::new(), ..line.clone() }
}

fn inside(line: &Line, code: String) -> Line {
    Line { code, indent: line.indent + 2, ..outer(line) }
}

/// The outermost one-line body.
fn body(code: &str, tokens: &[Token]) -> Option<(usize, usize)> {
    pairs(tokens).into_iter().find(|&(open, _)| tokens[open].text(code) == "{")
}

/// The last outermost call with more than one argument.
fn arguments(code: &str, tokens: &[Token]) -> Option<(usize, usize)> {
    let commas = |&(open, close): &(usize, usize)| tokens[open..close].iter().any(|token| token.text(code) == ",");
    pairs(tokens).into_iter().rfind(|pair| tokens[pair.0].text(code) != "{" && commas(pair))
}

/// The outermost pairs of brackets.
fn pairs(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut found = vec![];
    let mut stack = vec![];
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => stack.push(at),
            Kind::Close => {
                let open = stack.pop();
                if let (Some(open), true) = (open, stack.is_empty()) {
                    found.push((open, at));
                }
            }
            _ => {}
        }
    }
    found
}

fn depth(tokens: &[Token]) -> i32 {
    tokens.iter().fold(0, |depth, token| match token.kind {
        Kind::Open => depth + 1,
        Kind::Close => depth - 1,
        _ => depth,
    })
}
