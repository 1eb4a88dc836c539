//! `deadLetters replay`: sends messages on their way again and removes their letters.
//!
//! No message that has an entry in the stream of processed messages is sent. That is read before
//! anything is sent, and what was added to it meanwhile before each batch; what is processed between
//! that and the batch is known to Redis, which sends a batch in one step and leaves out what it
//! remembers as processed.

mod account;

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use redis_bus::dead_letters::{DeadLetters, FitLetter, Replayed, StoredLetter, Way};
use service_kit::shutdown::Signals;
use tokio::time::{Instant, sleep_until};

use self::account::{Account, Manner, Skipped};
use super::{
    arguments::{QueueKind, ReplayArguments},
    processed::Processed,
    selection::{Choice, Selection},
    text::escaped,
};
use crate::{output::tell, pace::Pace, progress::Progress, publisher::Ended};

/// The most messages of one step.
const BATCH: u64 = 128;

pub(super) async fn run(
    letters: DeadLetters,
    arguments: ReplayArguments,
    channel: String,
) -> Result<Ended> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let way = find_way(&letters, arguments.queue, channel).await?;
    let manner = match arguments.dry_run {
        true => Manner::Rehearsal,
        false => Manner::Real,
    };
    let choice = Choice::from(arguments.chosen);
    let prepared = tokio::select! {
        prepared = prepare(&letters, choice) => prepared?,
        _ = signals.next() => return Ok(Ended::Interrupted),
    };
    let (selection, processed) = prepared;
    let mut account = Account::new(manner);
    for id in &selection.missing {
        account.add_missing(id);
    }
    let mut replayer = Replayer {
        letters,
        way,
        pace: Pace::new(arguments.rate),
        signals,
        started: Instant::now(),
        processed,
        sent: HashSet::new(),
        account,
    };
    let ended = replayer.run(&selection).await;
    let told = replayer.account.tell();
    let ended = ended?;
    replayer.check_heard()?;
    told?;
    Ok(ended)
}

/// Checks that the way leads somewhere.
async fn find_way(letters: &DeadLetters, queue: QueueKind, channel: String) -> Result<Way> {
    let has_queue = letters.has_durable_queue().await?;
    match queue {
        QueueKind::Stream if has_queue => Ok(Way::Queue),
        QueueKind::Stream => bail!(
            "nobody ever read a durable queue beside {}, so nothing would come of it: start \
             consumer-group-app with --queue stream and a consumer, or name the stream it has with \
             --processedStream, or replay with --queue memory",
            escaped(letters.processed_stream())
        ),
        QueueKind::Memory => {
            if has_queue {
                tell(
                    "warning: a durable queue is in use; --queue stream is safer, because what is \
                     published is lost with a group that is killed",
                );
            }
            Ok(Way::Channel(channel))
        }
    }
}

/// Finds the letters, and which of their messages have been processed.
async fn prepare(letters: &DeadLetters, choice: Choice) -> Result<(Selection, Processed)> {
    let selection = Selection::find(letters, choice).await?;
    let mut progress = Progress::start("letters read", selection.total);
    let ids = read_ids(&selection, &mut progress).await;
    progress.finish();
    let mut processed = Processed::new(letters, ids?);
    let mut progress = Progress::start("processed messages read", None);
    let read = processed.catch_up(|count| progress.show(count)).await;
    progress.finish();
    read?;
    Ok((selection, processed))
}

/// The ids of all messages that could be replayed.
async fn read_ids(selection: &Selection, progress: &mut Progress) -> Result<HashSet<String>> {
    let mut ids = HashSet::new();
    let mut read = 0;
    let mut walk = selection.walk();
    while let Some(page) = walk.next().await? {
        read += u64::try_from(page.letters.len()).unwrap_or(0);
        progress.show(read);
        let messages = page.letters.iter().filter_map(StoredLetter::message);
        ids.extend(messages.map(|message| message.id().to_string()));
    }
    Ok(ids)
}

/// Replays letters and keeps the account.
struct Replayer {
    letters: DeadLetters,
    way: Way,
    pace: Pace,
    signals: Signals,
    started: Instant,
    processed: Processed,
    /// The ids of the messages that were sent.
    sent: HashSet<String>,
    account: Account,
}

impl Replayer {
    async fn run(&mut self, selection: &Selection) -> Result<Ended> {
        let mut progress = Progress::start("letters done", selection.total);
        let ended = self.replay(selection, &mut progress).await;
        progress.finish();
        ended.context(
            "replaying stopped; run it again for the rest: what was replayed has left the stream",
        )
    }

    /// Replays until the end, a signal, a failure, or until nobody listens.
    async fn replay(&mut self, selection: &Selection, progress: &mut Progress) -> Result<Ended> {
        let mut walk = selection.walk();
        while let Some(page) = walk.next().await? {
            self.account.gone += page.gone;
            let mut letters = page.letters.into_iter().peekable();
            while letters.peek().is_some() {
                let Some(due) = self.due().await else {
                    return Ok(Ended::Interrupted);
                };
                self.step(letters.by_ref().take(due).collect()).await?;
                if self.account.manner == Manner::Real && self.account.unheard > 0 {
                    return Ok(Ended::Finished);
                }
                if self.account.manner == Manner::Real {
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
            let due = match self.account.manner {
                Manner::Real => self.pace.due(elapsed, sent),
                Manner::Rehearsal => BATCH,
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
        self.processed.catch_up(|_| {}).await?;
        let mut batch = Vec::with_capacity(letters.len());
        let mut fit = Vec::with_capacity(letters.len());
        let mut ids = HashSet::new();
        for letter in letters {
            let Some(message) = letter.message() else {
                self.account.skip(&letter, Skipped::Unfit)?;
                continue;
            };
            let id = message.id().as_str();
            if self.processed.contains(id) {
                self.account.skip(&letter, Skipped::Processed)?;
            } else if self.sent.contains(id) || !ids.insert(id.to_owned()) {
                self.account.skip(&letter, Skipped::Repeated)?;
            } else {
                let entry = letter.entry.clone();
                fit.push(FitLetter { entry, message });
                batch.push(letter);
            }
        }
        let results = match self.account.manner {
            Manner::Real => self.letters.replay(&fit, &self.way).await,
            Manner::Rehearsal => self.letters.rehearse(&fit, &self.way).await,
        };
        let mut failure = None;
        for ((letter, fit), result) in batch.iter().zip(fit).zip(results) {
            match result {
                Ok(replayed) => {
                    if replayed == Replayed::Sent {
                        self.sent.insert(fit.message.id().to_string());
                    }
                    self.account.add(letter, replayed)?;
                }
                Err(cause) => failure = Some(cause),
            }
        }
        match failure {
            None => Ok(()),
            Some(cause) => Err(cause.into()),
        }
    }

    /// An error when there was a message that nobody heard.
    fn check_heard(&self) -> Result<()> {
        let Way::Channel(channel) = &self.way else {
            return Ok(());
        };
        if self.account.unheard == 0 {
            return Ok(());
        }
        let channel = escaped(channel);
        let text = format!(
            "nobody listens to {channel}: start consumer-group-app, or name the channel it listens \
             to with --channel"
        );
        match self.account.manner {
            Manner::Real => bail!("{text}. What was not replayed is where it was"),
            Manner::Rehearsal => tell(&format!("warning: {text}")),
        }
        Ok(())
    }
}
