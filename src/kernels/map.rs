//! Elementwise programs: a tile bytecode in which one instruction is one slice kernel over a tile.

/// One instruction: a slice kernel over a tile.
#[derive(Debug)]
pub struct MapOp {
    /// For printed plans.
    pub name: &'static str,
}

/// A fused elementwise program.
#[derive(Debug)]
pub struct Program;
