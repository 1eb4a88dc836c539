//! Every number has a range, which is checked, and told in the error and in `--help`.

use anyhow::Result;
use harness::services::{binaries, run};

use crate::settings_values::{BAD_USAGE, check, expect_refusal};

#[tokio::test]
async fn every_number_has_a_range_that_is_told() -> Result<()> {
    let binaries = binaries().await?;
    for program in [&binaries.group, &binaries.consumer] {
        let help = run(program, &["--help"], &[]).await?.output;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = check(program, &[], &[]).await?.output;
        let mut flags = 0;
        for line in shown.lines() {
            let Some((key, value)) = line.split_once(' ') else {
                continue;
            };
            let key = key.trim();
            let is_number = value
                .split_whitespace()
                .next()
                .is_some_and(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
            if !is_number && key != "consumer.advertised_port" {
                continue;
            }
            flags += 1;
            let prefix = program.file_name().unwrap_or_default().to_string_lossy();
            let prefix = prefix.replace('-', "_").to_uppercase();
            let variable = format!("{prefix}__{}", key.replace('.', "__").to_uppercase());
            for value in ["9223372036854775808", "+1"] {
                let ended = check(program, &[], &[(&variable, value)]).await?;
                assert_eq!(ended.code, Some(BAD_USAGE), "{variable} {value}: {ended:?}");
                let found = format!("`{value}`");
                for word in [key, "expected", " to ", &found, &variable] {
                    assert!(ended.output.contains(word), "{word}: {ended:?}");
                }
                let range = ended.output.split("expected ").nth(1).unwrap_or_default();
                let range = range.trim();
                assert!(help.contains(range), "{range} is not in {help}");
                for word in ["nonzero", "u64", "usize", "u16", "invalid"] {
                    assert!(!ended.output.contains(word), "{ended:?}");
                }
            }
        }
        assert!(flags > 9, "{shown}");
    }
    Ok(())
}

#[tokio::test]
async fn port_0_is_refused_where_nobody_can_be_reached_at_it() -> Result<()> {
    let binaries = binaries().await?;
    let (group, consumer) = (&binaries.group, &binaries.consumer);
    for (program, flag) in [
        (group, "--redisServerPort"),
        (consumer, "--redisServerPort"),
        (consumer, "--consumerGroupAppPort"),
        (consumer, "--advertisedPort"),
    ] {
        expect_refusal(program, flag, "0", &["1 to 65535"]).await?;
    }
    for program in [group, consumer] {
        let ended = check(program, &["--restApiPort", "0"], &[]).await?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    Ok(())
}
