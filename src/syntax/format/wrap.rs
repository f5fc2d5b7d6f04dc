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
    let mut left = line.indent + width(&line.code);
    if line.body == 0 || left <= WIDTH {
        return None;
    }
    let tokens = lex(&line.code);
    let pairs = places(&line.code, &tokens);
    pairs.first()?;
    let code = |from: usize, to: usize| line.code[from..to].trim().to_string();
    let (mut parts, mut start) = (vec![], 0);
    // `} else if … { … } else { … }`: what is left behind a body is broken again, as long as it is too long.
    for (open, close) in pairs {
        if left <= WIDTH {
            break;
        }
        let head = if start == 0 { Line { comment: None, ..line.clone() } } else { outer(line) };
        parts.push(Line { code: code(start, tokens[open].end), ..head });
        parts.extend(items(line, &tokens, (open, close)));
        left -= width(&line.code[start..tokens[close].start]);
        start = tokens[close].start;
    }
    let last = Line { code: code(start, line.code.len()), ..outer(line) };
    parts.push(Line { comment: line.comment.clone(), comment_column: 0, ..last });
    parts.retain(|part| !part.code.is_empty());
    Some(parts)
}

/// What stands between a pair of brackets, a line each: statements, or arguments with their commas.
fn items(line: &Line, tokens: &[Token], (open, close): (usize, usize)) -> Vec<Line> {
    let code = |from: usize, to: usize| inside(line, line.code[from..to].trim().to_string());
    let statements = tokens[open].text(&line.code) == "{";
    let (mut found, mut start, mut depth) = (vec![], tokens[open].end, 0);
    for token in &tokens[open + 1..close] {
        match (token.kind, token.text(&line.code)) {
            (Kind::Open, _) => depth += 1,
            (Kind::Close, _) => depth -= 1,
            (_, ";") if depth == 0 && statements => {
                found.push(code(start, token.start));
                start = token.end;
            }
            (_, ",") if depth == 0 && !statements => {
                found.push(code(start, token.end));
                start = token.end;
            }
            _ => {}
        }
    }
    found.push(code(start, tokens[close].start));
    found
}

/// The pairs of brackets at which a line may be broken: its outermost one-line bodies, else its last outermost call with
/// more than one argument.
fn places(code: &str, tokens: &[Token]) -> Vec<(usize, usize)> {
    let all = pairs(tokens);
    let bodies: Vec<(usize, usize)> = all.iter().copied().filter(|&(open, _)| tokens[open].text(code) == "{").collect();
    if !bodies.is_empty() {
        return bodies;
    }
    let commas = |&(open, close): &(usize, usize)| tokens[open..close].iter().any(|token| token.text(code) == ",");
    all.into_iter().rfind(commas).into_iter().collect()
}

/// A line of the same place, without what belongs to its beginning.
fn outer(line: &Line) -> Line {
    Line { blank: false, equals: None, setting: None, comment: None, code: String::new(), ..line.clone() }
}

fn inside(line: &Line, code: String) -> Line {
    Line { code, indent: line.indent + 2, ..outer(line) }
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
