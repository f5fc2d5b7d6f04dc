//! Text to tokens: the alphabet that the scan, the formatter and the error messages share.
//!
//! Lexing is total: a character that belongs to nothing is a [`Kind::Sign`] of its own.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name or keyword.
    Word,
    /// A number, well-formed or not: `64`, `1e-3`, `.5`, `64x`.
    Number,
    /// `"…"`, up to the quote or the end of the line.
    Str,
    /// `'…'` or `“…”`, which another language's hand or a word processor has typed.
    QuotedStr,
    /// An infix sign, punctuation, or a character the language does not have.
    Sign,
    /// `( [ {`.
    Open,
    /// `) ] }`.
    Close,
    /// A line's end.
    Newline,
    /// `// …` up to the end of the line.
    Comment,
    /// `# …` up to the end of the line: a comment elsewhere.
    HashComment,
    /// `/* … */`: a comment elsewhere.
    BlockComment,
}

/// A token: bytes `start..end` of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Token {
    /// What the token says.
    pub fn text(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or("")
    }

    /// Whether a value may end here, so that an infix sign may follow.
    pub fn ends_operand(self, text: &str) -> bool {
        match self.kind {
            Kind::Word | Kind::Number | Kind::Str | Kind::QuotedStr => true,
            Kind::Close => self.text(text) != "}",
            Kind::Sign | Kind::Open | Kind::Newline => false,
            Kind::Comment | Kind::HashComment | Kind::BlockComment => false,
        }
    }

    /// Whether it is a comment of any kind.
    pub fn is_comment(self) -> bool {
        matches!(self.kind, Kind::Comment | Kind::HashComment | Kind::BlockComment)
    }
}

/// Reserved words: they are never names.
pub const KEYWORDS: [&str; 12] =
    ["dim", "block", "model", "train", "layer", "residual", "repeat", "parallel", "for", "if", "else", "return"];

/// Whether a word is reserved.
pub fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}

/// Signs of more than one character, the longer first.
const SIGNS: [&str; 16] =
    ["...", "|>", "->", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "%=", ":=", "&&", "||", "**"];

/// Cuts the text into tokens; white space between them is dropped.
pub fn lex(text: &str) -> Vec<Token> {
    let mut tokens = vec![];
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if is_space(c) {
            at += c.len_utf8();
            continue;
        }
        let fresh = tokens.last().is_none_or(|token: &Token| token.kind == Kind::Newline);
        let (kind, length) = match foreign_comment(&text[at..], fresh) {
            Some(length) => (if text[at..].starts_with("--") { Kind::HashComment } else { Kind::BlockComment }, length),
            None => next(&text[at..], c),
        };
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
    tokens
}

/// White space inside a line. A byte order mark counts.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{c}' | '\u{feff}')
}

/// Kind and length of the token that `rest` begins with; `c` is its first character.
fn next(rest: &str, c: char) -> (Kind, usize) {
    let line = || rest.find('\n').unwrap_or(rest.len());
    match c {
        '\n' => (Kind::Newline, 1),
        '(' | '[' | '{' => (Kind::Open, 1),
        ')' | ']' | '}' => (Kind::Close, 1),
        '#' => (Kind::HashComment, trimmed(&rest[..line()])),
        '/' if rest.starts_with("//") => (Kind::Comment, trimmed(&rest[..line()])),
        '/' if rest.starts_with("/*") => {
            (Kind::BlockComment, rest.find("*/").map_or(trimmed(&rest[..line()]), |i| i + 2))
        }
        '"' => (Kind::Str, string(&rest[..line()])),
        '\'' => match rest[1..line()].find('\'') {
            Some(i) => (Kind::QuotedStr, i + 2),
            None => (Kind::Sign, 1),
        },
        '“' | '„' | '‘' => match rest[c.len_utf8()..line()].find(['”', '“', '’']) {
            Some(i) => (Kind::QuotedStr, c.len_utf8() + i + '”'.len_utf8()),
            None => (Kind::Sign, c.len_utf8()),
        },
        c if c.is_ascii_alphabetic() || c == '_' => (Kind::Word, rest.find(|c| !is_word(c)).unwrap_or(rest.len())),
        c if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) => {
            (Kind::Number, number(rest.as_bytes()))
        }
        c => (Kind::Sign, SIGNS.iter().find(|s| rest.starts_with(**s)).map_or(c.len_utf8(), |s| s.len())),
    }
}

/// The length of a comment of another language: `"""…"""`, `<!-- … -->`, and `-- …` on a line of its own.
fn foreign_comment(rest: &str, fresh: bool) -> Option<usize> {
    let line = || trimmed(&rest[..rest.find('\n').unwrap_or(rest.len())]);
    let until = |open: usize, close: &str| rest[open..].find(close).map_or_else(line, |at| open + at + close.len());
    if rest.starts_with("\"\"\"") {
        return Some(until(3, "\"\"\""));
    }
    if rest.starts_with("<!--") {
        return Some(until(4, "-->"));
    }
    (fresh && rest.starts_with("-- ")).then(line)
}

/// Whether a word goes on with this character.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The length of a line without the white space at its end.
fn trimmed(line: &str) -> usize {
    line.trim_end().len()
}

/// The length of a string that begins the line.
fn string(line: &str) -> usize {
    line[1..].find('"').map_or(trimmed(line).max(1), |i| i + 2)
}

/// The length of what was meant as a number: as the grammar's `number` has it.
fn number(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied().unwrap_or(0);
        let exponent = matches!(byte, b'e' | b'E') && matches!(next, b'+' | b'-');
        if exponent && bytes.get(at + 2).is_some_and(u8::is_ascii_digit) {
            at += 3;
        } else if byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b'.' && next != b'.') {
            at += 1;
        } else {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        lex(text).into_iter().map(|token| token.text(text)).collect()
    }

    #[test]
    fn a_line_is_cut_into_its_tokens() {
        assert_eq!(words("x|>conv(8,-1e-3)//é"), ["x", "|>", "conv", "(", "8", ",", "-", "1e-3", ")", "//é"]);
        assert_eq!(words("[...,h] 64x .5 5. a==b"), ["[", "...", ",", "h", "]", "64x", ".5", "5.", "a", "==", "b"]);
        assert_eq!(words("'a' \"b\" /* c */ \"d"), ["'a'", "\"b\"", "/* c */", "\"d"]);
    }
}
