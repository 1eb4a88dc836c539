//! The consumers: which there are, how each of them does, and how messages are sent to them.
//!
//! The registry follows the list in Redis. Each consumer has a sender, which keeps its window, its outlier detector and
//! its statistics.

pub(crate) mod client;
mod connection;
pub(crate) mod handle;
pub(crate) mod health_checker;
pub(crate) mod membership;
mod outlier;
mod own_fault;
pub(crate) mod registry;
mod retry_after;
pub(crate) mod sender;
pub(crate) mod stats;
pub(crate) mod sweeps;
pub(crate) mod window;
