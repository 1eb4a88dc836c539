//! The workers of `examples/`, in every language: each does what `docs/workers.md` asks of a worker.

use std::fs;

use anyhow::{Context, Result};
use harness::{
    Bus, Language, PATIENCE, Work, Worker, Workshop, bus,
    calls::{get_from, pass_on, post_to},
    services::{
        fixed_port, group, group_at, redis, wait_for_account, wait_for_members, wait_until_joined,
        wait_until_subscribed,
    },
    wait_until,
};
use local_stack::binaries::workspace;
use serde_json::json;

/// The most lines a worker of `examples/` may have: what a newcomer reads at one go.
const MAX_LINES: usize = 160;

/// What the workers read from the environment.
const VARIABLES: [&str; 4] = ["HOST", "PORT", "ADVERTISED_HOST", "GROUP"];

/// No attempt is given up because the machine is busy, so that each message is tried once.
const PATIENT: [&str; 2] = ["--attemptTimeoutMs", "25000"];

/// Its id is no text.
const NO_TEXT: &[u8] = br#"{"message_id":7}"#;

/// How many messages are published: fewer for a language that takes a process for each.
fn many(language: Language) -> u64 {
    match language {
        Language::Python | Language::Asyncio | Language::Flask | Language::Node | Language::Go => {
            300
        }
        Language::Shell => 40,
    }
}

fn numbers(count: u64) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// What all of them said they processed, in order of the numbers.
fn processed(workers: &[&Worker]) -> Vec<String> {
    let ids = workers.iter().flat_map(|worker| worker.processed());
    in_order(ids.collect())
}

fn in_order(mut ids: Vec<String>) -> Vec<String> {
    ids.sort_by_key(|id| id.parse::<u64>().unwrap_or(u64::MAX));
    ids
}

/// The ids of the stream of processed messages, in order of the numbers. Each entry has what `work` makes.
async fn recorded(bus: &Bus) -> Result<Vec<String>> {
    let entries = bus.processed().await?;
    for entry in &entries {
        assert_eq!(
            entry.text("shouted")?,
            entry.text("message_id")?.to_uppercase()
        );
    }
    Ok(in_order(bus::ids(&entries)?))
}

async fn each_message_is_handled_by_exactly_one(language: Language) -> Result<()> {
    let Some(workshop) = Workshop::open(language, Work::AsItIs)? else {
        return Ok(());
    };
    let (redis, count) = (redis().await?, many(language));
    let (group, bus) = (group(&redis, &PATIENT).await?, Bus::of(&redis));
    let (one, other) = (workshop.join(&group).await?, workshop.join(&group).await?);
    bus.publish_ids(&numbers(count)).await?;
    wait_for_account(&group, count, 0).await?;
    assert_eq!(processed(&[&one, &other]), numbers(count));
    assert_eq!(recorded(&bus).await?, numbers(count));
    assert!(!one.processed().is_empty() && !other.processed().is_empty());
    Ok(())
}

async fn one_that_is_told_to_end_leaves_the_rest_to_others(language: Language) -> Result<()> {
    let Some(workshop) = Workshop::open(language, Work::AsItIs)? else {
        return Ok(());
    };
    let (redis, count) = (redis().await?, many(language));
    let (group, bus) = (group(&redis, &PATIENT).await?, Bus::of(&redis));
    let (mut ending, staying) = (workshop.join(&group).await?, workshop.join(&group).await?);
    let (first, second) = (
        numbers(count / 2),
        numbers(count).split_off(first_half(count)?),
    );
    bus.publish_ids(&first).await?;
    wait_until("a message to be processed", PATIENCE, async || {
        Ok(!ending.processed().is_empty())
    })
    .await?;
    let (status, published) = tokio::join!(ending.terminate(), bus.publish_ids(&second));
    assert_eq!(status?.code(), Some(0));
    published?;
    wait_for_members(&bus, &[staying.id()]).await?;
    wait_for_account(&group, count, 0).await?;
    assert_eq!(processed(&[&ending, &staying]), numbers(count));
    assert_eq!(recorded(&bus).await?, numbers(count));
    Ok(())
}

async fn one_that_is_killed_leaves_one_entry_for_each_message(language: Language) -> Result<()> {
    let Some(workshop) = Workshop::open(language, Work::Slowly)? else {
        return Ok(());
    };
    let (redis, count) = (redis().await?, many(language));
    let (group, bus) = (group(&redis, &PATIENT).await?, Bus::of(&redis));
    let (mut dying, staying) = (workshop.join(&group).await?, workshop.join(&group).await?);
    bus.publish_ids(&numbers(count)).await?;
    wait_until("some messages to be processed", PATIENCE, async || {
        Ok(dying.processed().len() >= 5)
    })
    .await?;
    dying.kill().await?;
    let before = bus.processed().await?.len();
    assert!(u64::try_from(before)? < count, "it was killed too late");
    wait_for_account(&group, count, 0).await?;
    assert_eq!(recorded(&bus).await?, numbers(count));
    assert!(staying.processed().len() < numbers(count).len());
    Ok(())
}

fn first_half(count: u64) -> Result<usize> {
    Ok(usize::try_from(count / 2)?)
}

/// Waits until a worker listens.
async fn wait_until_listening(worker: &Worker) -> Result<()> {
    wait_until("the worker to listen", PATIENCE, async || {
        let answer = get_from(&worker.url("/health")).await;
        Ok(answer.is_ok_and(|answer| answer.status == 200))
    })
    .await
}

async fn it_says_whose_fault_it_is(language: Language) -> Result<()> {
    let Some(workshop) = Workshop::open(language, Work::AsItIs)? else {
        return Ok(());
    };
    let worker = workshop.start("http://127.0.0.1:1")?;
    wait_until_listening(&worker).await?;
    let url = worker.url("/processMessage");
    let answer = post_to(&url, &json!({ "message_id": "ö", "text": "hello" })).await?;
    assert_eq!(answer.status, 200);
    assert!(answer.body["entry"]["shouted"].is_string(), "{answer:?}");
    for bad in [&b"no JSON"[..], b"{}", b"", b"[]", b"7", b"null", NO_TEXT] {
        assert_eq!(pass_on(&url, bad.to_vec()).await?.status, 400);
    }
    assert_eq!(worker.processed(), ["ö"]);
    Ok(())
}

/// What `work` raises, such as for a property that it takes for granted, must not throw messages away.
async fn a_bug_of_its_own_is_no_fault_of_the_message(language: Language) -> Result<()> {
    let Some(workshop) = Workshop::open(language, Work::OnText)? else {
        return Ok(());
    };
    let worker = workshop.start("http://127.0.0.1:1")?;
    wait_until_listening(&worker).await?;
    let url = worker.url("/processMessage");
    for raises in [
        json!({ "message_id": "a" }),
        json!({ "message_id": "b", "text": 7 }),
        json!({ "message_id": "c", "text": null }),
    ] {
        let answer = post_to(&url, &raises).await?;
        assert_eq!(answer.status, 500, "{raises}: {answer:?}");
    }
    let fine = json!({ "message_id": "d", "text": "hello" });
    assert_eq!(post_to(&url, &fine).await?.status, 200);
    assert_eq!(worker.processed(), ["d"]);
    Ok(())
}

async fn it_registers_what_the_environment_advertises(language: Language) -> Result<()> {
    let Some(workshop) = Workshop::open(language, Work::AsItIs)? else {
        return Ok(());
    };
    let redis = redis().await?;
    let (group, bus) = (group(&redis, &PATIENT).await?, Bus::of(&redis));
    let worker = workshop.start_advertised(&group.url(""), "localhost")?;
    wait_until_joined(&group, worker.id()).await?;
    wait_for_members(&bus, &[worker.id()]).await?;
    bus.publish_id("a").await?;
    wait_for_account(&group, 1, 0).await?;
    let lines = worker.lines();
    let of_message: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("processed"))
        .collect();
    assert_eq!(of_message, ["processed a"], "{lines:?}");
    let registered = format!("registered {} with {}", worker.id(), group.url(""));
    assert_eq!(
        lines.iter().filter(|line| **line == registered).count(),
        1,
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2, "{lines:?}");
    Ok(())
}

async fn it_registers_when_the_group_is_there_and_again(language: Language) -> Result<()> {
    let Some(workshop) = Workshop::open(language, Work::AsItIs)? else {
        return Ok(());
    };
    let (redis, port) = (redis().await?, fixed_port()?);
    let mut worker = workshop.start(&format!("http://127.0.0.1:{port}"))?;
    let (group, bus) = (group_at(port, &redis, &[]).await?, Bus::of(&redis));
    wait_until_subscribed(&group).await?;
    wait_until_joined(&group, worker.id()).await?;
    bus.command::<u64>(&["DEL", "consumer:ids"]).await?;
    wait_for_members(&bus, &[worker.id()]).await?;
    assert_eq!(worker.terminate().await?.code(), Some(0));
    wait_for_members(&bus, &[]).await
}

macro_rules! in_each {
    ($($name:ident: $language:ident),*) => { $(
        mod $name {
            use super::{Language, Result};

            #[tokio::test]
            async fn each_message_is_handled_by_exactly_one() -> Result<()> {
                super::each_message_is_handled_by_exactly_one(Language::$language).await
            }

            #[tokio::test]
            async fn one_that_is_told_to_end_leaves_the_rest_to_others() -> Result<()> {
                super::one_that_is_told_to_end_leaves_the_rest_to_others(Language::$language).await
            }

            #[tokio::test]
            async fn one_that_is_killed_leaves_one_entry_for_each_message() -> Result<()> {
                super::one_that_is_killed_leaves_one_entry_for_each_message(Language::$language).await
            }

            #[tokio::test]
            async fn it_says_whose_fault_it_is() -> Result<()> {
                super::it_says_whose_fault_it_is(Language::$language).await
            }

            #[tokio::test]
            async fn a_bug_of_its_own_is_no_fault_of_the_message() -> Result<()> {
                super::a_bug_of_its_own_is_no_fault_of_the_message(Language::$language).await
            }

            #[tokio::test]
            async fn it_registers_what_the_environment_advertises() -> Result<()> {
                super::it_registers_what_the_environment_advertises(Language::$language).await
            }

            #[tokio::test]
            async fn it_registers_when_the_group_is_there_and_again() -> Result<()> {
                super::it_registers_when_the_group_is_there_and_again(Language::$language).await
            }
        }
    )* };
}

in_each!(
    python: Python,
    asyncio: Asyncio,
    flask: Flask,
    node: Node,
    shell: Shell,
    go: Go
);

#[test]
fn each_worker_is_short_and_says_what_it_reads_from_the_environment() -> Result<()> {
    let mut seen = 0;
    for language in fs::read_dir(workspace().join("examples"))? {
        for file in fs::read_dir(language?.path())? {
            let path = file?.path();
            let name = path.file_stem().context("a name")?.to_string_lossy();
            if !name.ends_with("worker") {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{} has {lines}", path.display());
            for variable in VARIABLES {
                let is_told = text.lines().take(12).any(|line| {
                    let line = line.trim_start_matches(['#', '/', ' ', '\t']);
                    line.starts_with(&format!("{variable}="))
                });
                assert!(is_told, "{} does not tell of {variable}", path.display());
            }
            seen += 1;
        }
    }
    assert_eq!(seen, Language::ALL.len());
    Ok(())
}
