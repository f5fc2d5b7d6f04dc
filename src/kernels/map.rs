//! Elementwise programs: a tile bytecode in which one instruction is one slice kernel over a tile.

/// A fused elementwise program.
#[derive(Debug)]
pub struct Program;
