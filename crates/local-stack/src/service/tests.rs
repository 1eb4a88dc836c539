use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

const SOON: Duration = Duration::from_secs(5);

/// A shell script in the place of a service.
fn program(script: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (text, path) = (
        directory.path().join("text"),
        directory.path().join("fake-app"),
    );
    std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
    // By another process: a program this process has open for writing cannot be run, nor can it while
    // a child that another test is just starting has inherited the open file.
    let status = std::process::Command::new("install")
        .args(["-m", "755"])
        .args([&text, &path])
        .status();
    assert!(status.unwrap().success());
    (directory, path)
}

const LISTENING: &str =
    r#"echo '{"message":"listening","address":"127.0.0.1:12345","consumer.id":"a:1"}'"#;

#[tokio::test]
async fn the_address_and_the_id_are_read_from_the_log() {
    let (_directory, path) = program(&format!("echo \"$@\" $SETTING\n{LISTENING}\nexec sleep 60"));
    let mut service = Service::start(&path, &["--flag"], &[("SETTING", "from-env")])
        .await
        .unwrap();
    assert_eq!(service.address(), "127.0.0.1:12345");
    assert_eq!(service.url("/health"), "http://127.0.0.1:12345/health");
    assert_eq!(
        (service.host(), service.port_text()),
        ("127.0.0.1", "12345")
    );
    assert_eq!(service.consumer_id(), Some("a:1"));
    assert_eq!(service.logs()[0], "--logFormat json --flag from-env");
    assert!(service.memory_bytes().unwrap() > 0);
    let status = service.terminate(SOON).await.unwrap();
    assert!(!status.success());
    assert!(service.signal(Signal::SIGTERM).is_err());
}

#[tokio::test]
async fn one_that_ends_instead_of_listening_is_told_with_its_last_words() {
    let (_directory, path) = program("echo 'unknown key `x`' >&2; exit 2");
    let error = Service::start(&path, &[], &[]).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("exit status: 2"), "{text}");
    assert!(text.contains("unknown key"), "{text}");
}

#[tokio::test]
async fn the_whole_log_is_there_after_the_end() {
    let (_directory, path) = program("seq 1 1000; exit 3");
    let mut service = Service::spawn(&path, &[], &[]).unwrap();
    let status = service.wait_exit(SOON).await.unwrap();
    assert_eq!(status.code(), Some(3));
    assert_eq!(service.logs().len(), 1000);
}

#[tokio::test]
async fn one_that_does_not_end_in_time_is_an_error() {
    let (_directory, path) = program(&format!(
        "trap '' TERM\n{LISTENING}\nwhile :; do sleep 1; done"
    ));
    let mut service = Service::start(&path, &[], &[]).await.unwrap();
    assert!(service.terminate(Duration::from_millis(50)).await.is_err());
    assert!(!service.kill().await.unwrap().success());
}
