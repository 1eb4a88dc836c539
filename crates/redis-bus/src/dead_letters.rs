//! The stream of dead letters, `{messages:processed}:failed`: what the group gave up on.

mod letter;
mod mover;
mod newest;
mod pages;
mod processed;
mod replayer;
mod selection;
mod stored;

pub use self::{
    letter::StoredLetter,
    newest::Latest,
    processed::ProcessedIds,
    replayer::{LetterOutcome, ReplayMode, Replayed, Replayer, Skipped, Step},
    selection::{Choice, Page, Selection, SelectionCursor},
    stored::{DeadLetters, Letters},
};
