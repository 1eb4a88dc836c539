//! Whether Ctrl-C reaches what is started here.
//!
//! A terminal sends it to all processes in the foreground at once. Then Redis is gone before those who
//! need it have finished, unless they are started apart and ended in order.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::process::Command;

static IS_APART: AtomicBool = AtomicBool::new(false);

/// From now on what is started does not hear Ctrl-C: who calls this must end it all in order then.
pub fn start_apart() {
    IS_APART.store(true, Ordering::Relaxed);
}

/// A command that is started apart, if that is wanted.
pub fn placed(command: &mut Command) -> &mut Command {
    if IS_APART.load(Ordering::Relaxed) {
        command.process_group(0);
    }
    command
}
