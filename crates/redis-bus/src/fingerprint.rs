//! The fingerprint of a message id, of a fixed size.

use std::fmt;

use protocol::dead_letter::Excerpt;
use sha2::{Digest, Sha256};

/// How many bytes there are.
const BYTES: usize = 16;

/// The first 128 bits of the SHA-256 of a message id.
///
/// That two ids have the same does not happen: with 10 billion ids the chance is below 2⁻⁶⁰, and who would
/// find such a pair on purpose needs some 2⁶⁴ attempts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; BYTES]);

impl Fingerprint {
    /// That of an id.
    #[must_use]
    pub fn of(id: &str) -> Self {
        Self::of_bytes(id.as_bytes())
    }

    /// That of a payload that is no message, so that it, too, is admitted once. No id has the same: these bytes
    /// are no text.
    #[must_use]
    pub fn of_malformed(payload: &Excerpt) -> Self {
        Self::of_bytes(&payload.to_bytes())
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&hash[..BYTES]);
        Self(bytes)
    }

    /// One that was written down.
    #[must_use]
    pub fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// As it is written down.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:032x})", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_start_of_the_sha_256() {
        // https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values, SHA-256 of
        // "abc".
        let shown = format!("{:?}", Fingerprint::of("abc"));
        assert_eq!(shown, "Fingerprint(ba7816bf8f01cfea414140de5dae2223)");
        assert_ne!(Fingerprint::of("a"), Fingerprint::of("b"));
    }
}
