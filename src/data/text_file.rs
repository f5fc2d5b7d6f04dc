//! A text as rows of token ids: characters or bytes, cut into windows of the sequence's length.

use super::room::{collect, no_room};
use super::{DataError, Dataset, Port};
use crate::tensor::{DType, Tensor};
use ndarray::Array2;
use std::collections::{HashMap, HashSet};

/// Windows of a text, one after the other; what is left at the end is not used.
///
/// Characters are numbered by their order in Unicode among those that occur, or as `known` numbers them; the vocabulary
/// goes with the data.
pub fn read(
    bytes: &[u8],
    file: &str,
    unit: &str,
    inputs: &[Port],
    targets: &[Port],
    known: &[String],
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
        "byte" => (whole_rows(bytes.len(), *length, bytes.iter().map(|&byte| i64::from(byte))), vec![]),
        _ => {
            let text = std::str::from_utf8(bytes).map_err(|error| {
                let error = bad("is not UTF-8 text".into()).at(format!("byte {}", error.valid_up_to()));
                error.help("text(\"…\", unit = \"byte\") takes any file")
            })?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let letters = Letters::of(text, known, file)?;
            let ids = text.chars().map(|c| letters.id(c));
            (whole_rows(text.chars().count(), *length, ids), letters.vocabulary)
        }
    };
    let ids = ids.ok_or_else(|| no_room(file, 8 * bytes.len()))?;
    let rows = ids.len().checked_div(*length).unwrap_or(0);
    if rows == 0 {
        let error = bad(format!("it has fewer {unit}s than one row of {length}"));
        return Err(error.help("give a longer text, or a shorter sequence in the train section"));
    }
    if let Some(below) = input.below
        && vocabulary.len() as i64 > below
    {
        let reason = format!("{} different characters, the model has {below} embeddings", vocabulary.len());
        return Err(bad(reason).help(format!("--set the size of the vocabulary to {}", vocabulary.len())));
    }
    let windows = Array2::from_shape_vec((rows, *length), ids);
    let windows = windows.map_err(|error| bad(error.to_string()))?.into_dyn();
    let mut set = Dataset::new(file, &[input], vec![Tensor::I64(windows)], vec![], notes)?;
    set.vocabulary = vocabulary;
    Ok(set)
}

/// The ids of the rows that are filled.
fn whole_rows(count: usize, length: usize, ids: impl Iterator<Item = i64>) -> Option<Vec<i64>> {
    collect(count.checked_div(length).unwrap_or(0) * length, ids)
}

/// The letters of a text and their numbers.
pub struct Letters {
    /// Each letter, in the order of the numbers.
    pub vocabulary: Vec<String>,
    /// By letter.
    numbers: HashMap<char, i64>,
}

impl Letters {
    /// The letters of a text, in the order of Unicode; or the known ones, of which it must be made.
    pub fn of(text: &str, known: &[String], file: &str) -> Result<Letters, DataError> {
        let vocabulary = if known.is_empty() {
            let mut seen = HashSet::new();
            let mut found: Vec<char> = text.chars().filter(|&c| seen.insert(c)).collect();
            found.sort_unstable();
            found.iter().map(char::to_string).collect()
        } else {
            known.to_vec()
        };
        let letter = |(id, word): (usize, &String)| Some((word.chars().next()?, id as i64));
        let numbers: HashMap<char, i64> = vocabulary.iter().enumerate().filter_map(letter).collect();
        if let Some((at, stranger)) = text.char_indices().find(|(_, c)| !numbers.contains_key(c)) {
            let count = numbers.len();
            let reason = format!("{stranger:?} is none of the {count} characters of the text that was trained on");
            let error = DataError::new("data::text", file, reason).at(format!("byte {at}"));
            return Err(error.help("remove it, or train on a text that has it; unit = \"byte\" knows every text"));
        }
        Ok(Letters { vocabulary, numbers })
    }

    /// The number of a letter that is among them.
    pub fn id(&self, letter: char) -> i64 {
        self.numbers.get(&letter).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[u8], unit: &str, below: Option<i64>) -> Result<Dataset, String> {
        let port = Port { name: "tokens".into(), dtype: DType::I64, axes: vec![Some(3)], below, ignored: None };
        read(text, "t.txt", unit, &[port], &[], &[], &mut vec![]).map_err(|error| error.to_string())
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
        assert!(rows(b"ab", "char", None).expect_err("short").contains("than one row of 3"));
        assert!(rows(b"ab\xff", "char", None).expect_err("not text").contains("byte 2"));
        assert!(rows(b"abc", "char", Some(2)).expect_err("few").contains("3 different characters"));
    }

    #[test]
    fn known_letters_keep_their_numbers() {
        let port = Port { name: "tokens".into(), dtype: DType::I64, axes: vec![Some(3)], below: None, ignored: None };
        let known = ["c", "a", "b"].map(String::from);
        let load =
            |text: &str| read(text.as_bytes(), "t.txt", "char", std::slice::from_ref(&port), &[], &known, &mut vec![]);
        assert_eq!(load("abca").expect("a row").columns[0].1, Tensor::I64(ndarray::array![[1, 2, 0]].into_dyn()));
        let said = load("ab\u{e9}").expect_err("a stranger").to_string();
        assert!(said.contains("t.txt, byte 2: 'é' is none of the 3"), "{said}");
    }
}
