//! What an operator can set about a consumer.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use redis_bus::{RedisSettings, RedisUrl, commit::Retention};
use serde::Deserialize;
use service_kit::{
    http_server::Address,
    settings::{Loaded, Setting, SettingsError, ValueKind, common},
    shutdown::ServiceSettings,
};

const REST_API: &str = "REST API";
const GROUP: &str = "Consumer group";
const PROCESSING: &str = "Processing";

const REDIS: [Setting; 3] = common::redis(RedisUrl::check);

const LISTEN: [Setting; 2] = common::rest_api("5001");

/// Every setting of a consumer, for a [`service_kit::settings::Program`].
pub const SETTINGS: &[Setting] = &[
    REDIS[0],
    REDIS[1],
    REDIS[2],
    common::name(
        "names.processed_stream",
        "processedStream",
        protocol::keys::PROCESSED_STREAM,
        "Stream that processed messages are added to; the queue is beside it",
    ),
    LISTEN[0],
    LISTEN[1],
    Setting {
        key: "consumer.advertised_host",
        flag: "advertisedHost",
        value_name: "HOST",
        kind: ValueKind::UrlHost,
        default: None,
        help: "Host the group reaches this consumer at; without it the host listened on. When that is \
               0.0.0.0: the address that connections to the group come from, or this machine's \
               name when the group is on it and reached by a loopback address",
        heading: REST_API,
    },
    Setting {
        key: "consumer.advertised_port",
        flag: "advertisedPort",
        value_name: "PORT",
        kind: ValueKind::PORT,
        default: None,
        help: "Port the group reaches this consumer at; without it the port listened on",
        heading: REST_API,
    },
    Setting {
        key: "consumer_group_app.host",
        flag: "consumerGroupAppHost",
        value_name: "HOST",
        kind: ValueKind::UrlHost,
        default: Some("127.0.0.1"),
        help: "Host of consumer-group-app",
        heading: GROUP,
    },
    Setting {
        key: "consumer_group_app.port",
        flag: "consumerGroupAppPort",
        value_name: "PORT",
        kind: ValueKind::PORT,
        default: Some("5000"),
        help: "Port of consumer-group-app",
        heading: GROUP,
    },
    Setting {
        key: "consumer_group_app.registration_check_interval_seconds",
        flag: "registrationCheckIntervalSeconds",
        value_name: "SECONDS",
        kind: ValueKind::number(1, 86_400, "seconds"),
        default: Some("300"),
        help: "How often to check that the group still knows this consumer",
        heading: GROUP,
    },
    Setting {
        key: "consumer.intake",
        flag: "intake",
        value_name: "KIND",
        kind: ValueKind::Choice(&["push", "pull"]),
        default: Some("push"),
        help: "How messages come: push (the group sends them), or pull (the consumer reads the queue itself, and does \
               not register)",
        heading: PROCESSING,
    },
    Setting {
        key: "consumer.max_deliveries",
        flag: "maxDeliveries",
        value_name: "COUNT",
        kind: ValueKind::count(1, 1_000_000),
        default: Some("5"),
        help: "With --intake pull: how often a message is tried, here or elsewhere. Then it becomes a dead letter",
        heading: PROCESSING,
    },
    Setting {
        key: "consumer.processing_concurrency",
        flag: "processingConcurrency",
        value_name: "COUNT",
        kind: ValueKind::count(0, 1_000_000),
        default: Some("0"),
        help: "How many messages are processed at once; 0: no limit",
        heading: PROCESSING,
    },
    Setting {
        key: "consumer.max_batch",
        flag: "maxBatch",
        value_name: "COUNT",
        kind: ValueKind::count(1, 65_535),
        default: Some("512"),
        help: "The most messages the group may send in one request; 1: one by one",
        heading: PROCESSING,
    },
    common::DEDUP_WINDOW,
    common::PROCESSED_MAX_LEN,
];

/// The settings of a consumer, as they were read: for [`Worker::bind`](crate::Worker::bind).
#[derive(Debug, Clone, Deserialize)]
pub struct ConsumerSettings {
    /// Where Redis is.
    pub(crate) redis: RedisSettings,
    /// What things are called in Redis.
    pub(crate) names: Names,
    /// Where to listen.
    pub(crate) rest_api: Address,
    /// Where the group is, and how often to ask it.
    pub(crate) consumer_group_app: GroupSettings,
    /// What the consumer is and does.
    pub(crate) consumer: OwnSettings,
    /// How long and how much is kept.
    pub(crate) retention: RetentionSettings,
    /// How the process behaves.
    pub(crate) service: ServiceSettings,
}

impl ConsumerSettings {
    /// The settings of a consumer, if they go together.
    ///
    /// # Errors
    /// [`SettingsError::BadValue`] for a value that cannot be used, alone or beside the others.
    pub fn read(loaded: &Loaded) -> Result<Self, SettingsError> {
        loaded.read()
    }
}

/// Section `[retention]`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RetentionSettings {
    dedup_window_seconds: u64,
    processed_max_len: u64,
}

impl RetentionSettings {
    /// The same for the stream.
    pub(crate) fn retention(&self) -> Retention {
        Retention {
            dedup_window: Duration::from_secs(self.dedup_window_seconds),
            max_len: self.processed_max_len,
        }
    }
}

/// Section `[names]`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Names {
    /// The stream of processed messages.
    pub(crate) processed_stream: String,
}

/// How messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intake {
    /// The group brings them over HTTP.
    Push,
    /// The consumer reads the queue itself.
    Pull,
}

impl Intake {
    /// As the setting has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
        }
    }
}

/// Section `[consumer_group_app]`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GroupSettings {
    /// Host name or address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    registration_check_interval_seconds: NonZeroU64,
}

impl GroupSettings {
    /// How often the consumer checks its membership.
    pub(crate) fn registration_check_interval(&self) -> Duration {
        Duration::from_secs(self.registration_check_interval_seconds.get())
    }
}

/// Section `[consumer]`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OwnSettings {
    /// The host of the consumer's id.
    pub(crate) advertised_host: Option<String>,
    /// The port of the consumer's id.
    pub(crate) advertised_port: Option<u16>,
    /// How messages come.
    pub(crate) intake: Intake,
    /// How often a message is handed out from the queue.
    pub(crate) max_deliveries: NonZeroU64,
    /// How many messages are processed at once; 0 for no limit.
    pub(crate) processing_concurrency: u32,
    /// How many messages come in one request at most.
    pub(crate) max_batch: NonZeroU32,
}
