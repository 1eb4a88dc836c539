//! How many messages at once a consumer says it works on.

use std::num::NonZeroU32;

use serde::{Deserialize, Deserializer, de::Error as _};

/// How many messages at once a consumer may say it works on.
pub const MAX_CONCURRENCY: u32 = 1_000_000;

/// The number as a concurrency, if it may be one: 1 to [`MAX_CONCURRENCY`], also written as `8.0`.
#[must_use]
#[expect(
    clippy::as_conversions,
    reason = "there is no other way from a float; it is whole and within the range"
)]
pub fn as_concurrency(number: f64) -> Option<NonZeroU32> {
    let may_be = (1.0..=f64::from(MAX_CONCURRENCY)).contains(&number) && number.fract() == 0.0;
    NonZeroU32::new(number as u32).filter(|_| may_be)
}

/// Reads `concurrency` so that the error names it.
pub(super) fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NonZeroU32>, D::Error> {
    let number = f64::deserialize(deserializer).ok().and_then(as_concurrency);
    let wrong = || {
        let range = format!("a whole number from 1 to {MAX_CONCURRENCY}");
        D::Error::custom(format!("`concurrency` must be {range}, or be left out"))
    };
    number.ok_or_else(wrong).map(Some)
}
