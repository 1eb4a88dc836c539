//! The rule by which one of several consumers is picked.

use rand::{Rng, RngExt};
use serde::Deserialize;

/// Which of the consumers that may be picked is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Selection {
    /// Any, with equal chances.
    Random,
    /// Of two drawn at random, the one with less to do: the power of two choices (Mitzenmacher, 2001).
    LeastLoaded,
}

impl Selection {
    /// Picks one of `among` places; `outstanding` tells how much each has to do.
    pub(crate) fn pick(
        self,
        among: usize,
        outstanding: impl Fn(usize) -> usize,
        random: &mut impl Rng,
    ) -> Option<usize> {
        let one = draw(among, random)?;
        if self == Self::Random {
            return Some(one);
        }
        // Any but the first, with equal chances.
        let other = match draw(among - 1, random) {
            None => return Some(one),
            Some(other) if other == one => among - 1,
            Some(other) => other,
        };
        let is_less = outstanding(other) < outstanding(one);
        Some(if is_less { other } else { one })
    }
}

/// One of so many, with equal chances.
fn draw(among: usize, random: &mut impl Rng) -> Option<usize> {
    (among > 0).then(|| random.random_range(0..among))
}

#[cfg(test)]
mod tests {
    // Each test imports for itself: the bench holds this file too, and none of its tests.
    #[test]
    fn random_picks_all_alike_and_least_loaded_the_less_loaded_of_two() {
        use super::Selection;

        // How often each of four places is picked.
        let picked = |selection: Selection, outstanding: [usize; 4]| {
            let mut times = [0; 4];
            for _ in 0..40_000 {
                let place = selection.pick(4, |place| outstanding[place], &mut rand::rng());
                times[place.unwrap()] += 1;
            }
            times
        };
        let unlike = [0, 10, 20, 1000];
        let alike = picked(Selection::Random, unlike);
        for times in alike
            .into_iter()
            .chain(picked(Selection::LeastLoaded, [5; 4]))
        {
            // More than ten standard deviations to either side.
            assert!((9_000..11_000).contains(&times), "{times}");
        }
        let [idle, little, more, most] = picked(Selection::LeastLoaded, unlike);
        // Each is one of the two in half of the draws; the idle one wins all of its, the last none.
        assert!((19_000..21_000).contains(&idle), "{idle}");
        assert!((12_000..14_700).contains(&little), "{little}");
        assert!((5_700..7_700).contains(&more), "{more}");
        assert_eq!(most, 0);
    }

    #[test]
    fn of_one_that_is_picked_and_of_none_nobody() {
        use super::Selection;

        for selection in [Selection::Random, Selection::LeastLoaded] {
            assert_eq!(selection.pick(1, |_| 9, &mut rand::rng()), Some(0));
            assert_eq!(selection.pick(0, |_| 9, &mut rand::rng()), None);
        }
    }
}
