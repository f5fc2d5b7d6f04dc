//! One slip of the pen in a text that was right.

use super::rng::Rng;
use wythe::syntax::lex::{Kind, Token, lex};

/// The text with one mistake, and what was done; it may still be valid.
pub fn slip(text: &str, rng: &mut Rng) -> (String, &'static str) {
    let tokens: Vec<Token> = lex(text).into_iter().filter(|token| !token.is_comment()).collect();
    for _ in 0..40 {
        let token = *rng.pick(&tokens);
        let said = token.text(text);
        let with = |new: &str| format!("{}{new}{}", &text[..token.start], &text[token.end..]);
        match (rng.below(9), token.kind) {
            (0, Kind::Number) => {
                let other = *rng.pick(&["0", "1", "5", "7", "64", "1000", "2.5", "99999999999"]);
                return (with(other), "a number changed");
            }
            (1, Kind::Word | Kind::Number | Kind::Sign | Kind::Open | Kind::Close | Kind::Str) => {
                return (with(""), "a token deleted");
            }
            (2, Kind::Word) if said.len() > 2 => {
                let at = rng.below(said.len() - 1);
                let mut letters: Vec<char> = said.chars().collect();
                match rng.below(3) {
                    0 => letters.swap(at, at + 1),
                    1 => drop(letters.remove(at)),
                    _ => letters.insert(at, 'z'),
                }
                return (with(&letters.into_iter().collect::<String>()), "a name misspelled");
            }
            (3, Kind::Number) if said.len() == 1 => return (with("9"), "an axis or size out of range"),
            (4, Kind::Open | Kind::Close) => return (with(""), "a bracket dropped"),
            (5, Kind::Word) if ["batch", "seq", "h", "w"].contains(&said) => {
                let other = *rng.pick(&["batch", "seq", "h", "w"]);
                return (with(other), "dims swapped");
            }
            (6, Kind::Word | Kind::Sign) => return (with(&format!("{said} {said}")), "a token twice"),
            (7, Kind::Newline) => {
                // The line that begins here goes.
                let rest = &text[token.end..];
                let end = rest.find('\n').unwrap_or(rest.len());
                if rest[..end].contains(['{', '}']) || end == 0 {
                    continue;
                }
                return (format!("{}{}", &text[..token.end], &rest[end..]), "a line removed");
            }
            (8, Kind::Word) => {
                let other = *rng.pick(&["relu", "linear", "it", "x", "residual", "concat", "4", "batch"]);
                return (with(other), "a word replaced");
            }
            _ => {}
        }
    }
    (text.into(), "nothing")
}

/// The same text, badly laid out and with comments; how many there are.
pub fn disordered(text: &str, rng: &mut Rng) -> (String, usize) {
    let (mut out, mut comments) = (String::new(), 0);
    for line in text.lines() {
        let code = line.trim_start();
        if rng.percent(10) {
            out.push_str(&format!("  // comment {comments}\n"));
            comments += 1;
        }
        out.push_str(&" ".repeat(rng.below(5)));
        out.push_str(&if rng.percent(20) { code.replace(" = ", "=").replace(", ", " ,") } else { code.to_string() });
        if rng.percent(10) {
            out.push_str(&format!("   // comment {comments}"));
            comments += 1;
        }
        out.push_str(if rng.percent(5) && !code.is_empty() { "\n\n\n" } else { "\n" });
    }
    (out, comments)
}
