//! The command line.

use std::path::PathBuf;

use clap::{Parser, value_parser};
use protocol::keys::PUBLISHED_CHANNEL;

/// The largest extra property, so that a message stays below the system's limit of 1 MiB.
const MAX_PAYLOAD_BYTES: u64 = 1_000_000;

/// Publishes messages to the channel that consumer-group-app listens to.
///
/// Redis keeps nothing that is published: who is not subscribed at that moment never gets it. The
/// closing account says how many subscribers each message reached.
#[derive(Debug, Parser)]
#[command(name = "publisher", version, rename_all = "camelCase")]
pub(crate) struct Arguments {
    /// How many messages to make up and publish.
    #[arg(
        long,
        value_name = "MESSAGES",
        default_value_t = 1000,
        conflicts_with = "file"
    )]
    pub count: u64,

    /// Messages a second; 0 is as fast as Redis takes them.
    #[arg(long, value_name = "MESSAGES", default_value_t = 0, value_parser = value_parser!(u32))]
    pub rate: u32,

    /// The size of an extra text property `payload` of each message; 0 is none.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 0,
        value_parser = value_parser!(u64).range(..=MAX_PAYLOAD_BYTES),
        conflicts_with = "file"
    )]
    pub payload_bytes: u64,

    /// Publish the lines of this file instead, one JSON object with a `message_id` each; `-` is
    /// standard input.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,

    /// Host of Redis.
    #[arg(
        long,
        value_name = "HOST",
        env = "PUBLISHER__REDIS__HOST",
        default_value = "127.0.0.1"
    )]
    pub redis_server_host: String,

    /// Port of Redis.
    #[arg(
        long,
        value_name = "PORT",
        env = "PUBLISHER__REDIS__PORT",
        default_value_t = 6379
    )]
    pub redis_server_port: u16,

    /// Replaces host and port.
    #[arg(
        long,
        value_name = "URL",
        env = "PUBLISHER__REDIS__URL",
        hide_env_values = true,
        help = "Replaces host and port: redis://[user:password@]host[:port][/database], \
                rediss:// for TLS, unix:/path"
    )]
    pub redis_url: Option<String>,

    /// The channel to publish to.
    #[arg(
        long,
        value_name = "NAME",
        env = "PUBLISHER__NAMES__PUBLISHED_CHANNEL",
        default_value = PUBLISHED_CHANNEL
    )]
    pub channel: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together_and_its_flags_are_camel_case() {
        Arguments::command().debug_assert();
        let line = "publisher --count 7 --rate 9 --payloadBytes 3 --redisServerHost h \
                    --redisServerPort 1 --redisUrl redis://x --channel c";
        let arguments = Arguments::try_parse_from(line.split_whitespace()).unwrap();
        assert_eq!((arguments.count, arguments.rate), (7, 9));
        assert_eq!(arguments.payload_bytes, 3);
        assert_eq!(arguments.redis_server_host, "h");
        assert_eq!(arguments.redis_server_port, 1);
        assert_eq!(arguments.redis_url.as_deref(), Some("redis://x"));
        assert_eq!(arguments.channel, "c");
    }

    #[test]
    fn lines_of_a_file_are_neither_counted_nor_filled_up() {
        assert!(Arguments::try_parse_from(["publisher", "--file", "-", "--count", "1"]).is_err());
        assert!(Arguments::try_parse_from(["publisher", "--file", "-", "--rate", "1"]).is_ok());
    }
}
