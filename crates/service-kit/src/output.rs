//! Standard output and standard error of a program, which may be closed, or full.

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write, stderr, stdout},
    process::ExitCode,
};

/// The exit code when standard output cannot be written (`EX_IOERR` of sysexits.h).
pub const IO_ERROR: u8 = 74;

/// What a program was asked for could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct OutputError(#[from] io::Error);

impl OutputError {
    /// Whether nobody reads standard output any more, such as `head`, which has seen enough.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.kind() == ErrorKind::BrokenPipe
    }
}

/// Writes a line of what a program was asked for.
///
/// # Errors
/// When nobody reads it any more, or there is no room for it.
pub fn say(line: Arguments<'_>) -> Result<(), OutputError> {
    Ok(writeln!(stdout(), "{line}")?)
}

/// Writes a document that a program was asked for, as it is.
///
/// # Errors
/// As [`say`].
pub fn print(document: &[u8]) -> Result<(), OutputError> {
    let mut output = stdout();
    output.write_all(document)?;
    Ok(output.flush()?)
}

/// Writes a line to standard error. If that is not possible, there is nobody to tell.
pub fn print_error(line: &str) {
    drop(writeln!(stderr(), "{line}"));
}

/// The exit code of a program, called `name`, for this error: a closed output ends it quietly.
#[must_use]
pub fn end(name: &str, error: &OutputError) -> ExitCode {
    if error.is_closed() {
        return ExitCode::SUCCESS;
    }
    print_error(&format!("{name}: {error}: {}", error.0));
    ExitCode::from(IO_ERROR)
}

/// Writes a document; the program ends with this exit code.
#[must_use]
pub fn print_and_end(name: &str, document: &[u8]) -> ExitCode {
    match print(document) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(name, &error),
    }
}

/// Says what is wrong with the command line, or what it asks of `clap` itself, such as `--help`; the program ends with
/// this exit code.
#[must_use]
pub fn print_usage_and_end(name: &str, answer: &clap::Error) -> ExitCode {
    let printed = answer.print().and_then(|()| stdout().flush());
    match printed {
        Err(cause) if !answer.use_stderr() => end(name, &cause.into()),
        Ok(()) | Err(_) => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(IO_ERROR)),
    }
}
