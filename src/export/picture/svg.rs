//! Placed shapes as SVG.

use super::place::Block;
use super::scene::{FrameKind, Node};
use super::shapes::{INSET, Rect, SIGN, Shape};
use std::fmt::Write;

/// Room around the picture.
const MARGIN: f64 = 20.0;
/// The radius of a corner of a line.
const CORNER: f64 = 6.0;

/// Colours for light, and then for dark.
const STYLE: &str = "\
    text { font: 12px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif; fill: #1f2328 }
    .b { font-weight: 600 }
    .s { font-size: 10.5px; fill: #59636e }
    .page { fill: #ffffff }
    .line { fill: none; stroke: #818b98; stroke-width: 1.4 }
    .tip { fill: #818b98 }
    .node { fill: #f6f8fa; stroke: #c4ccd4 }
    .learned { fill: #ddf4ff; stroke: #54aeff }
    .mode { stroke-dasharray: 4 3 }
    .port { fill: #25292e; stroke: none }
    .port-text { fill: #ffffff }
    .port-type { fill: #d1d9e0 }
    .sign { fill: #ffffff; stroke: #59636e; stroke-width: 1.4 }
    .repeat { fill: #fbf8ff; stroke: #8250df; stroke-width: 1.3 }
    .repeat-text { fill: #8250df }
    .block { fill: #59636e; fill-opacity: .06; stroke: #818b98 }
    .residual { fill: #59636e; fill-opacity: .05; stroke: #b6bfc9; stroke-dasharray: 2 3 }
    .flow { fill: none; stroke: #d1d9e0 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .s { fill: #9198a1 }
      .page { fill: #0d1117 }
      .line { stroke: #7d8590 }
      .tip { fill: #7d8590 }
      .node { fill: #1c2128; stroke: #3d444d }
      .learned { fill: #12283f; stroke: #1f6feb }
      .port { fill: #d1d9e0 }
      .port-text { fill: #0d1117 }
      .port-type { fill: #3d444d }
      .sign { fill: #0d1117; stroke: #9198a1 }
      .repeat { fill: #17131f; stroke: #a371f7 }
      .repeat-text { fill: #a371f7 }
      .block { fill: #9198a1; stroke: #7d8590 }
      .residual { fill: #9198a1; stroke: #4d555e }
      .flow { stroke: #3d444d }
    }
";

/// The picture.
pub(super) fn draw(name: &str, block: &Block) -> String {
    let copies = |shape: &Shape| matches!(shape, Shape::Frame { copies, .. } if *copies > 1);
    // The edges of the copies behind a repeat stick out.
    let behind = if block.shapes.iter().any(copies) { 8.0 } else { 0.0 };
    let (width, height) = (block.left + block.right + 2.0 * MARGIN + behind, block.height + 2.0 * MARGIN);
    let (w, h) = (number(width), number(height));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\">\n"
    );
    let _ = writeln!(out, "  <title>{}</title>\n  <style>\n{STYLE}  </style>", escaped(name));
    let _ = writeln!(out, "  <rect class=\"page\" width=\"{w}\" height=\"{h}\" rx=\"8\"/>");
    let _ = writeln!(out, "  <g transform=\"translate({} {})\">", number(block.left + MARGIN), number(MARGIN));
    for shape in &block.shapes {
        one(shape, &mut out);
    }
    out.push_str("  </g>\n</svg>\n");
    out
}

fn one(shape: &Shape, out: &mut String) {
    match shape {
        Shape::Frame { rect, kind, lines, copies, tip } => frame(rect, *kind, (lines, *copies), tip, out),
        Shape::Line { points, arrow } => line(points, *arrow, out),
        Shape::Label { x, y, text } => words(*x, *y, "s", "start", text, out),
        Shape::Port { rect, name, ty, tip } => {
            let _ = writeln!(out, "    <g>{}", titled(tip));
            bare_rect(rect, "port", rect.h / 2.0, out);
            let y = rect.y + rect.h / 2.0 + 4.0;
            let _ = writeln!(
                out,
                "    <text x=\"{}\" y=\"{}\" text-anchor=\"middle\"><tspan class=\"b port-text\">{}</tspan><tspan \
                 class=\"s port-type\" dx=\"8\">{}</tspan></text></g>",
                number(rect.x + rect.w / 2.0),
                number(y),
                escaped(name),
                escaped(ty)
            );
        }
        Shape::Node { rect, node, tip } => stage(rect, node, tip, out),
        Shape::Sign { x, y, sign, aside, tip } => {
            let (cx, cy) = (number(*x), number(*y));
            let _ = writeln!(
                out,
                "    <g>{}<circle class=\"sign\" cx=\"{cx}\" cy=\"{cy}\" r=\"{}\"/>",
                titled(tip),
                number(SIGN)
            );
            words(*x, y + 4.2, "b", "middle", sign, out);
            if !aside.is_empty() {
                words(x + SIGN + 6.0, y - 4.0, "s", "start", aside, out);
            }
            out.push_str("    </g>\n");
        }
    }
}

fn frame(rect: &Rect, kind: FrameKind, (lines, copies): (&[(String, bool)], u64), tip: &str, out: &mut String) {
    let class = match kind {
        FrameKind::Repeat => "repeat",
        FrameKind::Block => "block",
        FrameKind::Residual => "residual",
        FrameKind::Flow => "flow",
    };
    let _ = writeln!(out, "    <g>{}", titled(tip));
    if copies > 1 {
        for behind in [7.0, 3.5] {
            bare_rect(&Rect { x: rect.x + behind, y: rect.y + behind, ..*rect }, class, 10.0, out);
        }
    }
    bare_rect(rect, class, 10.0, out);
    let mut y = rect.y + 18.0;
    for (text, bold) in lines {
        let class = match (bold, kind) {
            (true, FrameKind::Repeat) => "b repeat-text",
            (true, _) => "b",
            (false, _) => "s",
        };
        words(rect.x + INSET, y, class, "start", text, out);
        y += 15.0;
    }
    out.push_str("    </g>\n");
}

fn stage(rect: &Rect, node: &Node, tip: &str, out: &mut String) {
    let mut class = String::from(if node.learned { "node learned" } else { "node" });
    if node.by_mode {
        class.push_str(" mode");
    }
    let _ = writeln!(out, "    <g>{}", titled(tip));
    bare_rect(rect, &class, 6.0, out);
    let y = rect.y + rect.h / 2.0 + 4.2;
    let mut spans = String::new();
    if !node.name.is_empty() {
        let _ = write!(spans, "<tspan class=\"b\">{}</tspan><tspan dx=\"8\">", escaped(&node.name));
    }
    spans.push_str(&escaped(&node.text));
    if !node.name.is_empty() {
        spans.push_str("</tspan>");
    }
    // What has no count stands in the middle.
    let (x, anchor) = if node.count.is_empty() && node.name.is_empty() {
        (rect.x + rect.w / 2.0, "middle")
    } else {
        (rect.x + INSET, "start")
    };
    let _ = writeln!(out, "    <text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{spans}</text>", number(x), number(y));
    if !node.count.is_empty() {
        words(rect.x + rect.w - INSET, y - 0.4, "s", "end", &node.count, out);
    }
    out.push_str("    </g>\n");
}

fn bare_rect(rect: &Rect, class: &str, radius: f64, out: &mut String) {
    let (x, y, w, h) = (number(rect.x), number(rect.y), number(rect.w), number(rect.h));
    let _ = writeln!(
        out,
        "    <rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{}\"/>",
        number(radius)
    );
}

fn words(x: f64, y: f64, class: &str, anchor: &str, text: &str, out: &mut String) {
    let anchor = if anchor == "start" { String::new() } else { format!(" text-anchor=\"{anchor}\"") };
    let _ = writeln!(
        out,
        "    <text class=\"{class}\" x=\"{}\" y=\"{}\"{anchor}>{}</text>",
        number(x),
        number(y),
        escaped(text)
    );
}

/// A line with round corners, and the point of an arrow at its end.
fn line(points: &[(f64, f64)], arrow: bool, out: &mut String) {
    let mut points = points.to_vec();
    points.dedup();
    let (Some(&first), Some(&end)) = (points.first(), points.last()) else { return };
    let mut path = format!("M{} {}", number(first.0), number(first.1));
    for index in 1..points.len() {
        let (a, b) = (points[index - 1], points[index]);
        let Some(&c) = points.get(index + 1) else { continue };
        let (length, next) = (distance(a, b), distance(b, c));
        let round = CORNER.min(length / 2.0).min(next / 2.0);
        let (into, away) = (towards(b, a, round), towards(b, c, round));
        let _ = write!(
            path,
            " L{} {} Q{} {} {} {}",
            number(into.0),
            number(into.1),
            number(b.0),
            number(b.1),
            number(away.0),
            number(away.1)
        );
    }
    let before = points.len().checked_sub(2).map_or(first, |at| points[at]);
    let short = if arrow { towards(end, before, 4.0) } else { end };
    let _ = write!(path, " L{} {}", number(short.0), number(short.1));
    let _ = writeln!(out, "    <path class=\"line\" d=\"{path}\"/>");
    if arrow {
        let base = towards(end, before, 7.0);
        let (dx, dy) = ((end.0 - base.0) / 7.0, (end.1 - base.1) / 7.0);
        let (l, r) = ((base.0 - 3.5 * dy, base.1 + 3.5 * dx), (base.0 + 3.5 * dy, base.1 - 3.5 * dx));
        let point = |p: (f64, f64)| format!("{} {}", number(p.0), number(p.1));
        let _ = writeln!(out, "    <path class=\"tip\" d=\"M{} L{} L{} Z\"/>", point(end), point(l), point(r));
    }
}

/// Lines run along the axes.
fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).abs() + (a.1 - b.1).abs()
}

/// The point so far from `from` on the way to `to`.
fn towards(from: (f64, f64), to: (f64, f64), far: f64) -> (f64, f64) {
    let length = distance(from, to);
    if length == 0.0 {
        return from;
    }
    let share = (far / length).min(1.0);
    (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share)
}

fn titled(tip: &str) -> String {
    if tip.is_empty() { String::new() } else { format!("<title>{}</title>", escaped(tip)) }
}

/// One digit behind the point, and none where it is 0.
fn number(value: f64) -> String {
    let tenths = (value * 10.0).round() as i64;
    let sign = if tenths < 0 { "-" } else { "" };
    let tenths = tenths.unsigned_abs();
    if tenths.is_multiple_of(10) {
        format!("{sign}{}", tenths / 10)
    } else {
        format!("{sign}{}.{}", tenths / 10, tenths % 10)
    }
}

/// Text that XML reads back: its own signs escaped, what it cannot hold left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([number(3.0), number(-0.04), number(-2.56), number(10.04)], ["3", "0", "-2.6", "10"]);
    }

    #[test]
    fn what_xml_cannot_hold_is_left_out() {
        assert_eq!(escaped("a < \"b\" & c\u{1}\n"), "a &lt; &quot;b&quot; &amp; c ");
    }
}
