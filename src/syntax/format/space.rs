//! White space between the tokens of a line.

use super::super::lex::{Kind, Token};

/// The tokens with one space, or none, between them; and where each begins.
pub(super) fn spaced(text: &str, tokens: &[Token]) -> (String, Vec<usize>) {
    let mut out = String::new();
    let mut starts = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        if at > 0 && between(text, tokens, at) {
            out.push(' ');
        }
        starts.push(out.len());
        out.push_str(token.text(text));
    }
    (out, starts)
}

/// Whether a space stands before the token at `at`.
fn between(text: &str, tokens: &[Token], at: usize) -> bool {
    let (before, after) = (tokens[at - 1].text(text), tokens[at].text(text));
    match (before, after) {
        ("(" | "[", _) | (_, ")" | "]" | "," | ";") => false,
        ("{", _) | (_, "}" | "{") => true,
        // A label and a port have their colon at the word, a signature's stands free.
        (_, ":") => !is_port(text, tokens, at),
        ("^", _) | (_, "^") => false,
        ("-", _) if at < 2 || !tokens[at - 2].ends_operand(text) || is_keyword_before(text, tokens[at - 2]) => false,
        (_, "(") => !applies(text, tokens[at - 1]),
        (_, "[") => !indexes(text, tokens, at),
        _ => true,
    }
}

/// Whether the colon at `at` stands after the name of a port or a label.
fn is_port(text: &str, tokens: &[Token], at: usize) -> bool {
    let inside = tokens[..at].iter().fold(0, |depth, token| match token.kind {
        Kind::Open if token.text(text) != "{" => depth + 1,
        Kind::Close if token.text(text) != "}" => depth - 1,
        _ => depth,
    });
    let entry = matches!(tokens[0].text(text), "block" | "model");
    tokens[at - 1].kind == Kind::Word && (inside > 0 || !entry)
}

/// A word after which a minus is a sign of the number that follows, not a difference.
fn is_keyword_before(text: &str, token: Token) -> bool {
    matches!(token.text(text), "return" | "repeat" | "in" | "if" | "where" | "else")
}

/// Whether a parenthesis after this token holds its arguments.
fn applies(text: &str, token: Token) -> bool {
    let keyword = matches!(token.text(text), "in" | "if" | "for" | "where" | "return" | "repeat" | "else" | "skip");
    token.kind == Kind::Word && !keyword
}

/// Whether a bracket is an index or the axes of a type, and so stands at its word.
fn indexes(text: &str, tokens: &[Token], at: usize) -> bool {
    let before = tokens[at - 1];
    let keyword = matches!(before.text(text), "in" | "if" | "for" | "where" | "return" | "repeat");
    match before.kind {
        Kind::Word => !keyword,
        Kind::Close => before.text(text) != "}",
        _ => false,
    }
}
