//! consumer-app: a worker of the consumer group with a sample processor.
//!
//! All it does stands in `consumer-kit`; start there to write a worker of your own.

mod sample_processor;
mod settings;

use std::process::ExitCode;

use build_stamp::BUILD;
use consumer_kit::{ConsumerSettings, Worker};
use mimalloc::MiMalloc;
use sample_processor::SampleProcessor;
use service_kit::{program, settings::Loaded};
use settings::{PROGRAM, SampleSettings};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let read = |loaded: &Loaded| Ok((ConsumerSettings::read(loaded)?, loaded.read()?));
    program::start(
        &PROGRAM,
        read,
        async |settings: (ConsumerSettings, SampleSettings)| {
            let (settings, sample) = settings;
            let processor = SampleProcessor::new(sample.processing_delay());
            let worker = Worker::bind(PROGRAM.name, settings, processor).await?;
            worker.built_from(BUILD).run().await
        },
    )
}
