//! A worker of the consumer group as a library: bring a [`Processor`].
//!
//! # A worker
//!
//! A processor takes a message, and says what is to be added to it. [`main`] makes a program of it, with all
//! flags, environment variables and settings of `consumer-app`:
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
//! It registers with the group, answers it over HTTP, and writes each processed message to the stream
//! `messages:processed`, once. How many messages are processed at once, and how they come, are settings.
//!
//! # What may go wrong
//!
//! | a processor returns | and the message |
//! |---|---|
//! | [`Rejected`](ProcessError::Rejected) | becomes a dead letter at once, with the reason: no worker will take it |
//! | [`RetryAfter`](ProcessError::RetryAfter) | comes again after that time; this was no attempt |
//! | [`Failed`](ProcessError::Failed), or it panics | is tried again, elsewhere if there is another worker, until it has had all its attempts |
//!
//! With `?` any error is `Failed`; but `message.deserialize()?` rejects a message of another shape.
//!
//! A message may come twice, when an attempt took too long or its answer was lost. It is recorded once; what a
//! processor does elsewhere should bear it.
//!
//! # Its test
//!
//! [`testing`] has a processor take messages as a worker would, without Redis and sockets:
//!
//! ```
//! # use consumer_kit::{Additions, Message, ProcessError, Processor};
//! use consumer_kit::testing;
//! # struct Pricing;
//! # #[derive(serde::Deserialize)]
//! # struct Order { quantity: u32, price: f64 }
//! # impl Processor for Pricing {
//! #     async fn process(&self, message: &Message) -> Result<Additions, ProcessError> {
//! #         let order: Order = message.deserialize()?;
//! #         let total = f64::from(order.quantity) * order.price;
//! #         Ok(Additions::from([("total".to_owned(), total.to_string())]))
//! #     }
//! # }
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//!
//! let order = r#"{"message_id":"order-1","quantity":3,"price":9.5}"#;
//! let additions = testing::process(&Pricing, order).await.unwrap();
//! assert_eq!(additions["total"], "28.5");
//!
//! let error = testing::process(&Pricing, r#"{"message_id":"order-2"}"#).await.unwrap_err();
//! assert!(matches!(error, ProcessError::Rejected(_)));
//! # });
//! ```
//!
//! # Settings in code
//!
//! A [`Worker`] is part of a program of yours: it reads no flags, traps no signals and sets up no log. What it
//! logs goes to your `tracing` subscriber.
//!
//! ```no_run
//! # use consumer_kit::{Additions, Message, ProcessError, Processor};
//! use consumer_kit::{Worker, WorkerError};
//! # struct Pricing;
//! # impl Processor for Pricing {
//! #     async fn process(&self, _: &Message) -> Result<Additions, ProcessError> {
//! #         Ok(Additions::new())
//! #     }
//! # }
//!
//! # async fn work(end: impl Future<Output = ()>) -> Result<(), WorkerError> {
//! let worker = Worker::builder("pricing", Pricing)
//!     .redis("redis://127.0.0.1:6379")
//!     .group("127.0.0.1", 5000)
//!     .listen("127.0.0.1", 5001)
//!     .concurrency(8)
//!     .bind()
//!     .await?;
//! println!("{} begins", worker.id());
//! worker.run_until(end).await
//! # }
//! ```
//!
//! Once `end` is ready the worker leaves the group, finishes what it has, and returns. With
//! [`Intake::Pull`] it reads the queue itself, and needs no group.
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | `program` | [`main`]: a worker from flags to exit code |
//! | `settings` | what an operator can set about a worker |
//! | `worker` | [`Worker`]: what is started, and how it ends |
//! | `advertised` | what it registers as: the host and port the group reaches it at |
//! | `http` | the routes `/processMessage`, `/processMessages` and `/health` |
//! | `processor` | [`Processor`]: the part that is yours, and [`ProcessError`] |
//! | `processing` | processes messages, as many at once as is set |
//! | [`testing`] | the same for tests |
//! | `pull` | takes messages from the queue itself, with `--intake pull` |
//! | `sink` | commits processed messages to the stream, many at a time |
//! | `metrics` | what it counts for `GET /metrics` |
//! | `spans` | the span of a message whose trace is recorded |
//! | `registrar` | keeps the worker registered with the group |
//! | `group_client` | the group's three REST calls |

mod advertised;
mod group_client;
mod http;
mod metrics;
mod places;
mod processing;
mod processor;
mod program;
mod pull;
mod registrar;
mod settings;
mod sink;
mod spans;
pub mod testing;
mod worker;

pub use processor::{BoxError, ProcessError, Processor};
pub use program::main;
pub use protocol::{Additions, ConsumerId, Message, MessageId};
pub use service_kit::build::Build;
pub use settings::{ConsumerSettings, Intake, SETTINGS};
pub use worker::{Worker, WorkerBuilder, WorkerError};
