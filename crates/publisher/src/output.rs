//! What goes to standard output and standard error.

use std::process::ExitCode;

use anyhow::Result;
use service_kit::{
    escape::escaped,
    output::{self, OutputError},
};

/// What this program is called.
const NAME: &str = "publisher";

/// A line of what this program was asked for; an error when it cannot be written.
pub(crate) fn say(line: &str) -> Result<()> {
    Ok(output::say(format_args!("{line}"))?)
}

/// Says what is wrong, and answers the exit code for it.
pub(crate) fn print_failure(error: &anyhow::Error) -> ExitCode {
    if let Some(error) = error.downcast_ref::<OutputError>() {
        return output::end(NAME, error);
    }
    let text = service_kit::telemetry::chain(error.as_ref());
    note(&format!("error: {text}"));
    ExitCode::FAILURE
}

/// Lines beside what this program was asked for. Strangers may have written parts of them.
pub(crate) fn note(text: &str) {
    for line in text.lines() {
        output::print_error(&escaped(line.to_owned()));
    }
}
