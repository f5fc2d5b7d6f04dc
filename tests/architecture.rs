//! The levels of the house, and words that stay in their rooms.
//!
//! The check first runs on a fixture with seeded violations, each of which it must report; then on the crate.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Rooms by level: a room may use the rooms of lower levels, and of its own level only what `SIDEWAYS` lists.
const LEVELS: [&[&str]; 11] = [
    &["text", "diagnostic", "tensor"],
    &["syntax", "ir", "kernels"],
    &["ops"],
    &["optim", "data"],
    &["elaborate", "lints", "passes"],
    &["exec", "export"],
    &["pipeline"],
    &["train"],
    &["embed"],
    &["reference"],
    &["cli", "lsp"],
];

/// Uses within a level: a label has a span; an operator's definition, data in `ir`, holds its kernel.
const SIDEWAYS: [(&str, &str); 2] = [("diagnostic", "text"), ("ir", "kernels")];

/// Uses that the levels would allow and the house does not.
const NEVER: [(&str, &str); 4] = [("exec", "ops"), ("export", "ops"), ("syntax", "kernels"), ("kernels", "syntax")];

/// Rooms with a door to the outside: files and printing.
const DOORS: [&str; 3] = ["cli", "lsp", "main"];

/// Rooms that know no operator by name.
const NAMELESS: [&str; 3] = ["passes", "exec", "export"];

/// Functions of std whose last bits differ between platforms.
const TRANSCENDENTAL: [&str; 12] = [
    ".exp()",
    ".exp2()",
    ".exp_m1()",
    ".ln()",
    ".ln_1p()",
    ".log2()",
    ".log10()",
    ".tanh()",
    ".sin()",
    ".cos()",
    ".powf(",
    ".sinh()",
];

#[test]
fn the_check_reports_every_seeded_violation() {
    let found = violations(&root().join("tests/fixtures/architecture/src"));
    for seed in [
        "ir/mod.rs: ir uses ops",
        "passes/fuse.rs: passes uses exec",
        "passes/fuse.rs: the operator `mish` by name",
        "exec/mod.rs: exec uses ops",
        "exec/mod.rs: prints",
        "syntax/mod.rs: syntax uses kernels",
        "syntax/mod.rs: std::fs",
        "elaborate/bind.rs: elaborate uses train",
        "elaborate/bind.rs: pest",
        "ops/activation.rs: .exp()",
        "ops/activation.rs: .ln()",
        "ops/helper.rs: a file named helper",
    ] {
        assert!(found.contains(seed), "not reported: {seed}\n{found:#?}");
    }
    assert_eq!(found.len(), 12, "something else was reported: {found:#?}");
}

#[test]
fn the_crate_keeps_to_its_levels() {
    let found = violations(&root().join("src"));
    assert!(found.is_empty(), "{found:#?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All violations below a source folder, as `file: what`.
fn violations(src: &Path) -> BTreeSet<String> {
    let files = files(src);
    let operators = operators(&files);
    files.iter().flat_map(|file| of_file(file, &operators)).collect()
}

/// A source file (`tests.rs` is a test module and none): its path below `src`, its room, and its text without comments and test modules.
struct File {
    path: String,
    room: String,
    code: String,
}

fn files(src: &Path) -> Vec<File> {
    let mut found = vec![];
    let mut folders = vec![src.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a source folder can be listed") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs")
                && path.file_stem().is_some_and(|stem| stem != "tests")
            {
                found.push(file(src, &path));
            }
        }
    }
    found
}

fn file(src: &Path, path: &Path) -> File {
    let text = std::fs::read_to_string(path).expect("a source file is text");
    let path = path.strip_prefix(src).expect("it stands below src").to_string_lossy().replace('\\', "/");
    let room = path.split('/').next().unwrap_or("").trim_end_matches(".rs").to_string();
    // What tests use is theirs: a test module ends the file.
    let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or("");
    File { path, room, code: without_comments(code) }
}

/// The code with comments blank; strings stay. Good enough for rustfmt's output: no comment sign in a raw string.
fn without_comments(text: &str) -> String {
    text.lines().map(|line| &line[..comment(line).unwrap_or(line.len())]).collect::<Vec<_>>().join("\n")
}

/// Where a comment begins on a line, outside of strings.
fn comment(line: &str) -> Option<usize> {
    let mut string = false;
    let mut escape = false;
    for (at, c) in line.char_indices() {
        match c {
            _ if escape => escape = false,
            '\\' if string => escape = true,
            '"' => string = !string,
            '/' if !string && line[at..].starts_with("//") => return Some(at),
            _ => {}
        }
    }
    None
}

/// The names of the catalogue: `name: "…"` in `ops`.
fn operators(files: &[File]) -> BTreeSet<String> {
    let ops = files.iter().filter(|file| file.room == "ops");
    ops.flat_map(|file| file.code.split("name: \"").skip(1))
        .filter_map(|rest| rest.split('"').next().map(str::to_string))
        .collect()
}

fn of_file(file: &File, operators: &BTreeSet<String>) -> Vec<String> {
    let mut wrong: Vec<String> = used(&file.code)
        .into_iter()
        .filter(|used| !allowed(&file.room, used))
        .map(|used| format!("{} uses {used}", file.room))
        .collect();
    let code = without_strings(&file.code);
    if file.room != "syntax" && word(&code, "pest") {
        wrong.push("pest".to_string());
    }
    if !DOORS.contains(&file.room.as_str()) {
        if code.contains("std::fs") {
            wrong.push("std::fs".to_string());
        }
        if ["println!", "eprintln!", "print!", "eprint!", "dbg!"].iter().any(|sign| code.contains(sign)) {
            wrong.push("prints".to_string());
        }
    }
    if NAMELESS.contains(&file.room.as_str()) {
        let named = operators.iter().filter(|name| file.code.contains(&format!("\"{name}\"")));
        wrong.extend(named.map(|name| format!("the operator `{name}` by name")));
    }
    if !["kernels", "cli", "lsp"].contains(&file.room.as_str()) {
        wrong.extend(TRANSCENDENTAL.iter().filter(|call| code.contains(**call)).map(|call| call.to_string()));
    }
    let stem = file.path.rsplit('/').next().unwrap_or("").trim_end_matches(".rs");
    if ["util", "utils", "misc", "common", "helper", "helpers"].contains(&stem) {
        wrong.push(format!("a file named {stem}"));
    }
    wrong.into_iter().map(|what| format!("{}: {what}", file.path)).collect()
}

/// The rooms that a text uses: `crate::x` in any position, and each branch of `crate::{…}`.
fn used(code: &str) -> BTreeSet<String> {
    let code = without_strings(code);
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(branches(group)),
            None => rooms.extend(first_word(rest)),
        }
    }
    rooms
}

/// The first word of each top-level branch of a use group.
fn branches(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            c if depth == 0 => parts.last_mut().expect("there is a part").push(c),
            _ => {}
        }
    }
    parts.iter().filter_map(|part| first_word(part.trim())).collect()
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// Whether a room may use another. What is no room (a macro, a function of `lib.rs`) is no arrow.
fn allowed(from: &str, to: &str) -> bool {
    let level = |room: &str| LEVELS.iter().position(|rooms| rooms.contains(&room));
    let pair = (from, to);
    match (level(from), level(to)) {
        _ if from == to => true,
        _ if NEVER.contains(&pair) => false,
        (Some(above), Some(below)) => below < above || (below == above && SIDEWAYS.contains(&pair)),
        _ => true,
    }
}

/// The code with the insides of its strings blank.
fn without_strings(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut string = false;
    let mut escape = false;
    let mut before = ' ';
    for c in code.chars() {
        match c {
            _ if escape => escape = false,
            '\\' if string => escape = true,
            // A quote as a character literal opens nothing.
            '"' if before != '\'' || string => {
                string = !string;
                out.push(c);
            }
            _ if string => {}
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// Whether a text has a word, alone or before `::`.
fn word(code: &str, wanted: &str) -> bool {
    code.match_indices(wanted).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + wanted.len()..].chars().next();
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        !inside(before) && !inside(after)
    })
}
