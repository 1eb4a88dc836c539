//! `publisher deadLetters replay`: what was given up is processed after all, and never twice.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use harness::{
    Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, Service, bus, calls,
    services::{consumer, dead_letters, group, redis, wait_until_left},
    wait_until,
};

/// The durable queue.
const QUEUE: &str = "{messages:processed}:queue";

/// A group that keeps messages in `queue`, and how to replay to it.
struct Scene {
    group: Service,
    bus: Bus,
    redis: PrivateRedis,
    queue: &'static str,
}

impl Scene {
    async fn start(queue: &'static str) -> Result<Self> {
        let redis = redis().await?;
        Ok(Self {
            group: group(&redis, &["--queue", queue, "--maxAttempts", "1"]).await?,
            bus: Bus::of(&redis),
            redis,
            queue,
        })
    }

    /// Publishes messages to consumers that answer so, until all are given up; then these leave.
    async fn fail(&self, ids: &[&str], reply: Reply) -> Result<()> {
        let consumers = [
            FakeConsumer::join(&self.group, reply.clone()).await?,
            FakeConsumer::join(&self.group, reply).await?,
        ];
        for id in ids {
            self.bus.publish_id(id).await?;
        }
        self.bus.wait_for_failed(ids.len()).await?;
        for consumer in consumers {
            calls::unregister(&self.group, &consumer.id()).await?;
            wait_until_left(&self.group, &consumer.id()).await?;
        }
        Ok(())
    }

    /// Starts a consumer, and waits until the group reads the durable queue for it.
    async fn add_consumer(&self) -> Result<Service> {
        let consumer = consumer(&self.redis, &self.group, &[]).await?;
        wait_until("the group to read its queue", PATIENCE, async || {
            let exists: u64 = self.bus.command(&["EXISTS", QUEUE]).await?;
            Ok(self.queue == "memory" || exists == 1)
        })
        .await?;
        Ok(consumer)
    }

    /// Replays and returns all that was said; it must end well.
    async fn replay(&self, args: &[&str]) -> Result<String> {
        let own = ["replay", "--queue", self.queue];
        let ended = dead_letters(&self.redis, &[&own, args].concat()).await?;
        ensure!(ended.code == Some(0), "{args:?}: {ended:?}");
        Ok(ended.output)
    }

    /// The ids of all entries of processed messages, in order of the alphabet, once nothing more is
    /// under way.
    async fn processed(&self) -> Result<Vec<String>> {
        // What was replayed comes before this.
        let last = format!("last {}", self.bus.processed().await?.len());
        self.bus.publish_id(&last).await?;
        wait_until("the last message to be processed", PATIENCE, async || {
            let status = calls::get(&self.group, "/status").await?.body;
            let is_idle = ["in_flight", "queued", "buffered"].map(|name| status[name] == 0);
            let ids = bus::ids(&self.bus.processed().await?)?;
            Ok(is_idle == [true; 3] && ids.contains(&last))
        })
        .await?;
        let mut ids = bus::ids(&self.bus.processed().await?)?;
        ids.retain(|id| !id.starts_with("last "));
        ids.sort_unstable();
        Ok(ids)
    }

    /// Everything a replay could change.
    async fn state(&self) -> Result<String> {
        let mut state = format!(
            "{:?} {:?}",
            self.bus.failed().await?,
            self.bus.processed().await?
        );
        for set in ["settled:0", "settled:1", "queued:0", "queued:1"] {
            let key = format!("{{messages:processed}}:{set}");
            let ids: BTreeSet<Vec<u8>> = self.bus.command(&["SMEMBERS", &key]).await?;
            state.push_str(&format!("{ids:?}"));
        }
        let queued: u64 = self.bus.command(&["XLEN", QUEUE]).await?;
        Ok(format!("{state} {queued}"))
    }
}

async fn after_repair_all_are_processed_once(queue: &'static str) -> Result<()> {
    let scene = Scene::start(queue).await?;
    let ids = ["a", "b", "c", "d", "e", "f"];
    scene.fail(&ids, Reply::status(500)).await?;
    let mut failed = bus::ids(&scene.bus.failed().await?)?;
    failed.sort_unstable();
    assert_eq!(failed, ids, "each once");
    let _consumer = scene.add_consumer().await?;
    let said = scene.replay(&["--all"]).await?;
    assert!(said.contains("replayed 6, skipped 0"), "{said}");
    assert_eq!(scene.processed().await?, ids);
    assert!(scene.bus.failed().await?.is_empty());
    // Again, one that was replayed, and all there are.
    let said = scene.replay(&["a"]).await?;
    assert!(said.contains("no letter a"), "{said}");
    let said = scene.replay(&["--all"]).await?;
    assert!(said.contains("replayed 0"), "{said}");
    assert_eq!(scene.processed().await?, ids);
    Ok(())
}

#[tokio::test]
async fn after_repair_all_are_processed_once_from_memory() -> Result<()> {
    after_repair_all_are_processed_once("memory").await
}

#[tokio::test]
async fn after_repair_all_are_processed_once_from_the_stream() -> Result<()> {
    after_repair_all_are_processed_once("stream").await
}

async fn replays_at_once_share_the_letters(queue: &'static str) -> Result<()> {
    let scene = Scene::start(queue).await?;
    let _consumer = scene.add_consumer().await?;
    let mut ids: Vec<_> = (0..2000).map(|number| number.to_string()).collect();
    let letters: Vec<_> = ids.iter().map(String::as_str).collect();
    scene.bus.bury(&letters).await?;
    let replays = [["--all"]; 3];
    let [a, b, c] = replays.each_ref().map(|args| scene.replay(args));
    let (a, b, c) = tokio::try_join!(a, b, c)?;
    let mut replayed = 0;
    for said in [&a, &b, &c] {
        let line = said.lines().find_map(|line| line.strip_prefix("replayed "));
        let count = line
            .and_then(|line| line.split_once(", "))
            .unwrap_or_default()
            .0;
        replayed += count.replace(',', "").parse::<usize>()?;
    }
    assert_eq!(replayed, ids.len(), "{a}{b}{c}");
    ids.sort_unstable();
    assert_eq!(scene.processed().await?, ids);
    assert!(scene.bus.failed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn replays_at_once_share_the_letters_of_memory() -> Result<()> {
    replays_at_once_share_the_letters("memory").await
}

#[tokio::test]
async fn replays_at_once_share_the_letters_of_the_stream() -> Result<()> {
    replays_at_once_share_the_letters("stream").await
}

async fn what_is_processed_by_now_is_skipped(queue: &'static str) -> Result<()> {
    let scene = Scene::start(queue).await?;
    let _consumer = scene.add_consumer().await?;
    // Before the letter was written, and forgotten long ago.
    let add = |id| ["XADD", "messages:processed", "*", "message_id", id];
    scene.bus.command::<String>(&add("old")).await?;
    scene
        .bus
        .bury(&["old", "new", "remembered", "twice", "twice", "open"])
        .await?;
    scene.bus.command::<String>(&add("new")).await?;
    // Processed, but its entry was trimmed.
    let remember = ["SADD", "{messages:processed}:settled:1", "remembered"];
    scene.bus.command::<u64>(&remember).await?;
    for args in [&["--all", "--dryRun"][..], &["--all"]] {
        let said = scene.replay(args).await?;
        assert!(said.contains("replayed 2, skipped 4"), "{said}");
        assert!(said.contains("processed already: 3"), "{said}");
        assert!(
            said.contains("another letter has the same message: 1"),
            "{said}"
        );
    }
    assert_eq!(scene.processed().await?, ["new", "old", "open", "twice"]);
    let left = bus::ids(&scene.bus.failed().await?)?;
    assert_eq!(left, ["old", "new", "remembered", "twice"]);
    // By now the other one is processed, too.
    let said = scene.replay(&["twice"]).await?;
    assert!(said.contains("replayed 0, skipped 1"), "{said}");
    assert_eq!(scene.processed().await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn what_is_processed_by_now_is_skipped_with_memory() -> Result<()> {
    what_is_processed_by_now_is_skipped("memory").await
}

#[tokio::test]
async fn what_is_processed_by_now_is_skipped_with_the_stream() -> Result<()> {
    what_is_processed_by_now_is_skipped("stream").await
}

async fn some_can_be_chosen_and_a_dry_run_changes_nothing(queue: &'static str) -> Result<()> {
    let scene = Scene::start(queue).await?;
    scene.fail(&["a", "b"], Reply::status(400)).await?;
    scene.bus.bury(&["c"]).await?;
    for payload in ["no JSON", r#"{"id":1}"#] {
        scene.bus.publish(payload).await?;
    }
    scene.bus.wait_for_failed(5).await?;
    let before = scene.state().await?;
    for dry in ["--dryRun", "--dry-run"] {
        let said = scene.replay(&["--all", dry]).await?;
        assert_eq!(said.matches("would replay ").count(), 3, "{said}");
        assert!(
            said.contains("no message (bad_message_id): 1, no message (not_json): 1"),
            "{said}"
        );
        assert_eq!(scene.state().await?, before);
    }
    let _consumer = scene.add_consumer().await?;
    let said = scene.replay(&["--reason", "rejected"]).await?;
    assert!(said.contains("replayed 2, skipped 0"), "{said}");
    assert_eq!(scene.processed().await?, ["a", "b"]);
    let said = scene.replay(&["--all", "--rate", "100"]).await?;
    assert!(said.contains("replayed 1, skipped 2"), "{said}");
    assert_eq!(scene.processed().await?, ["a", "b", "c"]);
    let left = scene.bus.failed().await?;
    assert_eq!(left.len(), 2);
    assert_eq!(left[0].text("reason")?, "not_json");
    Ok(())
}

#[tokio::test]
async fn some_can_be_chosen_and_a_dry_run_changes_nothing_with_memory() -> Result<()> {
    some_can_be_chosen_and_a_dry_run_changes_nothing("memory").await
}

#[tokio::test]
async fn some_can_be_chosen_and_a_dry_run_changes_nothing_with_the_stream() -> Result<()> {
    some_can_be_chosen_and_a_dry_run_changes_nothing("stream").await
}

#[tokio::test]
async fn what_nobody_would_hear_stays_and_that_is_an_error() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    bus.bury(&["a", "b"]).await?;
    let ended = dead_letters(&redis, &["replay", "--all"]).await?;
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.contains("unheard 2"), "{}", ended.output);
    assert!(
        ended.output.contains("consumer-group-app"),
        "{}",
        ended.output
    );
    let ended = dead_letters(&redis, &["replay", "--all", "--queue", "stream"]).await?;
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.contains("--queue stream"), "{}", ended.output);
    let keys: Vec<String> = bus.command(&["KEYS", "*"]).await?;
    assert_eq!(keys, ["messages:failed"]);
    assert_eq!(bus::ids(&bus.failed().await?)?, ["a", "b"]);
    Ok(())
}

#[tokio::test]
async fn what_fails_again_has_one_letter_and_the_replay_ends() -> Result<()> {
    let scene = Scene::start("memory").await?;
    scene.fail(&["a", "b"], Reply::status(400)).await?;
    let consumer = FakeConsumer::join(&scene.group, Reply::status(400)).await?;
    let said = scene.replay(&["--all"]).await?;
    assert!(said.contains("replayed 2"), "{said}");
    let again =
        async || Ok(consumer.received()?.len() == 2 && scene.bus.failed().await?.len() == 2);
    wait_until("both to fail again", PATIENCE, again).await
}

#[tokio::test]
async fn a_replay_beside_the_durable_queue_warns_and_is_done() -> Result<()> {
    let scene = Scene::start("stream").await?;
    let _consumer = scene.add_consumer().await?;
    scene.bus.bury(&["a"]).await?;
    let ended = dead_letters(&scene.redis, &["replay", "--all"]).await?;
    assert_eq!(ended.code, Some(0));
    assert!(ended.output.contains("warning"), "{}", ended.output);
    assert_eq!(scene.processed().await?, ["a"]);
    Ok(())
}
