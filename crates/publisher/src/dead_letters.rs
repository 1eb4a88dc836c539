//! The verb `deadLetters`: list, show, replay and purge what the group gave up on.
//!
//! Each of the modules named after a verb does one thing with the letters that `redis-bus` selects.

mod arguments;
mod list;
mod purge;
mod replay;
mod show;
mod text;

use anyhow::{Result, bail};
use protocol::keys::FAILED_STREAM;
use redis_bus::{Connection, dead_letters::DeadLetters, requirements};

pub(crate) use self::arguments::Arguments;
use self::arguments::{QueueKind, Task};
use crate::publisher::Ended;

/// Does what was asked for; `channel` is where replayed messages are published.
pub(crate) async fn run(
    arguments: Arguments,
    connection: Connection,
    channel: String,
) -> Result<Ended> {
    if let Task::Replay(_) = &arguments.task
        && let Some(unfit) = requirements::unfit(&connection).await?
    {
        return Err(unfit.into());
    }
    let queue = arguments.queue;
    let letters = letters_of(
        queue,
        connection,
        arguments.failed_stream,
        arguments.processed_stream,
    )?;
    match arguments.task {
        Task::List(list) => list::run(&letters, list).await?,
        Task::Show(show) => show::run(letters, show.id).await?,
        Task::Replay(replay) => return replay::run(letters, replay, queue, channel).await,
        Task::Purge(purge) => return purge::run(letters, purge).await,
    }
    Ok(Ended::Finished)
}

/// The letters of a queue.
fn letters_of(
    queue: QueueKind,
    connection: Connection,
    failed: String,
    processed: String,
) -> Result<DeadLetters> {
    match queue {
        QueueKind::Memory | QueueKind::Stream => {
            Ok(DeadLetters::new(connection, failed, processed))
        }
        QueueKind::Chunks if failed == FAILED_STREAM => {
            Ok(DeadLetters::of_chunks(connection, processed))
        }
        QueueKind::Chunks => bail!(
            "--failedStream does not go with --queue chunks: its letters are beside --processedStream"
        ),
    }
}
