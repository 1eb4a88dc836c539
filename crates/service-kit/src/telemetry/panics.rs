//! Panics are log lines, too: standard error may be a pipe that nobody reads, as the log may.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::{self, PanicHookInfo},
    thread,
};

use tracing::{error, field::display};

use super::writer::LogWriter;

/// Logs each panic from here on, in place of what Rust writes to standard error.
pub(super) fn log_to(writer: LogWriter) {
    panic::set_hook(Box::new(move |panic| {
        log(panic);
        writer.flush_panic();
    }));
}

/// In the words Rust has for it; the backtrace is there if `RUST_BACKTRACE` asks for it.
fn log(panic: &PanicHookInfo<'_>) {
    let current = thread::current();
    let thread = current.name().unwrap_or("unnamed");
    let text = panic.payload_as_str().unwrap_or("no text");
    let at = panic.location().map(ToString::to_string);
    let at = at.as_deref().unwrap_or("an unknown place");
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| display(backtrace));
    error!(backtrace, "thread '{thread}' panicked at {at}: {text}");
}
