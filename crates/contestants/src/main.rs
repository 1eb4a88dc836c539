//! What the services are measured against: minimal clients that do the same by hand.
//!
//! `cargo xtask bench` runs each as a process of its own and reads the line of JSON it prints. They
//! speak RESP2 over blocking sockets, carry the same message bodies and write entries of the same
//! fields as the services, and leave out everything else: no retries, no de-duplication, no reconnects.
//!
//! | command | does |
//! |---|---|
//! | `publish` | publishes made-up messages, the load of everything that listens to the channel |
//! | `feed` | adds the same messages to a stream, the load of `streams-worker` |
//! | `bare` | adds an entry for each message it hears: the way without a service between |
//! | `streams-worker` | a worker of a plain Redis stream |
//! | `http-worker` | a worker of the group that takes single messages and says nothing of itself |
//! | `entry-worker` | a worker of the group that takes batches and answers with the entries |
//! | `fetch-worker` | the same, that fetches its messages |
//! | `ceiling` | as many messages delivered and entries added at once as Redis can carry |
//! | `deliver` | the messages of that alone |
//! | `probe` | the time from publishing to the entry, at a steady pace |
//! | `arrivals` | the same with messages that come at random |

mod bare;
mod ceiling;
mod entry_worker;
mod http;
mod http_worker;
mod load;
mod message;
mod pipeline;
mod probe;
mod resp;
mod streams_worker;

use std::num::NonZeroU32;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

/// What the services are measured against.
#[derive(Debug, Parser)]
#[command(name = "contestants")]
struct Arguments {
    /// The port of Redis on 127.0.0.1.
    #[arg(long)]
    port: u16,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish made-up messages as fast as Redis takes them.
    Publish(Count),
    /// Add made-up messages to the input stream of the workers as fast as Redis takes them.
    Feed(Count),
    /// Add an entry for each message of the channel, until killed.
    Bare,
    /// Read the input stream with others and add an entry for each message, until killed.
    StreamsWorker {
        /// What Redis calls this reader.
        #[arg(long)]
        name: String,
    },
    /// Take messages of the group one by one and add an entry for each, until killed.
    HttpWorker(http_worker::Work),
    /// Take batches of the group and answer with their entries, until killed.
    EntryWorker(entry_worker::Group),
    /// Fetch messages of the group and settle them with their entries, until killed.
    FetchWorker(entry_worker::Group),
    /// Deliver messages to a subscriber and add entries, both at once.
    Ceiling(Count),
    /// Deliver messages to a subscriber, and nothing else.
    Deliver(Count),
    /// Publish at a steady pace and take the time until each message's entry can be read.
    Probe(probe::steady::Pace),
    /// The same with messages that come at random.
    Arrivals(probe::poisson::Arrivals),
}

#[derive(Debug, Clone, Copy, Args)]
struct Count {
    /// How many messages.
    #[arg(long)]
    count: NonZeroU32,
}

fn main() -> Result<()> {
    let Arguments { port, command } = Arguments::parse();
    match command {
        Command::Publish(Count { count }) => load::publish(port, count.get()),
        Command::Feed(Count { count }) => load::feed(port, count.get()),
        Command::Bare => bare::run(port),
        Command::StreamsWorker { name } => streams_worker::run(port, &name),
        Command::HttpWorker(work) => http_worker::run(port, work),
        Command::EntryWorker(group) => entry_worker::run_pushed(group),
        Command::FetchWorker(group) => entry_worker::run_fetching(group),
        Command::Ceiling(Count { count }) => ceiling::run(port, count.get()),
        Command::Deliver(Count { count }) => ceiling::deliver(port, count.get()),
        Command::Probe(pace) => probe::steady::run(port, pace),
        Command::Arrivals(arrivals) => probe::poisson::run(port, arrivals),
    }
}

/// Prints a line for the program that started this one.
#[expect(clippy::print_stdout, reason = "the line is what this program is for")]
fn tell(line: &serde_json::Value) {
    println!("{line}");
}
