//! A text as rows of token ids: characters or bytes, cut into windows of the sequence's length.

use super::{DataError, Dataset, Port};
use crate::tensor::{DType, Tensor};
use ndarray::Array2;

/// Windows of a text, one after the other; what is left at the end is not used.
///
/// Characters are numbered by their order in Unicode among those that occur; the vocabulary goes with the data.
pub fn read(
    bytes: &[u8],
    file: &str,
    unit: &str,
    inputs: &[Port],
    targets: &[Port],
    notes: &mut Vec<String>,
) -> Result<Dataset, DataError> {
    let bad = |reason: String| DataError::new("data::text", file, reason);
    let ([input], []) = (inputs, targets) else {
        let reason = "a text fills one input and no target".to_string();
        return Err(bad(reason).help("derive the target from it: `target y = tokens |> next`"));
    };
    let (DType::I64, [Some(length)]) = (input.dtype, &input.axes[..]) else {
        let reason = format!("a text fills `i64[batch, seq]`, `{}` is {}", input.name, input.show());
        return Err(bad(reason).help("set the sequence's length in the train section: `seq 128`"));
    };
    let (ids, vocabulary) = match unit {
        "byte" => (bytes.iter().map(|&byte| i64::from(byte)).collect::<Vec<_>>(), vec![]),
        _ => {
            let text = std::str::from_utf8(bytes).map_err(|error| {
                let error = bad("is not UTF-8 text".into()).at(format!("byte {}", error.valid_up_to()));
                error.help("text(\"…\", unit = \"byte\") takes any file")
            })?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let mut letters: Vec<char> = text.chars().collect();
            letters.sort_unstable();
            letters.dedup();
            let id = |c: char| letters.binary_search(&c).unwrap_or(0) as i64;
            (text.chars().map(id).collect(), letters.iter().map(char::to_string).collect::<Vec<_>>())
        }
    };
    let rows = ids.len().checked_div(*length).unwrap_or(0);
    if rows == 0 {
        return Err(bad(format!("{} {unit}s are less than one row of {length}", ids.len())));
    }
    if let Some(below) = input.below
        && vocabulary.len() as i64 > below
    {
        let reason = format!("{} different characters, the model has {below} embeddings", vocabulary.len());
        return Err(bad(reason).help(format!("--set the size of the vocabulary to {}", vocabulary.len())));
    }
    let windows = Array2::from_shape_vec((rows, *length), ids[..rows * length].to_vec());
    let windows = windows.map_err(|error| bad(error.to_string()))?.into_dyn();
    let mut set = Dataset::new(file, &[input], vec![Tensor::I64(windows)], vec![], notes)?;
    set.vocabulary = vocabulary;
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[u8], unit: &str, below: Option<i64>) -> Result<Dataset, String> {
        let port = Port { name: "tokens".into(), dtype: DType::I64, axes: vec![Some(3)], below };
        read(text, "t.txt", unit, &[port], &[], &mut vec![]).map_err(|error| error.to_string())
    }

    #[test]
    fn windows_of_ids() {
        let set = rows("héhé!ab".as_bytes(), "char", Some(9)).expect("two rows");
        assert_eq!(set.columns[0].1, Tensor::I64(ndarray::array![[3, 4, 3], [4, 0, 1]].into_dyn()));
        assert_eq!(set.vocabulary, ["!", "a", "b", "h", "é"]);
        let set = rows(b"\xff\x00\x01", "byte", Some(256)).expect("one row");
        assert_eq!(set.columns[0].1, Tensor::I64(ndarray::array![[255, 0, 1]].into_dyn()));
    }

    #[test]
    fn refusals() {
        assert!(rows(b"ab", "char", None).expect_err("short").contains("less than one row of 3"));
        assert!(rows(b"ab\xff", "char", None).expect_err("not text").contains("byte 2"));
        assert!(rows(b"abc", "char", Some(2)).expect_err("few").contains("3 different characters"));
    }
}
