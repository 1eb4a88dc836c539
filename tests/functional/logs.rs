//! What a log is read for: what runs, how it goes, and why a request failed, at a glance.

use std::{collections::BTreeSet, path::Path, process::Stdio};

use anyhow::{Context, Result};
use harness::{
    PATIENCE, Service,
    bus::message,
    calls::{self, post_raw},
    services::{binaries, consumer_without_group, group, log_of, redis},
};
use reqwest::Client;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::process_message::lonely_consumer;

/// What a request was answered, with the id in its header.
async fn request_id(service: &Service, path: &str, given: Option<&str>) -> Result<String> {
    let client = Client::builder().no_proxy().build()?;
    let mut request = client.get(service.url(path));
    if let Some(given) = given {
        request = request.header("x-request-id", given);
    }
    let answer = timeout(PATIENCE, request.send()).await??;
    let id = answer.headers().get("x-request-id");
    Ok(id.context("no request id")?.to_str()?.to_owned())
}

#[tokio::test]
async fn every_answer_has_a_request_id_that_may_be_given() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = consumer_without_group(&redis, 1, &[]).await?;
    for service in [&group, &consumer] {
        let mut made = BTreeSet::new();
        for path in ["/health", "/health", "/no/such/path", "/register"] {
            made.insert(request_id(service, path, None).await?);
        }
        assert_eq!(made.len(), 4, "{made:?}");
        assert_eq!(request_id(service, "/health", Some("a-7")).await?, "a-7");
        for odd in ["a b", &"x".repeat(129), "\"a\"", "{}"] {
            let id = request_id(service, "/health", Some(odd)).await?;
            assert!(!id.is_empty() && id != odd, "{id}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_error_is_logged_with_the_id_of_its_request() -> Result<()> {
    let mut redis = redis().await?;
    let group = group(&redis, &[]).await?;
    redis.kill().await?;
    request_id(&group, "/status", Some("find-me")).await?;
    let line = group.wait_for_log("find-me", PATIENCE).await?;
    let line: Value = serde_json::from_str(&line)?;
    assert_eq!(line["request.id"], "find-me", "{line}");
    assert_eq!(line["message"], "Failed to read the status!", "{line}");
    assert!(line["reference"].is_string(), "{line}");
    assert!(line["suppressed"].is_number(), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_thousand_failures_for_one_cause_are_few_lines_and_each_reference_is_among_them()
-> Result<()> {
    let mut redis = redis().await?;
    let consumer = lonely_consumer(redis.port(), &[]).await?;
    redis.kill().await?;
    let lines: Vec<_> = (0..500).map(|n| message(&format!("m{n}"))).collect();
    let mut references = BTreeSet::new();
    for _ in 0..2 {
        let kind = Some("application/x-ndjson");
        let answer = post_raw(&consumer, "/processMessages", kind, lines.join("\n")).await?;
        let results = answer.body["results"].as_array().context("no results")?;
        for result in results {
            let error = result["error"].as_str().context("no error")?;
            let (_, reference) = error.rsplit_once(' ').context("no reference")?;
            references.insert(reference.to_owned());
        }
    }
    for reference in &references {
        consumer.wait_for_log(reference, PATIENCE).await?;
    }
    let log = log_of(&consumer).into_iter();
    let logged = log.filter(|line| line["reference"].is_string()).count();
    assert_eq!(logged, references.len(), "a line for each reference");
    assert!(logged < 10, "{logged} lines for a thousand failures");
    Ok(())
}

#[tokio::test]
async fn the_first_line_says_what_runs_and_what_was_set() -> Result<()> {
    let redis = redis().await?;
    let url = format!("redis://:@127.0.0.1:{}", redis.port());
    let args = ["--redisUrl", &url, "--restApiPort", "0"];
    let binaries = binaries().await?;
    for (program, name) in [
        (&binaries.group, "consumer-group-app"),
        (&binaries.consumer, "consumer-app"),
    ] {
        let service = Service::start(program, &args, &[]).await?;
        let line: Value = serde_json::from_str(&service.logs()[0])?;
        let said = line["message"].as_str().context("no message")?;
        assert_eq!(said, format!("{name} starts"));
        assert!(line["version"].is_string(), "{line}");
        let settings = line["settings"].as_str().context("no settings")?;
        assert!(settings.contains("rest_api.port=0"), "{settings}");
        assert!(
            settings.contains("redis.url=redis://:***@127.0.0.1:"),
            "{settings}"
        );
        assert!(!settings.contains("redis.host"), "{settings}");
        let health = calls::get(&service, "/health").await?;
        assert_eq!(health.status, 200);
    }
    Ok(())
}

/// The first line with this text of the group's log for people, as it comes out of `command`.
async fn line_of(command: &mut Command, text: &str) -> Result<String> {
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .current_dir(std::env::temp_dir())
        .kill_on_drop(true)
        .spawn()?;
    let output = process.stdout.take().context("no standard output")?;
    let mut lines = BufReader::new(output).lines();
    let search = async {
        while let Some(line) = lines.next_line().await? {
            if line.contains(text) {
                return Ok(line);
            }
        }
        anyhow::bail!("no {text}")
    };
    timeout(PATIENCE, search).await?
}

/// The command line of a group, for a shell.
fn group_line(program: &Path, redis_port: u16) -> String {
    let program = program.display();
    format!("exec {program} --logFormat text --restApiPort 0 --redisServerPort {redis_port}")
}

#[tokio::test]
async fn the_throughput_line_has_what_is_processed_and_failed_a_second() -> Result<()> {
    let redis = redis().await?;
    let line = group_line(&binaries().await?.group, redis.port());
    let line = line_of(Command::new("sh").args(["-c", &line]), "throughput").await?;
    for field in ["processed_per_second=0", "failed_per_second=0", "queued=0"] {
        assert!(line.contains(&format!(" {field}")), "{line}");
    }
    assert!(line.chars().count() <= 100, "wider than a terminal: {line}");
    Ok(())
}

#[tokio::test]
async fn the_log_has_colours_on_a_terminal_only_and_only_if_wanted() -> Result<()> {
    let redis = redis().await?;
    let line = group_line(&binaries().await?.group, redis.port());
    let is_coloured = async |command: &mut Command| -> Result<bool> {
        let (starts, listening) = ("starts", "listening");
        let first = line_of(command, starts).await?.contains('\x1b');
        let second = line_of(command, listening).await?.contains('\x1b');
        assert_eq!(first, second, "all lines alike");
        Ok(first)
    };
    assert!(!is_coloured(Command::new("sh").args(["-c", &line])).await?);
    if !Path::new("/usr/bin/script").exists() {
        println!("skipped: there is no script(1), which has a terminal");
        return Ok(());
    }
    let on_terminal = || {
        let mut command = Command::new("/usr/bin/script");
        command
            .args(["-qec", &line, "/dev/null"])
            .env_remove("NO_COLOR");
        command
    };
    assert!(is_coloured(&mut on_terminal()).await?);
    assert!(is_coloured(on_terminal().env("NO_COLOR", "")).await?);
    assert!(!is_coloured(on_terminal().env("NO_COLOR", "1")).await?);
    Ok(())
}
