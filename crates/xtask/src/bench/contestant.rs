//! The ways that messages can go, ours and others', by name.

use serde::Serialize;

/// A way from the publisher to the entry, or what stands beside these ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Contestant {
    /// From the group over HTTP, as many messages a request as wait.
    PushBatch,
    /// From the group over HTTP, one message a request.
    PushSingle,
    /// From the queue, which the consumers read themselves.
    Pull,
    /// From the group over HTTP to workers that take one message a request and declare nothing.
    PushByHand,
    /// From the group over HTTP, in batches, to workers by hand that answer with the entries.
    PushEntries,
    /// Fetched from the group over HTTP by workers by hand, which settle with the entries.
    Fetch,
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
    pub(super) const ALL: [Self; 9] = [
        Self::PushBatch,
        Self::PushSingle,
        Self::Pull,
        Self::PushEntries,
        Self::Fetch,
        Self::Bare,
        Self::StreamsWorker,
        Self::Ceiling,
        Self::Xadd,
    ];

    /// Those whose latency is measured, what they are compared with first.
    pub(super) const WITH_LATENCY: [Self; 3] = [Self::Bare, Self::PushBatch, Self::Pull];

    /// Those that choose a consumer, or leave it to the consumers.
    pub(super) const BALANCED: [Self; 4] = [
        Self::PushBatch,
        Self::PushSingle,
        Self::PushByHand,
        Self::Pull,
    ];

    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PushBatch => "push, batches",
            Self::PushSingle => "push, single",
            Self::Pull => "pull",
            Self::PushByHand => "push, workers by hand",
            Self::PushEntries => "push, answered entries",
            Self::Fetch => "fetched over HTTP",
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
            Self::PushBatch
            | Self::PushSingle
            | Self::PushByHand
            | Self::PushEntries
            | Self::Fetch
            | Self::Pull
            | Self::Bare
            | Self::Ceiling => true,
            Self::StreamsWorker | Self::Publish | Self::Xadd => false,
        }
    }

    /// Who does the work on the messages of a group; `None` where there is no group.
    pub(super) fn workers(self) -> Option<Workers> {
        match self {
            Self::PushBatch => Some(Workers::Ours(&[])),
            Self::PushSingle => Some(Workers::Ours(&["--maxBatch", "1"])),
            Self::PushByHand => Some(Workers::ByHand("http-worker")),
            Self::PushEntries => Some(Workers::ByHand("entry-worker")),
            Self::Fetch => Some(Workers::ByHand("fetch-worker")),
            Self::Pull => Some(Workers::Ours(&["--intake", "pull"])),
            Self::Bare | Self::StreamsWorker | Self::Ceiling | Self::Publish | Self::Xadd => None,
        }
    }
}

/// Who does the work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Workers {
    /// `consumer-app`, with these arguments.
    Ours(&'static [&'static str]),
    /// This one of `contestants`.
    ByHand(&'static str),
}
