//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind,
    parser::ValueSource,
};
use protocol::keys::PUBLISHED_CHANNEL;
use service_kit::documents;

use crate::{dead_letters, values};

/// The flags that are for publishing only: what they are called here, and on the command line.
const PUBLISHING: [(&str, &str); 4] = [
    ("count", "--count"),
    ("rate", "--rate"),
    ("payload_bytes", "--payloadBytes"),
    ("file", "--file"),
];

/// Publishes messages to the channel that consumer-group-app listens to.
///
/// Redis keeps nothing that is published: who is not subscribed at that moment never gets it. The
/// closing account says how many subscribers each message reached.
#[derive(Debug, Parser)]
#[command(name = "publisher", version, rename_all = "camelCase")]
pub(crate) struct Arguments {
    /// How many messages to make up and publish, 0 to 1000000000000.
    #[arg(
        long,
        value_name = "MESSAGES",
        default_value_t = 1000,
        value_parser = values::count,
        conflicts_with = "file"
    )]
    pub count: u64,

    /// Messages a second, 0 to 10000000; 0 is as fast as Redis takes them.
    #[arg(long, value_name = "MESSAGES", default_value_t = 0, value_parser = values::rate)]
    pub rate: u32,

    /// The size of an extra text property `payload` of each message, 0 to 1000000 bytes; 0 is none.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 0,
        value_parser = values::payload_bytes,
        conflicts_with = "file"
    )]
    pub payload_bytes: u64,

    /// Publish the lines of this file instead, one JSON object with a `message_id` each; `-` is
    /// standard input.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub redis: RedisArguments,

    /// The channel to publish to.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "PUBLISHER__NAMES__PUBLISHED_CHANNEL",
        value_parser = values::name,
        default_value = PUBLISHED_CHANNEL
    )]
    pub channel: String,

    #[command(subcommand)]
    pub verb: Option<Verb>,

    /// What to tell instead of doing anything.
    #[arg(skip)]
    pub document: Option<Vec<u8>>,
}

// Where Redis is, for every verb. No doc comment: it would replace the program's own help.
#[derive(Debug, Args)]
#[command(rename_all = "camelCase")]
pub(crate) struct RedisArguments {
    /// Host of Redis.
    #[arg(
        long,
        global = true,
        value_name = "HOST",
        env = "PUBLISHER__REDIS__HOST",
        default_value = "127.0.0.1"
    )]
    pub redis_server_host: String,

    /// Port of Redis, 1 to 65535.
    #[arg(
        long,
        global = true,
        value_name = "PORT",
        env = "PUBLISHER__REDIS__PORT",
        value_parser = values::port,
        default_value_t = 6379
    )]
    pub redis_server_port: u16,

    /// Replaces host and port.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "PUBLISHER__REDIS__URL",
        hide_env_values = true,
        help = "Replaces host and port: redis://[user:password@]host[:port][/database], \
                rediss:// for TLS, unix:/path"
    )]
    pub redis_url: Option<String>,
}

/// What to do instead of publishing.
#[derive(Debug, Subcommand)]
#[command(rename_all = "camelCase")]
pub(crate) enum Verb {
    /// List, show, replay and purge what the group gave up on.
    DeadLetters(dead_letters::Arguments),
}

impl Arguments {
    /// Those this program was called with; an error where they are wrong, or ask for help.
    pub(crate) fn read() -> clap::error::Result<Self> {
        Self::from_line(std::env::args_os())
    }

    /// The command line as `clap` knows it.
    fn command_line() -> Command {
        Self::command().args(documents::args())
    }

    fn from_line(
        line: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> clap::error::Result<Self> {
        let mut command = Self::command_line();
        let matches = command.try_get_matches_from_mut(line)?;
        if let Some(verb) = matches.subcommand_name() {
            let given = |(id, _): &&(&str, &str)| {
                matches.value_source(id) == Some(ValueSource::CommandLine)
            };
            if let Some((_, flag)) = PUBLISHING.iter().find(given) {
                let text = format!("{flag} before {verb} is for publishing; leave it out");
                return Err(command.error(ErrorKind::ArgumentConflict, text));
            }
        }
        let mut arguments = Self::from_arg_matches(&matches)?;
        arguments
            .check()
            .map_err(|text| command.error(ErrorKind::ValueValidation, text))?;
        let document = documents::asked(Self::command_line(), &matches);
        arguments.document = document.map_err(|cause| command.error(ErrorKind::Io, cause))?;
        Ok(arguments)
    }
}

impl Arguments {
    /// Checks what `clap` would quote although it may hold a password, and values beside each other.
    fn check(&mut self) -> Result<(), String> {
        let redis = &mut self.redis;
        redis.redis_server_host = values::host(&redis.redis_server_host)
            .map_err(|why| format!("bad value for --redisServerHost: {why}"))?;
        // An empty variable is one that is not set.
        redis.redis_url = redis.redis_url.take().filter(|url| !url.is_empty());
        if let Some(url) = &redis.redis_url {
            values::redis_url(url).map_err(|why| format!("bad value for --redisUrl: {why}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> clap::error::Result<Arguments> {
        Arguments::from_line(line.split_whitespace())
    }

    #[test]
    fn the_command_line_holds_together_and_its_flags_are_camel_case() {
        Arguments::command().debug_assert();
        let line = "publisher --count 7 --rate 9 --payloadBytes 3 --redisServerHost h \
                    --redisServerPort 1 --redisUrl redis://x --channel c";
        let arguments = read(line).unwrap();
        assert_eq!((arguments.count, arguments.rate), (7, 9));
        assert_eq!(arguments.payload_bytes, 3);
        assert_eq!(arguments.redis.redis_server_host, "h");
        assert_eq!(arguments.redis.redis_server_port, 1);
        assert_eq!(arguments.redis.redis_url.as_deref(), Some("redis://x"));
        assert_eq!(arguments.channel, "c");
        assert!(arguments.verb.is_none());
    }

    #[test]
    fn lines_of_a_file_are_neither_counted_nor_filled_up() {
        assert!(read("publisher --file - --count 1").is_err());
        assert!(read("publisher --file - --rate 1").is_ok());
    }

    #[test]
    fn where_redis_is_can_be_said_before_and_after_the_verb() {
        for line in [
            "publisher --redisServerPort 7 deadLetters list",
            "publisher deadLetters --redisServerPort 7 list",
            "publisher deadLetters list --redisServerPort 7",
        ] {
            assert_eq!(read(line).unwrap().redis.redis_server_port, 7, "{line}");
        }
    }

    #[test]
    fn what_is_for_publishing_does_not_go_with_a_verb() {
        let error = read("publisher --count 7 deadLetters list").unwrap_err();
        assert!(error.to_string().contains("--count"), "{error}");
    }
}
