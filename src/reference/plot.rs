//! An activation as a curve: the function and its derivative, by the operator's own kernels and gradients.

use crate::embed::{Model, Options};
use crate::export::braille;
use crate::ir::op::OpDef;
use crate::tensor::{DType, Tensor};
use ndarray::Array1;
use serde::Serialize;

/// How far the curve goes to either side of 0.
const REACH: f64 = 4.0;
/// Points of a curve: an odd number, so that 0 is one.
const POINTS: usize = 321;

/// A function of one number, and its derivative.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// The operator.
    pub name: &'static str,
    /// Where.
    pub x: Vec<f64>,
    /// The function.
    pub y: Vec<f64>,
    /// Its derivative.
    pub dy: Vec<f64>,
}

/// How a curve is drawn on a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Drawing {
    /// Columns.
    pub width: usize,
    /// Colours may be used.
    pub color: bool,
    /// Anything beyond ASCII may be used.
    pub unicode: bool,
}

impl Curve {
    /// The curve of an operator that takes numbers one by one; none of any other.
    pub(super) fn of(op: &'static OpDef) -> Option<Curve> {
        let alone = op.operands.len() == 1 && op.outputs.len() == 1 && op.shape == OpDef::DEFAULT.shape;
        if !alone || op.facts.random || op.facts.mixes_rows {
            return None;
        }
        let text = format!("dim n\nmodel m : (x: f32[n, 1]) -> f32[n, 1] {{ {} }}\n", op.name);
        let options = Options { float: DType::F64, gradients: true, ..Options::default() };
        let model = Model::check(&text).ok()?;
        if model.parameters().ok()? > 1 {
            return None;
        }
        let mut session = model.session(&options).ok()?;
        let (low, high) = op.facts.domain;
        let at = |i: usize| REACH * (2.0 * i as f64 / (POINTS - 1) as f64 - 1.0);
        let x: Vec<f64> = (0..POINTS).map(at).filter(|&x| x >= low && x <= high).collect();
        let column = |values: Vec<f64>| Array1::from(values).insert_axis(ndarray::Axis(1)).into_dyn();
        let (input, ones) = (column(x.clone()), column(vec![1.0; x.len()]));
        let found = session.gradients(&[(&input).into()], &[(&ones).into()]).ok()?;
        let (y, dy) = (numbers(found.outputs.first()?)?, numbers(found.inputs.get("x")?)?);
        // Where every number gives the same, the operator is no function of one number (a norm of one element).
        let moves = y.iter().any(|&value| (value - y[0]).abs() > 1e-3);
        moves.then_some(Curve { name: op.name, x, y, dy })
    }

    /// The values of y that are shown: all of the curve, but not beyond the reach.
    fn range(&self) -> (f64, f64) {
        let values = || self.y.iter().chain(&self.dy).copied().filter(|value| value.is_finite());
        let low = values().fold(0.0, f64::min).max(-REACH);
        let high = values().fold(0.0, f64::max).min(REACH);
        (low, high.max(low + 0.5))
    }

    /// As lines of text: the function as a line, its derivative dotted.
    pub fn draw(&self, how: &Drawing) -> String {
        let columns = how.width.saturating_sub(12).clamp(20, 66);
        let (low, high) = self.range();
        let rows = 17;
        let (across, down) = if how.unicode { (2 * columns, 4 * rows) } else { (columns, rows) };
        let place = |x: f64| ((x + REACH) / (2.0 * REACH) * (across - 1) as f64).round() as usize;
        let level = |y: f64| {
            (y.is_finite() && y >= low && y <= high)
                .then(|| ((high - y) / (high - low) * (down - 1) as f64).round() as usize)
        };
        let dots = |values: &[f64], every: usize| {
            let mut dots = vec![vec![false; across]; down];
            let mut before: Option<usize> = None;
            for (x, y) in self.x.iter().zip(values) {
                let (column, row) = (place(*x), level(*y));
                if let Some(row) = row {
                    let from = before.unwrap_or(row);
                    (from.min(row)..=from.max(row))
                        .filter(|row| every == 1 || (column + row) % every == 0)
                        .for_each(|row| dots[row][column] = true);
                }
                before = row;
            }
            dots
        };
        let (function, derivative) = (dots(&self.y, 1), dots(&self.dy, if how.unicode { 3 } else { 2 }));
        let zero = level(0.0).map(|row| row * rows / down);
        let middle = columns / 2;
        let mut out = String::new();
        for row in 0..rows {
            let label = match row {
                0 => format!("{high:>7.2}"),
                _ if row + 1 == rows => format!("{low:>7.2}"),
                _ if zero == Some(row) => format!("{:>7}", 0),
                _ => " ".repeat(7),
            };
            out.push_str(&format!("  {label} "));
            for column in 0..columns {
                let axis = match (zero == Some(row), column == middle, how.unicode) {
                    (true, true, true) => '┼',
                    (true, true, false) => '+',
                    (true, false, true) => '─',
                    (true, false, false) => '-',
                    (false, true, true) => '│',
                    (false, true, false) => '|',
                    _ => ' ',
                };
                out.push_str(&cell(&function, &derivative, (row, column), axis, how));
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        let gap = columns.saturating_sub(4) / 2;
        out.push_str(&format!("{:10}-4{:gap$}0{:>gap$}\n", "", "", 4));
        let dotted = if how.unicode { "⠢⡢" } else { ". ." };
        let line = if how.unicode { "⠒⠒" } else { "***" };
        let (line, dotted) = (colored(line, FUNCTION, how), colored(dotted, DERIVATIVE, how));
        out.push_str(&format!("{:10}{line} {}(x)   {dotted} its derivative\n", "", self.name));
        out
    }

    /// As a picture that stands alone, readable on light and dark pages.
    pub fn svg(&self) -> String {
        let (low, high) = self.range();
        let (width, height, margin) = (480.0, 320.0, 36.0);
        let px = |x: f64| margin + (x + REACH) / (2.0 * REACH) * (width - 2.0 * margin);
        let py = |y: f64| margin + (high - y) / (high - low) * (height - 2.0 * margin);
        let line = |values: &[f64]| {
            let (mut path, mut pen) = (String::new(), 'M');
            for (x, y) in self.x.iter().zip(values) {
                if y.is_finite() && *y >= low && *y <= high {
                    path.push_str(&format!("{pen}{:.1} {:.1}", px(*x), py(*y)));
                    pen = 'L';
                } else {
                    pen = 'M';
                }
            }
            path
        };
        let axis = |x1: f64, y1: f64, x2: f64, y2: f64| format!("M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}");
        let axes = axis(px(-REACH), py(0.0), px(REACH), py(0.0)) + &axis(px(0.0), py(low), px(0.0), py(high));
        let text = |x: f64, y: f64, anchor: &str, fill: &str, said: &str| {
            format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{said}</text>\n")
        };
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"none\" stroke-width=\"2\">\n\
             <style>:root{{color:#222}}@media(prefers-color-scheme:dark){{:root{{color:#ddd}}}}</style>\n\
             <path d=\"{axes}\" stroke=\"currentColor\" stroke-width=\"1\" opacity=\"0.5\"/>\n\
             <path d=\"{}\" stroke=\"#2a7de1\"/>\n<path d=\"{}\" stroke=\"#e1762a\" stroke-dasharray=\"5 4\"/>\n",
            line(&self.y),
            line(&self.dy),
        );
        out.push_str(&text(px(-REACH), py(0.0) + 16.0, "middle", "currentColor", "-4"));
        out.push_str(&text(px(REACH), py(0.0) + 16.0, "middle", "currentColor", "4"));
        out.push_str(&text(px(0.0) - 6.0, py(high) + 4.0, "end", "currentColor", &format!("{high:.2}")));
        out.push_str(&text(px(0.0) - 6.0, py(low) + 4.0, "end", "currentColor", &format!("{low:.2}")));
        out.push_str(&text(margin, 20.0, "start", "#2a7de1", &format!("{}(x)", self.name)));
        out.push_str(&text(margin + 130.0, 20.0, "start", "#e1762a", "its derivative"));
        out + "</svg>\n"
    }
}

/// Cyan and yellow: told apart on dark and light, by those who see red and green alike, too.
const FUNCTION: &str = "36";
const DERIVATIVE: &str = "33";

fn colored(text: &str, code: &str, how: &Drawing) -> String {
    if how.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
}

type Dots = [Vec<bool>];

/// One character: the function's dots and the derivative's, else the axis.
fn cell(function: &Dots, derivative: &Dots, (row, column): (usize, usize), axis: char, how: &Drawing) -> String {
    if !how.unicode {
        return match (function[row][column], derivative[row][column]) {
            (true, _) => colored("*", FUNCTION, how),
            (_, true) => colored(".", DERIVATIVE, how),
            _ => axis.into(),
        };
    }
    let (own, other) = (braille::bits(function, row, column), braille::bits(derivative, row, column));
    match (own, other) {
        (0, 0) => axis.into(),
        _ => {
            let sign = braille::sign(own | other).to_string();
            colored(&sign, if own > 0 { FUNCTION } else { DERIVATIVE }, how)
        }
    }
}

fn numbers(tensor: &Tensor) -> Option<Vec<f64>> {
    match tensor {
        Tensor::F64(values) => Some(values.iter().copied().collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_of_an_activation_is_the_activation() {
        let gelu = Curve::of(crate::ops::find("gelu").expect("it exists")).expect("it has a curve");
        let at = gelu.x.iter().position(|&x| x == 1.0).expect("1 is a point");
        // Golden numbers: GELU and its derivative at 1.
        assert!((gelu.y[at] - 0.8413447461).abs() < 1e-9 && (gelu.dy[at] - 1.0833154706).abs() < 1e-9);
        let log = Curve::of(crate::ops::find("log").expect("it exists")).expect("it has a curve");
        assert!(log.x.iter().all(|&x| x >= 0.0));
        assert!(Curve::of(crate::ops::find("linear").expect("it exists")).is_none());
        assert!(Curve::of(crate::ops::find("layernorm").expect("it exists")).is_none());
    }

    #[test]
    fn a_curve_is_drawn_within_its_columns() {
        let relu = Curve::of(crate::ops::find("relu").expect("it exists")).expect("it has a curve");
        for unicode in [false, true] {
            let drawn = relu.draw(&Drawing { width: 60, color: false, unicode });
            assert!(drawn.lines().all(|line| line.chars().count() <= 60), "{drawn}");
            assert_eq!(drawn.is_ascii(), !unicode);
        }
        assert!(relu.svg().ends_with("</svg>\n"));
    }
}
