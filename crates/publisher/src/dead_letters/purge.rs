//! `deadLetters purge`: removes letters for good.

use anyhow::Result;
use futures_util::FutureExt;
use indicatif::HumanCount;
use redis_bus::dead_letters::{Choice, DeadLetters, Selection};

use super::{
    arguments::PurgeArguments,
    text::{escaped, name},
};
use crate::{
    listen,
    output::{note, say},
    progress::Progress,
    publisher::Ended,
};

/// Purges until the end, or until a signal comes: between two pages, or at once if it is the second.
pub(super) async fn run(letters: DeadLetters, arguments: PurgeArguments) -> Result<Ended> {
    let selection = Selection::find(&letters, Choice::from(arguments.chosen)).await?;
    for id in &selection.missing {
        note(&format!("no letter {}", escaped(id)));
    }
    if arguments.dry_run {
        rehearse(&selection).await?;
        return Ok(Ended::Finished);
    }
    let [mut signals, mut insistent] = [listen()?, listen()?];
    let mut cursor = selection.cursor();
    let mut progress = Progress::start("purged", selection.total);
    let mut purged = 0;
    let purge = async {
        while let Some(page) = cursor.next().await? {
            let entries = page.letters.into_iter().map(|letter| letter.entry);
            let entries: Vec<_> = entries.collect();
            purged += letters.delete(&entries).await?;
            progress.show(purged);
            if signals.next().now_or_never().is_some() {
                return Ok(Ended::Interrupted);
            }
        }
        Ok(Ended::Finished)
    };
    let ended: Result<_> = tokio::select! {
        ended = purge => ended,
        _ = insistent.second() => Ok(Ended::Interrupted),
    };
    progress.finish();
    let printed = say(&format!("purged {}", HumanCount(purged)));
    let ended = ended?;
    printed?;
    Ok(ended)
}

async fn rehearse(selection: &Selection) -> Result<()> {
    let mut cursor = selection.cursor();
    let mut count = 0;
    while let Some(page) = cursor.next().await? {
        for letter in page.letters {
            say(&format!("would purge {}", name(&letter)))?;
            count += 1;
        }
    }
    say(&format!("would purge {}", HumanCount(count)))
}
