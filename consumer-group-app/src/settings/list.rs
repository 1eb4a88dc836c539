//! The list of all settings: flags, environment, file keys, defaults and help come from here.

use build_stamp::BUILD;
use protocol::keys;
use redis_bus::RedisUrl;
use service_kit::{
    program,
    settings::{Program, Setting, ValueKind, common},
};

/// The program and all its settings.
pub(crate) const PROGRAM: Program = Program {
    name: "consumer-group-app",
    about: "Turns a Redis Pub/Sub channel into a consumer group: hands each message published to exactly \
            one of the registered consumers, over HTTP.",
    build: BUILD,
    environment: "CONSUMER_GROUP_APP",
    default_file: "config/consumer-group-app.properties",
    settings: &[
        &REDIS,
        NAMES,
        &common::rest_api("5000"),
        CONSUMERS,
        DELIVERY,
        &[common::DEDUP_WINDOW, common::PROCESSED_MAX_LEN],
        DASHBOARD,
    ],
    service: program::SETTINGS,
};

const REDIS: [Setting; 3] = common::redis(RedisUrl::check);

const NAMES: &[Setting] = &[
    common::name(
        "names.published_channel",
        "publishedChannel",
        keys::PUBLISHED_CHANNEL,
        "Channel to listen on",
    ),
    common::name(
        "names.consumer_list",
        "consumerList",
        keys::CONSUMER_LIST,
        "List of the ids of registered consumers",
    ),
    common::name(
        "names.processed_stream",
        "processedStream",
        keys::PROCESSED_STREAM,
        "Stream that consumers add processed messages to; the queue is beside it",
    ),
];

const CONSUMERS: &[Setting] = &[
    Setting {
        key: "consumers.max_consumer_group_size",
        flag: "maxConsumerGroupSize",
        value_name: "COUNT",
        kind: ValueKind::count(1, 100_000),
        default: Some("5"),
        help: "How many consumers may register; of a longer list in Redis the first ones count",
        heading: "Consumers",
    },
    Setting {
        key: "consumers.health_check_interval_seconds",
        flag: "healthCheckIntervalSeconds",
        value_name: "SECONDS",
        kind: ValueKind::number(1, 86_400, "seconds"),
        default: Some("300"),
        help: "How often all consumers are checked; one that fails is checked at once",
        heading: "Consumers",
    },
    Setting {
        key: "consumers.max_in_flight_per_consumer",
        flag: "maxInFlightPerConsumer",
        value_name: "COUNT",
        kind: ValueKind::count(1, 65_535),
        default: Some("64"),
        help: "The most requests a consumer has at once, whatever it declares. Of batches it has two, or as many as \
               the messages it declares to work on at once",
        heading: "Consumers",
    },
    Setting {
        key: "consumers.max_batch",
        flag: "maxBatch",
        value_name: "COUNT",
        kind: ValueKind::count(1, 65_535),
        default: Some("512"),
        help: "The most messages in one request to a consumer that takes batches; 1 sends messages one by one",
        heading: "Consumers",
    },
    Setting {
        key: "consumers.selection",
        flag: "selection",
        value_name: "KIND",
        kind: ValueKind::Choice(&["random", "least-loaded"]),
        default: Some("random"),
        help: "Which free consumer gets a message: random, or least-loaded (the less busy of two drawn at random)",
        heading: "Consumers",
    },
];

const DELIVERY: &[Setting] = &[
    Setting {
        key: "delivery.max_deliveries",
        flag: "maxDeliveries",
        value_name: "COUNT",
        kind: ValueKind::count(1, 1_000_000),
        default: Some("5"),
        help: "How often a message is given to a group or consumer that dies while it has it. Then it becomes a \
               dead letter",
        heading: "Delivery",
    },
    Setting {
        key: "delivery.max_attempts",
        flag: "maxAttempts",
        value_name: "COUNT",
        kind: ValueKind::count(1, 1_000_000),
        default: Some("10"),
        help: "How often a message is tried before it becomes a dead letter. Attempts that reach no consumer, or a \
               busy one, do not count",
        heading: "Delivery",
    },
    Setting {
        key: "delivery.attempt_timeout_ms",
        flag: "attemptTimeoutMs",
        value_name: "MILLISECONDS",
        kind: ValueKind::number(1, 86_400_000, "milliseconds"),
        default: Some("5000"),
        help: "How long one attempt may take",
        heading: "Delivery",
    },
    Setting {
        key: "delivery.max_buffered_messages",
        flag: "maxBufferedMessages",
        value_name: "COUNT",
        kind: ValueKind::count(1, 1_000_000_000),
        default: Some("1000000"),
        help: "How many messages the group keeps in memory while Redis does not take them. Beyond that it stops \
               reading the channel",
        heading: "Delivery",
    },
    Setting {
        key: "delivery.max_buffered_bytes",
        flag: "maxBufferedBytes",
        value_name: "BYTES",
        kind: ValueKind::number(1, 1 << 40, "bytes"),
        default: Some("268435456"),
        help: "How many bytes of messages it keeps then; the default is 256 MiB",
        heading: "Delivery",
    },
];

const DASHBOARD: &[Setting] = &[Setting {
    key: "dashboard.replay",
    flag: "dashboardReplay",
    value_name: "BOOL",
    kind: ValueKind::SWITCH,
    default: Some("false"),
    help: "Allow POST /deadLetters/replay, and with it the button on the dashboard, to whoever reaches the REST \
           API: true or false",
    heading: "Dashboard",
}];
