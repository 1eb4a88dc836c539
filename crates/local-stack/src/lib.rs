//! A private Redis and the services as real processes on this machine, for tests and tools.
//!
//! Nothing of this ships. Errors are `anyhow`: who uses this crate shows them and stops, nobody
//! branches on them. Every process started here ends when its value is dropped.
//!
//! | module | holds |
//! |---|---|
//! | [`redis_server`] | finds the Redis server on this machine, or installs it |
//! | [`private_redis`] | [`PrivateRedis`]: an empty Redis on a free port, that can be killed and frozen |
//! | [`binaries`] | [`Binaries`]: builds the services and knows where they are |
//! | [`service`] | [`Service`]: one running service, its log, its address, its end |
//! | [`language`] | [`Language`]: what runs the examples in other languages |
//! | [`log_lines`] | [`LogLines`]: what a service has logged, and waiting for more |
//! | [`fault_proxy`] | [`FaultProxy`]: a TCP proxy that is as bad a network as one likes |
//! | [`private_network`] | [`PrivateNetwork`]: a network for some processes, whose cable can be cut |
//! | [`browser`] | [`Browser`]: a headless Chromium, found or installed |
//! | [`schemathesis`] | [`Schemathesis`]: calls a REST API in every way its description allows |
//! | [`kubernetes`] | [`KubernetesTools`]: render manifests, and compare them with the schemas |
//! | [`prometheus`] | [`Prometheus`]: scrapes services, found or installed |
//! | [`usage`] | memory, CPU time and open files of a process |
//! | [`terminal`] | whether Ctrl-C reaches what is started here |
//! | [`deadline`] | waiting for a condition, but not for ever |
//! | [`stack`] | [`Stack`]: Redis, the group and its consumers, started in order |

pub mod binaries;
pub mod browser;
pub mod deadline;
pub mod fault_proxy;
pub mod kubernetes;
pub mod language;
pub mod log_lines;
mod packages;
pub mod private_network;
pub mod private_redis;
pub mod prometheus;
mod python;
pub mod redis_server;
pub mod schemathesis;
pub mod service;
pub mod stack;
pub mod terminal;
pub mod usage;

pub use binaries::{Binaries, Profile};
pub use browser::{Browser, BrowserPrograms};
pub use deadline::wait_until;
pub use fault_proxy::{Break, Fault, FaultProxy};
pub use kubernetes::KubernetesTools;
pub use language::Language;
pub use log_lines::LogLines;
pub use nix::sys::signal::Signal;
pub use private_network::{Cut, PrivateNetwork};
pub use private_redis::PrivateRedis;
pub use prometheus::{Prometheus, PrometheusPrograms};
pub use redis;
pub use redis_server::RedisServer;
pub use schemathesis::Schemathesis;
pub use service::Service;
pub use stack::{Stack, StackOptions};
