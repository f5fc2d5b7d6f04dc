//! Kinds of stages that lints speak of.

use super::flow::{Flow, Site};
use crate::ir::attr::Attr;
use crate::ops;

/// A layer whose output is a weighted sum of its input.
pub const LAYERS: &[&str] = &["linear", "conv", "conv_transpose"];

/// What ends in logits: a layer, or the transpose of a table.
pub const HEADS: &[&str] = &["linear", "conv", "unembed"];

impl Flow<'_> {
    /// Whether a site is one of these operators.
    pub fn is(&self, site: Site, names: &[&str]) -> bool {
        names.contains(&self.op(site).op.name)
    }

    /// A norm, or what stands in its place.
    pub fn is_norm(&self, site: Site) -> bool {
        ops::family(self.op(site).op).starts_with("Normalisation")
    }

    /// A nonlinearity, elementwise.
    pub fn is_activation(&self, site: Site) -> bool {
        ops::family(self.op(site).op).starts_with("Activations")
    }

    /// Only metadata changes.
    pub fn is_view(&self, site: Site) -> bool {
        self.op(site).op.facts.view
    }

    /// A dropout that drops something of each sample; what leaves out whole branches is another matter.
    pub fn drops(&self, site: Site) -> Option<f64> {
        let parts = self.is_dropout(site) && !self.is(site, &["drop_path"]);
        self.op(site).attrs.float("p").filter(|&p| p > 0.0 && parts)
    }

    /// What draws random numbers in training and does nothing in eval.
    pub fn is_dropout(&self, site: Site) -> bool {
        let op = self.op(site).op;
        op.facts.random && op.facts.by_mode && ops::family(op) == "Randomness"
    }

    /// Values pass it unchanged in eval mode: a view, dropout.
    pub fn is_plain(&self, site: Site) -> bool {
        self.is_view(site) || self.is_dropout(site)
    }

    /// It takes means, sums or maxima over whole axes or windows, and nothing else.
    pub fn pools(&self, site: Site) -> bool {
        ops::family(self.op(site).op) == "Pooling" || self.is(site, &["mean", "sum"])
    }

    /// The number of an attribute that holds one an axis, or one for all.
    pub fn per_axis(&self, site: Site, name: &str, axes: usize) -> Option<Vec<i64>> {
        let attrs = &self.op(site).attrs;
        match attrs.get(name) {
            Attr::Int(value) => Some(vec![*value; axes]),
            _ => attrs.ints(name).filter(|list| list.len() == axes),
        }
    }

    /// The axis that an attribute names.
    pub fn axis(&self, site: Site, name: &str) -> Option<usize> {
        let rank = self.dims_in(site).len();
        crate::ir::op::resolve_axis(self.op(site).attrs.int(name).unwrap_or(-1), rank)
    }
}
