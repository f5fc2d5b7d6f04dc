//! What must hold of any file of data, of weights, or of a run's folder. The targets feed bytes that a fuzzer finds;
//! `tests/promises/readers.rs` runs the same laws on damaged files, so that they are tried wherever the tests are.
//!
//! Behind a checksum no mutation goes far. So a first byte that no such file has says that the rest stands inside a
//! sound wrapping: as an array of an archive, gzipped, or under a hash that is made to fit.

use sha2::{Digest, Sha256};
use std::io::{Cursor, Write};
use std::sync::LazyLock;
use wythe::data::{DataError, Loaded, Port, find_source, load, source_of_path};
use wythe::elaborate::Request;
use wythe::export::weights;
use wythe::ir::attr::{Attr, Attrs};
use wythe::ir::training::{Call, Training};
use wythe::pipeline::check;
use wythe::tensor::{DType, Tensor};
use wythe::text::memory::Memory;
use wythe::text::{Source, Span};
use wythe::train::fit::{Options, Trainer};
use wythe::train::history::History;
use wythe::train::metrics::Log;

// ------------------------------------------------------------------------------------------------------ files as they are

/// `.npy` of this type, shape and these bytes.
pub fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    npy_of(&format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"), data)
}

/// The same with any header.
pub fn npy_of(header: &str, data: &[u8]) -> Vec<u8> {
    let mut header = header.to_string();
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// A zip of these entries.
pub fn archive_of(entries: &[(&str, Vec<u8>)], packed: bool) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    let method = if packed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    for (name, bytes) in entries {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("an entry");
        writer.write_all(bytes).expect("its bytes");
    }
    writer.finish().expect("a directory").into_inner()
}

/// The same bytes, gzipped.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    packed.write_all(bytes).expect("into memory");
    packed.finish().expect("into memory")
}

/// Numbers as they lie in a file.
pub fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The same.
pub fn i64s(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Six rows of two numbers, and their labels.
pub const X: [f32; 12] = [0.5, -1.0, 1.5, 2.0, 0.0, 0.25, 3.0, -0.75, 8.0, 0.125, -2.5, 1.0];
/// Of three classes.
pub const Y: [i64; 6] = [0, 2, 1, 1, 0, 2];

/// The rows as an array.
pub fn x() -> Vec<u8> {
    npy("<f4", false, "(6, 2)", &f32s(&X))
}

/// The labels as an array.
pub fn y() -> Vec<u8> {
    npy("<i8", false, "(6,)", &i64s(&Y))
}

/// A safetensors file of this header.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// Rows and labels.
pub const HEADER: &str = "{\"x\":{\"dtype\":\"F32\",\"shape\":[6,2],\"data_offsets\":[0,48]},\
                          \"y\":{\"dtype\":\"I64\",\"shape\":[6],\"data_offsets\":[48,96]}}";

/// Rows and labels as tensors.
pub fn tensors() -> Vec<u8> {
    safetensors(HEADER, &[f32s(&X), i64s(&Y)].concat())
}

/// Rows and labels as a table.
pub fn csv() -> String {
    let rows = X.chunks(2).zip(Y).map(|(x, y)| format!("{},{y},\"{}\"\n", x[0], x[1]));
    format!("a,y,b\n{}", rows.collect::<String>())
}

/// Six images of one row and two pixels.
pub fn images() -> Vec<u8> {
    [&[0, 0, 8, 3, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2][..], &[0, 255, 51, 3, 4, 5, 6, 7, 8, 9, 10, 11]].concat()
}

/// Their labels.
pub fn labels() -> Vec<u8> {
    [&[0, 0, 8, 1, 0, 0, 0, 6][..], &Y.map(|y| y as u8)].concat()
}

/// A text.
pub const TEXT: &str = "the quick brown fox\njumps over the lazy dög";

/// The files as they should be, each by the name of its reader.
pub fn whole() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("d.csv", csv().into_bytes()),
        ("n/x.npy", x()),
        ("d.npz", archive_of(&[("x.npy", x()), ("y.npy", y())], true)),
        ("d.npz", archive_of(&[("y.npy", y()), ("x.npy", x())], false)),
        ("d.safetensors", tensors()),
        ("i.idx", images()),
        ("i.idx", gzip(&images())),
        ("l.idx", labels()),
        ("l.idx", gzip(&labels())),
        ("t.txt", TEXT.into()),
    ]
}

// ------------------------------------------------------------------------------------------------------ and who reads them

/// A model's input and target, as the data must fill them.
pub fn ports() -> ([Port; 1], [Port; 1]) {
    let x = Port { name: "x".into(), dtype: DType::F32, axes: vec![Some(2)], below: None, ignored: None };
    ([x], [Port { name: "y".into(), dtype: DType::I64, axes: vec![], below: Some(3), ignored: None }])
}

fn tokens() -> [Port; 1] {
    [Port { name: "tokens".into(), dtype: DType::I64, axes: vec![Some(4)], below: Some(256), ignored: None }]
}

/// A call of a source.
pub fn source(name: &str, given: &[(&str, Attr)]) -> Call {
    let def = find_source(name).expect("a source");
    Call { name: name.into(), attrs: Attrs::with(def.attrs, given), span: Span::default() }
}

/// Images and labels.
pub fn idx_source(scale: bool) -> Call {
    let text = |text: &str| Attr::Str(text.into());
    source("idx", &[("images", text("i.idx")), ("labels", text("l.idx")), ("scale", Attr::Bool(scale))])
}

/// Loads a file under its name; `b.txt` is a text of bytes.
pub fn read(path: &str, bytes: &[u8]) -> Result<Loaded, DataError> {
    let (x, y) = ports();
    let files = Memory::with(path, bytes);
    let known = |path: &str| source_of_path(path).expect("known by its ending");
    match path {
        "i.idx" => {
            files.put("l.idx", labels());
            load(&idx_source(true), None, &x, &y, "", &files, &[])
        }
        "l.idx" => {
            files.put("i.idx", images());
            load(&idx_source(true), None, &x, &y, "", &files, &[])
        }
        "n/x.npy" => {
            files.put("n/y.npy", self::y());
            load(&known("n/"), None, &x, &y, "", &files, &[])
        }
        "t.txt" => load(&known(path), None, &tokens(), &[], "", &files, &[]),
        "b.txt" => {
            let given = [("path", Attr::Str(path.into())), ("unit", Attr::Str("byte".into()))];
            load(&source("text", &given), None, &tokens(), &[], "", &files, &[])
        }
        _ => load(&known(path), None, &x, &y, "", &files, &[]),
    }
}

// ------------------------------------------------------------------------------------------------------------------- laws

/// A file is refused with its name, a reason and a way out; or what was read has the shape, the type and the ranges that
/// the model wants.
pub fn holds(path: &str, bytes: &[u8]) -> Option<Loaded> {
    match read(path, bytes) {
        Err(error) => {
            said(&error);
            None
        }
        Ok(loaded) => {
            fits(&loaded);
            Some(loaded)
        }
    }
}

fn said(error: &DataError) {
    let text = error.to_string();
    let code = ["data::", "weights::", "train::"].iter().any(|family| error.code.starts_with(family));
    assert!(code && !error.file.is_empty() && !error.reason.is_empty(), "{error:?}");
    assert!(error.help.as_ref().is_some_and(|help| !help.is_empty()), "no way out: {text}");
    let shown = !text.contains(|c: char| c.is_control() && c != '\n');
    assert!(shown && text.len() < 5000 && !text.contains("Error"), "no sentence for a person: {text}");
}

fn fits(loaded: &Loaded) {
    let set = &loaded.train;
    assert!(set.rows > 0 && loaded.notes.len() < 100);
    for (name, tensor) in &set.columns {
        let (shape, sound) = match tensor {
            Tensor::F32(a) => (a.shape(), name == "x" && a.iter().all(|x| x.is_finite())),
            Tensor::I64(a) => (a.shape(), a.iter().all(|&id| (0..if name == "y" { 3 } else { 256 }).contains(&id))),
            Tensor::F64(_) | Tensor::Bool(_) => panic!("{name} is {}", tensor.dtype()),
        };
        let want: &[usize] = match name.as_str() {
            "x" => &[2],
            "tokens" => &[4],
            _ => &[],
        };
        assert!(shape[0] == set.rows && shape[1..] == *want && sound, "{name} has shape {shape:?}, or wrong values");
    }
}

/// A table.
pub fn csv_file(bytes: &[u8]) {
    holds("d.csv", bytes);
}

/// An array of a folder.
pub fn npy_file(bytes: &[u8]) {
    holds("n/x.npy", bytes);
}

/// An archive; after a byte 0 or 1 its rows, or its labels, in a sound one.
pub fn npz_file(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, rest)) => holds("d.npz", &archive_of(&[("x.npy", rest.into()), ("y.npy", y())], true)),
        Some((1, rest)) => holds("d.npz", &archive_of(&[("x.npy", x()), ("y.npy", rest.into())], false)),
        _ => holds("d.npz", bytes),
    };
}

/// Tensors: as data, and as weights of somebody.
pub fn safetensors_file(bytes: &[u8]) {
    holds("d.safetensors", bytes);
    match weights::decode(bytes, "w.safetensors") {
        Err(error) => said(&error),
        Ok(found) => {
            let one = |path: &str, shape: &[usize]| weights::Expected {
                path: path.into(),
                dtype: DType::F32,
                shape: shape.into(),
            };
            if let Err(error) = weights::match_weights(&[one("x", &[6, 2]), one("b", &[3])], found) {
                assert!(error.to_string().len() < 100_000);
            }
        }
    }
}

/// Images; after a byte 1 their labels; after a byte 2 images, gzipped; after a byte 3 labels, gzipped.
pub fn idx_file(bytes: &[u8]) {
    match bytes.split_first() {
        Some((1, rest)) => holds("l.idx", rest),
        Some((2, rest)) => holds("i.idx", &gzip(rest)),
        Some((3, rest)) => holds("l.idx", &gzip(rest)),
        _ => holds("i.idx", bytes),
    };
}

/// A text, of characters and of bytes.
pub fn text_file(bytes: &[u8]) {
    holds("t.txt", bytes);
    holds("b.txt", bytes);
}

/// What a run left: its log (after a byte 0), or the state that it goes on from; after a byte 1 that under a hash that
/// fits.
pub fn run_folder(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, rest)) => log(rest),
        Some((1, rest)) => state(&sealed(rest)),
        _ => state(bytes),
    }
}

fn log(bytes: &[u8]) {
    match History::read(bytes, "metrics.jsonl") {
        Err(error) => said(&error),
        Ok(history) => {
            let points: usize = history.names().map(|name| history.curve(name).len()).sum();
            assert!(points <= bytes.len(), "more values than the log has bytes");
        }
    }
    let files = Memory::with("metrics.jsonl", bytes);
    Log::start(&files, "metrics.jsonl", 2).expect("a log is cut, and never refused");
    assert!(files.get("metrics.jsonl").is_some_and(|kept| kept.len() <= 3 * bytes.len()));
}

/// The run whose folder is read.
pub const RUN: &str = "dim batch
model m : (x: f32[batch, 2]) -> f32[batch, 3] { linear(3); batchnorm }
train m { target y: i64[batch]; loss cross_entropy; optimizer adamw(lr = 0.01); batch 3; steps 2; seed 4 }
";

/// Its train section.
pub static TRAINING: LazyLock<Training> = LazyLock::new(|| {
    let mut checked = check(Source::new("m.model", RUN), &Request::default(), None);
    assert!(!checked.has_errors(), "{}", checked.render());
    checked.trainings.remove(0)
});

/// A run in memory; with a state to go on from, if there is one.
pub fn trainer(files: &Memory, resume: bool) -> Result<(Trainer<'static>, Options), wythe::train::error::TrainError> {
    let data = read("d.csv", csv().as_bytes()).expect("the whole file");
    let options = Options { out: Some("r".into()), resume, threads: 1, ..Options::default() };
    Ok((Trainer::new(&TRAINING, data, &options, files)?, options))
}

/// The log and the state of the run after its two steps.
pub fn left() -> (Vec<u8>, Vec<u8>) {
    let files = Memory::default();
    let (mut trainer, options) = trainer(&files, false).expect("it begins");
    trainer.fit(&options, &files, &mut ()).expect("it ends");
    let get = |path: &str| files.get(path).expect("written");
    (get("r/metrics.jsonl"), get("r/last/resume.safetensors"))
}

/// A state is refused in words, or all of the run's numbers are there.
fn state(bytes: &[u8]) {
    let files = Memory::with("r/last/resume.safetensors", bytes);
    match trainer(&files, true) {
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() < 20_000 && !error.code().is_empty(), "{text}");
        }
        Ok((trainer, _)) => {
            let snapshot = trainer.snapshot().expect("what goes on is finite");
            assert_eq!((snapshot.weights.len(), snapshot.slots.len()), (7, 8), "{:?}", snapshot.slots);
        }
    }
}

/// The hash of a checkpoint, made to fit its bytes.
pub fn sealed(bytes: &[u8]) -> Vec<u8> {
    const KEY: &[u8] = b"\"wythe.sha256\":\"";
    let mut bytes = bytes.to_vec();
    let Some(at) = bytes.windows(KEY.len()).position(|window| window == KEY).map(|at| at + KEY.len()) else {
        return bytes;
    };
    if bytes.len() >= at + 64 {
        bytes[at..at + 64].fill(b'0');
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        bytes[at..at + 64].copy_from_slice(hash.as_bytes());
    }
    bytes
}
