//! The three messages that are published, and sets of messages and ids.

/// How many messages are published.
pub const MESSAGES: u8 = 3;

/// How many ids they have.
pub const IDS: u8 = 2;

/// A message, by the order in which it is published: 0 to 2.
pub type Message = u8;

/// A message id: 0 or 1.
pub type MessageId = u8;

/// The id of a message: the first and the last have the same.
#[must_use]
pub fn id_of(message: Message) -> MessageId {
    message % IDS
}

/// A set of small numbers: messages, ids, or indices in a chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Set(u8);

impl Set {
    /// The first `count` numbers.
    #[must_use]
    pub fn first(count: u8) -> Self {
        (0..count).collect()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a number is in it.
    #[must_use]
    pub fn has(self, number: u8) -> bool {
        self.0 & (1 << number) != 0
    }

    /// Adds a number.
    pub fn add(&mut self, number: u8) {
        self.0 |= 1 << number;
    }

    /// Removes a number.
    pub fn remove(&mut self, number: u8) {
        self.0 &= !(1 << number);
    }

    /// All that is in either.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The numbers in it, in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |number| self.has(*number))
    }
}

impl FromIterator<u8> for Set {
    fn from_iter<I: IntoIterator<Item = u8>>(numbers: I) -> Self {
        let mut set = Self::default();
        numbers.into_iter().for_each(|number| set.add(number));
        set
    }
}
