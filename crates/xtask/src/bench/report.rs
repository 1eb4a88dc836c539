//! All figures, as a table for people and as JSON for machines.

use std::fmt;

use indicatif::BinaryBytes;
use serde::Serialize;

use super::{
    commit::Commit,
    round::{Round, Way},
    usage::ProcessUsage,
    work::Work,
};
use crate::output::{count, table};

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// How many cores everything shared.
    pub(super) cores: usize,
    pub(super) messages: u32,
    pub(super) consumers: u8,
    pub(super) rounds: Vec<Round>,
    pub(super) work: Work,
    pub(super) commit: Commit,
}

impl Report {
    fn of(&self, way: Way) -> impl Iterator<Item = &Round> {
        self.rounds.iter().filter(move |round| round.way == way)
    }

    /// The median of a figure of all rounds of a way, and how far it went.
    fn spread(&self, way: Way, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.of(way).map(figure).collect())
    }

    fn speed_rows(&self) -> Vec<Vec<String>> {
        let head = ["", "messages/s", "% of XADD", "twice", "lost", "failed"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for way in Way::ALL {
            let speed = self.spread(way, |round| round.messages_per_second);
            let share = self.spread(way, |round| round.share_of_xadd * 100.0);
            let sum = |figure: fn(&Round) -> u64| count(self.of(way).map(figure).sum());
            rows.push(vec![
                way.name().to_owned(),
                speed.to_string(),
                format!("{:.1}", share.median),
                sum(|round| round.duplicates),
                sum(|round| round.lost),
                sum(|round| round.failed),
            ]);
        }
        let xadd = self.rounds.iter().map(|round| round.xadd_per_second);
        rows.push(vec![
            "redis-benchmark, XADD of the same entry".to_owned(),
            Spread::of(xadd.collect()).to_string(),
        ]);
        rows
    }

    fn process_rows(&self, way: Way) -> Vec<Vec<String>> {
        let head = [way.name(), "peak memory", "CPU ms per 1,000 messages"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let Some(first) = self.of(way).next() else {
            return rows;
        };
        for (place, process) in first.processes.iter().enumerate() {
            let of = |round: &Round| round.processes.get(place).cloned();
            let found: Vec<ProcessUsage> = self.of(way).filter_map(of).collect();
            let cpu = found.iter().map(ProcessUsage::cpu_ms).collect();
            let peak = found.iter().map(|usage| usage.peak_memory_bytes).max();
            rows.push(vec![
                process.name.clone(),
                BinaryBytes(peak.unwrap_or(0)).to_string(),
                format!("{:.2}", Spread::of(cpu).median),
            ]);
        }
        let all = self.spread(way, |round| {
            round.processes.iter().map(ProcessUsage::cpu_ms).sum()
        });
        rows.push(vec![
            "all".to_owned(),
            String::new(),
            format!("{:.2}", all.median),
        ]);
        rows
    }

    fn commit_rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let commit = self.commit;
        vec![
            row("XADD, entries/s", format!("{:.0}", commit.plain_per_second)),
            row(
                "commit script, entries/s",
                format!("{:.0}", commit.committed_per_second),
            ),
            row("ratio", format!("{:.2}", commit.ratio)),
            row(
                "memory of an id, bytes",
                format!("{:.0}", commit.bytes_per_id),
            ),
        ]
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
            "  {} messages, {} consumers, one message a request, {} cores for everything, from the\n  \
             first publish to the last entry; medians of {} rounds (least to most); memory is the\n  \
             most of all rounds\n",
            count(self.messages.into()),
            self.consumers,
            self.cores,
            self.of(Way::Memory).count()
        )?;
        writeln!(f, "{}", table(&self.speed_rows()))?;
        for way in Way::ALL {
            writeln!(f, "{}", table(&self.process_rows(way)))?;
        }
        writeln!(
            f,
            "  Batches of 500 entries, pipelined or through the commit script\n"
        )?;
        writeln!(f, "{}", table(&self.commit_rows()))?;
        writeln!(f, "  10 ms of work a message, one at a time\n")?;
        write!(f, "{}", table(&self.work_rows()))
    }
}

impl ProcessUsage {
    fn cpu_ms(&self) -> f64 {
        self.cpu_seconds_per_1000_messages * 1000.0
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            median,
            least,
            most,
        } = self;
        write!(f, "{median:.0} ({least:.0} to {most:.0})")
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
