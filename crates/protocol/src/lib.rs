//! The vocabulary of the system: what travels between the services and what the services are called.
//!
//! No I/O happens here. Values are valid by construction, so the rest of the workspace never checks
//! a message, an id or a consumer id twice.
//!
//! | module | holds |
//! |---|---|
//! | [`message`] | [`Message`] and [`MessageId`]: the JSON object as it was published |
//! | [`consumer_id`] | [`ConsumerId`]: the `host:port` a consumer is known by |
//! | [`http`] | paths and JSON bodies of both REST APIs |
//! | [`schemas`] | how messages and ids look in the descriptions of both REST APIs |
//! | [`processed`] | [`ProcessedMessage`]: an entry of the stream `messages:processed` |
//! | [`fields`] | [`Fields`]: names and values of an entry, in one text |
//! | [`dead_letter`] | [`DeadLetter`]: an entry of the stream of dead letters |
//! | [`retry`] | [`retry::next_step`]: what follows from an attempt that failed |
//! | [`position`] | [`Position`]: where a message stands in the queue |
//! | [`positions`] | [`Positions`]: the same of many messages, as it travels |
//! | [`lease`] | [`lease::LeaseToken`]: the name of the lease of a message that was fetched over HTTP |
//! | [`stream_id`] | [`StreamId`]: the id of an entry of a stream |
//! | [`trace`] | [`TraceContext`]: the trace a message belongs to |
//! | [`keys`] | the names of the channel, the list and the streams in Redis |

pub mod consumer_id;
pub mod dead_letter;
pub mod fields;
pub mod http;
pub mod keys;
pub mod lease;
pub mod message;
pub mod position;
pub mod positions;
pub mod processed;
pub mod retry;
pub mod schemas;
pub mod stream_id;
pub mod trace;
pub mod work_time;

pub use consumer_id::{ConsumerId, InvalidConsumerId};
pub use dead_letter::{DeadLetter, DeadLetterReason};
pub use fields::Fields;
pub use message::{Message, MessageError, MessageId};
pub use position::{ChunkId, Position, QueueIdentity};
pub use positions::Positions;
pub use processed::{Additions, AnsweredEntry, ProcessedMessage};
pub use stream_id::StreamId;
pub use trace::{TraceContext, TraceParent};
