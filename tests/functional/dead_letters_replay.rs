//! `publisher deadLetters replay`: what was given up is processed after all, and never twice.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use harness::{
    Bus, FakeConsumer, PATIENCE, PrivateRedis, Reply, Service, bus, calls,
    services::{consumer, dead_letters, group, redis, wait_until_left},
    wait_until,
};

/// The queue.
const QUEUE: &str = "{messages:processed}:queue";

/// A group, and how to replay to it.
struct Scene {
    group: Service,
    bus: Bus,
    redis: PrivateRedis,
}

impl Scene {
    async fn start() -> Result<Self> {
        let redis = redis().await?;
        Ok(Self {
            group: group(&redis, &["--maxAttempts", "1"]).await?,
            bus: Bus::of(&redis),
            redis,
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

    async fn add_consumer(&self) -> Result<Service> {
        consumer(&self.redis, &self.group, &[]).await
    }

    /// Replays and returns all that was said; it must end well.
    async fn replay(&self, args: &[&str]) -> Result<String> {
        let ended = dead_letters(&self.redis, &[&["replay"], args].concat()).await?;
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
        let account = ["HGETALL", "{messages:processed}:account"];
        let account: BTreeMap<String, String> = self.bus.command(&account).await?;
        state.push_str(&format!("{account:?}"));
        let queued: u64 = self.bus.command(&["XLEN", QUEUE]).await?;
        Ok(format!("{state} {queued}"))
    }
}

#[tokio::test]
async fn after_repair_all_are_processed_once() -> Result<()> {
    let scene = Scene::start().await?;
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
async fn replays_at_once_share_the_letters() -> Result<()> {
    let scene = Scene::start().await?;
    let _consumer = scene.add_consumer().await?;
    let mut ids: Vec<_> = (0..2000).map(|number| number.to_string()).collect();
    let letters: Vec<_> = ids.iter().map(String::as_str).collect();
    scene.bus.fail(&letters).await?;
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
async fn what_is_processed_by_now_is_skipped() -> Result<()> {
    let scene = Scene::start().await?;
    let _consumer = scene.add_consumer().await?;
    // Before the letter was written, and forgotten long ago.
    let add = |id| ["XADD", "messages:processed", "*", "message_id", id];
    scene.bus.command::<String>(&add("old")).await?;
    scene
        .bus
        .fail(&["old", "new", "twice", "twice", "open"])
        .await?;
    scene.bus.command::<String>(&add("new")).await?;
    for args in [&["--all", "--dryRun"][..], &["--all"]] {
        let said = scene.replay(args).await?;
        assert!(said.contains("replayed 2, skipped 3"), "{said}");
        assert!(said.contains("processed already: 2"), "{said}");
        assert!(
            said.contains("another letter has the same message: 1"),
            "{said}"
        );
    }
    assert_eq!(scene.processed().await?, ["new", "old", "open", "twice"]);
    let left = bus::ids(&scene.bus.failed().await?)?;
    assert_eq!(left, ["old", "new", "twice"]);
    // By now the other one is processed, too.
    let said = scene.replay(&["twice"]).await?;
    assert!(said.contains("replayed 0, skipped 1"), "{said}");
    assert_eq!(scene.processed().await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn some_can_be_chosen_and_a_dry_run_changes_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    scene.fail(&["a", "b"], Reply::status(400)).await?;
    scene.bus.fail(&["c"]).await?;
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
async fn without_a_queue_letters_stay_and_that_is_an_error() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    bus.fail(&["a", "b"]).await?;
    let ended = dead_letters(&redis, &["replay", "--all"]).await?;
    assert_eq!(ended.code, Some(1));
    for words in ["there is no queue", "consumer-group-app"] {
        assert!(ended.output.contains(words), "{}", ended.output);
    }
    let keys: Vec<String> = bus.command(&["KEYS", "*"]).await?;
    assert_eq!(keys, ["{messages:processed}:failed"]);
    assert_eq!(bus::ids(&bus.failed().await?)?, ["a", "b"]);
    Ok(())
}

#[tokio::test]
async fn what_fails_again_has_one_letter_and_the_replay_ends() -> Result<()> {
    let scene = Scene::start().await?;
    scene.fail(&["a", "b"], Reply::status(400)).await?;
    let consumer = FakeConsumer::join(&scene.group, Reply::status(400)).await?;
    let said = scene.replay(&["--all"]).await?;
    assert!(said.contains("replayed 2"), "{said}");
    let again =
        async || Ok(consumer.received()?.len() == 2 && scene.bus.failed().await?.len() == 2);
    wait_until("both to fail again", PATIENCE, again).await
}
