//! Sampling an image at points that are values themselves.

use super::activation::at_least;
use super::arithmetic::{ABS, DETACH, FLOOR, MAP_MINIMUM, MAP_REM};
use super::function::{ROUND, nan_to};
use super::index::taken;
use super::logic::{AND, GE, LT, choose, number};
use super::parts::part;
use crate::ir::attr::{AttrDef, AttrDefault, AttrKind};
use crate::ir::build::{ExpandCx, Var};
use crate::ir::dim::Dims;
use crate::ir::op::{Body, Misfit, MisfitKind, OpDef, Operand, RuleCx, Why};
use crate::kernels::resample::CUBIC;
use crate::tensor::DType;

/// A neighbour of every point along an axis: its place, kept inside, and its weight, 0 outside.
#[derive(Clone, Copy)]
struct Tap<'g> {
    place: Var<'g>,
    weight: Var<'g>,
}

/// One axis of the image: its size as a number, and what lies beyond it.
#[derive(Clone, Copy)]
struct Axis<'a, 'g> {
    size: Var<'g>,
    beyond: &'a str,
    aligned: bool,
}

impl<'g> Axis<'_, 'g> {
    /// -1 … 1 as places: the outer ones, or their outer edges.
    fn place(self, at: Var<'g>) -> Var<'g> {
        match self.aligned {
            true => (at + 1.0) / 2.0 * (self.size - 1.0),
            false => ((at + 1.0) * self.size - 1.0) / 2.0,
        }
    }

    /// Kept between the outer places; nothing flows back from there.
    fn clipped(self, at: Var<'g>) -> Var<'g> {
        let (low, last) = (at_least(at, 0.0), self.size - 1.0);
        choose(low.with(last, &LT, &[]), low, last)
    }

    /// Back and forth between the edges.
    fn reflected(self, at: Var<'g>) -> Var<'g> {
        // Where both ends are one place, any length will do: what follows keeps it there.
        let (low, twice) =
            if self.aligned { (0.0, at_least((self.size - 1.0) * 2.0, 1.0)) } else { (-0.5, self.size * 2.0) };
        let folded = (at - low).op(&ABS).with(twice, &MAP_REM, &[]);
        let back = twice - folded;
        choose(folded.with(back, &LT, &[]), folded, back) + low
    }

    /// A place as one of the image, where what is beyond it continues it.
    fn inside(self, at: Var<'g>) -> Var<'g> {
        match self.beyond {
            "border" => self.clipped(at),
            "reflection" => self.clipped(self.reflected(at)),
            _ => at,
        }
    }

    /// A whole place with its weight, which is 0 where the place lies outside.
    fn tap(self, at: Var<'g>, weight: Var<'g>) -> Tap<'g> {
        let at = at.op(&DETACH);
        let zero = number(at.builder, at.dtype(), 0.0);
        let within = at.with(zero, &GE, &[]).with(at.with(self.size, &LT, &[]), &AND, &[]);
        let place = nan_to(at_least(at, 0.0).with(self.size - 1.0, &MAP_MINIMUM, &[]), 0.0);
        Tap { place: place.to(DType::I64), weight: choose(within, weight, zero) }
    }

    /// The neighbours of points at these places.
    fn taps(self, at: Var<'g>, mode: &str) -> Vec<Tap<'g>> {
        let first = |at: Var<'g>| at.op(&FLOOR).op(&DETACH);
        match mode {
            "nearest" => {
                let at = self.inside(at).op(&DETACH).then(&ROUND, &[]);
                vec![self.tap(at, at * 0.0 + 1.0)]
            }
            "bicubic" => {
                let t = at - first(at);
                let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
                let place = |k: usize| self.inside(first(at) + (k as f64 - 1.0));
                (0..4).map(|k| self.tap(place(k), weights[k])).collect()
            }
            _ => {
                let at = self.inside(at);
                let t = at - first(at);
                vec![self.tap(first(at), 1.0 - t), self.tap(first(at) + 1.0, t)]
            }
        }
    }
}

/// Keys' curve between the two middle neighbours.
fn near(t: Var<'_>) -> Var<'_> {
    (t * (CUBIC + 2.0) - (CUBIC + 3.0)) * t * t + 1.0
}

/// The same to the outer two.
fn far(t: Var<'_>) -> Var<'_> {
    ((t * CUBIC - 5.0 * CUBIC) * t + 8.0 * CUBIC) * t - 4.0 * CUBIC
}

/// All ways to choose one neighbour an axis: the flat place in the plane, and the product of the weights.
fn combined<'g>(axes: &[Vec<Tap<'g>>], sizes: &[Var<'g>]) -> Vec<Tap<'g>> {
    let (first, rest) = axes.split_first().expect("an image has axes");
    rest.iter().zip(&sizes[1..]).fold(first.clone(), |all, (own, &size)| {
        let join = |a: Tap<'g>, b: &Tap<'g>| Tap { place: a.place * size + b.place, weight: a.weight * b.weight };
        all.into_iter().flat_map(|a| own.iter().map(move |b| join(a, b)).collect::<Vec<_>>()).collect()
    })
}

fn sampled<'g>(cx: &mut ExpandCx<'_, 'g>) -> Vec<Var<'g>> {
    let (x, grid) = (cx.x(0), cx.x(1));
    let (dims, points) = (x.dims(), grid.dims());
    let n = dims.len() - 2;
    let count = x.product(&points[1..=n]);
    // Not-a-number is the first edge, as in PyTorch.
    let flat = nan_to(grid.reshape(&[points[0], count, points[n + 1]]), -1.0);
    let [mode, beyond] = ["mode", "pad_mode"].map(|name| cx.attrs.str(name).unwrap_or_default());
    let aligned = cx.attrs.flag("align_corners");
    let number = |i: i64| x.builder.graph.borrow_mut().shapes.dims.constant(i);
    let taps = |i: usize| {
        // The last axis comes first in the grid.
        let from = (n - 1 - i) as i64;
        let at = part(flat, 2, number(from), number(from + 1)).reshape(&[points[0], count]);
        let axis = Axis { size: grid.size(dims[i + 2]), beyond, aligned };
        axis.taps(axis.place(at), mode)
    };
    let taps: Vec<Vec<Tap<'g>>> = (0..n).map(taps).collect();
    let sizes: Vec<Var<'g>> = (0..n).map(|i| taps[0][0].place.size(dims[i + 2])).collect();
    let (planes, out) = (x.fold_from(2), [dims[0], dims[1], count]);
    let value = |tap: Tap<'g>| taken(planes, tap.place.spread(&out, &[1]), 2) * tap.weight.spread(&out, &[1]);
    let sum = combined(&taps, &sizes).into_iter().map(value).reduce(|sum, value| sum + value);
    vec![sum.expect("a point has neighbours").reshape(&[&dims[..2], &points[1..=n]].concat())]
}

fn grid_rule(cx: &mut RuleCx<'_>) -> Result<(), Misfit> {
    let (dims, dtype) = (cx.rank(0, 4, 5)?, cx.operand(0)?.dtype);
    let n = dims.len() - 2;
    let points = cx.rank(1, n + 2, n + 2)?;
    cx.equal(1, 0, points[0], dims[0], Why::Leading)?;
    let axes = cx.shapes.dims.constant(n as i64);
    if let Some(found) = cx.shapes.dims.as_const(points[n + 1]).filter(|&found| found != n as i64) {
        let numbers = if n == 2 { "2 numbers, x and y" } else { "3 numbers, x, y and z" };
        let text = format!("a point of `grid` is {numbers}, on the last axis, and here are {found}");
        return Err(Misfit { operand: Some(1), ..Misfit::of(MisfitKind::Sentence(text)) });
    }
    cx.equal(1, n + 1, points[n + 1], axes, Why::Other)?;
    for (axis, &size) in dims.iter().enumerate().skip(2) {
        cx.at_least(0, axis, size, Dims::ONE, Why::Other)?;
    }
    if cx.attrs.str("mode") == Some("bicubic") && n != 2 {
        let clause = "works over 2 spatial axes as \"bicubic\"; here it is \"bilinear\"";
        return Err(Misfit { meant: Some("\"bilinear\"".into()), ..cx.bad_attr("mode", clause) });
    }
    cx.out_of(dtype, &[&dims[..2], &points[1..=n]].concat());
    Ok(())
}

ops! { OPS;

/// An image looked at where a grid of points says: each point has its place in the image (x, then y), -1 to 1 from edge to
/// edge. How spatial transformers, optical flow and deformations move images.
///
/// Between the pixels by `mode`: bilinear (over three axes: trilinear, and the points are x, y, z), nearest, or bicubic
/// (Keys' curve, a = -0.75). Outside by `pad_mode`: 0, the border's pixels, or reflected. `align_corners`: -1 and 1 are
/// the centres of the outer pixels, not their outer edges. Gradients for both; that of the points is 0 with "nearest",
/// and where "border" holds them. Not-a-number is read as -1.
GRID_SAMPLE = OpDef {
    name: "grid_sample",
    formula: "y[b, c, p] = sum_i w(place of grid[b, p], i) x[b, c, i]",
    shape: "(x [B, c, h, w], grid [B, h', w', 2]) -> [B, c, h', w']",
    source: "Jaderberg et al. 2015",
    torch: "F.grid_sample",
    example: "x: f32[1, 1, 1, 2] = [1, 3], grid: f32[1, 1, 2, 2] = [0, 0, 0.5, 0] -> [2, 3]",
    attrs: &[
        AttrDef::new("mode", &[AttrKind::Choice(&["bilinear", "nearest", "bicubic"])], AttrDefault::Str("bilinear"), "what stands between the pixels"),
        AttrDef::new("pad_mode", &[AttrKind::Choice(&["zeros", "border", "reflection"])], AttrDefault::Str("zeros"), "what stands outside")
            .torch("padding_mode"),
        AttrDef::new("align_corners", &[AttrKind::Bool], AttrDefault::Bool(false), "whether -1 and 1 are the centres of the outer pixels"),
    ],
    operands: &[Operand::float("x"), Operand::float("grid")],
    rule: grid_rule,
    body: Body::Expand(sampled),
    ..OpDef::DEFAULT
};

}
