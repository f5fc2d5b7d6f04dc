//! `wythe gradcheck`: right gradients pass, kinks are told apart, and what has no gradient is refused.
#![cfg(feature = "cli")]

use serde_json::Value;
use std::process::{Command, Output};

/// Checks a text with these arguments.
fn gradcheck(name: &str, text: &str, args: &[&str]) -> Output {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("gradcheck-{name}-{}.model", std::process::id()));
    std::fs::write(&file, text).expect("a file can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_wythe"));
    let done = command.arg("gradcheck").arg(&file).args(args).env("NO_COLOR", "1").output();
    let _ = std::fs::remove_file(&file);
    done.expect("the program starts")
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

/// Embedding, attention, norms, a gated unit, dropout and a loss.
const MODEL: &str = "dim batch, seq
model m : (tokens: i64[batch, seq], target: i64[batch, seq]) -> f32[] {
  h = tokens |> embedding(5, 8)
  y = h |> residual pre rmsnorm { attention(2, causal = true) } |> linear(12) |> swiglu |> dropout(0.25) |> linear(5)
  (y, target) |> cross_entropy
}
";

#[test]
fn a_model_s_gradients_are_its_differences() {
    for mode in ["eval", "train"] {
        let done = gradcheck(mode, MODEL, &["--mode", mode, "--json", "--elements", "6"]);
        assert!(done.status.success(), "{}", said(&done));
        let found: Value = serde_json::from_slice(&done.stdout).expect("it is JSON");
        assert_eq!(found["wrong"], 0);
        let tensors = found["tensors"].as_array().expect("a list");
        let names: Vec<&str> = tensors.iter().filter_map(|tensor| tensor["name"].as_str()).collect();
        assert!(names.iter().any(|name| name.ends_with("in_proj_weight")) && names.len() > 6, "{names:?}");
        // Something flows to each of them.
        let moves = |tensor: &Value| {
            let pairs = tensor["pairs"].as_array().expect("a list");
            pairs.iter().any(|pair| pair["gradient"].as_f64() != Some(0.0))
        };
        assert!(tensors.iter().filter(|tensor| !moves(tensor)).count() <= 1, "{found}");
    }
    let some = gradcheck("some", MODEL, &["--param", "h.*"]);
    assert!(said(&some).contains("of 1 tensor\n"), "{}", said(&some));
    let none = gradcheck("none", MODEL, &["--param", "h.weigth"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(said(&none).contains("fits no parameter: did you mean `"), "{}", said(&none));
}

#[test]
fn a_tolerance_that_is_too_small_is_wrong_and_named() {
    let text = "model m : (x: f32[3]) -> f32[3] { exp }\n";
    let done = gradcheck("tight", text, &["--tolerance", "1e-12", "--eps", "1e-2"]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("WRONG") && said(&done).contains("backward says"), "{}", said(&done));
}

#[test]
fn kinks_are_told_with_their_place() {
    let text = "dim n\nmodel m : (x: f32[n]) -> f32[n] { bend = relu }\n";
    let done = gradcheck("kink", text, &["--input", "[0, 0.000003, 2]"]);
    assert!(done.status.success(), "{}", said(&done));
    for part in ["[0]: a kink: ", "backward takes 0.000000", "[1]: beside a kink", "kinks can lie in `bend`"] {
        assert!(said(&done).contains(part), "{part}\n{}", said(&done));
    }
    let text = "model m : (x: f32[2]) -> f32[2] { step }\n";
    let done = gradcheck("jump", text, &["--input", "[0, 1]"]);
    assert!(said(&done).contains("[0]: the function jumps here"), "{}", said(&done));
}

#[test]
fn what_has_no_gradient_is_refused_with_its_reason() {
    let refused = [
        ("model m : (x: i64[4]) -> i64[4] { next }\n", "all its outputs are integers or bools"),
        ("model m : (x: i64[4]) -> f32[4] { cast(\"f32\") }\n", "no parameter and no float input"),
        ("model m : (x: f32[4]) -> f32[4] { linear(4) |> detach }\n", "`detach` lets nothing flow back"),
    ];
    for (index, (text, why)) in refused.iter().enumerate() {
        let done = gradcheck(&format!("refused{index}"), text, &[]);
        assert_eq!(done.status.code(), Some(2), "{}", said(&done));
        assert!(said(&done).contains(why), "{}", said(&done));
    }
    let text = "model m : (ids: i64[4]) -> f32[4, 3] { embedding(5, 2, padding_index = 0) |> linear(3) }\n";
    let done = gradcheck("padding", text, &[]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("is not checked: nothing flows to its padding row"), "{}", said(&done));
}

#[test]
fn dims_come_from_values_and_from_bind() {
    let text =
        "dim batch, seq\nmodel m : (x: f32[batch, seq], y: f32[batch, seq]) -> f32[batch, seq] { (x, y) |> mul }\n";
    let shape = |args: &[&str]| {
        let done = gradcheck("dims", text, &[args, &["--json"]].concat());
        let found: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", said(&done)));
        found["tensors"][1]["shape"].to_string()
    };
    assert_eq!(shape(&["--bind", "batch=4,seq=1"]), "[4,1]");
    assert_eq!(shape(&["--input", "x=normal[3,5]"]), "[3,5]");
    let unknown = gradcheck("unknown", text, &["--bind", "bach=3"]);
    assert!(said(&unknown).contains("did you mean `batch`?"), "{}", said(&unknown));
}
