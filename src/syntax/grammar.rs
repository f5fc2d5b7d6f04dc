//! The pest parser of `grammar/model.pest`; the only file in which its macro is expanded.

// The macro makes undocumented public items.
#![allow(missing_docs)]

/// The generated parser.
#[derive(pest_derive::Parser)]
#[grammar = "../grammar/model.pest"]
pub(super) struct Grammar;
