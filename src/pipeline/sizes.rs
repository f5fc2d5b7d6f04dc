//! What could not be decided before sizes were known, decided when they are.

use crate::exec::bind::Binding;
use crate::ir::op::{Condition, Need};
use crate::ir::structured::Structured;
use indexmap::IndexSet;

/// A fact that a model needs and that these sizes break.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{sizes} breaks `{fact}`{known}")]
pub struct Unmet {
    /// `seq <= ctx`, as written, or as the layer that needs it would be.
    pub fact: String,
    /// `seq = 600`.
    pub sizes: String,
    /// `, ctx = 512`.
    pub known: String,
}

/// Checks the facts of `where`, and the bounds that layers need; what is still unknown passes.
pub fn check_sizes(model: &Structured, bound: &Binding) -> Result<(), Unmet> {
    for (need, _) in model.facts.iter().chain(&model.needs) {
        if holds(model, bound, need.condition) == Some(false) {
            return Err(unmet(model, bound, need));
        }
    }
    Ok(())
}

fn holds(model: &Structured, bound: &Binding, condition: Condition) -> Option<bool> {
    let value = |dim| model.shapes.dims.eval(dim, &|name| bound.get(name).copied());
    match condition {
        Condition::Equal(a, b) => value(a).zip(value(b)).map(|(a, b)| a == b),
        Condition::AtLeast(a, b) => value(a).zip(value(b)).map(|(a, b)| a >= b),
        Condition::Divides { what, by } => value(what).zip(value(by)).map(|(what, by)| by != 0 && what % by == 0),
    }
}

/// The fact in the user's words, with what its names stand for.
fn unmet(model: &Structured, bound: &Binding, need: &Need) -> Unmet {
    let fact = need.show(&model.shapes.dims);
    let names = |name: &&str| !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
    let words: IndexSet<&str> = fact.split(|c: char| !c.is_alphanumeric() && c != '_').filter(names).collect();
    let size = |name: &&str| bound.get(*name).map(|size| format!("{name} = {size}"));
    let hyper = |name: &&str| {
        let (_, value) = model.hypers.iter().find(|(own, _)| own == name)?;
        Some(format!(", {name} = {value}"))
    };
    let mut sizes: Vec<String> = words.iter().filter_map(size).collect();
    if sizes.is_empty() {
        // Written in a block, over names of its own.
        let (Condition::Equal(a, b) | Condition::AtLeast(a, b) | Condition::Divides { what: a, by: b }) =
            need.condition;
        let dims = [a, b].into_iter().flat_map(|dim| model.shapes.dims.symbols(dim));
        sizes = dims.collect::<IndexSet<_>>().iter().filter_map(|name| size(&name.as_str())).collect();
    }
    let known = words.iter().filter(|name| !bound.contains_key(**name)).filter_map(hyper).collect();
    Unmet { sizes: sizes.join(", "), known, fact }
}
