//! A settings file means what it says: what Python's `configparser` reads, which the original used.

use std::{io::Write, process::Command};

use anyhow::{Context, Result};
use harness::{
    Bus, Service,
    services::{Ended, binaries, redis, run, wait_until_subscribed},
};
use tempfile::NamedTempFile;

use crate::settings::file;

/// The exit code for settings that cannot be used.
const BAD_USAGE: Option<i32> = Some(64);

/// Prints every value of the file named, as `section.key=value`.
const CONFIGPARSER: &str = "
import configparser, sys
read = configparser.ConfigParser()
with open(sys.argv[1], encoding='utf-8') as file:
    read.read_file(file)
for section in read.sections():
    for key, value in read.items(section):
        print(f'{section}.{key}={value}')
";

/// Has the group check a file.
async fn check(path: &str) -> Result<Ended> {
    let args = ["--checkConfig", "--configFilePath", path];
    run(&binaries().await?.group, &args, &[]).await
}

#[tokio::test]
async fn a_settings_file_is_read_as_pythons_configparser_reads_it() -> Result<()> {
    let text = "; a comment\n\
        # another\n\
        [redis]\n\
        Host: h\u{f6}st.example.not.read.as.such\n\
        \u{20}\u{20}# an indented comment\n\
        \u{20}\u{20}; and another\n\
        PORT=6380\r\n\
        [names] \n\
        \u{20}published_channel = back\\tslash\\\\\\n \n\
        \u{20}processed_stream : d = \"e\" f\n\
        \t# the end\n\
        consumer_list=g;h#i$j:k=l ${m}\n\
        \n\
        [rest_api]\r\n\
        host   =   ::1   \r\n\
        \r\n\
        port =5005";
    // A host is ASCII; everything else stays as it is.
    let text = text.replace("h\u{f6}st.example.not.read.as.such", "redis.example.");
    let text = text.replace("g;h#i", "g\u{f6};h#i");
    let (_file, path) = file(&text)?;
    let read = Command::new("python3")
        .args(["-c", CONFIGPARSER, &path])
        .output();
    let read = read.context("python3 is needed")?;
    assert!(read.status.success(), "{read:?}");
    let read = String::from_utf8(read.stdout)?;
    assert_eq!(read.lines().count(), 7, "{read}");
    let ended = check(&path).await?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for line in read.lines() {
        let (key, value) = line.split_once('=').context("no value")?;
        let shown = ended
            .output
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key} ")));
        let shown = shown
            .with_context(|| format!("no {key} in {}", ended.output))?
            .trim();
        let (shown, _) = shown
            .split_once(&format!("file {path}"))
            .context("not of the file")?;
        assert_eq!(shown.trim(), value, "{key}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_read_in_a_settings_file_is_an_error_with_its_line() -> Result<()> {
    for (text, line, word) in [
        ("[redis]\nhost = a\n\n  b\n", 4, "indented"),
        ("[redis]\nhost = a\nport 6379\n", 3, "key = value"),
        ("host = a\n", 1, "section"),
        ("[redis\nhost = a\n", 1, "]"),
        ("[redis] host = a\n", 1, "]"),
        ("[redis]\nhost = a\nHost = b\n", 3, "line 2"),
        ("[redis]\n= a\n", 2, "key"),
        ("[names]\nprocessed_stream = %(x)s\n", 2, "%("),
        ("[names]\nprocessed_stream = 100%%\n", 2, "%%"),
        ("[redis]\nhots = a\n", 2, "did you mean `redis.host`"),
        ("[redis]\n\nport = 0\n", 3, "1 to 65535"),
    ] {
        let (_file, path) = file(text)?;
        let ended = check(&path).await?;
        assert_eq!(ended.code, BAD_USAGE, "{text}: {ended:?}");
        for word in [&path, &format!("line {line}"), word] {
            assert!(ended.output.contains(word), "{word}: {text}: {ended:?}");
        }
    }
    Ok(())
}

/// A file of bytes.
fn bytes(content: &[u8]) -> Result<(NamedTempFile, String)> {
    let mut file = NamedTempFile::with_suffix(".properties")?;
    file.write_all(content)?;
    let path = file.path().to_str().context("a path of text")?.to_owned();
    Ok((file, path))
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped_and_another_encoding_is_named() -> Result<()> {
    let text = "[names]\nprocessed_stream = f\u{f6}\n";
    let (_file, path) = bytes(format!("\u{feff}{text}").as_bytes())?;
    let ended = check(&path).await?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.output.contains("f\u{f6} "), "{ended:?}");

    let latin1 = b"[names]\nprocessed_stream = f\xf6\n";
    let utf16: Vec<u8> = "\u{feff}[names]\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let bare: Vec<u8> = "[names]\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    for (content, words) in [
        (&latin1[..], &["line 2", "0xF6", "UTF-8"][..]),
        (&utf16, &["UTF-16", "UTF-8"]),
        (&bare, &["UTF-16", "UTF-8"]),
    ] {
        let (_file, path) = bytes(content)?;
        let ended = check(&path).await?;
        assert_eq!(ended.code, BAD_USAGE, "{ended:?}");
        for word in words.iter().chain([&path.as_str()]) {
            assert!(ended.output.contains(word), "{word}: {ended:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_password_with_backslashes_in_the_file_logs_in() -> Result<()> {
    let redis = redis().await?;
    let password = r"x\tamper9\";
    let set = ["CONFIG", "SET", "requirepass", password];
    Bus::of(&redis).command::<()>(&set).await?;
    let port = redis.port();
    let (_file, path) = file(&format!(
        "[redis]\nurl = redis://:{password}@127.0.0.1:{port}\n"
    ))?;
    let args = ["--restApiPort", "0", "--configFilePath", &path];
    let group = Service::start(&binaries().await?.group, &args, &[]).await?;
    wait_until_subscribed(&group).await
}
