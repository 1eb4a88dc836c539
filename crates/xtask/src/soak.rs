//! `cargo xtask soak`: everything goes wrong, one thing after the other, under load; then the account.
//!
//! What goes wrong is drawn from a seed. After each mishap the system must become well again by itself;
//! after the last one, every message that was heard or acknowledged must be in exactly one stream, once.
//! One thing at a time: two replicas hear every message, so no single mishap may lose one.

mod account;
mod findings;
mod ledger;
mod load;
mod log;
mod mishap;
mod services;
mod status;
mod story;
mod strike;
mod system;
mod watch;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use local_stack::RedisServer;

use self::{
    findings::Findings, ledger::Ledger, load::Load, status::Status, story::Story, strike::Gate,
    system::System, watch::Watch,
};
use crate::output::{count, say, step, table, warn};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long things go wrong, in minutes; fractions are fine.
    #[arg(long, default_value = "5", value_parser = minutes)]
    minutes: Duration,

    /// Repeats the mishaps of an earlier run.
    #[arg(long)]
    seed: Option<u64>,

    /// How many messages a second are sent.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
}

/// Runs it; fails when anything is found to be wrong.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let seed = arguments
        .seed
        .unwrap_or_else(|| rand::random::<u32>().into());
    let server = RedisServer::find_or_install()?;
    step("Building and starting Redis, two replicas of the group and four consumers");
    let mut system = System::start(&server).await?;
    system.well().await?;
    let (ledger, findings, gate) = (Ledger::new(), Findings::default(), Gate::default());
    let load = Load {
        rate: arguments.rate,
        seed,
        ledger: ledger.clone(),
        gate: &gate,
        redis_port: system.redis.port(),
        replicas: system.replicas(),
    };
    let mut watch = Watch::new(ledger.clone(), findings.clone(), system.replicas());
    let mut story = Story::new(seed, arguments.minutes, ledger.clone());
    step(&format!("Things go wrong; --seed {seed} repeats them"));
    let told = tokio::select! {
        told = Box::pin(story.tell(&mut system, &gate)) => told,
        () = load.run() => Ok(()),
        () = watch.run() => Ok(()),
    };
    if let Err(cause) = told {
        let during = story.log.at(ledger.now());
        findings.add("the run ended early", format!("{cause:#} ({during})"));
    }
    // The load stands still at the gate from here on.
    drop(load);
    let closing = close(&system, &mut watch, &findings).await;
    if let Err(cause) = closing {
        findings.add("the end did not come", format!("{cause:#}"));
    }
    let shown = show(&system, &story, &ledger, &watch, &findings).await;
    if let Err(cause) = shown {
        findings.add("the account cannot be read", format!("{cause:#}"));
    }
    verdict(&system, seed, &findings)
}

/// Heals everything and waits until nothing is under way, looking at the status all the while.
async fn close(system: &System, watch: &mut Watch, findings: &Findings) -> Result<()> {
    step("Nothing is sent any more; waiting until nothing is under way");
    system.heal();
    tokio::select! {
        drained = story::drained(system) => drained?,
        () = watch.run() => {}
    }
    for url in system.replicas() {
        let status = Status::read(&url).await?;
        if !status.adds_up() || status.unfinished() > 0 {
            findings.add("the last status is not at rest", format!("{status:?}"));
        }
    }
    Ok(())
}

/// Judges and shows the account.
async fn show(
    system: &System,
    story: &Story,
    ledger: &Ledger,
    watch: &Watch,
    findings: &Findings,
) -> Result<()> {
    let records = ledger.all();
    let account = account::Account::read(&mut system.connect().await?, records.len()).await?;
    account.judge(&records, &story.log, findings);
    check_status(system, &account, findings).await?;
    step("The services");
    let held = system.check_held(&story.first_held, findings).await?;
    say(table(&held).trim_end());
    system.check_logs(findings);
    step("The closing account");
    say(table(&account.rows(&records)).trim_end());
    for example in account.given_up(&records, &story.log) {
        say(&format!("  given up: {example}"));
    }
    let mishaps = count(u64::try_from(story.log.len())?);
    let (samples, unanswered) = (count(watch.samples), count(watch.unanswered));
    say(&format!(
        "  after {mishaps} mishaps; the status was read {samples} times, and {unanswered} times not"
    ));
    Ok(())
}

/// Compares what the replicas tell with what is in the streams.
async fn check_status(
    system: &System,
    account: &account::Account,
    findings: &Findings,
) -> Result<()> {
    for url in system.replicas() {
        let status = Status::read(&url).await?;
        let (processed, failed) = (account.processed_entries(), account.failed_entries());
        if (status.processed, status.dead_lettered) != (processed, failed) {
            let example = format!("{processed} processed, {failed} failed; {status:?}");
            findings.add("the last status does not fit the streams", example);
        }
    }
    Ok(())
}

fn verdict(system: &System, seed: u64, findings: &Findings) -> Result<ExitCode> {
    if findings.is_empty() {
        say(&format!("\nEverything adds up (--seed {seed})."));
        return Ok(ExitCode::SUCCESS);
    }
    step("What is wrong");
    findings.show();
    let logs = system.keep_logs(seed)?;
    warn(&format!(
        "\n--seed {seed}; the logs are in {}",
        logs.display()
    ));
    Ok(ExitCode::FAILURE)
}

/// Reads a number of minutes, of at least three seconds and at most a day.
fn minutes(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (0.05..=1_440.0).contains(&minutes) => {
            Ok(Duration::from_secs_f64(minutes * 60.0))
        }
        _ => Err("not a number between 0.05 and 1440".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_may_be_fractions_but_neither_nothing_nor_no_number() {
        assert_eq!(minutes("0.5"), Ok(Duration::from_secs(30)));
        for text in ["0", "-1", "NaN", "2 h"] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }
}
