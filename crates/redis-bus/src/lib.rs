//! All that the system says to Redis. No other crate that ships names the `redis` crate.
//!
//! | module | holds |
//! |---|---|
//! | [`endpoint`] | where Redis is and how to log in |
//! | [`connection`] | one shared connection for commands, replaced when it breaks |
//! | [`subscription`] | the Pub/Sub channel, read no faster than its reader takes it |
//! | [`consumer_list`] | the list `consumer:ids`: register, unregister, look up |
//! | [`consumer_watch`] | the same list, told again whenever it changes |
//! | [`commit`] | the stream `messages:processed` |
//! | [`dead_letters`] | the stream `messages:failed` |
//! | [`publish`] | publishing, for tools |

pub mod commit;
pub mod connection;
pub mod consumer_list;
pub mod consumer_watch;
pub mod dead_letters;
pub mod endpoint;
mod error;
pub mod publish;
mod resp;
mod socket;
pub mod subscription;

pub use connection::Connection;
pub use endpoint::{Endpoint, RedisSettings, RedisUrl};
pub use error::BusError;
