//! Text to tree: scan, grammar, parse; and back: format. Knows no operator.
//!
//! [`lex`] cuts the text into tokens, `scan` pairs brackets and decides which newlines end a statement, `grammar`
//! (pest) finds the structure, `parse` makes the tree and tells what could not be read, [`format()`] lays a file out.
//! Reading never fails: it returns a tree and diagnostics.

pub mod ast;
mod errors;
mod format;
mod grammar;
pub mod lex;
pub mod parse;
mod scan;

pub use format::format;
pub use parse::{Parsed, parse, rule_calls_suffice};
pub use scan::Comment;
