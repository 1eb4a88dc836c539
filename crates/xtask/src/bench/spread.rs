//! A figure over several rounds.

use std::fmt;

use serde::Serialize;

/// The median, and how far it went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// All zero where there are no figures.
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (figures.first(), figures.last()) else {
            return Self::default();
        };
        let lower = figures[(figures.len() - 1) / 2];
        let upper = figures[figures.len() / 2];
        Self {
            median: f64::midpoint(lower, upper),
            least,
            most,
        }
    }
}

impl fmt::Display for Spread {
    /// `median (least to most)`, whole numbers with separators; the median alone where all are equal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = [self.median, self.least, self.most].map(whole);
        match least == most {
            true => write!(f, "{median}"),
            false => write!(f, "{median} ({least} to {most})"),
        }
    }
}

/// A figure rounded to a whole number, with separators.
pub(super) fn whole(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(Spread::of([]), Spread::default());
        assert_eq!(Spread::of([3.0]).median, 3.0);
        let odd = Spread::of([9.0, 1.0, 2.0]);
        assert_eq!((odd.median, odd.least, odd.most), (2.0, 1.0, 9.0));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]).median, 3.0);
    }

    #[test]
    fn figures_are_rounded_and_separated() {
        let spread = Spread::of([999.4, 1234.5678, 1_234_567.0]);
        assert_eq!(spread.to_string(), "1,235 (999 to 1,234,567)");
    }
}
