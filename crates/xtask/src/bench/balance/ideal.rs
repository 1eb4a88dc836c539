//! What no way of handing out messages can do better: one queue, and a look at all consumers at every instant.

use std::time::Duration;

use rand::{Rng, seq::IteratorRandom};

/// How long each message takes from its arrival to its end, with one queue in order of arrival before consumers that
/// take so long for a message and one at a time.
///
/// A message starts as soon as any of them is free; if several are, with any of those, by equal chances: who is
/// quick is not known beforehand. `arrivals` ascend.
pub(super) fn simulate(
    arrivals: &[Duration],
    work: &[Duration],
    random: &mut impl Rng,
) -> Vec<Duration> {
    let mut free_at = vec![Duration::ZERO; work.len()];
    let mut time_of = |arrival: Duration| {
        // Where all are busy it starts with the first that is not any more.
        let start = free_at.iter().min()?.max(&arrival).to_owned();
        let (free_at, work) = free_at
            .iter_mut()
            .zip(work)
            .filter(|(free_at, _)| **free_at <= start)
            .choose(random)?;
        *free_at = start + *work;
        Some(*free_at - arrival)
    };
    arrivals
        .iter()
        .filter_map(|arrival| time_of(*arrival))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(arrivals: &[u64], work: &[u64]) -> Vec<u64> {
        let ms = |times: &[u64]| -> Vec<_> {
            let times = times.iter().copied();
            times.map(Duration::from_millis).collect()
        };
        let times = simulate(&ms(arrivals), &ms(work), &mut rand::rng());
        let times = times.iter().map(Duration::as_millis);
        times.map(|ms| u64::try_from(ms).unwrap()).collect()
    }

    #[test]
    fn with_a_free_consumer_a_message_takes_its_work() {
        assert_eq!(times(&[0, 0, 0, 100], &[100; 3]), [100; 4]);
    }

    #[test]
    fn others_wait_in_order_for_the_first_that_is_free() {
        assert_eq!(times(&[0, 10, 20, 30], &[100]), [100, 190, 280, 370]);
        // The third starts when the first ends, the fourth when the second does.
        assert_eq!(times(&[0, 40, 50, 60], &[100; 2]), [100, 100, 150, 180]);
    }

    #[test]
    fn after_a_pause_nobody_waits() {
        assert_eq!(times(&[0, 0, 500], &[100]), [100, 200, 100]);
    }

    #[test]
    fn a_slow_consumer_holds_up_nobody_but_its_own() {
        // Two are busy from the start, and the quick one does all the rest.
        let mut times = times(&[0, 0, 1, 1, 1], &[20, 200]);
        times[..2].sort_unstable();
        assert_eq!(times, [20, 200, 39, 59, 79]);
    }

    #[test]
    fn a_slow_consumer_gets_its_part_of_the_chances() {
        let far_apart: Vec<_> = (0..4000).map(|number| number * 1000).collect();
        let times = times(&far_apart, &[20, 20, 20, 200]);
        let slow = times.iter().filter(|time| **time == 200).count();
        assert!((800..1200).contains(&slow), "{slow} of 4000");
    }
}
