//! What was given up.

pub(crate) mod writer;
