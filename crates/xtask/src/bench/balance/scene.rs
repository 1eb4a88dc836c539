//! The scenes: which consumers, what work, how many messages.

use std::{fmt, time::Duration};

use anyhow::Result;
use local_stack::RedisServer;
use rand::{SeedableRng, rngs::StdRng};
use serde::Serialize;

use super::{ideal, quantiles::Quantiles};
use crate::bench::{
    contestant::{Contestant, Workers},
    system::{LARGE_ROUND, System, SystemOptions},
};

/// How much comes, as a part of what the consumers can do.
pub(super) const LOAD: f64 = 0.7;

/// One message of so many is of the warm-up, in which connections are made and limits are learnt.
const WARM_UP: u32 = 20;

/// How often the ideal is simulated, as it chooses by chance.
const SIMULATIONS: usize = 100;

/// An attempt may wait in a consumer as long as it takes: what becomes of those that time out is another matter.
const PATIENT: [&str; 2] = ["--attemptTimeoutMs", "60000"];

/// As many messages as it takes for a 99th percentile to mean something, in a few minutes altogether.
pub(super) const SCENES: [Scene; 3] = [
    Scene {
        consumers: 8,
        work_ms: 100,
        slow_ms: None,
        messages: 2500,
    },
    Scene {
        consumers: 8,
        work_ms: 1000,
        slow_ms: None,
        messages: 1000,
    },
    Scene {
        consumers: 3,
        work_ms: 20,
        slow_ms: Some(200),
        messages: 5000,
    },
];

/// Consumers that work on one message at a time, and how many messages come.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Scene {
    /// How many take `work_ms` for a message.
    consumers: u8,
    work_ms: u32,
    /// What one more takes.
    slow_ms: Option<u32>,
    messages: u32,
}

impl Scene {
    pub(super) fn messages(&self) -> u32 {
        self.messages
    }

    /// How many of the first messages are not measured.
    pub(super) fn warm_up(&self) -> usize {
        usize::try_from(self.messages / WARM_UP).unwrap_or_default()
    }

    pub(super) fn messages_per_second(&self) -> f64 {
        let most = self.work().map(|work| work.as_secs_f64().recip());
        LOAD * most.sum::<f64>()
    }

    /// What each consumer takes for a message.
    fn work(&self) -> impl Iterator<Item = Duration> {
        let regular = (0..self.consumers).map(|_| self.work_ms);
        let all = regular.chain(self.slow_ms);
        all.map(|ms| Duration::from_millis(ms.into()))
    }

    /// Starts what a contestant needs, with these consumers.
    pub(super) async fn start(
        &self,
        server: &RedisServer,
        contestant: Contestant,
    ) -> Result<System> {
        let work = self.work_ms.to_string();
        let slow = self.slow_ms.map(|ms| ms.to_string());
        let slow = slow.as_deref().map(|ms| worker_args(contestant, ms));
        let options = SystemOptions {
            group_args: &[&LARGE_ROUND[..], &PATIENT].concat(),
            consumer_args: &worker_args(contestant, &work),
            other_consumer: slow.as_deref(),
            ..SystemOptions::of(server, contestant, self.consumers.into())
        };
        System::start(options).await
    }

    /// The milliseconds that messages take through one ideal queue, if they arrive at these microseconds.
    pub(super) fn ideal_ms(&self, due_us: &[f64], seed: u64) -> Result<Quantiles> {
        let due = due_us
            .iter()
            .map(|us| Duration::try_from_secs_f64(us / 1e6));
        let due: Vec<_> = due.collect::<Result<_, _>>()?;
        let work: Vec<_> = self.work().collect();
        let mut random = StdRng::seed_from_u64(seed);
        let mut times = Vec::new();
        for _ in 0..SIMULATIONS {
            let simulated = ideal::simulate(&due, &work, &mut random).into_iter();
            times.extend(simulated.skip(self.warm_up()));
        }
        Ok(Quantiles::of(
            times.iter().map(|time| time.as_secs_f64() * 1e3),
        ))
    }
}

/// What a worker is told that takes so many milliseconds for a message.
fn worker_args(contestant: Contestant, work_ms: &str) -> Vec<&str> {
    match contestant.workers() {
        Some(Workers::ByHand(_)) => vec!["--work-ms", work_ms],
        Some(Workers::Ours(_)) | None => {
            let one_by_one = ["--processingConcurrency", "1", "--processingDelayMs"];
            [&one_by_one[..], &[work_ms]].concat()
        }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            consumers, work_ms, ..
        } = self;
        write!(f, "{consumers} with {work_ms} ms")?;
        match self.slow_ms {
            Some(slow_ms) => write!(f, ", one with {slow_ms} ms"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Scene = Scene {
        consumers: 3,
        work_ms: 20,
        slow_ms: Some(200),
        messages: 40,
    };

    #[test]
    fn the_slow_one_is_counted_as_it_is() {
        let capacity = 50.0 * 3.0 + 5.0;
        assert!((SLOW.messages_per_second() - LOAD * capacity).abs() < 1e-9);
        assert_eq!(SLOW.to_string(), "3 with 20 ms, one with 200 ms");
    }

    #[test]
    fn the_warm_up_is_left_out_of_the_ideal() {
        // All at once, two of them of the warm-up: of those that are measured none is as quick as the first.
        let ideal = SLOW.ideal_ms(&[0.0; 40], 1).unwrap().each();
        assert!(ideal[0] > 20.0, "{ideal:?}");
        // Far apart each takes its work.
        let apart: Vec<_> = (0..40).map(|number| f64::from(number) * 1e6).collect();
        let ideal = SLOW.ideal_ms(&apart, 1).unwrap().each();
        assert_eq!(ideal, [20.0, 200.0, 200.0]);
    }
}
