//! What can be set about consumer-app beyond what every consumer has.

use std::time::Duration;

use build_stamp::BUILD;
use serde::Deserialize;
use service_kit::{
    program,
    settings::{Program, Setting, ValueKind},
};

/// The program and all its settings.
pub(crate) const PROGRAM: Program = Program {
    name: "consumer-app",
    about: "A worker of the consumer group: takes messages over HTTP, adds a random property, and \
            writes them to the stream of processed messages.",
    build: BUILD,
    environment: "CONSUMER_APP",
    default_file: "config/consumer-app.properties",
    settings: &[consumer_kit::SETTINGS, SAMPLE_SETTINGS],
    service: program::SETTINGS,
};

const SAMPLE_SETTINGS: &[Setting] = &[Setting {
    key: "sample.processing_delay_ms",
    flag: "processingDelayMs",
    value_name: "MILLISECONDS",
    kind: ValueKind::number(0, 86_400_000, "milliseconds"),
    default: Some("0"),
    help: "How long the sample processor takes for a message, to simulate real work",
    heading: "Processing",
}];

/// The sections only this program reads.
#[derive(Debug, Deserialize)]
pub(crate) struct SampleSettings {
    sample: Sample,
}

#[derive(Debug, Deserialize)]
struct Sample {
    processing_delay_ms: u64,
}

impl SampleSettings {
    pub(crate) fn processing_delay(&self) -> Duration {
        Duration::from_millis(self.sample.processing_delay_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use consumer_kit::ConsumerSettings;

    use super::*;

    #[test]
    fn the_shipped_file_names_every_setting_with_its_default() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/consumer-app.properties");
        PROGRAM.check_shipped_file(&file).unwrap();
    }

    #[test]
    fn the_document_lists_every_setting() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        PROGRAM
            .check_table(&root.join("../docs/settings.md"))
            .unwrap();
    }

    #[test]
    fn the_defaults_are_usable() {
        let loaded = PROGRAM.load(["consumer-app".into()], []).unwrap();
        ConsumerSettings::read(&loaded).unwrap();
        assert_eq!(
            loaded.read::<SampleSettings>().unwrap().processing_delay(),
            Duration::ZERO
        );
    }
}
