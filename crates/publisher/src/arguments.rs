//! The command line: settings, and a verb for what is no publishing.

use std::ffi::OsString;

use clap::{
    ArgMatches, Command, FromArgMatches, Subcommand, error::ErrorKind, parser::ValueSource,
};
use service_kit::{
    program::{self, Asked},
    settings::{Loaded, SettingsError},
};

use crate::{
    dead_letters,
    settings::{PROGRAM, PUBLISHING, Settings},
};

// What to do instead of publishing. No doc comment: it would replace the program's own help.
#[derive(Debug, Subcommand)]
#[command(rename_all = "camelCase")]
pub(crate) enum Verb {
    /// List, show, replay and purge what the group gave up on.
    DeadLetters(dead_letters::Arguments),
}

/// What the program was called with, and is set to; [`None`] is publishing.
pub(crate) type Work = (Settings, Option<Verb>);

/// The command line as `clap` knows it. What is not for publishing may stand after the verb, too.
fn command_line() -> Command {
    let command = Verb::augment_subcommands(PROGRAM.command()).subcommand_required(false);
    let command = command.mut_args(|arg| {
        match PUBLISHING.iter().any(|setting| arg.get_id() == setting.key) {
            true => arg,
            false => arg.global(true),
        }
    });
    let made_up =
        |command: Command, key| command.mut_arg(key, |arg| arg.conflicts_with("publishing.file"));
    ["publishing.count", "publishing.payload_bytes"]
        .into_iter()
        .fold(command, made_up)
}

/// Reads a command line, and the settings.
pub(crate) fn read(
    line: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Asked<Work>, SettingsError> {
    let mut command = command_line();
    let matches = command.try_get_matches_from_mut(line)?;
    let given = |key| matches.value_source(key) == Some(ValueSource::CommandLine);
    if let Some(verb) = matches.subcommand_name()
        && let Some(setting) = PUBLISHING.iter().find(|setting| given(setting.key))
    {
        let text = format!(
            "--{} before {verb} is for publishing; leave it out",
            setting.flag
        );
        return Err(command.error(ErrorKind::ArgumentConflict, text).into());
    }
    let read = |loaded: &Loaded| Ok((loaded.read()?, verb(&matches)?));
    program::asked(&PROGRAM, command_line(), &matches, read)
}

fn verb(matches: &ArgMatches) -> clap::error::Result<Option<Verb>> {
    let is_there = matches.subcommand_name().is_some();
    is_there
        .then(|| Verb::from_arg_matches(matches))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(line: &str) -> Result<Work, SettingsError> {
        match read(line.split_whitespace())? {
            Asked::Work(_, work) => Ok(work),
            Asked::Answer(answer) => panic!("{}", String::from_utf8_lossy(&answer)),
        }
    }

    #[test]
    fn the_command_line_holds_together_and_its_flags_are_camel_case() {
        command_line().debug_assert();
        let line = "publisher --count 7 --rate 9 --payloadBytes 3 --redisServerHost h \
                    --redisServerPort 1 --redisUrl redis://x --channel c";
        let (settings, verb) = work(line).unwrap();
        let publishing = settings.publishing;
        assert_eq!((publishing.count, publishing.rate), (7, 9));
        assert_eq!(publishing.payload_bytes, 3);
        assert_eq!(settings.redis.host, "h");
        assert_eq!(settings.redis.port, 1);
        assert!(settings.redis.url.is_some());
        assert_eq!(settings.names.published_channel, "c");
        assert!(verb.is_none());
    }

    #[test]
    fn lines_of_a_file_are_neither_counted_nor_filled_up() {
        assert!(work("publisher --file - --count 1").is_err());
        assert!(work("publisher --file - --rate 1").is_ok());
    }

    #[test]
    fn where_redis_is_can_be_said_before_and_after_the_verb() {
        for line in [
            "publisher --redisServerPort 7 deadLetters list",
            "publisher deadLetters --redisServerPort 7 list",
            "publisher deadLetters list --redisServerPort 7",
        ] {
            let (settings, verb) = work(line).unwrap();
            assert_eq!(settings.redis.port, 7, "{line}");
            assert!(verb.is_some());
        }
    }

    #[test]
    fn what_is_for_publishing_does_not_go_with_a_verb() {
        let error = work("publisher --count 7 deadLetters list").unwrap_err();
        assert!(error.to_string().contains("--count"), "{error}");
    }
}
