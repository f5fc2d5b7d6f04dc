//! What is made of a run: text, pictures, tables, comparisons.

use super::limit::{Folder, limited};
use super::world::table;

const LETTERS: &str = "dim batch, seq
model m(d = 16) : (tokens: i64[batch, seq]) -> f32[batch, seq, 12] {
  layer wte = embedding(12, d)
  tokens |> wte
  residual pre layernorm { attention(2, causal = true) }
  residual pre layernorm { linear(2 * d); gelu; linear(d) }
  layernorm
  linear(12)
}
train m {
  data text(\"t.txt\"); target y = tokens |> next; loss cross_entropy; optimizer adamw(lr = 1e-2); batch 8; seq 11; steps 60
}
";

fn run(folder: &Folder, args: &[&str]) -> (i32, String, String) {
    let done = limited(&folder.0, ":", args).output().expect("a shell starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
}

#[test]
fn a_text_is_continued_as_it_was_learned() {
    let folder = Folder::new("generate");
    folder.put("m.model", LETTERS);
    folder.put("t.txt", "abcdefghijk ".repeat(100));
    let weights = "r/last/model.safetensors";
    let (code, _, err) = run(&folder, &["train", "m.model", "--out", "r", "--threads", "1"]);
    assert_eq!(code, 0, "{err}");
    let go = |more: &[&str]| run(&folder, &[&["generate", "m.model", "--weights", weights], more].concat());
    // The text repeats itself, longer than the model looks back: whoever learned it goes on for ever.
    let (code, out, err) = go(&["--prompt", "abcde", "--length", "40", "--temperature", "0"]);
    assert_eq!((code, out.as_str()), (0, &*format!("{}\n", &"abcdefghijk ".repeat(4)[..45])), "{err}");
    let drawn =
        |seed: &str, more: &[&str]| go(&[&["--prompt", "a", "--temperature", "5", "--seed", seed], more].concat()).1;
    assert_eq!(drawn("1", &[]), drawn("1", &["--threads", "2"]));
    assert_ne!(drawn("1", &[]), drawn("2", &[]));
    assert_eq!(drawn("1", &["--top-k", "1"]), drawn("2", &["--top-k", "1"]));
    let (code, _, err) = go(&["--prompt", "abz"]);
    assert!(code == 2 && err.contains("--prompt, byte 2: 'z' is none of the 12 characters"), "{err}");
    // Another text is numbered as the first: by the checkpoint, not by its own letters.
    folder.put("other.txt", "defghijk abc".repeat(20));
    let (code, out, err) = run(&folder, &["eval", "m.model", "--weights", weights, "--data", "other.txt", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{code} {err}"));
    assert!(json["results"]["accuracy"].as_f64().expect("a share") > 0.6, "{out}");
    folder.put("other.txt", "defghijk xyz".repeat(20));
    let (code, _, err) = run(&folder, &["eval", "m.model", "--weights", weights, "--data", "other.txt"]);
    assert!(code == 2 && err.contains("other.txt, byte 9: 'x' is none of"), "{err}");
}

const ROWS: &str = "dim batch
model m(d = 4) : (x: f32[batch, 6]) -> f32[batch, 3] { linear(d); relu; linear(3) }
train m { target y: i64[batch]; loss cross_entropy; data csv(\"d.csv\"); batch 8; steps 9; valid 0.2; eval_every 3 }
";

#[test]
fn curves_of_runs_are_drawn_and_written() {
    let folder = Folder::new("plot");
    folder.put("m.model", ROWS);
    folder.put("d.csv", table(30, 6));
    for (out, seed) in [("a", "1"), ("b,\"c", "2")] {
        assert_eq!(run(&folder, &["train", "m.model", "--out", out, "--seed", seed]).0, 0);
    }
    let (code, out, err) = run(&folder, &["plot", "a", "b,\"c/metrics.jsonl", "-o", "p/l.svg", "--csv", "m.csv"]);
    assert_eq!((code, out.as_str()), (0, "p/l.svg\nm.csv\n"), "{err}");
    let svg = std::fs::read_to_string(folder.0.join("p/l.svg")).expect("a picture");
    assert!(
        svg.starts_with("<svg ")
            && svg.contains("b,&quot;c/metrics.jsonl valid.loss")
            && svg.contains(">optimizer steps<")
    );
    assert_eq!(svg.matches("class=\"curve").count(), 8, "four curves, and the legend");
    // The table says what the log says.
    let mut reader = csv::Reader::from_path(folder.0.join("m.csv")).expect("a table");
    let head: Vec<String> = reader.headers().expect("a header").iter().map(String::from).collect();
    assert_eq!(head, ["run", "step", "grad_norm", "loss", "lr", "valid.accuracy", "valid.loss"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("whole")).collect();
    assert_eq!((rows.len(), &rows[9][0], &rows[9][1]), (18, "b,\"c/metrics.jsonl", "1"));
    let log = std::fs::read_to_string(folder.0.join("a/metrics.jsonl")).expect("a log");
    for (line, row) in log.lines().zip(&rows) {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["loss"].as_f64(), row[3].parse().ok(), "{line}");
        assert_eq!(line["valid"]["loss"].as_f64(), row[6].parse().ok(), "{line}");
    }
    let (code, _, err) = run(&folder, &["plot", "a", "--value", "los", "-o", "x.svg"]);
    assert!(code == 2 && err.contains("did you mean `loss`?"), "{err}");
    folder.put("bad/metrics.jsonl", "{\"step\":1,\"loss\":1}\nnothing\n");
    let (code, _, err) = run(&folder, &["plot", "bad", "-o", "x.svg"]);
    assert!(code == 2 && err.contains("bad/metrics.jsonl, line 2: "), "{err}");
    assert!(run(&folder, &["plot", "none", "-o", "x.svg"]).2.contains("none/metrics.jsonl: no such file"));
}

#[test]
fn a_sweep_is_what_its_runs_are() {
    let folder = Folder::new("sweep");
    let watched = format!("{}; watch \"linear_2.*\"\n}}\n", ROWS.trim_end().trim_end_matches('}').trim_end());
    folder.put("m.model", &watched);
    folder.put("d.csv", table(30, 6));
    let sweep =
        ["sweep", "m.model", "--set", "d=4,8", "--set", "train.optimizer=sgd(lr = 0.1, momentum = 0.9),sgd(lr = 1e30)"];
    let more = ["--seeds", "3", "--out", "s", "--csv", "s.csv", "-o", "s.svg", "--json"];
    let (code, out, err) = run(&folder, &[&sweep[..], &more].concat());
    assert_eq!(code, 0, "{err}");
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let rows = json["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    assert_eq!(rows.iter().map(|row| row["diverged"].as_u64().expect("a number")).collect::<Vec<_>>(), [0, 3, 0, 3]);
    let losses: Vec<f64> =
        rows[2]["results"]["valid.loss"].as_array().expect("three").iter().filter_map(|x| x.as_f64()).collect();
    // Each is what a run by hand gives.
    for (seed, loss) in losses.iter().enumerate() {
        let seed = seed.to_string();
        let optimizer = "train.optimizer=sgd(lr = 0.1, momentum = 0.9)";
        let args =
            ["train", "m.model", "--set", "d=8", "--set", optimizer, "--seed", &seed, "--anew", "--out", "r", "--json"];
        let json: serde_json::Value = serde_json::from_str(&run(&folder, &args).1).expect("JSON");
        assert_eq!(json["valid"]["loss"].as_f64(), Some(*loss), "seed {seed}");
    }
    let mut sorted = losses;
    sorted.sort_by(f64::total_cmp);
    let text = std::fs::read_to_string(folder.0.join("s.csv")).expect("a table");
    let head: Vec<&str> = text.lines().next().expect("a header").split(',').collect();
    let at = head.iter().position(|name| *name == "valid.loss.median").expect("a column");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let third = reader.records().nth(2).expect("a row").expect("whole");
    let of = |i: usize| third[at + i].parse::<f64>().expect("a number");
    assert_eq!([of(0), of(1), of(2)], [sorted[1], sorted[0], sorted[2]]);
    // What stood before the first step is in the log of each run.
    let logs: Vec<serde_json::Value> = (0..3)
        .map(|seed| {
            let name = format!("s/d=8,train.optimizer=sgd(lr=0.1,momentum=0.9),seed={seed}/metrics.jsonl");
            let text = std::fs::read_to_string(folder.0.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            serde_json::from_str(text.lines().next().expect("a line")).expect("JSON")
        })
        .collect();
    let logged = |of: fn(&serde_json::Value) -> Option<f64>| logs.iter().filter_map(of).collect::<Vec<f64>>();
    let told = |name: &str| {
        let values = rows[2]["results"][name].as_array().unwrap_or_else(|| panic!("no {name} in {}", rows[2]));
        values.iter().filter_map(serde_json::Value::as_f64).collect::<Vec<f64>>()
    };
    let close = |a: &[f64], b: &[f64]| a.len() == 3 && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(close(&told("start.loss"), &logged(|row| row["loss"].as_f64())), "{logs:?}");
    let norms = logged(|row| row["grad_norms"]["linear_2.*"].as_f64());
    assert!(close(&told("start.grad_norms.linear_2.*"), &norms), "{logs:?}");
    assert!(
        std::fs::read_to_string(folder.0.join("s.svg")).expect("a picture").contains("median and reach of 3 seeds")
    );
    let other = ["sweep", "m.model", "--set", "d=4", "--steps", "1", "--out", "t", "-o", "t.svg", "--value"];
    let (code, _, err) = run(&folder, &[&other[..], &["start.los"]].concat());
    assert!(code == 2 && err.contains("no column `start.los`") && err.contains("`start.loss`"), "{code} {err}");
    let (code, _, err) = run(&folder, &[&other[..], &["start.grad_norms.linear_2.*", "--value", "loss"]].concat());
    assert_eq!(code, 0, "{err}");
    let picture = std::fs::read_to_string(folder.0.join("t.svg")).expect("a picture");
    assert!(picture.contains("m: start.grad_norms.linear_2.*, loss"));
    let (code, _, err) = run(&folder, &["sweep", "m.model", "--set", "dd=4,8"]);
    assert!(code == 1 && err.contains("dd"), "{code} {err}");
}
