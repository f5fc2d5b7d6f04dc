//! No file of data panics, aborts or takes much memory; what is refused is said with file, place, reason and way out; and
//! nothing is loaded in a wrong shape.

use super::world::{Draws, Memory, most};
use std::io::{Cursor, Write};
use wythe::data::{Loaded, load};
use wythe::tensor::Tensor;

#[path = "../../fuzz/fuzz_targets/readers.rs"]
mod laws;

use laws::{
    HEADER, TEXT, X, Y, archive_of as zip, csv, f32s, holds, i64s, idx_source, npy_of, ports, read, safetensors,
    tensors, x,
};
pub use laws::{gzip, images, labels, npy, y};

#[test]
fn each_reader_gives_the_rows_of_its_file() {
    for (path, bytes) in laws::whole().iter() {
        let loaded = read(path, bytes).unwrap_or_else(|error| panic!("{error}"));
        let column = |name: &str| loaded.train.column(name).cloned();
        let shaped = |shape: &[usize]| ndarray::IxDyn(shape);
        if *path == "t.txt" {
            let letters: Vec<char> = loaded.train.vocabulary.iter().flat_map(|word| word.chars()).collect();
            let Some(Tensor::I64(ids)) = column("tokens") else { panic!("ids") };
            let text: String = ids.iter().map(|&id| letters[id as usize]).collect();
            assert_eq!(text, TEXT.chars().take(44 / 4 * 4).collect::<String>()[..text.len()]);
            continue;
        }
        assert_eq!(column("y"), Some(Tensor::I64(ndarray::Array::from(Y.to_vec()).into_dyn())), "{path}");
        if path.ends_with("idx") {
            let pixels = images()[16..].iter().map(|&byte| f32::from(byte) / 255.0).collect();
            let pixels = ndarray::ArrayD::from_shape_vec(shaped(&[6, 2]), pixels).expect("pixels");
            assert_eq!(column("x"), Some(Tensor::F32(pixels)), "{path}");
        } else {
            let x = ndarray::ArrayD::from_shape_vec(shaped(&[6, 2]), X.to_vec()).expect("six rows");
            assert_eq!(column("x"), Some(Tensor::F32(x)), "{path}");
        }
    }
}

// ------------------------------------------------------------------------------------------------------------------ refusals

/// A file of this name (and of which reader), and what must be said of it: the place, and a word of the reason.
pub type Case = (&'static str, Vec<u8>, &'static str, &'static str);

fn row(row: &str) -> Vec<u8> {
    let mut lines: Vec<String> = csv().lines().map(String::from).collect();
    lines[3] = row.into();
    lines.join("\n").into_bytes()
}

/// A zip whose one entry is a megabyte of zeros for each thousand bytes.
fn bomb(megabytes: usize, header: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    writer.start_file("x.npy", zip::write::SimpleFileOptions::default()).expect("an entry");
    writer.write_all(header).expect("its header");
    let zeros = vec![0; 1 << 20];
    (0..megabytes).for_each(|_| writer.write_all(&zeros).expect("its bytes"));
    writer.start_file("y.npy", zip::write::SimpleFileOptions::default()).expect("an entry");
    writer.write_all(&y()).expect("its bytes");
    writer.finish().expect("a directory").into_inner()
}

/// The entry `z.npy` under the name of `x.npy`: numpy never writes that, and archives keep but one.
fn doubled() -> Vec<u8> {
    let mut bytes = zip(&[("x.npy", x()), ("y.npy", y()), ("z.npy", x())], false);
    while let Some(at) = bytes.windows(5).position(|five| five == b"z.npy") {
        bytes[at] = b'x';
    }
    bytes
}

fn hostile_tables() -> Vec<Case> {
    let mut cases: Vec<Case> = vec![
        ("d.csv", b"".to_vec(), "", "no header"),
        ("d.csv", b"a,y,b\n".to_vec(), "", "no row"),
        ("d.csv", b"1,0,2\n3,1,4\n".to_vec(), "line 1", "numbers where the names"),
        ("d.csv", b"a,a,y\n1,2,0\n".to_vec(), "line 1", "two columns are called `a`"),
        ("d.csv", b"a;y;b\n1;2;0\n".to_vec(), "line 1", "one column"),
        ("d.csv", b"a,why,b\n1,0,2\n".to_vec(), "line 1", "no column is called `y`"),
        ("d.csv", b"a,y\n1,0\n".to_vec(), "line 1", "wants 2"),
        ("d.csv", b"a,y,b,c\n1,0,2,3\n".to_vec(), "line 1", "wants 2"),
        ("d.csv", b"a,y,b\n1,0,\xff\n".to_vec(), "line 2", "UTF-8"),
        ("d.csv", [&b"a,"[..], &b"\tx".repeat(900), b",b\n1,0,2\n"].concat(), "line 1", "no column is called `y`"),
        ("d.csv", b"a,y,b\n1,0,\x1b[2J\n".to_vec(), "line 2", "`\\u{1b}[2J`"),
        ("d.csv", b"a,y,b\n1,0,2\n1,0,\"2\n3,1,4\n".to_vec(), "line 3", "never closed"),
        ("d.csv", [&b"a,y,b\n1,0,"[..], &vec![b'1'; 17 << 20]].concat(), "line 2", "16 MB"),
        ("d.csv", [&b"a,y,b\n1,0,\""[..], &b"1,\n".repeat(6 << 20)].concat(), "line 2", "never closed"),
    ];
    for (cells, place, reason) in [
        ("1,0", "line 4", "2 cells, the header has 3"),
        ("1,0,2,3", "line 4", "4 cells"),
        ("1,0,two", "line 4", "`two`"),
        ("nan,0,2", "line 4", "`nan`"),
        ("1,0,inf", "line 4", "`inf`"),
        ("1e400,0,2", "line 4", "`1e400`"),
        ("1,0,-1e39", "line 4", "`-1e39`"),
        ("1,0,0x10", "line 4", "`0x10`"),
        ("1,0,", "line 4", "empty"),
        ("1,,2", "line 4", "`y`"),
        ("1,3,2", "line 4", "`y` is 3"),
        ("1,-1,2", "line 4", "`y` is -1"),
        ("1,0.5,2", "line 4", "`0.5`"),
        ("1,1e400,2", "line 4", "`1e400`"),
        ("1,nan,2", "line 4", "`nan`"),
        ("1,red,2", "line 4", "`red`"),
    ] {
        cases.push(("d.csv", row(cells), place, reason));
    }
    cases
}

fn hostile_arrays() -> Vec<Case> {
    let header = |descr: &str, shape: &str| npy(descr, false, shape, &f32s(&X));
    let y_of = |data: &[i64]| zip(&[("x.npy", x()), ("y.npy", npy("<i8", false, "(6,)", &i64s(data)))], true);
    let nan = [&X[..7], &[f32::NAN], &X[8..]].concat();
    let inf = [&X[..7], &[f32::NEG_INFINITY], &X[8..]].concat();
    let length = |length: u32| [&b"\x93NUMPY\x02\x00"[..], &length.to_le_bytes(), b"{}"].concat();
    vec![
        ("n/x.npy", b"".to_vec(), "", "not a .npy file"),
        ("n/x.npy", x()[..9].to_vec(), "", "cut short"),
        ("n/x.npy", x()[..x().len() - 1].to_vec(), "byte", "cut short"),
        ("n/x.npy", [x(), vec![0]].concat(), "byte", "too long"),
        ("n/x.npy", length(u32::MAX), "", "over the limit"),
        ("n/x.npy", [&b"\x93NUMPY\x09\x00"[..], &[0; 64]].concat(), "", "version 9.0"),
        ("n/x.npy", npy("|O", false, "(6, 2)", b"cos\nsystem\n(S'true'\ntR."), "", "Python objects"),
        ("n/x.npy", header("<c8", "(6,)"), "", "`<c8`"),
        ("n/x.npy", header("<M8[s]", "(6,)"), "", "cannot be read"),
        ("n/x.npy", header("<U4", "(3,)"), "", "`<U4`"),
        ("n/x.npy", header("<f4", "(-6, 2)"), "", "not that of an array"),
        ("n/x.npy", header("<f4", "(9999999999, 9999999999)"), "", "too large"),
        ("n/x.npy", header("<f4", "(0, 9999999999, 9999999999)"), "", "too large"),
        ("n/x.npy", header("<f4", "(2, 6)"), "", "has shape [2, 6]"),
        ("n/x.npy", header("<f4", "(6, 2, 1)"), "", "has shape [6, 2, 1]"),
        ("n/x.npy", header("<f4", "(12,)"), "", "has shape [12]"),
        ("n/x.npy", npy("<f4", false, "()", &[0; 4]), "", "single number"),
        ("n/x.npy", npy("<f4", false, "(5, 2)", &f32s(&X[..10])), "", "`y` has 6 rows"),
        ("n/x.npy", npy("<f4", false, "(6, 2)", &f32s(&nan)), "row 4", "not finite"),
        ("n/x.npy", npy("<f4", false, "(6, 2)", &f32s(&inf)), "row 4", "not finite"),
        ("n/x.npy", npy("<i8", false, "(6, 2)", &[0; 96]), "", "nothing is cast"),
        ("n/x.npy", npy("|b1", false, "(6, 2)", &[7; 12]), "byte", "neither true"),
        ("n/x.npy", npy("<u8", false, "(6, 2)", &[255; 96]), "byte", "too large for i64"),
        ("n/x.npy", npy_of("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (6, 2)}", &f32s(&X)), "", "not that of"),
        (
            "n/x.npy",
            npy_of("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (6, 2)}", &f32s(&X)),
            "",
            "not that of",
        ),
        (
            "n/x.npy",
            npy_of("{'descr': '<f4', 'fortran_order': False, 'shape': (6, 2)} + 1", &f32s(&X)),
            "",
            "not that of",
        ),
        (
            "n/x.npy",
            npy_of("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}", &[0; 24]),
            "",
            "not that of",
        ),
        ("d.npz", b"PK".to_vec(), "", "not a .npz file"),
        ("d.npz", x(), "", "not a .npz file"),
        ("d.npz", zip(&[("x.npy", x())], true), "", "no array `y`"),
        ("d.npz", zip(&[("x.npy", x()), ("labels.npy", y())], true), "", "no array `y`"),
        ("d.npz", zip(&[("x.npy", x()), ("x", x()), ("y.npy", y())], true), "its directory", "two entries"),
        ("d.npz", doubled(), "its directory", "twice"),
        (
            "d.npz",
            zip(&[("x.npy", npy("|O", false, "(6, 2)", b".")), ("y.npy", y())], true),
            "array `x`",
            "Python objects",
        ),
        ("d.npz", zip(&[("x.npy", b"text".to_vec()), ("y.npy", y())], true), "array `x`", "not a .npy file"),
        ("d.npz", bomb(200, b"text"), "array `x`", "not a .npy file"),
        ("d.npz", bomb(200, &x()), "array `x`", "more than the"),
        ("d.npz", bomb(200, &npy("<f4", false, "(26214400, 2)", &[])), "", "`y` has 6 rows, `x` has 26214400"),
        ("d.npz", bomb(200, &npy("<f4", false, "(52428800,)", &[])), "", "has shape [52428800]"),
        ("d.npz", zip(&[], true), "", "no array `x`"),
        ("d.npz", y_of(&[0, 1, 2, 3, 0, 0]), "row 4", "`y` is 3"),
        ("d.npz", y_of(&[0, 1, -1, 0, 0, 0]), "row 3", "`y` is -1"),
        ("d.npz", zip(&[("x.npy", x()), ("y.npy", npy("<f8", false, "(6,)", &[0; 48]))], true), "", "nothing is cast"),
    ]
}

fn hostile_tensors() -> Vec<Case> {
    let data = [f32s(&X), i64s(&Y)].concat();
    let with = |from: &str, to: &str| safetensors(&HEADER.replacen(from, to, 1), &data);
    let claims = |length: u64| [&length.to_le_bytes()[..], HEADER.as_bytes()].concat();
    vec![
        ("d.safetensors", b"".to_vec(), "its header", "only 0 bytes"),
        ("d.safetensors", claims(u64::MAX), "its header", "100 MB"),
        ("d.safetensors", claims(64 << 20), "byte 0", "16 MB"),
        ("d.safetensors", claims(4096), "its header", "cut short"),
        ("d.safetensors", safetensors("[]", b""), "its header", "malformed"),
        ("d.safetensors", safetensors(&"[".repeat(100_000), b""), "its header", "malformed"),
        ("d.safetensors", tensors()[..tensors().len() - 1].to_vec(), "byte", "cut short"),
        ("d.safetensors", [tensors(), vec![0]].concat(), "byte", "padded"),
        ("d.safetensors", with("[48,96]", "[40,88]"), "its header", "overlaps"),
        ("d.safetensors", with("[48,96]", "[56,104]"), "its header", "gap"),
        ("d.safetensors", with("[6,2]", "[6,3]"), "its header", "does not fit"),
        ("d.safetensors", with("[6,2]", "[-6,2]"), "its header", "malformed"),
        ("d.safetensors", with("[6,2]", "[4294967296,4294967296,4294967296]"), "its header", "too large"),
        ("d.safetensors", with("\"y\"", "\"x\""), "its header", "x"),
        ("d.safetensors", with("F32", "Q9"), "its header", "malformed"),
        ("d.safetensors", with("\"y\"", "\"z\""), "", "no tensor `y`"),
        ("d.safetensors", with("[6,2]", "[2,6]"), "", "has shape [2, 6]"),
        ("d.safetensors", with("I64", "F64"), "", "nothing is cast"),
        ("d.safetensors", with("I64", "U64"), "tensor `y`", "U64"),
    ]
}

fn hostile_images() -> Vec<Case> {
    let claims = |sizes: [u32; 3]| {
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
        [&[0, 0, 8, 3][..], &sizes, &images()[16..]].concat()
    };
    let zeros = || [&images()[..], &vec![0; 64 << 20]].concat();
    vec![
        ("i.idx", b"".to_vec(), "byte 0", "not an IDX file"),
        ("i.idx", b"P5 28 28".to_vec(), "byte 0", "not an IDX file"),
        ("i.idx", images()[..9].to_vec(), "byte", "cut short"),
        ("i.idx", images()[..20].to_vec(), "byte 16", "does not fit"),
        ("i.idx", [images(), vec![0]].concat(), "byte 16", "does not fit"),
        ("i.idx", [&[0, 0, 10][..], &images()[3..]].concat(), "byte 2", "0x0a"),
        ("i.idx", claims([u32::MAX; 3]), "byte 4", "too large"),
        ("i.idx", claims([0, u32::MAX, u32::MAX]), "", ""),
        ("i.idx", [&[0, 0, 8, 255][..], &[255; 4 * 255]].concat(), "byte 4", "of 255 axes"),
        ("i.idx", claims([2, 3, 2]), "", "has shape [2, 3, 2]"),
        ("i.idx", claims([3, 1, 4]), "", "has shape [3, 1, 4]"),
        ("i.idx", claims([12, 1, 1]), "", "has shape"),
        ("i.idx", gzip(&images())[..12].to_vec(), "", "cannot be unpacked"),
        ("i.idx", gzip(&zeros()), "", "header claims"),
        ("i.idx", [&[0, 0, 11, 2, 0, 0, 0, 6, 0, 0, 0, 2][..], &[0; 24]].concat(), "", "no bytes"),
        ("l.idx", [&labels()[..8], &[0, 1, 2, 3, 0, 0]].concat(), "row 4", "`y` is 3"),
        ("l.idx", [&[0, 0, 9][..], &labels()[3..8], &[0, 1, 255, 0, 0, 0]].concat(), "row 3", "`y` is -1"),
        ("l.idx", [&[0, 0, 8, 1, 0, 0, 0, 5][..], &[0; 5]].concat(), "", "has 5 rows"),
        ("l.idx", images(), "", "has shape"),
    ]
}

fn hostile_texts() -> Vec<Case> {
    vec![
        ("t.txt", b"".to_vec(), "", "fewer chars"),
        ("t.txt", b"abc".to_vec(), "", "fewer chars"),
        ("t.txt", b"ab\xffcd".to_vec(), "byte 2", "UTF-8"),
        ("t.txt", ('\u{4e00}'..).take(300).collect::<String>().into_bytes(), "", "300 different characters"),
    ]
}

pub fn hostile() -> Vec<Case> {
    [hostile_tables(), hostile_arrays(), hostile_tensors(), hostile_images(), hostile_texts()].concat()
}

/// What no reader may take for the small files here.
const MUCH: usize = 48 << 20;

#[test]
fn each_hostile_file_is_refused_with_file_place_reason_and_way_out() {
    let mut faults = vec![];
    for (i, (path, bytes, place, reason)) in hostile().into_iter().enumerate() {
        let (read, most) = most(|| read(path, &bytes));
        let case = format!("{i}: {path}, {} bytes, {reason:?}", bytes.len());
        let Err(error) = read else {
            faults.push(format!("{case}: was read"));
            continue;
        };
        let said = error.to_string();
        let other = if path.ends_with(".idx") { &path[1..] } else { path };
        for (what, there) in [
            (
                "the file",
                error.file.contains(other.trim_start_matches('n').trim_start_matches('/')) || error.file == "n",
            ),
            ("the place", error.place.as_deref().unwrap_or("").starts_with(place)),
            ("the reason", error.reason.contains(reason)),
            ("a way out", error.help.as_ref().is_some_and(|help| !help.is_empty())),
            ("a code", error.code.starts_with("data::")),
            ("a sentence of one screen", said.len() < 900 && !said.contains(|c: char| c.is_control() && c != '\n')),
            ("nothing of Rust's", !said.contains("Error") && !said.contains("::")),
        ] {
            if !there {
                faults.push(format!("{case} does not say {what}: {:?} {said}", error.place));
            }
        }
        if most > MUCH + 3 * bytes.len() {
            faults.push(format!("{case}: took {} MB", most >> 20));
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn images_are_never_brought_into_another_shape() {
    let bytes = [&[0, 0, 8, 3, 0, 0, 0, 6, 0, 0, 0, 4, 0, 0, 0, 6][..], &[1; 144]].concat();
    let load = |axes: &[usize]| {
        let (mut x, y) = ports();
        x[0].axes = axes.iter().map(|&size| Some(size)).collect();
        let files = Memory::with("i.idx", &bytes);
        files.put("l.idx", labels());
        load(&idx_source(true), None, &x, &y, "", &files, &[]).map(|loaded| loaded.train.columns[0].1.shape().to_vec())
    };
    for fits in [&[24][..], &[4, 6], &[1, 4, 6], &[4, 6, 1]] {
        assert_eq!(load(fits).expect("the same pixels"), [&[6], fits].concat());
    }
    for other in [&[6, 4][..], &[2, 12], &[1, 24], &[2, 2, 6], &[1, 6, 4], &[4, 1, 6], &[1, 1, 4, 6], &[25]] {
        assert!(load(other).expect_err("another shape").to_string().contains("has shape [6, 4, 6]"), "{other:?}");
    }
}

// ------------------------------------------------------------------------------------------------------------------ mutations

/// A file with a few of its bytes flipped, lost, doubled or drawn anew.
fn mutated(whole: &[u8], draws: &mut Draws) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..1 + draws.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = draws.below(bytes.len());
        let to = (at + 1 + draws.below(16)).min(bytes.len());
        match draws.below(7) {
            0 => bytes[at] ^= 1 << draws.below(8),
            1 => bytes[at] = draws.next() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..to)),
            4 => {
                let part = bytes[at..to].to_vec();
                bytes.splice(at..at, part);
            }
            5 => bytes[at..to].fill(if draws.below(2) == 0 { 255 } else { 0 }),
            _ => {
                let other = draws.below(bytes.len());
                bytes.swap(at, other);
            }
        }
    }
    bytes
}

/// The rows of a table without quotes, read by splitting it.
fn naive(text: &str) -> Option<Vec<Vec<f32>>> {
    let lines = text.trim_start_matches('\u{feff}').split(['\n', '\r']).filter(|line| !line.is_empty());
    let mut rows = lines.map(|line| line.split(',').map(str::trim).collect::<Vec<_>>());
    let header = rows.next()?;
    let label = header.iter().position(|name| *name == "y")?;
    rows.map(|mut row| {
        row.remove(label);
        row.iter().map(|cell| cell.parse::<f64>().ok().map(|value| value as f32)).collect()
    })
    .collect()
}

/// What was read from a damaged file is right where a checksum guards the bytes, or another reader can tell.
fn right(path: &str, bytes: &[u8], whole: &[u8], loaded: &Loaded) -> Result<(), String> {
    let set = &loaded.train;
    if path == "d.npz" || bytes.starts_with(&[0x1f, 0x8b]) {
        let original = read(path, whole).expect("the whole file");
        return if set.columns == original.train.columns {
            Ok(())
        } else {
            Err("other values, past the checksum".into())
        };
    }
    if path == "d.csv" && !bytes.contains(&b'"') {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let Some(Tensor::F32(x)) = set.column("x") else { return Err("no x".into()) };
        let rows: Vec<Vec<f32>> = x.outer_iter().map(|row| row.iter().copied().collect()).collect();
        if naive(text).as_ref() != Some(&rows) {
            return Err(format!("{rows:?} of {text:?}"));
        }
    }
    Ok(())
}

#[test]
fn a_damaged_file_is_refused_or_read_rightly() {
    let mut draws = Draws(20_261_124);
    let (mut refused, mut accepted) = (0, 0);
    let plain = csv().replace('"', "").into_bytes();
    for (path, whole) in laws::whole().into_iter().chain([("d.csv", plain)]) {
        for i in 0..3000 {
            let bytes = mutated(&whole, &mut draws);
            let (read, most) = most(|| holds(path, &bytes));
            assert!(most < MUCH, "{path}, mutation {i}: took {} MB", most >> 20);
            match read {
                None => refused += 1,
                Some(loaded) => {
                    accepted += 1;
                    if let Err(fault) = right(path, &bytes, &whole, &loaded) {
                        panic!("{path}, mutation {i}: {fault}\n{bytes:?}");
                    }
                }
            }
        }
    }
    // Both must happen, or this test says nothing.
    assert!(refused > 10_000 && accepted > 2_000, "{refused} refused, {accepted} read");
}

// -------------------------------------------------------------------------------------------------------------- fuzz targets

/// A target of `fuzz/`: its name, its law, and files to begin with.
type Target = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

fn targets() -> Vec<Target> {
    let after = |first: u8, rest: &[u8]| [&[first], rest].concat();
    let of = |ending: &str| {
        let whole = laws::whole().into_iter();
        let hostile = hostile().into_iter().map(|(path, bytes, ..)| (path, bytes));
        let all = whole.chain(hostile).filter(|(path, bytes)| path.ends_with(ending) && bytes.len() < 4096);
        all.map(|(_, bytes)| bytes).collect::<Vec<_>>()
    };
    let wrapped = |firsts: &[u8], files: &[Vec<u8>]| {
        firsts.iter().flat_map(|&first| files.iter().map(move |file| after(first, file))).collect::<Vec<_>>()
    };
    let (arrays, images, labels) = (of(".npy"), of("i.idx"), of("l.idx"));
    let (log, state) = laws::left();
    vec![
        ("csv", laws::csv_file, of(".csv")),
        ("npz", laws::npz_file, [of(".npz"), wrapped(&[0, 1], &arrays)].concat()),
        ("npy", laws::npy_file, arrays),
        ("safetensors", laws::safetensors_file, [of(".safetensors"), vec![state.clone()]].concat()),
        ("idx", laws::idx_file, [wrapped(&[2], &images), wrapped(&[1, 3], &labels), images].concat()),
        ("text", laws::text_file, of(".txt")),
        ("run", laws::run_folder, vec![after(0, &log), after(1, &state), state]),
    ]
}

#[test]
fn the_laws_of_the_fuzz_targets_hold_of_damaged_files() {
    for (name, law, seeds) in targets() {
        assert!(!seeds.is_empty(), "{name} begins with nothing");
        let mut draws = Draws(name.len() as u64);
        let rounds = 600usize.div_ceil(seeds.len());
        for (i, seed) in seeds.iter().enumerate() {
            let (_, most) = most(|| law(seed));
            assert!(most < MUCH, "{name}, seed {i}: took {} MB", most >> 20);
            (0..rounds).for_each(|_| law(&mutated(seed, &mut draws)));
        }
    }
}

/// `cargo test --test promises seeds -- --ignored` before the targets are run: what each of them begins with.
#[test]
#[ignore = "writes into fuzz/corpus, for the fuzz targets"]
fn the_seeds_of_the_fuzz_targets() {
    for (name, _, seeds) in targets() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        for (i, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{i:03}")), seed).expect("written");
        }
    }
}
