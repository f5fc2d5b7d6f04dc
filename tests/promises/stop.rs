//! Runs that are killed, run out of disk, or are asked to end: what stands on the disk is always whole.

use super::limit::{Folder, limited};
use super::world::{Draws, table};
use std::path::Path;
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
        if let Some(step) = step_of(&folder) {
            assert!(step >= last, "kill {kill}: step {step} after {last}");
            last = step;
        }
    }
    assert!(seen > kills() && last > kills() as u64 / 4, "{seen} checkpoints were looked at, {last} steps made");
    // And it goes on to the bytes of a run that nobody killed.
    ends_as_if_never_stopped(&folder, last + 5);
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

/// In a name space of its own: a disk of $0 kB, and a run of six steps on it; then more room, and the run goes on.
const ON_A_SMALL_DISK: &str = "mkdir disk && mount -t tmpfs -o size=$1k none disk || exit 99
cp m.model d.csv disk && cd disk
$0 train m.model --threads 1 --steps 6 --out r >/dev/null 2>../said; echo $? >../code
[ -d r ] && cp -r r ../left
mount -o remount,size=20m none . || exit 99
again=--anew; [ -e r/last/resume.safetensors ] && again=--resume
$0 train m.model --threads 1 --steps 6 --out r $again >/dev/null 2>>../said || exit 1
cp -r r ..";

#[test]
#[allow(clippy::print_stderr, reason = "a test that cannot be made here says so")]
fn a_disk_that_is_really_full_is_told_and_leaves_whole_checkpoints() {
    let whole_run = folder("disk-none");
    assert!(wythe(&whole_run, &train("6", &[])).status().expect("it ends").success());
    let mut told = 0;
    // Of each step, and of the last and the best, 430 kB stay; 330 more are taken while a file is replaced.
    for kb in [24, 340, 480, 800, 900, 1300, 1400, 2200, 3500, 8000] {
        let folder = folder(&format!("disk-of-{kb}"));
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", ON_A_SMALL_DISK, env!("CARGO_BIN_EXE_wythe"), &kb.to_string()]);
        let status = command.current_dir(&folder.0).stdin(Stdio::null()).stderr(Stdio::null()).status();
        if !status.as_ref().is_ok_and(|status| status.code() != Some(99) && folder.0.join("code").exists()) {
            eprintln!("skipped: no disk can be mounted here ({status:?})");
            return;
        }
        let read = |file: &str| std::fs::read_to_string(folder.0.join(file)).unwrap_or_default();
        assert!(status.is_ok_and(|status| status.success()), "{kb} kB: it does not go on: {}", read("said"));
        if read("code").trim() != "0" {
            told += 1;
            let said = read("said");
            assert_eq!(read("code").trim(), "2", "{kb} kB: {said}");
            assert!(said.contains("error[file] r/") && said.contains("no space left"), "{kb} kB: {said}");
        }
        // What stood there when it was full was whole, without a temporary.
        let left = folder.0.join("left");
        for name in std::fs::read_dir(&left).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
            for file in std::fs::read_dir(name.path()).expect("a folder").flatten() {
                let bytes = std::fs::read(file.path()).expect("there");
                let name = file.path().to_string_lossy().into_owned();
                assert!(name.ends_with("/model.safetensors") || name.ends_with("/resume.safetensors"), "{name} stays");
                wythe::export::weights::decode(&bytes, &name).unwrap_or_else(|error| panic!("torn: {error}"));
            }
        }
        same_files(&folder.0.join("r"), &whole_run.0.join("r"));
    }
    assert!((7..10).contains(&told), "{told} disks were too small");
}

/// Lets the k-th call of the system that changes a disk fail, and all that follow: of a write, half is done first.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static int fails(void) {
  static int left = -1;
  if (left < 0) left = atoi(getenv("FAIL_AT"));
  if (left == 0) { errno = ENOSPC; return 1; }
  left--;
  return 0;
}
ssize_t write(int fd, const void *data, size_t n) {
  static int torn = 0;
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  if (fd < 3 || !fails()) return real(fd, data, n);
  if (!torn && n > 1) { torn = 1; return real(fd, data, n / 2); }
  return -1;
}
int fsync(int fd) { int (*real)(int) = dlsym(RTLD_NEXT, "fsync"); return fails() ? -1 : real(fd); }
int rename(const char *a, const char *b) {
  int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
  return fails() ? -1 : real(a, b);
}
int mkdir(const char *a, mode_t m) {
  int (*real)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
  return fails() ? -1 : real(a, m);
}
"#;

#[test]
#[cfg(target_os = "linux")]
fn whichever_call_of_the_system_fails_the_run_goes_on() {
    let shim = Folder::new("shim");
    shim.put("shim.c", SHIM);
    let mut made = Command::new("cc");
    made.args(["-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl"]).current_dir(&shim.0);
    assert!(made.status().expect("the compiler that Rust links with").success());
    let whole_run = folder("calls-none");
    assert!(wythe(&whole_run, &train("2", &[])).status().expect("it ends").success());
    let mut calls = 0;
    loop {
        let folder = folder("calls");
        let args = train("2", &[]);
        let mut command = limited(&folder.0, ":", &args);
        // The shell before it would count, too.
        command.env("FAIL_AT", calls.to_string()).env("LD_PRELOAD", shim.0.join("shim.so"));
        let ran = command.output().expect("a shell starts");
        if ran.status.success() {
            break;
        }
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.code() == Some(2) && said.contains("error[file] r"), "call {calls}: {said}");
        whole(&folder);
        for name in ["last", "best"] {
            for file in std::fs::read_dir(folder.0.join("r").join(name)).into_iter().flatten().flatten() {
                assert!(!file.path().to_string_lossy().ends_with(".tmp"), "call {calls}: {file:?} stays");
            }
        }
        let more = if step_of(&folder).is_some() { "--resume" } else { "--anew" };
        assert!(wythe(&folder, &train("2", &[more])).status().expect("it ends").success(), "call {calls}");
        same_files(&folder.0.join("r"), &whole_run.0.join("r"));
        calls += 1;
    }
    assert!(calls > 40, "{calls} calls failed");
}

/// Waits until a file is there.
fn wait_for(folder: &Folder, file: &str) {
    let begun = Instant::now();
    while !folder.0.join(file).exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no {file}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many interrupts: 10, or as many as WYTHE_INTERRUPTS says (the promise was tried with 50).
fn interrupts() -> usize {
    std::env::var("WYTHE_INTERRUPTS").ok().and_then(|count| count.parse().ok()).unwrap_or(10)
}

#[test]
fn an_interrupt_at_any_moment_ends_a_run_within_two_seconds() {
    let folder = folder("interrupts");
    let (mut draws, mut saved, mut last, mut start) = (Draws(3), 0, 0, Duration::ZERO);
    for moment in 0..interrupts() {
        let args = train("100000000", if moment == 0 { &[] } else { &["--resume"] });
        let begun = Instant::now();
        let mut child = wythe(&folder, &args).spawn().expect("a shell starts");
        if moment == 0 {
            wait_for(&folder, "r/last/model.safetensors");
            start = begun.elapsed();
        }
        std::thread::sleep(start.mul_f64(0.2 + draws.below(1800) as f64 / 1000.0));
        signal(&child, "-INT");
        let asked = Instant::now();
        if moment % 4 == 3 {
            // Twice, perhaps while it saves.
            std::thread::sleep(Duration::from_millis(draws.below(20) as u64));
            let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
        }
        let status = child.wait().expect("it ends");
        assert!(asked.elapsed() < Duration::from_secs(2), "moment {moment}: {:?}", asked.elapsed());
        // Before the run has begun there is nothing to save: the signal ends the program as always.
        assert!(status.code().is_none_or(|code| code == 130), "moment {moment}: {status}");
        saved += usize::from(status.code() == Some(130));
        whole(&folder);
        let step = step_of(&folder).expect("a state to go on from");
        assert!(step >= last, "moment {moment}: step {step} after {last}");
        last = step;
    }
    assert!(saved * 2 > interrupts(), "{saved} of {} came while it ran", interrupts());
    ends_as_if_never_stopped(&folder, last + 5);
}

/// The step from which a run would go on.
fn step_of(folder: &Folder) -> Option<u64> {
    let bytes = std::fs::read(folder.0.join("r/last/resume.safetensors")).ok()?;
    wythe::export::weights::decode(&bytes, "resume").expect("whole").about.step
}

/// Goes on to so many steps in all, and compares every file with those of a run that nobody stopped.
fn ends_as_if_never_stopped(folder: &Folder, steps: u64) {
    let steps = steps.to_string();
    let more = if step_of(folder).is_some() { "--resume" } else { "--anew" };
    assert!(wythe(folder, &train(&steps, &[more])).status().expect("it ends").success());
    let other = self::folder(&format!("whole-{steps}-{}", folder.0.to_string_lossy().len()));
    assert!(wythe(&other, &train(&steps, &[])).status().expect("it ends").success());
    same_files(&folder.0.join("r"), &other.0.join("r"));
}

fn same_files(one: &Path, other: &Path) {
    for file in ["last/model.safetensors", "last/resume.safetensors", "best/model.safetensors", "metrics.jsonl"] {
        let read = |folder: &Path| std::fs::read(folder.join(file)).expect("there");
        let (own, wanted) = (read(one), read(other));
        let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().map(String::from).collect::<Vec<_>>();
        if own != wanted && file.ends_with("jsonl") {
            let pairs = lines(&own).into_iter().zip(lines(&wanted)).find(|(a, b)| a != b);
            panic!("{file} differs from that of a run that was never stopped: {pairs:?}");
        }
        assert!(own == wanted, "{file} differs from that of a run that was never stopped");
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
fn an_interrupt_ends_a_long_evaluation_too() {
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
}

/// One step of it takes seconds, in a release build too.
const SLOW: &str = "dim batch
model m(d = 1000) : (x: f32[batch, 6]) -> f32[batch, 3] { linear(d); repeat 6 { linear(d) }; head = linear(3) }
train m { target y: i64[batch]; loss cross_entropy; data csv(\"d.csv\"); batch 4000; optimizer sgd }
";

#[test]
fn a_second_interrupt_ends_at_once_whatever_is_computed() {
    let folder = Folder::new("second");
    folder.put("m.model", SLOW);
    folder.put("d.csv", table(4_000, 6));
    let mut child = wythe(&folder, &train("100000000", &[])).spawn().expect("a shell starts");
    wait_for(&folder, "r/metrics.jsonl");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(child.try_wait().expect("our own child"), None, "the first one waits for the step, which is saved");
    signal(&child, "-INT");
    let asked = Instant::now();
    let status = child.wait().expect("it ends");
    assert!(
        asked.elapsed() < Duration::from_millis(500) && status.code() == Some(130),
        "{:?} {status}",
        asked.elapsed()
    );
}
