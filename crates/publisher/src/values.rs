//! What the values of the command line may be, by the rules that the services have for theirs.

use redis_bus::RedisUrl;
use service_kit::settings::{Range, ValueKind};

/// How many messages or letters.
const COUNT: Range = Range {
    least: 0,
    most: 1_000_000_000_000,
    unit: "",
};

/// How many messages a second.
const RATE: Range = Range {
    least: 0,
    most: 10_000_000,
    unit: "",
};

/// The largest extra property, so that a message stays below the system's limit of 1 MiB.
const PAYLOAD_BYTES: Range = Range {
    least: 0,
    most: 1_000_000,
    unit: "bytes",
};

/// The port of Redis.
const PORT: Range = Range {
    least: 1,
    most: 65_535,
    unit: "",
};

pub(crate) fn name(text: &str) -> Result<String, String> {
    ValueKind::Name.check(text)
}

pub(crate) fn host(text: &str) -> Result<String, String> {
    ValueKind::Host.check(text)
}

pub(crate) fn redis_url(text: &str) -> Result<String, String> {
    ValueKind::Url(RedisUrl::check).check(text)
}

pub(crate) fn count(text: &str) -> Result<u64, String> {
    COUNT.parse(text)
}

pub(crate) fn payload_bytes(text: &str) -> Result<u64, String> {
    PAYLOAD_BYTES.parse(text)
}

pub(crate) fn rate(text: &str) -> Result<u32, String> {
    let rate = RATE.parse(text)?;
    u32::try_from(rate).map_err(|error| error.to_string())
}

pub(crate) fn port(text: &str) -> Result<u16, String> {
    let port = PORT.parse(text)?;
    u16::try_from(port).map_err(|error| error.to_string())
}
