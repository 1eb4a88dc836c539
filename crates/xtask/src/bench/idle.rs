//! What processes take that have nothing to do.

use std::time::Duration;

use anyhow::Result;
use indicatif::BinaryBytes;
use local_stack::{
    RedisServer,
    usage::{cpu_time, memory_bytes},
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    contestant::Contestant,
    system::{Process, System, SystemOptions},
};
use crate::output::{step, table};

/// How long it is looked at.
const TIME: Duration = Duration::from_secs(10);

/// What is started, all at once.
const CONTESTANTS: [Contestant; 2] = [Contestant::PushBatch, Contestant::Pull];

/// What one process took.
#[derive(Debug, Serialize)]
pub(super) struct Idle {
    contestant: Contestant,
    name: String,
    percent_of_a_core: f64,
    memory_bytes: u64,
}

/// Looks at systems side by side that nobody sends messages to.
pub(super) async fn run(server: &RedisServer, consumers: usize) -> Result<Vec<Idle>> {
    step(&format!("Nothing to do for {TIME:?}"));
    let mut systems = Vec::new();
    let mut processes = Vec::new();
    for contestant in CONTESTANTS {
        let system = System::start(SystemOptions::of(server, contestant, consumers)).await?;
        processes.extend(system.processes()?.into_iter().map(|one| (contestant, one)));
        systems.push(system);
    }
    // What the start has set going is over soon.
    sleep(Duration::from_secs(1)).await;
    let used = |(_, process): &(Contestant, Process)| cpu_time(process.pid);
    let before: Vec<_> = processes.iter().map(used).collect::<Result<_>>()?;
    let started = Instant::now();
    sleep(TIME).await;
    let mut idle = Vec::new();
    for ((contestant, process), before) in processes.into_iter().zip(before) {
        let used = cpu_time(process.pid)?.saturating_sub(before);
        idle.push(Idle {
            contestant,
            percent_of_a_core: 100.0 * used.as_secs_f64() / started.elapsed().as_secs_f64(),
            memory_bytes: memory_bytes(process.pid)?,
            name: process.name,
        });
    }
    for system in systems {
        system.stop().await?;
    }
    Ok(idle)
}

/// Every process.
pub(super) fn shown(idle: &[Idle]) -> String {
    let head = ["", "process", "% of a core", "memory"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(idle.iter().map(|one| {
        vec![
            one.contestant.name().to_owned(),
            one.name.clone(),
            format!("{:.2}", one.percent_of_a_core),
            BinaryBytes(one.memory_bytes).to_string(),
        ]
    }));
    table(&rows)
}
