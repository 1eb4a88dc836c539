//! What the group says of itself: counts, rates, history, and what Redis is like. Nothing here changes anything.

pub(crate) mod history;
pub(crate) mod metrics;
pub(crate) mod sampler;
pub(crate) mod server_checker;
pub(crate) mod status;
pub(crate) mod throughput;
