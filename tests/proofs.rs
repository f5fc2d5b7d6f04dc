//! A hundred claims about sizes, each with the verdict that a user expects. Brute force over all small sizes says
//! whether a verdict is right; the fact that is named for an undecided claim is written in, and must decide it.

use wythe::diagnostic::Fix;
use wythe::elaborate::Request;
use wythe::pipeline::{Checked, check};
use wythe::text::Source;

/// What becomes of a claim.
#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    /// For all sizes that the facts allow.
    Proved,
    /// For none of them.
    Refuted,
    /// For some, or for all and beyond the checker's means; the fact that it names.
    Open(Option<String>),
}

/// Facts, claim, verdict: `=` proved, `!` refuted, `?` undecided, with the fact that would decide it.
const CLAIMS: &str = "
// Normal forms.
| h * w == w * h | =
| (h + 1) * (h + 1) == h^2 + 2 * h + 1 | =
| (h - w) * (h + w) + w * w == h * h | =
| 2 * (h + w) == h + w + w + h | =
| h * (w + 1) == h * w + h | =
| h * w + 1 == h * w | !
| 3 * h == h | !
| h == w | ?
| h * w == h | ?
| h * w == 784 | ? h * w == 784
| 2 * h * w == 1568 | ? h * w == 784
| h * w * 3 == h * w * 3 + 2 | !
| h * h == h^2 | =
| h^3 * w == h * w * h * h | =
// Exact and floor division.
| floor(2 * h / 2) == h | =
| floor((2 * h + 1) / 2) == h | =
| floor((2 * h - 1) / 2) == h - 1 | =
| floor((4 * h + 6) / 4) == h + 1 | =
| floor((h * w) / w) == h | =
| floor((h * w + w) / w) == h + 1 | =
| floor((2 * h + 2) / 4) == floor((h + 1) / 2) | =
| floor(floor(h / 2) / 2) == floor(h / 4) | =
| floor(floor(h / 3) / 2) == floor(floor(h / 2) / 3) | =
| floor((floor(h / 2) - 1) / 2) == floor((h - 2) / 4) | =
| floor((h + 4) / 2) == floor(h / 2) + 2 | =
| floor((h - 2) / 2) + 1 == floor(h / 2) | =
| floor((h - 1) / 2) + 1 == floor((h + 1) / 2) | =
| floor((h + 2 - 3) / 1) + 1 == h | =
| floor((h + 4 - 5) / 1) + 1 == h | =
| floor((h + 2 - 3) / 2) + 1 == floor((h + 1) / 2) | =
| floor((h - 3) / 2) + 1 == floor((h - 1) / 2) | =
| floor(h / 2) == floor(h / 2) + 1 | !
| floor(h / 2) == h | !
| floor((h + 6 - 7) / 2) + 1 == floor((h - 1) / 2) + 1 | =
| floor(h / 2) * 2 == h | ? h % 2 == 0
| floor(h / 2) + floor(h / 2) == h | ? h % 2 == 0
| floor((h - 1) / 2) + 1 == floor(h / 2) | ? h % 2 == 0
| floor((h + 1) / 2) == floor(h / 2) + 1 | ? h % 2 == 1
| 4 * floor(floor(h / 2) / 2) == h | ? h % 4 == 0
| floor(h / 2) * floor(w / 2) * 4 == h * w | ? h % 2 == 0, w % 2 == 0
| 8 * floor(h / 8) == h | ? h % 8 == 0
| floor(h * w / 2) * 2 == h * w | ? (h * w) % 2 == 0
| ceil(h / 2) == floor((h + 1) / 2) | =
| ceil(h / 2) == floor(h / 2) | ? h % 2 == 0
// Multiples.
h % 2 == 0 | floor(h / 2) * 2 == h | =
h % 2 == 0 | floor((h + 2 - 3) / 2) + 1 == h / 2 | =
h % 4 == 0 | floor((floor((h - 1) / 2) + 1 - 1) / 2) + 1 == h / 4 | =
h % 32 == 0 | floor((floor((floor((floor((floor((h - 1) / 2) + 1 - 1) / 2) + 1 - 1) / 2) + 1 - 1) / 2) + 1 - 1) / 2) + 1 == h / 32 | =
h % 2 == 0, w % 2 == 0 | (h * w) % 4 == 0 | =
h % 2 == 0 | h % 4 == 0 | ? h % 4 == 0
h % 4 == 0 | h % 2 == 0 | =
h % 4 == 0, h % 6 == 0 | h % 12 == 0 | =
h % 4 == 0, h % 6 == 0 | h % 24 == 0 | ? h % 24 == 0
h % 2 == 0 | (h + 1) % 2 == 0 | !
h % 2 == 0 | (3 * h + 4) % 2 == 0 | =
h % 2 == 0 | (3 * h + 1) % 6 == 0 | !
(h + w) % 2 == 0 | (h + 3 * w) % 2 == 0 | =
(h + w) % 2 == 0 | floor((h + w) / 2) * 2 == w + h | =
(h * w) % 4 == 0 | (3 * h * w) % 4 == 0 | =
(h * w) % 4 == 0 | floor(h * w / 4) * 4 == h * w | =
h % w == 0 | floor(h / w) * w == h | =
h % w == 0 | (h * 3) % w == 0 | =
h % w == 0 | (h + w) % w == 0 | =
h % w == 0 | (h + 1) % w == 0 | ? (h + 1) % w == 0
| (h * w) % w == 0 | =
| (h * w + 2 * w) % w == 0 | =
| (2 * h) % 4 == 0 | ? h % 2 == 0
| (6 * h + 3) % 2 == 0 | !
| (6 * h + 3) % 4 == 0 | !
| (6 * h + 3) % 3 == 0 | =
| (2 * h) % (2 * w) == 0 | ? h % w == 0
| (h + 3) % 4 == 0 | ? h % 4 == 1
| (4 * h) % 4 == 0 | =
// Remainders.
h % 2 == 1 | floor((h - 1) / 2) * 2 + 1 == h | =
h % 2 == 1 | floor((h - 1) / 2) + 1 == (h + 1) / 2 | =
h % 2 == 1 | h % 2 == 0 | !
h % 4 == 3 | (h + 1) % 4 == 0 | =
h % 4 == 3 | h % 2 == 1 | =
h % 3 == 2, w % 3 == 1 | (h + w) % 3 == 0 | =
// Equalities.
h * w == 784 | 3 * h * w == 2352 | =
h * w == 784 | floor(h * w / 28) == 28 | =
h * w == 784 | h * w == 783 | !
h * w == 784, w == 28 | h == 28 | =
h == w | h * h == w^2 | =
h == 2 * w | floor(h / 2) == w | =
h == 2 * w | h == w | !
h == w + 1 | h > w | =
2 * h == 3 * w | 4 * h == 6 * w | =
2 * h == 4 * w | h == 2 * w | =
h == w, w == 7 | h + w == 14 | =
h == floor(w / 2) | w >= 2 * h | =
h * 3 == w * 3 | h == w | =
| 2 * h == 2 * w + 1 | !
| 4 * h + 2 == 6 * w + 1 | !
| 4 * h + 2 == 6 * w | ?
// Order.
| h >= 1 | =
| h >= 2 | ?
| h >= 0 | =
| h + w >= 2 | =
| h * w >= h | =
| 2 * h > h | =
| h > 2 * h | !
| floor(h / 2) <= h | =
| 2 * floor(h / 2) <= h | =
| h <= 2 * floor(h / 2) + 1 | =
| h > 2 * floor(h / 2) + 1 | !
h >= 3 | floor((h - 3) / 2) + 1 >= 1 | =
h >= 3 | h - 2 >= 1 | =
h <= 512 | h <= 1024 | =
h <= 512 | h > 512 | !
h <= 512 | h <= 256 | ?
h <= w | h + 1 <= w + 1 | =
h <= w | 3 * h <= 3 * w | =
h <= w | d * h <= d * w | =
h <= w, w <= d | h <= d | =
h < w, w < d | h + 2 <= d | =
h < w, w < d | h + 3 <= d | ?
h < w | h == w | !
h <= w, w <= h | h == w | =
h <= w | h == w | ?
h >= 5, h % 2 == 0 | h >= 6 | =
h >= 3, h <= 3 | h * w == 3 * w | =
h + w <= 10 | h <= 9 | =
h + w <= 10 | h <= 8 | ?
h >= w, w >= 4 | h * d >= 4 * d | =
";

/// The three sizes of the claims.
type Sizes = [i64; 3];

fn claims() -> Vec<(String, String, Verdict)> {
    let lines = CLAIMS.lines().filter(|line| line.contains('|'));
    let parts = lines.map(|line| {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let verdict = match parts[2].split_at(1) {
            ("=", _) => Verdict::Proved,
            ("!", _) => Verdict::Refuted,
            (_, fact) => Verdict::Open(Some(fact.trim().to_string()).filter(|fact| !fact.is_empty())),
        };
        (parts[0].to_string(), parts[1].to_string(), verdict)
    });
    parts.collect()
}

/// A model that calls a block whose fact is the claim: `where::false` refutes, `where::undecided` leaves open.
fn text(facts: &str, claim: &str) -> String {
    let given = if facts.is_empty() { String::new() } else { format!(" where {facts}") };
    let asked = if facts.is_empty() { claim.to_string() } else { format!("{facts}, {claim}") };
    format!(
        "dim h, w, d\nblock claimed : (x: [h], y: [w], z: [d]) -> [h] where {asked} {{\n  x\n}}\n\
         model m : (x: [h], y: [w], z: [d]) -> [h]{given} {{\n  (x, y, z) |> claimed\n}}\n"
    )
}

fn checked(text: &str) -> Checked {
    let mut checked = check(Source::new("m.model", text), &Request::default(), None);
    checked.diagnostics.retain(|report| !report.code.starts_with("lint::"));
    checked
}

fn verdict(checked: &Checked) -> Verdict {
    let codes: Vec<&str> = checked.diagnostics.iter().map(|report| report.code).collect();
    match codes.as_slice() {
        [] if checked.models.iter().all(|model| model.needs.is_empty()) => Verdict::Proved,
        // A lower bound is kept for later.
        [] => Verdict::Open(None),
        ["where::false" | "where::never"] => Verdict::Refuted,
        ["where::undecided"] => {
            let fact =
                |fix: &Fix| fix.replacement.trim_start_matches([' ', ',']).trim_start_matches("where ").to_string();
            Verdict::Open(checked.diagnostics[0].fixes.first().map(fact))
        }
        _ => panic!("{}", checked.render()),
    }
}

fn mended(text: &str, fix: &Fix) -> String {
    format!("{}{}{}", &text[..fix.span.start as usize], fix.replacement, &text[fix.span.end as usize..])
}

#[test]
fn every_claim_has_the_verdict_that_a_user_expects() {
    let mut wrong = vec![];
    let claims = claims();
    assert!(claims.len() > 100);
    for (facts, claim, expected) in &claims {
        let text = text(facts, claim);
        let checked = checked(&text);
        let found = verdict(&checked);
        // An undecided equality without a fact of its own is proposed as it stands.
        let plain = matches!((&found, expected), (Verdict::Open(Some(fact)), Verdict::Open(None)) if fact == claim);
        if found != *expected && !plain {
            wrong.push(format!("{facts} | {claim}: {found:?}, and not {expected:?}"));
        }
        if let Some(fix) = checked.diagnostics.first().and_then(|report| report.fixes.first()) {
            let after = verdict(&self::checked(&mended(&text, fix)));
            if after != Verdict::Proved {
                wrong.push(format!("{facts} | {claim}: with `{}` it is {after:?}", fix.shown));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), claims.len(), wrong.join("\n"));
}

#[test]
fn no_verdict_is_broken_by_a_size() {
    for (facts, claim, _) in claims() {
        let found = verdict(&checked(&text(&facts, &claim)));
        let mut seen = [false, false];
        for h in 1..=40 {
            for w in 1..=40 {
                for d in 1..=if facts.contains('d') || claim.contains('d') { 12 } else { 1 } {
                    let sizes = [h, w, d];
                    if all_hold(&facts, &sizes) {
                        seen[usize::from(all_hold(&claim, &sizes))] = true;
                    }
                }
            }
        }
        match found {
            Verdict::Proved => assert_eq!(seen, [false, true], "{facts} | {claim} is proved"),
            Verdict::Refuted => assert_eq!(seen, [true, false], "{facts} | {claim} is refuted"),
            Verdict::Open(_) => {}
        }
    }
}

/// Whether all conditions of a list hold, by this file's own arithmetic.
fn all_hold(conds: &str, sizes: &Sizes) -> bool {
    conds.split(", ").filter(|cond| !cond.is_empty()).all(|cond| {
        let sign = ["==", "<=", ">=", "<", ">"].into_iter().find(|sign| cond.contains(sign)).expect("a comparison");
        let (left, right) = cond.split_once(sign).expect("two sides");
        let (a, b) = (value(left, sizes), value(right, sizes));
        // What is no integer is no size.
        let (a, b) = (a.0 * b.1, b.0 * a.1);
        match sign {
            "==" => a == b,
            "<=" => a <= b,
            ">=" => a >= b,
            "<" => a < b,
            _ => a > b,
        }
    })
}

/// The value of an expression as a fraction with a denominator above 0.
fn value(text: &str, sizes: &Sizes) -> (i64, i64) {
    let tokens: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut at = 0;
    let value = sum(&tokens, &mut at, sizes);
    assert_eq!(at, tokens.len(), "{text}");
    value
}

fn sum(tokens: &[char], at: &mut usize, sizes: &Sizes) -> (i64, i64) {
    let mut total = product(tokens, at, sizes);
    while let Some(sign @ ('+' | '-')) = tokens.get(*at) {
        *at += 1;
        let next = product(tokens, at, sizes);
        let next = if *sign == '-' { -next.0 } else { next.0 } * total.1;
        total = (total.0 + next, total.1);
    }
    total
}

fn product(tokens: &[char], at: &mut usize, sizes: &Sizes) -> (i64, i64) {
    let mut total = power(tokens, at, sizes);
    while let Some(sign @ ('*' | '/' | '%')) = tokens.get(*at) {
        *at += 1;
        let next = power(tokens, at, sizes);
        total = match sign {
            '*' => (total.0 * next.0, total.1 * next.1),
            '/' => (total.0 * next.1, total.1 * next.0),
            _ => (total.0.rem_euclid(next.0), 1),
        };
    }
    total
}

fn power(tokens: &[char], at: &mut usize, sizes: &Sizes) -> (i64, i64) {
    let base = atom(tokens, at, sizes);
    if tokens.get(*at) != Some(&'^') {
        return base;
    }
    *at += 1;
    let exponent = atom(tokens, at, sizes).0 as u32;
    (base.0.pow(exponent), 1)
}

fn atom(tokens: &[char], at: &mut usize, sizes: &Sizes) -> (i64, i64) {
    let word: String = tokens[*at..].iter().take_while(|c| c.is_alphanumeric()).collect();
    *at += word.len();
    let inner = (tokens.get(*at) == Some(&'(')).then(|| {
        *at += 1;
        let inner = sum(tokens, at, sizes);
        *at += 1;
        inner
    });
    match (word.as_str(), inner) {
        ("", Some(inner)) => inner,
        ("floor", Some((n, d))) => (n.div_euclid(d), 1),
        ("ceil", Some((n, d))) => (-(-n).div_euclid(d), 1),
        ("h", None) => (sizes[0], 1),
        ("w", None) => (sizes[1], 1),
        ("d", None) => (sizes[2], 1),
        (number, None) => (number.parse().expect("a number"), 1),
        _ => panic!("{word}"),
    }
}
