//! How much a consumer that pulls may hold: what it can start on, and what is on its way to the stream.
//!
//! A message that waits for a busy consumer could be with a free one. So with a limit on processing there is room
//! for what is processed at once, and ahead of it only for as much as is done while Redis answers: nothing when
//! the work takes long.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How many messages may be unprocessed without a limit on processing, and ahead at the most with one.
const MOST_UNPROCESSED: usize = 1024;

/// How many more may wait to be recorded: two commits under way, and the next two.
const MOST_UNRECORDED: usize = 2048;

/// Of a chunk that is larger than the room only so much is kept as takes this long; the rest is for others.
const HORIZON: Duration = Duration::from_millis(5);

/// The room of one consumer.
#[derive(Debug)]
pub(super) struct Room {
    /// How many turns there are at once; `None`: no limit.
    turns: Option<NonZeroUsize>,
    /// How many messages one turn takes: more than one where batches are processed whole.
    per_turn: usize,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Messages that wait for their turn or have it.
    unprocessed: usize,
    /// Messages that are not settled; the unprocessed ones among them.
    held: usize,
    /// How long a turn took lately.
    work: Option<Duration>,
}

impl Room {
    /// `concurrency` 0 means no limit.
    pub(super) fn new(concurrency: u32, per_turn: usize) -> Self {
        let turns = usize::try_from(concurrency).unwrap_or(usize::MAX);
        Self {
            turns: NonZeroUsize::new(turns),
            per_turn,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// How many messages may be read, once any may; `round_trip` is how long Redis takes to answer.
    pub(super) async fn free(&self, round_trip: Duration) -> usize {
        loop {
            let free = self.free_now(round_trip);
            if free > 0 {
                return free;
            }
            // Whoever frees some leaves a permit if nobody waits yet.
            self.changed.notified().await;
        }
    }

    fn free_now(&self, round_trip: Duration) -> usize {
        let state = self.state();
        let startable = match self.turns {
            Some(turns) => {
                let turns = turns.get();
                let ahead = state
                    .work
                    .map_or(0, |work| begun_in(turns, work, round_trip));
                turns.saturating_add(ahead).saturating_mul(self.per_turn)
            }
            None => MOST_UNPROCESSED,
        };
        let most_held = startable.saturating_add(MOST_UNRECORDED);
        let to_start = startable.saturating_sub(state.unprocessed);
        to_start.min(most_held.saturating_sub(state.held))
    }

    /// How large pieces of chunks are that others may work as well; `None`: chunks stay as they are.
    pub(super) fn piece(&self) -> Option<usize> {
        let turns = self.turns.filter(|_| self.per_turn == 1)?.get();
        let work = self.state().work;
        Some(work.map_or(turns, |work| begun_in(turns, work, HORIZON).max(1)))
    }

    /// Takes room for messages that were read; each of them has a token. There may be more than there was room for:
    /// a chunk comes whole.
    pub(super) fn take(
        self: &Arc<Self>,
        messages: usize,
        tokens: Vec<TaskTrackerToken>,
    ) -> Occupancy {
        let unprocessed = messages.next_multiple_of(self.per_turn);
        let mut state = self.state();
        state.unprocessed += unprocessed;
        state.held += messages;
        drop(state);
        Occupancy {
            room: Arc::clone(self),
            unprocessed,
            held: messages,
            tokens,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many turns begin in a time, when each takes as long as `work`.
fn begun_in(turns: usize, work: Duration, time: Duration) -> usize {
    let turns = u128::try_from(turns).unwrap_or(u128::MAX);
    let begun = turns.saturating_mul(time.as_nanos()) / work.as_nanos().max(1);
    usize::try_from(begun).map_or(MOST_UNPROCESSED, |begun| begun.min(MOST_UNPROCESSED))
}

/// What some messages take of the room, until they are settled or it is dropped.
#[derive(Debug)]
pub(super) struct Occupancy {
    room: Arc<Room>,
    unprocessed: usize,
    held: usize,
    /// By which others count what is under way.
    tokens: Vec<TaskTrackerToken>,
}

impl Occupancy {
    /// So many turns are over; each took this long.
    pub(super) fn note_turns(&mut self, turns: usize, took: Duration) {
        let done = turns.saturating_mul(self.room.per_turn);
        let done = done.min(self.unprocessed);
        self.unprocessed -= done;
        let mut state = self.room.state();
        state.unprocessed -= done;
        let work = state.work.map_or(took, |work| (7 * work + took) / 8);
        state.work = Some(work);
        drop(state);
        self.room.changed.notify_one();
    }

    /// From now on all that is left takes one turn: it is processed one after the other.
    pub(super) fn take_one_turn(&mut self) {
        let spare = self.unprocessed.saturating_sub(self.room.per_turn);
        self.unprocessed -= spare;
        self.room.state().unprocessed -= spare;
        self.room.changed.notify_one();
    }

    /// So many messages are settled.
    pub(super) fn note_settled(&mut self, messages: usize) {
        let settled = messages.min(self.held);
        self.held -= settled;
        self.tokens.truncate(self.held);
        self.room.state().held -= settled;
        self.room.changed.notify_one();
    }
}

impl Drop for Occupancy {
    fn drop(&mut self) {
        let mut state = self.room.state();
        state.unprocessed -= self.unprocessed;
        state.held -= self.held;
        drop(state);
        self.room.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(1);

    fn room(concurrency: u32) -> Arc<Room> {
        Arc::new(Room::new(concurrency, 1))
    }

    #[test]
    fn there_is_room_for_what_can_start_and_none_ahead_of_long_work() {
        let room = room(3);
        assert_eq!(room.free_now(ROUND_TRIP), 3);
        let mut held = room.take(3, Vec::new());
        assert_eq!(room.free_now(ROUND_TRIP), 0);
        held.note_turns(1, Duration::from_millis(100));
        assert_eq!(room.free_now(ROUND_TRIP), 1, "it need not be recorded");
        drop(held);
        assert_eq!(room.free_now(ROUND_TRIP), 3);
    }

    #[test]
    fn ahead_of_short_work_there_is_room_for_a_round_trip_of_it() {
        for (work_us, expected) in [(100_000, 0), (2_000, 4), (1_000, 8), (250, 32), (0, 1024)] {
            let work = Duration::from_micros(work_us);
            assert_eq!(begun_in(8, work, ROUND_TRIP), expected, "{work_us} us");
        }
        assert_eq!(begun_in(usize::MAX, Duration::ZERO, ROUND_TRIP), 1024);
    }

    #[test]
    fn chunks_are_shared_in_pieces_that_are_soon_done_if_there_is_a_limit() {
        let room = room(4);
        assert_eq!(room.piece(), Some(4), "nothing is known of the work");
        let mut held = room.take(8, Vec::new());
        held.note_turns(1, Duration::from_millis(1));
        assert_eq!(room.piece(), Some(20));
        for _ in 0..50 {
            held.note_turns(0, Duration::from_millis(100));
        }
        assert_eq!(room.piece(), Some(1));
        assert_eq!(Room::new(0, 1).piece(), None);
        assert_eq!(Room::new(4, 512).piece(), None);
    }

    #[test]
    fn what_is_not_recorded_is_bounded_too() {
        let room = room(0);
        let mut unrecorded = Vec::new();
        while room.free_now(ROUND_TRIP) > 0 {
            let mut held = room.take(512, Vec::new());
            held.note_turns(512, Duration::ZERO);
            unrecorded.push(held);
        }
        assert_eq!(unrecorded.len(), 6);
        unrecorded[0].note_settled(100);
        assert_eq!(room.free_now(ROUND_TRIP), 100);
        unrecorded.clear();
        assert_eq!(room.free_now(ROUND_TRIP), MOST_UNPROCESSED);
    }

    #[test]
    fn what_is_worked_one_by_one_takes_one_turn() {
        let room = room(2);
        let mut held = room.take(500, Vec::new());
        assert_eq!(room.free_now(ROUND_TRIP), 0);
        held.take_one_turn();
        assert_eq!(room.free_now(ROUND_TRIP), 1);
    }

    #[test]
    fn a_batch_that_is_processed_whole_takes_one_turn_however_small_it_is() {
        let room = Arc::new(Room::new(1, 512));
        assert_eq!(room.free_now(ROUND_TRIP), 512);
        let mut held = room.take(3, Vec::new());
        assert_eq!(room.free_now(ROUND_TRIP), 0);
        held.note_turns(1, Duration::from_secs(1));
        assert_eq!(room.free_now(ROUND_TRIP), 512);
    }
}
