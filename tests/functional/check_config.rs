//! `--checkConfig`, `--completions` and `--manPage`: told, and nothing is opened.

use std::process::{Output, Stdio};

use anyhow::{Context, Result};
use harness::{
    FakeServer, PATIENCE, Reply,
    services::{binaries, fixed_port},
};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::settings::file;

/// Runs a program as an operator does, with nothing added.
async fn run(program: &std::path::Path, args: &[&str], env: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().copied());
    command.current_dir(std::env::temp_dir()).kill_on_drop(true);
    Ok(timeout(PATIENCE, command.output()).await??)
}

/// The line of a key, with single spaces.
fn line_of(output: &Output, key: &str) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let line = lines.find(|line| line.starts_with(&format!("{key} ")));
    line.with_context(|| format!("no {key} in {text}"))
}

#[tokio::test]
async fn the_effective_settings_are_told_with_their_sources_and_without_secrets() -> Result<()> {
    let binaries = binaries().await?;
    let redis = FakeServer::start(|_| Reply::Silence).await?;
    let (_file, path) = file("[rest_api]\nport = 7\n")?;
    for (program, prefix, port) in [
        (&binaries.group, "CONSUMER_GROUP_APP", 5000),
        (&binaries.consumer, "CONSUMER_APP", 5001),
    ] {
        let variable = format!("{prefix}__REDIS__URL");
        let url = format!("redis://me:s3cret@127.0.0.1:{}/1", redis.port());
        let env = [(variable.as_str(), url.as_str())];
        let args = ["--checkConfig", "--configFilePath", &path];
        let flag = ["--dedupWindowSeconds", "8"];
        let output = run(program, &[&args[..], &flag].concat(), &env).await?;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let shown = url.replace("s3cret", "***");
        for (key, expected) in [
            ("redis.host", "127.0.0.1 default".to_owned()),
            (
                "redis.url",
                format!("{shown} environment variable {variable}"),
            ),
            ("rest_api.port", format!("7 file {path} (default {port})")),
            (
                "retention.dedup_window_seconds",
                "8 flag --dedupWindowSeconds (default 600)".to_owned(),
            ),
            ("log.level", "info default".to_owned()),
        ] {
            assert_eq!(line_of(&output, key)?, format!("{key} {expected}"));
        }
        let said = String::from_utf8([output.stdout, output.stderr].concat())?;
        assert!(
            !said.contains("s3cret") && !said.contains("listening"),
            "{said}"
        );
    }
    assert_eq!(redis.connections(), 0);
    Ok(())
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_as_without_the_check() -> Result<()> {
    let binaries = binaries().await?;
    for program in [&binaries.group, &binaries.consumer] {
        for (args, word) in [
            (["--restApiPort", "x"], "rest_api.port"),
            (["--redisUrl", "http://u:s3cret@h"], "redis.url"),
            (["--logLevel", "lou,d=="], "log.level"),
            (
                ["--otlpEndpoint", "https://u:s3cret@h"],
                "telemetry.otlp_endpoint",
            ),
            (["--otlpEndpoint", "h:4318"], "telemetry.otlp_endpoint"),
            (["--configFilePath", "/no/such/file"], "/no/such/file"),
        ] {
            let args = [&["--checkConfig"][..], &args].concat();
            let output = run(program, &args, &[]).await?;
            assert_eq!(output.status.code(), Some(64), "{output:?}");
            assert!(output.stdout.is_empty(), "{output:?}");
            let text = String::from_utf8(output.stderr)?;
            assert!(text.contains(word) && !text.contains("s3cret"), "{text}");
        }
    }
    let args = ["--checkConfig", "--advertisedHost", "no host"];
    let output = run(&binaries.consumer, &args, &[]).await?;
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    let text = String::from_utf8(output.stderr)?;
    assert!(text.contains("consumer.advertised_host"), "{text}");
    Ok(())
}

#[tokio::test]
async fn the_check_may_run_beside_the_service_it_is_for() -> Result<()> {
    let group = &binaries().await?.group;
    let port = fixed_port()?;
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port))?;
    let args = ["--checkConfig", "--restApiPort", &port.to_string()];
    assert_eq!(run(group, &args, &[]).await?.status.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn every_program_tells_completions_and_its_manual_page() -> Result<()> {
    let binaries = binaries().await?;
    for (program, name, flag) in [
        (
            &binaries.group,
            "consumer-group-app",
            "maxConsumerGroupSize",
        ),
        (&binaries.consumer, "consumer-app", "processingDelayMs"),
        (&binaries.publisher, "publisher", "payloadBytes"),
    ] {
        for shell in ["bash", "zsh", "fish"] {
            let output = run(program, &["--completions", shell], &[]).await?;
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let text = String::from_utf8(output.stdout)?;
            assert!(text.contains(name) && text.contains(flag), "{text}");
        }
        let output = run(program, &["--completions", "csh"], &[]).await?;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let output = run(program, &["--manPage"], &[]).await?;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8(output.stdout)?;
        assert!(text.contains(&format!(".TH {name} 1")), "{text}");
        assert!(text.contains(flag), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn bash_completes_a_flag_from_what_the_program_tells() -> Result<()> {
    let group = &binaries().await?.group;
    let script = run(group, &["--completions", "bash"], &[]).await?.stdout;
    let ask = "\nCOMP_WORDS=(consumer-group-app --maxCons); COMP_CWORD=1\n\
               complete=$(complete -p consumer-group-app); function=${complete#*-F }\n\
               \"${function%% *}\" consumer-group-app --maxCons consumer-group-app\n\
               echo \"${COMPREPLY[@]}\"\n";
    let mut bash = Command::new("bash")
        .args(["--norc", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = bash.stdin.take().context("no standard input")?;
    input.write_all(&script).await?;
    input.write_all(ask.as_bytes()).await?;
    drop(input);
    let output = timeout(PATIENCE, bash.wait_with_output()).await??;
    let answer = String::from_utf8(output.stdout.clone())?;
    assert_eq!(answer.trim(), "--maxConsumerGroupSize", "{output:?}");
    Ok(())
}
