//! `model.safetensors`: parameters and state by path, sealed with a hash.
//!
//! The metadata say what the weights belong to; a hash over everything, metadata included, tells a damaged file from a
//! whole one. Weights of other programs have no hash and are read all the same.

use crate::data::tensors::{self, Metadata, TensorFile};
use crate::data::{DataError, FILE_LIMIT, convert, nearest};
use crate::tensor::{DType, Tensor};
use crate::text::{FileError, Files};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use std::fmt;

/// The version of the metadata below.
const FORMAT: &str = "1";

/// Before the hash is known, and where it stands while the file is hashed.
const UNSEALED: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Prefixes that frameworks put before every name.
const PREFIXES: [&str; 3] = ["model.", "module.", "_orig_mod."];

/// What a file of weights says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// The hash of the program (model, sizes, hyperparameters) that the weights belong to.
    pub program: Option<String>,
    /// After how many steps.
    pub step: Option<u64>,
    /// The run's seed.
    pub seed: Option<u64>,
    /// The loss then.
    pub loss: Option<f64>,
    /// What ids stand for: the letters of a text, the labels of a table.
    pub vocabulary: Vec<String>,
    /// Anything else, under names of its own.
    pub more: Metadata,
}

impl About {
    fn metadata(&self) -> Metadata {
        let mut words = self.more.clone();
        let mut say = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                words.insert(key.into(), value);
            }
        };
        // "pt" is what loaders of other libraries look for: PyTorch's names and layouts.
        say("format", Some("pt".into()));
        say("wythe.format", Some(FORMAT.into()));
        say("wythe.program", self.program.clone());
        say("wythe.step", self.step.map(|step| step.to_string()));
        say("wythe.seed", self.seed.map(|seed| seed.to_string()));
        say("wythe.loss", self.loss.map(|loss| format!("{loss:?}")));
        let words_of = serde_json::Value::from(self.vocabulary.clone()).to_string();
        say("wythe.vocabulary", Some(words_of).filter(|_| !self.vocabulary.is_empty()));
        say("wythe.sha256", Some(UNSEALED.into()));
        words
    }

    fn read(metadata: &Metadata) -> About {
        let get = |key: &str| metadata.get(key);
        let own = |key: &str| key == "format" || key.starts_with("wythe.");
        About {
            program: get("wythe.program").cloned(),
            step: get("wythe.step").and_then(|step| step.parse().ok()),
            seed: get("wythe.seed").and_then(|seed| seed.parse().ok()),
            loss: get("wythe.loss").and_then(|loss| loss.parse().ok()),
            vocabulary: get("wythe.vocabulary").and_then(|words| serde_json::from_str(words).ok()).unwrap_or_default(),
            more: metadata.iter().filter(|(key, _)| !own(key)).map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }
}

/// Weights as they stood in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Where they come from, for messages.
    pub file: String,
    /// By path, in the order of the file.
    pub tensors: IndexMap<String, Tensor>,
    /// What the file says of itself.
    pub about: About,
    /// What was converted on reading.
    pub notes: Vec<String>,
}

/// The bytes of a sealed file: the same for the same weights.
pub fn encode(tensors: &[(&str, &Tensor)], about: &About) -> Vec<u8> {
    let mut bytes = tensors::write(tensors, &about.metadata());
    if let Some(at) = seal_at(&bytes) {
        let hash = hex(&Sha256::digest(&bytes));
        bytes[at..at + UNSEALED.len()].copy_from_slice(hash.as_bytes());
    }
    bytes
}

/// Writes a sealed file, atomically.
pub fn save(files: &dyn Files, path: &str, tensors: &[(&str, &Tensor)], about: &About) -> Result<(), FileError> {
    files.write(path, &encode(tensors, about))
}

/// Reads a file of weights; one that carries a hash is refused unless every bit of it is right.
pub fn load(files: &dyn Files, path: &str) -> Result<Weights, DataError> {
    decode(&files.read(path, FILE_LIMIT)?, path)
}

/// The weights in these bytes.
pub fn decode(bytes: &[u8], file: &str) -> Result<Weights, DataError> {
    let open = TensorFile::open(bytes, file).map_err(|error| DataError { code: "weights::file", ..error })?;
    verify(bytes, &open.metadata, file)?;
    let mut notes = vec![];
    let mut tensors = IndexMap::new();
    for name in open.names() {
        tensors.insert(name.to_string(), open.read(name, &mut notes)?);
    }
    if notes.len() > 3 {
        let more = notes.len() - 2;
        notes.truncate(2);
        notes.push(format!("{file}: and {more} more tensors likewise"));
    }
    Ok(Weights { file: file.into(), tensors, about: About::read(&open.metadata), notes })
}

/// Compares the hash, where the file says that it has one.
fn verify(bytes: &[u8], metadata: &Metadata, file: &str) -> Result<(), DataError> {
    let damaged = |reason: &str| {
        let error = DataError::new("weights::damaged", file, reason.to_string());
        Err(error.help("use another checkpoint of the run, such as best/ or step-N/"))
    };
    match (metadata.get("wythe.format"), metadata.get("wythe.sha256")) {
        (None, None) => return Ok(()),
        (Some(version), _) if version != FORMAT => {
            let error = DataError::new("weights::format", file, format!("was written in format {version}"));
            return Err(error.help(format!("this version of wythe reads format {FORMAT}")));
        }
        (Some(_), Some(hash)) if hash.len() == UNSEALED.len() => {
            let Some(at) = seal_at(bytes) else {
                return damaged("is damaged: its hash cannot be found");
            };
            let mut sum = Sha256::new();
            sum.update(&bytes[..at]);
            sum.update(UNSEALED);
            sum.update(&bytes[at + UNSEALED.len()..]);
            if hex(&sum.finalize()) == *hash {
                return Ok(());
            }
        }
        _ => {}
    }
    damaged("is damaged: its bytes do not fit the hash that it was written with")
}

/// Where the hash stands in the header: after its key, which the sorted metadata hold once.
fn seal_at(bytes: &[u8]) -> Option<usize> {
    const KEY: &[u8] = b"\"wythe.sha256\":\"";
    let length = u64::from_le_bytes(*bytes.first_chunk::<8>()?) as usize;
    let header = bytes.get(8..8usize.checked_add(length)?)?;
    let at = 8 + header.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    (bytes.len() >= at + UNSEALED.len()).then_some(at)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A tensor that a model needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Its path.
    pub path: String,
    /// Its element type in this run.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// Why weights do not fit a model: every tensor that does not.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightsError {
    /// The file.
    pub file: String,
    /// Each mismatch.
    pub problems: Vec<Problem>,
}

/// One tensor that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// The model needs it.
    Missing {
        /// Its path.
        path: String,
        /// Its shape in the model.
        shape: Vec<usize>,
        /// A name in the file that may be meant.
        near: Option<String>,
    },
    /// The model has no such parameter.
    Unexpected {
        /// Its name.
        name: String,
        /// Its shape in the file.
        shape: Vec<usize>,
        /// A path of the model that may be meant.
        near: Option<String>,
    },
    /// Another shape.
    Shape {
        /// Its path.
        path: String,
        /// In the model.
        wanted: Vec<usize>,
        /// In the file.
        found: Vec<usize>,
    },
    /// Another type, or a value that this type cannot hold.
    Type {
        /// Its path.
        path: String,
        /// Why.
        reason: String,
    },
}

/// How many problems of each kind are written out.
const SHOWN: usize = 10;

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |kind: fn(&Problem) -> bool| self.problems.iter().filter(|problem| kind(problem)).count();
        let parts = [
            (count(|p| matches!(p, Problem::Missing { .. })), "missing"),
            (count(|p| matches!(p, Problem::Unexpected { .. })), "unexpected"),
            (count(|p| matches!(p, Problem::Shape { .. })), "of another shape"),
            (count(|p| matches!(p, Problem::Type { .. })), "of another type"),
        ];
        let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        write!(f, "{}: the tensors do not fit the model: {}", self.file, parts.join(", "))?;
        let mut seen = [0; 4];
        for problem in &self.problems {
            let kind = match problem {
                Problem::Missing { .. } => 0,
                Problem::Unexpected { .. } => 1,
                Problem::Shape { .. } => 2,
                Problem::Type { .. } => 3,
            };
            seen[kind] += 1;
            if seen[kind] <= SHOWN {
                write!(f, "\n  {problem}")?;
            }
        }
        let left: usize = seen.iter().map(|n| n.saturating_sub(SHOWN)).sum();
        if left > 0 { write!(f, "\n  … and {left} more") } else { Ok(()) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing { path, shape, near } => {
                write!(f, "missing     {path} {shape:?}")?;
                near.as_ref().map_or(Ok(()), |near| write!(f, "   (the file has `{near}`)"))
            }
            Problem::Unexpected { name, shape, near } => {
                write!(f, "unexpected  {name} {shape:?}")?;
                near.as_ref().map_or(Ok(()), |near| write!(f, "   (the model has `{near}`)"))
            }
            Problem::Shape { path, wanted, found } => {
                write!(f, "shape       {path}: the file has {found:?}, the model wants {wanted:?}")?;
                let turned = wanted.iter().rev().eq(found.iter());
                if turned && wanted != found {
                    write!(f, "   (transposed? linear weights are [out, in])")
                } else {
                    Ok(())
                }
            }
            Problem::Type { path, reason } => write!(f, "type        {path}: {reason}"),
        }
    }
}

impl std::error::Error for WeightsError {}

/// The tensors that a model needs, in its order, out of what a file holds; nothing may be left over or missing.
///
/// A prefix that a framework put before every name (`model.`, `module.`) is taken off; a matrix that the model has and the
/// file holds under one more name (tied weights) is read once; floats change their width. All that is noted.
pub fn match_weights(expected: &[Expected], mut found: Weights) -> Result<(Vec<Tensor>, Vec<String>), WeightsError> {
    let mut notes = std::mem::take(&mut found.notes);
    let file = found.file.clone();
    let fitting = |strip: &str| {
        let stripped = |path: &str| found.tensors.contains_key(&format!("{strip}{path}"));
        expected.iter().filter(|want| stripped(&want.path)).count()
    };
    // One, or two of them: `module.model.`.
    let pairs = PREFIXES.iter().flat_map(|outer| PREFIXES.iter().map(move |inner| format!("{outer}{inner}")));
    let prefixes: Vec<String> = PREFIXES.iter().map(|prefix| prefix.to_string()).chain(pairs).collect();
    let usual = |prefix: &&String| found.tensors.keys().all(|name| name.starts_with(prefix.as_str()));
    if let Some(prefix) = prefixes.iter().filter(usual).find(|prefix| fitting(prefix) > fitting("")) {
        notes.push(format!("{file}: the prefix `{prefix}` was taken off every name"));
        let stripped = found.tensors.drain(..).map(|(name, tensor)| (name[prefix.len()..].to_string(), tensor));
        found.tensors = stripped.collect();
    }

    let (mut matched, mut problems) = (vec![], vec![]);
    for want in expected {
        let Some(tensor) = found.tensors.shift_remove(&want.path) else {
            problems.push(Problem::Missing { path: want.path.clone(), shape: want.shape.clone(), near: None });
            continue;
        };
        if tensor.shape() != want.shape {
            let (wanted, found) = (want.shape.clone(), tensor.shape().to_vec());
            problems.push(Problem::Shape { path: want.path.clone(), wanted, found });
            continue;
        }
        match convert(tensor, want.dtype, &file, &want.path, &mut notes) {
            Ok(tensor) => matched.push(tensor),
            Err(error) => problems.push(Problem::Type { path: want.path.clone(), reason: error.reason }),
        }
    }
    // A tied tensor stands in a file once, or under each of its names.
    let same = |tensor: &Tensor| {
        let own = |(want, own): (&Expected, &Tensor)| {
            let tensor = convert(tensor.clone(), want.dtype, &file, &want.path, &mut vec![]).ok()?;
            (tensor == *own).then(|| want.path.clone())
        };
        let fits = |want: &&Expected| want.shape == tensor.shape();
        expected.iter().zip(&matched).filter(|(want, _)| fits(want)).find_map(own)
    };
    // Tensors of one number are equal by chance.
    let large = |tensor: &Tensor| tensor.shape().len() > 1 && tensor.len() > 1;
    let aliases: Vec<(String, String)> = match matched.len() == expected.len() {
        true => found
            .tensors
            .iter()
            .filter(|(_, tensor)| large(tensor))
            .filter_map(|(name, tensor)| Some((name.clone(), same(tensor)?)))
            .collect(),
        false => vec![],
    };
    for (name, path) in aliases {
        notes.push(format!("{file}: `{name}` is another name of `{path}`, with the same numbers"));
        found.tensors.shift_remove(&name);
    }
    // Near names are sought among what is left on the other side.
    let missing: Vec<String> = problems
        .iter()
        .filter_map(|problem| if let Problem::Missing { path, .. } = problem { Some(path.clone()) } else { None })
        .collect();
    let left: Vec<&str> = found.tensors.keys().map(String::as_str).take(1000).collect();
    for (i, problem) in problems.iter_mut().enumerate().take(1000) {
        if let Problem::Missing { path, near, shape } = problem
            && i < SHOWN
        {
            let alone = || {
                let mut same = found.tensors.iter().filter(|(_, tensor)| tensor.shape() == shape.as_slice());
                same.next().filter(|_| same.next().is_none()).map(|(name, _)| name.as_str())
            };
            *near = nearest(path, left.iter().copied()).or_else(alone).map(String::from);
        }
    }
    for (name, tensor) in &found.tensors {
        let near = nearest(name, missing.iter().map(String::as_str).take(1000)).map(String::from);
        problems.push(Problem::Unexpected { name: name.clone(), shape: tensor.shape().to_vec(), near });
    }
    if problems.is_empty() { Ok((matched, notes)) } else { Err(WeightsError { file, problems }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::memory::Memory;
    use ndarray::array;

    fn weights() -> [(&'static str, Tensor); 3] {
        [
            ("head.weight", Tensor::F32(array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]].into_dyn())),
            ("head.bias", Tensor::F32(array![0.5, -0.5, 1.5].into_dyn())),
            ("n.num_batches_tracked", Tensor::I64(ndarray::arr0(3).into_dyn())),
        ]
    }

    fn about() -> About {
        About {
            program: Some("abcd".into()),
            step: Some(7),
            seed: Some(3),
            loss: Some(0.1),
            vocabulary: vec!["a".into(), "\"".into()],
            more: Metadata::from([("note".into(), "ours".into())]),
        }
    }

    fn bytes() -> Vec<u8> {
        let weights = weights();
        encode(&weights.each_ref().map(|(name, tensor)| (*name, tensor)), &about())
    }

    fn expected() -> Vec<Expected> {
        let of = |(path, t): (&str, Tensor)| Expected { path: path.into(), dtype: t.dtype(), shape: t.shape().into() };
        weights().into_iter().map(of).collect()
    }

    fn matched(tensors: Vec<(&str, Tensor)>) -> Result<(Vec<Tensor>, Vec<String>), String> {
        let tensors = tensors.into_iter().map(|(name, tensor)| (name.to_string(), tensor)).collect();
        let found = Weights { file: "w.safetensors".into(), tensors, about: About::default(), notes: vec![] };
        match_weights(&expected(), found).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let files = Memory::default();
        let weights = weights();
        let named = weights.each_ref().map(|(name, tensor)| (*name, tensor));
        save(&files, "run/model.safetensors", &named, &about()).expect("written");
        let loaded = load(&files, "run/model.safetensors").expect("whole");
        assert_eq!(loaded.about, about());
        assert_eq!(bytes(), bytes(), "the same bytes each time");
        let (tensors, notes) = match_weights(&expected(), loaded).expect("they fit");
        assert_eq!(tensors, weights.map(|(_, tensor)| tensor));
        assert!(notes.is_empty());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let whole = bytes();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                let said = decode(&damaged, "w.safetensors").expect_err("a flipped bit").to_string();
                assert!(said.contains("w.safetensors"), "byte {at}, bit {bit}: {said}");
            }
        }
        for cut in 0..whole.len() {
            assert!(decode(&whole[..cut], "w.safetensors").is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn weights_of_others_have_no_hash() {
        let tensor = Tensor::F32(array![1.0].into_dyn());
        let plain = tensors::write(&[("w", &tensor)], &Metadata::from([("format".into(), "pt".into())]));
        assert_eq!(decode(&plain, "w").expect("no seal").tensors["w"], tensor);
    }

    #[test]
    fn every_misfit_is_listed_with_the_nearest_name() {
        let [weight, bias, state] = weights();
        let said = matched(vec![bias.clone(), state.clone(), ("heads.weight", weight.1.clone())]).expect_err("a typo");
        assert!(said.contains("1 missing, 1 unexpected"), "{said}");
        assert!(said.contains("missing     head.weight [3, 2]   (the file has `heads.weight`)"), "{said}");
        assert!(said.contains("unexpected  heads.weight [3, 2]   (the model has `head.weight`)"), "{said}");
        let turned = Tensor::F32(array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].into_dyn());
        let said = matched(vec![("head.weight", turned), bias.clone(), state.clone()]).expect_err("transposed");
        assert!(said.contains("the file has [2, 3], the model wants [3, 2]   (transposed?"), "{said}");
        let said =
            matched(vec![weight, ("head.bias", Tensor::I64(array![1, 2, 3].into_dyn())), state]).expect_err("i64");
        assert!(said.contains("`head.bias` holds i64"), "{said}");
        let many = (0..40).map(|i| (Box::leak(format!("x{i}").into_boxed_str()) as &str, bias.1.clone())).collect();
        let said = matched(many).expect_err("strangers");
        assert!(said.contains("3 missing, 40 unexpected") && said.ends_with("… and 30 more"), "{said}");
    }

    #[test]
    fn prefixes_and_widths_are_noted() {
        let [weight, bias, state] = weights();
        let Tensor::F32(wide) = &weight.1 else { panic!("f32") };
        let wide = Tensor::F64(wide.mapv(f64::from));
        let found =
            vec![("model.head.weight", wide), ("model.head.bias", bias.1), ("model.n.num_batches_tracked", state.1)];
        let (tensors, notes) = matched(found).expect("they fit");
        assert_eq!(tensors[0], weight.1);
        assert!(notes[0].contains("`model.`") && notes[1].contains("narrowed"), "{notes:?}");
    }

    #[test]
    fn tied_weights_are_read_once_and_strangers_are_not_taken_for_them() {
        let [weight, bias, state] = weights();
        let alias = ("lm_head.weight", weight.1.clone());
        let (_, notes) = matched(vec![weight.clone(), alias, bias.clone(), state.clone()]).expect("an alias");
        assert!(notes[0].contains("`lm_head.weight` is another name of `head.weight`"), "{notes:?}");
        let other = Tensor::F32(array![[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]].into_dyn());
        let said =
            matched(vec![weight.clone(), ("lm_head.weight", other), bias.clone(), state.clone()]).expect_err("other");
        assert!(said.contains("1 unexpected"), "{said}");
        // One vector more is no tied matrix, whatever it holds.
        let said = matched(vec![weight.clone(), ("b", bias.1.clone()), bias.clone(), state.clone()]).expect_err("b");
        assert!(said.contains("unexpected  b [3]"), "{said}");
        // Only the other name: by its shape it may be meant.
        let said = matched(vec![("out_of_reach", weight.1), bias, state]).expect_err("missing");
        assert!(said.contains("missing     head.weight [3, 2]   (the file has `out_of_reach`)"), "{said}");
    }

    #[test]
    fn two_prefixes_are_taken_off() {
        let named = weights().map(|(name, tensor)| (format!("module.model.{name}"), tensor));
        let found = named.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
        let (_, notes) = matched(found).expect("they fit");
        assert!(notes[0].contains("`module.model.`"), "{notes:?}");
    }
}
