//! `publisher deadLetters`: looking at dead letters, and removing them.

use anyhow::Result;
use harness::{
    Bus, PrivateRedis, bus,
    services::{dead_letters, redis},
};

/// Runs it and returns all it said; it must end well.
async fn run(redis: &PrivateRedis, args: &[&str]) -> Result<String> {
    let ended = dead_letters(redis, args).await?;
    anyhow::ensure!(ended.code == Some(0), "{args:?}: {ended:?}");
    Ok(ended.output)
}

/// Adds what is no message, with `bytes` as its payload.
async fn fail_malformed(bus: &Bus, payload: &str) -> Result<String> {
    let id = [
        "XADD",
        "{messages:processed}:failed",
        "*",
        "payload",
        payload,
        "payload_bytes",
        "2000000",
        "reason",
        "too_large",
    ];
    bus.command(&id).await
}

#[tokio::test]
async fn list_shows_the_letters_oldest_first_and_counts_them_by_reason() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    assert_eq!(run(&redis, &["list"]).await?.trim(), "0 letters");
    bus.fail(&["a", "b"]).await?;
    fail_malformed(&bus, "{}").await?;
    let said = run(&redis, &["list"]).await?;
    let lines: Vec<Vec<_>> = said
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 5, "{said}");
    let expected = [
        ["message_id", "reason"],
        ["a", "attempts_exhausted"],
        ["b", "attempts_exhausted"],
        ["-", "too_large"],
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(line[1..3], expected, "{said}");
    }
    assert_eq!(lines[1][3..5], ["10", "2026-01-01T00:00:00.000Z"]);
    assert!(said.ends_with("3 letters: attempts_exhausted 2, too_large 1\n"));
    Ok(())
}

#[tokio::test]
async fn list_shows_as_many_as_asked_for_and_counts_all() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let ids: Vec<_> = (0..1200).map(|number| number.to_string()).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    bus.fail(&ids).await?;
    fail_malformed(&bus, "{}").await?;
    let said = run(&redis, &["list"]).await?;
    assert_eq!(said.lines().count(), 1 + 100 + 1);
    assert!(said.contains("1,201 letters: attempts_exhausted 1,200, too_large 1"));
    let said = run(&redis, &["list", "--limit", "0"]).await?;
    assert_eq!(said.lines().count(), 1 + 1201 + 1);
    let said = run(&redis, &["list", "--reason", "too_large"]).await?;
    assert!(said.ends_with("1 letter: too_large 1\n"), "{said}");
    Ok(())
}

#[tokio::test]
async fn list_and_show_let_no_stranger_write_to_the_terminal() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    bus.fail(&["\u{1b}[2Jid"]).await?;
    let entry = fail_malformed(&bus, "\u{1b}[2Jpayload\n").await?;
    for args in [&["list"][..], &["show", "\u{1b}[2Jid"], &["show", &entry]] {
        let said = run(&redis, args).await?;
        assert!(said.contains(r"\u{1b}[2J") || args == ["list"], "{said}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
    Ok(())
}

#[tokio::test]
async fn show_tells_all_fields_of_a_letter_by_entry_or_by_message() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    bus.fail(&["a", "b", "a"]).await?;
    let said = run(&redis, &["show", "a"]).await?;
    assert_eq!(said.matches(&bus::message("a")).count(), 2, "{said}");
    let entry = said.split_whitespace().nth(1).unwrap_or_default();
    let said = run(&redis, &["show", entry]).await?;
    assert_eq!(said.matches(&bus::message("a")).count(), 1, "{said}");
    for field in ["reason", "attempts", "last_error", "failed_at"] {
        assert!(said.contains(field), "{field}: {said}");
    }
    let ended = dead_letters(&redis, &["show", "c"]).await?;
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.contains("no letter c"), "{}", ended.output);
    Ok(())
}

#[tokio::test]
async fn purge_removes_what_it_is_told_to_and_says_how_many() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    bus.fail(&["a", "b", "c", "d"]).await?;
    let entry = fail_malformed(&bus, "x").await?;
    for dry in ["--dryRun", "--dry-run"] {
        let said = run(&redis, &["purge", "--all", dry]).await?;
        assert!(said.contains("would purge 5"), "{said}");
        assert_eq!(bus.failed().await?.len(), 5);
    }
    let said = run(&redis, &["purge", "a", &entry, "nobody"]).await?;
    assert!(said.contains("purged 2"), "{said}");
    assert!(said.contains("no letter nobody"), "{said}");
    assert_eq!(bus::ids(&bus.failed().await?)?, ["b", "c", "d"]);
    let said = run(&redis, &["purge", "--reason", "rejected"]).await?;
    assert!(said.contains("purged 0"), "{said}");
    let said = run(&redis, &["purge", "--all"]).await?;
    assert!(said.contains("purged 3"), "{said}");
    assert!(bus.failed().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_id_that_is_an_entrys_and_a_messages_is_taken_for_the_entrys() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    let entry = fail_malformed(&bus, "x").await?;
    bus.fail(&[&entry]).await?;
    run(&redis, &["purge", &entry]).await?;
    assert_eq!(bus::ids(&bus.failed().await?)?, [entry]);
    Ok(())
}

#[tokio::test]
async fn the_stream_and_redis_can_be_named_and_what_is_wrong_is_told() -> Result<()> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    bus.fail(&["a"]).await?;
    bus.command::<()>(&["RENAME", "{messages:processed}:failed", "{other}:failed"])
        .await?;
    let said = run(&redis, &["list", "--processedStream", "other"]).await?;
    assert!(said.contains("1 letter"), "{said}");
    let ended = dead_letters(&redis, &["list", "--redisServerPort", "1"]).await?;
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.contains("--redisUrl"), "{}", ended.output);
    let ended = dead_letters(&redis, &["replay"]).await?;
    assert_eq!(ended.code, Some(2));
    assert!(ended.output.contains("--all"), "{}", ended.output);
    Ok(())
}
