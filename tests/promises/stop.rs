//! Runs that are killed, run out of disk, or are asked to end: what stands on the disk is always whole.

use super::limit::{Folder, limited};
use super::world::{Draws, table};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MODEL: &str = "dim batch
model m(d = 160) : (x: f32[batch, 6]) -> f32[batch, 3] {
  linear(d); relu; dropout(0.1); linear(d); relu; head = linear(3)
}
train m { target y: i64[batch]; loss cross_entropy; data csv(\"d.csv\"); batch 16; seed 5; save 1; valid 0.2 }
";

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.put("m.model", MODEL);
    folder.put("d.csv", table(200, 6));
    folder
}

fn wythe(folder: &Folder, args: &[&str]) -> Command {
    let mut command = limited(&folder.0, ":", args);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn train<'a>(steps: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "m.model", "--threads", "1", "--steps", steps, "--out", "r"], more].concat()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
}

/// Every checkpoint that stands there can be read, and its hash is right.
fn whole(folder: &Folder) -> usize {
    let mut count = 0;
    for name in ["last", "best"] {
        for file in ["model", "resume"] {
            let path = folder.0.join(format!("r/{name}/{file}.safetensors"));
            if let Ok(bytes) = std::fs::read(&path) {
                let read = wythe::export::weights::decode(&bytes, &path.to_string_lossy());
                read.unwrap_or_else(|error| panic!("torn: {error}"));
                count += 1;
            }
        }
    }
    count
}

/// How many kills: 40, or as many as WYTHE_KILLS says (the promise was tried with 1,000).
fn kills() -> usize {
    std::env::var("WYTHE_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(40)
}

#[test]
fn a_killed_run_leaves_whole_checkpoints() {
    let folder = folder("kills");
    let (mut draws, mut seen, mut last, mut start) = (Draws(7), 0, 0, Duration::ZERO);
    for kill in 0..kills() {
        let args = train("100000000", if kill == 0 { &[] } else { &["--resume"] });
        let begun = Instant::now();
        let mut child = wythe(&folder, &args).spawn().expect("a shell starts");
        if kill == 0 {
            // How long the program takes to its first checkpoint, here and now.
            wait_for(&folder, "r/last/model.safetensors");
            start = begun.elapsed();
        }
        std::thread::sleep(start.mul_f64(0.5 + draws.below(2500) as f64 / 1000.0));
        signal(&child, "-KILL");
        child.wait().expect("it ends");
        seen += whole(&folder);
        // The run never goes back: what was reached stays reached.
        if let Ok(bytes) = std::fs::read(folder.0.join("r/last/resume.safetensors")) {
            let step = wythe::export::weights::decode(&bytes, "resume").expect("whole").about.step.expect("a step");
            assert!(step >= last, "kill {kill}: step {step} after {last}");
            last = step;
        }
    }
    assert!(seen > kills() && last > kills() as u64 / 4, "{seen} checkpoints were looked at, {last} steps made");
    // And it goes on to the bytes of a run that nobody killed.
    let steps = (last + 5).to_string();
    assert!(wythe(&folder, &train(&steps, &["--resume"])).status().expect("it ends").success());
    let other = self::folder("kills-whole");
    assert!(wythe(&other, &train(&steps, &[])).status().expect("it ends").success());
    for file in ["last/model.safetensors", "last/resume.safetensors", "best/model.safetensors", "metrics.jsonl"] {
        let read = |folder: &Folder| std::fs::read(folder.0.join("r").join(file)).expect("there");
        assert!(read(&folder) == read(&other), "{file} differs after {} kills", kills());
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_whole_checkpoints() {
    // No file may grow beyond so many blocks of 512 bytes: the model's file fits, the resume's does not, and so on.
    for blocks in [0, 1, 40, 250, 300, 500, 700] {
        let folder = folder(&format!("disk-{blocks}"));
        assert!(wythe(&folder, &train("3", &[])).status().expect("it ends").success());
        let before = std::fs::read(folder.0.join("r/last/resume.safetensors")).expect("there");
        let args = train("6", &["--resume"]);
        let limits = format!("trap '' XFSZ; ulimit -f {blocks}");
        let ran = limited(&folder.0, &limits, &args).output().expect("a shell starts");
        let said = String::from_utf8_lossy(&ran.stderr);
        let size = before.len() / 512;
        if blocks < size {
            assert!(ran.status.code() == Some(2) && said.contains("error[file]"), "{blocks}: {:?} {said}", ran.status);
            assert!(said.contains("too large") || said.contains("space"), "{said}");
            let after = std::fs::read(folder.0.join("r/last/resume.safetensors")).expect("there");
            assert!(before == after, "{blocks} blocks: the last checkpoint stays");
        }
        assert!(whole(&folder) >= 2);
        let names = std::fs::read_dir(folder.0.join("r/last")).expect("there").flatten();
        assert_eq!(names.count(), 2, "no temporary stays");
        assert!(wythe(&folder, &train("6", &["--resume"])).status().expect("it ends").success());
        assert!(whole(&folder) >= 4);
    }
}

/// Waits until a file is there.
fn wait_for(folder: &Folder, file: &str) {
    let begun = Instant::now();
    while !folder.0.join(file).exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no {file}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_interrupt_at_any_moment_ends_a_run_within_two_seconds() {
    let folder = folder("interrupts");
    let mut draws = Draws(3);
    for moment in 0..10 {
        let args = train("100000000", &["--anew"]);
        let mut child = wythe(&folder, &args).spawn().expect("a shell starts");
        if moment == 0 {
            wait_for(&folder, "r/last/model.safetensors");
        }
        std::thread::sleep(Duration::from_millis(draws.below(150) as u64));
        signal(&child, "-INT");
        let begun = Instant::now();
        let status = child.wait().expect("it ends");
        assert!(begun.elapsed() < Duration::from_secs(2), "moment {moment}: {:?}", begun.elapsed());
        // Before the run has begun there is nothing to save: the signal ends the program as always.
        assert!(status.code().is_none_or(|code| code == 130), "moment {moment}: {status}");
        whole(&folder);
    }
}

/// Held-out rows that take many seconds to evaluate.
const LONG: &str = "dim batch
model m(d = 300) : (x: f32[batch, 6]) -> f32[batch, 3] {
  linear(d); repeat 12 { linear(d) }; head = linear(3)
}
train m { target y: i64[batch]; loss cross_entropy; data csv(\"d.csv\"); batch 4; valid 0.99; eval_every 1; optimizer sgd }
";

#[test]
fn an_interrupt_ends_a_long_evaluation_too_and_a_second_one_ends_at_once() {
    let folder = Folder::new("evaluation");
    folder.put("m.model", LONG);
    folder.put("d.csv", table(60_000, 6));
    let begin = |args: &[&str]| {
        let child = wythe(&folder, args).spawn().expect("a shell starts");
        // The log is begun before the first step; a step later the evaluation runs, for many seconds.
        wait_for(&folder, "r/metrics.jsonl");
        std::thread::sleep(Duration::from_millis(700));
        child
    };
    let mut child = begin(&train("100000000", &[]));
    let begun = Instant::now();
    signal(&child, "-INT");
    let status = child.wait().expect("it ends");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(status.code(), Some(130));
    assert!(folder.0.join("r/last/model.safetensors").exists(), "and it was saved");
    let _ = std::fs::remove_dir_all(folder.0.join("r"));
    let mut child = begin(&train("100000000", &[]));
    signal(&child, "-INT");
    signal(&child, "-INT");
    let begun = Instant::now();
    let status = child.wait().expect("it ends");
    assert!(begun.elapsed() < Duration::from_millis(500) && status.code() == Some(130), "{status}");
}
