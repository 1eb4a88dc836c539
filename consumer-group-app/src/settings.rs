//! What an operator can set about the group.

mod list;

use std::{
    num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize},
    time::Duration,
};

use protocol::keys::beside;
use redis_bus::RedisSettings;
use serde::Deserialize;
use service_kit::{
    http_server::Address,
    settings::{Loaded, SettingsError},
    shutdown::ServiceSettings,
};

pub(crate) use list::PROGRAM;

use crate::{consumer::window::Most, dispatch::selection::Selection, intake::Bounds};

/// The settings of the group, by section.
#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    pub(crate) redis: RedisSettings,
    pub(crate) names: Names,
    pub(crate) rest_api: Address,
    pub(crate) consumers: Consumers,
    pub(crate) delivery: DeliverySettings,
    pub(crate) retention: RetentionSettings,
    pub(crate) dashboard: DashboardSettings,
    pub(crate) service: ServiceSettings,
}

impl Settings {
    /// The settings of the group, if they go together.
    pub(crate) fn read(loaded: &Loaded) -> Result<Self, SettingsError> {
        let settings: Self = loaded.read()?;
        let keys = ["names.processed_stream", "names.consumer_list"];
        loaded.expect_distinct(&keys, &beside(&settings.names.processed_stream))?;
        Ok(settings)
    }
}

/// Section `[names]`: what things are called in Redis.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Names {
    pub(crate) published_channel: String,
    pub(crate) consumer_list: String,
    pub(crate) processed_stream: String,
}

/// Section `[consumers]`.
#[derive(Debug, Deserialize)]
pub(crate) struct Consumers {
    pub(crate) max_consumer_group_size: NonZeroUsize,
    health_check_interval_seconds: NonZeroU64,
    max_in_flight_per_consumer: NonZeroU16,
    max_batch: NonZeroU16,
    pub(crate) selection: Selection,
}

impl Consumers {
    pub(crate) fn health_check_interval(&self) -> Duration {
        Duration::from_secs(self.health_check_interval_seconds.get())
    }

    /// How much any consumer is given at the most.
    pub(crate) fn most(&self) -> Most {
        Most {
            requests: self.max_in_flight_per_consumer.get().into(),
            batch: self.max_batch.get().into(),
        }
    }
}

/// Section `[retention]`.
#[derive(Debug, Deserialize)]
pub(crate) struct RetentionSettings {
    dedup_window_seconds: u64,
    /// About how many entries the stream of processed messages keeps; zero: all.
    pub(crate) processed_max_len: u64,
}

impl RetentionSettings {
    /// How long an id is remembered; zero: not at all.
    pub(crate) fn dedup_window(&self) -> Duration {
        Duration::from_secs(self.dedup_window_seconds)
    }
}

/// Section `[dashboard]`.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct DashboardSettings {
    /// Whether dead letters may be replayed over HTTP.
    pub(crate) replay: bool,
}

/// Section `[delivery]`.
#[derive(Debug, Deserialize)]
pub(crate) struct DeliverySettings {
    max_deliveries: NonZeroU64,
    max_attempts: NonZeroU32,
    attempt_timeout_ms: NonZeroU64,
    max_buffered_messages: NonZeroUsize,
    max_buffered_bytes: NonZeroUsize,
}

impl DeliverySettings {
    pub(crate) fn attempt_timeout(&self) -> Duration {
        Duration::from_millis(self.attempt_timeout_ms.get())
    }

    /// How often a message is tried.
    pub(crate) fn max_attempts(&self) -> u64 {
        self.max_attempts.get().into()
    }

    /// How often a message may be handed to a group or consumer that dies with it.
    pub(crate) fn max_deliveries(&self) -> u64 {
        self.max_deliveries.get()
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            messages: self.max_buffered_messages.get(),
            bytes: self.max_buffered_bytes.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_shipped_file_names_every_setting_with_its_default() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        PROGRAM
            .check_shipped_file(&root.join("../config/consumer-group-app.properties"))
            .unwrap();
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
        let loaded = PROGRAM.load(["consumer-group-app".into()], []).unwrap();
        let settings: Settings = loaded.read().unwrap();
        assert_eq!(settings.rest_api.port, 5000);
        assert_eq!(settings.consumers.max_consumer_group_size.get(), 5);
        assert_eq!(settings.delivery.max_attempts(), 10);
        assert_eq!(settings.delivery.bounds().bytes, 256 << 20);
    }

    #[test]
    fn a_value_out_of_range_is_told_with_key_and_source() {
        let args = ["consumer-group-app", "--maxConsumerGroupSize", "0"].map(Into::into);
        let error = PROGRAM.load(args, []).unwrap_err().to_string();
        assert!(
            error.contains("consumers.max_consumer_group_size"),
            "{error}"
        );
        assert!(error.contains("--maxConsumerGroupSize"), "{error}");
    }
}
