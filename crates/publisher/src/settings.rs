//! What can be set about the publisher.

use std::path::PathBuf;

use build_stamp::BUILD;
use protocol::keys;
use redis_bus::{RedisSettings, RedisUrl};
use serde::Deserialize;
use service_kit::settings::{Program, Setting, ValueKind, common};

/// The program and all its settings.
pub(crate) const PROGRAM: Program = Program {
    name: "publisher",
    about: "Publishes messages to the channel that consumer-group-app listens to.\n\n\
            Redis keeps nothing that is published: who is not subscribed at that moment never gets it. The \
            closing account says how many subscribers each message reached.",
    build: BUILD,
    environment: "PUBLISHER",
    default_file: "config/publisher.properties",
    settings: &[PUBLISHING, &common::redis(RedisUrl::check), NAMES],
    service: &[],
};

/// What is for publishing only, and means nothing to a verb.
pub(crate) const PUBLISHING: &[Setting] = &[
    Setting {
        kind: ValueKind::count(0, 1_000_000_000_000),
        ..publishing(
            "publishing.count",
            "count",
            "MESSAGES",
            Some("1000"),
            "How many messages to make up and publish",
        )
    },
    Setting {
        kind: ValueKind::count(0, 10_000_000),
        ..publishing(
            "publishing.rate",
            "rate",
            "MESSAGES",
            Some("0"),
            "Messages a second; 0 is as fast as Redis takes them",
        )
    },
    Setting {
        // A message stays below the system's limit of 1 MiB.
        kind: ValueKind::number(0, 1_000_000, "bytes"),
        ..publishing(
            "publishing.payload_bytes",
            "payloadBytes",
            "BYTES",
            Some("0"),
            "The size of an extra text property `payload` of each message; 0 is none",
        )
    },
    publishing(
        "publishing.file",
        "file",
        "PATH",
        None,
        "Publish the lines of this file instead, one JSON object with a `message_id` each; `-` is standard input",
    ),
];

const NAMES: &[Setting] = &[
    common::name(
        "names.published_channel",
        "channel",
        keys::PUBLISHED_CHANNEL,
        "Channel to publish to",
    ),
    common::name(
        "names.processed_stream",
        "processedStream",
        keys::PROCESSED_STREAM,
        "Stream of processed messages; the queue and the dead letters are beside it",
    ),
];

const fn publishing(
    key: &'static str,
    flag: &'static str,
    value_name: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        flag,
        value_name,
        kind: ValueKind::Text(|_| Ok(())),
        default,
        help,
        heading: "Publishing",
    }
}

/// The settings, by section.
#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    pub(crate) publishing: Publishing,
    pub(crate) redis: RedisSettings,
    pub(crate) names: Names,
}

/// Section `[publishing]`.
#[derive(Debug, Deserialize)]
pub(crate) struct Publishing {
    pub(crate) count: u64,
    pub(crate) rate: u32,
    pub(crate) payload_bytes: u64,
    pub(crate) file: Option<PathBuf>,
}

/// Section `[names]`: what things are called in Redis.
#[derive(Debug, Deserialize)]
pub(crate) struct Names {
    pub(crate) published_channel: String,
    pub(crate) processed_stream: String,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_shipped_file_names_every_setting_with_its_default() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let file = root.join("config/publisher.properties");
        PROGRAM.check_shipped_file(&file).unwrap();
    }

    #[test]
    fn the_document_lists_every_setting() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        PROGRAM.check_table(&root.join("docs/settings.md")).unwrap();
    }
}
