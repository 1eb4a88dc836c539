//! The outcome of adding something once.

use crate::BusError;

/// The outcome of adding something once to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It was added.
    Created,
    /// Its id was seen before, within the de-duplication window; nothing was added.
    Duplicate,
}

/// The outcomes of `count` things, from a script's answer: the places (from 1) of those that are
/// duplicates.
pub(crate) fn added_but(
    duplicates: Result<Vec<usize>, BusError>,
    count: usize,
) -> Vec<Result<Added, BusError>> {
    match duplicates {
        Ok(duplicates) => {
            let mut added = vec![Ok(Added::Created); count];
            for place in duplicates {
                if let Some(added) = added.get_mut(place - 1) {
                    *added = Ok(Added::Duplicate);
                }
            }
            added
        }
        Err(cause) => vec![Err(cause); count],
    }
}
