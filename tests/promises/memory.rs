//! Memory is known before training: what is said is what is taken.

use super::limit::{Folder, limited};
use super::world::table;
use std::io::Read;
use std::process::{Command, Stdio};

/// Runs to the end: what standard output says, and the most memory that was resident.
///
/// The kernel's mark is looked at while the program runs: what `wait4` tells counts from the fork, when the child was as
/// large as this test.
fn peak(mut command: Command) -> (String, u64) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mark = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:").map(str::to_string));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
    };
    // The first looks may still see the shell.
    let mut most = 0;
    loop {
        match mark() {
            0 => break,
            now => most = now,
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let mut out = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("text");
    let status = child.wait().expect("our own child");
    assert!(status.success(), "{out}");
    (out, most * 1024)
}

const MLP: &str = "model m(d = 700) : (x: f32[batch, 6]) -> f32[batch, 3] {
  linear(d); repeat 8 { linear(d); relu; dropout(0.1) }; head = linear(3)
}";
const WIDE: &str = "model m : (x: f32[batch, 6]) -> f32[batch, 3] {
  linear(2048); repeat 3 { rmsnorm; silu }; linear(3)
}";
const CONV: &str = "model m : (x: f32[batch, 6]) -> f32[batch, 3] {
  linear(1024); reshape(batch, 1, 32, 32); conv(4, 1); repeat 3 { conv(4, 1); batchnorm; relu }; avgpool_global; linear(3)
}";

#[test]
fn the_memory_that_is_said_is_within_a_fifth_of_the_peak() {
    let mut faults = vec![];
    for (name, model, settings, rows) in [
        ("adamw", MLP, "batch 16", 200),
        ("sgd", MLP, "batch 16; optimizer sgd(lr = 0.01); clip norm(1)", 200),
        ("values", WIDE, "batch 400; optimizer sgd(lr = 0.01)", 400),
        ("held out", WIDE, "batch 200; optimizer rmsprop(lr = 0.01); valid 0.5", 800),
        ("images", CONV, "batch 100", 100),
    ] {
        let folder = Folder::new(&format!("memory-{}", name.replace(' ', "-")));
        let section =
            format!("train m {{ target y: i64[batch]; loss cross_entropy; data csv(\"d.csv\"); {settings} }}");
        folder.put("m.model", format!("dim batch\n{model}\n{section}\n"));
        folder.put("d.csv", table(rows, 6));
        let args = ["train", "m.model", "--threads", "2", "--steps", "1", "--out", "r", "--json"];
        let (out, peak) = peak(limited(&folder.0, ":", &args));
        let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        let said = json["memory"].as_u64().expect("a number");
        assert!(said > 20 << 20, "{name}: too little to tell, {} MB", said >> 20);
        let ratio = said as f64 / peak as f64;
        if !(0.8..=1.2).contains(&ratio) {
            faults.push(format!("{name}: {} MB were said, the peak was {} MB: {ratio:.2}", said >> 20, peak >> 20));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
