//! The README and the help, kept true: every command is run, every table is compared with the code.
#![cfg(feature = "cli")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the program says, colours off.
fn wythe(args: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_wythe")).args(args).env("NO_COLOR", "1").env("COLUMNS", "100").output();
    String::from_utf8(done.expect("the program starts").stdout).expect("it speaks UTF-8")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("a folder can be listed") {
        let path = entry.expect("an entry can be read").path();
        let to = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, to).expect("a file can be copied");
        }
    }
}

/// The README's model with a branch of the wrong width.
fn slip() -> String {
    let text = read("models/digits.model");
    let (head, tail) = text.split_once("  linear(d)\n}").expect("the block ends in a linear");
    format!("{head}  linear(60)\n}}{tail}")
}

/// The page's model of one's own data, whose table begins as the page shows.
fn flowers() -> String {
    let page = read("README.md");
    let blocks: Vec<&str> = page.split("```text\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    let table = blocks.iter().find(|block| block.contains(",species\n")).expect("the page shows a table");
    assert!(read("tests/cmd/flowers.csv").starts_with(table) && table.lines().count() > 3);
    blocks.iter().find(|block| block.contains("train flowers")).expect("the page shows a model").to_string()
}

/// The commands run in a folder of their own, which holds the models: whoever runs the tests keeps his runs.
#[test]
fn every_command_gives_what_is_shown() {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("readme-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&place);
    let readme = read("README.md")
        .replace("$ cargo run --release -- ", "$ wythe ")
        // This one is to end with 1.
        .replace("$ wythe check slip.model\n", "$ wythe check slip.model\n? 1\n");
    for (name, text) in [("readme", readme), ("help", read("tests/cmd/help.md"))] {
        let folder = place.join(format!("{name}.in"));
        copy(&root().join("models"), &folder.join("models"));
        std::fs::write(folder.join("slip.model"), slip()).expect("a file can be written");
        std::fs::write(folder.join("flowers.model"), flowers()).expect("a file can be written");
        for table in ["flowers.csv", "new.csv"] {
            std::fs::write(folder.join(table), read(&format!("tests/cmd/{table}"))).expect("a file can be written");
        }
        std::fs::write(place.join(format!("{name}.md")), text).expect("a file can be written");
    }
    let cases = trycmd::TestCases::new();
    cases.env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1").case(place.join("*.md").to_str().expect("a plain path"));
    cases.run();
    let _ = std::fs::remove_dir_all(place);
}

#[test]
fn every_example_of_the_help_is_among_those_that_run() {
    let run: BTreeSet<String> = ["README.md", "tests/cmd/help.md"]
        .iter()
        .flat_map(|page| read(page).lines().map(str::to_string).collect::<Vec<_>>())
        .filter_map(|line| line.strip_prefix("$ ").map(|command| command.replace("cargo run --release --", "wythe")))
        .collect();
    for verb in verbs().iter().map(|(verb, _)| Some(verb.as_str())).chain([None]) {
        let help = wythe(&verb.into_iter().chain(["--help"]).collect::<Vec<_>>());
        let (_, examples) = help.split_once("Examples:\n").expect("the help ends in examples");
        for line in examples.lines().map(str::trim).filter(|line| !line.is_empty()) {
            assert!(run.contains(line), "{line} is not run");
        }
    }
}

/// The verbs with their sentences, from the help.
fn verbs() -> Vec<(String, String)> {
    let help = wythe(&["--help"]);
    let (_, rest) = help.split_once("Commands:\n").expect("the help lists the verbs");
    let lines = rest.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.trim().split_once(' '));
    let verbs = lines.map(|(verb, about)| (verb.to_string(), about.trim().to_string()));
    verbs.filter(|(verb, _)| verb != "help").collect()
}

/// The rows of the README's table with these headings.
fn table(heads: &str) -> Vec<Vec<String>> {
    let page = read("README.md");
    let (_, rest) = page.split_once(&format!("{heads}\n")).unwrap_or_else(|| panic!("there is no table {heads}"));
    let rows = rest.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_string()).collect()).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_verbs_are_those_of_the_program() {
    let rows = table("| verb | what it does |");
    let rows: Vec<(String, String)> = rows.iter().map(|row| (quoted(&row[0])[0].into(), row[1].clone())).collect();
    assert_eq!(rows, verbs());
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let codes: Vec<i32> = table("| code | meaning |").iter().map(|row| row[0].parse().expect("a number")).collect();
    assert_eq!(codes, [0, 1, 2, 130]);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("codes-{}.model", std::process::id()));
    std::fs::write(&file, slip()).expect("a file can be written");
    let slip = file.to_str().expect("a plain path");
    for (code, args) in [(0, ["check", "models/digits.model"]), (1, ["check", slip]), (2, ["check", "no.model"])] {
        let done = Command::new(env!("CARGO_BIN_EXE_wythe")).args(args).current_dir(root()).output();
        assert_eq!(done.expect("the program starts").status.code(), Some(code), "{args:?}");
    }
    let _ = std::fs::remove_file(file);
}

#[test]
fn the_map_is_that_of_the_source() {
    let rows = table("| in `src/` | what it is |");
    let listed: BTreeSet<&str> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    let mut there = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("src")).expect("the source can be listed") {
        let path = entry.expect("an entry can be read").path();
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        if path.is_dir() {
            there.insert(format!("{name}/"));
        } else if !["lib.rs", "main.rs"].contains(&name.as_str()) {
            there.insert(name);
        }
    }
    assert_eq!(listed, there.iter().map(String::as_str).collect());
    let essay = read("src/lib.rs");
    for room in there.iter().map(|name| name.trim_end_matches('/').trim_end_matches(".rs")) {
        // `reference` is a type of the language too: rustdoc wants `mod@` before it.
        let named = [format!("[`{room}`]"), format!("[`mod@{room}`]")];
        assert!(named.iter().any(|link| essay.contains(link)), "the essay in lib.rs does not name {room}");
    }
}

#[test]
fn every_promise_names_a_test_that_is_there() {
    let rows = table("| promise | held by |");
    assert!(rows.len() > 10);
    for row in rows {
        let [file, tests @ ..] = &quoted(row.last().expect("a row has cells"))[..] else { panic!("{row:?}") };
        assert!(!tests.is_empty(), "{row:?}");
        let code = read(file);
        for test in tests {
            let (before, _) = code.split_once(&format!("fn {test}()")).unwrap_or_else(|| panic!("no {test} in {file}"));
            assert!(before.trim_end().ends_with("#[test]"), "{test} in {file} is no test");
        }
    }
}

#[test]
fn pytorch_s_spellings_are_understood_as_the_table_says() {
    let rows = table("| PyTorch | here |");
    assert!(rows.len() > 10);
    for row in rows {
        let (theirs, here) = (quoted(&row[0])[0], quoted(&row[1])[0]);
        let word = |call: &str| call.split('(').next().unwrap_or("").trim().to_string();
        let theirs =
            word(theirs.rsplit_once('(').map_or(theirs, |(head, _)| head)).rsplit('.').next().map(String::from);
        let theirs = theirs.expect("a name");
        let here = word(here.rsplit("|> ").next().unwrap_or(here));
        assert!(wythe::ops::find(&here).is_some(), "there is no {here}");
        assert_eq!(wythe::ops::foreign::ours(&theirs).unwrap_or(&theirs), here, "{row:?}");
    }
}

#[test]
fn the_model_is_the_file() {
    assert!(read("README.md").contains(&format!("```text\n{}```\n", read("models/digits.model"))));
}

#[test]
fn the_two_commands_stand_there() {
    let page = read("README.md");
    assert!(page.contains("cargo run --release -- train models/digits.model") && page.contains("$ cargo test\n"));
}

#[test]
fn no_page_names_a_machine() {
    for page in ["README.md", "CHANGELOG.md", "models/README.md", "grammar/README.md", "src/lib.rs", "Cargo.toml"] {
        let text = read(page);
        for word in ["/home/", "/tmp/", "127.0.0.1", "localhost"] {
            assert!(!text.contains(word), "{page} says {word}");
        }
    }
}
