//! How long a consumer worked on what a request brought, as it may say in the header of its answer.
//!
//! The header is [`SERVER_TIMING`] (W3C, Server Timing, 2023): a list of metrics with parameters. Ours is `work`,
//! with its `dur` in milliseconds; whatever else the list says is left to others:
//!
//! ```text
//! server-timing: work;dur=0.42
//! ```
//!
//! It is the time from when the consumer has read the messages until the last is processed, without the time to
//! record the results. By it the group knows how many messages are a few milliseconds of work. Without it the group
//! goes by how many are answered in a time, which is less while the way is long.

use std::time::Duration;

/// The header of an answer that says how long the work took.
pub const SERVER_TIMING: &str = "server-timing";

const WORK: &str = "work";
const DURATION: &str = "dur";

/// The value of the header [`SERVER_TIMING`] for so much work.
#[must_use]
pub fn of_work(work: Duration) -> String {
    let millis = work.as_secs_f64() * 1000.0;
    format!("{WORK};{DURATION}={millis:.3}")
}

/// The work that a value of the header [`SERVER_TIMING`] tells of; `None` when it tells of none that makes sense.
#[must_use]
pub fn work_in(value: &str) -> Option<Duration> {
    let mut metrics = value.split(',').map(|metric| metric.split(';'));
    let mut work =
        metrics.find_map(|mut metric| (metric.next()?.trim() == WORK).then_some(metric))?;
    let millis = work.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_duration = name.trim().eq_ignore_ascii_case(DURATION);
        is_duration.then(|| value.trim().trim_matches('"'))
    })?;
    let millis: f64 = millis.parse().ok()?;
    Duration::try_from_secs_f64(millis / 1000.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for micros in [0, 1, 420, 5_000, 60_000_000] {
            let work = Duration::from_micros(micros);
            assert_eq!(work_in(&of_work(work)), Some(work), "{work:?}");
        }
    }

    #[test]
    fn it_is_found_among_others_and_nonsense_is_none() {
        let millis = Duration::from_millis;
        for (value, work) in [
            (
                r#"db;dur=3, work;desc="all";DUR="7", cache"#,
                Some(millis(7)),
            ),
            ("work ; dur = 2", Some(millis(2))),
            ("db;dur=3", None),
            ("work", None),
            ("work;dur=", None),
            ("work;dur=-1", None),
            ("work;dur=NaN", None),
            ("work;dur=inf", None),
            ("work;dur=1e300", None),
            ("", None),
        ] {
            assert_eq!(work_in(value), work, "{value}");
        }
    }
}
