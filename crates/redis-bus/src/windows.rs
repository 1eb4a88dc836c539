//! The ids seen within a window of time, kept in Redis; see `windows.lua`.

use std::time::Duration;

use protocol::keys::in_slot_of;
use redis::Cmd;

use crate::probe::Need;

/// The keys of the two windows of ids, and how long a window is.
#[derive(Debug, Clone)]
pub(crate) struct Windows {
    keys: [String; 3],
    seconds: u64,
}

impl Windows {
    /// Ids whose work is done, in one way or the other: processed, or among the dead letters.
    pub(crate) fn settled(stream: &str, length: Duration) -> Self {
        Self::new(stream, "settled", length)
    }

    fn new(stream: &str, name: &str, length: Duration) -> Self {
        let keys = ["", ":0", ":1"].map(|end| in_slot_of(stream, &format!("{name}{end}")));
        let seconds = length.as_secs();
        Self { keys, seconds }
    }

    /// Whether ids are remembered at all.
    pub(crate) fn is_on(&self) -> bool {
        self.seconds > 0
    }

    /// The length of a window, in seconds.
    pub(crate) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Appends the three keys, in the order the scripts expect.
    pub(crate) fn add_keys(&self, command: &mut Cmd) {
        command.arg(&self.keys[..]);
    }

    /// The keys that are written to; none where no ids are remembered.
    pub(crate) fn needs(&self) -> Vec<Need> {
        let [state, sets @ ..] = &self.keys;
        let needs = std::iter::once(Need::hash(state)).chain(sets.iter().map(|key| Need::set(key)));
        needs.filter(|_| self.is_on()).collect()
    }
}

#[cfg(test)]
mod tests {
    use protocol::keys::beside;

    use super::*;

    #[test]
    fn no_window_has_a_key_that_settings_may_name() {
        let windows = Windows::settled("processed", Duration::ZERO);
        let taken = beside("processed");
        assert!(windows.keys.iter().all(|key| taken.contains(key)));
    }
}
