//! `--input [NAME=]VALUE` and `--cotangent`: a name and where the numbers come from.

use super::files::Disk;
use crate::data::literal::Maker;
use crate::data::{DataError, Literal, convert, read_tensor};
use crate::tensor::{DType, Tensor};

/// One value as given.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// For which input or output; `None`: the next in order.
    pub name: Option<String>,
    /// What it is.
    pub value: Value,
}

/// Where numbers come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Written on the command line.
    Literal(Literal),
    /// An array in a file: `x.npy`, `d.npz:x`, `d.safetensors:x`.
    File(String),
}

impl Given {
    /// Reads `x=[1, 2]`, `x=d.npz:x`, `normal[2,5]`, `x.npy`.
    pub fn parse(text: &str) -> Result<Given, String> {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        let (name, rest) = match text.split_once('=') {
            Some((name, rest)) if is_name(name.trim()) => (Some(name.trim().to_string()), rest),
            _ => (None, text),
        };
        let value = match Literal::parse(rest) {
            Some(literal) => Value::Literal(literal.map_err(|error| error.to_string())?),
            None if rest.trim().is_empty() => return Err("a value is missing after `=`".into()),
            None => Value::File(rest.trim().into()),
        };
        Ok(Given { name, value })
    }

    /// All ones, for an output.
    pub fn ones(name: &str) -> Given {
        Given::made(name, Maker::Ones)
    }

    /// What a word makes, in the size of what it is for.
    pub fn made(name: &str, maker: Maker) -> Given {
        Given { name: Some(name.into()), value: Value::Literal(Literal::Made(maker, None)) }
    }

    /// Whether the value itself says how large it is.
    pub fn says_sizes(&self) -> bool {
        match &self.value {
            Value::Literal(literal) => literal.shape().is_some(),
            Value::File(_) => true,
        }
    }

    /// Whether it could be ids as well as floats.
    pub fn is_whole(&self) -> bool {
        matches!(&self.value, Value::Literal(literal) if literal.is_whole())
    }

    /// The element type and shape that the value itself says; whole numbers are ids if `whole`.
    pub fn look(&self, whole: bool, notes: &mut Vec<String>) -> Result<(DType, Vec<usize>), DataError> {
        match &self.value {
            Value::Literal(literal) => {
                let dtype = match () {
                    () if literal.is_bool() => DType::Bool,
                    () if whole && literal.is_whole() => DType::I64,
                    () => DType::F32,
                };
                let missing = || {
                    let name = self.name.clone().unwrap_or_default();
                    let error =
                        DataError::new("data::literal", format!("input {name}"), "how large it is cannot be told");
                    error.help("say the sizes: normal[2,5]")
                };
                Ok((dtype, literal.shape().ok_or_else(missing)?.to_vec()))
            }
            Value::File(spec) => {
                let tensor = read_tensor(spec, &Disk, notes)?;
                let dtype = if tensor.dtype().is_float() { DType::F32 } else { tensor.dtype() };
                Ok((dtype, tensor.shape().to_vec()))
            }
        }
    }

    /// The tensor for the port `name` of this type; `shape` where the signature (or the output) gives it, for words
    /// without sizes. Whether a file's shape fits is the caller's to say.
    pub fn tensor(
        &self,
        name: &str,
        dtype: DType,
        shape: Option<&[usize]>,
        seed: u64,
        notes: &mut Vec<String>,
    ) -> Result<Tensor, DataError> {
        match &self.value {
            Value::Literal(literal) => literal.make(name, dtype, shape, seed),
            Value::File(spec) => convert(read_tensor(spec, &Disk, notes)?, dtype, spec, name, notes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        let given = |text: &str| Given::parse(text).map(|given| (given.name, given.value));
        assert_eq!(given("x=a/b.npy"), Ok((Some("x".into()), Value::File("a/b.npy".into()))));
        assert_eq!(given("d.npz:x"), Ok((None, Value::File("d.npz:x".into()))));
        assert_eq!(given("/tmp/a=b.npy"), Ok((None, Value::File("/tmp/a=b.npy".into()))));
        assert!(matches!(given("out=ones"), Ok((Some(_), Value::Literal(_)))));
        assert!(matches!(given("[[1, 2]]"), Ok((None, Value::Literal(_)))));
        assert!(given("x=").is_err() && given("x=[1, 2").expect_err("a bracket").contains("missing"));
    }
}
