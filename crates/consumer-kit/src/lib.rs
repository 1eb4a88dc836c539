//! A consumer as a library: bring a [`Processor`], get a worker of the consumer group.
//!
//! A whole worker, with all flags, environment variables and settings of `consumer-app`:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use consumer_kit::{Additions, Message, ProcessError, Processor};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     quantity: u32,
//!     price: f64,
//! }
//!
//! struct Pricing;
//!
//! impl Processor for Pricing {
//!     async fn process(&self, message: &Message) -> Result<Additions, ProcessError> {
//!         let order: Order = message.deserialize()?;
//!         let total = f64::from(order.quantity) * order.price;
//!         Ok(Additions::from([("total".to_owned(), total.to_string())]))
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     consumer_kit::main(Pricing)
//! }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`program`] | [`main`]: a worker from flags to exit code |
//! | [`settings`] | what an operator can set about a consumer |
//! | [`consumer`] | the composition: what is started, and how it ends |
//! | `advertised` | what it registers as: the host and port the group reaches it at |
//! | [`http`] | the routes `/processMessage`, `/processMessages` and `/health` |
//! | [`processor`] | [`Processor`]: the part that is yours |
//! | `processing` | processes messages, as many at once as is set |
//! | `pull` | takes messages from the queue itself, with `--intake pull` |
//! | [`sink`] | commits processed messages to the stream, many at a time |
//! | [`metrics`] | what it counts for `GET /metrics` |
//! | `spans` | the span of a message whose trace is recorded |
//! | [`registrar`] | keeps the consumer registered with the group |
//! | [`group_client`] | the group's three REST calls |

mod advertised;
pub mod consumer;
pub mod group_client;
pub mod http;
pub mod metrics;
mod places;
mod processing;
pub mod processor;
pub mod program;
mod pull;
pub mod registrar;
pub mod settings;
pub mod sink;
mod spans;

pub use consumer::Consumer;
pub use processor::{BoxError, ProcessError, Processor};
pub use program::main;
pub use protocol::{Additions, Message, MessageId};
pub use settings::{ConsumerSettings, SETTINGS};
