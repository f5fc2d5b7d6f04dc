//! Scenes as a Graphviz graph: frames are clusters.

use super::scene::{Frame, FrameKind, Scene, What};
use std::fmt::Write;

/// The graph.
pub(super) fn dot(name: &str, scene: &Scene) -> String {
    let mut text = format!("digraph {} {{\n", quoted(name));
    text.push_str("  rankdir = TB\n  node [shape = box, style = rounded, fontname = \"sans-serif\"]\n");
    text.push_str("  edge [fontname = \"sans-serif\", fontsize = 10]\n");
    body(scene, "n", 1, &mut text);
    text.push_str("}\n");
    text
}

/// Boxes and edges; `n3_1` is box 1 of the frame that is box 3.
fn body(scene: &Scene, prefix: &str, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for (index, piece) in scene.boxes.iter().enumerate() {
        let id = format!("{prefix}{index}");
        let node = |label: &str, more: &str| format!("{indent}{id} [label = {}{more}]\n", quoted(label));
        let _ = match &piece.what {
            What::Entry | What::Exit => writeln!(text, "{indent}{id} [shape = point, width = 0.02]"),
            What::Port { name, ty } => write!(text, "{}", node(&format!("{name}: {ty}"), ", shape = oval")),
            What::Sign { sign, aside } => {
                let label = if aside.is_empty() { sign.clone() } else { format!("{sign}\n{aside}") };
                write!(text, "{}", node(&label, ", shape = circle"))
            }
            What::Node(own) => {
                let words = [own.name.as_str(), own.text.as_str(), own.count.as_str()];
                let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
                write!(text, "{}", node(&words.join("\n"), ""))
            }
            What::Frame(frame) => {
                let _ = writeln!(text, "{indent}subgraph cluster_{id} {{");
                let style = if frame.kind == FrameKind::Residual { "dashed" } else { "rounded" };
                let _ = writeln!(text, "{indent}  label = {}\n{indent}  style = {style}", quoted(&label(frame)));
                body(&frame.scene, &format!("{id}_"), depth + 1, text);
                writeln!(text, "{indent}}}")
            }
        };
    }
    for edge in &scene.edges {
        let (from, to) = scene.ends(edge, prefix);
        let label = if edge.label.is_empty() { String::new() } else { format!(" [label = {}]", quoted(&edge.label)) };
        let _ = writeln!(text, "{indent}{from} -> {to}{label}");
    }
}

/// `h = repeat depth × 12`, and what else its words say.
pub(super) fn label(frame: &Frame) -> String {
    let mut lines = frame.lines.clone();
    if frame.copies > 1 {
        lines[0].push_str(&format!(" × {}", frame.copies));
    }
    lines.join("\n")
}

impl Scene {
    /// The ends of an edge as names of boxes: at a frame, the entry or exit in it.
    pub(super) fn ends(&self, edge: &super::scene::Edge, prefix: &str) -> (String, String) {
        let from = match &self.boxes[edge.from].what {
            What::Frame(frame) => {
                let exits = frame.scene.boxes.iter().filter(|piece| matches!(piece.what, What::Exit)).count();
                let at = frame.scene.boxes.len() - exits + edge.from_port;
                format!("{prefix}{}_{at}", edge.from)
            }
            _ => format!("{prefix}{}", edge.from),
        };
        let to = match &self.boxes[edge.to].what {
            What::Frame(_) => format!("{prefix}{}_{}", edge.to, edge.to_port),
            _ => format!("{prefix}{}", edge.to),
        };
        (from, to)
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
