//! Which consumer a message goes to and when, and what follows from an outcome. No I/O.

pub(crate) mod dispatcher;
pub(crate) mod retry_budget;
pub(crate) mod selection;
