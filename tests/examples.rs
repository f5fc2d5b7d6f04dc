//! The examples, poked: they parse, they are laid out as the formatter lays them out, and a damaged one gives few
//! reports and never a panic.

use std::path::PathBuf;
use wythe::syntax::lex::{Kind, lex};
use wythe::syntax::{format, parse};

/// Every model of the repository, with its text.
fn models() -> Vec<(PathBuf, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut found = vec![];
    for folder in [root.clone(), root.join("lib")] {
        for entry in std::fs::read_dir(folder).expect("the models are there") {
            let path = entry.expect("a folder can be listed").path();
            if path.extension().is_some_and(|end| end == "model") {
                let text = std::fs::read_to_string(&path).expect("a model is text");
                found.push((path, text));
            }
        }
    }
    found.sort();
    assert!(found.len() >= 7);
    found
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

#[test]
fn a_comment_survives_at_each_legal_gap() {
    for (path, text) in models() {
        let tokens: Vec<_> = lex(&text).into_iter().filter(|token| !token.is_comment()).collect();
        for token in &tokens {
            let commented = format!("{}// here\n{}", &text[..token.start], &text[token.start..]);
            // A gap is legal where the text still says the same.
            let parsed = parse(0, &commented);
            if !parsed.diagnostics.is_empty() || tree(&commented) != tree(&text) {
                continue;
            }
            let formatted = format(&commented).expect("it was read");
            assert_eq!(formatted.matches("// here").count(), 1, "{}:\n{formatted}", path.display());
            assert_eq!(tree(&formatted), tree(&text), "{} at {}:\n{formatted}", path.display(), token.start);
            assert_eq!(formatted, format(&formatted).expect("it was read"), "{} at {}", path.display(), token.start);
        }
    }
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
