//! The sources that a train section can name, and the files that `--data` and `--input` take.

use super::npz::Npz;
use super::room::{no_room, room};
use super::tensors::TensorFile;
use super::{DataError, Dataset, FILE_LIMIT, Port, SourceDef, csv_file, digits, find_source, idx, npy, text_file};
use crate::ir::attr::{Attr, AttrDef, AttrDefault, AttrKind, Attrs};
use crate::ir::training::{Call, Valid};
use crate::tensor::{DType, Tensor};
use crate::text::{Files, Span};

/// All of them.
pub static SOURCES: &[&SourceDef] = &[&DIGITS, &CSV, &NPY, &NPZ, &SAFETENSORS, &IDX, &TEXT];

const TEXT_KIND: &[AttrKind] = &[AttrKind::Text];

static DIGITS: SourceDef = SourceDef {
    name: "digits",
    doc: "scikit-learn's 1,797 handwritten digits, 8x8 pixels as 0 to 1, ten classes: it ships with the program. The \
          input is f32[batch, 64], [batch, 8, 8] or [batch, 1, 8, 8]. A fifth of each class is its own validation set.",
    attrs: &[],
};

static CSV: SourceDef = SourceDef {
    name: "csv",
    doc: "A table with a header. Columns named like a target are it (y.0, y.1, … where it has several numbers a row); \
          the others, in order, are the only input. Labels may be words: they are numbered alphabetically.",
    attrs: &[
        AttrDef::required("path", TEXT_KIND, "the file, from the model's folder"),
        AttrDef::new("label", TEXT_KIND, AttrDefault::None, "the column of the target, if it has another name").named(),
    ],
};

static NPY: SourceDef = SourceDef {
    name: "npy",
    doc: "A folder of arrays of numpy.save, one for each input and target: x.npy, y.npy; the first axis is the sample.",
    attrs: &[AttrDef::required("folder", TEXT_KIND, "the folder, from the model's own")],
};

static NPZ: SourceDef = SourceDef {
    name: "npz",
    doc: "Arrays of numpy.savez, matched to inputs and targets by name; the first axis is the sample.",
    attrs: &[AttrDef::required("path", TEXT_KIND, "the file, from the model's folder")],
};

static SAFETENSORS: SourceDef = SourceDef {
    name: "safetensors",
    doc: "Tensors matched to inputs and targets by name; the first axis is the sample.",
    attrs: &[AttrDef::required("path", TEXT_KIND, "the file, from the model's folder")],
};

static IDX: SourceDef = SourceDef {
    name: "idx",
    doc: "MNIST's format, plain or gzipped: images of bytes as 0 to 1, and labels. The input may have the images' shape, \
          or be flat, or have one channel.",
    attrs: &[
        AttrDef::required("images", TEXT_KIND, "the file of images, from the model's folder"),
        AttrDef::required("labels", TEXT_KIND, "the file of labels"),
        AttrDef::new("scale", &[AttrKind::Bool], AttrDefault::Bool(true), "false: pixels as 0 to 255").named(),
    ],
};

static TEXT: SourceDef = SourceDef {
    name: "text",
    doc: "A text as windows of token ids, one after the other; the sequence's length is a dim bound in the train \
          section. Derive the target: `target y = tokens |> next`.",
    attrs: &[
        AttrDef::required("path", TEXT_KIND, "the file, from the model's folder"),
        AttrDef::new("unit", &[AttrKind::Choice(&["char", "byte"])], AttrDefault::Str("char"), "what a token is")
            .named(),
    ],
};

/// What was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The rows to train on.
    pub train: Dataset,
    /// The rows to validate on, if any are held out.
    pub valid: Option<Dataset>,
    /// What was converted or numbered on the way, a sentence each.
    pub notes: Vec<String>,
}

/// Loads a source for a model's inputs and targets.
///
/// Paths are relative to the folder `base` (the model's; empty: where the program runs). A share for validation is drawn
/// independently of the run's seed, so that `eval` and every seed see the same split. `known`: what the ids of a text or
/// the numbers of words stand for already (a checkpoint says so); none: as the training rows have it.
pub fn load(
    source: &Call,
    valid: Option<&Valid>,
    inputs: &[Port],
    targets: &[Port],
    base: &str,
    files: &dyn Files,
    known: &[String],
) -> Result<Loaded, DataError> {
    let mut notes = vec![];
    let read = |source: &Call, known: &[String], notes: &mut Vec<String>| {
        read(&At { source, base, files, known }, inputs, targets, notes)
    };
    let all = read(source, known, &mut notes)?;
    let (train, valid) = match valid {
        Some(Valid::Fraction(share)) => {
            let (train, valid) = all.hold_out(*share, 0)?;
            (train, Some(valid))
        }
        Some(Valid::Source(source)) => {
            let valid = read(source, &all.vocabulary, &mut notes)?;
            if valid.vocabulary != all.vocabulary {
                let error = DataError::new(
                    "data::label",
                    &valid.file,
                    "has words where the training data have numbers, or the reverse",
                );
                return Err(error.help("number the labels in the files, or hold a share out: `valid 0.2`"));
            }
            (all, Some(valid))
        }
        None if source.name == DIGITS.name => {
            let (train, held) = digits::split()?;
            (all.subset(&train), Some(all.subset(&held)))
        }
        None => (all, None),
    };
    Ok(Loaded { train, valid, notes })
}

/// Which source, and from where.
struct At<'a> {
    source: &'a Call,
    base: &'a str,
    files: &'a dyn Files,
    known: &'a [String],
}

/// All rows of a source.
fn read(at: &At<'_>, inputs: &[Port], targets: &[Port], notes: &mut Vec<String>) -> Result<Dataset, DataError> {
    let &At { source, base, files, known } = at;
    let path = |name: &str| beside(base, source.attrs.str(name).unwrap_or(""));
    let open = |path: &str| {
        files.read(path, FILE_LIMIT).map_err(|error| {
            let from = match base {
                "" => "the folder where the program was started".to_string(),
                base => format!("the model's folder, {base}"),
            };
            DataError::from(error).help(format!("the path is read from {from}"))
        })
    };
    match source.name.as_str() {
        "digits" => digits::all(inputs, targets),
        "csv" => {
            let file = path("path");
            csv_file::read(&open(&file)?, &file, inputs, targets, source.attrs.str("label"), known, notes)
        }
        "npy" => {
            let folder = path("folder");
            let folder = folder.trim_end_matches('/');
            by_name(folder, inputs, targets, notes, |name, notes| {
                let file = format!("{folder}/{name}.npy");
                npy::read(&open(&file)?, &file, notes)
            })
        }
        "npz" => {
            let file = path("path");
            let bytes = open(&file)?;
            let mut archive = Npz::open(&bytes, &file)?;
            // Shapes are compared before anything is unpacked: a small archive may hold a large array.
            let missing = |name: &str| !archive.names().contains(&name);
            let all: Vec<&Port> = inputs.iter().chain(targets).collect();
            if let Some(port) = all.iter().find(|port| missing(&port.name)) {
                archive.read(&port.name, notes)?;
            }
            let shapes: Vec<Option<Vec<usize>>> = all.iter().map(|port| archive.shape(&port.name)).collect();
            Dataset::fits(&file, &all, &shapes)?;
            by_name(&file, inputs, targets, notes, |name, notes| archive.read(name, notes))
        }
        "safetensors" => {
            let file = path("path");
            let bytes = open(&file)?;
            let tensors = TensorFile::open(&bytes, &file)?;
            by_name(&file, inputs, targets, notes, |name, notes| tensors.read(name, notes))
        }
        "idx" => {
            let (images, labels) = (path("images"), path("labels"));
            let pixels = idx::read(&open(&images)?, &images)?;
            let (digits, _) = idx::read(&open(&labels)?, &labels)?;
            if let [target] = targets {
                // The labels alone, so that what is wrong with them is said of their file.
                Dataset::new(&labels, &[target], vec![digits.clone()], vec![], notes)?;
            }
            images_and_labels(&images, pixels, digits, source.attrs.flag("scale"), inputs, targets, notes)
        }
        "text" => {
            let file = path("path");
            text_file::read(
                &open(&file)?,
                &file,
                source.attrs.str("unit").unwrap_or("char"),
                inputs,
                targets,
                known,
                notes,
            )
        }
        other => {
            let names: Vec<&str> = SOURCES.iter().map(|def| def.name).collect();
            let error = DataError::new("data::source", other, "no such source of data");
            Err(error.help(super::near_or_all(other, &names)))
        }
    }
}

/// Each input and target from the array of its name.
fn by_name(
    file: &str,
    inputs: &[Port],
    targets: &[Port],
    notes: &mut Vec<String>,
    mut get: impl FnMut(&str, &mut Vec<String>) -> Result<Tensor, DataError>,
) -> Result<Dataset, DataError> {
    let ports: Vec<&Port> = inputs.iter().chain(targets).collect();
    let mut found = vec![];
    for port in &ports {
        found.push(get(&port.name, notes)?);
    }
    Dataset::new(file, &ports, found, vec![], notes)
}

/// Images of bytes, scaled and brought into the input's shape, and their labels.
fn images_and_labels(
    file: &str,
    (pixels, bytes): (Tensor, bool),
    labels: Tensor,
    scale: bool,
    inputs: &[Port],
    targets: &[Port],
    notes: &mut Vec<String>,
) -> Result<Dataset, DataError> {
    let bad = |reason: String| DataError::new("data::shape", file, reason);
    let ([input], [target]) = (inputs, targets) else {
        let (inputs, targets) = (inputs.len(), targets.len());
        return Err(bad(format!("has one input and one target, the model wants {inputs} and {targets}")));
    };
    if scale && !bytes && matches!(pixels, Tensor::I64(_)) && input.dtype.is_float() {
        let error = bad("holds integers that are no bytes: they cannot be brought to 0 … 1".into());
        return Err(error.help("idx(…, scale = false) takes them as they are"));
    }
    if !room(8 * pixels.len()) {
        return Err(no_room(file, 8 * pixels.len()));
    }
    let pixels = match (pixels, input.dtype) {
        (Tensor::I64(a), DType::F32) if scale => Tensor::F32(a.mapv(|v| v as f32 / 255.0)),
        (Tensor::I64(a), DType::F64) if scale => Tensor::F64(a.mapv(|v| v as f64 / 255.0)),
        (Tensor::I64(a), DType::F32) => Tensor::F32(a.mapv(|v| v as f32)),
        (Tensor::I64(a), DType::F64) => Tensor::F64(a.mapv(|v| v as f64)),
        (other, _) => other,
    };
    // An image may be wanted flat, or with a channel: the same pixels in the same order.
    let shape = pixels.shape().to_vec();
    let pixels = match image_shape(&shape, &input.axes) {
        Some(wanted) => {
            let reshaped = match pixels {
                Tensor::F32(a) => a.into_shape_with_order(wanted).map(Tensor::F32),
                Tensor::F64(a) => a.into_shape_with_order(wanted).map(Tensor::F64),
                Tensor::I64(a) => a.into_shape_with_order(wanted).map(Tensor::I64),
                Tensor::Bool(a) => a.into_shape_with_order(wanted).map(Tensor::Bool),
            };
            reshaped.map_err(|error| bad(error.to_string()))?
        }
        _ => pixels,
    };
    Dataset::new(file, &[input, target], vec![pixels, labels], vec![], notes)
}

/// The shape of images as the input wants it: flat, or with one channel before or behind; none where it is another.
fn image_shape(shape: &[usize], axes: &[Option<usize>]) -> Option<Vec<usize>> {
    let (rows, image) = shape.split_first()?;
    let fits = |axes: &[Option<usize>]| {
        axes.len() == image.len() && axes.iter().zip(image).all(|(want, size)| want.is_none_or(|want| want == *size))
    };
    let with = |before: &[usize], behind: &[usize]| Some([&[*rows], before, image, behind].concat());
    match axes {
        [flat] if image.len() > 1 => {
            let all: usize = image.iter().product();
            flat.is_none_or(|flat| flat == all).then(|| vec![*rows, all])
        }
        [Some(1), rest @ ..] if fits(rest) => with(&[1], &[]),
        [rest @ .., Some(1)] if fits(rest) => with(&[], &[1]),
        _ => None,
    }
}

/// The source that reads a file, from its ending: what `--data PATH` means.
pub fn source_of_path(path: &str) -> Result<Call, DataError> {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let name = match ending.as_str() {
        "csv" => "csv",
        "npz" => "npz",
        "safetensors" => "safetensors",
        "txt" | "text" => "text",
        _ if path == "digits" => "digits",
        _ if path.ends_with('/') => "npy",
        _ => {
            let error = DataError::new("data::source", path, "what kind of data this is cannot be told from its name");
            return Err(error.help(match ending.as_str() {
                "npy" => {
                    "--data takes a folder/ that holds an .npy of each input and target, named like it: x.npy, y.npy"
                }
                "gz" | "idx" => {
                    "images and labels are two files: `data idx(\"IMAGES\", \"LABELS\")` in the train section"
                }
                _ => "--data takes .csv, .npz, .safetensors, .txt, a folder/ of .npy, or the word digits",
            }));
        }
    };
    let def = find_source(name).expect("the names above stand in the list");
    let given = [(def.attrs.first().map_or("", |attr| attr.name), Attr::Str(path.into()))];
    let attrs = Attrs::with(def.attrs, if def.attrs.is_empty() { &[] } else { &given });
    Ok(Call { name: name.into(), attrs, span: Span::default() })
}

/// One array: `x.npy`, `d.npz:x`, `d.safetensors:x`, where the name may be left out if there is only one, or the numbers of
/// a table, `rows.csv`.
pub fn read_tensor(spec: &str, files: &dyn Files, notes: &mut Vec<String>) -> Result<Tensor, DataError> {
    let keyed = |ending: &str| {
        let at = spec.rfind(ending)?;
        let (path, rest) = spec.split_at(at + ending.len());
        match rest.strip_prefix(':') {
            Some(key) => Some((path, Some(key))),
            None if rest.is_empty() => Some((path, None)),
            None => None,
        }
    };
    let only = |path: &str, names: Vec<&str>| match names[..] {
        [only] => Ok(only.to_string()),
        _ => {
            let error = DataError::new("data::name", path, format!("holds {} arrays", names.len()));
            Err(error.help(format!("say which: {path}:NAME; {}", super::near_or_all("", &names))))
        }
    };
    if let Some((path, key)) = keyed(".npz") {
        let bytes = files.read(path, FILE_LIMIT)?;
        let mut archive = Npz::open(&bytes, path)?;
        let name = key.map_or_else(|| only(path, archive.names()), |key| Ok(key.into()))?;
        return archive.read(&name, notes);
    }
    if let Some((path, key)) = keyed(".safetensors") {
        let bytes = files.read(path, FILE_LIMIT)?;
        let tensors = TensorFile::open(&bytes, path)?;
        let name = key.map_or_else(|| only(path, tensors.names()), |key| Ok(key.into()))?;
        return tensors.read(&name, notes);
    }
    if spec.ends_with(".npy") {
        return npy::read(&files.read(spec, FILE_LIMIT)?, spec, notes);
    }
    if spec.ends_with(".csv") {
        return csv_file::numbers_of(&files.read(spec, FILE_LIMIT)?, spec, notes);
    }
    let error = DataError::new("data::source", spec, "neither an array's file nor numbers");
    let numbers = |part: &str| part.trim().parse::<f64>().is_ok();
    if spec.split([',', ' ', ';']).filter(|part| !part.is_empty()).all(numbers) {
        let row = spec.split([',', ' ', ';']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>();
        return Err(
            error.help(format!("numbers stand in brackets, a row in a list of its own: '[[{}]]'", row.join(", ")))
        );
    }
    let word = spec.split('[').next().unwrap_or("");
    let makers = ["normal", "ones", "zeros", "range"];
    if let Some(meant) =
        makers.iter().find(|maker| strsim::damerau_levenshtein(maker, word) <= 2 && !spec.contains('.'))
    {
        return Err(error.help(format!("did you mean {}?", spec.replacen(word, meant, 1))));
    }
    Err(error
        .help("give FILE.npy, FILE.npz:NAME, FILE.safetensors:NAME, FILE.csv, '[[1, 2, 3]]', normal[2,3], ones, zeros or range"))
}

/// A path from a folder: an absolute one stays, and so does everything where the folder is empty.
fn beside(base: &str, path: &str) -> String {
    if base.is_empty() || path.starts_with('/') {
        path.into()
    } else {
        format!("{}/{path}", base.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tensors::{self, Metadata};
    use crate::text::memory::Memory;

    fn ports() -> ([Port; 1], [Port; 1]) {
        let x = Port { name: "x".into(), dtype: DType::F32, axes: vec![Some(2)], below: None, ignored: None };
        ([x], [Port { name: "y".into(), dtype: DType::I64, axes: vec![], below: Some(3), ignored: None }])
    }

    fn call(name: &str, given: &[(&str, Attr)]) -> Call {
        let def = find_source(name).expect("a source");
        Call { name: name.into(), attrs: Attrs::with(def.attrs, given), span: Span::default() }
    }

    #[test]
    fn every_source_has_a_manual() {
        for def in SOURCES {
            assert!(def.doc.len() > 40 && def.attrs.iter().all(|attr| !attr.doc.is_empty()), "{}", def.name);
        }
    }

    #[test]
    fn digits_have_their_own_fifth() {
        let (mut x, y) = (ports().0, [Port { below: Some(10), ..ports().1[0].clone() }]);
        x[0].axes = vec![Some(64)];
        let loaded = load(&call("digits", &[]), None, &x, &y, "", &Memory::default(), &[]).expect("embedded");
        assert_eq!((loaded.train.rows, loaded.valid.map(|set| set.rows)), (1442, Some(355)));
        let share = Valid::Fraction(0.5);
        let loaded = load(&call("digits", &[]), Some(&share), &x, &y, "", &Memory::default(), &[]).expect("embedded");
        assert_eq!((loaded.train.rows, loaded.valid.map(|set| set.rows)), (898, Some(899)));
    }

    #[test]
    fn arrays_by_name_from_the_models_folder() {
        let (x, y) = ports();
        let files = Memory::default();
        let (a, b) = (Tensor::F64(ndarray::array![[1.0, 2.0]].into_dyn()), Tensor::I64(ndarray::array![2].into_dyn()));
        files.put("models/d.safetensors", &tensors::write(&[("x", &a), ("y", &b)], &Metadata::new()));
        let source = call("safetensors", &[("path", Attr::Str("d.safetensors".into()))]);
        let loaded = load(&source, None, &x, &y, "models", &files, &[]).expect("both arrays");
        assert_eq!(loaded.train.columns[0].1, Tensor::F32(ndarray::array![[1.0, 2.0]].into_dyn()));
        assert!(loaded.notes[0].contains("narrowed"), "{:?}", loaded.notes);
        let z = [Port { name: "z".into(), ..x[0].clone() }];
        let said = load(&source, None, &z, &y, "models", &files, &[]).expect_err("no z").to_string();
        assert!(said.contains("models/d.safetensors: holds no tensor `z`"), "{said}");
        let said = load(&source, None, &x, &y, "elsewhere", &files, &[]).expect_err("no file").to_string();
        assert!(said.contains("elsewhere/d.safetensors"), "{said}");
    }

    #[test]
    fn images_may_be_flat() {
        let files = Memory::default();
        files.put("i", &[&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[0, 255, 51, 0]].concat());
        files.put("l", &[0, 0, 8, 1, 0, 0, 0, 2, 2, 0]);
        let (x, y) = ports();
        let source = |scale| {
            let given =
                [("images", Attr::Str("i".into())), ("labels", Attr::Str("l".into())), ("scale", Attr::Bool(scale))];
            call("idx", &given)
        };
        let loaded = load(&source(true), None, &x, &y, "", &files, &[]).expect("two images");
        assert_eq!(loaded.train.columns[0].1, Tensor::F32(ndarray::array![[0.0, 1.0], [0.2, 0.0]].into_dyn()));
        let loaded = load(&source(false), None, &x, &y, "", &files, &[]).expect("two images");
        assert_eq!(loaded.train.columns[0].1, Tensor::F32(ndarray::array![[0.0, 255.0], [51.0, 0.0]].into_dyn()));
    }

    #[test]
    fn paths_say_what_they_are() {
        assert_eq!(source_of_path("a/b.csv").expect("a table").name, "csv");
        assert_eq!(source_of_path("digits").expect("the digits").name, "digits");
        assert!(source_of_path("b.parquet").expect_err("unknown").to_string().contains(".csv, .npz"));
        let files = Memory::default();
        let (a, b) = (Tensor::Bool(ndarray::array![true].into_dyn()), Tensor::I64(ndarray::array![2].into_dyn()));
        files.put("w.safetensors", &tensors::write(&[("a.b", &a), ("c", &b)], &Metadata::new()));
        files.put("one.safetensors", &tensors::write(&[("c", &b)], &Metadata::new()));
        assert_eq!(read_tensor("w.safetensors:a.b", &files, &mut vec![]), Ok(a));
        assert_eq!(read_tensor("one.safetensors", &files, &mut vec![]), Ok(b));
        for (spec, word) in [
            ("w.safetensors", "holds 2 arrays"),
            ("w.safetensors:d", "holds no tensor `d`"),
            ("none.npy", "none.npy"),
            ("x.txt", "'[[1, 2, 3]]'"),
        ] {
            let said = read_tensor(spec, &files, &mut vec![]).expect_err(word).to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
