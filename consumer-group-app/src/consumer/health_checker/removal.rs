//! How consumers are removed from the list.

use std::collections::HashMap;

use protocol::ConsumerId;
use redis_bus::BusError;
use tracing::{info, warn};

use super::HealthChecker;

impl HealthChecker {
    /// Removes those that are dead, each for its reason.
    pub(super) async fn remove(&self, dead: HashMap<ConsumerId, String>) -> Result<(), BusError> {
        if dead.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = dead.keys().cloned().collect();
        for id in self.list.unregister(&ids).await? {
            if let Some(suppressed) = self.lines.due() {
                let cause = dead.get(&id);
                warn!(consumer.id = %id, cause, suppressed,
                    "removed a consumer that does not answer");
            }
        }
        self.requests.sweeps.removed();
        Ok(())
    }

    /// Removes one that asked for it.
    pub(super) async fn take_leave(&mut self, id: ConsumerId) {
        self.missed.remove(&id);
        match self.list.unregister(std::slice::from_ref(&id)).await {
            Ok(_) => {
                info!(consumer.id = %id, "unregistered a consumer that answered 410");
                self.requests.sweeps.removed();
            }
            Err(cause) => self.log_failure(&cause),
        }
    }
}
