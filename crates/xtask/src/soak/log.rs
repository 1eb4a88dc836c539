//! What happened when.

use std::time::Duration;

use super::mishap::Mishap;

/// The mishaps so far, in order.
#[derive(Debug, Default)]
pub(super) struct Log(Vec<Happened>);

/// A mishap, and when.
#[derive(Debug)]
struct Happened {
    mishap: Mishap,
    began: Duration,
    /// When all was well again; none when it has not been since.
    well: Option<Duration>,
}

impl Log {
    pub(super) fn begin(&mut self, mishap: Mishap, began: Duration) {
        let well = None;
        self.0.push(Happened {
            mishap,
            began,
            well,
        });
    }

    pub(super) fn end(&mut self, well: Duration) {
        if let Some(last) = self.0.last_mut() {
            last.well = Some(well);
        }
    }

    /// How many there were.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What went on at a time, in words.
    pub(super) fn at(&self, time: Duration) -> String {
        let last = self.0.iter().rev().find(|happened| happened.began <= time);
        match last {
            None => "before any mishap".to_owned(),
            Some(Happened { mishap, well, .. }) => match well {
                Some(well) if *well <= time => {
                    format!(
                        "{:.1?} after the end of: {mishap}",
                        time.saturating_sub(*well)
                    )
                }
                Some(_) | None => format!("during: {mishap}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_the_mishap_it_lies_in_or_after() {
        let [one, two, three, four] = [1, 2, 3, 4].map(Duration::from_secs);
        let mut log = Log::default();
        log.begin(Mishap::CutSubscriber(0), two);
        log.end(three);
        assert_eq!(log.at(one), "before any mishap");
        assert_eq!(log.at(two), "during: Redis closes subscriber 1");
        let after = log.at(four);
        assert_eq!(after, "1.0s after the end of: Redis closes subscriber 1");
        assert_eq!(log.len(), 1);
    }
}
