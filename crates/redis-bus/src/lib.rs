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
//! | [`chunk_queue`] | the queue: a stream of chunks, settled by position |
//! | [`id_window`] | which messages were admitted lately, in memory |
//! | [`dead_letters`] | the stream of dead letters, and what to do with what is in it |
//! | [`probe`] | whether Redis would take work just now |
//! | [`publish`] | publishing, for tools |
//! | [`requirements`] | what a server must be able to do |
//! | [`server_check`] | what about the server's own settings endangers messages |
//!
//! What must be one step is a script, beside the module that runs it. `windows.lua`, `chunk_queue/chunks.lua`
//! and `chunk_queue/settlement.lua` are functions that several of them start with.

mod added;
pub mod chunk_queue;
mod chunks;
pub mod commit;
pub mod connection;
pub mod consumer_list;
pub mod consumer_watch;
pub mod dead_letters;
pub mod endpoint;
mod error;
mod fingerprint;
pub mod id_window;
mod link;
pub mod probe;
pub mod publish;
pub mod requirements;
mod resp;
mod script;
pub mod server_check;
mod socket;
pub mod subscription;
mod windows;

pub use added::Added;
pub use connection::Connection;
pub use endpoint::{Endpoint, RedisSettings, RedisUrl};
pub use error::BusError;
pub use fingerprint::Fingerprint;
pub use id_window::IdWindow;
