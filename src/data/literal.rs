//! Values written on the command line: `'[[1, 2, 3]]'`, `normal[2,5]`, `ones`, `zeros`, `range`.

use super::{DataError, npy};
use crate::kernels::random::{fill_normal, path_key};
use crate::tensor::{DType, Tensor};
use ndarray::{ArrayD, IxDyn};

/// The deepest nesting of a list: no tensor has more axes.
const DEPTH: usize = 8;

/// The most elements that a word may make.
const ELEMENTS: usize = 1 << 31;

/// A value in words.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Numbers with the shape of their brackets.
    List(Vec<Number>, Vec<usize>),
    /// A word, perhaps with sizes.
    Made(Maker, Option<Vec<usize>>),
}

/// One number of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// `3`.
    Int(i64),
    /// `3.0`, `1e-3`, `inf`, `nan`.
    Float(f64),
    /// `true`.
    Bool(bool),
}

/// The words that make a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// N(0, 1), drawn by the seed.
    Normal,
    /// All 1.
    Ones,
    /// All 0.
    Zeros,
    /// 0, 1, 2, … in row-major order.
    Range,
}

const MAKERS: [(&str, Maker); 4] =
    [("normal", Maker::Normal), ("ones", Maker::Ones), ("zeros", Maker::Zeros), ("range", Maker::Range)];

impl Literal {
    /// Reads a literal; `None` if the text is something else, such as a path.
    pub fn parse(text: &str) -> Option<Result<Literal, DataError>> {
        let text = text.trim();
        let bad = |reason: String| DataError::new("data::literal", text.chars().take(40).collect::<String>(), reason);
        if text.starts_with('[') || number(text).is_some() {
            let mut list = List { text, at: 0, values: vec![], shape: vec![] };
            return Some(list.whole().map_err(|reason| bad(reason).at(format!("character {}", list.column()))));
        }
        let (word, sizes) = text.split_once('[').map_or((text, None), |(word, sizes)| (word.trim(), Some(sizes)));
        let (_, maker) = MAKERS.iter().find(|(name, _)| *name == word)?;
        let Some(sizes) = sizes else {
            return Some(Ok(Literal::Made(*maker, None)));
        };
        let inside = sizes.trim_end().strip_suffix(']').map(str::trim);
        let sizes: Option<Vec<usize>> = inside.and_then(|inside| {
            let sizes = inside.split(',').map(str::trim).filter(|_| !inside.is_empty());
            sizes.map(|size| size.parse().ok()).collect()
        });
        Some(match sizes {
            Some(sizes) if sizes.len() <= DEPTH && npy::count(&sizes).is_some_and(|count| count <= ELEMENTS) => {
                Ok(Literal::Made(*maker, Some(sizes)))
            }
            Some(_) => Err(bad(format!("more than {ELEMENTS} elements or {DEPTH} axes"))),
            None => Err(bad("the sizes cannot be read".into()).help(format!("write {word}[2,5]"))),
        })
    }

    /// The sizes that the text says; `None`: the model's.
    pub fn shape(&self) -> Option<&[usize]> {
        match self {
            Literal::List(_, shape) => Some(shape),
            Literal::Made(_, shape) => shape.as_deref(),
        }
    }

    /// Whether every number of a list is whole: what an operand of unknown type should be then is the caller's choice.
    pub fn is_whole(&self) -> bool {
        matches!(self, Literal::List(values, _) if values.iter().all(|value| matches!(value, Number::Int(_))))
    }

    /// Whether it is a list of `true` and `false` alone.
    pub fn is_bool(&self) -> bool {
        let truth = |value: &Number| matches!(value, Number::Bool(_));
        matches!(self, Literal::List(values, _) if !values.is_empty() && values.iter().all(truth))
    }

    /// The tensor for the input `name`; `shape` is the model's, for words without sizes.
    ///
    /// Normal numbers are a function of seed, name and place: another input changes nothing.
    pub fn make(&self, name: &str, dtype: DType, shape: Option<&[usize]>, seed: u64) -> Result<Tensor, DataError> {
        let bad = |reason: String| DataError::new("data::literal", format!("input {name}"), reason);
        let Some(shape) = self.shape().or(shape) else {
            let error = bad("how large it is cannot be told".into());
            return Err(error.help("say the sizes: normal[2,5]"));
        };
        let count = npy::count(shape).filter(|&count| count <= ELEMENTS);
        let count = count.ok_or_else(|| bad(format!("the shape {shape:?} is too large")))?;
        let key = path_key(&format!("input {name}"));
        match (self, dtype) {
            (Literal::List(values, _), _) => list(values, shape, dtype).map_err(bad),
            (Literal::Made(Maker::Normal, _), DType::I64 | DType::Bool) => {
                Err(bad(format!("normal numbers are floats, `{name}` is {dtype}"))
                    .help("use range, zeros, ones or a list"))
            }
            (Literal::Made(Maker::Range, _), DType::Bool) => {
                Err(bad(format!("a range is no {dtype}")).help("use zeros, ones or a list of true and false"))
            }
            (Literal::Made(Maker::Normal, _), DType::F32) => {
                let mut values = vec![0.0; count];
                fill_normal(&mut values, 0, seed, key);
                array(values.into_iter(), shape).map(Tensor::F32).map_err(bad)
            }
            (Literal::Made(Maker::Normal, _), DType::F64) => {
                let mut values = vec![0.0; count];
                fill_normal(&mut values, 0, seed, key);
                array(values.into_iter(), shape).map(Tensor::F64).map_err(bad)
            }
            (Literal::Made(maker, _), DType::F32) => {
                let value = |i| match maker {
                    Maker::Ones => 1.0,
                    Maker::Normal | Maker::Zeros => 0.0,
                    Maker::Range => i as f32,
                };
                array((0..count).map(value), shape).map(Tensor::F32).map_err(bad)
            }
            (Literal::Made(maker, _), DType::F64) => {
                let value = |i| match maker {
                    Maker::Ones => 1.0,
                    Maker::Normal | Maker::Zeros => 0.0,
                    Maker::Range => i as f64,
                };
                array((0..count).map(value), shape).map(Tensor::F64).map_err(bad)
            }
            (Literal::Made(maker, _), DType::I64) => {
                let value = |i| match maker {
                    Maker::Ones => 1,
                    Maker::Range => i as i64,
                    Maker::Normal | Maker::Zeros => 0,
                };
                array((0..count).map(value), shape).map(Tensor::I64).map_err(bad)
            }
            (Literal::Made(maker, _), DType::Bool) => {
                array((0..count).map(|_| *maker == Maker::Ones), shape).map(Tensor::Bool).map_err(bad)
            }
        }
    }
}

/// A list's numbers as this type: whole numbers may be floats, nothing else changes.
fn list(values: &[Number], shape: &[usize], dtype: DType) -> Result<Tensor, String> {
    let floats = || {
        values.iter().map(|value| match value {
            Number::Int(v) => Ok(*v as f64),
            Number::Float(v) => Ok(*v),
            Number::Bool(v) => Err(format!("{v} is not a number")),
        })
    };
    match dtype {
        DType::F32 => {
            let values: Vec<f32> = floats()
                .map(|v| match v {
                    Ok(v) if v.is_finite() && !(v as f32).is_finite() => Err(format!("f32 cannot hold {v}")),
                    v => v.map(|v| v as f32),
                })
                .collect::<Result<_, _>>()?;
            array(values.into_iter(), shape).map(Tensor::F32)
        }
        DType::F64 => array(floats().collect::<Result<Vec<_>, _>>()?.into_iter(), shape).map(Tensor::F64),
        DType::I64 => {
            let whole = values.iter().map(|value| match value {
                Number::Int(v) => Ok(*v),
                Number::Float(v) => Err(format!("{v:?} is not a whole number, which an i64 input wants")),
                Number::Bool(v) => Err(format!("{v} is not a whole number, which an i64 input wants")),
            });
            array(whole.collect::<Result<Vec<_>, _>>()?.into_iter(), shape).map(Tensor::I64)
        }
        DType::Bool => {
            let flags = values.iter().map(|value| match value {
                Number::Bool(v) => Ok(*v),
                Number::Int(v @ (0 | 1)) => Ok(*v == 1),
                Number::Int(v) => Err(format!("{v} is neither true (1) nor false (0)")),
                Number::Float(v) => Err(format!("{v:?} is neither true nor false")),
            });
            array(flags.collect::<Result<Vec<_>, _>>()?.into_iter(), shape).map(Tensor::Bool)
        }
    }
}

fn array<T>(values: impl Iterator<Item = T>, shape: &[usize]) -> Result<ArrayD<T>, String> {
    ArrayD::from_shape_vec(IxDyn(shape), values.collect()).map_err(|error| error.to_string())
}

fn number(text: &str) -> Option<Number> {
    match text {
        "true" => Some(Number::Bool(true)),
        "false" => Some(Number::Bool(false)),
        _ => match text.parse() {
            Ok(value) => Some(Number::Int(value)),
            Err(_) => text.parse().ok().map(Number::Float),
        },
    }
}

/// The reader of nested lists.
struct List<'a> {
    text: &'a str,
    at: usize,
    values: Vec<Number>,
    /// The size of each level, once one list of that level has been read.
    shape: Vec<Option<usize>>,
}

impl List<'_> {
    fn whole(&mut self) -> Result<Literal, String> {
        self.item(0)?;
        self.space();
        if self.at < self.text.len() {
            return Err("something stands after the end of the list".into());
        }
        Ok(Literal::List(std::mem::take(&mut self.values), self.shape.iter().map(|size| size.unwrap_or(0)).collect()))
    }

    fn column(&self) -> usize {
        self.text.get(..self.at).map_or(0, |before| before.chars().count()) + 1
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, sign: char) -> bool {
        self.space();
        let found = self.text[self.at..].starts_with(sign);
        self.at += if found { sign.len_utf8() } else { 0 };
        found
    }

    /// A list or a number at this depth.
    fn item(&mut self, depth: usize) -> Result<(), String> {
        if !self.eat('[') {
            return self.number(depth);
        }
        if depth >= DEPTH {
            return Err(format!("more than {DEPTH} lists in one another"));
        }
        if self.shape.len() == depth {
            if !self.values.is_empty() {
                return Err("a list beside a number".into());
            }
            self.shape.push(None);
        }
        let mut count = 0;
        while !self.eat(']') {
            if count > 0 && !self.eat(',') {
                return Err("`,` or `]` is missing".into());
            }
            if count > 0 && self.eat(']') {
                break;
            }
            self.item(depth + 1)?;
            count += 1;
        }
        match self.shape[depth] {
            Some(size) if size != count => {
                Err(format!("lists of {size} and of {count}: all rows must be equally long"))
            }
            _ => {
                self.shape[depth] = Some(count);
                Ok(())
            }
        }
    }

    fn number(&mut self, depth: usize) -> Result<(), String> {
        if self.shape.len() > depth {
            return Err("a number beside a list".into());
        }
        let rest = &self.text[self.at..];
        let end = rest.find([',', ']', '[', ' ', '\n', '\t']).unwrap_or(rest.len());
        match number(&rest[..end]) {
            // Infinity must be meant.
            Some(Number::Float(value))
                if value.is_infinite()
                    && rest.starts_with(|c: char| !c.is_alphabetic())
                    && !rest[..end].contains("inf") =>
            {
                Err(format!("`{}` is larger than any float (write inf if you mean it)", &rest[..end]))
            }
            Some(value) => {
                self.values.push(value);
                self.at += end;
                Ok(())
            }
            None if rest.is_empty() => Err("`]` is missing at the end".into()),
            None => Err(format!("`{}` is not a number", rest[..end].chars().take(20).collect::<String>())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str, dtype: DType, shape: Option<&[usize]>) -> Result<Tensor, String> {
        let literal = Literal::parse(text).unwrap_or_else(|| panic!("`{text}` is a literal"));
        literal.and_then(|literal| literal.make("x", dtype, shape, 1)).map_err(|error| error.to_string())
    }

    #[test]
    fn lists() {
        let x = made("[[1, 2, 3], [4, 5.5, -6e-1],]", DType::F32, None).expect("a list");
        assert_eq!(x, Tensor::F32(ndarray::array![[1.0, 2.0, 3.0], [4.0, 5.5, -0.6]].into_dyn()));
        assert_eq!(made("[1,2]", DType::I64, None), Ok(Tensor::I64(ndarray::array![1, 2].into_dyn())));
        assert_eq!(made("[true, 0]", DType::Bool, None), Ok(Tensor::Bool(ndarray::array![true, false].into_dyn())));
        assert_eq!(made("3", DType::F64, None), Ok(Tensor::F64(ndarray::arr0(3.0).into_dyn())));
        assert_eq!(made("[[], []]", DType::F64, None).expect("empty rows").shape(), [2, 0]);
        assert_eq!(made("[[inf]]", DType::F32, None).expect("infinity").shape(), [1, 1]);
    }

    #[test]
    fn words() {
        assert_eq!(made("range[2,2]", DType::I64, None), Ok(Tensor::I64(ndarray::array![[0, 1], [2, 3]].into_dyn())));
        assert_eq!(made("ones", DType::F32, Some(&[2])), Ok(Tensor::F32(ndarray::array![1.0, 1.0].into_dyn())));
        assert_eq!(made("zeros[]", DType::F32, None), Ok(Tensor::F32(ndarray::arr0(0.0).into_dyn())));
        let Ok(Tensor::F64(x)) = made("normal[10000]", DType::F64, None) else { panic!("normal numbers") };
        let (mean, square) = (x.mean().expect("numbers"), x.mapv(|v| v * v).mean().expect("numbers"));
        assert!(mean.abs() < 0.03 && (square - 1.0).abs() < 0.05, "{mean} {square}");
        assert_eq!(Literal::parse("./ones"), None);
        assert_eq!(Literal::parse("x.npy"), None);
    }

    #[test]
    fn refusals() {
        let cases = [
            ("[[1, 2], [3]]", "all rows must be equally long"),
            ("[1, [2]]", "a list beside a number"),
            ("[[1], 2]", "a number beside a list"),
            ("[1, 2", "missing"),
            ("[1 2]", "`,` or `]`"),
            ("[1] 2", "after the end"),
            ("[1, abc]", "`abc` is not a number"),
            ("[,]", "not a number"),
            ("[[[[[[[[[1]]]]]]]]]", "more than 8"),
            ("[1.5]", "f32"),
            ("normal", "say the sizes"),
            ("normal[2,x]", "write normal[2,5]"),
            ("ones[99999999999]", "more than"),
            ("ones[4294967296,4294967296]", "more than"),
        ];
        for (text, word) in cases {
            let dtype = if word == "f32" { DType::I64 } else { DType::F32 };
            let word = if word == "f32" { "not a whole number" } else { word };
            let said = made(text, dtype, None).expect_err(text);
            assert!(said.contains(word), "{text}: {said}");
        }
        assert!(made("normal[2]", DType::I64, None).expect_err("floats").contains("use range"));
        assert!(made("[1e300]", DType::F32, None).expect_err("large").contains("f32 cannot hold"));
    }
}
