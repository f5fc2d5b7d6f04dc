//! The reference: every page is whole, and what it says to try can be tried.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use wythe::Model;
use wythe::reference::{CATEGORIES, CODES, ExampleKind, Page, Row, Topic, book, find, nearest, sections};

fn topics() -> Vec<Topic> {
    sections().into_iter().flat_map(|section| section.topics).collect()
}

/// The words of a command, as a shell cuts them (single quotes only), after the program's name.
fn words(command: &str) -> Vec<String> {
    let cut = |(index, part): (usize, &str)| -> Vec<String> {
        if index % 2 == 1 { vec![format!("\u{1}{part}")] } else { part.split(' ').map(String::from).collect() }
    };
    let pieces: Vec<String> = command.split('\'').enumerate().flat_map(cut).collect();
    let mut words: Vec<String> = vec![];
    for piece in pieces {
        match piece.strip_prefix('\u{1}') {
            // A quoted piece goes on with the word before it: q='[1]'.
            Some(quoted) => words.last_mut().expect("a word before").push_str(quoted),
            None => words.push(piece),
        }
    }
    words.into_iter().skip(1).filter(|word| !word.is_empty()).collect()
}

fn run(command: &str) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_wythe")).args(words(command)).output().expect("the program starts");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{command}\n{said}{}", String::from_utf8_lossy(&done.stderr));
    said
}

#[test]
fn every_page_is_whole() {
    for topic in topics() {
        let page = topic.page();
        assert!(page.lead.ends_with(['.', '?']), "{}: its first sentence is {:?}", page.name, page.lead);
        assert!(!page.kind.is_empty() && !page.facts.is_empty(), "{}", page.name);
        // A formula, a command or a drawn report may be longer; a line of prose is not.
        let prose = Page { examples: vec![], ..page.clone() }.show(80);
        let long = prose.lines().find(|line| line.chars().count() > 80 && line.contains(". "));
        assert!(long.is_none(), "{}: {long:?}", page.name);
        if let Topic::Operator(op) = topic {
            assert!(page.facts.iter().any(|(label, _)| *label == "formula"), "{} has no formula", op.name);
            let float = op.operands.iter().any(|operand| operand.dtype.allow(wythe::DType::F32));
            let derivative = page.facts.iter().any(|(label, _)| *label == "derivative");
            assert!(derivative || !float, "{} says nothing of its derivative", op.name);
            assert!(!page.examples.is_empty(), "{} has nothing to try", op.name);
        }
    }
}

#[test]
fn every_activation_has_a_curve() {
    let sections = sections();
    let activations = sections.iter().find(|section| section.title == "Activations").expect("they exist");
    for topic in &activations.topics {
        let page = topic.page();
        let one = matches!(topic, Topic::Operator(op) if op.shape == "[..] -> [..]" && !op.facts.random);
        assert_eq!(page.curve.is_some(), one, "{}", page.name);
    }
}

#[test]
fn what_a_page_says_to_try_can_be_tried() {
    let mut tried = 0;
    for topic in topics() {
        if matches!(topic, Topic::Code(_) | Topic::Lint(_)) {
            continue;
        }
        for example in topic.page().examples {
            match example.kind {
                ExampleKind::Command => tried += usize::from(!run(&example.text).is_empty()),
                _ => drop(Model::check(&example.text).unwrap_or_else(|reports| panic!("{}\n{reports}", topic.name()))),
            }
        }
    }
    assert!(tried > 40, "{tried}");
}

/// The numbers of a named tensor in what `run` shows.
fn tensor(shown: &str, name: &str) -> Vec<f64> {
    let lines = shown.lines().skip_while(|line| !line.starts_with(&format!("{name}  "))).skip(1);
    let rows = lines.take_while(|line| line.starts_with("  "));
    rows.flat_map(|row| row.split_whitespace().map(|word| word.parse().expect("a number")).collect::<Vec<_>>())
        .collect()
}

#[test]
fn answers_show_what_they_say() {
    let shown = |name: &str, index: usize| {
        let page = find(name)[0].page();
        run(&page.examples[index].text)
    };
    let linear = tensor(&shown("why-activations", 0), "grad.in.x");
    assert_eq!(linear[..2], linear[2..]);
    let bent = tensor(&shown("why-activations", 1), "grad.in.x");
    assert_ne!(bent[..2], bent[2..]);
    assert!((tensor(&shown("likelihood", 0), "out")[0] - std::f64::consts::LN_2).abs() < 1e-6);
    assert_eq!(shown("likelihood", 0).lines().last(), shown("likelihood", 1).lines().last());
    assert!(tensor(&shown("softmax-gradient", 0), "grad.in.x").iter().sum::<f64>().abs() < 1e-5);
    assert_eq!(tensor(&shown("train-eval", 0), "out"), [1.0, 2.0, 3.0, 4.0]);
    let dropped = tensor(&shown("train-eval", 1), "out");
    assert!(dropped.iter().zip([1.0, 2.0, 3.0, 4.0]).all(|(&y, x)| y == 0.0 || y == 2.0 * x), "{dropped:?}");
    let normed = tensor(&shown("axes", 0), "out");
    assert!((normed[0] + normed[2]).abs() < 1e-4);
    let columns = tensor(&shown("axes", 1), "out");
    assert!((columns[0] + columns[3]).abs() < 1e-4);
}

#[test]
fn a_topic_is_found_by_its_name_and_by_pytorch_s() {
    assert_eq!(find("gelu").len(), 1);
    assert_eq!(find("nn.GELU")[0].name(), "gelu");
    assert_eq!(find("BatchNorm2d").first().map(Topic::name), Some("batchnorm"));
    assert_eq!(find("linear").len(), 2, "an operator and a schedule");
    assert_eq!(find("nn.Softmax2d").first().map(Topic::name), Some("softmax"));
    assert_eq!(find("nn.ZeroPad3d").first().map(Topic::name), Some("pad"));
    assert_eq!(find("geluu").len(), 0);
    assert_eq!(nearest("geluu"), Some("gelu"));
    assert_eq!(nearest("quicksort"), None);
}

/// Names of ours that the table of torch.nn promises, and that are on their way: shown as planned until they are there.
const AWAITED: &[&str] = &[
    "adaptive_avgpool",
    "adaptive_maxpool",
    "alpha_dropout",
    "alpha_dropout_channels",
    "bilinear",
    "ctc",
    "dropout_channels",
    "embedding_bag",
    "fold",
    "gru",
    "gru_cell",
    "lp_pool",
    "lstm",
    "lstm_cell",
    "maxunpool",
    "rnn",
    "rnn_cell",
    "unfold",
    "upsample",
];

/// `tests/fixtures/torch_nn.txt` is what `tests/vectors/torch_nn.py` finds in PyTorch.
#[test]
fn every_class_of_torch_nn_has_a_row() {
    let classes = include_str!("fixtures/torch_nn.txt");
    let rows: Vec<&Row> = CATEGORIES.iter().flat_map(|category| category.rows).collect();
    for class in classes.lines() {
        let count = rows.iter().flat_map(|row| row.theirs).filter(|name| **name == class).count();
        assert_eq!(count, 1, "{class} has {count} rows");
    }
    for row in &rows {
        let names: Vec<&str> = row.names().collect();
        let quoted = row.ours.contains('`')
            || ["none", "planned", "a body", "a model"].iter().any(|word| row.ours.starts_with(word));
        assert!(quoted, "{:?} says neither a name nor why there is none", row.theirs);
        for name in names {
            let there = wythe::ops::find(name).is_some();
            assert!(there || AWAITED.contains(&name), "{:?}: there is no operator `{name}`", row.theirs);
            assert_eq!(row.says().ends_with("(planned)"), row.names().any(|name| wythe::ops::find(name).is_none()));
        }
    }
    for line in rows.iter().filter_map(|row| row.ours.split("use \"").nth(1)) {
        let file = line.split('"').next().unwrap_or("");
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(file).is_file(), "{file}");
    }
}

#[test]
fn the_pages_are_those_that_the_program_writes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reference/pages");
    let way = "run `cargo run -- explain --markdown src/reference/pages`";
    let same = |name: &str, text: &str| {
        let there = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let line = there.lines().zip(text.lines()).position(|(a, b)| a != b);
        assert!(there == text, "src/reference/pages/{name} is not what is written now (line {line:?}): {way}");
    };
    let chapters = book::chapters();
    chapters.iter().for_each(|chapter| same(&format!("{}.md", chapter.name), &chapter.text));
    same("README.md", &book::index());
    same("mod.rs", &book::module());
    let there = std::fs::read_dir(&folder).expect("the folder can be listed").count();
    assert_eq!(there, chapters.len() + 2, "a page in src/reference/pages is nobody's");
    for chapter in &chapters {
        let title = chapter.text.lines().next().unwrap_or("");
        assert!(title.contains(" · "), "{title} has no Chinese title: add it to src/reference/book.rs");
    }
}

#[test]
fn every_code_is_explained_and_its_example_is_wrong_in_that_way() {
    for code in CODES.iter().filter(|code| !code.example.is_empty()) {
        let reports = Model::check(code.example);
        let codes: Vec<&str> = match &reports {
            Err(reports) => reports.diagnostics.iter().map(|report| report.code).collect(),
            Ok(model) => model.warnings().iter().map(|report| report.code).collect(),
        };
        assert!(codes.contains(&code.code), "the example of {} gives {codes:?}", code.code);
    }
    let lints = wythe::lints::all().map(|lint| lint.code.to_string());
    let explained: BTreeSet<String> = CODES.iter().map(|code| code.code.to_string()).chain(lints).collect();
    let used = codes_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let missing: Vec<_> = used.difference(&explained).collect();
    assert!(missing.is_empty(), "nothing explains {missing:?}: add them to src/reference/codes.rs");
    let idle: Vec<_> = explained.difference(&used).collect();
    assert!(idle.is_empty(), "these codes are explained and never used: {idle:?}");
}

/// All codes that stand in quotes in the sources, the reference and tests left out.
fn codes_of(folder: &Path) -> BTreeSet<String> {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() && !path.ends_with("reference") {
            found.extend(codes_of(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).expect("it is text");
            let text = text.split("#[cfg(test)]").next().unwrap_or("");
            let codes = text.split('"').filter(|text| text.split_once("::").is_some_and(|(a, b)| word(a) && word(b)));
            found.extend(
                codes.filter(|code| FAMILIES.contains(&code.split("::").next().unwrap_or(""))).map(String::from),
            );
        }
    }
    found
}

/// The families of codes: other words with `::` are paths of Rust.
const FAMILIES: &[&str] =
    &["syntax", "name", "flow", "type", "attr", "shape", "where", "path", "limit", "train", "data", "weights", "lint"];
