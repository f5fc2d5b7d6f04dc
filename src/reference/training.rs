//! The pages of what stands in a train section.

use super::operator::attribute;
use super::page::{Attribute, Page, lead};
use crate::ir::attr::AttrDef;
use crate::optim::{OptimizerDef, ScheduleDef};

pub(super) fn optimizer(def: &OptimizerDef) -> Page {
    page(("optimizer", def.name), def.doc, def.formula, def.attrs)
}

pub(super) fn schedule(def: &ScheduleDef) -> Page {
    page(("schedule", def.name), def.doc, def.formula, def.attrs)
}

fn page((kind, name): (&str, &str), doc: &str, formula: &str, attrs: &[AttrDef]) -> Page {
    let (first, text) = lead(doc);
    let attributes: Vec<Attribute> = attrs.iter().filter(|def| !def.name.starts_with('.')).map(attribute).collect();
    let facts = vec![("formula", formula.to_string()), ("stands in", format!("train … {{ {kind} {name}(…) }}"))];
    Page { name: name.into(), kind: kind.into(), lead: first, facts, attributes, text, examples: vec![], curve: None }
}
