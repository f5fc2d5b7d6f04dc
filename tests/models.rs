//! The examples of `models/`: they check, they are as large as they say, their parameters have the names that the
//! language gives them, they run, and the digits are learned.

use ndarray::{ArrayD, Dimension};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use wythe::elaborate::Request;
use wythe::ir::structured::PortDef;
use wythe::text::{FileError, Files, Source};
use wythe::{DType, Mode, Model, NoFiles, Options, Tensor, TrainOptions, View};

/// The folder of the models, for `use`.
struct Folder;

impl Files for Folder {
    fn read(&self, path: &str, _limit: u64) -> Result<Vec<u8>, FileError> {
        std::fs::read(root().join(path)).map_err(|error| FileError { path: path.into(), reason: error.to_string() })
    }

    fn write(&self, path: &str, _bytes: &[u8]) -> Result<(), FileError> {
        panic!("{path} is written")
    }

    fn append(&self, path: &str, _bytes: &[u8]) -> Result<(), FileError> {
        panic!("{path} is written")
    }

    fn exists(&self, path: &str) -> bool {
        root().join(path).exists()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every `.model` file below `models`, as `models/lib/bottleneck.model`.
fn files() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder can be listed") {
            let path = folder.join(entry.expect("an entry can be read").file_name());
            if root().join(&path).is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|end| end == "model") {
                found.insert(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(Path::new("models"), &mut found);
    assert!(found.len() >= 8, "{found:?}");
    found
}

fn model(file: &str) -> Model {
    sized(file, &[])
}

/// A file with other hyperparameters, all at once.
fn sized(file: &str, sets: &[(&str, &str)]) -> Model {
    let sets = sets.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let request = Request { sets, ..Request::default() };
    let source = Source::new(file, read(file));
    Model::check_source(source, request, Some(&Folder)).unwrap_or_else(|reports| panic!("{reports}"))
}

/// A model of `models/`, smaller.
fn small(name: &str, sets: &[(&str, &str)]) -> Model {
    sized(&format!("models/{name}.model"), sets)
}

/// Those that are ours: nobody else counts them.
const OWN: [(&str, u64); 10] = [
    ("charlstm", 280_832),
    ("chars", 120_576),
    ("mlp", 2_307_082),
    ("deepnet", 331_885_570),
    ("twotower", 29_782_240),
    ("digits", 81_802),
    ("fashion_mlp", 730_122),
    ("fashion_resnet", 174_970),
    ("jargon", 1_800_576),
    ("placement", 77_162),
];

/// How many parameters each model has; of the published ones as PyTorch counts them (tests/vectors/counts.py).
fn counts() -> BTreeMap<String, u64> {
    let text = read("tests/vectors/counts.txt");
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, number) = (words.next().expect("a name"), words.next().expect("a number"));
        (name.to_string(), number.replace(',', "").parse().expect("a number"))
    };
    text.lines().map(row).chain(OWN.map(|(name, count)| (name.to_string(), count))).collect()
}

/// The models of the folder itself: `bert`.
fn names() -> Vec<String> {
    let own =
        files().into_iter().filter_map(|file| Some(file.strip_prefix("models/")?.strip_suffix(".model")?.to_string()));
    own.filter(|name| !name.contains('/')).collect()
}

#[test]
fn every_model_checks_without_a_report() {
    for file in files() {
        let warnings = model(&file).warnings().len();
        assert_eq!(warnings, 0, "{file}");
    }
}

#[test]
fn every_model_is_exactly_as_large_as_others_count_it() {
    let counts = counts();
    assert_eq!(names(), counts.keys().cloned().collect::<Vec<_>>(), "a count for each model, a model for each count");
    for (name, count) in counts {
        assert_eq!(model(&format!("models/{name}.model")).parameters().expect("a number"), count, "{name}");
    }
}

#[test]
fn a_model_that_uses_other_files_takes_other_hyperparameters() {
    let bert = model("models/bert.model");
    let whole = bert.parameters().expect("a number");
    let half = bert.with("depth", 6).and_then(|bert| bert.named("bert")).unwrap_or_else(|reports| panic!("{reports}"));
    // A layer of BERT: four projections, the feed-forward, two norms.
    let layer = 4 * (768 * 768 + 768) + 2 * 768 * 3072 + 3072 + 768 + 4 * 768;
    assert_eq!(half.parameters().expect("a number"), whole - 6 * layer);
}

#[test]
fn seventy_billion_parameters_check_in_no_time() {
    let start = std::time::Instant::now();
    model("models/llama3_70b.model");
    let taken = start.elapsed();
    assert!(taken.as_millis() < 1000, "{taken:?}");
}

#[test]
fn the_parameters_have_the_names_of_the_language() {
    let named: [(&str, &[&str]); 4] = [
        ("mlp", &["stem.weight", "blocks.0.norm.weight", "blocks.0.ffn.up.weight", "rmsnorm.weight", "head.bias"]),
        (
            "gpt",
            &[
                "h.0.attn.norm.weight",
                "h.0.attn.attention.in_proj_weight",
                "h.0.mlp.linear.weight",
                "h.0.mlp.linear_2.bias",
                "ln_f.weight",
            ],
        ),
        ("deepnet", &["repeat.0.attention.in_proj_weight", "repeat.99.norm_2.bias"]),
        (
            "twotower",
            &[
                "img.conv.weight",
                "img.conv_2.weight",
                "img.conv_3.weight",
                "img.conv_4.bias",
                "img.conv_5.bias",
                "img.linear.weight",
                "words.weight",
            ],
        ),
    ];
    for (name, wanted) in named {
        let model = model(&format!("models/{name}.model"));
        let structured = model.structured().expect("one model");
        let graph = wythe::pipeline::forward(structured, Mode::Eval, wythe::DType::F32, wythe::pipeline::Stage::Flat);
        let paths: BTreeSet<&str> = graph.params.iter().map(|param| param.path.as_str()).collect();
        for path in wanted {
            assert!(paths.contains(path), "{name}: {path} is not among {paths:#?}");
        }
    }
}

#[test]
fn each_opens_with_what_paper_and_how_to_run() {
    for file in files() {
        let name = file.rsplit('/').next().expect("a path has a last part");
        let text = read(&file);
        let lines: Vec<&str> = text.lines().take(4).collect();
        assert!(lines[0].starts_with(&format!("// {name} — ")), "{file}: {}", lines[0]);
        assert!(lines[1].starts_with("// Paper: ") && lines[1].contains(" 20"), "{file}: {}", lines[1]);
        let run = lines[2].strip_prefix("// Run: wythe ").unwrap_or_else(|| panic!("{file}: {}", lines[2]));
        assert!(run.contains(&file), "{file}: {run}");
        assert!(!lines[3].starts_with("//"), "{file} opens with three lines of comment");
    }
}

#[cfg(feature = "cli")]
#[test]
fn what_each_says_of_running_it_runs() {
    for file in files() {
        let text = read(&file);
        let run = text.lines().nth(2).and_then(|line| line.strip_prefix("// Run: wythe ")).expect("the third line");
        let mut words: Vec<&str> = run.split_whitespace().map(|word| word.trim_matches('\'')).collect();
        let out = format!("{}/models-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
        match words[0] {
            // Where the data are not there, for they are a package of their own.
            "train" if text.contains("apt-get install") => words[0] = "check",
            "train" => words.extend(["--steps", "3", "--out", &out]),
            "sweep" => words.extend(["--steps", "1", "--out", &out]),
            _ => {}
        }
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_wythe")).args(&words).current_dir(root()).output();
        let done = done.expect("the program starts");
        assert!(done.status.success(), "{file}: {words:?}: {}", String::from_utf8_lossy(&done.stderr));
        let _ = std::fs::remove_dir_all(out);
    }
}

#[test]
fn the_table_of_the_page_is_that_of_the_files() {
    let (page, counts) = (read("models/README.md"), counts());
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| ["))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let of_row = |row: &[&str]| format!("models/{}", row[0][1..].split(']').next().expect("a link has a text"));
    let listed: BTreeSet<String> = rows.iter().map(|row| of_row(row)).collect();
    assert_eq!(listed, files());
    for row in &rows {
        let text = read(&of_row(row));
        let lines: Vec<&str> = text.lines().take(3).collect();
        assert_eq!(row[4].trim_matches('`'), lines[2].trim_start_matches("// Run: "), "{}", row[0]);
        let count = row[2].replace(',', "");
        let own = counts.iter().find(|(name, _)| of_row(row) == format!("models/{name}.model"));
        assert_eq!(count, own.map_or(String::new(), |(_, count)| count.to_string()), "{}", row[0]);
        for link in row[3].split("arxiv.org/abs/").skip(1) {
            let number = link.split(')').next().expect("a link ends");
            assert!(lines[1].contains(number), "{}: {number} is not in {}", row[0], lines[1]);
        }
    }
}

/// Sizes at which a model runs in a moment: hyperparameters, and what its dims are bound to.
const SMALL: &[(&str, &[(&str, &str)])] = &[
    ("bert", &[("vocab", "20"), ("ctx", "8"), ("d", "16"), ("heads", "2"), ("depth", "2")]),
    ("charlstm", &[("d", "8"), ("hidden", "16")]),
    ("chars", &[("d", "16"), ("heads", "2")]),
    ("deepnet", &[("vocab", "50"), ("d", "32"), ("depth", "3")]),
    ("densenet121", &[("growth", "4"), ("size", "64"), ("classes", "5")]),
    ("digits", &[]),
    ("fashion_mlp", &[]),
    ("fashion_resnet", &[]),
    ("gpt", &[("vocab", "50"), ("ctx", "16"), ("d", "24"), ("heads", "2"), ("depth", "2")]),
    ("jargon", &[("vocab", "20"), ("d", "24"), ("heads", "2"), ("depth", "2")]),
    ("llama", &[("vocab", "20"), ("d", "16"), ("heads", "4"), ("kv_heads", "4"), ("hidden", "24"), ("depth", "2")]),
    (
        "llama3_70b",
        &[("vocab", "20"), ("d", "32"), ("heads", "8"), ("kv_heads", "2"), ("hidden", "24"), ("depth", "2")],
    ),
    ("mlp", &[]),
    ("mobilenet_v2", &[("size", "64"), ("classes", "5")]),
    ("placement", &[]),
    ("resnet18", &[]),
    ("resnet50", &[("size", "64"), ("classes", "5")]),
    ("transformer", &[("vocab", "20"), ("d", "16"), ("heads", "2"), ("ff", "24"), ("depth", "2")]),
    ("twotower", &[("vocab", "50"), ("d", "16")]),
    ("unet", &[("size", "188"), ("c", "2")]),
    ("vae", &[]),
    ("vit", &[("size", "32"), ("d", "16"), ("heads", "2"), ("depth", "2"), ("classes", "5")]),
];

/// What the dims of the models are bound to.
fn size(dim: &str) -> Option<i64> {
    [("batch", 2), ("seq", 7), ("src", 5)].iter().find(|(name, _)| *name == dim).map(|(_, size)| *size)
}

/// A value for an input: ids below 2, masks that hide the last, numbers of both signs.
fn value(dtype: DType, shape: &[usize]) -> Tensor {
    let place = |at: &ndarray::IxDyn| (0..at.ndim()).map(|axis| (axis + 3) * at[axis]).sum::<usize>();
    let hidden = |at: &ndarray::IxDyn| at.ndim() > 0 && at[at.ndim() - 1] + 1 == shape[at.ndim() - 1];
    match dtype {
        DType::I64 => Tensor::I64(ArrayD::from_shape_fn(shape, |at| (place(&at) % 2) as i64)),
        DType::Bool => Tensor::Bool(ArrayD::from_shape_fn(shape, |at| !hidden(&at))),
        _ => Tensor::F32(ArrayD::from_shape_fn(shape, |at| (place(&at) % 7) as f32 / 3.0 - 1.0)),
    }
}

/// Runs a model on such values; its outputs have the shapes that the checker promised, and are finite.
fn runs(name: &str, model: &Model, mode: Mode) {
    let structured = model.structured().expect("one model");
    let shape = |port: &PortDef| {
        let ty = structured.values[port.value.0 as usize].ty;
        (ty.dtype, structured.shapes.eval(ty.shape, &size).expect("its dims are known"))
    };
    let inputs: Vec<Tensor> = structured.inputs.iter().map(shape).map(|(dtype, shape)| value(dtype, &shape)).collect();
    let mut session = model.session(&Options { mode, ..Options::default() }).expect("it compiles");
    let views: Vec<View<'_>> = inputs.iter().map(View::from).collect();
    let outputs = session.run(&views).unwrap_or_else(|error| panic!("{name}, {mode:?}: {error}"));
    for (output, port) in outputs.into_iter().zip(&structured.outputs) {
        assert_eq!(output.shape(), shape(port).1, "{name}, {mode:?}");
        let array = output.into_array::<f32>().expect("floats");
        assert!(array.iter().all(|x| x.is_finite()), "{name}, {mode:?}: {array}");
        // The head of ViT begins at 0.
        assert_eq!(array.iter().all(|x| *x == 0.0), *name == *"vit", "{name}, {mode:?}: {array}");
    }
}

#[test]
fn every_model_runs() {
    let small_names: Vec<String> = SMALL.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(small_names, names());
    for (name, sets) in SMALL {
        let model = small(name, sets);
        runs(name, &model, Mode::Eval);
        runs(name, &model, Mode::Train);
    }
}

#[test]
fn a_u_net_keeps_its_size_with_a_border_and_loses_it_without() {
    let size = |sets: &[(&str, &str)]| {
        let model = small("unet", sets);
        let structured = model.structured().expect("one model");
        let ty = structured.values[structured.outputs[0].value.0 as usize].ty;
        (structured.shapes.eval(ty.shape, &size).expect("numbers"), model.parameters().expect("a number"))
    };
    // Figure 1 of the paper.
    assert_eq!(size(&[]), (vec![2, 2, 388, 388], counts()["unet"]));
    assert_eq!(size(&[("size", "512"), ("border", "1")]), (vec![2, 2, 512, 512], counts()["unet"]));
}

#[test]
fn the_two_terms_of_the_autoencoder_fall_together() {
    let model = model("models/vae.model");
    let mut trainer = model.train(&NoFiles, &TrainOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let before = trainer.evaluate().expect("a fifth is held out")["loss"];
    let mut last = 0.0;
    for _ in 0..150 {
        let row = trainer.step().unwrap_or_else(|error| panic!("{error}"));
        let terms: Vec<&str> = row.terms.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(terms, ["reconstruction", "divergence"]);
        last = row.loss.value();
    }
    let after = trainer.evaluate().expect("a fifth is held out")["loss"];
    // 64 pixels, each of them a coin at first.
    assert!((before - 64.0 * 2f64.ln()).abs() < 0.5, "{before}");
    assert!(after < 30.0 && last < 30.0, "from {before} to {after}, the last batch {last}");
}

#[test]
fn the_digits_are_learned() {
    let model = model("models/digits.model");
    let train = |threads, steps| {
        let options = TrainOptions { threads, steps, ..TrainOptions::default() };
        let mut trainer = model.train(&NoFiles, &options).unwrap_or_else(|error| panic!("{error}"));
        trainer.run().unwrap_or_else(|error| panic!("{error}"));
        let accuracy = trainer.evaluate().expect("a fifth is held out")["accuracy"];
        (accuracy, trainer.weights().expect("there is memory"))
    };
    let (accuracy, _) = train(2, None);
    assert!(accuracy >= 0.97, "{:.2} % of the digits held out", 100.0 * accuracy);
    assert_eq!(train(1, Some(60)), train(2, Some(60)), "the same bits, whatever the number of threads");
}
