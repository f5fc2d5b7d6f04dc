//! The examples, poked: they parse, they are laid out as the formatter lays them out, and a damaged one gives few
//! reports and never a panic.

use std::path::PathBuf;
use wythe::syntax::lex::{Kind, lex};
use wythe::syntax::{format, parse};

/// The models in a folder, with their texts.
fn folder(name: &str) -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    for entry in std::fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)).expect("the folder is there") {
        let path = entry.expect("a folder can be listed").path();
        if path.extension().is_some_and(|end| end == "model") {
            let text = std::fs::read_to_string(&path).expect("a model is text");
            found.push((path, text));
        }
    }
    found.sort();
    found
}

/// Every model of the repository, with its text.
fn models() -> Vec<(PathBuf, String)> {
    let found = [folder("models"), folder("models/lib")].concat();
    assert!(found.len() >= 7);
    found
}

/// The texts of the gallery that can be read: what is wrong with them is another matter.
fn gallery() -> impl Iterator<Item = (PathBuf, String)> {
    folder("tests/diagnostics").into_iter().filter(|(_, text)| parse(0, text).diagnostics.is_empty())
}

#[test]
fn every_example_parses_without_a_report() {
    for (path, text) in models() {
        let parsed = parse(0, &text);
        assert!(parsed.diagnostics.is_empty(), "{}: {:#?}", path.display(), parsed.diagnostics);
    }
}

#[test]
fn every_prefix_of_every_example_parses() {
    for (_, text) in models() {
        for (end, _) in text.char_indices() {
            parse(0, &text[..end]);
        }
    }
}

#[test]
fn an_example_without_one_token_gives_at_most_three_reports() {
    for (path, text) in models() {
        for token in lex(&text).into_iter().filter(|token| token.kind != Kind::Newline && !token.is_comment()) {
            let cut = format!("{}{}", &text[..token.start], &text[token.end..]);
            let reports = parse(0, &cut).diagnostics;
            let said = token.text(&text);
            let told: Vec<_> = reports.iter().map(|report| (report.code, &report.message)).collect();
            assert!(told.len() <= 3, "{} without `{said}` at {}: {told:#?}", path.display(), token.start);
        }
    }
}

#[test]
fn every_example_is_laid_out_as_the_formatter_lays_it_out() {
    for (path, text) in models() {
        let formatted = format(&text).expect("an example can be read");
        assert_eq!(text, formatted, "{}", path.display());
    }
}

/// The tree without its places.
fn tree(text: &str) -> String {
    let tree = format!("{:?}", parse(0, text).file);
    let mut parts = tree.split("Span {");
    let first = parts.next().unwrap_or("").to_string();
    parts.fold(first, |all, part| all + part.split_once('}').map_or("", |(_, rest)| rest))
}

#[test]
fn formatting_changes_no_meaning_and_is_done_once() {
    for (path, text) in models() {
        // Squeezed: no indent, no double spaces, so that the formatter has everything to do.
        let squeezed: Vec<&str> = text.lines().map(str::trim).collect();
        let squeezed = squeezed.join("\n").replace(" = ", "=").replace(", ", ",").replace(" |> ", "|>");
        let once = format(&squeezed).expect("a squeezed example can be read");
        assert_eq!(tree(&squeezed), tree(&once), "{}", path.display());
        assert_eq!(once, format(&once).expect("a formatted text can be read"), "{}", path.display());
    }
}

/// The words of a text in order, comments among them; a `;` may separate nothing, and goes then.
fn words(text: &str) -> Vec<&str> {
    let kept = |word: &&str| !matches!(*word, "\n" | ";");
    lex(text).into_iter().map(|token| token.text(text)).filter(kept).collect()
}

/// Comments as they may be put into a gap: at the end of its line, on lines of their own, with blank lines around.
const COMMENTS: [&str; 4] = ["// here\n", "\n// here\n", "// here\n// there\n", "\n\n// here\n\n\n  // there\n\n"];

/// A comment at each gap that may hold one stays between its neighbours, and nothing else changes.
/// `WYTHE_GAPS=1 cargo test --release --test examples gap` tries every gap, the ordinary run one in nineteen.
#[test]
fn a_comment_survives_at_each_legal_gap() {
    let step = if std::env::var_os("WYTHE_GAPS").is_some() { 1 } else { 19 };
    let (mut tried, mut wrong) = (0, vec![]);
    for (path, text) in models().into_iter().chain(gallery()) {
        let meant = tree(&text);
        let places = lex(&text).into_iter().map(|token| token.start).chain([text.len()]);
        for at in places.skip(path.as_os_str().len() % step).step_by(step) {
            for comment in COMMENTS {
                let commented = format!("{}{comment}{}", &text[..at], &text[at..]);
                // A gap is legal where the text still says the same.
                if !parse(0, &commented).diagnostics.is_empty() || tree(&commented) != meant {
                    continue;
                }
                tried += 1;
                let once = format(&commented).expect("it was read");
                let fault = match () {
                    () if words(&once) != words(&commented) => "the comment moves",
                    () if tree(&once) != meant => "another meaning",
                    () if format(&once).ok().as_deref() != Some(&once) => "a second layout differs",
                    () => continue,
                };
                wrong.push(format!("{} at {at}, {comment:?}: {fault}\n{once}", path.display()));
            }
        }
    }
    assert!(tried > 20_000 / step, "only {tried} gaps");
    assert!(wrong.is_empty(), "{} of {tried}: {}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
}

/// A text with everything that a layout can get wrong, and how it is laid out.
#[test]
fn a_crooked_text_is_laid_out_straight() {
    let crooked = "train m {\n  loss {\n a = mse // why\n\n\n it\n }\n  optimizer   \"head.*\" adamw( lr=1e-3 )   // c\n batch 4;\n}\n\
        block f(d)\n{ x=it\n|> relu // a\n |> gelu\n  if d==2{ relu }\n  else { gelu }\n  residual\n   // a branch\n { relu }\n skip { it } }\n";
    let straight = "train m {\n  loss      {\n    a = mse  // why\n\n    it\n  }\n  optimizer \"head.*\" adamw(lr = 1e-3)     // c\n  batch     4\n}\n\
        block f(d) {\n  x = it\n    |> relu  // a\n    |> gelu\n  if d == 2 { relu } else { gelu }\n  residual\n  // a branch\n  { relu } skip { it }\n}\n";
    let formatted = format(crooked).expect("it can be read");
    assert_eq!(tree(&formatted), tree(crooked));
    assert_eq!(formatted, format(&formatted).expect("a layout can be read"));
    assert_eq!(formatted, straight, "\n{formatted}");
}

/// Where every brace has its partner none is missing, however the lines are indented: a `}` below `loss mse` closes the
/// section, not a body of the loss.
#[test]
fn indentation_means_nothing_where_braces_pair() {
    let texts = [
        "train m {\n   target y: f32[batch, 8]\n   loss mse\n    optimizer sgd(lr = 1e-3)\n   }\n",
        "block f(d) {\n  residual pre rmsnorm { linear(d) }\n    |> relu\n  }\n",
        "block f(d) {\n  a = residual { linear(d) } |> relu\n      gelu\n  }\n",
        "block f(d) {\n  if d == 2 { relu } |> gelu\n    tanh\n  }\nblock g { relu }\n",
    ];
    for text in texts {
        let straight: Vec<&str> = text.lines().map(str::trim).collect();
        let found = parse(0, text);
        assert!(found.diagnostics.is_empty(), "{text}{:#?}", found.diagnostics);
        assert_eq!(tree(text), tree(&straight.join("\n")), "{text}");
    }
}
