//! The catalogue: every operator, defined once.

use crate::ir::op::OpDef;

/// The families, in the order of the reference.
pub static FAMILIES: &[Family] = &[];

/// Operators of a kind.
pub struct Family {
    /// Its title in the reference.
    pub title: &'static str,
    /// Its operators.
    pub ops: &'static [&'static OpDef],
}

/// All operators, primitives of expansions included.
pub fn all() -> impl Iterator<Item = &'static OpDef> {
    FAMILIES.iter().flat_map(|family| family.ops.iter().copied())
}

/// The operator of a name that a `.model` file may use.
pub fn find(name: &str) -> Option<&'static OpDef> {
    all().find(|op| op.name == name && op.is_public())
}
