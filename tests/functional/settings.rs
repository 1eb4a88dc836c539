//! Flags, environment, file and defaults of both services.

use std::io::Write;

use anyhow::{Context, Result};
use harness::{
    Bus, PATIENCE, PrivateRedis, Service,
    calls::{self, process_message},
    services::{binaries, fixed_port, redis, run, wait_until_subscribed},
};
use serde_json::json;
use tempfile::NamedTempFile;

/// A settings file with this content, and its path.
pub(crate) fn file(content: &str) -> Result<(NamedTempFile, String)> {
    let mut file = NamedTempFile::with_suffix(".properties")?;
    file.write_all(content.as_bytes())?;
    let path = file.path().to_str().context("a path of text")?.to_owned();
    Ok((file, path))
}

/// The channel a group subscribes to.
async fn channel_of(redis: &PrivateRedis, args: &[&str], env: &[(&str, &str)]) -> Result<String> {
    let port = redis.port_text();
    let own = ["--restApiPort", "0", "--redisServerPort", &port];
    let group = &binaries().await?.group;
    let mut group = Service::start(group, &[&own, args].concat(), env).await?;
    wait_until_subscribed(&group).await?;
    let channels: Vec<String> = Bus::of(redis).command(&["PUBSUB", "CHANNELS"]).await?;
    group.terminate(PATIENCE).await?;
    Ok(channels.join(","))
}

#[tokio::test]
async fn for_the_group_a_flag_beats_the_environment_beats_the_file_beats_the_default() -> Result<()>
{
    let redis = redis().await?;
    let (_file, path) = file("[names]\npublished_channel = from-file\n")?;
    let file = ["--configFilePath", &path];
    let flag = ["--publishedChannel", "from-flag"];
    let env = [("CONSUMER_GROUP_APP__NAMES__PUBLISHED_CHANNEL", "from-env")];
    let all = [file, flag].concat();
    assert_eq!(channel_of(&redis, &[], &[]).await?, "messages:published");
    assert_eq!(channel_of(&redis, &file, &[]).await?, "from-file");
    assert_eq!(channel_of(&redis, &file, &env).await?, "from-env");
    assert_eq!(channel_of(&redis, &all, &env).await?, "from-flag");
    Ok(())
}

/// The stream a consumer writes to.
async fn stream_of(redis: &PrivateRedis, args: &[&str], env: &[(&str, &str)]) -> Result<String> {
    let port = redis.port_text();
    let own = ["--restApiPort", "0", "--redisServerPort", &port];
    let consumer = &binaries().await?.consumer;
    let consumer = Service::start(consumer, &[&own, args].concat(), env).await?;
    let bus = Bus::of(redis);
    bus.command::<()>(&["FLUSHALL"]).await?;
    process_message(&consumer, &json!({ "message_id": "m" })).await?;
    let scan = ["SCAN", "0", "COUNT", "1000", "TYPE", "stream"];
    let (_, streams): (u64, Vec<String>) = bus.command(&scan).await?;
    Ok(streams.join(","))
}

#[tokio::test]
async fn for_a_consumer_a_flag_beats_the_environment_beats_the_file_beats_the_default() -> Result<()>
{
    let redis = redis().await?;
    let (_file, path) = file("[names]\nprocessed_stream = from-file\n")?;
    let file = ["--configFilePath", &path];
    let flag = ["--processedStream", "from-flag"];
    let env = [("CONSUMER_APP__NAMES__PROCESSED_STREAM", "from-env")];
    let all = [file, flag].concat();
    assert_eq!(stream_of(&redis, &[], &[]).await?, "messages:processed");
    assert_eq!(stream_of(&redis, &file, &[]).await?, "from-file");
    assert_eq!(stream_of(&redis, &file, &env).await?, "from-env");
    assert_eq!(stream_of(&redis, &all, &env).await?, "from-flag");
    Ok(())
}

#[tokio::test]
async fn the_originals_settings_files_load_unchanged() -> Result<()> {
    let redis = redis().await?;
    let (group_port, consumer_port, redis_port) = (fixed_port()?, fixed_port()?, redis.port());
    let (_group_file, path) = file(&format!(
        "[redis]\nhost = 127.0.0.1\nport = {redis_port}\n\n[consumers]\n\
         max_consumer_group_size = 1\n\n[rest_api]\nhost=127.0.0.1\nport={group_port}\n"
    ))?;
    let args = ["--configFilePath", &path];
    let group = Service::start(&binaries().await?.group, &args, &[]).await?;
    assert_eq!(group.address(), format!("127.0.0.1:{group_port}"));

    let (_consumer_file, path) = file(&format!(
        "[redis]\nhost = localhost\nport = {redis_port}\n[rest_api]\nhost = 127.0.0.1\n\
         port = {consumer_port}\n[consumer_group_app]\nhost = 127.0.0.1\nport = {group_port}\n"
    ))?;
    let args = ["--configFilePath", &path];
    let consumer = Service::start(&binaries().await?.consumer, &args, &[]).await?;
    let id = format!("127.0.0.1:{consumer_port}");
    harness::services::wait_until_joined(&group, &id).await?;
    assert_eq!(
        calls::register(&group, "h:1").await?.status,
        500,
        "one is all"
    );
    assert_eq!(calls::get(&consumer, "/health").await?.status, 200);
    Bus::of(&redis).publish_id("m").await?;
    Bus::of(&redis).wait_for_processed(1).await?;
    Ok(())
}

#[tokio::test]
async fn a_default_file_that_is_absent_is_a_warning() -> Result<()> {
    let redis = redis().await?;
    let group = harness::services::group(&redis, &[]).await?;
    let text = "no settings file at config/consumer-group-app.properties";
    let line = group.wait_for_log(text, PATIENCE).await?;
    assert!(line.contains(r#""level":"WARN""#), "{line}");
    let consumer = harness::services::consumer(&redis, &group, &[]).await?;
    let text = "no settings file at config/consumer-app.properties";
    consumer.wait_for_log(text, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn help_lists_every_flag_with_its_environment_variable() -> Result<()> {
    let binaries = binaries().await?;
    let both = [
        ("redisServerHost", "REDIS__HOST"),
        ("redisServerPort", "REDIS__PORT"),
        ("redisUrl", "REDIS__URL"),
        ("restApiHost", "REST_API__HOST"),
        ("restApiPort", "REST_API__PORT"),
        ("shutdownGraceSeconds", "SERVICE__SHUTDOWN_GRACE_SECONDS"),
        ("logFormat", "LOG__FORMAT"),
        ("logLevel", "LOG__LEVEL"),
    ];
    let group = [
        ("maxConsumerGroupSize", "CONSUMERS__MAX_CONSUMER_GROUP_SIZE"),
        (
            "healthCheckIntervalSeconds",
            "CONSUMERS__HEALTH_CHECK_INTERVAL_SECONDS",
        ),
        (
            "maxInFlightPerConsumer",
            "CONSUMERS__MAX_IN_FLIGHT_PER_CONSUMER",
        ),
        ("maxAttempts", "DELIVERY__MAX_ATTEMPTS"),
        ("attemptTimeoutMs", "DELIVERY__ATTEMPT_TIMEOUT_MS"),
        ("maxBufferedMessages", "DELIVERY__MAX_BUFFERED_MESSAGES"),
        ("maxBufferedBytes", "DELIVERY__MAX_BUFFERED_BYTES"),
    ];
    let consumer = [
        ("consumerGroupAppHost", "CONSUMER_GROUP_APP__HOST"),
        ("consumerGroupAppPort", "CONSUMER_GROUP_APP__PORT"),
        ("advertisedHost", "CONSUMER__ADVERTISED_HOST"),
        ("advertisedPort", "CONSUMER__ADVERTISED_PORT"),
        ("processingConcurrency", "CONSUMER__PROCESSING_CONCURRENCY"),
        ("processingDelayMs", "SAMPLE__PROCESSING_DELAY_MS"),
        (
            "registrationCheckIntervalSeconds",
            "CONSUMER_GROUP_APP__REGISTRATION_CHECK_INTERVAL_SECONDS",
        ),
    ];
    for (program, prefix, own) in [
        (&binaries.group, "CONSUMER_GROUP_APP__", &group[..]),
        (&binaries.consumer, "CONSUMER_APP__", &consumer[..]),
    ] {
        let ended = run(program, &["--help"], &[]).await?;
        assert_eq!(ended.code, Some(0));
        let text: Vec<_> = ended.output.split_whitespace().collect();
        for (flag, env) in both.iter().chain(own) {
            for word in [format!("--{flag}"), format!("{prefix}{env}]")] {
                assert!(text.contains(&word.as_str()), "{word}: {}", ended.output);
            }
        }
        assert!(text.contains(&"--configFilePath"), "{}", ended.output);
    }
    Ok(())
}
