//! A consumer that is told where messages stand in the queue settles them there.

use anyhow::Result;
use harness::{
    Bus, PATIENCE, PrivateRedis, Service,
    calls::{Answer, post_with},
    services::redis,
    wait_until,
};
use serde_json::json;

use crate::process_message::lonely_consumer;

const QUEUE: &str = "{messages:processed}:queue";
const ID_LOG: &str = "{messages:processed}:ids";
const PROGRESS: &str = "{messages:processed}:progress";
const ACCOUNT: &str = "{messages:processed}:account";

const IDENTITY: &str = "9f3a5c7e01b2d4f6";

/// A chunk of three messages: the lowest nine bits of its number are 2.
const CHUNK: &str = "1790000000000-1538";

/// A Redis with a queue that holds one chunk, and a consumer.
struct Scene {
    _redis: PrivateRedis,
    consumer: Service,
    bus: Bus,
}

impl Scene {
    async fn start() -> Result<Self> {
        Self::with_consumer(&[]).await
    }

    async fn with_consumer(args: &[&str]) -> Result<Self> {
        let redis = redis().await?;
        let (consumer, bus) = (lonely_consumer(redis.port(), args).await?, Bus::of(&redis));
        bus.command::<()>(&["XGROUP", "CREATE", QUEUE, "consumer-group", "0", "MKSTREAM"])
            .await?;
        bus.command::<String>(&["XADD", QUEUE, CHUNK, "messages", "as they are"])
            .await?;
        bus.command::<String>(&["XADD", ID_LOG, CHUNK, "ids", "their fingerprints"])
            .await?;
        let account = [
            "HSET", ACCOUNT, "identity", IDENTITY, "last", CHUNK, "received", "3",
        ];
        bus.command::<u64>(&account).await?;
        Ok(Self {
            _redis: redis,
            consumer,
            bus,
        })
    }

    async fn process(&self, id: &str, positions: &str) -> Result<Answer> {
        let message = json!({ "message_id": id }).to_string();
        let body = ("application/json", &*message);
        let header = ("queue-positions", positions);
        post_with(&self.consumer, "/processMessage", body, header).await
    }

    async fn process_all(&self, ids: &[&str], positions: &str) -> Result<Answer> {
        let line = |id: &&str| format!("{}\n", json!({ "message_id": id }));
        let lines: String = ids.iter().map(line).collect();
        let body = ("application/x-ndjson", &*lines);
        let header = ("queue-positions", positions);
        post_with(&self.consumer, "/processMessages", body, header).await
    }

    /// The ids of all entries, in order.
    async fn processed(&self) -> Result<Vec<String>> {
        let entries = self.bus.processed().await?;
        let id = |entry: &harness::Entry| entry.text("message_id");
        entries.iter().map(id).collect()
    }

    async fn chunks(&self) -> Result<u64> {
        self.bus.command(&["XLEN", QUEUE]).await
    }
}

#[tokio::test]
async fn each_message_is_settled_where_it_stands_and_the_last_one_takes_the_chunk_along()
-> Result<()> {
    let scene = Scene::start().await?;
    let answer = scene.process("b", &format!("{IDENTITY} {CHUNK}/1")).await?;
    assert_eq!(
        (answer.status, &answer.body["settled"]),
        (200, &json!(true))
    );
    assert_eq!(scene.chunks().await?, 1);
    let again = scene.process("b", &format!("{IDENTITY} {CHUNK}/1")).await?;
    assert_eq!(again.body["result"], "duplicate");
    assert_eq!(again.body["settled"], true);
    let rest = scene
        .process_all(&["c", "a"], &format!("{IDENTITY} {CHUNK}/2,0"))
        .await?;
    assert_eq!(rest.body, json!({ "processed": 2, "settled": true }));
    assert_eq!(scene.chunks().await?, 0);
    assert_eq!(scene.bus.command::<u64>(&["EXISTS", PROGRESS]).await?, 0);
    let mut processed = scene.processed().await?;
    processed.sort();
    assert_eq!(processed, ["a", "b", "c"]);
    let counted: u64 = scene.bus.command(&["HGET", ACCOUNT, "processed"]).await?;
    assert_eq!(counted, 3);
    // The position decides, whatever the message is called.
    let other = scene.process("d", &format!("{IDENTITY} {CHUNK}/0")).await?;
    assert_eq!(other.body["result"], "duplicate");
    Ok(())
}

#[tokio::test]
async fn of_a_batch_each_message_is_settled_by_itself() -> Result<()> {
    let scene = Scene::start().await?;
    scene.process("a", &format!("{IDENTITY} {CHUNK}/0")).await?;
    let lost = "1790000000000-1024";
    let positions = format!("{IDENTITY} {CHUNK}/0-1 {lost}/0 {CHUNK}/2");
    let answer = scene
        .process_all(&["a", "b", "lost", "c"], &positions)
        .await?;
    let results = &answer.body["results"];
    assert_eq!(
        results[0],
        json!({ "status": 200, "result": "duplicate", "settled": true })
    );
    assert_eq!(results[1], json!({ "status": 200, "settled": true }));
    assert_eq!(results[2]["status"], 412);
    assert_eq!(results[3], json!({ "status": 200, "settled": true }));
    assert_eq!(scene.processed().await?, ["a", "b", "c"]);
    Ok(())
}

#[tokio::test]
async fn what_the_queue_knows_nothing_of_is_no_duplicate_and_leaves_no_entry() -> Result<()> {
    let scene = Scene::start().await?;
    // As a failover does that loses the end of everything.
    for key in [QUEUE, ID_LOG] {
        scene.bus.command::<u64>(&["XDEL", key, CHUNK]).await?;
    }
    let answer = scene.process("a", &format!("{IDENTITY} {CHUNK}/0")).await?;
    assert_eq!(answer.status, 412);
    assert!(answer.error()?.contains("position"), "{answer:?}");
    assert!(scene.processed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_message_of_another_queue_is_recorded_by_its_id_and_not_settled() -> Result<()> {
    let scene = Scene::start().await?;
    let elsewhere = format!("0000000000000000 {CHUNK}/0");
    let answer = scene.process("a", &elsewhere).await?;
    assert_eq!((answer.status, answer.body.get("settled")), (200, None));
    let again = scene.process("a", &elsewhere).await?;
    assert_eq!(again.body["result"], "duplicate");
    Ok(())
}

#[tokio::test]
async fn a_message_of_a_queue_that_was_emptied_leaves_no_entry_as_it_is_offered_again() -> Result<()>
{
    let delay = ["--processingDelayMs", "300"];
    let scene = Scene::with_consumer(&delay).await?;
    let here = format!("{IDENTITY} {CHUNK}/0");
    // While the first of its messages is processed.
    let (answer, flushed) = tokio::join!(scene.process("a", &here), async {
        wait_until("the consumer to look for the queue", PATIENCE, async || {
            let asked: String = scene.bus.command(&["INFO", "commandstats"]).await?;
            Ok(asked.contains("cmdstat_hget:"))
        })
        .await?;
        scene.bus.command::<()>(&["FLUSHALL"]).await
    });
    flushed?;
    assert_eq!(answer?.status, 412);
    for _ in 0..2 {
        let answer = scene.process("b", &format!("{IDENTITY} {CHUNK}/1")).await?;
        assert_eq!(answer.status, 412);
        assert!(scene.processed().await?.is_empty());
        // Another queue comes, and is used.
        let account = ["HSET", ACCOUNT, "identity", "0123456789abcdef"];
        scene.bus.command::<u64>(&account).await?;
        let here = format!("0123456789abcdef {CHUNK}/0");
        assert_eq!(scene.process("c", &here).await?.status, 412);
    }
    Ok(())
}

#[tokio::test]
async fn positions_that_are_none_are_refused_and_nothing_is_processed() -> Result<()> {
    let scene = Scene::start().await?;
    for positions in [
        "".to_owned(),
        "nonsense".to_owned(),
        IDENTITY.to_owned(),
        format!("{IDENTITY} {CHUNK}"),
        format!("{IDENTITY} {CHUNK}/3"),
        format!("{IDENTITY} {CHUNK}/0-1"),
        format!("{IDENTITY} {CHUNK}/x"),
    ] {
        let answer = scene.process("a", &positions).await?;
        assert_eq!(answer.status, 400, "{positions}");
        assert!(answer.error()?.contains("queue-positions"), "{answer:?}");
    }
    let answer = scene
        .process_all(&["a", "b"], &format!("{IDENTITY} {CHUNK}/0"))
        .await?;
    assert_eq!(answer.status, 400);
    assert!(scene.processed().await?.is_empty());
    assert_eq!(scene.chunks().await?, 1);
    Ok(())
}
