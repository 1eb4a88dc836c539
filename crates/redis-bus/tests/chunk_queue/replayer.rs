//! Replayers send no message again that has another outcome, and share the letters.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use protocol::{DeadLetter, Message, StreamId, dead_letter::Excerpt};
use redis_bus::dead_letters::{
    Choice, DeadLetters, LetterOutcome, ReplayMode, Replayed, Replayer, Selection, Skipped,
};
use tokio::task::JoinSet;

use crate::{
    replay::{entries, give_up},
    scene::{STREAM, Scene, connection_to, position},
};

/// Replays all letters; answers what became of each, in the order of the letters.
pub(crate) async fn replay_all(
    port: u16,
    mode: ReplayMode,
) -> Result<Vec<(StreamId, LetterOutcome)>> {
    let letters = DeadLetters::new(connection_to(port)?, STREAM.to_owned());
    let selection = Selection::find(&letters, Choice::All).await?;
    let ids = selection.message_ids(|_| ()).await?;
    let mut replayer = Replayer::new(&letters, mode, ids);
    let (mut cursor, mut outcomes) = (selection.cursor(), Vec::new());
    while let Some(page) = cursor.next().await? {
        let step = replayer.step(page.letters).await?;
        ensure!(step.failure.is_none(), "{:?}", step.failure);
        for (letter, outcome) in step.outcomes {
            outcomes.push((letter.entry.parse()?, outcome));
        }
    }
    outcomes.sort_by_key(|(entry, _)| *entry);
    Ok(outcomes)
}

#[tokio::test]
async fn what_is_processed_or_no_message_or_came_again_stays_where_it_is() -> Result<()> {
    let scene = Scene::start().await?;
    give_up(&scene, &["processed", "again", "twice", "twice", "open"]).await?;
    let malformed = scene.admit_and_hand_out(&["x"]).await?;
    let payload = Bytes::from_static(b"no JSON");
    let Err(error) = Message::parse(payload.clone()) else {
        anyhow::bail!("it is a message");
    };
    let letter = DeadLetter::malformed(Excerpt::of(&payload), &error);
    let letters = [(position(malformed, 0)?, &letter)];
    for settlement in scene.queue.give_up(&scene.identity, &letters).await {
        settlement?;
    }
    let add = ["XADD", STREAM, "*", "message_id", "processed"];
    scene.command::<String>(&add).await?;
    let newest = entries(&scene).await?.pop().context("no letter")?;
    while scene.queue.now().await? == newest.millis() {}
    scene.admit(&["again"]).await?;
    let expected = [
        LetterOutcome::Skipped(Skipped::Processed),
        LetterOutcome::Answered(Replayed::Admitted),
        LetterOutcome::Answered(Replayed::Sent),
        LetterOutcome::Skipped(Skipped::Repeated),
        LetterOutcome::Answered(Replayed::Sent),
        LetterOutcome::Skipped(Skipped::Malformed),
    ];
    for mode in [ReplayMode::DryRun, ReplayMode::Real] {
        assert_eq!(entries(&scene).await?.len(), 6);
        let outcomes = replay_all(scene.redis.port(), mode).await?;
        let outcomes: Vec<_> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        assert_eq!(outcomes, expected);
    }
    assert_eq!(entries(&scene).await?.len(), 4);
    // The one that is left of two came again by the replay of the other.
    let outcomes = replay_all(scene.redis.port(), ReplayMode::Real).await?;
    assert_eq!(outcomes[2].1, LetterOutcome::Answered(Replayed::Admitted));
    Ok(())
}

#[tokio::test]
async fn replays_at_once_share_the_letters_while_replicas_admit_messages() -> Result<()> {
    const LETTERS: usize = 1200;
    let scene = Scene::start().await?;
    for chunk in 0..3 {
        let ids: Vec<_> = (0..LETTERS / 3)
            .map(|number| format!("{chunk}.{number}"))
            .collect();
        give_up(&scene, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    }
    let mut replays = JoinSet::new();
    for _ in 0..3 {
        replays.spawn(replay_all(scene.redis.port(), ReplayMode::Real));
    }
    let (mut moved, mut admitted) = (0, 0);
    while !replays.is_empty() {
        scene.admit(&[&format!("new {admitted}")]).await.ok();
        admitted += 1;
        while let Some(outcomes) = replays.try_join_next() {
            let is_moved = |(_, outcome): &(_, LetterOutcome)| {
                *outcome == LetterOutcome::Answered(Replayed::Sent)
            };
            moved += outcomes??
                .iter()
                .filter(|outcome| is_moved(outcome))
                .count();
        }
    }
    assert_eq!(moved, LETTERS);
    assert_eq!(entries(&scene).await?, []);
    let account = scene.account().await?;
    assert_eq!(account.replayed, u64::try_from(LETTERS)?);
    assert_eq!(account.waiting, account.received);
    Ok(())
}
