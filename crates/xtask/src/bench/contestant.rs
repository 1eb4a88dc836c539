//! The ways that messages can go, ours and others', by name.

use serde::Serialize;

/// A way from the publisher to the entry, or what stands beside these ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Contestant {
    /// Through the memory of the group, one message a request.
    MemorySingle,
    /// Through the memory of the group, as many messages a request as wait.
    MemoryBatch,
    /// Through the durable queue, and from the group over HTTP.
    StreamPush,
    /// Through the durable queue, which the consumers read themselves.
    StreamPull,
    /// Through the memory of the group, to workers that take one message a request and declare nothing.
    MemoryByHand,
    /// Without a service: a subscriber adds an entry for each message it hears.
    Bare,
    /// A Redis stream in place of the channel, read by two workers written by hand.
    StreamsWorker,
    /// As many messages delivered and entries added at once as Redis can carry.
    Ceiling,
    /// The messages of that alone: what all others that hear the channel have Redis do as well.
    Publish,
    /// What `redis-benchmark` adds, and nothing else.
    Xadd,
}

impl Contestant {
    pub(super) const ALL: [Self; 8] = [
        Self::MemorySingle,
        Self::MemoryBatch,
        Self::StreamPush,
        Self::StreamPull,
        Self::Bare,
        Self::StreamsWorker,
        Self::Ceiling,
        Self::Xadd,
    ];

    /// Those whose latency is measured, what they are compared with first.
    pub(super) const WITH_LATENCY: [Self; 4] = [
        Self::Bare,
        Self::MemoryBatch,
        Self::StreamPush,
        Self::StreamPull,
    ];

    /// Those that choose a consumer, or leave it to the consumers.
    pub(super) const BALANCED: [Self; 5] = [
        Self::MemoryBatch,
        Self::MemorySingle,
        Self::MemoryByHand,
        Self::StreamPush,
        Self::StreamPull,
    ];

    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MemorySingle => "memory, push, single",
            Self::MemoryBatch => "memory, push, batches",
            Self::StreamPush => "stream, push",
            Self::StreamPull => "stream, pull",
            Self::MemoryByHand => "memory, push, workers by hand",
            Self::Bare => "bare path",
            Self::StreamsWorker => "plain Streams workers",
            Self::Ceiling => "ceiling of Redis",
            Self::Publish => "PUBLISH and its delivery",
            Self::Xadd => "redis-benchmark, XADD",
        }
    }

    /// Whether messages are published to the channel, and more is done with them.
    pub(super) fn is_beyond_publish(self) -> bool {
        match self {
            Self::MemorySingle
            | Self::MemoryBatch
            | Self::MemoryByHand
            | Self::StreamPush
            | Self::StreamPull
            | Self::Bare
            | Self::Ceiling => true,
            Self::StreamsWorker | Self::Publish | Self::Xadd => false,
        }
    }

    /// How the services are told to go this way; `None` where it is not theirs.
    pub(super) fn services(self) -> Option<Services> {
        let (queue, workers) = match self {
            Self::MemorySingle => ("memory", Workers::Ours(&["--maxBatch", "1"])),
            Self::MemoryBatch => ("memory", Workers::Ours(&[])),
            Self::MemoryByHand => ("memory", Workers::ByHand),
            Self::StreamPush => ("stream", Workers::Ours(&[])),
            Self::StreamPull => ("stream", Workers::Ours(&["--intake", "pull"])),
            Self::Bare | Self::StreamsWorker | Self::Ceiling | Self::Publish | Self::Xadd => {
                return None;
            }
        };
        Some(Services { queue, workers })
    }
}

/// How group and consumers are run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Services {
    /// `--queue` of the group.
    pub(super) queue: &'static str,
    pub(super) workers: Workers,
}

/// Who does the work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Workers {
    /// `consumer-app`, with these arguments.
    Ours(&'static [&'static str]),
    /// `contestants http-worker`.
    ByHand,
}
