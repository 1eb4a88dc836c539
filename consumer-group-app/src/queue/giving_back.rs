//! Gives messages back to the queue that this replica was handed and did not deliver.

use std::{collections::HashMap, time::Duration};

use protocol::ChunkId;
use redis_bus::{
    BusError,
    chunk_queue::{Lease, Leases},
};

use crate::delivery::{Delivery, Ending, LeasedMessage};

/// Gives back what was not tried, so that another reader has it at once; the rest it takes over in time. The deliveries
/// are still to be finished.
///
/// # Errors
/// When Redis cannot be told; all of it is taken over in time then.
pub(crate) async fn give_back(leases: &Leases, rest: &[Delivery]) -> Result<(), BusError> {
    for (lease, deliveries) in untried(rest) {
        leases.give_back(lease, deliveries, Duration::ZERO).await?;
    }
    Ok(())
}

/// Ends deliveries that were given back.
pub(crate) fn release(rest: Vec<Delivery>) {
    let each = rest.into_iter();
    Delivery::finish_all(each.map(|delivery| (delivery, Ending::Released)));
}

/// The chunks of which no message was tried, and how often they were handed out before: that they were here
/// does not count against their messages.
fn untried(rest: &[Delivery]) -> impl Iterator<Item = (Lease, u64)> {
    let mut chunks: HashMap<ChunkId, (&LeasedMessage, bool)> = HashMap::new();
    for delivery in rest {
        let leased = &delivery.leased;
        let is_tried = leased.attempts > leased.fruitless;
        let chunk = leased.at.position.chunk();
        chunks.entry(chunk).or_insert((leased, false)).1 |= is_tried;
    }
    let untried = chunks.into_values().filter(|(_, is_tried)| !is_tried);
    untried.map(|(leased, _)| (leased.at.lease.clone(), leased.deliveries_before))
}
