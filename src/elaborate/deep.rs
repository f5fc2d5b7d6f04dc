//! Deep norm: alpha and beta from the stack that a residual stands in (Wang et al. 2022).
//!
//! S is the number of deep residuals that a stream passes through on the longest path through this one; then
//! alpha = S^(1/4) and beta = (4S)^(-1/4). A stream follows what flows in; a value that is only an operand starts another.

use super::exact::pow;
use crate::ir::attr::Attr;
use crate::ir::op::Body;
use crate::ir::structured::{Item, OpItem, Region, RepeatItem, Run, ScopeItem, ScopeKind, Structured, ValueId};
use std::collections::{HashMap, HashSet};

/// The arguments of `deep(…)`, as far as they are given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Deep {
    /// Weight of the skip.
    pub alpha: Option<f64>,
    /// Gain of the branch.
    pub beta: Option<f64>,
    /// Layers of two sublayers.
    pub layers: Option<f64>,
    /// Layers of the encoder.
    pub encoder: Option<f64>,
    /// Layers of the decoder that reads it.
    pub decoder: Option<f64>,
}

impl Deep {
    /// Alpha and beta for a stream of `s` deep residuals.
    fn constants(&self, s: f64) -> (f64, f64) {
        let root = |x: f64| pow(x, 0.25);
        let (alpha, beta) = match (self.encoder, self.decoder) {
            (Some(n), Some(m)) => {
                // 0.81 (N^4 M)^(1/16) and 0.87 (N^4 M)^(-1/16): an encoder that a decoder reads.
                let sixteenth = root(root(n * n * n * n * m));
                (0.81 * sixteenth, 0.87 / sixteenth)
            }
            _ => {
                let s = match (self.layers, self.encoder, self.decoder) {
                    (Some(n), ..) => 2.0 * n,
                    (None, Some(n), None) => 2.0 * n,
                    (None, None, Some(m)) => 3.0 * m,
                    _ => s,
                };
                (root(s), 1.0 / root(4.0 * s))
            }
        };
        (self.alpha.unwrap_or(alpha), self.beta.unwrap_or(beta))
    }
}

/// The number of deep residuals on the longest path of a stream up to each value, or from it on.
type Lengths = HashMap<ValueId, u64>;

/// Fills alpha and beta in.
pub(super) fn fill_in(model: &mut Structured, deeps: &HashMap<ValueId, Deep>) {
    if deeps.is_empty() {
        return;
    }
    let mut walk = Walk { deeps, before: Lengths::new(), after: Lengths::new() };
    walk.forward(&model.body);
    walk.backward(&model.body);
    let (before, after) = (walk.before, walk.after);
    set_region(&mut model.body, deeps, &before, &after);
}

struct Walk<'d> {
    deeps: &'d HashMap<ValueId, Deep>,
    before: Lengths,
    after: Lengths,
}

/// The operands that a stream goes through: what flows in; all, where the operator joins equals, as signs do.
fn streams(op: &OpItem) -> impl Iterator<Item = ValueId> {
    let many = op.op.operands.iter().any(|operand| operand.many) || op.op.name.starts_with("residual");
    let all = if many || matches!(op.op.body, Body::Map { .. }) { usize::MAX } else { 1 };
    op.operands.iter().take(all).copied().flatten()
}

impl Walk<'_> {
    fn at(&self, value: ValueId) -> u64 {
        self.before.get(&value).copied().unwrap_or(0)
    }

    fn from(&self, value: ValueId) -> u64 {
        self.after.get(&value).copied().unwrap_or(0)
    }

    fn forward(&mut self, region: &Region) {
        for item in &region.items {
            match item {
                Item::Op(op) => {
                    let longest = streams(op).map(|value| self.at(value)).max().unwrap_or(0);
                    for out in &op.outs {
                        let own = u64::from(self.deeps.contains_key(out));
                        self.before.insert(*out, longest + own);
                    }
                }
                Item::Scope(scope) => self.forward(&scope.region),
                Item::Repeat(repeat) => self.forward_repeat(repeat),
            }
        }
    }

    fn forward_repeat(&mut self, repeat: &RepeatItem) {
        let mut carried: Vec<u64> = repeat.ins.iter().map(|&value| self.at(value)).collect();
        for run in &repeat.runs {
            let mut left = run.count;
            let first = carried.clone();
            while left > 0 {
                let next = self.forward_copy(run, &carried);
                left -= 1;
                // One stream grows by the same number in every copy: the rest is a product.
                if let ([old], [new]) = (carried.as_slice(), next.as_slice()) {
                    carried = vec![new.saturating_add(new.saturating_sub(*old).saturating_mul(left))];
                    break;
                }
                let still = carried == next;
                carried = next;
                if still {
                    break;
                }
            }
            if run.params.len() > 1 && run.count > 1 {
                // The first copy stands for all.
                self.forward_copy(run, &first);
            }
        }
        for (out, length) in repeat.outs.iter().zip(carried) {
            self.before.insert(*out, length);
        }
    }

    /// The lengths in one copy, and those that it carries on.
    fn forward_copy(&mut self, run: &Run, carried: &[u64]) -> Vec<u64> {
        for (param, length) in run.params.iter().zip(carried) {
            self.before.insert(*param, *length);
        }
        self.forward(&run.region);
        run.results.iter().map(|&value| self.at(value)).collect()
    }

    fn raise(&mut self, value: ValueId, length: u64) {
        let known = self.after.entry(value).or_insert(0);
        *known = (*known).max(length);
    }

    fn backward(&mut self, region: &Region) {
        for item in region.items.iter().rev() {
            match item {
                Item::Op(op) => {
                    let length =
                        op.outs.iter().map(|&out| self.from(out) + u64::from(self.deeps.contains_key(&out))).max();
                    let values: Vec<ValueId> = streams(op).collect();
                    for value in values {
                        self.raise(value, length.unwrap_or(0));
                    }
                }
                Item::Scope(scope) => self.backward(&scope.region),
                Item::Repeat(repeat) => self.backward_repeat(repeat),
            }
        }
    }

    fn backward_repeat(&mut self, repeat: &RepeatItem) {
        let mut carried: Vec<u64> = repeat.outs.iter().map(|&value| self.from(value)).collect();
        for run in repeat.runs.iter().rev() {
            let mut left = run.count;
            while left > 0 {
                let next = self.backward_copy(run, &carried);
                left -= 1;
                if let ([old], [new], true) = (carried.as_slice(), next.as_slice(), left > 0) {
                    let more = new.saturating_sub(*old).saturating_mul(left);
                    // The first copy stands for all: what follows it are the other copies, too.
                    carried = vec![new.saturating_add(more)];
                    let mut reach: HashSet<ValueId> = run.results.iter().copied().collect();
                    self.lengthen(&run.region, more, &mut reach);
                    break;
                }
                let still = carried == next;
                carried = next;
                if still {
                    break;
                }
            }
        }
        for (value, length) in repeat.ins.iter().zip(carried) {
            self.raise(*value, length);
        }
    }

    /// Adds to the lengths of the values of a copy from which its results are reached: others end within it.
    fn lengthen(&mut self, region: &Region, more: u64, reach: &mut HashSet<ValueId>) {
        for item in region.items.iter().rev() {
            match item {
                Item::Op(op) => {
                    let reached: Vec<ValueId> = op.outs.iter().copied().filter(|out| reach.contains(out)).collect();
                    for out in &reached {
                        let length = self.after.entry(*out).or_insert(0);
                        *length = length.saturating_add(more);
                    }
                    if !reached.is_empty() {
                        reach.extend(streams(op));
                    }
                }
                Item::Scope(scope) => self.lengthen(&scope.region, more, reach),
                Item::Repeat(repeat) => self.lengthen_repeat(repeat, more, reach),
            }
        }
    }

    fn lengthen_repeat(&mut self, repeat: &RepeatItem, more: u64, reach: &mut HashSet<ValueId>) {
        let mut carried: Vec<bool> = repeat.outs.iter().map(|out| reach.contains(out)).collect();
        for run in repeat.runs.iter().rev() {
            // What a copy carries on reaches the end through the next copy: one round more for each value.
            let rounds = run.count.min(run.params.len() as u64).max(1);
            let mut inner = HashSet::new();
            for round in 0..rounds {
                inner =
                    run.results.iter().zip(&carried).filter(|(_, there)| **there).map(|(value, _)| *value).collect();
                let last = round + 1 == rounds;
                self.lengthen(&run.region, if last { more } else { 0 }, &mut inner);
                let next = run.params.iter().map(|param| inner.contains(param));
                carried = next.zip(&carried).map(|(next, now)| next || *now).collect();
            }
            carried = run.params.iter().map(|param| inner.contains(param)).collect();
        }
        reach.extend(repeat.ins.iter().zip(carried).filter(|(_, there)| *there).map(|(value, _)| *value));
    }

    /// The lengths in one copy, and those that lead up to it.
    fn backward_copy(&mut self, run: &Run, carried: &[u64]) -> Vec<u64> {
        for (result, length) in run.results.iter().zip(carried) {
            self.raise(*result, *length);
        }
        self.backward(&run.region);
        run.params.iter().map(|&value| self.from(value)).collect()
    }
}

fn set_region(region: &mut Region, deeps: &HashMap<ValueId, Deep>, before: &Lengths, after: &Lengths) {
    for item in &mut region.items {
        match item {
            Item::Op(_) => {}
            Item::Repeat(repeat) => {
                for run in &mut repeat.runs {
                    set_region(&mut run.region, deeps, before, after);
                }
            }
            Item::Scope(scope) => {
                set_residual(scope, deeps, before, after);
                set_region(&mut scope.region, deeps, before, after);
            }
        }
    }
}

fn set_residual(scope: &mut ScopeItem, deeps: &HashMap<ValueId, Deep>, before: &Lengths, after: &Lengths) {
    if scope.kind != ScopeKind::Residual {
        return;
    }
    let sum = scope.region.items.iter().position(|item| match item {
        Item::Op(op) => op.outs.first().is_some_and(|out| deeps.contains_key(out)),
        Item::Repeat(_) | Item::Scope(_) => false,
    });
    let Some(sum) = sum else { return };
    let (branch, rest) = scope.region.items.split_at_mut(sum);
    let Some(Item::Op(add)) = rest.first_mut() else { return };
    let Some((out, deep)) = add.outs.first().and_then(|out| Some((out, deeps.get(out)?))) else { return };
    // `before` counts this residual itself.
    let s = before.get(out).copied().unwrap_or(1) + after.get(out).copied().unwrap_or(0);
    let (alpha, beta) = deep.constants(s as f64);
    add.attrs = add.attrs.replaced("alpha", Attr::Float(alpha));
    branch.iter_mut().for_each(|item| set_gain(item, beta));
}

/// Every linear, conv and attention of the branch; the skip's projection is none of it.
fn set_gain(item: &mut Item, beta: f64) {
    match item {
        Item::Op(op) => {
            let layer = op.op.attrs.iter().any(|def| def.name == "gain") || op.op.name == "attention";
            if layer && matches!(op.attrs.get("gain"), Attr::None) {
                op.gain = Some(beta);
            }
        }
        Item::Repeat(repeat) => {
            let items = repeat.runs.iter_mut().flat_map(|run| run.region.items.iter_mut());
            items.for_each(|item| set_gain(item, beta));
        }
        Item::Scope(scope) if scope.kind == ScopeKind::Skip => {}
        Item::Scope(scope) => scope.region.items.iter_mut().for_each(|item| set_gain(item, beta)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_those_of_the_paper() {
        let near =
            |(a, b): (f64, f64), x: f64, y: f64| assert!((a - x).abs() < 5e-4 && (b - y).abs() < 5e-4, "{a} {b}");
        let stack = Deep::default();
        near(stack.constants(24.0), 2.2134, 0.3195);
        near(stack.constants(200.0), 3.7606, 0.1880);
        near(stack.constants(2000.0), 6.6874, 0.1057);
        near(stack.constants(18.0), 2.060, 0.343);
        near(stack.constants(54.0), 2.711, 0.261);
        let encoder = |n: f64| Deep { encoder: Some(n), decoder: Some(n), ..Deep::default() };
        near(encoder(6.0).constants(1.0), 1.418, 0.497);
        near(encoder(18.0).constants(1.0), 1.999, 0.353);
        near(Deep { layers: Some(100.0), ..Deep::default() }.constants(1.0), 3.7606, 0.1880);
    }
}
