//! The fields of a flat entry, all in one text.

use std::fmt::{Display, Write};

/// Names and values, in order.
///
/// An entry has a dozen short texts, and entries come by the ten thousand: one buffer holds them all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    text: String,
    /// Where each name and each value ends, alternately.
    ends: Vec<usize>,
}

impl Fields {
    /// No fields yet, with room for so many of so many bytes.
    #[must_use]
    pub fn with_capacity(fields: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(2 * fields),
        }
    }

    /// Adds a field.
    pub fn push(&mut self, name: &str, value: &str) {
        self.push_text(name);
        self.push_text(value);
    }

    /// Adds a field with the text that shows a value.
    pub fn push_shown(&mut self, name: &str, value: impl Display) {
        self.push_text(name);
        // A string takes any text.
        write!(self.text, "{value}").unwrap_or_default();
        self.ends.push(self.text.len());
    }

    /// Adds all fields of another.
    pub fn append(&mut self, other: &Self) {
        let start = self.text.len();
        self.text.push_str(&other.text);
        self.ends.extend(other.ends.iter().map(|end| start + end));
    }

    fn push_text(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The length of all names and values, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Each name, followed by its value.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = &self.text[start..end];
            start = end;
            text
        })
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut all = Self::default();
        for (name, value) in fields {
            all.push(name.as_ref(), value.as_ref());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_appended_in_order() {
        let mut fields = Fields::from_iter([("a", "1")]);
        fields.append(&Fields::from_iter([("b", "ü"), ("", "3")]));
        assert_eq!(
            fields,
            Fields::from_iter([("a", "1"), ("b", "ü"), ("", "3")])
        );
    }

    #[test]
    fn names_and_values_come_back_in_order_even_empty_ones() {
        let fields = Fields::from_iter([("a", "ü"), ("", ""), ("b", "")]);
        assert_eq!(
            fields.texts().collect::<Vec<_>>(),
            ["a", "ü", "", "", "b", ""]
        );
        assert_eq!((fields.len(), fields.bytes()), (3, 4));
        assert!(Fields::default().is_empty());
    }
}
