//! Text to tree: scan, grammar, parse; and back: format. Knows no operator.

pub mod ast;
