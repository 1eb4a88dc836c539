//! The queue in Redis as this replica sees it: what it reads, what it holds, what it settles.
//!
//! Nothing here knows consumers' addresses or HTTP. The queue itself is `redis_bus::chunk_queue`.

mod account;
pub(crate) mod giving_back;
mod local_queue;
pub(crate) mod reader;
pub(crate) mod receiver;
pub(crate) mod recorder;
mod replaced;
pub(crate) mod settler;

pub(crate) use self::{
    account::Account,
    local_queue::{LocalQueue, Malformed},
};
