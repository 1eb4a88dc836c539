//! Standard output that somebody has closed, as `head` does, or that has no room left.

use std::{fs::File, path::Path, process::Stdio};

use anyhow::Result;
use harness::{
    Bus, PATIENCE, PrivateRedis,
    services::{binaries, redis},
};
use local_stack::binaries::workspace;
use tokio::{process::Command, time::timeout};

/// What each program can be asked to write.
async fn tellings(redis: &PrivateRedis) -> Result<Vec<(&'static Path, Vec<String>)>> {
    let binaries = binaries().await?;
    let documents = ["--help", "--version", "--completions bash", "--manPage"];
    let port = redis.port_text();
    let at = |verb: &str| format!("{verb} --redisServerPort {port}");
    let of_publisher = [
        at("--count 3"),
        at("deadLetters list"),
        at("deadLetters show a"),
        at("deadLetters replay --all --dryRun"),
        at("deadLetters purge --all --dryRun"),
    ];
    let mut tellings = Vec::new();
    for program in [&binaries.group, &binaries.consumer, &binaries.publisher] {
        let mut lines: Vec<_> = documents.map(str::to_owned).into();
        match program == &binaries.publisher {
            true => lines.extend(of_publisher.clone()),
            false => lines.push("--checkConfig".to_owned()),
        }
        for line in lines {
            let words = line.split(' ').map(str::to_owned).collect();
            tellings.push((program.as_path(), words));
        }
    }
    Ok(tellings)
}

/// A pipe whose reader has gone.
fn closed() -> Result<Stdio> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    Ok(writer.into())
}

/// The exit code, and what was said on standard error, if that is read.
async fn run(
    program: &Path,
    args: &[String],
    output: Stdio,
    error: Stdio,
) -> Result<(Option<i32>, String)> {
    let process = Command::new(program)
        .args(args)
        .current_dir(workspace())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(error)
        .kill_on_drop(true)
        .spawn()?;
    let output = timeout(PATIENCE, process.wait_with_output()).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code(), said))
}

/// A Redis with a queue, and a dead letter.
async fn redis_with_a_letter() -> Result<PrivateRedis> {
    let redis = redis().await?;
    let bus = Bus::of(&redis);
    bus.fail(&["a"]).await?;
    let account = [
        "HSET",
        "{messages:processed}:account",
        "identity",
        "00000000000000aa",
    ];
    bus.command::<u64>(&account).await?;
    Ok(redis)
}

#[tokio::test]
async fn a_closed_output_ends_every_program_quietly() -> Result<()> {
    let redis = redis_with_a_letter().await?;
    for (program, args) in tellings(&redis).await? {
        let (code, said) = run(program, &args, closed()?, Stdio::piped()).await?;
        assert_eq!(code, Some(0), "{program:?} {args:?}: {said}");
        // That nobody is subscribed is no complaint about the output.
        let complaint = said.lines().find(|line| !line.starts_with("warning: "));
        assert_eq!(complaint, None, "{program:?} {args:?}");
        let (code, _) = run(program, &args, closed()?, closed()?).await?;
        assert_eq!(code, Some(0), "{program:?} {args:?} without standard error");
    }
    Ok(())
}

#[tokio::test]
async fn an_output_without_room_is_told_in_one_sentence() -> Result<()> {
    let redis = redis_with_a_letter().await?;
    for (program, args) in tellings(&redis).await? {
        let full = File::options().write(true).open("/dev/full")?;
        let (code, said) = run(program, &args, full.into(), Stdio::piped()).await?;
        assert_eq!(code, Some(74), "{program:?} {args:?}: {said}");
        let sentences = said.lines().filter(|line| !line.starts_with("warning: "));
        let sentences: Vec<_> = sentences.collect();
        assert_eq!(sentences.len(), 1, "{program:?} {args:?}: {said}");
        assert!(
            sentences[0].contains("cannot write to standard output: No space left"),
            "{said}"
        );
    }
    Ok(())
}
