//! The names of the channel, the list and the streams in Redis, as the original has them.

/// The Pub/Sub channel that messages are published on.
pub const PUBLISHED_CHANNEL: &str = "messages:published";
/// The list of the ids of registered consumers.
pub const CONSUMER_LIST: &str = "consumer:ids";
/// The stream of processed messages.
pub const PROCESSED_STREAM: &str = "messages:processed";
/// The stream of what was given up on, beside [`PROCESSED_STREAM`]; the original lost these messages.
pub const FAILED_STREAM: &str = "{messages:processed}:failed";

/// What is kept beside the stream of processed messages, each under a key of its own.
const BESIDE: [&str; 11] = [
    "queue",
    "ids",
    "progress",
    "account",
    "failed",
    "queued",
    "queued:0",
    "queued:1",
    "settled",
    "settled:0",
    "settled:1",
];

/// The keys that are taken beside a stream of processed messages.
#[must_use]
pub fn beside(processed_stream: &str) -> [String; 11] {
    BESIDE.map(|name| in_slot_of(processed_stream, name))
}

/// A key of ours beside a key of the user's, in the same hash slot, as scripts need it.
///
/// What is between braces decides the slot
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).
///
/// ```
/// # use protocol::keys::in_slot_of;
/// assert_eq!(in_slot_of("messages:processed", "queue"), "{messages:processed}:queue");
/// assert_eq!(in_slot_of("{shop}:processed", "queue"), "{shop}:processed:queue");
/// ```
#[must_use]
pub fn in_slot_of(key: &str, name: &str) -> String {
    let has_tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .is_some_and(|(tag, _)| !tag.is_empty());
    if has_tag {
        format!("{key}:{name}")
    } else {
        format!("{{{key}}}:{name}")
    }
}
