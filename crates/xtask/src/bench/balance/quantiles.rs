//! What a distribution comes to.

use serde::Serialize;

/// As much as half, nine of ten, and 99 of 100 have at most; not a number where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(in crate::bench) struct Quantiles {
    p50: f64,
    p90: f64,
    p99: f64,
}

impl Quantiles {
    /// What each is called, in the order of [`Quantiles::each`].
    pub(in crate::bench) const NAMES: [&str; 3] = ["p50", "p90", "p99"];

    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_unstable_by(f64::total_cmp);
        // The least that so many have at most: the nearest rank.
        let at = |percent: usize| {
            let rank = (figures.len() * percent).div_ceil(100);
            let figure = figures.get(rank.saturating_sub(1));
            figure.copied().unwrap_or(f64::NAN)
        };
        Self {
            p50: at(50),
            p90: at(90),
            p99: at(99),
        }
    }

    /// Each as a multiple of another's.
    pub(super) fn over(self, other: Self) -> Self {
        Self {
            p50: self.p50 / other.p50,
            p90: self.p90 / other.p90,
            p99: self.p99 / other.p99,
        }
    }

    pub(in crate::bench) fn each(self) -> [f64; 3] {
        [self.p50, self.p90, self.p99]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_figures_by_rank() {
        let hundred = (1..=100).rev().map(f64::from);
        assert_eq!(Quantiles::of(hundred).each(), [50.0, 90.0, 99.0]);
        assert_eq!(Quantiles::of([7.0]).each(), [7.0; 3]);
        assert!(
            Quantiles::of([])
                .each()
                .iter()
                .all(|figure| figure.is_nan())
        );
    }

    #[test]
    fn each_is_compared_with_its_own() {
        let own = Quantiles::of((1..=100).map(f64::from));
        let ideal = Quantiles::of([10.0]);
        assert_eq!(own.over(ideal).each(), [5.0, 9.0, 9.9]);
    }
}
