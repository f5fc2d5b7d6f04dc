//! Deep norm (Wang et al. 2022): alpha and beta of every form, counted by hand, and the weights that are drawn with them.

use wythe::ir::structured::{Item, OpItem, Region, Structured};
use wythe::{Model, Options};

fn checked(text: &str) -> Model {
    Model::check(text).unwrap_or_else(|reports| panic!("{reports}"))
}

fn ops(region: &Region) -> Vec<&OpItem> {
    fn inside(item: &Item) -> Vec<&OpItem> {
        match item {
            Item::Op(op) => vec![op],
            Item::Scope(scope) => ops(&scope.region),
            Item::Repeat(repeat) => repeat.runs.iter().flat_map(|run| ops(&run.region)).collect(),
        }
    }
    region.items.iter().flat_map(inside).collect()
}

/// Alpha of every deep residual, in the order of the text.
fn alphas(model: &Structured) -> Vec<f64> {
    fn walk(region: &Region, found: &mut Vec<f64>) {
        for item in &region.items {
            match item {
                Item::Op(_) => {}
                Item::Repeat(repeat) => repeat.runs.iter().for_each(|run| walk(&run.region, found)),
                Item::Scope(scope) => {
                    if scope.label.starts_with("residual deep") {
                        let own = scope.region.items.iter().find_map(|item| match item {
                            Item::Op(op) if op.op.name.starts_with("residual") => op.attrs.float("alpha"),
                            _ => None,
                        });
                        found.push(own.expect("a deep residual has an alpha"));
                    }
                    walk(&scope.region, found);
                }
            }
        }
    }
    let mut found = vec![];
    walk(&model.body, &mut found);
    found
}

/// The gain of every linear, in the order of the text.
fn gains(model: &Structured) -> Vec<Option<f64>> {
    ops(&model.body).iter().filter(|op| op.op.name == "linear").map(|op| op.gain).collect()
}

/// A model of width 8 with this body.
fn model(body: &str) -> Model {
    checked(&format!(
        "dim batch\nblock d1 {{ residual deep layernorm {{ linear(8) }} }}\n\
         model m(place = \"deep\") : (x: f32[batch, 8], y: f32[batch, 8]) -> f32[...] {{\n{body}\n}}\n"
    ))
}

/// That a body has deep residuals in streams of these lengths, in the order of the text.
#[track_caller]
fn streams(body: &str, lengths: &[u32]) {
    let model = model(body);
    let model = model.structured().expect("one model");
    let found = alphas(model);
    let wanted: Vec<f64> = lengths.iter().map(|&s| f64::from(s).powf(0.25)).collect();
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
    assert!(found.len() == wanted.len() && found.iter().zip(&wanted).all(near), "{body}: {found:?}, not {wanted:?}");
    let betas: Vec<f64> = gains(model).into_iter().flatten().collect();
    let wanted: Vec<f64> = lengths.iter().map(|&s| (4.0 * f64::from(s)).powf(-0.25)).collect();
    assert!(betas.iter().zip(&wanted).all(near), "{body}: {betas:?}, not {wanted:?}");
}

#[test]
fn a_stream_is_counted_along_its_longest_path() {
    streams("x |> d1; d1", &[2, 2]);
    streams("x |> repeat 12 { d1; d1 }", &[24, 24]);
    streams("x |> repeat 3 { repeat 4 { d1 } }", &[12]);
    streams("x |> repeat 3 { d1; repeat 4 { d1 } }", &[15, 15]);
    streams("x |> repeat 2 { repeat 2 { repeat 3 { d1 }; d1 }; d1 }; d1", &[19, 19, 19, 19]);
    streams("x |> repeat 3 { repeat 2 { d1 }; repeat 4 { d1 } }; d1", &[19, 19, 19]);
    streams("x |> repeat 5 shared { d1 }", &[5]);
    streams("layer g = d1()\nx |> g; relu; g; g", &[3, 3, 3]);
    streams("x |> residual { d1 }; residual pre layernorm { linear(8) }; d1", &[2, 2]);
    streams("x |> residual place layernorm { linear(8) }; d1", &[2, 2]);
    streams("x |> for i in range(6) { if i % 2 == 0 { d1 } else { d1; d1 } }", &[9; 9]);
    streams("x |> residual deep layernorm { linear(8); d1 }", &[2, 2]);
}

#[test]
fn branches_are_counted_each_and_operands_are_other_streams() {
    streams("x |> parallel join sum { | d1 | d1 | d1 | it }", &[1, 1, 1]);
    streams("x |> parallel join sum { | d1 |> d1 | d1 }; d1", &[3, 3, 2, 3]);
    streams("(x |> d1) + (y |> d1)", &[1, 1]);
    streams("(x |> d1) - (y |> d1); d1", &[2, 2, 2]);
    streams("a = x |> d1; b = y |> repeat 4 { d1 }; (a, b) |> matmul_nt", &[1, 4]);
    // What is computed in a copy, and is only an operand there, ends there.
    streams("x |> unsqueeze(1) |> repeat 6 { (it, y |> unsqueeze(1) |> d1) |> attention(2); d1 }", &[1, 6]);
    streams("(x, y) |> repeat 6 { (a, b) = it; (a |> d1, b |> d1 |> d1) }; sum", &[6, 12, 12]);
    streams("(x, y) |> repeat 6 { (a, b) = it; (a |> d1, b) }; sum; d1", &[7, 7]);
}

#[test]
fn arguments_stand_in_for_the_count() {
    let alpha = |head: &str| {
        let model = model(&format!("x |> repeat 5 {{ residual {head} layernorm {{ linear(8) }} }}"));
        let model = model.structured().expect("one model");
        (alphas(model)[0], gains(model)[0].expect("a gain"))
    };
    let near = |(a, b): (f64, f64), x: f64, y: f64| assert!((a - x).abs() < 6e-4 && (b - y).abs() < 6e-4, "{a} {b}");
    // The golden numbers of the paper.
    near(alpha("deep(layers = 12)"), 2.2134, 0.3195);
    near(alpha("deep(layers = 100)"), 3.7606, 0.1880);
    near(alpha("deep(layers = 1000)"), 6.6874, 0.1057);
    near(alpha("deep(encoder = 6, decoder = 6)"), 1.418, 0.497);
    near(alpha("deep(encoder = 18, decoder = 18)"), 1.999, 0.353);
    near(alpha("deep(decoder = 6)"), 2.060, 0.343);
    near(alpha("deep(decoder = 18)"), 2.711, 0.261);
    near(alpha("deep(alpha = 3.0, beta = 0.25)"), 3.0, 0.25);
    near(alpha("deep(layers = 12, beta = 0.25)"), 2.2134, 0.25);
    near(alpha("deep"), 5f64.powf(0.25), 20f64.powf(-0.25));
}

/// A stack of `depth` encoder layers and one of as many decoder layers that read it.
fn pair(depth: u32) -> String {
    let placement = format!("deep(encoder = {depth}, decoder = {depth})");
    format!(
        "dim batch, src, seq\nblock enc(d, heads) : [batch, src, d] -> [batch, src, d] {{\n\
         residual {placement} layernorm {{ attention(heads) }}\nresidual {placement} layernorm {{ linear(4 * d); gelu; linear(d) }}\n}}\n\
         block dec(d, heads) : (x: [batch, seq, d], memory: [batch, src, d]) -> [batch, seq, d] {{\n\
         x |> residual deep layernorm {{ attention(heads, causal = true) }}\n\
         residual deep layernorm {{ (it, memory) |> attention(heads) }}\n\
         residual deep layernorm {{ linear(4 * d); gelu; linear(d, gain = 1) }}\n}}\n\
         model m(d = 64, heads = 4) : (a: f32[batch, src, d], b: f32[batch, seq, d]) -> f32[batch, seq, d] {{\n\
         memory = a |> repeat {depth} {{ enc(d, heads) }}\nb |> repeat {depth} {{ (it, memory) |> dec(d, heads) }}\n}}\n"
    )
}

#[test]
fn encoder_and_decoder_have_the_numbers_of_the_paper() {
    for (depth, encoder, decoder) in [(6, (1.418, 0.497), (2.060, 0.343)), (18, (1.999, 0.353), (2.711, 0.261))] {
        let model = checked(&pair(depth));
        let model = model.structured().expect("one model");
        let wanted = [encoder, encoder, decoder, decoder, decoder];
        let alphas = alphas(model);
        assert!(alphas.iter().zip(wanted).all(|(a, (b, _))| (a - b).abs() < 6e-4), "{alphas:?}");
        let attentions = ops(&model.body).into_iter().filter(|op| op.op.name == "attention");
        let betas: Vec<f64> = attentions.filter_map(|op| op.gain).collect();
        assert!(betas.iter().zip([encoder.1, decoder.1, decoder.1]).all(|(a, b)| (a - b).abs() < 6e-4), "{betas:?}");
    }
    for (depth, alpha, beta) in [(12, 2.2134, 0.3195), (100, 3.7606, 0.1880), (1000, 6.6874, 0.1057)] {
        let text = std::fs::read_to_string(format!("{}/models/deepnet.model", env!("CARGO_MANIFEST_DIR")));
        let model = checked(&text.expect("the model is there")).with("depth", depth).expect("a number");
        let model = model.structured().expect("one model");
        assert!(alphas(model).iter().all(|a| (a - alpha).abs() < 1e-4), "{:?}", alphas(model));
        let gains = gains(model);
        assert!(gains.iter().flatten().all(|b| (b - beta).abs() < 1e-4), "{gains:?}");
        assert_eq!(gains.iter().filter(|gain| gain.is_none()).count(), 1, "the head stands in no branch");
    }
}

/// Mean and standard deviation of some rows of a parameter.
fn moments(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let square = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    (mean, square.sqrt())
}

#[test]
fn the_weights_are_drawn_with_beta() {
    let session = checked(&pair(6)).session(&Options::default()).expect("it compiles");
    let values = |path: &str| -> Vec<f32> {
        let tensor = session.get(path).unwrap_or_else(|| panic!("{path}: {:?}", session.paths().collect::<Vec<_>>()));
        tensor.into_array::<f32>().expect("floats").into_iter().collect()
    };
    // A deviation of n draws is true within a part of 1 / sqrt(2 n): five of these are allowed.
    let xavier = |values: &[f32], gain: f64, fan_in: f64, fan_out: f64, what: &str| {
        let wanted = gain * (2.0 / (fan_in + fan_out)).sqrt();
        let (mean, std) = moments(values);
        let allowed = 5.0 / (2.0 * values.len() as f64).sqrt();
        assert!((std / wanted - 1.0).abs() < allowed, "{what}: {std}, not {wanted}");
        assert!(mean.abs() < 5.0 * wanted / (values.len() as f64).sqrt(), "{what}: mean {mean}");
        assert!(values.iter().any(|x| f64::from(x.abs()) > 2.5 * wanted), "{what} is normal, not uniform");
    };
    let zero = |path: &str| assert!(values(path).iter().all(|&x| x == 0.0), "{path}");
    let d = 64.0;
    for (stack, beta, linears) in [("memory", 0.497, 1), ("repeat", 0.343, 2)] {
        let attention = values(&format!("{stack}.3.attention.in_proj_weight"));
        let third = attention.len() / 3;
        xavier(&attention[..third], 1.0, d, d, "queries");
        xavier(&attention[third..2 * third], 1.0, d, d, "keys");
        xavier(&attention[2 * third..], beta, d, d, "values");
        xavier(&values(&format!("{stack}.3.attention.out_proj.weight")), beta, d, d, "the output projection");
        xavier(&values(&format!("{stack}.0.linear.weight")), beta, d, 4.0 * d, "the first linear");
        for bias in ["attention.in_proj_bias", "attention.out_proj.bias", "linear.bias"] {
            zero(&format!("{stack}.3.{bias}"));
        }
        if linears == 1 {
            xavier(&values(&format!("{stack}.5.linear_2.weight")), beta, 4.0 * d, d, "the second linear");
            zero("memory.5.linear_2.bias");
        }
    }
    // `gain = 1` opts out: as outside of a deep stack, uniform up to 1 / sqrt(fan_in).
    let plain = values("repeat.2.linear_2.weight");
    let limit = 1.0 / (4.0 * d).sqrt();
    let (_, std) = moments(&plain);
    assert!(plain.iter().all(|x| f64::from(x.abs()) <= limit) && (std / (limit / 3f64.sqrt()) - 1.0).abs() < 0.03);
    assert!(values("repeat.2.linear_2.bias").iter().any(|&x| x != 0.0), "its bias is drawn as outside, too");
}
