//! Settings that cannot be used: told with key and source, before any socket opens.

use std::path::Path;

use anyhow::Result;
use harness::{
    FakeServer, Reply,
    services::{Ended, binaries, fixed_port, run},
};

use crate::settings::file;

/// The exit code for settings that cannot be used.
const BAD_USAGE: Option<i32> = Some(64);

/// Runs a service with settings that cannot be used, and with a Redis that notes each connection.
async fn refused(program: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Ended> {
    let redis = FakeServer::start(|_| Reply::Silence).await?;
    let (port, rest_port) = (redis.port().to_string(), fixed_port()?.to_string());
    let mut all = args.to_vec();
    for (flag, value) in [("--redisServerPort", &port), ("--restApiPort", &rest_port)] {
        if !args.iter().any(|arg| arg.starts_with(flag)) {
            all.extend([flag, value.as_str()]);
        }
    }
    let ended = run(program, &all, env).await?;
    assert_eq!(redis.connections(), 0, "{args:?} {env:?}");
    assert!(!ended.output.contains("listening"), "{ended:?}");
    Ok(ended)
}

/// Expects an exit with a text that holds all of `words`.
async fn expect_refusal(
    program: &Path,
    args: &[&str],
    env: &[(&str, &str)],
    words: &[&str],
) -> Result<()> {
    let ended = refused(program, args, env).await?;
    assert_eq!(ended.code, BAD_USAGE, "{args:?} {env:?}: {ended:?}");
    for word in words {
        assert!(ended.output.contains(word), "{word} is not in {ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_settings_file_that_is_named_must_exist() -> Result<()> {
    let binaries = binaries().await?;
    for program in [&binaries.group, &binaries.consumer] {
        let args = ["--configFilePath", "/no/such/file"];
        let words = ["/no/such/file", "configFilePath"];
        expect_refusal(program, &args, &[], &words).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_key_in_the_file_is_told_with_key_and_file() -> Result<()> {
    let binaries = binaries().await?;
    let (_file, path) = file("[redis]\nhots = localhost\n")?;
    for program in [&binaries.group, &binaries.consumer] {
        let args = ["--configFilePath", &path];
        expect_refusal(program, &args, &[], &["redis.hots", &path]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_key_in_the_environment_is_told_with_key_and_variable() -> Result<()> {
    let binaries = binaries().await?;
    for (program, name) in [
        (&binaries.group, "CONSUMER_GROUP_APP__REDIS__HOTS"),
        (&binaries.consumer, "CONSUMER_APP__REDIS__HOTS"),
    ] {
        expect_refusal(program, &[], &[(name, "x")], &["redis.hots", name]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_value_is_told_with_key_and_source() -> Result<()> {
    let group = &binaries().await?.group;
    let bad_flags = [
        ("--redisServerPort", "redis.port", "x"),
        ("--restApiPort", "rest_api.port", "65536"),
        (
            "--maxConsumerGroupSize",
            "consumers.max_consumer_group_size",
            "0",
        ),
        (
            "--healthCheckIntervalSeconds",
            "consumers.health_check_interval_seconds",
            "0",
        ),
        ("--maxAttempts", "delivery.max_attempts", "-1"),
        ("--attemptTimeoutMs", "delivery.attempt_timeout_ms", "5s"),
        ("--maxBufferedBytes", "delivery.max_buffered_bytes", "1.5"),
    ];
    for (flag, key, value) in bad_flags {
        let argument = format!("{flag}={value}");
        expect_refusal(group, &[&argument], &[], &[key, flag]).await?;
    }
    let env = "CONSUMER_GROUP_APP__REDIS__PORT";
    let (_file, path) = file("[redis]\nport = x\n")?;
    // A good flag of the harness would win over these.
    for (args, env) in [
        (&["--configFilePath", path.as_str()][..], &[][..]),
        (&[], &[(env, "x")]),
    ] {
        let rest = fixed_port()?.to_string();
        let args = [args, &["--restApiPort", &rest]].concat();
        let ended = run(group, &args, env).await?;
        assert_eq!(ended.code, BAD_USAGE, "{ended:?}");
        let source = env.first().map_or(path.as_str(), |(name, _)| name);
        assert!(ended.output.contains("redis.port"), "{ended:?}");
        assert!(ended.output.contains(source), "{ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_value_of_a_consumer_is_told_with_key_and_source() -> Result<()> {
    let consumer = &binaries().await?.consumer;
    for (flag, key, value) in [
        ("--processingDelayMs", "sample.processing_delay_ms", "x"),
        (
            "--processingConcurrency",
            "consumer.processing_concurrency",
            "-1",
        ),
        ("--advertisedPort", "consumer.advertised_port", "65536"),
        (
            "--registrationCheckIntervalSeconds",
            "consumer_group_app.registration_check_interval_seconds",
            "0",
        ),
    ] {
        let argument = format!("{flag}={value}");
        expect_refusal(consumer, &[&argument], &[], &[key, flag]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_url_or_log_setting_is_told_with_its_key() -> Result<()> {
    let binaries = binaries().await?;
    for program in [&binaries.group, &binaries.consumer] {
        let url = ["--redisUrl", "http://user:s3cret@h"];
        let ended = refused(program, &url, &[]).await?;
        assert_eq!(ended.code, BAD_USAGE, "{ended:?}");
        assert!(ended.output.contains("redis.url"), "{ended:?}");
        assert!(!ended.output.contains("s3cret"), "{ended:?}");
        let level = ["--logLevel", "lou,d=="];
        expect_refusal(program, &level, &[], &["log.level"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_flag_that_does_not_exist_is_an_error() -> Result<()> {
    let binaries = binaries().await?;
    for program in [&binaries.group, &binaries.consumer] {
        let ended = refused(program, &["--noSuchFlag", "1"], &[]).await?;
        assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
        assert!(ended.output.contains("--noSuchFlag"), "{ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_with_the_flags_that_help() -> Result<()> {
    let binaries = binaries().await?;
    let taken = FakeServer::start(|_| Reply::Silence).await?;
    let port = taken.port().to_string();
    for program in [&binaries.group, &binaries.consumer] {
        let ended = run(program, &["--restApiPort", &port], &[]).await?;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        for word in [port.as_str(), "--restApiPort"] {
            assert!(ended.output.contains(word), "{ended:?}");
        }
    }
    Ok(())
}
