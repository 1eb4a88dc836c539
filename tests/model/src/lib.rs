//! A model of the queue's protocol, small enough to visit every state it can be in.
//!
//! Two replicas hear three messages, two of which share an id. They admit them to the queue in Redis, have
//! consumers process them, and settle them. What can go wrong does, in any order: a replica crashes, an
//! answer is lost, a call comes late, a chunk is taken over while its reader still works on it, a failover
//! loses the last step, `FLUSHALL`. The checker looks at every state: no id is admitted twice or has two
//! outcomes, and when nothing more can happen the queue is empty and no id is without an outcome.
//!
//! | module | holds |
//! |---|---|
//! | [`message`] | the three messages, and sets of them |
//! | [`call`] | what is said to Redis |
//! | [`redis`] | what the scripts do in Redis, each in one step |
//! | [`replica`] | what a replica knows, holds and concludes from answers |
//! | [`step`] | what can happen in a state: work and faults |
//! | [`state`] | the whole system at one instant, and how a step changes it |
//! | [`guard`] | the rules of the protocol, each of which can be left out |
//! | [`coverage`] | what has happened at all while the states were visited |
//! | [`model`] | the model: limits of the faults, and the promises |
//!
//! The model follows the design where a promise depends on it, and leaves out the rest:
//!
//! - A consumer is the call that settles what it has processed. One whose call comes late is a consumer that
//!   its replica has given up on; meanwhile another consumer has the message. So with two late calls two
//!   consumers come late.
//! - A commit and a dead letter are both an outcome: settlement does not tell them apart.
//! - The id log is not trimmed. Work without a position, and the account, are not in the model.
//! - Any chunk that nobody at work has can be read. In Redis a new chunk is handed out only behind the last one
//!   that was, and an append that hands its own out moves that mark. That it passes over none that waits is
//!   one look inside that script (`append.lua`), with tests of its own in redis-bus.
//! - A chunk that waits is not settled, except by a late call; a `StreamGroup` is not destroyed. Both leave
//!   progress and bits as they are, and have tests of their own in redis-bus.
//! - A new identity comes with an empty queue. When only the account is deleted the chunks stay: they are read
//!   as before, and what was held under the old identity is offered, and found in the log, again.
//! - Time is only an order of steps. That each order comes to an end is checked with one fault only, as that
//!   takes no use of symmetry.

pub mod call;
pub mod coverage;
pub mod guard;
pub mod message;
pub mod model;
pub mod redis;
pub mod replica;
pub mod state;
pub mod step;

pub use coverage::{Coverage, Event};
pub use guard::Guard;
pub use model::{Faults, QueueModel, Retention};
