//! What is drawn, and how large it is: boxes by their words, frames by what they hold.

use super::measure::{width, wrapped};
use super::place::{Block, inside};
use super::scene::{Frame, FrameKind, Node, What};

/// Font sizes: names and stages, what is said beside them.
pub(super) const TEXT: f64 = 12.0;
pub(super) const SMALL: f64 = 10.5;
/// The radius of a sign.
pub(super) const SIGN: f64 = 9.0;
/// How far text stands from the border of its box.
pub(super) const INSET: f64 = 12.0;

const NODE: f64 = 26.0;
const LINE: f64 = 15.0;
const PAD: f64 = 13.0;

/// A rectangle: left, top, width, height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

/// What is drawn, from back to front.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Frame { rect: Rect, kind: FrameKind, lines: Vec<(String, bool)>, copies: u64, tip: String },
    Line { points: Vec<(f64, f64)>, arrow: bool },
    Label { x: f64, y: f64, text: String },
    Port { rect: Rect, name: String, ty: String, tip: String },
    Node { rect: Rect, node: Node, tip: String },
    Sign { x: f64, y: f64, sign: String, aside: String, tip: String },
}

/// The size of a box, and where lines meet it.
#[derive(Clone, Debug, Default)]
pub(super) struct Size {
    pub left: f64,
    pub right: f64,
    pub height: f64,
    pub ins: Vec<f64>,
    pub outs: Vec<f64>,
    /// A frame's inside.
    pub inside: Option<Block>,
    /// A frame's words.
    pub lines: Vec<(String, bool)>,
}

/// The size of a box.
pub(super) fn size(what: &What) -> Size {
    let around = |half: f64, height: f64| Size { left: half, right: half, height, ..Size::default() };
    match what {
        What::Entry | What::Exit => around(0.0, 0.0),
        What::Port { name, ty } => around((port_width(name, ty) / 2.0).ceil(), NODE - 2.0),
        What::Node(node) => around((node_width(node) / 2.0).ceil(), NODE),
        What::Sign { aside, .. } => {
            let room = if aside.is_empty() { 0.0 } else { 8.0 + width(aside, SMALL, false) };
            Size { left: SIGN, right: SIGN + room, height: 2.0 * SIGN, ..Size::default() }
        }
        What::Frame(frame) => frame_size(frame),
    }
}

fn port_width(name: &str, ty: &str) -> f64 {
    2.0 * INSET + width(name, TEXT, true) + 8.0 + width(ty, SMALL, false)
}

fn node_width(node: &Node) -> f64 {
    let name = if node.name.is_empty() { 0.0 } else { width(&node.name, TEXT, true) + 8.0 };
    let count = if node.count.is_empty() { 0.0 } else { width(&node.count, SMALL, false) + 14.0 };
    (2.0 * INSET + name + width(&node.text, TEXT, false) + count).max(120.0)
}

fn frame_size(frame: &Frame) -> Size {
    let inside = inside(frame);
    let (mut left, mut right) = (inside.left + PAD, inside.right + PAD);
    let first = inside.entries.iter().copied().fold(f64::INFINITY, f64::min);
    // The words stand to the left of the lines that come in.
    let beside = if first.is_finite() { first - 10.0 } else { right - PAD };
    let room = (left + beside - INSET).max(150.0);
    let mut lines: Vec<(String, bool)> = vec![];
    for (index, line) in frame.lines.iter().enumerate() {
        let copies = if index == 0 && frame.copies > 1 { format!("  × {}", frame.copies) } else { String::new() };
        // A line breaks between arguments, not in one.
        let unbroken = |text: &str| text.replace(" = ", "\u{a0}=\u{a0}").replace(" × ", "\u{a0}×\u{a0}");
        let line = unbroken(&format!("{line}{copies}"));
        // What kind of residual it is says less than a name.
        let bold = index == 0 && (frame.kind != FrameKind::Residual || frame.lines.len() > 1);
        let size = if bold { TEXT } else { SMALL };
        lines.extend(wrapped(&line, room, size, bold).into_iter().map(|line| (line, bold)));
    }
    let widths = lines.iter().map(|(line, bold)| width(line, if *bold { TEXT } else { SMALL }, *bold));
    left = left.max(widths.fold(0.0, f64::max) + INSET - beside).ceil();
    right = right.max(PAD).ceil();
    let head = 8.0 + LINE * lines.len() as f64;
    let height = head + inside.height + PAD;
    Size { left, right, height, ins: inside.entries.clone(), outs: inside.exits.clone(), inside: Some(inside), lines }
}

/// Draws a frame: its border, the lines through it, its inside.
pub(super) fn framed(frame: &Frame, size: Size, tip: &str, (x, y): (f64, f64), shapes: &mut Vec<Shape>) {
    let Some(inside) = size.inside else { return };
    let rect = Rect { x: x - size.left, y, w: size.left + size.right, h: size.height };
    let head = size.height - inside.height - PAD;
    let (kind, lines, copies) = (frame.kind, size.lines, frame.copies);
    shapes.push(Shape::Frame { rect, kind, lines, copies, tip: tip.into() });
    let line = |at: f64, from: f64, to: f64| Shape::Line { points: vec![(x + at, from), (x + at, to)], arrow: false };
    shapes.extend(inside.entries.iter().map(|&at| line(at, y, y + head)));
    shapes.extend(inside.exits.iter().map(|&at| line(at, y + head + inside.height, y + size.height)));
    shapes.extend(inside.shapes.into_iter().map(|shape| shape.moved(x, y + head)));
}

impl Shape {
    fn moved(self, dx: f64, dy: f64) -> Shape {
        let shift = |rect: Rect| Rect { x: rect.x + dx, y: rect.y + dy, ..rect };
        match self {
            Shape::Frame { rect, kind, lines, copies, tip } => {
                Shape::Frame { rect: shift(rect), kind, lines, copies, tip }
            }
            Shape::Line { points, arrow } => {
                Shape::Line { points: points.into_iter().map(|(x, y)| (x + dx, y + dy)).collect(), arrow }
            }
            Shape::Label { x, y, text } => Shape::Label { x: x + dx, y: y + dy, text },
            Shape::Port { rect, name, ty, tip } => Shape::Port { rect: shift(rect), name, ty, tip },
            Shape::Node { rect, node, tip } => Shape::Node { rect: shift(rect), node, tip },
            Shape::Sign { x, y, sign, aside, tip } => Shape::Sign { x: x + dx, y: y + dy, sign, aside, tip },
        }
    }
}
