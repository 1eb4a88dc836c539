//! The publisher checks its values by the rules the services have for theirs.

use std::process::Output;

use anyhow::Result;
use harness::{
    PATIENCE,
    services::{binaries, fixed_port},
};
use tokio::{process::Command, time::timeout};

use crate::settings_values::BAD_URLS;

/// The exit code for settings that cannot be used.
const BAD_SETTINGS: Option<i32> = Some(64);

/// The exit code for a command line that cannot be used.
const BAD_COMMAND_LINE: Option<i32> = Some(2);

/// Runs the publisher, with nothing at the port of Redis, and answers all it said.
async fn publisher(args: &[&str], env: &[(&str, &str)]) -> Result<(Output, String)> {
    let mut command = Command::new(&binaries().await?.publisher);
    let port = fixed_port()?.to_string();
    command.env("PUBLISHER__REDIS__PORT", port);
    command
        .args(args)
        .envs(env.iter().copied())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await??;
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok((output, said))
}

#[tokio::test]
async fn a_url_of_redis_that_cannot_be_meant_is_refused_and_not_shown() -> Result<()> {
    for (url, word) in BAD_URLS {
        for (args, env) in [
            (&["--redisUrl", url][..], &[][..]),
            (&[], &[("PUBLISHER__REDIS__URL", url)]),
        ] {
            let (output, said) = publisher(args, env).await?;
            assert_eq!(output.status.code(), BAD_SETTINGS, "{url}: {said}");
            for word in [word, "redis.url"] {
                assert!(said.contains(word), "{word}: {url}: {said}");
            }
            for part in ["s3cret", ":57", "default:"] {
                assert!(!said.contains(part), "{url}: {said}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_name_a_host_or_a_number_that_cannot_be_meant_is_refused() -> Result<()> {
    let letters = ["deadLetters", "list"];
    for (args, word) in [
        (&["--channel", ""][..], "empty"),
        (&["--channel", "\"x\""], "quotes"),
        (&["--channel", "x # y"], "comment"),
        (&["--redisServerHost", ""], "host"),
        (&["--redisServerHost", "redis://h"], "host"),
        (&["--redisServerHost", "h:6379"], "host"),
        (&["--redisServerPort", "0"], "1 to 65535"),
        (&["--count", "18446744073709551615"], " to "),
        (&["--rate", "4294967295"], " to "),
        (
            &[letters[0], letters[1], "--processedStream", "'p'"],
            "quotes",
        ),
    ] {
        let (output, said) = publisher(args, &[]).await?;
        assert_eq!(output.status.code(), BAD_SETTINGS, "{args:?}: {said}");
        assert!(said.contains(word), "{word}: {args:?}: {said}");
    }
    let limit = [letters[0], letters[1], "--limit", "18446744073709551615"];
    let (output, said) = publisher(&limit, &[]).await?;
    assert_eq!(output.status.code(), BAD_COMMAND_LINE, "{said}");
    assert!(said.contains("--limit"), "{said}");
    let empty = [("PUBLISHER__NAMES__PUBLISHED_CHANNEL", "")];
    let (output, said) = publisher(&["--count", "1"], &empty).await?;
    assert_eq!(output.status.code(), BAD_SETTINGS, "{said}");
    assert!(said.contains("empty"), "{said}");
    let login = ["--redisServerHost", "me:s3cret@h"];
    let (output, said) = publisher(&login, &[]).await?;
    assert_eq!(output.status.code(), BAD_SETTINGS, "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    Ok(())
}
