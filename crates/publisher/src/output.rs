//! What goes to standard output and standard error.

use std::io::{self, ErrorKind, Write, stdout};

use anyhow::Result;

/// A line of what this program was asked for; an error when nobody reads it any more.
pub(crate) fn say(line: &str) -> Result<()> {
    writeln!(stdout(), "{line}")?;
    Ok(())
}

/// A document that this program was asked for, as it is.
pub(crate) fn tell_document(document: &[u8]) -> Result<()> {
    Ok(stdout().write_all(document)?)
}

/// Whether an error means that nobody reads standard output any more.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// An error with its causes.
pub(crate) fn tell_error(error: &anyhow::Error) {
    let text = service_kit::telemetry::chain(error.as_ref());
    tell(&format!("error: {text}"));
}

/// A line beside what this program was asked for.
#[expect(
    clippy::print_stderr,
    reason = "this is a program for people at a terminal"
)]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}
