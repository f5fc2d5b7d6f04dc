//! Where rows come from: sources, readers of files, batches.

use crate::ir::attr::AttrDef;

/// A source of data.
pub struct SourceDef {
    /// The word in a train section.
    pub name: &'static str,
    /// The manual.
    pub doc: &'static str,
    /// Its attributes.
    pub attrs: &'static [AttrDef],
}

/// All of them.
pub static SOURCES: &[&SourceDef] = &[];

/// The source of a name.
pub fn find_source(name: &str) -> Option<&'static SourceDef> {
    SOURCES.iter().copied().find(|def| def.name == name)
}
