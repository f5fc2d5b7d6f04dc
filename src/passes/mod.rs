//! From the structured graph to a plan: each pass is a function from graph to graph with one idea.
//!
//! No pass knows an operator by name; they match on the class of its body.

pub mod autodiff;
pub mod expand;
pub mod fuse;
pub mod plan;
pub mod simplify;
pub mod update;
