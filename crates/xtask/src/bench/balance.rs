//! How evenly messages are handed out: how long each takes when the work on it is long, beside what one central
//! queue would make of the same arrivals.
//!
//! Messages come at random at a rate below what the consumers can do. So some consumers are free most of the time,
//! and a message that waits for a busy one shows. The work is a pause and next to nothing is computed, so that the
//! contestants run side by side, each with a Redis of its own.

mod ideal;
mod quantiles;
mod scene;

use std::{fmt, time::Duration};

use anyhow::{Context, Result};
use local_stack::RedisServer;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

pub(super) use self::quantiles::Quantiles;
use self::scene::{LOAD, SCENES, Scene};
use super::{contestant::Contestant, helper::Helper, round::Fate};
use crate::{
    account::Account,
    output::{count, step, table},
};

/// All contestants get the same arrivals, in every run.
const SEED: u64 = 1;

/// How far apart the contestants start, so that they do not all do the same at the same instant.
const APART: Duration = Duration::from_millis(7);

/// How much longer than its messages come a probe may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a scene came to.
#[derive(Debug, Serialize)]
pub(super) struct Balance {
    scene: Scene,
    messages_per_second: f64,
    ideal_ms: Quantiles,
    pub(super) ways: Vec<Way>,
}

/// What a contestant made of a scene.
#[derive(Debug, Serialize)]
pub(super) struct Way {
    pub(super) contestant: Contestant,
    took_ms: Quantiles,
    pub(super) times_ideal: Quantiles,
    fate: Fate,
    /// How late behind its schedule the probe published, at most.
    late_us_p99: f64,
}

/// What the probe tells; see `crates/contestants/src/probe/poisson.rs`.
#[derive(Debug, Deserialize)]
struct Told {
    due_us: Vec<f64>,
    took_us: Vec<Option<f64>>,
    late_us_p99: f64,
}

/// Scene by scene, the contestants side by side.
pub(super) async fn run(server: &RedisServer) -> Result<Vec<Balance>> {
    let mut scenes = Vec::new();
    for scene in SCENES {
        let seconds = f64::from(scene.messages()) / scene.messages_per_second();
        step(&format!("Balance: {scene}, for {seconds:.0} s"));
        scenes.push(measure(server, scene).await?);
    }
    Ok(scenes)
}

async fn measure(server: &RedisServer, scene: Scene) -> Result<Balance> {
    let mut systems = Vec::new();
    for contestant in Contestant::BALANCED {
        systems.push((contestant, scene.start(server, contestant).await?));
    }
    let rate = scene.messages_per_second();
    let [rate_text, messages] = [rate.to_string(), scene.messages().to_string()];
    let seed = SEED.to_string();
    let args = ["--rate", &rate_text, "--count", &messages, "--seed", &seed];
    let args = [&["arrivals"], &args[..]].concat();
    let mut running = Vec::new();
    for (contestant, system) in systems {
        let probe = Helper::start(&system.redis, &args).await?;
        running.push((contestant, system, probe));
        sleep(APART).await;
    }
    let limit = Duration::from_secs_f64(f64::from(scene.messages()) / rate) + PATIENCE;
    let mut all = Vec::new();
    for (contestant, system, mut probe) in running {
        let told: Told = probe.told(limit).await?;
        probe.finish(limit).await?;
        let account = Account::read(&mut system.redis.connect().await?).await?;
        system.stop().await?;
        all.push((contestant, told, Fate::of(&account, scene.messages())));
    }
    let (_, told, _) = all.first().context("nobody took part")?;
    let ideal_ms = scene.ideal_ms(&told.due_us, SEED)?;
    let way = |(contestant, told, fate): (_, Told, _)| {
        let measured = told.took_us.iter().skip(scene.warm_up()).flatten();
        let took_ms = Quantiles::of(measured.map(|us| us / 1000.0));
        Way {
            contestant,
            took_ms,
            times_ideal: took_ms.over(ideal_ms),
            fate,
            late_us_p99: told.late_us_p99,
        }
    };
    Ok(Balance {
        scene,
        messages_per_second: rate,
        ideal_ms,
        ways: all.into_iter().map(way).collect(),
    })
}

/// A table for each scene.
pub(super) fn shown(scenes: &[Balance]) -> String {
    let percent = LOAD * 100.0;
    let mut text = format!(
        "  arrivals at random (Poisson), at {percent:.0} % of what the consumers can do, one message at a time each; from the\n  \
         write of PUBLISH to the read of the entry, beside one ideal central queue with the same arrivals;\n  \
         late is how far behind its schedule the probe wrote, at most\n"
    );
    for scene in scenes {
        text.push_str(&format!("\n{scene}"));
    }
    text
}

const HEAD: [&str; 11] = [
    "",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "times ideal: p50",
    "p90",
    "p99",
    "lost",
    "twice",
    "failed",
    "late, p99 us",
];

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |quantiles: Quantiles| quantiles.each().map(|ms| format!("{ms:.1}"));
        let ideal = [vec!["one ideal queue".to_owned()], ms(self.ideal_ms).into()].concat();
        let mut rows = vec![HEAD.map(str::to_owned).to_vec(), ideal];
        rows.extend(self.ways.iter().map(|way| {
            let Fate {
                duplicates,
                lost,
                failed,
            } = way.fate;
            let mut row = vec![way.contestant.name().to_owned()];
            row.extend(ms(way.took_ms));
            row.extend(way.times_ideal.each().map(|times| format!("{times:.2}")));
            row.extend([lost, duplicates, failed].map(count));
            row.push(format!("{:.0}", way.late_us_p99));
            row
        }));
        write!(
            f,
            "  {}, {} messages at {:.1}/s\n\n{}",
            self.scene,
            count(self.scene.messages().into()),
            self.messages_per_second,
            table(&rows)
        )
    }
}

impl Balance {
    /// The scene in a few words.
    pub(super) fn name(&self) -> String {
        self.scene.to_string()
    }
}
