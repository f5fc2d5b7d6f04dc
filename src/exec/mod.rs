//! Running a plan: memory, threads, and the session that holds weights and plans.
//!
//! Nothing here has a notion of gradient, optimizer, mode or syntax: those are all in the graph.

pub mod arena;
pub mod bind;
pub mod init;
pub mod pool;
pub mod run;
pub mod session;
