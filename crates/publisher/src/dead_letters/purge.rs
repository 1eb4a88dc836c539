//! `deadLetters purge`: removes letters for good.

use anyhow::Result;
use indicatif::HumanCount;
use redis_bus::dead_letters::{Choice, DeadLetters, Selection};

use super::{
    arguments::PurgeArguments,
    text::{escaped, name},
};
use crate::{
    output::{say, tell},
    progress::Progress,
};

pub(super) async fn run(letters: DeadLetters, arguments: PurgeArguments) -> Result<()> {
    let selection = Selection::find(&letters, Choice::from(arguments.chosen)).await?;
    for id in &selection.missing {
        tell(&format!("no letter {}", escaped(id)));
    }
    if arguments.dry_run {
        return rehearse(&selection).await;
    }
    let mut walk = selection.walk();
    let mut progress = Progress::start("purged", selection.total);
    let mut purged = 0;
    let ended: Result<()> = async {
        while let Some(page) = walk.next().await? {
            let entries = page.letters.into_iter().map(|letter| letter.entry);
            let entries: Vec<_> = entries.collect();
            purged += letters.delete(&entries).await?;
            progress.show(purged);
        }
        Ok(())
    }
    .await;
    progress.finish();
    say(&format!("purged {}", HumanCount(purged)))?;
    ended
}

async fn rehearse(selection: &Selection) -> Result<()> {
    let mut walk = selection.walk();
    let mut count = 0;
    while let Some(page) = walk.next().await? {
        for letter in page.letters {
            say(&format!("would purge {}", name(&letter)))?;
            count += 1;
        }
    }
    say(&format!("would purge {}", HumanCount(count)))
}
