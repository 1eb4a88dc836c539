//! The sample processor: adds one random property.

use std::time::Duration;

use consumer_kit::{Additions, Message, ProcessError, Processor};
use tokio::time::sleep;

/// Adds one property with a random name and value to each message, after a delay.
#[derive(Debug)]
pub(crate) struct SampleProcessor {
    delay: Duration,
}

impl SampleProcessor {
    pub(crate) fn new(delay: Duration) -> Self {
        Self { delay }
    }
}

impl Processor for SampleProcessor {
    async fn process(&self, _: &Message) -> Result<Additions, ProcessError> {
        if !self.delay.is_zero() {
            sleep(self.delay).await;
        }
        let name = format!("random_{:08x}", rand::random::<u32>());
        let value = format!("{:016x}", rand::random::<u64>());
        Ok(Additions::from([(name, value)]))
    }
}
