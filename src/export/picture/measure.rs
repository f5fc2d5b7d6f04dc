//! How wide a text is, at most: a picture knows no fonts.

/// The width of a text at a font size. Advances are those of DejaVu Sans, the widest of the common faces, in 1/100 em.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let hundredths: u32 = text.chars().map(advance).sum();
    let bold = if bold { 1.12 } else { 1.0 };
    f64::from(hundredths) / 100.0 * size * bold
}

fn advance(c: char) -> u32 {
    match c {
        'i' | 'j' | 'l' | '\'' => 28,
        'I' | 'J' | '|' | ' ' | '\u{a0}' | '.' | ',' => 33,
        ':' | ';' | '/' | 'f' => 36,
        '(' | ')' | '[' | ']' | 't' | '-' | '!' => 40,
        'r' => 42,
        'a'..='z' if !matches!(c, 'm' | 'w') => 64,
        '0'..='9' => 64,
        'm' => 98,
        'w' => 82,
        'M' | 'W' | '%' | '@' => 100,
        'A'..='Z' => 79,
        '_' | '*' | '?' | '"' | '$' => 55,
        '+' | '=' | '<' | '>' | '×' | '·' | '→' | '#' | '&' | '^' | '~' => 84,
        _ => match unicode_width::UnicodeWidthChar::width(c) {
            Some(0) => 0,
            Some(1) => 84,
            _ => 120,
        },
    }
}

/// Cuts a text into lines of at most this width, between words; a longer word stands alone.
pub(super) fn wrapped(text: &str, room: f64, size: f64, bold: bool) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(last) if width(&format!("{last} {word}"), size, bold) <= room => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_width_is_below_dejavu_s() {
        // Advances of DejaVuSans.ttf, in 1/2048 em.
        let known: [(&str, u32); 8] = [
            ("i", 569),
            ("m", 1995),
            ("W", 2025),
            ("0", 1303),
            ("[", 799),
            ("_", 1024),
            ("=", 1716),
            ("linear(256)", 569 + 569 + 1298 + 1260 + 1255 + 842 + 799 + 3 * 1303 + 799),
        ];
        for (text, units) in known {
            assert!(width(text, 2048.0, false) >= f64::from(units), "{text}: {}", width(text, 2048.0, false));
        }
        assert!(width("日本", 10.0, false) >= 20.0 && width("e\u{301}", 10.0, false) == width("e", 10.0, false));
    }

    #[test]
    fn lines_end_between_words() {
        assert_eq!(wrapped("a bb ccccccccc d", 30.0, 10.0, false), ["a bb", "ccccccccc", "d"]);
    }
}
