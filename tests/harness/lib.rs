//! The verbs of the functional tests: start services, publish, look into Redis, call, pretend.
//!
//! Everything is real: processes, sockets, Redis. What a test starts ends with it. Errors are `anyhow`:
//! a test shows them and fails.
//!
//! | module | holds |
//! |---|---|
//! | [`services`] | starting a Redis, a group and consumers of one's own |
//! | [`bus`] | [`Bus`]: publishing, and what stands in Redis |
//! | [`chunks`] | [`Chunks`]: the queue, without a group |
//! | [`ledger`] | [`Ledger`]: what was published, and whether all of it arrived |
//! | [`cable`] | [`Cable`]: between a service and the rest, to be cut |
//! | [`replicas`] | [`Replicas`]: groups side by side on one queue |
//! | [`status`] | `GET /status`, and [`Auditor`]: whether it adds up whenever one looks |
//! | [`slow_line`] | [`SlowLine`]: a line to a server that carries little |
//! | [`page`] | [`Page`]: the dashboard in a real browser |
//! | [`calls`] | HTTP calls and their [`Answer`](calls::Answer)s |
//! | [`fake_server`] | [`FakeServer`]: an HTTP server that answers as badly as one likes |
//! | [`old_redis`] | [`OldRedis`]: a server that says it is an old Redis |
//! | [`workshop`] | [`Workshop`]: where workers in another language work |
//! | [`fake_consumer`] | [`FakeConsumer`]: a consumer made of one |

pub mod bus;
pub mod cable;
pub mod calls;
pub mod chunks;
mod entry;
pub mod fake_consumer;
pub mod fake_server;
pub mod ledger;
pub mod manifests;
pub mod old_redis;
pub mod page;
pub mod prometheus;
pub mod replicas;
pub mod services;
pub mod slow_line;
pub mod status;
pub mod workshop;

pub use bus::{Bus, Entry};
pub use cable::Cable;
pub use chunks::Chunks;
pub use fake_consumer::FakeConsumer;
pub use fake_server::{FakeServer, Reply};
pub use ledger::Ledger;
pub use local_stack::{
    Break, Fault, FaultProxy, Language, PrivateRedis, Schemathesis, Service, Signal, Stack,
    StackOptions, usage, wait_until,
};
pub use old_redis::OldRedis;
pub use page::Page;
pub use replicas::{ReplicaOptions, Replicas};
pub use services::PATIENCE;
pub use slow_line::SlowLine;
pub use status::Auditor;
pub use workshop::{Work, Worker, Workshop};
