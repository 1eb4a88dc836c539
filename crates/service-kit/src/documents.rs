//! Shell completions and a manual page, made of the flags themselves.

use std::io;

use clap::{Arg, ArgAction, ArgMatches, Command, builder::EnumValueParser};
use clap_complete::Shell;
use clap_mangen::Man;

const COMPLETIONS_FLAG: &str = "completions";
const MAN_FLAG: &str = "manPage";

/// The flags that ask for a document.
#[must_use]
pub fn args() -> [Arg; 2] {
    let completions = Arg::new(COMPLETIONS_FLAG)
        .long(COMPLETIONS_FLAG)
        .value_name("SHELL")
        .value_parser(EnumValueParser::<Shell>::new())
        .help("Print completions for a shell, and end");
    let man = Arg::new(MAN_FLAG)
        .long(MAN_FLAG)
        .action(ArgAction::SetTrue)
        .help("Print the manual page, for man(1), and end");
    [completions, man]
}

/// The document that was asked for, if one was.
///
/// # Errors
/// When it cannot be written down, which memory does not refuse.
pub fn asked(mut command: Command, matches: &ArgMatches) -> io::Result<Option<Vec<u8>>> {
    let mut document = Vec::new();
    if let Some(shell) = matches.get_one::<Shell>(COMPLETIONS_FLAG) {
        let name = command.get_name().to_owned();
        clap_complete::generate(*shell, &mut command, name, &mut document);
    } else if matches.get_flag(MAN_FLAG) {
        Man::new(command).render(&mut document)?;
    } else {
        return Ok(None);
    }
    Ok(Some(document))
}
