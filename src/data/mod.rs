//! Where rows come from: sources, readers of files, batches.
//!
//! Everything that comes from outside is checked here, once, before training starts: sizes against the bytes that are
//! there, numbers for being finite, labels for being whole and in range. What is wrong is said with its file and row.
//! Knows no operator and no graph: the model's inputs and targets come as [`Port`]s.

mod batches;
mod csv_file;
mod dataset;
mod digits;
mod error;
mod idx;
pub mod literal;
mod memory;
pub mod npy;
pub mod npz;
mod room;
mod sources;
pub mod tensors;
mod text_file;

use crate::ir::attr::AttrDef;

pub use batches::{Batches, permutation, uniform};
pub use dataset::{Dataset, Port, convert};
pub use error::{DataError, near_or_all, nearest};
pub use literal::Literal;
pub use memory::in_memory;
pub use sources::{Loaded, SOURCES, load, read_tensor, source_of_path};
pub use text_file::Letters;

/// The largest file of data or weights that is read.
pub const FILE_LIMIT: u64 = 64 << 30;

/// The most that a compressed file may unpack to: 1 MB of a hostile one could become 1 GB.
pub const EXPANDED_LIMIT: u64 = 4 << 30;

/// A source of data.
pub struct SourceDef {
    /// The word in a train section.
    pub name: &'static str,
    /// The manual.
    pub doc: &'static str,
    /// Its attributes.
    pub attrs: &'static [AttrDef],
}

/// The source of a name.
pub fn find_source(name: &str) -> Option<&'static SourceDef> {
    SOURCES.iter().copied().find(|def| def.name == name)
}
