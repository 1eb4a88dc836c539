//! `cargo xtask demo`: the whole system, from nothing to the closing account.

mod live;

use std::process::ExitCode;

use anyhow::Result;
use local_stack::{Binaries, Profile, RedisServer, Stack, StackOptions, terminal};
use service_kit::shutdown::Signals;

use crate::{
    INTERRUPTED,
    account::{Account, first_entries},
    output::{count, say, step, table, warn},
    publishing::{Publishing, wait_until_settled},
};

/// What the dashboard is allowed where nobody but the one at the terminal can reach it.
pub(crate) const GROUP_ARGS: [&str; 2] = ["--dashboardReplay", "true"];

/// How many messages a second keep the dashboard alive afterwards.
const TRICKLE: u64 = 25;

/// How many entries of the stream are shown.
const SHOWN_ENTRIES: usize = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Leave everything running until Ctrl-C, and say how to talk to it.
    #[arg(long)]
    keep: bool,

    /// How many messages to publish.
    #[arg(long, default_value_t = 10_000)]
    messages: u64,

    /// How many consumers to start.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    consumers: u8,

    /// Build with optimisation: slower to start, faster to run.
    #[arg(long)]
    release: bool,
}

/// Runs it; fails when the account does not add up. After a signal what was started is ended in order,
/// if it was all there by then.
pub(crate) async fn run(arguments: Arguments, signals: &mut Signals) -> Result<ExitCode> {
    terminal::start_apart();
    let mut stack = tokio::select! {
        stack = start(&arguments) => stack?,
        signal = signals.next() => return Ok(interrupted(signal)),
    };
    let shown = tokio::select! {
        shown = show(&arguments, &mut stack) => Ok(shown?),
        signal = signals.next() => Err(signal),
    };
    let adds_up = match shown {
        Ok(adds_up) if arguments.keep => {
            tell_how_to_talk_to_it(&stack);
            let binaries = Binaries::build(profile(&arguments)).await?;
            let trickle = Publishing::trickle(binaries, &stack.redis, TRICKLE)?;
            signals.next().await;
            trickle.end().await?;
            adds_up
        }
        Ok(adds_up) => adds_up,
        Err(signal) => {
            let code = interrupted(signal);
            stack.stop().await?;
            return Ok(code);
        }
    };
    step("Ending everything that was started");
    stack.stop().await?;
    Ok(if adds_up {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Publishes and shows what became of it; says whether each message is in exactly one place.
async fn show(arguments: &Arguments, stack: &mut Stack) -> Result<bool> {
    publish(arguments, stack).await?;
    let adds_up = show_account(stack, arguments.messages).await?;
    show_entries(stack).await?;
    Ok(adds_up)
}

fn profile(arguments: &Arguments) -> Profile {
    if arguments.release {
        Profile::Release
    } else {
        Profile::Dev
    }
}

async fn start(arguments: &Arguments) -> Result<Stack> {
    let server = RedisServer::find_or_install()?;
    step("Building the services (the first time takes a while)");
    Binaries::build(profile(arguments)).await?;
    step("Starting a private Redis, the group and its consumers");
    let options = StackOptions {
        profile: profile(arguments),
        consumers: arguments.consumers.into(),
        group_args: &GROUP_ARGS,
        ..StackOptions::default()
    };
    let stack = Stack::start_with(&server, options).await?;
    let mut rows = vec![vec![
        "redis".to_owned(),
        format!("127.0.0.1:{}", stack.redis.port()),
    ]];
    rows.push(vec![
        "consumer-group-app".to_owned(),
        stack.group.address().to_owned(),
    ]);
    for consumer in &stack.consumers {
        rows.push(vec![
            "consumer-app".to_owned(),
            consumer.address().to_owned(),
        ]);
    }
    say(table(&rows).trim_end());
    Ok(stack)
}

async fn publish(arguments: &Arguments, stack: &mut Stack) -> Result<()> {
    let binaries = Binaries::build(profile(arguments)).await?;
    let (messages, seconds) = (arguments.messages, live::SECONDS);
    step(&format!(
        "Publishing {} messages in {seconds} seconds; a consumer is killed on the way",
        count(messages)
    ));
    let rate = messages.div_ceil(seconds);
    let mut publishing = Publishing::start(binaries, &stack.redis, messages, rate)?;
    live::show(stack, binaries, messages).await?;
    publishing.finish().await?;
    step("Waiting until all of them are processed");
    wait_until_settled(&stack.redis, arguments.messages).await
}

/// Shows what became of the messages; says whether each is in exactly one place.
async fn show_account(stack: &Stack, published: u64) -> Result<bool> {
    let account = Account::read(&mut stack.redis.connect().await?).await?;
    step("What each consumer processed");
    let row = |(name, number): (&String, &u64)| vec![name.clone(), count(*number)];
    let mut rows: Vec<_> = account.by_consumer.iter().map(row).collect();
    rows.extend(
        account
            .by_reason
            .iter()
            .map(|(reason, number)| vec![format!("dead letters, {reason}"), count(*number)]),
    );
    say(table(&rows).trim_end());
    let adds_up = account.adds_up(published);
    step("The closing account");
    say(&format!(
        "  {} published {} {} processed + {} failed",
        count(published),
        if adds_up { "=" } else { "is NOT" },
        count(account.processed),
        count(account.failed)
    ));
    if !adds_up {
        warn(&format!(
            "  lost: {}; processed more than once: {}",
            count(account.lost(published)),
            count(account.duplicates)
        ));
    }
    Ok(adds_up)
}

async fn show_entries(stack: &Stack) -> Result<()> {
    let mut connection = stack.redis.connect().await?;
    step("The first entries of the stream messages:processed, as they stand");
    for (id, fields) in first_entries(&mut connection, SHOWN_ENTRIES).await? {
        say(&format!("  {id}"));
        let width = fields.iter().step_by(2).map(String::len).max().unwrap_or(0);
        for pair in fields.chunks(2) {
            if let [name, value] = pair {
                say(&format!("    {name:<width$}  {value}"));
            }
        }
    }
    Ok(())
}

fn tell_how_to_talk_to_it(stack: &Stack) {
    let port = stack.redis.port();
    let group = stack.group.address();
    step("Everything is running, with a few messages a second; Ctrl-C ends it");
    say(&format!("  the dashboard: http://{group}/"));
    step("How to talk to it");
    let id = r#"{"message_id":"hello-1","text":"hello"}"#;
    for line in [
        format!("redis-cli -p {port} PUBLISH messages:published '{id}'"),
        format!("redis-cli -p {port} XREVRANGE messages:processed + - COUNT 1"),
        format!("redis-cli -p {port} LRANGE consumer:ids 0 -1"),
        format!("cargo run -p publisher -- --redisServerPort {port} --rate 100"),
        format!("curl http://{group}/health"),
    ] {
        say(&format!("  {line}"));
    }
    if let Some(consumer) = stack.consumers.first() {
        let address = consumer.address();
        say(&format!("  curl http://{address}/health"));
        say(&format!(
            "  curl -X POST http://{group}/checkMembership -H 'Content-Type: application/json' \
             -d '{{\"consumer_id\":\"{}\"}}'",
            consumer.consumer_id().unwrap_or(address)
        ));
    }
}

/// The exit code after a signal.
fn interrupted(signal: &str) -> ExitCode {
    warn(&format!("{signal}: ending everything that was started"));
    ExitCode::from(INTERRUPTED)
}
