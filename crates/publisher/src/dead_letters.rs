//! The verb `deadLetters`: list, show, replay and purge what the group gave up on.
//!
//! Each of the modules named after a verb does one thing with the letters that `redis-bus` selects.

mod arguments;
mod list;
mod purge;
mod replay;
mod show;
mod text;

use anyhow::Result;
use redis_bus::{Connection, dead_letters::DeadLetters, requirements};

pub(crate) use self::arguments::Arguments;
use self::arguments::Task;
use crate::publisher::Ended;

/// Does what was asked for.
pub(crate) async fn run(
    arguments: Arguments,
    processed_stream: String,
    connection: Connection,
) -> Result<Ended> {
    if let Task::Replay(_) = &arguments.task
        && let Some(unusable) = requirements::unusable(&connection).await?
    {
        return Err(unusable.into());
    }
    let letters = DeadLetters::new(connection, processed_stream);
    match arguments.task {
        Task::List(list) => list::run(&letters, list).await?,
        Task::Show(show) => show::run(letters, show.id).await?,
        Task::Replay(replay) => return replay::run(letters, replay).await,
        Task::Purge(purge) => return purge::run(letters, purge).await,
    }
    Ok(Ended::Finished)
}
