//! The promises of the README that a whole run or a whole file decides, each by a test that is named after it.

mod finite;
#[cfg(all(unix, feature = "cli"))]
mod limit;
#[cfg(all(target_os = "linux", feature = "cli"))]
mod memory;
mod readers;
mod resume;
mod section;
#[cfg(all(unix, feature = "cli"))]
mod stop;
#[cfg(all(unix, feature = "cli"))]
mod verbs;
mod world;
