//! What is meant: dims, types, operators as data, the structured graph, the flat graph.

pub mod attr;
pub mod build;
pub mod dim;
pub mod graph;
pub mod op;
pub mod params;
mod quotient;
pub mod shape;
pub mod structured;
pub mod training;
