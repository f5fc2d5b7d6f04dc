//! Kernels against the same thing written out in the language: values and all gradients.

use crate::model::{Given, Named, compile, largest, model, numbers, tensor, worst};
use wythe::ir::build::Mode;
use wythe::tensor::{DType, Tensor};

/// How far a kernel may be from its expansion, in units of the largest value.
fn tolerance(float: DType) -> f64 {
    if float == DType::F64 { 1e-12 } else { 16.0 * f64::from(f32::EPSILON) }
}

/// Inputs, a body that is a kernel, and the same as a formula. Parameters are inputs here: `(x, w) |> …` has no way to
/// say them, so a body with parameters is compared by their paths, `kernel = formula`.
struct Pair {
    inputs: &'static str,
    kernel: &'static str,
    formula: &'static str,
    params: &'static [(&'static str, &'static str)],
    mode: Mode,
}

const fn pair(inputs: &'static str, kernel: &'static str, formula: &'static str) -> Pair {
    Pair { inputs, kernel, formula, params: &[], mode: Mode::Eval }
}

const WB: &[(&str, &str)] = &[("weight", "w"), ("bias", "b")];

/// A layer walks its sequence, and a cell is stepped along it.
const CELL: &[(&str, &str)] = &[
    ("weight_ih_l0", "cell.weight_ih"),
    ("weight_hh_l0", "cell.weight_hh"),
    ("bias_ih_l0", "cell.bias_ih"),
    ("bias_hh_l0", "cell.bias_hh"),
];

const PAIRS: &[Pair] = &[
    Pair {
        params: CELL,
        ..pair(
            "x: f32[3, 3, 4], h: f32[1, 3, 5]",
            "(x, h) |> rnn(5)",
            "layer cell = rnn_cell(5)\n(a, b, d) = x |> unbind(1)\nh0 = h |> squeeze(0)\nh1 = (a, h0) |> cell\nh2 = (b, h1) |> cell\nh3 = (d, h2) |> cell\n(h1, h2, h3) |> stack(1)",
        )
    },
    Pair {
        params: CELL,
        ..pair(
            "x: f32[3, 3, 4], h: f32[1, 3, 5]",
            "(x, h) |> gru(5)",
            "layer cell = gru_cell(5)\n(a, b, d) = x |> unbind(1)\nh0 = h |> squeeze(0)\nh1 = (a, h0) |> cell\nh2 = (b, h1) |> cell\nh3 = (d, h2) |> cell\n(h1, h2, h3) |> stack(1)",
        )
    },
    Pair {
        params: CELL,
        ..pair(
            "x: f32[3, 3, 4], h: f32[1, 3, 5], c: f32[1, 3, 5]",
            "(x, h, c) |> lstm(5)",
            "layer cell = lstm_cell(5)\n(a, b, d) = x |> unbind(1)\nh0 = h |> squeeze(0)\nc0 = c |> squeeze(0)\n(h1, c1) = (a, h0, c0) |> cell\n(h2, c2) = (b, h1, c1) |> cell\n(h3, c3) = (d, h2, c2) |> cell\n(h1, h2, h3) |> stack(1)",
        )
    },
    pair("x: f32[3, 67]", "softmax", "e = x |> exp\ns = e |> sum(axis = -1) |> expand([..., 67])\ny = e / s"),
    pair("x: f32[3, 67]", "log_softmax", "s = x |> exp |> sum(axis = -1) |> log |> expand([..., 67])\ny = x - s"),
    pair("x: f32[2, 37]", "sigmoid", "e = (0 - x) |> exp\ny = 1 / (1 + e)"),
    pair("x: f32[2, 37]", "tanh", "e = (2 * x) |> exp\ny = 1 - 2 / (e + 1)"),
    pair("x: f32[2, 37]", "silu", "y = x * (x |> sigmoid)"),
    pair("x: f32[2, 37]", "gelu(form = \"sigmoid\")", "y = x * ((1.702 * x) |> sigmoid)"),
    pair(
        "x: f32[2, 37]",
        "gelu(form = \"tanh\")",
        "u = 0.7978845608028654 * (x + 0.044715 * x * x * x)\ny = 0.5 * x * (1 + (u |> tanh))",
    ),
    pair("a: f32[2, 3, 4], b: f32[2, 5, 4]", "(a, b) |> matmul_nt", "(a, b |> transpose) |> matmul"),
    pair(
        "q: f32[2, 3, 4, 5], k: f32[2, 3, 6, 5], v: f32[2, 3, 6, 7]",
        "(q, k, v) |> sdpa(scale = 0.25)",
        "s = (q, k) |> matmul_nt\np = (0.25 * s) |> softmax\n(p, v) |> matmul",
    ),
    pair("x: f32[2, 3, 4, 6]", "avgpool(2)", "reshape(2, 3, 2, 2, 3, 2)\nmean(axis = [3, 5])"),
    pair("x: f32[3, 5], y: f32[3, 5]", "(x, y) |> mse", "d = x - y\nd * d |> mean"),
    Pair {
        params: &[("weight", "w")],
        ..pair(
            "x: f32[3, 67]",
            "rmsnorm(eps = 0.1)",
            "w = parameter([67])\nr = x |> square |> mean(axis = -1)\nd = (r + 0.1) |> sqrt |> expand([..., 67])\ny = x / d * w",
        )
    },
    Pair {
        params: WB,
        ..pair(
            "x: f32[3, 67]",
            "layernorm(eps = 0.1)",
            "w = parameter([67])\nb = parameter([67])\nc = x - (x |> mean(axis = -1) |> expand([..., 67]))\n\
             v = c |> square |> mean(axis = -1)\nd = (v + 0.1) |> sqrt |> expand([..., 67])\ny = c / d * w + b",
        )
    },
    Pair {
        mode: Mode::Train,
        params: WB,
        ..pair(
            "x: f32[31, 5]",
            "batchnorm(eps = 0.1, track = false)",
            "w = parameter([5])\nb = parameter([5])\nc = x - (x |> mean(axis = 0))\n\
             v = c |> square |> mean(axis = 0)\nd = (v + 0.1) |> sqrt\ny = c / d * w + b",
        )
    },
    Pair {
        params: WB,
        ..pair(
            "x: f32[9, 35]",
            "linear(6)",
            "w = parameter([6, 35])\nb = parameter([6])\nt = (x, w) |> matmul_nt\ny = t + b",
        )
    },
    Pair {
        params: WB,
        ..pair(
            "x: f32[2, 6, 3, 5]",
            "conv(4, 1)",
            "w = parameter([4, 6, 1, 1])\nb = parameter([4])\nm = w |> reshape(4, 6)\n\
             t = (x |> permute(0, 2, 3, 1), m) |> matmul_nt\nt + b |> permute(0, 3, 1, 2)",
        )
    },
];

/// Numbers that are exact in f32, by place.
fn filled(shape: &[usize], seed: usize) -> Tensor {
    let n = shape.iter().product::<usize>();
    let value = |i: usize| ((i * 7919 + seed * 104_729) % 509) as f64 / 256.0 - 1.0;
    tensor(shape, (0..n).map(value).collect())
}

impl Pair {
    fn run(&self, body: &str, rename: bool, float: DType) -> Named {
        let text = format!("model m : ({}) {{\n{body}\n}}\n", self.inputs);
        let checked = model(&text).unwrap_or_else(|report| panic!("{text}\n{report}"));
        let mut compiled = compile(&checked, self.mode, float, 1, true);
        let mut given = Given { cotangents: Some(Named::new()), ..Given::default() };
        for (i, (name, shape)) in compiled.inputs().into_iter().enumerate() {
            given.inputs.insert(name, filled(&shape, i));
        }
        // Parameters are filled by their place among the formula's.
        let end = |path: &str| path.rsplit('.').next().unwrap_or(path).to_string();
        let place =
            |path: &str| self.params.iter().position(|(own, other)| *own == end(path) || *other == path).unwrap_or(99);
        for (path, shape) in compiled.weights() {
            let value = filled(&shape, 10 + place(&path));
            given.weights.insert(path, value);
        }
        for (name, shape) in compiled.outputs() {
            given.cotangents.as_mut().expect("just made").insert(name, filled(&shape, 20));
        }
        compiled.set(&given.weights).expect("all weights are given");
        let got = compiled.run(&given).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let short = |name: String| match name.strip_prefix("grad.par.") {
            Some(path) if rename => format!("grad.par.{}", self.params[place(path)].1),
            _ if name.starts_with("grad.") => name,
            _ => "out".into(),
        };
        got.into_iter().map(|(name, value)| (short(name), value)).collect()
    }
}

#[test]
fn kernels_are_their_expansions() {
    let mut faults = vec![];
    for pair in PAIRS {
        for float in [DType::F64, DType::F32] {
            let (kernel, formula) = (pair.run(pair.kernel, true, float), pair.run(pair.formula, false, float));
            assert_eq!(kernel.len(), formula.len(), "{}: {:?} {:?}", pair.kernel, kernel.keys(), formula.keys());
            for (name, want) in &formula {
                let (got, want) = (numbers(&kernel[name]), numbers(want));
                let (off, at) = worst(&got, &want);
                if off > tolerance(float) * largest(&want).max(1.0) {
                    faults.push(format!(
                        "{} {float}: {name}[{at}] is {:e}, written out {:e}",
                        pair.kernel, got[at], want[at]
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
