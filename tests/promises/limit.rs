//! The program under an address limit of 300 MB: hostile files are refused, large ones are read or refused, and nothing
//! aborts.

use super::readers::{gzip, hostile, images, labels, npy, y};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder of its own, gone afterwards.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("wythe-promises-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Folder(path)
    }

    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program, with limits of a shell before it: `ulimit -v 300000`.
pub fn limited(folder: &Path, limits: &str, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{limits}; exec \"$0\" \"$@\"");
    command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_wythe")).args(args);
    command.current_dir(folder).stdin(Stdio::null()).env("LC_ALL", "C.UTF-8").env_remove("FORCE_COLOR");
    command
}

const LIMIT: &str = "ulimit -v 300000";

const ROWS: &str = "dim batch
model m : (x: f32[batch, 2]) -> f32[batch, 3] { linear(3) }
train m { target y: i64[batch]; loss cross_entropy; batch 64; steps 1 }
";
const IMAGES: &str = "dim batch
model m : (x: f32[batch, 2]) -> f32[batch, 3] { linear(3) }
train m { target y: i64[batch]; loss cross_entropy; batch 64; steps 1; data idx(\"i.idx\", \"l.idx\") }
";
const LETTERS: &str = "dim batch, seq
model m : (tokens: i64[batch, seq]) -> f32[batch, seq, 64] { embedding(64, 8); linear(64) }
train m { target y = tokens |> next; loss cross_entropy; batch 64; seq 4; steps 1 }
";

/// Trains a step on a file that stands in the folder.
fn train(folder: &Folder, path: &str) -> std::process::Output {
    let (model, data) = match path {
        "i.idx" | "l.idx" => ("images.model", vec![]),
        "t.txt" => ("letters.model", vec!["--data", "t.txt"]),
        "n/x.npy" => ("rows.model", vec!["--data", "n/"]),
        _ => ("rows.model", vec!["--data", path]),
    };
    let args = [&["train", model, "--threads", "1", "--anew", "--out", "r"], &data[..]].concat();
    limited(&folder.0, LIMIT, &args).output().expect("a shell starts")
}

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    for (name, text) in [("rows.model", ROWS), ("images.model", IMAGES), ("letters.model", LETTERS)] {
        folder.put(name, text);
    }
    folder.put("i.idx", images());
    folder.put("l.idx", labels());
    folder.put("n/y.npy", y());
    folder
}

#[test]
fn hostile_files_are_refused_within_300_mb() {
    let folder = folder("hostile");
    for (path, bytes, _, reason) in hostile() {
        folder.put(path, &bytes);
        let ran = train(&folder, path);
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{path}, {reason:?}: {said}");
        assert!(said.starts_with("error[data::") && said.contains("\n  help: "), "{path}, {reason:?}: {said}");
        for (name, bytes) in [("i.idx", images()), ("l.idx", labels())] {
            folder.put(name, bytes);
        }
    }
    assert!(!folder.0.join("r").exists(), "something was written");
}

#[test]
fn large_files_are_read_or_refused_within_300_mb() {
    let folder = folder("large");
    let zeros = |bytes: usize| vec![0u8; bytes];
    let large: Vec<(&str, Vec<u8>)> = vec![
        ("d.csv", [&b"a,y,b\n"[..], &b"1,0,2\n".repeat(4_000_000)].concat()),
        ("d.csv", [&b"a,y,b\n"[..], &b"1,red,2\n".repeat(2_000_000)].concat()),
        ("d.csv", [&b"a,y,b"[..], &b",c".repeat(900_000), b"\n"].concat()),
        ("d.csv", [&b"a,y,b\n"[..], &b"\n".repeat(20_000_000)].concat()),
        ("n/x.npy", npy("<f8", false, "(6000000, 2)", &zeros(96_000_000))),
        ("n/x.npy", npy("<f2", true, "(20000000, 2)", &zeros(80_000_000))),
        ("d.safetensors", [&(15u64 << 20).to_le_bytes()[..], &b"{\"a\":[".repeat(3 << 20)].concat()),
        ("d.safetensors", many_tensors()),
        ("d.npz", [b"PK\x01\x02".repeat(1_000_000), b"PK\x05\x06".to_vec(), zeros(18)].concat()),
        ("i.idx", gzip(&[&[0, 0, 8, 3, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2][..], &zeros(100 << 20)].concat())),
        ("t.txt", b"the quick brown fox ".repeat(2_000_000)),
        ("t.txt", "\u{4e00}\u{10ffff}".repeat(3_000_000).into_bytes()),
    ];
    for (path, bytes) in large {
        folder.put(path, &bytes);
        let begun = std::time::Instant::now();
        let ran = train(&folder, path);
        let said = String::from_utf8_lossy(&ran.stderr);
        let sound = match ran.status.code() {
            Some(0) => true,
            Some(2) => said.contains("error[data::") || said.contains("error[limit::") || said.contains("error[file]"),
            _ => false,
        };
        assert!(sound, "{path} of {} bytes: {:?} {said}", bytes.len(), ran.status);
        assert!(begun.elapsed().as_secs() < 60, "{path} of {} bytes took {:?}", bytes.len(), begun.elapsed());
        std::fs::remove_file(folder.0.join(path)).expect("gone");
        folder.put("i.idx", images());
    }
}

/// 150,000 tensors of nothing.
fn many_tensors() -> Vec<u8> {
    let one = |i: usize| format!("\"t{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let header = format!("{{{}}}", (0..150_000).map(one).collect::<Vec<_>>().join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}
