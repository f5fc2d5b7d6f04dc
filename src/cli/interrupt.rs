//! Ctrl-C: the first asks the run to save and end, the second ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Listens from now on; the flag is true once the user has asked to stop.
///
/// Where no handler can be set, Ctrl-C ends the program as it always does: the checkpoints stay whole.
pub fn install() -> &'static AtomicBool {
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
    &ASKED
}
