//! Scenes as a Mermaid flowchart, which GitHub draws in Markdown: frames are subgraphs.

use super::dot::label;
use super::scene::{Scene, What};
use std::fmt::Write;

/// The flowchart.
pub(super) fn mermaid(scene: &Scene) -> String {
    let mut text = String::from("flowchart TD\n");
    body(scene, "n", 1, &mut text);
    text
}

fn body(scene: &Scene, prefix: &str, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for (index, piece) in scene.boxes.iter().enumerate() {
        let id = format!("{prefix}{index}");
        let _ = match &piece.what {
            What::Entry | What::Exit => writeln!(text, "{indent}{id}(( ))"),
            What::Port { name, ty } => writeln!(text, "{indent}{id}([{}])", quoted(&format!("{name}: {ty}"))),
            What::Sign { sign, aside } => {
                let words = format!("{sign} {aside}");
                writeln!(text, "{indent}{id}(({}))", quoted(words.trim_end()))
            }
            What::Node(own) => {
                let words = [own.name.as_str(), own.text.as_str(), own.count.as_str()];
                let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
                writeln!(text, "{indent}{id}[{}]", quoted(&words.join("\n")))
            }
            What::Frame(frame) => {
                let _ = writeln!(text, "{indent}subgraph {id}[{}]", quoted(&label(frame)));
                body(&frame.scene, &format!("{id}_"), depth + 1, text);
                writeln!(text, "{indent}end")
            }
        };
    }
    for edge in &scene.edges {
        let (from, to) = scene.ends(edge, prefix);
        let label = if edge.label.is_empty() { String::new() } else { format!("|{}|", quoted(&edge.label)) };
        let _ = writeln!(text, "{indent}{from} -->{label} {to}");
    }
}

/// In quotes, with Mermaid's own signs as entities.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '`' => out.push_str("#96;"),
            '*' => out.push_str("#42;"),
            '\n' => out.push_str("<br>"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
