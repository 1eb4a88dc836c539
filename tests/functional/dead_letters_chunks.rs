//! `publisher deadLetters` with the letters of the queue.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use harness::{
    Bus, PrivateRedis,
    services::{dead_letters, redis},
};

const QUEUE: &str = "{messages:processed}:queue";
const ID_LOG: &str = "{messages:processed}:ids";
const ACCOUNT: &str = "{messages:processed}:account";
const FAILED: &str = "{messages:processed}:failed";

struct Scene {
    redis: PrivateRedis,
    bus: Bus,
}

impl Scene {
    /// A queue that a group has made, and has given up these messages of.
    async fn start(ids: &[&str]) -> Result<Self> {
        let redis = redis().await?;
        let bus = Bus::of(&redis);
        let count = ids.len().to_string();
        let account = [
            "HSET",
            ACCOUNT,
            "identity",
            "00000000000000aa",
            "last",
            "0-0",
        ];
        let counts = ["received", &count, "dead_lettered", &count];
        bus.command::<u64>(&[&account[..], &counts].concat())
            .await?;
        for id in ids {
            let payload = format!(r#"{{"message_id":"{id}"}}"#);
            let bytes = payload.len().to_string();
            let letter = ["XADD", FAILED, "*", "message_id", id, "payload", &payload];
            let rest = ["payload_bytes", &bytes, "reason", "rejected"];
            bus.command::<String>(&[&letter[..], &rest].concat())
                .await?;
        }
        Ok(Self { redis, bus })
    }

    async fn run(&self, args: &[&str]) -> Result<String> {
        let ended = dead_letters(&self.redis, args).await?;
        ensure!(ended.code == Some(0), "{args:?}: {ended:?}");
        Ok(ended.output)
    }

    /// How many entries the queue, the id log and the dead letters have.
    async fn lengths(&self) -> Result<[u64; 3]> {
        let mut lengths = [0; 3];
        for (length, key) in lengths.iter_mut().zip([QUEUE, ID_LOG, FAILED]) {
            *length = self.bus.command(&["XLEN", key]).await?;
        }
        Ok(lengths)
    }
}

#[tokio::test]
async fn letters_beside_the_queue_are_listed_moved_back_and_purged() -> Result<()> {
    let scene = Scene::start(&["a", "b", "c", "d"]).await?;
    let said = scene.run(&["list"]).await?;
    assert!(said.ends_with("4 letters: rejected 4\n"), "{said}");
    let add = ["XADD", "messages:processed", "*", "message_id", "b"];
    scene.bus.command::<String>(&add).await?;

    let said = scene.run(&["replay", "--all", "--dryRun"]).await?;
    assert!(said.contains("would have replayed 3, skipped 1"), "{said}");
    assert_eq!(scene.lengths().await?, [0, 0, 4]);
    let said = scene.run(&["replay", "--all"]).await?;
    assert!(said.contains("replayed 3, skipped 1"), "{said}");
    assert!(said.contains("warning: nobody reads the queue"), "{said}");
    assert_eq!(scene.lengths().await?, [1, 1, 1]);
    let account: HashMap<String, String> = scene.bus.command(&["HGETALL", ACCOUNT]).await?;
    let counts = ["received", "dead_lettered", "replayed", "waiting"].map(|name| &*account[name]);
    assert_eq!(counts, ["4", "4", "3", "3"]);

    let said = scene.run(&["purge", "--all"]).await?;
    assert!(said.contains("purged 1"), "{said}");
    assert_eq!(scene.lengths().await?, [1, 1, 0]);
    Ok(())
}

#[tokio::test]
async fn a_message_that_came_again_is_not_moved_back() -> Result<()> {
    let scene = Scene::start(&["a", "b"]).await?;
    let said = scene.run(&["show", "a"]).await?;
    assert!(said.contains("rejected"), "{said}");
    scene.run(&["replay", "a"]).await?;
    // The only letter is an older one of the same message now.
    let payload = r#"{"message_id":"a"}"#;
    let letter = ["XADD", FAILED, "1-1", "message_id", "a", "payload", payload];
    scene.bus.command::<u64>(&["DEL", FAILED]).await?;
    let rest = ["payload_bytes", "18", "reason", "rejected"];
    scene
        .bus
        .command::<String>(&[&letter[..], &rest].concat())
        .await?;
    let said = scene.run(&["replay", "--all"]).await?;
    assert!(said.contains("its message came again since: 1"), "{said}");
    assert_eq!(scene.lengths().await?, [1, 1, 1]);
    Ok(())
}
