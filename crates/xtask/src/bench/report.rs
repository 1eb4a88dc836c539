//! All figures, as a table for people and as JSON for machines.

use std::{fmt, thread::available_parallelism};

use indicatif::BinaryBytes;
use serde::Serialize;

use super::{round::Round, usage::ProcessUsage, work::Work};
use crate::output::{count, table};

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// How many cores everything shared.
    cores: usize,
    messages: u32,
    consumers: u8,
    rounds: Vec<Round>,
    work: Work,
}

impl Report {
    pub(super) fn new(messages: u32, consumers: u8, rounds: Vec<Round>, work: Work) -> Self {
        Self {
            cores: available_parallelism().map_or(0, usize::from),
            messages,
            consumers,
            rounds,
            work,
        }
    }

    /// The median of a figure of all rounds, and how far it went.
    fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure).collect())
    }

    fn sum(&self, figure: impl Fn(&Round) -> u64) -> String {
        count(self.rounds.iter().map(figure).sum())
    }

    fn speed_rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str, spread: &Spread| {
            let range = format!("{:.0} to {:.0}", spread.least, spread.most);
            vec![name.to_owned(), format!("{:.0}", spread.median), range]
        };
        let share = self.spread(|round| round.share_of_xadd * 100.0);
        let range = format!("{:.1} to {:.1}", share.least, share.most);
        let cells = |name: &str, value: String| vec![name.to_owned(), value];
        vec![
            row(
                "messages/s, first publish to last entry",
                &self.spread(|round| round.messages_per_second),
            ),
            row(
                "redis-benchmark XADD of the same entry, entries/s",
                &self.spread(|round| round.xadd_per_second),
            ),
            vec![
                "our part of that, %".to_owned(),
                format!("{:.1}", share.median),
                range,
            ],
            cells("duplicates, all rounds", self.sum(|round| round.duplicates)),
            cells("lost, all rounds", self.sum(|round| round.lost)),
            cells("failed, all rounds", self.sum(|round| round.failed)),
        ]
    }

    fn process_rows(&self) -> Vec<Vec<String>> {
        let head = ["process", "peak memory", "CPU ms per 1,000 messages"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let Some(first) = self.rounds.first() else {
            return rows;
        };
        for (place, process) in first.processes.iter().enumerate() {
            let of = |round: &Round| round.processes.get(place).cloned();
            let found: Vec<ProcessUsage> = self.rounds.iter().filter_map(of).collect();
            let cpu = found.iter().map(ProcessUsage::cpu_ms).collect();
            let peak = found.iter().map(|usage| usage.peak_memory_bytes).max();
            rows.push(vec![
                process.name.clone(),
                BinaryBytes(peak.unwrap_or(0)).to_string(),
                format!("{:.2}", Spread::of(cpu).median),
            ]);
        }
        let all = self.spread(|round| round.processes.iter().map(ProcessUsage::cpu_ms).sum());
        rows.push(vec![
            "all".to_owned(),
            String::new(),
            format!("{:.2}", all.median),
        ]);
        rows
    }

    fn work_rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str, value: f64| vec![name.to_owned(), format!("{value:.1}")];
        vec![
            row("1 consumer, messages/s", self.work.one_consumer_per_second),
            row(
                "8 consumers, messages/s",
                self.work.eight_consumers_per_second,
            ),
            row("ratio", self.work.ratio),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} messages, {} consumers, one message a request, {} cores for everything\n  \
             medians of {} rounds (least to most); memory is the most of all rounds\n",
            count(self.messages.into()),
            self.consumers,
            self.cores,
            self.rounds.len()
        )?;
        writeln!(f, "{}", table(&self.speed_rows()))?;
        writeln!(f, "{}", table(&self.process_rows()))?;
        writeln!(f, "  10 ms of work a message, one at a time\n")?;
        write!(f, "{}", table(&self.work_rows()))
    }
}

impl ProcessUsage {
    fn cpu_ms(&self) -> f64 {
        self.cpu_seconds_per_1000_messages * 1000.0
    }
}

/// A figure over several rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (figures.first(), figures.last()) else {
            return Self::default();
        };
        let lower = figures[(figures.len() - 1) / 2];
        let upper = figures[figures.len() / 2];
        Self {
            median: f64::midpoint(lower, upper),
            least,
            most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        let spread = |figures: &[f64]| Spread::of(figures.to_vec());
        assert_eq!(spread(&[]), Spread::default());
        assert_eq!(spread(&[3.0]).median, 3.0);
        let odd = spread(&[9.0, 1.0, 2.0]);
        assert_eq!((odd.median, odd.least, odd.most), (2.0, 1.0, 9.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]).median, 3.0);
    }
}
