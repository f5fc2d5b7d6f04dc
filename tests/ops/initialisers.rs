//! What parameters begin as: mean, deviation, limits and structure of each initialiser, from its definition.

use crate::model::{Given, Named, compile, model, numbers, tensor};
use wythe::ir::build::Mode;
use wythe::tensor::DType;

/// The parameters that a body begins with, over `f32[2, 200]`.
fn begun(body: &str) -> Named {
    let model =
        model(&format!("model m : (x: f32[2, 200]) {{\n{body}\n}}\n")).unwrap_or_else(|report| panic!("{report}"));
    let mut compiled = compile(&model, Mode::Eval, DType::F32, 1, false);
    compiled.init();
    compiled.parameters()
}

/// A weight `[300, 200]`: 200 inputs, 300 outputs.
fn weight(init: &str) -> Vec<f64> {
    numbers(&begun(&format!("linear(300, bias = false, init = {init})"))["linear.weight"])
}

/// The root of the mean square around a mean.
fn deviation(values: &[f64], mean: f64) -> f64 {
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

#[test]
fn drawn_weights_have_their_mean_deviation_and_limits() {
    let (input, output) = (200f64, 300f64);
    let line = |bound: f64| (0.0, bound / 3f64.sqrt(), -bound, bound);
    let bell = |std: f64| (0.0, std, -6.0 * std, 6.0 * std);
    let root = f64::sqrt;
    // The standard normal cut to [-2, 2] and to [0, 1]: from its density and distribution.
    let cut = (0.0, 0.879_625_661, -2.0, 2.0);
    let cut_more = (0.459_862_2, 0.282_224, 0.0, 1.0);
    let cases = [
        ("zeros", (0.0, 0.0, 0.0, 0.0)),
        ("ones", (1.0, 0.0, 1.0, 1.0)),
        ("constant(0.25)", (0.25, 0.0, 0.25, 0.25)),
        ("uniform", (0.5, 1.0 / root(12.0), 0.0, 1.0)),
        ("uniform(-1, 3)", (1.0, 4.0 / root(12.0), -1.0, 3.0)),
        ("normal", bell(1.0)),
        ("normal(2, mean = 5)", (5.0, 2.0, -7.0, 17.0)),
        ("trunc_normal", cut),
        ("trunc_normal(1, a = 0, b = 1)", cut_more),
        ("trunc_normal(0.02)", bell(0.02)),
        ("xavier_uniform", line(root(6.0 / (input + output)))),
        ("xavier_uniform(gain = 2)", line(2.0 * root(6.0 / (input + output)))),
        ("xavier_normal", bell(root(2.0 / (input + output)))),
        ("xavier_normal(0.5)", bell(0.5 * root(2.0 / (input + output)))),
        ("kaiming_uniform", line(root(2.0) * root(3.0 / input))),
        ("kaiming_uniform(a = 2)", line(root(2.0 / 5.0) * root(3.0 / input))),
        ("kaiming_uniform(nonlinearity = \"tanh\", mode = \"fan_out\")", line(5.0 / 3.0 * root(3.0 / output))),
        ("kaiming_normal(\"relu\")", bell(root(2.0 / input))),
        ("kaiming_normal(\"selu\")", bell(0.75 / root(input))),
        ("kaiming_normal(\"linear\", mode = \"fan_out\")", bell(1.0 / root(output))),
        ("kaiming_normal(\"sigmoid\")", bell(1.0 / root(input))),
        ("lecun_normal", bell(1.0 / root(input))),
        ("lecun_uniform", line(root(3.0 / input))),
    ];
    for (init, (mean, std, low, high)) in cases {
        let values = weight(init);
        let found = values.iter().sum::<f64>() / values.len() as f64;
        assert!((found - mean).abs() <= 5.0 * std / root(values.len() as f64) + 1e-9, "{init}: the mean is {found}");
        let spread = deviation(&values, found);
        assert!((spread - std).abs() <= 0.02 * std + 1e-9, "{init}: the deviation is {spread}, not {std}");
        assert!(values.iter().all(|x| (low - 1e-6..=high + 1e-6).contains(x)), "{init}: outside of {low} … {high}");
        // It reaches to its limits, where it has any.
        let most = values.iter().fold(f64::MIN, |most, &x| most.max(x));
        assert!(high > 5.0 * std || most >= high - 0.05 * (high - low), "{init}: the largest is {most}");
    }
}

#[test]
fn default_weights_are_pytorch_s() {
    let all = begun("a = linear(300)\nb = a |> unsqueeze(1) |> conv(8, 25)\nc = b |> conv_transpose(6, 4)");
    for (path, fan) in [("a", 200.0), ("b", 25.0), ("c", 24.0)] {
        for name in ["weight", "bias"] {
            let (values, bound) = (numbers(&all[&format!("{path}.{name}")]), 1.0 / f64::sqrt(fan));
            assert!(values.iter().all(|x| x.abs() <= bound + 1e-6), "{path}.{name}");
            let spread = deviation(&values, 0.0) / (bound / 3f64.sqrt());
            assert!((spread - 1.0).abs() < 3.0 / (values.len() as f64).sqrt(), "{path}.{name}: {spread}");
        }
    }
    let all = begun(
        "linear(3, bias_init = constant(2))\nunsqueeze(1)\nconv(2, 1, bias_init = ones)\nconv_transpose(2, 1, bias_init = zeros)",
    );
    for (path, value) in [("linear", 2.0), ("conv", 1.0), ("conv_transpose", 0.0)] {
        assert!(numbers(&all[&format!("{path}.bias")]).iter().all(|&x| x == value), "{path}");
    }
}

#[test]
fn orthogonal_weights_are_orthonormal_along_the_shorter_side() {
    for (init, gain) in [("orthogonal", 1.0), ("orthogonal(gain = 2)", 2.0)] {
        let w = weight(init);
        for (a, b) in [(0, 0), (0, 1), (7, 7), (3, 199)] {
            let product: f64 = (0..300).map(|row| w[row * 200 + a] * w[row * 200 + b]).sum();
            let wanted = if a == b { gain * gain } else { 0.0 };
            assert!((product - wanted).abs() < 1e-4, "{init}: columns {a} and {b} give {product}");
        }
    }
}

#[test]
fn sparse_weights_have_their_share_of_zeros_in_each_column() {
    for (init, zeros, std) in [("sparse(0.25, std = 1)", 75, 1.0), ("sparse(0.901)", 271, 0.01)] {
        let w = weight(init);
        let column = |c: usize| (0..300).map(move |row| row * 200 + c);
        assert!((0..200).all(|c| column(c).filter(|&at| w[at] == 0.0).count() == zeros), "{init}");
        let rest: Vec<f64> = w.iter().copied().filter(|&x| x != 0.0).collect();
        assert!((deviation(&rest, 0.0) / std - 1.0).abs() < 0.03, "{init}");
        let first: Vec<bool> = column(0).map(|at| w[at] == 0.0).collect();
        assert!(column(1).map(|at| w[at] == 0.0).ne(first), "{init}: other rows in the next column");
    }
}

#[test]
fn identities_hand_on_what_comes_in() {
    let x: Vec<f64> = (0..24).map(|i| f64::from(i) / 8.0 - 1.0).collect();
    for (shape, stage) in [
        ([1, 4, 6], "conv(4, 3, pad = 1, bias = false, init = dirac)"),
        ([1, 4, 6], "conv(4, 5, pad = 2, groups = 2, bias = false, init = dirac(2))"),
        ([1, 2, 12], "linear(12, bias = false, init = eye)"),
    ] {
        let sizes = shape.map(|n| n.to_string()).join(", ");
        let model =
            model(&format!("model m : (x: f32[{sizes}]) {{ {stage} }}\n")).unwrap_or_else(|report| panic!("{report}"));
        let mut compiled = compile(&model, Mode::Eval, DType::F32, 1, false);
        compiled.init();
        let mut given = Given::default();
        given.inputs.insert("x".into(), tensor(&shape, x.clone()));
        assert_eq!(numbers(&compiled.run(&given).expect("it runs")[0]), x, "{stage}");
    }
    // More filters than channels: those beyond give nothing.
    let all = begun("unsqueeze(1)\nconv(3, 2, bias = false, init = dirac)");
    assert_eq!(numbers(&all["conv.weight"]), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn parts_of_a_weight_begin_as_they_belong_together() {
    let all = begun("linear(5, reparam = \"weight_norm\", init = normal(3))");
    let (g, v) = (numbers(&all["linear.weight_g"]), numbers(&all["linear.weight_v"]));
    for (row, length) in v.chunks(200).zip(&g) {
        assert!((deviation(row, 0.0) * 200f64.sqrt() - length).abs() < 1e-4 * length);
    }
    let all = begun("linear(5, reparam = \"spectral_norm\")");
    for name in ["weight_u", "weight_v"] {
        let values = numbers(&all[&format!("linear.{name}")]);
        let length = deviation(&values, 0.0) * (values.len() as f64).sqrt();
        assert!((length - 1.0).abs() < 1e-5, "{name}: {length}");
    }
}
