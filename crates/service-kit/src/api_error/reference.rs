//! References from answers to the log: each that is given stands there once, with its cause.
//!
//! When Redis is down, every message of every batch fails for one and the same cause. Answers with the same
//! cause share a reference for a while, so that the log has one line for all of them.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::error;
use uuid::Uuid;

/// How long answers with one cause share a reference.
const SHARED_FOR: Duration = Duration::from_secs(10);

/// How many causes have a reference of their own at once; all further ones share one.
const CAUSES: usize = 32;

/// What the log says of a cause that shares its reference with others.
const MANY: &str = "too many different causes to log each; this reference stands for all that follow, \
                    the first of which is";

/// Log lines are the process's, so this is, too.
static KNOWN: Mutex<Known> = Mutex::new(Known {
    causes: Vec::new(),
    others: None,
});

/// The reference of a cause; it is in the log when this returns.
pub(super) fn reference(what: &str, cause: &str) -> Uuid {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.reference(what, cause, Instant::now(), log)
}

fn log(what: &str, cause: &str, reference: Uuid, suppressed: u64) {
    error!(%reference, cause, suppressed, "{what}");
}

struct Known {
    causes: Vec<Cause>,
    others: Option<Shared>,
}

struct Cause {
    what: String,
    cause: String,
    shared: Shared,
}

#[derive(Clone, Copy)]
struct Shared {
    reference: Uuid,
    since: Instant,
    /// How many answers got it without a line of their own.
    suppressed: u64,
}

impl Shared {
    fn new(since: Instant) -> Self {
        Self {
            reference: Uuid::new_v4(),
            since,
            suppressed: 0,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= SHARED_FOR
    }

    /// Whether this is shared once more; if not, it is another from now on.
    fn share(&mut self, now: Instant) -> Result<(), u64> {
        if self.is_over(now) {
            let suppressed = self.suppressed;
            *self = Self::new(now);
            return Err(suppressed);
        }
        self.suppressed += 1;
        Ok(())
    }
}

impl Known {
    /// The reference of a cause, which `log` is given with its words and how many answers went without a
    /// line since the last one, unless it has been.
    fn reference(
        &mut self,
        what: &str,
        cause: &str,
        now: Instant,
        log: impl FnOnce(&str, &str, Uuid, u64),
    ) -> Uuid {
        let is_it = |known: &&mut Cause| known.what == what && known.cause == cause;
        if let Some(Cause { shared, .. }) = self.causes.iter_mut().find(is_it) {
            if let Err(suppressed) = shared.share(now) {
                log(what, cause, shared.reference, suppressed);
            }
            return shared.reference;
        }
        self.causes.retain(|known| !known.shared.is_over(now));
        if self.causes.len() >= CAUSES {
            let is_new = self.others.is_none();
            let others = self.others.get_or_insert_with(|| Shared::new(now));
            let shared = if is_new { Err(0) } else { others.share(now) };
            if let Err(suppressed) = shared {
                log(
                    what,
                    &format!("{MANY}: {cause}"),
                    others.reference,
                    suppressed,
                );
            }
            return others.reference;
        }
        let shared = Shared::new(now);
        self.causes.push(Cause {
            what: what.to_owned(),
            cause: cause.to_owned(),
            shared,
        });
        log(what, cause, shared.reference, 0);
        shared.reference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Log {
        known: Known,
        lines: Vec<(String, Uuid, u64)>,
    }

    impl Log {
        fn new() -> Self {
            let (causes, others) = (Vec::new(), None);
            let known = Known { causes, others };
            let lines = Vec::new();
            Self { known, lines }
        }

        fn fail(&mut self, cause: &str, now: Instant) -> Uuid {
            let lines = &mut self.lines;
            self.known
                .reference("Failed!", cause, now, |_, cause, reference, suppressed| {
                    lines.push((cause.to_owned(), reference, suppressed));
                })
        }
    }

    #[test]
    fn answers_with_one_cause_share_a_reference_that_is_logged_once() {
        let (mut log, start) = (Log::new(), Instant::now());
        let first = log.fail("down", start);
        for _ in 0..500 {
            assert_eq!(log.fail("down", start), first);
        }
        let other = log.fail("full", start);
        let next = log.fail("down", start + SHARED_FOR);
        assert!(first != other && first != next);
        let expected = [("down", first, 0), ("full", other, 0), ("down", next, 500)];
        let expected = expected.map(|(cause, reference, n)| (cause.to_owned(), reference, n));
        assert_eq!(log.lines, expected);
    }

    #[test]
    fn however_many_causes_there_are_each_reference_is_logged_and_few_lines_are_written() {
        let (mut log, start) = (Log::new(), Instant::now());
        for number in 0..10_000 {
            let reference = log.fail(&format!("no {number}"), start);
            assert!(log.lines.iter().any(|(_, logged, _)| *logged == reference));
        }
        assert_eq!(log.lines.len(), CAUSES + 1);
        let (cause, ..) = log.lines.last().unwrap();
        assert!(cause.contains(MANY) && cause.ends_with("no 32"), "{cause}");
        // Once those are over there is room again.
        log.fail("new", start + SHARED_FOR);
        assert_eq!(log.lines.last().unwrap().0, "new");
    }
}
