//! Pictures: `graph --format svg`, `dot` and `mermaid`, read back.

#![cfg(feature = "cli")]

use roxmltree::{Document, Node};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Blocks in blocks, skips over several levels, several inputs and outputs, a cross, strings that XML must escape.
const NESTED: [&str; 4] = [
    "dim batch

block level(c) {
  residual pre rmsnorm {
    a = linear(c) |> gelu(form = \"tanh\")
    b = residual { linear(c); relu }
    (b, a) |> concat(axis = 1)
    linear(c)
  }
}

model deep(c = 8) : (x: f32[batch, 8]) -> f32[batch, 8] {
  one = level(c)
  two = one |> linear(2 * c)
  three = two |> linear(4 * c)
  up = three |> linear(2 * c)
  (up, two) |> concat(axis = 1)
  linear(c)
  (it, one) |> concat(axis = 1)
  out = repeat 3 { linear(c); relu }
}
",
    "dim batch

model cross : (x: f32[batch, 4], y: f32[batch, 4]) -> (a: f32[batch, 4], b: f32[batch, 4], c: f32[batch, 4]) {
  p = x |> linear(4)
  q = y |> linear(4)
  a = p + q
  b = (p, q) |> concat(axis = 1) |> linear(4)
  c = x * 2 - q
  return (a, b, c)
}
",
    "dim batch

model runs : (x: f32[batch, 4]) -> f32[batch, 16] {
  repeat 4 { if 2 > 1 { residual deep layernorm { linear(4) } } }
  for (k, w) in [(1, 4), (2, 16)] { linear(k * w); linear(w); relu }
}
",
    "dim batch, src, seq

block decoder(d) : (x: [batch, seq, d], memory: [batch, src, d], keep: bool[batch, src]) -> [batch, seq, d] {
  x |> residual pre layernorm { attention(2, causal = true) }
  residual pre layernorm { (it, memory, mask = keep) |> attention(2); dropout(0.1) }
}

model mt(d = 8) : (x: f32[batch, seq, 8], m: f32[batch, src, 8], keep: bool[batch, src]) -> f32[batch, seq, 8] {
  x
  repeat 6 { (it, m, keep) |> decoder(d) }
}
",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn graph(file: &Path, format: &str) -> String {
    let args = ["graph", file.to_str().expect("a plain path"), "--format", format];
    let done = Command::new(env!("CARGO_BIN_EXE_wythe")).args(args).current_dir(root()).output();
    let done = done.expect("the program starts");
    assert!(done.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("it is UTF-8")
}

/// The models of the folder, and the nested ones above.
fn every_model(name: &str, mut look: impl FnMut(&Path)) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("picture-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    for (index, text) in NESTED.iter().enumerate() {
        let file = folder.join(format!("nested{index}.model"));
        std::fs::write(&file, text).expect("written");
        look(&file);
    }
    let entries = std::fs::read_dir(root().join("models")).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "model"));
    files.sort();
    assert!(files.len() >= 5);
    files.iter().for_each(|file| look(file));
    let _ = std::fs::remove_dir_all(folder);
}

#[derive(Clone, Copy, Debug)]
struct Rect {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Rect {
    /// Whether two share more than a border.
    fn meets(&self, other: &Rect) -> bool {
        let near = 0.2;
        self.left + near < other.right
            && other.left + near < self.right
            && self.top + near < other.bottom
            && other.top + near < self.bottom
    }

    fn holds(&self, other: &Rect) -> bool {
        let near = 0.2;
        self.left <= other.left + near
            && self.top <= other.top + near
            && other.right <= self.right + near
            && other.bottom <= self.bottom + near
    }
}

fn number(node: &Node, name: &str) -> f64 {
    node.attribute(name).unwrap_or_else(|| panic!("no {name} in {node:?}")).parse().expect("a number")
}

/// The rectangles of these classes (their first word).
fn rects(picture: &Document, classes: &[&str]) -> Vec<Rect> {
    let class =
        |node: &Node| node.attribute("class").and_then(|class| class.split(' ').next()).unwrap_or("").to_string();
    let of = |node: Node| {
        let (left, top) = (number(&node, "x"), number(&node, "y"));
        Rect { left, top, right: left + number(&node, "width"), bottom: top + number(&node, "height") }
    };
    let mut found: Vec<Rect> = picture
        .descendants()
        .filter(|node| node.has_tag_name("rect") && classes.contains(&class(node).as_str()))
        .map(of)
        .collect();
    if classes.contains(&"sign") {
        found.extend(picture.descendants().filter(|node| node.has_tag_name("circle")).map(|node| {
            let (x, y, r) = (number(&node, "cx"), number(&node, "cy"), number(&node, "r"));
            Rect { left: x - r, top: y - r, right: x + r, bottom: y + r }
        }));
    }
    found
}

/// The straight parts of all lines.
fn segments(picture: &Document) -> Vec<Rect> {
    let mut found = vec![];
    for line in picture.descendants().filter(|node| node.attribute("class") == Some("line")) {
        let path = line.attribute("d").expect("a path").replace(['M', 'L', 'Q'], " ");
        let numbers: Vec<f64> = path.split_whitespace().map(|n| n.parse().expect("a number")).collect();
        for pair in numbers.chunks(2).collect::<Vec<_>>().windows(2) {
            let ([x, y], [u, v]) = (pair[0], pair[1]) else { panic!("{path}") };
            found.push(Rect { left: x.min(*u), right: x.max(*u), top: y.min(*v), bottom: y.max(*v) });
        }
    }
    found
}

#[test]
fn pictures_are_well_formed_and_nothing_lies_over_anything() {
    every_model("svg", |file| {
        let text = graph(file, "svg");
        let name = file.display();
        let picture = Document::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(picture.root_element().tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
        assert!(!text.contains("href") && !text.contains("url(") && text.contains("prefers-color-scheme: dark"));
        let boxes = rects(&picture, &["node", "port", "sign"]);
        for (at, one) in boxes.iter().enumerate() {
            for other in &boxes[..at] {
                assert!(!one.meets(other), "{name}: {one:?} lies over {other:?}");
            }
        }
        // Frames lie in each other or apart, boxes in them or outside.
        let frames = rects(&picture, &["repeat", "block", "residual", "flow"]);
        for (at, frame) in frames.iter().enumerate() {
            for other in boxes.iter().chain(&frames[..at]) {
                let apart = !frame.meets(other) || frame.holds(other) || other.holds(frame);
                // The copies behind a repeat stick out of each other.
                let behind = (frame.left - other.left).abs() < 8.0 && (frame.right - other.right).abs() < 8.0;
                assert!(apart || behind, "{name}: {frame:?} cuts {other:?}");
            }
        }
        for line in segments(&picture) {
            for one in &boxes {
                assert!(!line_meets(&line, one), "{name}: a line {line:?} runs over {one:?}");
            }
        }
        // The page holds everything.
        let (width, height) = (number(&picture.root_element(), "width"), number(&picture.root_element(), "height"));
        let moved = picture.descendants().find_map(|node| node.attribute("transform")).expect("the picture is moved");
        let moved: Vec<f64> = moved["translate(".len()..moved.len() - 1].split(' ').flat_map(str::parse).collect();
        let page = Rect { left: -moved[0], top: -moved[1], right: width - moved[0], bottom: height - moved[1] };
        for one in boxes.iter().chain(&frames).chain(&segments(&picture)) {
            assert!(page.holds(one), "{name}: {one:?} leaves the page {page:?}");
        }
        assert_eq!(text, graph(file, "svg"), "{name}: twice the same");
    });
}

/// Whether a line runs through a box, not only to its border.
fn line_meets(line: &Rect, one: &Rect) -> bool {
    let inside = 1.0;
    line.left < one.right - inside
        && line.right > one.left + inside
        && line.top < one.bottom - inside
        && line.bottom > one.top + inside
}

/// The texts of a picture.
fn said(file: &str) -> Vec<String> {
    let text = graph(&root().join(file), "svg");
    let picture = Document::parse(&text).expect("well-formed");
    let texts = picture.descendants().filter(|node| node.is_text());
    texts.map(|node| node.text().unwrap_or("").trim().replace('\u{a0}', " ")).collect()
}

#[test]
fn a_picture_says_names_copies_shapes_and_parameters() {
    let gpt = said("models/gpt.model");
    for words in ["h  × 12", "attn", "mlp", "wte", "ln_f", "38,597,376", "2,362,368", "[batch, seq, 3072]", "+"] {
        assert!(gpt.iter().any(|text| text == words), "no {words:?} in {gpt:?}");
    }
    // Folded: one copy of twelve is drawn.
    assert_eq!(gpt.iter().filter(|text| *text == "attn").count(), 1);
    // Copies that differ in their sizes alone: the first, the last, and how many stand between.
    let dense = said("models/densenet121.model");
    assert!(dense.iter().any(|text| text == "22 more copies"), "{dense:?}");
    assert!(dense.iter().filter(|text| *text == "relu").count() < 30, "of 121");
    let deep = said("models/deepnet.model");
    assert!(deep.iter().any(|text| text == "skip × 3.761"), "{deep:?}");
    let resnet = said("models/resnet18.model");
    for words in ["layer1  × 2", "for c = 128", "for c = 512", "down(c = 256)"] {
        assert!(resnet.iter().any(|text| text == words), "no {words:?} in {resnet:?}");
    }
}

#[test]
fn the_picture_of_the_readme_is_that_of_the_model() {
    let file = root().join("models/gpt.svg");
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let drawn = graph(&root().join("models/gpt.model"), "svg");
    let command = "wythe graph models/gpt.model --format svg -o models/gpt.svg";
    assert!(kept == drawn, "models/gpt.svg is not the picture of models/gpt.model any more; `{command}` draws it");
    assert!(std::fs::read_to_string(root().join("README.md")).expect("there").contains("](models/gpt.svg)"));
}

#[test]
fn graphviz_and_mermaid_name_every_box_that_an_edge_joins() {
    every_model("dot", |file| {
        for (format, arrow) in [("dot", " -> "), ("mermaid", " -->")] {
            let text = graph(file, format);
            let (mut boxes, mut edges) = (std::collections::BTreeSet::new(), vec![]);
            for line in text.lines().map(str::trim) {
                if let Some((from, to)) = line.split_once(arrow).filter(|(from, _)| !from.contains(['"', ' '])) {
                    let to = to.rsplit_once("| ").map_or(to, |(_, to)| to);
                    edges.push((from.to_string(), to.trim().split(' ').next().unwrap_or("").to_string()));
                } else if line.starts_with('n') && !line.starts_with("node") {
                    let id: String = line.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    assert!(boxes.insert(id), "{}: twice: {line}", file.display());
                }
            }
            assert!(edges.len() + 1 >= boxes.len() / 2 && boxes.len() > 3, "{}: {text}", file.display());
            for (from, to) in edges {
                assert!(boxes.contains(&from) && boxes.contains(&to), "{}: {from} to {to}\n{text}", file.display());
            }
            let ends = if format == "dot" { text.matches('{').count() } else { text.matches("subgraph ").count() };
            let closed = if format == "dot" { text.matches("}\n").count() } else { text.matches(" end\n").count() };
            assert_eq!(ends, closed, "{text}");
        }
    });
}

#[test]
fn flat_graphs_have_no_svg() {
    let run = |args: &[&str]| {
        let all = [&["graph", "models/mlp.model"], args].concat();
        Command::new(env!("CARGO_BIN_EXE_wythe")).args(all).current_dir(root()).output().expect("the program starts")
    };
    let refused = run(&["--format", "svg", "--stage", "gradient"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--format dot"));
    let flat = run(&["--format", "dot", "--stage", "gradient"]);
    assert!(flat.status.success() && String::from_utf8_lossy(&flat.stdout).starts_with("digraph"));
}
