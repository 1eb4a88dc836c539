//! The rules of the protocol.

/// A rule of the protocol. Without any one of them a promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// A position's outcome is recorded only if its bit is not set.
    Bitmap,
    /// A chunk is appended only if the id log ends where the caller has read to.
    CompareAndAppend,
    /// A chunk that neither the queue nor the id log has is unknown, and not settled.
    UnknownIsNotSettled,
    /// Chunk ids never come again, not even after a failover.
    ChunkIdsAreUnique,
    /// Replicas keep what they heard, whoever admitted it.
    HeardIsKept,
    /// A replica offers again what it holds and the queue does not know, whether it heard it or not.
    UnknownIsOffered,
    /// It reads the id log anew first, since what it knows of it may be lost as well.
    UnknownReadsAnew,
    /// Who has read an entry of the id log that is not there any more has to read all of it anew.
    ReadToIsThere,
    /// That the id log begins after a chunk proves nothing, unless it was trimmed up to there.
    TrimmedIsRemembered,
}

impl Guard {
    /// Every rule.
    pub const ALL: [Self; 9] = [
        Self::Bitmap,
        Self::CompareAndAppend,
        Self::UnknownIsNotSettled,
        Self::ChunkIdsAreUnique,
        Self::HeardIsKept,
        Self::UnknownIsOffered,
        Self::UnknownReadsAnew,
        Self::ReadToIsThere,
        Self::TrimmedIsRemembered,
    ];
}
