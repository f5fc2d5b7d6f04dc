//! The examples of `models/`: they check, they are as large as they say, their parameters have the names that the
//! language gives them, they run, and the digits are learned.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use wythe::elaborate::Request;
use wythe::text::{FileError, Files, Source};
use wythe::{Mode, Model, NoFiles, Options, TrainOptions, View};

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
    let source = Source::new(file, read(file));
    Model::check_source(source, Request::default(), Some(&Folder)).unwrap_or_else(|reports| panic!("{reports}"))
}

/// A model of `models/`, smaller.
fn small(name: &str, sets: &[(&str, &str)]) -> Model {
    let small =
        sets.iter().try_fold(model(&format!("models/{name}.model")), |model, (key, value)| model.with(key, value));
    small.unwrap_or_else(|reports| panic!("{reports}"))
}

const COUNTS: [(&str, u64); 7] = [
    ("chars", 120_576),
    ("mlp", 2_307_082),
    ("gpt", 124_439_808),
    ("resnet18", 11_689_512),
    ("deepnet", 331_885_570),
    ("twotower", 29_782_240),
    ("digits", 81_802),
];

#[test]
fn every_model_checks_without_a_report() {
    for file in files() {
        let warnings = model(&file).warnings().len();
        assert_eq!(warnings, 0, "{file}");
    }
}

#[test]
fn the_examples_are_exactly_as_large_as_they_say() {
    for (name, count) in COUNTS {
        assert_eq!(model(&format!("models/{name}.model")).parameters().expect("a number"), count, "{name}");
    }
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
        if words[0] == "train" {
            words.extend(["--steps", "3", "--out", &out]);
        }
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_wythe")).args(&words).current_dir(root()).output();
        let done = done.expect("the program starts");
        assert!(done.status.success(), "{file}: {words:?}: {}", String::from_utf8_lossy(&done.stderr));
        let _ = std::fs::remove_dir_all(out);
    }
}

#[test]
fn the_table_of_the_page_is_that_of_the_files() {
    let page = read("models/README.md");
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
        let own = COUNTS.iter().find(|(name, _)| of_row(row) == format!("models/{name}.model"));
        assert_eq!(count, own.map_or(String::new(), |(_, count)| count.to_string()), "{}", row[0]);
        for link in row[3].split("arxiv.org/abs/").skip(1) {
            let number = link.split(')').next().expect("a link ends");
            assert!(lines[1].contains(number), "{}: {number} is not in {}", row[0], lines[1]);
        }
    }
}

/// Runs a model and looks at the shapes of its outputs.
fn shapes(model: &Model, inputs: &[View<'_>]) -> Vec<Vec<usize>> {
    let mut session = model.session(&Options { mode: Mode::Train, ..Options::default() }).expect("it compiles");
    let outputs = session.run(inputs).unwrap_or_else(|error| panic!("{error}"));
    for tensor in &outputs {
        let array = tensor.clone().into_array::<f32>().expect("floats");
        assert!(array.iter().all(|x| x.is_finite()));
    }
    outputs.iter().map(|tensor| tensor.shape().to_vec()).collect()
}

#[test]
fn the_examples_run() {
    let tokens = ndarray::Array2::from_shape_fn((2, 9), |(i, j)| (i * 9 + j) as i64);
    let pixels =
        |sizes: [usize; 4]| ndarray::Array4::from_shape_fn(sizes, |(_, c, y, x)| ((c + 3 * y + 7 * x) % 5) as f32);
    let rows = ndarray::Array2::from_shape_fn((3, 784), |(i, j)| ((i + j) % 7) as f32);
    assert_eq!(shapes(&small("mlp", &[]), &[(&rows).into()]), [[3, 10]]);
    let gpt = small("gpt", &[("vocab", "50"), ("ctx", "16"), ("d", "24"), ("heads", "2"), ("depth", "2")]);
    assert_eq!(shapes(&gpt, &[(&tokens).into()]), [[2, 9, 50]]);
    let deepnet = small("deepnet", &[("vocab", "50"), ("d", "32"), ("depth", "3")]);
    assert_eq!(shapes(&deepnet, &[(&tokens).into()]), [[2, 2]]);
    let twotower = small("twotower", &[("vocab", "50"), ("d", "16")]);
    let images = pixels([2, 3, 32, 32]);
    assert_eq!(shapes(&twotower, &[(&images).into(), (&tokens).into()]), [[2, 2], [2, 16]]);
    let images = pixels([2, 3, 224, 224]);
    assert_eq!(shapes(&small("resnet18", &[]), &[(&images).into()]), [[2, 1000]]);
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
