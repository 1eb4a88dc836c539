//! Every value is checked by what it is, and told with its key, where it stands, and what is allowed.

use std::path::Path;

use anyhow::Result;
use harness::services::{Ended, binaries, fixed_port, run};

use crate::settings::file;

/// The exit code for settings that cannot be used.
pub(crate) const BAD_USAGE: i32 = 64;

/// URLs of Redis that cannot be meant, and a word of the answer.
pub(crate) const BAD_URLS: [(&str, &str); 17] = [
    ("redis://default:57#s3cret@h", "%23"),
    ("redis://default:57/s3cret@h", "%2F"),
    ("redis://default:57?s3cret@h", "%3F"),
    ("rediss://h:1/0#insecure", "#"),
    ("redis://h:1/0?db=3", "parameter"),
    ("redis://h:1/?password=s3cret", "parameter"),
    ("unix:/run/redis.sock?dbs=1", "parameter"),
    ("redis://h:0", "port"),
    ("redis://h:s3cret", "port"),
    ("redis://h:1/-1", "database"),
    ("redis://h:1/s3cret", "database"),
    ("redis://", "host"),
    ("http://me:s3cret@h", "redis://"),
    ("\"redis://h:1\"", "quotes"),
    ("redis://h:1 # mine", "comment"),
    ("redis://h :1", "white space"),
    ("h:6379", "redis://"),
];

/// Has a service check its settings.
pub(crate) async fn check(program: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Ended> {
    run(program, &[&["--checkConfig"], args].concat(), env).await
}

/// Expects that a flag's value is refused with words; both services know the flag, or the group does.
pub(crate) async fn expect_refusal(
    program: &Path,
    flag: &str,
    value: &str,
    words: &[&str],
) -> Result<()> {
    let argument = format!("{flag}={value}");
    let ended = check(program, &[&argument], &[]).await?;
    assert_eq!(ended.code, Some(BAD_USAGE), "{argument}: {ended:?}");
    for word in words.iter().chain([&flag]) {
        assert!(ended.output.contains(word), "{word}: {argument}: {ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_name_that_cannot_be_one_is_refused_by_key_and_source() -> Result<()> {
    let binaries = binaries().await?;
    let (group, consumer) = (&binaries.group, &binaries.consumer);
    for (program, flag, key) in [
        (group, "--publishedChannel", "names.published_channel"),
        (group, "--consumerList", "names.consumer_list"),
        (group, "--processedStream", "names.processed_stream"),
        (consumer, "--processedStream", "names.processed_stream"),
    ] {
        let long = "x".repeat(65_536);
        for (value, word) in [
            ("", "empty"),
            ("\"orders\"", "quotes"),
            ("'orders'", "quotes"),
            ("orders # ours", "comment"),
            ("orders ; ours", "comment"),
            (" orders", "white space"),
            ("orders\n", "white space"),
            ("a\u{1b}[2Jb", "control character"),
            (&long, "1 to 512 bytes"),
        ] {
            expect_refusal(program, flag, value, &[key, word]).await?;
        }
    }
    for (program, name) in [
        (group, "CONSUMER_GROUP_APP__NAMES__PROCESSED_STREAM"),
        (consumer, "CONSUMER_APP__NAMES__PROCESSED_STREAM"),
    ] {
        let ended = check(program, &[], &[(name, "")]).await?;
        assert_eq!(ended.code, Some(BAD_USAGE), "{ended:?}");
        for word in [name, "names.processed_stream", "empty"] {
            assert!(ended.output.contains(word), "{word}: {ended:?}");
        }
        let (_file, path) = file("[names]\n\nprocessed_stream = \"orders\"\n")?;
        let ended = check(program, &["--configFilePath", &path], &[]).await?;
        assert_eq!(ended.code, Some(BAD_USAGE), "{ended:?}");
        for word in [&path, "line 3", "names.processed_stream", "quotes"] {
            assert!(ended.output.contains(word), "{word}: {ended:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn two_keys_of_one_name_are_refused() -> Result<()> {
    let binaries = binaries().await?;
    for (program, flag, value, other) in [
        (
            &binaries.group,
            "--consumerList",
            "messages:processed",
            "names.processed_stream",
        ),
        (
            &binaries.group,
            "--consumerList",
            "{messages:processed}:failed",
            "names.processed_stream",
        ),
        (
            &binaries.group,
            "--consumerList",
            "{messages:processed}:queue",
            "names.processed_stream",
        ),
    ] {
        expect_refusal(program, flag, value, &[value, other]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_more_or_less_than_a_host_is_refused_and_its_login_not_shown() -> Result<()>
{
    let binaries = binaries().await?;
    let (group, consumer) = (&binaries.group, &binaries.consumer);
    for (program, flag, key) in [
        (group, "--redisServerHost", "redis.host"),
        (group, "--restApiHost", "rest_api.host"),
        (
            consumer,
            "--consumerGroupAppHost",
            "consumer_group_app.host",
        ),
        (consumer, "--advertisedHost", "consumer.advertised_host"),
    ] {
        for value in [
            "localhost:6379",
            "redis://localhost",
            "localhost/0",
            "me:s3cret@localhost",
            "\"localhost\"",
            "localhost # mine",
            "local host",
            "a..b",
            "10.0.0.256",
            "[::1",
            "[::1]:6379",
            "::g",
        ] {
            let argument = format!("{flag}={value}");
            let ended = check(program, &[&argument], &[]).await?;
            assert_eq!(ended.code, Some(BAD_USAGE), "{argument}: {ended:?}");
            for word in [key, flag, "host"] {
                assert!(ended.output.contains(word), "{word}: {argument}: {ended:?}");
            }
            assert!(!ended.output.contains("s3cret"), "{argument}: {ended:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_redis_url_is_refused_when_it_does_not_say_what_it_seems_to() -> Result<()> {
    let binaries = binaries().await?;
    let port = fixed_port()?;
    for (url, word) in BAD_URLS {
        for program in [&binaries.group, &binaries.consumer] {
            let ended = check(program, &["--redisUrl", url], &[]).await?;
            assert_eq!(ended.code, Some(BAD_USAGE), "{url}: {ended:?}");
            for word in [word, "redis.url", "--redisUrl"] {
                assert!(ended.output.contains(word), "{word}: {url}: {ended:?}");
            }
            for part in ["s3cret", ":57", "default:"] {
                assert!(!ended.output.contains(part), "{url}: {ended:?}");
            }
        }
    }
    let good = format!("redis://me:p%23%2F%3F%40%25@127.0.0.1:{port}/3");
    for program in [&binaries.group, &binaries.consumer] {
        let ended = check(program, &["--redisUrl", &good], &[]).await?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_collectors_url_and_a_log_level_are_refused_when_they_cannot_be_meant() -> Result<()> {
    let binaries = binaries().await?;
    for program in [&binaries.group, &binaries.consumer] {
        for (flag, value, key, word) in [
            (
                "--otlpEndpoint",
                "http://h:1#x",
                "telemetry.otlp_endpoint",
                "http://host:port",
            ),
            (
                "--otlpEndpoint",
                "http://h:1?x=y",
                "telemetry.otlp_endpoint",
                "http://host:port",
            ),
            (
                "--otlpEndpoint",
                "http://h:99999",
                "telemetry.otlp_endpoint",
                "http://host:port",
            ),
            (
                "--otlpEndpoint",
                "\"http://h:1\"",
                "telemetry.otlp_endpoint",
                "quotes",
            ),
            (
                "--logLevel",
                "inof",
                "log.level",
                "error, warn, info, debug",
            ),
            ("--logLevel", "\"info\"", "log.level", "quotes"),
            ("--logLevel", "", "log.level", "empty"),
        ] {
            expect_refusal(program, flag, value, &[key, word]).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_choice_that_is_none_is_told_with_those_there_are() -> Result<()> {
    let binaries = binaries().await?;
    let (group, consumer) = (&binaries.group, &binaries.consumer);
    for (program, flag, choices) in [
        (group, "--selection", "random, least-loaded"),
        (group, "--dashboardReplay", "true, false"),
        (consumer, "--intake", "push, pull"),
    ] {
        let argument = format!("{flag}=streams");
        let ended = check(program, &[&argument], &[]).await?;
        assert_eq!(ended.code, Some(BAD_USAGE), "{ended:?}");
        let words = format!("expected one of {choices}");
        for word in [&words, flag, "`streams`"] {
            assert!(ended.output.contains(word), "{word}: {ended:?}");
        }
        for word in ["enum", "variant", "invalid type"] {
            assert!(!ended.output.contains(word), "{ended:?}");
        }
    }
    Ok(())
}
