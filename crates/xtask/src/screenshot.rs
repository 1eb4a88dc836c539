//! `cargo xtask screenshot`: the picture of the dashboard in docs, of a real group at work.

use std::{fs, process::ExitCode, time::Duration};

use anyhow::{Context, Result, ensure};
use local_stack::{
    Binaries, Browser, BrowserPrograms, Profile, RedisServer, Stack, StackOptions,
    binaries::workspace, redis,
};
use tokio::time::sleep;

use crate::{
    demo::GROUP_ARGS,
    output::{say, step},
    publishing::Publishing,
};

/// Where the picture goes.
const FILE: &str = "docs/dashboard.png";

/// How wide and high it is.
const SCREEN: (u32, u32) = (1280, 1180);

/// The largest it may be, in bytes.
const MAX_BYTES: usize = 200_000;

/// How many messages a second are published, one after the other, and for how long each.
const RATES: [u64; 6] = [300, 520, 480, 800, 610, 700];
const EACH: Duration = Duration::from_secs(22);

/// What is published besides, to be given up.
const MALFORMED: [&str; 3] = [
    r#"{"text":"a message without an id"}"#,
    r#"{"message_id":42,"text":"an id that is no text"}"#,
    "no JSON at all",
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// In dark colours.
    #[arg(long)]
    dark: bool,
}

/// Makes it.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let programs = BrowserPrograms::find_or_install().map_err(anyhow::Error::msg)?;
    let server = RedisServer::find_or_install()?;
    step("Building the services");
    let binaries = Binaries::build(Profile::Dev).await?;
    let options = StackOptions {
        consumers: 3,
        group_args: &GROUP_ARGS,
        ..StackOptions::default()
    };
    let stack = Stack::start_with(&server, options).await?;
    step("Publishing for a while, so that there is something to see");
    let browser = Browser::start(&programs).await?;
    let colours = if arguments.dark { "dark" } else { "light" };
    browser.look_through(SCREEN.0, SCREEN.1, colours).await?;
    browser.open(&stack.group.url("/")).await?;
    let mut connection = stack.redis.connect().await?;
    for (round, rate) in RATES.into_iter().enumerate() {
        let publishing = Publishing::trickle(binaries, &stack.redis, rate)?;
        sleep(EACH).await;
        if let Some(malformed) = MALFORMED.get(round) {
            let mut publish = redis::cmd("PUBLISH");
            publish.arg("messages:published").arg(malformed);
            let _heard: u64 = publish.query_async(&mut connection).await?;
        }
        if round + 1 == RATES.len() {
            // While the last is still publishing.
            let picture = browser.screenshot().await?;
            ensure!(picture.len() < MAX_BYTES, "{} bytes", picture.len());
            let path = workspace().join(FILE);
            fs::write(&path, &picture).with_context(|| format!("cannot write {FILE}"))?;
            say(&format!("  {FILE}: {} bytes", picture.len()));
        }
        publishing.end().await?;
    }
    drop(browser);
    stack.stop().await?;
    Ok(ExitCode::SUCCESS)
}
