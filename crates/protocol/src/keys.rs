//! The names of the channel, the list and the streams in Redis, as the original has them.

/// The Pub/Sub channel that messages are published on.
pub const PUBLISHED_CHANNEL: &str = "messages:published";
/// The list of the ids of registered consumers.
pub const CONSUMER_LIST: &str = "consumer:ids";
/// The stream of processed messages.
pub const PROCESSED_STREAM: &str = "messages:processed";
/// The stream of what was given up on; not in the original, which lost these messages.
pub const FAILED_STREAM: &str = "messages:failed";
