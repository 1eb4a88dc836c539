//! What became of something to be added once.

/// What became of something to be added once to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It was added.
    Created,
    /// Its id was seen before, within the de-duplication window; nothing was added.
    Duplicate,
}

impl From<u8> for Added {
    /// From a script's answer.
    fn from(answer: u8) -> Self {
        if answer == 0 {
            Self::Duplicate
        } else {
            Self::Created
        }
    }
}
