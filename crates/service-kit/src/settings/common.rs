//! Settings that several programs have.

use super::{Check, Setting, ValueKind};

/// Where Redis is: the section `[redis]`. The check is that of its URL.
#[must_use]
pub const fn redis(check: Check) -> [Setting; 3] {
    [
        Setting {
            key: "redis.host",
            flag: "redisServerHost",
            value_name: "HOST",
            kind: ValueKind::Host,
            default: Some("127.0.0.1"),
            help: "Host of the Redis server",
            heading: "Redis",
        },
        Setting {
            key: "redis.port",
            flag: "redisServerPort",
            value_name: "PORT",
            kind: ValueKind::PORT,
            default: Some("6379"),
            help: "Port of the Redis server",
            heading: "Redis",
        },
        Setting {
            key: "redis.url",
            flag: "redisUrl",
            value_name: "URL",
            kind: ValueKind::Url(check),
            default: None,
            help: "redis://[user:password@]host[:port][/database], rediss://… for TLS, or \
                   unix:/path[?db=…&user=…&pass=…]; replaces host and port",
            heading: "Redis",
        },
    ]
}

/// What something in Redis is called: a key of the section `[names]`.
#[must_use]
pub const fn name(
    key: &'static str,
    flag: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        flag,
        value_name: "NAME",
        kind: ValueKind::Name,
        default: Some(default),
        help,
        heading: "Redis",
    }
}

/// Where a service listens: the section `[rest_api]`.
#[must_use]
pub const fn rest_api(port: &'static str) -> [Setting; 2] {
    [
        Setting {
            key: "rest_api.host",
            flag: "restApiHost",
            value_name: "HOST",
            kind: ValueKind::Host,
            default: Some("127.0.0.1"),
            help: "Address to listen on; 0.0.0.0 for all",
            heading: "REST API",
        },
        Setting {
            key: "rest_api.port",
            flag: "restApiPort",
            value_name: "PORT",
            kind: ValueKind::LISTEN_PORT,
            default: Some(port),
            help: "Port to listen on; 0 for any free one",
            heading: "REST API",
        },
    ]
}

/// How long ids are remembered.
pub const DEDUP_WINDOW: Setting = Setting {
    key: "retention.dedup_window_seconds",
    flag: "dedupWindowSeconds",
    value_name: "SECONDS",
    kind: ValueKind::number(0, 31_536_000, "seconds"),
    default: Some("600"),
    help: "How long an id is remembered at least: in that time a message is recorded once. 0: not at all; then \
           run one group. The same for the group and all its consumers",
    heading: "Retention",
};

/// How long the stream of processed messages is.
pub const PROCESSED_MAX_LEN: Setting = Setting {
    key: "retention.processed_max_len",
    flag: "processedMaxLen",
    value_name: "COUNT",
    kind: ValueKind::count(0, 1_000_000_000_000),
    default: Some("0"),
    help: "About how many entries the stream of processed messages keeps; 0: all",
    heading: "Retention",
};
