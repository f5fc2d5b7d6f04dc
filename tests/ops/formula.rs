//! Formulas of the documentation, read as a person reads them and computed in f64: `dy if x > 0, else slope * dy`.
//!
//! This knows nothing of the crate: it is what the kernels are compared with.

use ndarray::{ArrayD, Axis, IxDyn, Zip};
use std::collections::HashMap;

/// Numbers in the shape of a tensor.
pub type Array = ArrayD<f64>;

/// A formula, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Formula {
    /// A number.
    Number(f64),
    /// A value by name.
    Name(String),
    /// A function of some values.
    Call(String, Vec<Formula>),
    /// The first where the second is not 0, else the third.
    If(Box<[Formula; 3]>),
}

/// Values by name, and names that stand for formulas.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// Values.
    pub arrays: HashMap<String, Array>,
    /// Names for parts: `s = sigmoid(x)`.
    pub parts: HashMap<String, Formula>,
}

/// Names that every formula may use: what they are called, and how they are computed element by element.
type One = fn(f64) -> f64;
const FUNCTIONS: &[(&str, One)] = &[
    ("abs", f64::abs),
    ("sqrt", f64::sqrt),
    ("exp", f64::exp),
    ("ln", f64::ln),
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tanh", f64::tanh),
    ("floor", f64::floor),
    ("ceil", f64::ceil),
    ("trunc", f64::trunc),
    ("sign", |x| if x == 0.0 { x } else { x.signum() }),
    ("sigmoid", sigmoid),
    ("softplus", |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
    ("relu", |x| x.max(0.0)),
    ("relu6", |x| x.clamp(0.0, 6.0)),
    ("silu", |x| x * sigmoid(x)),
    ("erf", erf),
    ("Phi", |x| 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2))),
    ("phi", |x| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()),
    ("gelu", |x| x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2))),
];

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The error function: its series near 0, the continued fraction of its complement far out.
fn erf(x: f64) -> f64 {
    let z = x.abs();
    let value = if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..120 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let tail = (1..60).rev().fold(z, |tail, n| z + f64::from(n) / 2.0 / tail);
        1.0 - (-z * z).exp() / (tail * std::f64::consts::PI.sqrt())
    };
    value.copysign(x)
}

/// Reads a whole text as a formula.
pub fn read(text: &str) -> Result<Formula, String> {
    let mut reader = Reader { words: words(text)?, at: 0 };
    let formula = reader.choice()?;
    match reader.peek() {
        None => Ok(formula),
        Some(word) => Err(format!("`{word}` comes too late in `{text}`")),
    }
}

/// Numbers, names and signs.
fn words(text: &str) -> Result<Vec<String>, String> {
    let signs: Vec<char> = text.chars().collect();
    let (mut at, mut all) = (0, vec![]);
    while at < signs.len() {
        let from = at;
        let run = |mut at: usize, more: &dyn Fn(char) -> bool| {
            while signs.get(at).is_some_and(|&sign| more(sign)) {
                at += 1;
            }
            at
        };
        match signs[at] {
            ' ' => {
                at += 1;
                continue;
            }
            sign if sign.is_ascii_digit() => {
                at = run(at, &|c| c.is_ascii_digit() || c == '.');
                // An exponent, but not the `e` of `2e^x`, which nobody writes.
                if signs.get(at) == Some(&'e') && signs.get(at + 1).is_some_and(|c| c.is_ascii_digit() || *c == '-') {
                    at = run(at + 2, &|c| c.is_ascii_digit());
                }
            }
            sign if sign.is_alphabetic() && sign != 'ᵀ' => {
                at = run(at, &|c| (c.is_alphanumeric() || c == '_') && c != 'ᵀ');
            }
            '<' | '>' if signs.get(at + 1) == Some(&'=') => at += 2,
            sign if "+-*/^()[]|,<>=≤≥≠·ᵀ".contains(sign) => at += 1,
            sign => return Err(format!("`{sign}` in `{text}`")),
        }
        all.push(signs[from..at].iter().collect());
    }
    Ok(all)
}

struct Reader {
    words: Vec<String>,
    at: usize,
}

fn call(name: &str, of: Vec<Formula>) -> Formula {
    Formula::Call(name.into(), of)
}

impl Reader {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.peek() == Some(word);
        self.at += usize::from(there);
        there
    }

    fn need(&mut self, word: &str) -> Result<(), String> {
        if self.take(word) { Ok(()) } else { Err(format!("`{word}` is missing before {:?}", self.peek())) }
    }

    /// `a if condition, b if another, else c`.
    fn choice(&mut self) -> Result<Formula, String> {
        let value = self.either()?;
        if !self.take("if") {
            return Ok(value);
        }
        let condition = self.either()?;
        self.need(",")?;
        let other = if self.take("else") { self.either()? } else { self.choice()? };
        Ok(Formula::If(Box::new([value, condition, other])))
    }

    fn left(&mut self, names: &[&str], inner: fn(&mut Reader) -> Result<Formula, String>) -> Result<Formula, String> {
        let mut value = inner(self)?;
        while let Some(name) = names.iter().find(|name| self.peek() == Some(**name)) {
            self.at += 1;
            value = call(name, vec![value, inner(self)?]);
        }
        Ok(value)
    }

    fn either(&mut self) -> Result<Formula, String> {
        self.left(&["or"], |r| r.left(&["and"], Reader::comparison))
    }

    /// `a < b`, `0 < x < 6`.
    fn comparison(&mut self) -> Result<Formula, String> {
        let (mut left, mut all) = (self.sum()?, vec![]);
        while let Some(sign) = self.peek().filter(|word| ["<", ">", "<=", ">=", "≤", "≥", "=", "≠"].contains(word))
        {
            let sign = match sign {
                "≤" => "<=".to_string(),
                "≥" => ">=".to_string(),
                other => other.to_string(),
            };
            self.at += 1;
            let right = self.sum()?;
            all.push(call(&sign, vec![left, right.clone()]));
            left = right;
        }
        Ok(all.into_iter().reduce(|a, b| call("and", vec![a, b])).unwrap_or(left))
    }

    fn sum(&mut self) -> Result<Formula, String> {
        self.left(&["+", "-"], |r| r.left(&["*", "/", "·"], Reader::signed))
    }

    fn signed(&mut self) -> Result<Formula, String> {
        if self.take("-") { Ok(call("neg", vec![self.signed()?])) } else { self.power() }
    }

    fn power(&mut self) -> Result<Formula, String> {
        let mut base = self.atom()?;
        while self.take("ᵀ") {
            base = call("ᵀ", vec![base]);
        }
        if self.take("^") { Ok(call("^", vec![base, self.signed()?])) } else { Ok(base) }
    }

    fn atom(&mut self) -> Result<Formula, String> {
        if self.take("(") {
            let inner = self.choice()?;
            return self.need(")").map(|()| inner);
        }
        if self.take("|") {
            let inner = self.sum()?;
            return self.need("|").map(|()| call("abs", vec![inner]));
        }
        // 1 where it holds, else 0.
        if self.take("[") {
            let inner = self.either()?;
            return self.need("]").map(|()| inner);
        }
        let word = self.peek().ok_or("it ends too early")?.to_string();
        self.at += 1;
        if word.starts_with(|sign: char| sign.is_ascii_digit()) {
            return word.parse().map(Formula::Number).map_err(|_| format!("`{word}` is no number"));
        }
        if !word.starts_with(char::is_alphabetic) || ["if", "else", "and", "or"].contains(&word.as_str()) {
            return Err(format!("`{word}` is no value"));
        }
        if self.take("(") {
            let mut of = vec![self.choice()?];
            while self.take(",") {
                of.push(self.choice()?);
            }
            return self.need(")").map(|()| Formula::Call(word, of));
        }
        // `sin x`.
        if FUNCTIONS.iter().any(|(name, _)| *name == word) {
            return Ok(call(&word, vec![self.power()?]));
        }
        Ok(Formula::Name(word))
    }
}

impl Formula {
    /// Whether it speaks of a name.
    pub fn names(&self, wanted: &str) -> bool {
        match self {
            Formula::Number(_) => false,
            Formula::Name(name) => name == wanted,
            Formula::Call(name, of) => name == wanted || of.iter().any(|inner| inner.names(wanted)),
            Formula::If(parts) => parts.iter().any(|inner| inner.names(wanted)),
        }
    }

    /// Its value.
    pub fn value(&self, given: &Values) -> Result<Array, String> {
        match self {
            Formula::Number(x) => Ok(scalar(*x)),
            Formula::Name(name) => match (given.arrays.get(name), given.parts.get(name), name.as_str()) {
                (Some(array), ..) => Ok(array.clone()),
                (_, Some(part), _) => part.value(given),
                (_, _, "e") => Ok(scalar(std::f64::consts::E)),
                (_, _, "pi") => Ok(scalar(std::f64::consts::PI)),
                (_, _, "inf") => Ok(scalar(f64::INFINITY)),
                _ => Err(format!("nothing is called `{name}`")),
            },
            Formula::If(parts) => {
                let [value, condition, other] = [&parts[0], &parts[1], &parts[2]].map(|part| part.value(given));
                let (value, condition, other) = (value?, condition?, other?);
                let shape = joint(&[&value, &condition, &other])?;
                let [value, condition, other] = [&value, &condition, &other].map(|a| spread(a, &shape));
                Ok(Zip::from(&value).and(&condition).and(&other).map_collect(|&a, &c, &b| if c != 0.0 { a } else { b }))
            }
            Formula::Call(name, of) => {
                let of = of.iter().map(|inner| inner.value(given)).collect::<Result<Vec<_>, _>>()?;
                applied(name, &of)
            }
        }
    }
}

fn scalar(x: f64) -> Array {
    Array::from_elem(IxDyn(&[]), x)
}

/// The shape that holds all of these, as NumPy has it.
fn joint(all: &[&Array]) -> Result<Vec<usize>, String> {
    let rank = all.iter().map(|a| a.ndim()).max().unwrap_or(0);
    let mut shape = vec![1; rank];
    for array in all {
        for (own, size) in shape[rank - array.ndim()..].iter_mut().zip(array.shape()) {
            match (*own, *size) {
                (1, size) => *own = size,
                (own, size) if own == size || size == 1 => {}
                _ => return Err(format!("shapes differ: {:?}", all.iter().map(|a| a.shape()).collect::<Vec<_>>())),
            }
        }
    }
    Ok(shape)
}

/// The same in this shape.
pub fn spread(a: &Array, shape: &[usize]) -> Array {
    a.broadcast(IxDyn(shape)).map_or_else(|| a.clone(), |view| view.to_owned())
}

fn two(a: &Array, b: &Array, f: impl Fn(f64, f64) -> f64) -> Result<Array, String> {
    let shape = joint(&[a, b])?;
    let (a, b) = (spread(a, &shape), spread(b, &shape));
    Ok(Zip::from(&a).and(&b).map_collect(|&a, &b| f(a, b)))
}

fn applied(name: &str, of: &[Array]) -> Result<Array, String> {
    let truth = |holds: bool| f64::from(u8::from(holds));
    let all = |a: &Array, f: &dyn Fn(&mut dyn Iterator<Item = f64>) -> f64| scalar(f(&mut a.iter().copied()));
    match (name, of) {
        ("+", [a, b]) => two(a, b, |a, b| a + b),
        ("-", [a, b]) => two(a, b, |a, b| a - b),
        ("*", [a, b]) => two(a, b, |a, b| a * b),
        ("/", [a, b]) => two(a, b, |a, b| a / b),
        ("^", [a, b]) => two(a, b, f64::powf),
        ("<", [a, b]) => two(a, b, |a, b| truth(a < b)),
        (">", [a, b]) => two(a, b, |a, b| truth(a > b)),
        ("<=", [a, b]) => two(a, b, |a, b| truth(a <= b)),
        (">=", [a, b]) => two(a, b, |a, b| truth(a >= b)),
        ("=", [a, b]) => two(a, b, |a, b| truth(a == b)),
        ("≠", [a, b]) => two(a, b, |a, b| truth(a != b)),
        ("and", [a, b]) => two(a, b, |a, b| truth(a != 0.0 && b != 0.0)),
        ("or", [a, b]) => two(a, b, |a, b| truth(a != 0.0 || b != 0.0)),
        ("neg", [a]) => Ok(a.mapv(|x| -x)),
        ("max", [a, b]) => two(a, b, f64::max),
        ("min", [a, b]) => two(a, b, f64::min),
        ("·", [a, b]) if a.ndim() == 2 && b.ndim() == 2 && a.shape()[1] == b.shape()[0] => Ok(product(a, b)),
        ("ᵀ", [a]) if a.ndim() == 2 => Ok(a.clone().reversed_axes()),
        // Along a row.
        ("sum", [a]) => Ok(all(a, &|values| values.sum())),
        ("mean", [a]) => Ok(scalar(a.sum() / a.len() as f64)),
        ("softmax", [a]) => {
            let top = a.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers = a.mapv(|x| (x - top).exp());
            Ok(&powers / powers.sum())
        }
        // The place of the first that holds.
        ("first", [a]) => Ok(scalar(a.iter().position(|&x| x != 0.0).map_or(-1.0, |at| at as f64))),
        // From each place to the end.
        ("suffix_sum", [a]) if a.ndim() == 1 => {
            let mut sums = a.clone();
            for at in (0..a.len().saturating_sub(1)).rev() {
                sums[at] += sums[at + 1];
            }
            Ok(sums)
        }
        (name, [a]) => match FUNCTIONS.iter().find(|(own, _)| *own == name) {
            Some((_, function)) => Ok(a.mapv(function)),
            None => Err(format!("`{name}` is no function of one value of shape {:?}", a.shape())),
        },
        (name, _) => Err(format!("`{name}` is no function of {} values", of.len())),
    }
}

fn product(a: &Array, b: &Array) -> Array {
    let (n, m) = (a.shape()[0], b.shape()[1]);
    Array::from_shape_fn(IxDyn(&[n, m]), |at| {
        let (row, column) = (a.index_axis(Axis(0), at[0]), b.index_axis(Axis(1), at[1]));
        row.iter().zip(column.iter()).map(|(a, b)| a * b).sum()
    })
}

#[test]
fn formulas_are_read_as_they_are_written() {
    let given = |x: f64| Values { arrays: [("x".to_string(), scalar(x))].into_iter().collect(), ..Values::default() };
    let value = |text: &str, x: f64| read(text).and_then(|formula| formula.value(&given(x))).map(|a| a.sum());
    assert_eq!(value("-x^2 + 1 if x > 0, x / 2 if x < -1, else 7", 3.0), Ok(-8.0));
    assert_eq!(value("-x^2 + 1 if x > 0, x / 2 if x < -1, else 7", -4.0), Ok(-2.0));
    assert_eq!(value("-x^2 + 1 if x > 0, x / 2 if x < -1, else 7", -1.0), Ok(7.0));
    assert_eq!(value("2 * |x - 5| if 0 < x <= 3 and x ≠ 2, else 0", 3.0), Ok(4.0));
    assert_eq!(value("[x = 2] + max(1, x) - 8 / 4 / 2", 2.0), Ok(2.0));
    assert_eq!(value("2^-x", 1.0), Ok(0.5));
    // Golden numbers: erf(1), erf(4), Phi(-1).
    assert!((value("erf(x)", 1.0).expect("it is read") - 0.842_700_792_949_714_9).abs() < 1e-15);
    assert!((value("1 - erf x", 4.0).expect("it is read") - 1.541_725_790_028_002e-8).abs() < 1e-15);
    assert!((value("Phi(-x)", 1.0).expect("it is read") - 0.158_655_253_931_457_05).abs() < 1e-15);
    assert!(read("x +").is_err() && read("the first of x").is_err() && read("x if x > 0").is_err());
}
