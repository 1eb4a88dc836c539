//! The requests of workers that wait for messages, the oldest first.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::delivery::Delivery;

/// How many requests may wait.
const WAITING: usize = 1024;

/// How many bytes of messages one request is given at the most, unless a single message is larger.
const MOST_BYTES: usize = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<VecDeque<Request>>);

#[derive(Debug)]
struct Request {
    most: usize,
    given: oneshot::Sender<Vec<Delivery>>,
}

impl Requests {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a request wait for up to `most` messages; `None` when too many wait.
    pub(super) fn add(&self, most: usize) -> Option<oneshot::Receiver<Vec<Delivery>>> {
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING {
            waiting.retain(|request| !request.given.is_closed());
        }
        if waiting.len() >= WAITING {
            return None;
        }
        let (given, receiver) = oneshot::channel();
        waiting.push_back(Request { most, given });
        Some(receiver)
    }

    /// How many messages are waited for.
    pub(super) fn wanted(&self) -> usize {
        let mut waiting = self.waiting();
        waiting.retain(|request| !request.given.is_closed());
        waiting.iter().map(|request| request.most).sum()
    }

    /// Gives messages to the requests that wait, each what is there; answers what is left.
    pub(super) fn give(&self, mut deliveries: VecDeque<Delivery>) -> VecDeque<Delivery> {
        let mut waiting = self.waiting();
        while !deliveries.is_empty()
            && let Some(Request { most, given }) = waiting.pop_front()
        {
            if given.is_closed() {
                continue;
            }
            if let Err(refused) = given.send(batch(&mut deliveries, most)) {
                for delivery in refused.into_iter().rev() {
                    deliveries.push_front(delivery);
                }
            }
        }
        deliveries
    }
}

/// What one request gets. What may be what makes workers fail goes alone.
fn batch(deliveries: &mut VecDeque<Delivery>, most: usize) -> Vec<Delivery> {
    let mut batch: Vec<Delivery> = Vec::new();
    let mut bytes = 0;
    while batch.len() < most
        && let Some(next) = deliveries.front()
    {
        bytes += next.leased.bytes();
        let is_company = !batch.is_empty();
        if is_company
            && (bytes > MOST_BYTES || next.leased.goes_alone || batch[0].leased.goes_alone)
        {
            break;
        }
        batch.extend(deliveries.pop_front());
    }
    batch
}
