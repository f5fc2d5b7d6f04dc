//! The program as a user drives it: every verb, every stream, every exit code; nothing ends with 101.

#![cfg(feature = "cli")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own, gone afterwards.
struct Box(PathBuf);

impl Box {
    fn new() -> Box {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wythe-cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Box(path)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, content).expect("written");
        name.into()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// A command in this folder, with nothing of the caller's colours.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wythe"));
        command.args(args).current_dir(&self.0).stdin(Stdio::null());
        for name in ["NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(args, self.command(args).output().expect("the program starts"))
    }

    fn fed(&self, args: &[&str], input: &[u8]) -> Ran {
        use std::io::Write;
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        // A program that refuses its arguments reads nothing.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        Ran::of(args, child.wait_with_output().expect("it ends"))
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Ran {
    args: String,
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(args: &[&str], output: Output) -> Ran {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ran = Ran {
            args: args.join(" "),
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        assert!(ran.code != 101 && !ran.err.contains("panicked"), "wythe {}: {}", ran.args, ran.err);
        ran
    }

    fn ends(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "wythe {}\n{}\n{}", self.args, self.out, self.err);
        self
    }

    /// On standard error; and standard output is empty.
    fn refuses(self, words: &[&str]) -> Ran {
        for word in words {
            assert!(self.err.contains(word), "wythe {} does not say {word:?}: {}", self.args, self.err);
        }
        assert_eq!(self.out, "", "wythe {}", self.args);
        self
    }

    fn says(self, words: &[&str]) -> Ran {
        for word in words {
            assert!(self.out.contains(word), "wythe {} does not say {word:?}: {}{}", self.args, self.out, self.err);
        }
        self
    }

    fn json(self) -> Value {
        let value: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("wythe {}: {e}\n{}", self.args, self.out));
        assert_eq!(value["version"], 1, "wythe {} has no version: {value}", self.args);
        value
    }
}

const MODEL: &str = "dim batch

model m(d = 8) : (x: f32[batch, 4]) -> f32[batch, 3] {
  a = linear(d)
  relu
  head = linear(3)
}

train m {
  target y: i64[batch]
  loss   cross_entropy
  data   csv(\"d.csv\")
  batch  4
  steps  6
  seed   1
}
";

const TWO: &str = "dim batch

model big : (x: f32[batch, 4]) -> f32[batch, 3] {
  linear(3)
}

model small : (x: f32[batch, 2]) -> f32[batch, 3] {
  linear(3)
}
";

fn table(rows: usize) -> String {
    let row = |i: usize| format!("{}.5,{},0.25,-{},{}\n", i % 5, i % 7, i % 3, i % 3);
    format!("a,b,c,d,y\n{}", (0..rows).map(row).collect::<String>())
}

fn full() -> Box {
    let folder = Box::new();
    folder.put("m.model", MODEL);
    folder.put("two.model", TWO);
    folder.put("bad.model", MODEL.replace("-> f32[batch, 3]", "-> f32[batch, 5]"));
    folder.put("d.csv", table(10));
    folder
}

/// `.npy` of f32.
fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

/// `.npy` of f16 zeros.
fn half_npy(shape: &[usize]) -> Vec<u8> {
    let zeros = vec![0.0; shape.iter().product()];
    let bytes = npy(shape, &zeros);
    let text = bytes.windows(3).position(|part| part == b"<f4").expect("a type");
    let mut half = bytes[..bytes.len() - 2 * zeros.len()].to_vec();
    half[text..text + 3].copy_from_slice(b"<f2");
    half
}

#[test]
fn check_ends_with_0_1_or_2() {
    let folder = full();
    folder.run(&["check", "m.model", "two.model"]).ends(0);
    folder.run(&["check", "bad.model"]).ends(1).refuses(&["error[", "bad.model", "f32[batch, 3]"]);
    folder.run(&["check", "none.model"]).ends(2).refuses(&["none.model: no such file"]);
    folder.run(&["check"]).ends(2).refuses(&["FILE"]);
    folder.run(&["chekc", "m.model"]).ends(2).refuses(&["check"]);
    folder.run(&["check", "--format", "short", "bad.model"]).ends(1).refuses(&["bad.model:6:10: error["]);
    folder.run(&["check", "."]).ends(2).refuses(&["is a folder"]);
    folder.run(&["check", "two.model#small"]).ends(0);
    folder.run(&["check", "two.model", "--set", "dd=3"]).ends(1);
    folder.run(&["check", "m.model", "--set", "train.bacth=3"]).ends(1).refuses(&["did you mean `batch`?"]);
    folder.run(&["check", "m.model", "--set", "d=-3"]).ends(1);
}

#[test]
fn a_name_behind_the_file_chooses_a_model_or_a_section() {
    let folder = Box::new();
    let section = "  target y: i64[batch]\n  loss   cross_entropy\n  data   csv(\"d.csv\")\n  steps  2\n}\n";
    let text = format!(
        "dim batch\n\nmodel a(d = 4) : (x: f32[batch, 4]) -> f32[batch, 3] {{\n  linear(d)\n  relu\n  linear(3)\n}}\n\n\
         model b : (x: f32[batch, 4]) -> f32[batch, 3] {{\n  linear(3)\n}}\n\n\
         train small: a(d = 2) {{\n{section}\ntrain a {{\n{section}\ntrain b {{\n{section}"
    );
    folder.put("n.model", text);
    folder.put("d.csv", table(10));
    folder.run(&["summary", "n.model"]).ends(2).refuses(&["holds several models", "n.model#a, n.model#b"]);
    folder
        .run(&["summary", "n.model#c"])
        .ends(2)
        .refuses(&["there is no model or train section `c`", "n.model#a, n.model#b"]);
    folder.run(&["summary", "n.model#a"]).ends(0).says(&["a(d = 4)"]);
    folder.run(&["summary", "n.model#small"]).ends(0).says(&["a(d = 2)"]);
    folder.run(&["train", "n.model"]).ends(2).refuses(&["several train sections", "#small, n.model#a, n.model#b"]);
    folder
        .run(&["train", "n.model#x"])
        .ends(2)
        .refuses(&["there is no model or train section `x`", "n.model#a, n.model#b, n.model#small"]);
    for (name, shape, two) in [("small", "[2,4]", true), ("a", "[4,4]", true), ("b", "[3,4]", false)] {
        folder.run(&["train", &format!("n.model#{name}"), "--out", name]).ends(0);
        let weights = std::fs::read(folder.0.join(name).join("last/model.safetensors")).expect("it was saved");
        let head = String::from_utf8_lossy(&weights);
        assert!(head.contains(shape) && head.contains("linear_2") == two, "{name}: {head}");
    }
}

/// A lint: two linear layers with nothing between. And one of severity error: nll on logits.
const PAIR: &str = "dim batch\nmodel m : (x: f32[batch, 4]) -> f32[batch, 3] {\n  linear(8)\n  linear(3)\n}\n";
const NLL: &str = "dim batch\nmodel m : (x: f32[batch, 4]) -> f32[batch, 3] {\n  linear(3)\n}\n\ntrain m {\n  target y: i64[batch]\n  loss   nll\n}\n";

#[test]
fn lints_are_denied_allowed_and_told() {
    let place = Box::new();
    let pair = place.put("pair.model", PAIR);
    place.run(&["check", &pair]).ends(0).refuses(&["warning[lint::collapse]", "pair.model:4:3"]);
    for code in ["collapse", "lint::collapse", "warnings"] {
        place.run(&["check", &pair, "--deny", code]).ends(1).refuses(&["error[lint::collapse]"]);
    }
    let silent = place.run(&["check", &pair, "--deny", "warnings", "--allow", "collapse"]).ends(0);
    assert_eq!(silent.err, "");
    place.run(&["check", &pair, "--deny", "colapse"]).ends(2).refuses(&["`collapse` is one"]);
    let object = place.run(&["check", &pair, "--json"]).ends(0).json();
    assert_eq!(object["diagnostics"][0]["code"], "lint::collapse");
    assert_eq!(object["diagnostics"][0]["severity"], "warning");
    // A remark is told when it is asked for, or denied.
    let narrow = place.put("narrow.model", PAIR.replace("linear(8)", "linear(2)"));
    assert_eq!(place.run(&["check", &narrow]).ends(0).err, "");
    place.run(&["check", &narrow, "--info"]).ends(0).refuses(&["info[lint::collapse]"]);
    place.run(&["check", &narrow, "--deny", "collapse"]).ends(1).refuses(&["error[lint::collapse]"]);
}

#[test]
fn a_lint_of_severity_error_stops_check_and_train_and_nothing_else() {
    let place = Box::new();
    let nll = place.put("nll.model", NLL);
    place.run(&["check", &nll]).ends(1).refuses(&["error[lint::nll_needs_log]"]);
    let run = place.run(&["run", &nll, "--input", "[[1, 2, 3, 4]]"]).ends(0).says(&["out  f32[1, 3]"]);
    assert!(run.err.contains("error[lint::nll_needs_log]"), "it is told all the same: {}", run.err);
    place.run(&["summary", &nll]).ends(0).says(&["linear"]);
    place.run(&["graph", &nll]).ends(0);
    place.put("rows.csv", "a,b,c,d,y\n1,2,3,4,0\n2,3,4,5,1\n");
    let train = ["train", &nll, "--data", "rows.csv", "--epochs", "1", "--out", "run"];
    place.run(&train).ends(1).refuses(&["stops a training before it begins", "// allow(CODE)"]);
    assert!(!place.has("run"));
    place.put("nll.model", NLL.replace("loss   nll", "loss   nll   // allow(nll_needs_log)"));
    place.run(&["check", &nll]).ends(0);
    place.run(&train).ends(0);
}

#[test]
fn tools_read_reports_from_standard_output() {
    let folder = full();
    let github = folder.run(&["check", "bad.model", "m.model", "--format", "github"]).ends(1);
    assert_eq!((github.out.lines().count(), github.err.as_str()), (1, ""), "{}", github.out);
    github.says(&[
        "::error file=bad.model,line=6,col=10,endLine=6,endColumn=19,title=shape%3A%3A",
        "%0A",
        "f32[batch, 3]",
    ]);
    let sarif = folder.run(&["check", "bad.model", "--format", "sarif"]).ends(1);
    let log: Value = serde_json::from_str(&sarif.out).expect("it is JSON");
    let result = &log["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], log["runs"][0]["tool"]["driver"]["rules"][0]["id"]);
    assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "bad.model");
    let well = folder.run(&["check", "m.model", "--format", "sarif"]).ends(0);
    let log: Value = serde_json::from_str(&well.out).expect("it is JSON");
    assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
    assert_eq!(folder.run(&["check", "m.model", "--format", "github"]).ends(0).out, "");
}

#[test]
fn every_verb_has_an_object_with_a_version() {
    let folder = full();
    assert_eq!(folder.run(&["check", "m.model", "--json"]).ends(0).json()["diagnostics"], serde_json::json!([]));
    assert!(folder.run(&["check", "bad.model", "--json"]).ends(1).json()["diagnostics"][0]["code"].is_string());
    assert_eq!(folder.run(&["fmt", "--check", "m.model", "--json"]).ends(0).json()["files"][0]["state"], "same");
    assert!(folder.run(&["summary", "m.model", "--json"]).ends(0).json().is_object());
    assert!(folder.run(&["graph", "m.model", "--stage", "flat", "--json"]).ends(0).json()["text"].is_string());
    let ran = folder.run(&["run", "m.model", "--input", "[[1, 2, 3, 4]]", "--json"]).ends(0).json();
    assert_eq!(ran["tensors"]["out"]["shape"], serde_json::json!([1, 3]));
    let init = folder.run(&["init", "m.model", "-o", "w.safetensors", "--json"]).ends(0).json();
    assert_eq!((init["tensors"].as_u64(), init["elements"].as_u64()), (Some(4), Some(67)));
    let trained = folder.run(&["train", "m.model", "--out", "r", "--json"]).ends(0).json();
    assert_eq!((&trained["steps"], &trained["interrupted"]), (&6.into(), &false.into()));
    let checkpoint = trained["checkpoint"].as_str().expect("a path");
    let eval = folder.run(&["eval", "m.model", "--weights", checkpoint, "--json"]).ends(0).json();
    assert_eq!(eval["rows"], 10);
    assert!(eval["results"]["loss"].is_f64() && eval["results"]["accuracy"].is_f64());
}

#[test]
fn results_go_to_standard_output_and_reports_to_standard_error() {
    let folder = full();
    for args in [
        &["summary", "m.model"][..],
        &["summary", "m.model", "--bind", "batch=2"],
        &["graph", "m.model"],
        &["graph", "m.model", "--stage", "plan", "--format", "text"],
        &["run", "m.model", "--input", "normal[2,4]"],
        &["run", "-e", "rmsnorm |> gelu", "--input", "[[1, 2, 3]]", "--grad", "--cotangent", "ones"],
        &["--help"],
        &["train", "--help"],
        &["--version"],
    ] {
        let ran = folder.run(args).ends(0);
        assert!(!ran.out.is_empty() && ran.err.is_empty(), "{}: {}", ran.args, ran.err);
    }
    let trained = folder
        .run(&["train", "m.model", "--out", "r"])
        .ends(0)
        .says(&["step 6", "checkpoint r/last/model.safetensors"]);
    assert!(trained.err.contains("step 6/6") && !trained.err.contains('\x1b'), "{}", trained.err);
    folder.run(&["eval", "m.model", "--weights", "r/last/model.safetensors"]).ends(0).says(&[
        "loss ",
        "accuracy ",
        " %",
    ]);
    folder.run(&["summary", "bad.model"]).ends(1).refuses(&["error["]);
}

#[test]
fn colours_only_where_they_are_wanted() {
    let folder = full();
    let colored = |args: &[&str], env: &[(&str, &str)]| {
        let output = folder.command(args).envs(env.iter().copied()).output().expect("the program starts");
        Ran::of(args, output).err.contains('\x1b')
    };
    assert!(!colored(&["check", "bad.model"], &[]));
    assert!(colored(&["check", "bad.model", "--color", "always"], &[]));
    assert!(colored(&["check", "bad.model"], &[("FORCE_COLOR", "1")]));
    assert!(!colored(&["check", "bad.model"], &[("FORCE_COLOR", "1"), ("NO_COLOR", "1")]));
    assert!(!colored(&["check", "bad.model", "--color=never"], &[("FORCE_COLOR", "1")]));
    assert!(colored(&["check", "none.model", "--color=always"], &[]));
    folder.run(&["check", "bad.model", "--color", "sometimes"]).ends(2);
    let plain = folder.command(&["check", "bad.model"]).env("LC_ALL", "C").output().expect("the program starts");
    assert!(plain.stderr.is_ascii(), "{}", String::from_utf8_lossy(&plain.stderr));
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = full();
    for args in
        [&["summary", "m.model"][..], &["run", "m.model", "--input", "normal[2000,4]", "--json"], &["graph", "m.model"]]
    {
        let mut child =
            folder.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        drop(child.stdout.take());
        Ran::of(args, child.wait_with_output().expect("it ends")).ends(0).refuses(&[]);
    }
    // A run goes on when nobody reads its progress.
    let mut command = folder.command(&["train", "m.model", "--out", "r"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(folder.has("r/last/model.safetensors"));
}

#[test]
fn standard_input_and_output_are_files_too() {
    let folder = full();
    folder.fed(&["check", "-"], MODEL.as_bytes()).ends(0);
    folder.fed(&["check", "-", "--format", "short"], b"model m {").ends(1).refuses(&["<stdin>:1:"]);
    let ran = folder.fed(&["fmt", "-"], MODEL.replace("  relu", " relu").as_bytes()).ends(0);
    assert_eq!(ran.out, MODEL);
    folder.fed(&["fmt", "--check", "-"], MODEL.replace("  relu", " relu").as_bytes()).ends(1);
    folder.fed(&["summary", "-"], MODEL.as_bytes()).ends(0).says(&["head"]);
    folder.fed(&["run", "-", "--input", "ones[1,4]"], MODEL.as_bytes()).ends(0).says(&["out"]);
    folder.fed(&["summary", "/dev/stdin#small"], TWO.as_bytes()).ends(0);
    folder.fed(&["train", "-"], MODEL.as_bytes()).ends(0).says(&["checkpoint runs/m/last/model.safetensors"]);
    let direct = folder.command(&["init", "m.model", "--seed", "3", "-o", "-"]).output().expect("the program starts");
    folder.run(&["init", "m.model", "--seed", "3", "-o", "w.safetensors"]).ends(0);
    assert_eq!(direct.stdout, folder.read("w.safetensors"));
    folder.run(&["init", "m.model", "-o", "-", "--json"]).ends(2).refuses(&["standard output"]);
}

#[test]
fn fmt_rewrites_says_and_shows() {
    let folder = full();
    folder.put("u.model", MODEL.replace("  relu", " relu"));
    folder.run(&["fmt", "--check", "u.model", "m.model"]).ends(1).refuses(&["would change u.model"]);
    folder.run(&["fmt", "--diff", "u.model"]).ends(1).says(&["- relu", "+  relu"]);
    folder.run(&["fmt", "u.model"]).ends(0);
    assert_eq!(folder.read("u.model"), MODEL.as_bytes());
    folder.put("b.model", "model m {{{");
    folder.run(&["fmt", "b.model", "u.model"]).ends(1).refuses(&["b.model"]);
    assert_eq!(folder.read("b.model"), b"model m {{{");
}

#[test]
fn a_file_of_several_models_wants_a_name() {
    let folder = full();
    for verb in [&["summary"][..], &["graph"], &["init", "-o", "w.safetensors"], &["run", "--input", "ones[1,4]"]] {
        let with = |file| [verb, &[file]].concat();
        folder.run(&with("two.model")).ends(2).refuses(&["two.model#big", "two.model#small"]);
        folder.run(&with("two.model#big")).ends(0);
        assert_ne!(folder.run(&with("two.model#middle")).code, 0);
    }
    folder.run(&["train", "two.model#big"]).ends(2).refuses(&["train section"]);
    for verb in ["check", "summary", "train", "graph"] {
        let near = ["no model or train section `smal`", "did you mean two.model#small?", "two.model#big"];
        folder.run(&[verb, "two.model#smal"]).ends(2).refuses(&near);
        folder.run(&[verb, "two.model#xyz"]).ends(2).refuses(&["there is two.model#big, two.model#small"]);
    }
    folder.run(&["train", "two.model"]).ends(2).refuses(&["has no train section"]);
    folder.put("none.model", "dim batch\n");
    folder.run(&["summary", "none.model"]).ends(2).refuses(&["holds no model"]);
    folder.put(
        "runs.model",
        format!("{MODEL}\ntrain fast: m {{\n  target y: i64[batch]\n  loss cross_entropy\n  steps 2\n}}\n"),
    );
    folder.run(&["train", "runs.model"]).ends(2).refuses(&["runs.model#fast", "runs.model#m"]);
    folder.run(&["train", "runs.model#fast", "--data", "d.csv"]).ends(0).says(&["step 2", "runs/fast/last"]);
}

#[test]
fn unknown_names_get_near_ones() {
    let folder = full();
    folder.run(&["summary", "m.model", "--bind", "bach=3"]).ends(2).refuses(&["`batch`"]);
    folder.run(&["run", "m.model", "--input", "xx=ones[1,4]"]).ends(2).refuses(&["no input `xx`"]);
    folder.run(&["run", "m.model", "--inptu", "ones[1,4]"]).ends(2).refuses(&["--input"]);
    folder.run(&["graph", "m.model", "--stage", "falt"]).ends(2).refuses(&["flat"]);
    folder.run(&["graph", "m.model", "--format", "png"]).ends(2).refuses(&["svg", "mermaid"]);
    folder.run(&["train", "m.model", "--data", "d.parquet"]).ends(2).refuses(&["d.parquet", ".csv"]);
    folder.run(&["train", "m.model", "--data", "none.csv"]).ends(2).refuses(&["none.csv: no such file"]);
}

#[test]
fn a_run_is_never_overwritten_by_accident() {
    let folder = full();
    let train = |args: &[&str]| folder.run(&[&["train", "m.model"], args].concat());
    train(&["--out", "r"]).ends(0);
    let bytes = folder.read("r/last/resume.safetensors");
    train(&["--out", "r", "--seed", "5"]).ends(2).refuses(&["r holds a run already", "--resume", "--anew"]);
    assert_eq!(folder.read("r/last/resume.safetensors"), bytes);
    train(&["--out", "r", "--resume"]).ends(0).says(&["nothing to do", "r/last/model.safetensors"]);
    assert_eq!(folder.read("r/last/resume.safetensors"), bytes);
    train(&["--out", "r", "--resume", "--steps", "9"]).ends(0).says(&["step 9"]);
    train(&["--out", "r", "--anew", "--seed", "5"]).ends(0);
    assert_ne!(folder.read("r/last/resume.safetensors"), bytes);
    train(&["--out", "r", "--resume", "--seed", "6"]).ends(2).refuses(&["train::seed", "5"]);
    let differs = ["train::resume", "other settings: d = 9 (was 8)"];
    train(&["--out", "r", "--resume", "--set", "d=9"]).ends(2).refuses(&differs);
    let differs = ["other settings: batch = 2 (was 4)"];
    train(&["--out", "r", "--resume", "--set", "train.batch=2"]).ends(2).refuses(&differs);
    train(&["--out", "none", "--resume"]).ends(2).refuses(&["none holds no run", "leave --resume out"]);
    // A run that begins anew leaves no checkpoint of the old one, and nothing else is touched.
    train(&["--out", "s", "--set", "train.save=2", "--set", "train.valid=0.5"]).ends(0);
    folder.put("s/step-000002/mine.txt", "kept");
    assert!(folder.has("s/step-000004/model.safetensors") && folder.has("s/best/resume.safetensors"));
    train(&["--out", "s", "--anew", "--steps", "1"]).ends(0);
    assert!(!folder.has("s/step-000004") && !folder.has("s/best") && folder.has("s/last/model.safetensors"));
    assert!(folder.has("s/step-000002/mine.txt") && !folder.has("s/step-000002/model.safetensors"));
    // Without --out each run has a folder of its own, and a resume means the last.
    train(&[]).ends(0).says(&["checkpoint runs/m/last"]);
    train(&[]).ends(0).says(&["checkpoint runs/m-2/last"]);
    train(&["--resume", "--steps", "8"]).ends(0).says(&["step 8", "checkpoint runs/m-2/last"]);
}

#[test]
fn the_best_is_said_beside_the_last() {
    let folder = full();
    // The rate is absurd: the held-out loss only rises after a while.
    let wild = ["train", "m.model", "--out", "r", "--set", "train.valid=0.5", "--set", "train.eval_every=1"];
    let wild = [&wild[..], &["--set", "train.optimizer=sgd(lr = 30)"]].concat();
    let ran = folder.run(&wild).ends(0).says(&["best after step 3 (held-out loss ", "r/best/model.safetensors"]);
    let best: f64 = ran
        .out
        .split("held-out loss ")
        .nth(2)
        .and_then(|t| t.split(',').next())
        .expect("a loss")
        .parse()
        .expect("a number");
    let eval = ["eval", "m.model", "--weights", "r/best/model.safetensors", "--json", "--set", "train.valid=0.5"];
    let loss = folder.run(&eval).ends(0).json()["results"]["loss"].as_f64().expect("a loss");
    assert!((best - loss).abs() < 1e-3, "{best} was said, and {loss} is kept");
    let json = folder.run(&[&wild[..], &["--anew", "--json"]].concat()).ends(0).json();
    assert_eq!((&json["best"]["step"], &json["best"]["checkpoint"]), (&3.into(), &"r/best/model.safetensors".into()));
    // Also where an earlier run had it.
    let ran = folder.run(&[&wild[..], &["--resume", "--steps", "8"]].concat()).ends(0);
    ran.says(&["best after step 3 (held-out loss ", "r/best/model.safetensors"]);
}

#[test]
fn sizes_that_break_a_fact_are_refused_before_the_start() {
    let folder = Box::new();
    let text = "dim batch, seq
model m(ctx = 16) : (t: i64[batch, seq]) -> f32[batch, seq, 50] where seq <= ctx {
  embedding(50, 8)
  linear(50)
}
train m {
  target y = t |> next
  loss cross_entropy
  data text(\"t.txt\")
  batch 2
  seq 8
  steps 2
}
";
    folder.put("m.model", text);
    folder.put("t.txt", "so it goes. ".repeat(50));
    folder.run(&["train", "m.model", "--out", "r"]).ends(0);
    let fact = ["train::size", "seq = 20 breaks `seq <= ctx`, ctx = 16"];
    folder.run(&["train", "m.model", "--set", "train.seq=20", "--out", "s"]).ends(2).refuses(&fact);
    assert!(!folder.has("s"));
    let weights = ["eval", "m.model", "--set", "train.seq=20", "--weights", "r/last/model.safetensors"];
    folder.run(&weights).ends(2).refuses(&fact);
    folder.run(&["summary", "m.model"]).ends(0).says(&["needs               seq <= ctx "]);
    let input = ["run", "m.model", "-i", "zeros[1,20]"];
    folder.run(&input).ends(2).refuses(&["seq = 20 breaks `seq <= ctx`, ctx = 16"]);
}

#[test]
fn the_folder_does_not_show_in_the_bytes() {
    let (one, other) = (full(), full());
    one.run(&["train", "m.model", "--out", "r", "--threads", "1"]).ends(0);
    let file = one.0.join("m.model");
    let out = other.0.join("deep/er");
    let path = |path: &Path| path.to_string_lossy().into_owned();
    other.run(&["train", &path(&file), "--out", &path(&out), "--threads", "2"]).ends(0);
    for name in ["last/model.safetensors", "last/resume.safetensors", "metrics.jsonl"] {
        assert!(one.read(&format!("r/{name}")) == other.read(&format!("deep/er/{name}")), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_ends_with_130() {
    let folder = full();
    let args = ["train", "m.model", "--steps", "100000000", "--out", "r"];
    let mut command = folder.command(&args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    // Once the log is there the run has begun.
    for _ in 0..200 {
        if folder.has("r/last/model.safetensors") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let begun = std::time::Instant::now();
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(killed.success());
    let ran = Ran::of(&args, child.wait_with_output().expect("it ends")).ends(130).says(&["interrupted, and saved"]);
    assert!(begun.elapsed().as_secs() < 2, "{}", ran.out);
    folder.run(&["train", "m.model", "--steps", "1", "--out", "r", "--resume"]).ends(0).says(&["nothing to do"]);
}

#[test]
fn a_run_that_diverges_ends_with_1_and_names_the_tensor() {
    let folder = full();
    let ran = folder.run(&["train", "m.model", "--set", "train.optimizer=sgd(lr = 1e30)", "--out", "r"]).ends(1);
    for word in ["train::diverged", "step ", "not finite", "help: "] {
        assert!(ran.err.contains(word), "{}", ran.err);
    }
    assert!(ran.err.contains(".out") || ran.err.contains("gradient of"), "{}", ran.err);
}

#[test]
fn what_no_machine_can_hold_is_refused_at_once() {
    let folder = full();
    folder.put("g.model", MODEL.replace("d = 8", "d = 40_000_000_000"));
    let begun = std::time::Instant::now();
    for args in [
        &["run", "g.model", "--input", "ones[1,4]"][..],
        &["train", "g.model", "--out", "r"],
        &["init", "g.model", "-o", "w.safetensors"],
    ] {
        let ran = folder.run(args);
        assert!(ran.code == 2 && ran.err.contains("limit::memory"), "{}: {} {}", ran.args, ran.code, ran.err);
    }
    assert!(!folder.has("r") && !folder.has("w.safetensors"));
    assert!(begun.elapsed().as_secs() < 5);
    // A batch whose values are too many.
    folder.run(&["run", "m.model", "--input", "ones[900_000_000,4]"]).ends(2);
    folder.run(&["run", "-e", "relu", "--input", "ones[4000000000000]"]).ends(2);
}

#[test]
fn hostile_inputs_are_refused_with_their_place() {
    let folder = full();
    folder.put("x.npy", npy(&[2, 4], &[1.0; 8]));
    folder.put("wide.npy", npy(&[2, 5], &[1.0; 10]));
    folder.put("deep.npy", npy(&[2, 4, 1], &[1.0; 8]));
    folder.put("nan.npy", npy(&[2, 4], &[f32::NAN; 8]));
    let run = |input: &str| folder.run(&["run", "m.model", "--input", input]);
    run("x.npy").ends(0);
    run("nan.npy").ends(0).says(&["NaN"]);
    run("wide.npy").ends(2).refuses(&["`x`", "4", "5"]);
    run("deep.npy").ends(2).refuses(&["`x`", "[2, 4, 1]"]);
    run("none.npy").ends(2).refuses(&["none.npy"]);
    run("[1, 2").ends(2);
    run("[[1, 2], [3]]").ends(2);
    run("m.model").ends(2).refuses(&["m.model"]);
    folder.run(&["run", "m.model"]).ends(2).refuses(&["`x`", "--input x=VALUE"]);
    folder.run(&["run", "-e", "relu"]).ends(2).refuses(&["nothing flows into `relu`", "-i 'x=[[1, 2, 3]]'"]);
    folder.run(&["run", "-e", "range(3)"]).ends(0).says(&["out  i64[3]"]);
    for number in ["1e400", "-1e400", "[1, 1e999]"] {
        let given = format!("x={number}");
        folder.run(&["run", "-e", "relu", "-i", &given]).ends(2).refuses(&["larger than any float"]);
    }
    folder.run(&["run", "-e", "relu", "-i", "x=[inf, -inf]"]).ends(0).says(&["inf"]);
    folder.run(&["run", "m.model", "-i", "x.npy", "--seed", "-1"]).ends(2).refuses(&["a seed is a whole number"]);
    folder.run(&["run", "m.model", "-i", "x.npy", "--seed", "x"]).ends(2).refuses(&["a seed is a whole number"]);
    folder.run(&["run", "m.model", "-i", "x.npy", "--threads", "0"]).ends(2).refuses(&["from 1 to 1024 threads"]);
    let many = folder.run(&["run", "m.model", "-i", "x.npy", "--threads", "1000"]).ends(0);
    assert!(many.err.starts_with("note: 1000 threads share "), "{}", many.err);
    // An input that nothing uses is part of the signature all the same.
    folder.put(
        "u.model",
        MODEL
            .replace("(x: f32[batch, 4])", "(x: f32[batch, 4], z: f32[batch])")
            .replace("  a = linear", "  a = x |> linear"),
    );
    folder.run(&["check", "u.model"]).ends(0);
    folder.run(&["run", "u.model", "-i", "ones[2,4]", "-i", "ones[2]"]).ends(0).says(&["out  f32[2, 3]"]);
    let sizes = folder.run(&["run", "u.model", "-i", "ones[2,4]", "-i", "ones[3]"]);
    sizes.ends(2).refuses(&["`batch` is 2 in `x` and 3 in `z`"]);
    // What was converted is said once.
    folder.put("half.npy", half_npy(&[2, 4]));
    let half = folder.run(&["run", "-e", "linear(3)", "-i", "half.npy"]).ends(0);
    assert_eq!(half.err.matches("f16 was read as f32").count(), 1, "{}", half.err);
    // Numbers never replace a model's text; a folder is no file, and a file no folder.
    folder.run(&["init", "m.model", "-o", "m.model"]).ends(2).refuses(&["overwritten by numbers"]);
    folder.run(&["init", "m.model", "-o", "m.model/w.safetensors"]).ends(2).refuses(&["a file"]);
    folder.run(&["init", "m.model", "-o", "."]).ends(2).refuses(&["is a folder"]);
    folder.run(&["train", "m.model", "--out", "d.csv"]).ends(2).refuses(&["d.csv is a file", "give --out a folder"]);
    folder.run(&["train", "m.model", "--out", "d.csv/r"]).ends(2).refuses(&["is a file, not a folder"]);
    folder.run(&["run", "m.model", "--input", "x.npy", "--input", "x.npy"]).ends(2).refuses(&["only 1 input"]);
    folder.run(&["run", "m.model", "--input", "x=x.npy", "--input", "x=x.npy"]).ends(2).refuses(&["twice"]);
    folder.run(&["run", "m.model", "--input", "x.npy", "--grad"]).ends(2).refuses(&["--cotangent"]);
    folder.run(&["run", "m.model", "--input", "x.npy", "--grad", "--cotangent", "ones[3]"]).ends(2);
    let whole = folder.read("x.npy");
    for cut in 0..whole.len() {
        folder.put("cut.npy", &whole[..cut]);
        if cut % 7 == 0 || cut < 12 || cut > whole.len() - 3 {
            run("cut.npy").ends(2).refuses(&["cut.npy"]);
        }
    }
}

#[test]
fn hostile_weights_are_refused() {
    let folder = full();
    folder.run(&["init", "m.model", "-o", "w.safetensors"]).ends(0);
    let whole = folder.read("w.safetensors");
    let run = |file: &str| folder.run(&["run", "m.model", "--input", "ones[1,4]", "--weights", file]);
    let eval = |file: &str| folder.run(&["eval", "m.model", "--weights", file]);
    run("w.safetensors").ends(0);
    eval("w.safetensors").ends(0);
    run("none.safetensors").ends(2).refuses(&["none.safetensors"]);
    folder.run(&["eval", "m.model"]).ends(2).refuses(&["--weights"]);
    for cut in [0, 1, 7, 8, 9, 40, whole.len() / 2, whole.len() - 1] {
        folder.put("cut.safetensors", &whole[..cut]);
        run("cut.safetensors").ends(2).refuses(&["cut.safetensors"]);
        eval("cut.safetensors").ends(2).refuses(&["cut.safetensors"]);
    }
    for at in (0..whole.len()).step_by(whole.len() / 9) {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        folder.put("flip.safetensors", flipped);
        run("flip.safetensors").ends(2).refuses(&["flip.safetensors"]);
    }
    folder.run(&["init", "m.model", "--set", "d=9", "-o", "nine.safetensors"]).ends(0);
    run("nine.safetensors").ends(2).refuses(&["a.weight", "9", "8"]);
    folder.run(&["init", "two.model#big", "-o", "two.safetensors"]).ends(0);
    eval("two.safetensors").ends(2).refuses(&["head.weight", "linear.weight"]);
}

#[test]
fn hostile_tables_are_refused_with_their_line() {
    let folder = full();
    let good: Vec<String> = table(10).lines().map(String::from).collect();
    for (row, word) in [
        ("1,2,3,4,7", "`y`"),
        ("1,2,3,4,-1", "`y`"),
        ("1,2,3,4,0.5", "`y`"),
        ("1,2,3,4", "cells"),
        ("1,2,three,4,1", "three"),
        ("1,2,nan,4,1", "nan"),
        ("1,2,inf,4,1", "inf"),
        ("1,2,1e400,4,1", "1e400"),
        ("1,2,,4,1", "empty"),
    ] {
        let mut lines = good.clone();
        lines[5] = row.into();
        folder.put("d.csv", lines.join("\n"));
        folder.run(&["train", "m.model", "--out", "r"]).ends(2).refuses(&["d.csv, line 6", word]);
        assert!(!folder.has("r"), "{row}: something was written");
    }
    folder.put("d.csv", "");
    folder.run(&["train", "m.model"]).ends(2).refuses(&["d.csv"]);
    folder.put("d.csv", "a,b,c,d,y\n");
    folder.run(&["train", "m.model"]).ends(2).refuses(&["d.csv", "no row"]);
    folder.put("d.csv", "a,b,c,y\n1,2,3,0\n");
    folder.run(&["train", "m.model"]).ends(2).refuses(&["d.csv", "3", "4"]);
    folder.put("n.model", MODEL.replace("  data   csv(\"d.csv\")\n", ""));
    folder.run(&["train", "n.model"]).ends(2).refuses(&["train::data", "--data"]);
    folder.put("f.model", MODEL.replace("  seed   1", "  freeze \"haed.*\""));
    folder.put("d.csv", table(10));
    folder.run(&["train", "f.model"]).ends(1).refuses(&["haed.*"]);
}

#[test]
fn a_new_model_is_a_template_under_its_own_name() {
    let folder = Box::new();
    let ran = folder.run(&["new", "first"]).ends(0).says(&[
        "wrote first.model",
        "wythe check first.model",
        "wythe train first.model",
    ]);
    assert!(ran.err.is_empty());
    folder.run(&["check", "first.model"]).ends(0);
    folder.run(&["summary", "first.model"]).ends(0).says(&["first(d = 96"]);
    folder.run(&["train", "first.model", "--steps", "1", "--out", "r"]).ends(0).says(&["step 1"]);
    let before = folder.read("first.model");
    folder.run(&["new", "first", "--template", "gpt"]).ends(2).refuses(&["first.model is there already"]);
    assert_eq!(folder.read("first.model"), before);
    folder.run(&["new", "nets/deep.model", "-t", "deepnet"]).ends(0).says(&["nets/deep.model", "deepnet"]);
    folder.run(&["check", "nets/deep.model"]).ends(0);
    let list = folder.run(&["new", "--list"]).ends(0).says(&["digits", "gpt", "resnet18", "twotower"]).out;
    for line in list.lines() {
        let name = line.split(' ').next().expect("a name");
        folder.run(&["new", &format!("t_{name}"), "-t", name]).ends(0);
        let checked = folder.run(&["check", &format!("t_{name}.model")]).ends(0);
        assert!(checked.err.is_empty() && checked.out.is_empty(), "{name}: {}", checked.err);
    }
    folder.run(&["new"]).ends(2).refuses(&["wants a name", "wythe new first", "--template", "twotower"]);
    folder.run(&["new", "x", "-t", "resnet81"]).ends(2).refuses(&["did you mean `resnet18`?"]);
    for name in ["2x", "model", "a-b", "a b"] {
        folder.run(&["new", name]).ends(2).refuses(&["cannot name a model"]);
        assert!(!folder.has(&format!("{name}.model")));
    }
    assert_eq!(folder.run(&["new", "j", "--json"]).ends(0).json()["file"], "j.model");
    assert!(folder.run(&["new", "--list", "--json"]).ends(0).json()["templates"].is_array());
}

#[test]
fn shells_and_man_get_their_pages() {
    let folder = Box::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = folder.run(&["completions", shell]).ends(0).out;
        for verb in ["check", "train", "graph", "completions"] {
            assert!(script.contains(verb), "{shell} knows no {verb}");
        }
    }
    folder.run(&["completions", "tcsh"]).ends(2).refuses(&["bash"]);
    let page = folder.run(&["man"]).ends(0).out;
    assert!(page.contains(".TH wythe 1") && page.contains("wythe\\-train(1)"), "{page}");
    let page = folder.run(&["man", "train"]).ends(0).out;
    assert!(page.contains(".TH wythe-train 1") && page.contains("\\-\\-resume"), "{page}");
    folder.run(&["man", "trian"]).ends(2).refuses(&["did you mean `train`?"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_does_not_wait_for_an_evaluation() {
    let folder = full();
    // One step, and then an evaluation of very many rows by a wide model.
    folder.put("big.csv", table(60_000));
    let model = MODEL.replace("csv(\"d.csv\")", "csv(\"big.csv\")").replace("  batch  4", "  batch  1\n  valid  0.999");
    folder.put("big.model", model.replace("d = 8", "d = 300").replace("  relu", "  relu; linear(300); relu"));
    // Saving takes as long as the disk wants: the best of three.
    let waited: Vec<u128> = (0..3).map(|run| interrupted(&folder, &format!("r{run}"))).collect();
    assert!(waited.iter().any(|&milliseconds| milliseconds < 2000), "{waited:?}");
}

/// How many milliseconds a run takes to end that is interrupted while it evaluates.
#[cfg(unix)]
fn interrupted(folder: &Box, out: &str) -> u128 {
    let args = ["train", "big.model", "--steps", "2", "--set", "train.eval_every=1", "--out", out];
    let mut command = folder.command(&args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    // The log begins with the run; the first evaluation with the first step.
    let log = format!("{out}/metrics.jsonl");
    for _ in 0..600 {
        if folder.has(&log) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let begun = std::time::Instant::now();
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(killed.success());
    let ran = Ran::of(&args, child.wait_with_output().expect("it ends")).ends(130).says(&["interrupted, and saved"]);
    assert!(!ran.out.contains("held-out"), "the evaluation was over already: {}", ran.out);
    begun.elapsed().as_millis()
}
