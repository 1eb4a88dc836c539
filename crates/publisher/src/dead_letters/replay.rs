//! `deadLetters replay`: sends messages on their way again and removes their letters.

mod account;

use anyhow::{Context, Result, bail};
use redis_bus::dead_letters::{Choice, DeadLetters, ReplayMode, Replayer, Selection, StoredLetter};
use service_kit::shutdown::Signals;
use tokio::time::{Instant, sleep_until};

use self::account::Account;
use super::{arguments::ReplayArguments, text::escaped};
use crate::{listen, output::note, pace::Pace, progress::Progress, publisher::Ended};

/// The most messages of one step.
const BATCH: u64 = 128;

pub(super) async fn run(letters: DeadLetters, arguments: ReplayArguments) -> Result<Ended> {
    let [mut signals, mut insistent] = [listen()?, listen()?];
    check_queue(&letters).await?;
    let mode = match arguments.dry_run {
        true => ReplayMode::DryRun,
        false => ReplayMode::Real,
    };
    let choice = Choice::from(arguments.chosen);
    let prepared = tokio::select! {
        prepared = prepare(&letters, choice, mode) => prepared?,
        _ = signals.next() => return Ok(Ended::Interrupted),
    };
    let (selection, replayer) = prepared;
    let mut account = Account::new(mode);
    for id in &selection.missing {
        account.add_missing(id);
    }
    let mut run = Run {
        replayer,
        pace: Pace::new(arguments.rate),
        signals,
        started: Instant::now(),
        account,
    };
    let ended = tokio::select! {
        ended = run.run(&selection) => ended,
        _ = insistent.second() => Ok(Ended::Interrupted),
    };
    let printed = run.account.print();
    let ended = ended?;
    printed?;
    Ok(ended)
}

/// Checks that there is a queue, and warns when nobody reads it.
async fn check_queue(letters: &DeadLetters) -> Result<()> {
    let queue = letters.queue();
    if queue.identity().await?.is_none() {
        bail!(
            "there is no queue beside {}: start consumer-group-app, or name the stream it has with \
             --processedStream",
            escaped(letters.processed_stream())
        );
    }
    if !queue.is_read().await? {
        note(
            "warning: nobody reads the queue just now: what is replayed waits there until a consumer-group-app \
             or a consumer with --intake pull does",
        );
    }
    Ok(())
}

/// Finds the letters, and which of their messages have been processed.
async fn prepare(
    letters: &DeadLetters,
    choice: Choice,
    mode: ReplayMode,
) -> Result<(Selection, Replayer)> {
    let selection = Selection::find(letters, choice).await?;
    let mut progress = Progress::start("letters read", selection.total);
    let ids = selection.message_ids(|read| progress.show(read)).await;
    progress.finish();
    let mut replayer = Replayer::new(letters, mode, ids?);
    let mut progress = Progress::start("processed messages read", None);
    let read = replayer.catch_up(|count| progress.show(count)).await;
    progress.finish();
    read?;
    Ok((selection, replayer))
}

/// Replays letters and keeps the account.
struct Run {
    replayer: Replayer,
    pace: Pace,
    signals: Signals,
    started: Instant,
    account: Account,
}

impl Run {
    async fn run(&mut self, selection: &Selection) -> Result<Ended> {
        let mut progress = Progress::start("letters done", selection.total);
        let ended = self.replay(selection, &mut progress).await;
        progress.finish();
        ended.context(
            "replaying stopped; run it again for the rest: what was replayed has left the stream",
        )
    }

    /// Replays until the end, a signal or a failure.
    async fn replay(&mut self, selection: &Selection, progress: &mut Progress) -> Result<Ended> {
        let mut cursor = selection.cursor();
        while let Some(page) = cursor.next().await? {
            self.account.gone += page.gone;
            let mut letters = page.letters.into_iter().peekable();
            while letters.peek().is_some() {
                let Some(due) = self.due().await else {
                    return Ok(Ended::Interrupted);
                };
                self.step(letters.by_ref().take(due).collect()).await?;
                if self.account.mode == ReplayMode::Real {
                    progress.show(self.account.done());
                }
            }
        }
        Ok(Ended::Finished)
    }

    /// How many letters are to be looked at next; `None` after a signal.
    async fn due(&mut self) -> Option<usize> {
        loop {
            let (elapsed, sent) = (self.started.elapsed(), self.account.replayed);
            let due = match self.account.mode {
                ReplayMode::Real => self.pace.due(elapsed, sent),
                ReplayMode::DryRun => BATCH,
            };
            let next = self.started + self.pace.next(elapsed, sent);
            tokio::select! {
                biased;
                _ = self.signals.next() => return None,
                () = sleep_until(next), if due == 0 => {}
                () = std::future::ready(()), if due > 0 => {
                    return usize::try_from(due.min(BATCH)).ok();
                }
            }
        }
    }

    async fn step(&mut self, letters: Vec<StoredLetter>) -> Result<()> {
        let step = self.replayer.step(letters).await?;
        for (letter, outcome) in &step.outcomes {
            self.account.add(letter, *outcome)?;
        }
        step.failure.map_or(Ok(()), |cause| Err(cause.into()))
    }
}
