//! The clients of `clients/`: publishing, and working for the group.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use harness::{
    Bus, Language, PATIENCE, PrivateRedis, Service, Worker, Workshop, bus,
    services::{
        fixed_port, group, group_at, redis, wait_for_account, wait_for_members, wait_until_joined,
    },
    status::wait_for_status,
    wait_until,
};
use local_stack::binaries::workspace;
use serde_json::json;

/// The most lines a client may have that are not empty.
const MAX_LINES: usize = 400;

/// How many messages are published.
const COUNT: u64 = 300;

/// How long Redis does not answer, longer than a lease of the workers.
const AWAY: Duration = Duration::from_secs(5);

/// A client, as a worker of which kind.
#[derive(Debug, Clone, Copy)]
struct Client {
    language: Language,
    script: &'static str,
    mode: &'static str,
}

/// A group, and workers by a client.
struct Scene {
    redis: PrivateRedis,
    group: Service,
    bus: Bus,
    workshop: Workshop,
    mode: &'static str,
}

impl Scene {
    async fn open(client: Client, group_args: &[&str]) -> Result<Option<Self>> {
        let Some(workshop) = Workshop::of_script(client.language, client.script)? else {
            return Ok(None);
        };
        let redis = redis().await?;
        Ok(Some(Self {
            group: group(&redis, group_args).await?,
            bus: Bus::of(&redis),
            redis,
            workshop,
            mode: client.mode,
        }))
    }

    /// A worker; one that is pushed to has joined.
    async fn join(&self) -> Result<Worker> {
        let env = [("MODE", self.mode)];
        let worker = self.workshop.start_with(&self.group.url(""), &env)?;
        if self.mode.starts_with("push") {
            wait_until_joined(&self.group, worker.id()).await?;
        }
        Ok(worker)
    }

    /// Checks that each of the numbers has one entry, with what the handler made.
    async fn check_entries(&self) -> Result<()> {
        let entries = self.bus.processed().await?;
        let mut numbers = Vec::new();
        for entry in &entries {
            assert_eq!(entry.text("shouted")?, entry.text("message_id")?);
            numbers.push(entry.text("message_id")?.parse::<u64>()?);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..COUNT).collect::<Vec<_>>());
        Ok(())
    }
}

fn numbers() -> Vec<String> {
    (0..COUNT).map(|number| number.to_string()).collect()
}

async fn wait_until_it_works(worker: &Worker) -> Result<()> {
    wait_until("some messages to be processed", PATIENCE, async || {
        Ok(worker.processed().len() >= 5)
    })
    .await
}

async fn what_a_handler_returns_is_recorded_and_what_it_raises_is_told_apart(
    client: Client,
) -> Result<()> {
    let Some(scene) = Scene::open(client, &["--maxAttempts", "3"]).await? else {
        return Ok(());
    };
    let (one, other) = (scene.join().await?, scene.join().await?);
    // A slow one takes longer than the lease of who fetches it.
    let special = [
        ("bad", "is_bad"),
        ("early", "is_early"),
        ("broken", "is_broken"),
        ("slow", "is_slow"),
    ];
    for (id, property) in special {
        let message = json!({ "message_id": id, property: true });
        scene.bus.publish(message.to_string()).await?;
    }
    scene.bus.publish_ids(&numbers()).await?;
    wait_for_account(&scene.group, COUNT + 2, 2).await?;
    let done = [one.processed(), other.processed()].concat();
    assert_eq!(done.iter().filter(|id| *id == "slow").count(), 1);
    let entries = scene.bus.processed().await?;
    assert!(bus::repeated(&entries)?.is_empty());
    for entry in &entries {
        let id = entry.text("message_id")?;
        assert_eq!(entry.text("shouted")?, id.to_uppercase());
    }
    for letter in scene.bus.failed().await? {
        let (reason, why) = match letter.text("message_id")?.as_str() {
            "bad" => ("rejected", "it is bad"),
            _ => ("attempts_exhausted", "5"),
        };
        assert_eq!(letter.text("reason")?, reason);
        assert!(letter.text("last_error")?.contains(why), "{letter:?}");
    }
    Ok(())
}

async fn one_that_is_killed_leaves_one_entry_for_each_message(client: Client) -> Result<()> {
    let Some(scene) = Scene::open(client, &[]).await? else {
        return Ok(());
    };
    let (mut dying, _staying) = (scene.join().await?, scene.join().await?);
    scene.bus.publish_ids(&numbers()).await?;
    wait_until_it_works(&dying).await?;
    dying.kill().await?;
    let before = scene.bus.processed().await?.len();
    assert!(u64::try_from(before)? < COUNT, "it was killed too late");
    wait_for_account(&scene.group, COUNT, 0).await?;
    scene.check_entries().await
}

async fn one_that_is_told_to_end_finishes_what_it_has(client: Client) -> Result<()> {
    let Some(scene) = Scene::open(client, &[]).await? else {
        return Ok(());
    };
    let (mut ending, staying) = (scene.join().await?, scene.join().await?);
    scene.bus.publish_ids(&numbers()).await?;
    wait_until_it_works(&ending).await?;
    assert_eq!(ending.terminate().await?.code(), Some(0));
    assert_eq!(ending.lines().last().map(String::as_str), Some("ended"));
    if client.mode.starts_with("push") {
        wait_for_members(&scene.bus, &[staying.id()]).await?;
    }
    wait_for_account(&scene.group, COUNT, 0).await?;
    scene.check_entries().await?;
    let done = ending.processed().len() + staying.processed().len();
    assert_eq!(u64::try_from(done)?, COUNT, "something was done twice");
    Ok(())
}

async fn what_is_done_while_redis_is_away_is_recorded_when_it_is_back(
    client: Client,
) -> Result<()> {
    let Some(scene) = Scene::open(client, &[]).await? else {
        return Ok(());
    };
    let (one, _other) = (scene.join().await?, scene.join().await?);
    scene.bus.publish_ids(&numbers()).await?;
    wait_until_it_works(&one).await?;
    scene.redis.freeze()?;
    tokio::time::sleep(AWAY).await;
    scene.redis.thaw()?;
    wait_for_account(&scene.group, COUNT, 0).await?;
    scene.check_entries().await
}

async fn it_publishes_until_the_group_has_the_messages(
    language: Language,
    script: &str,
) -> Result<()> {
    let Some(workshop) = Workshop::of_script(language, script)? else {
        return Ok(());
    };
    let (redis, port) = (redis().await?, fixed_port()?);
    let url = format!("http://127.0.0.1:{port}");
    let mut publisher = workshop.start_with(&url, &[("COUNT", "50")])?;
    let group = group_at(port, &redis, &[]).await?;
    let ended = publisher.wait_exit().await?;
    let lines = publisher.lines();
    ensure!(ended.success(), "{lines:?}");
    let said = lines.last().map(String::as_str);
    assert_eq!(said, Some("created 3 and 47, 3 twice"));
    wait_for_status(
        &group,
        &json!({ "received": 53, "queued": 50, "duplicate": 3 }),
    )
    .await?;
    let mut refused = workshop.start_with(&url, &[("COUNT", "0")])?;
    assert_eq!(refused.wait_exit().await?.code(), Some(1));
    let lines = refused.lines();
    let said = lines.last().map(String::as_str).unwrap_or_default();
    assert!(
        said.starts_with("refused: ") && said.contains("400"),
        "{lines:?}"
    );
    Ok(())
}

macro_rules! in_each {
    ($($name:ident: $language:ident, $script:literal, $mode:literal);* $(;)?) => { $(
        mod $name {
            use super::{Client, Language, Result};

            const CLIENT: Client = Client {
                language: Language::$language,
                script: $script,
                mode: $mode,
            };

            #[tokio::test]
            async fn what_a_handler_returns_is_recorded_and_what_it_raises_is_told_apart() -> Result<()> {
                super::what_a_handler_returns_is_recorded_and_what_it_raises_is_told_apart(CLIENT).await
            }

            #[tokio::test]
            async fn one_that_is_killed_leaves_one_entry_for_each_message() -> Result<()> {
                super::one_that_is_killed_leaves_one_entry_for_each_message(CLIENT).await
            }

            #[tokio::test]
            async fn what_is_done_while_redis_is_away_is_recorded_when_it_is_back() -> Result<()> {
                super::what_is_done_while_redis_is_away_is_recorded_when_it_is_back(CLIENT).await
            }

            #[tokio::test]
            async fn one_that_is_told_to_end_finishes_what_it_has() -> Result<()> {
                super::one_that_is_told_to_end_finishes_what_it_has(CLIENT).await
            }
        }
    )* };
}

in_each!(
    push_in_python: Python, "tests/clients/worker.py", "push";
    push_in_asyncio: Asyncio, "tests/clients/worker.py", "push_async";
    push_in_node: Node, "tests/clients/worker.mjs", "push";
    pull_in_python: Python, "tests/clients/worker.py", "pull";
    pull_in_asyncio: Asyncio, "tests/clients/worker.py", "pull_async";
    pull_in_node: Node, "tests/clients/worker.mjs", "pull";
);

#[tokio::test]
async fn python_publishes_until_the_group_has_the_messages() -> Result<()> {
    it_publishes_until_the_group_has_the_messages(Language::Python, "tests/clients/publish.py")
        .await
}

#[tokio::test]
async fn node_publishes_until_the_group_has_the_messages() -> Result<()> {
    it_publishes_until_the_group_has_the_messages(Language::Node, "tests/clients/publish.mjs").await
}

#[test]
fn each_client_is_short() -> Result<()> {
    for folder in ["clients/python/src/consumer_group", "clients/node/src"] {
        let mut lines = 0;
        for file in fs::read_dir(workspace().join(folder))? {
            let path = file?.path();
            if path.is_file() {
                let text = fs::read_to_string(&path)?;
                lines += text.lines().filter(|line| !line.trim().is_empty()).count();
            }
        }
        assert!((1..=MAX_LINES).contains(&lines), "{folder} has {lines}");
    }
    Ok(())
}
