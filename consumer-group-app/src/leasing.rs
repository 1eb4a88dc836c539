//! Messages that workers fetch over HTTP, instead of having them pushed.
//!
//! A request waits until the dispatcher has messages for it. What it gets is leased for a time: the delivery stays with
//! this replica, and a note in Redis says whose turn it is, so that another replica leaves the message alone if this
//! one dies. What a message comes to is recorded by its position, whichever replica is told.

mod foreign;
mod held;
mod requests;
mod settling;
pub(crate) mod watcher;
mod workers;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use protocol::{http::leases::LeaseRequest, lease::LeaseToken};
use rand::random;
use redis_bus::chunk_queue::{LeaseRecord, QueueError};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use self::{
    held::{Held, HeldMessages},
    requests::Requests,
    workers::Workers,
};
pub(crate) use self::{settling::CameTo, workers::Worker};
use crate::{
    consumer::{sender::FailedDelivery, stats::OutcomeCounts},
    delivery::{Delivery, LeasedMessage},
    dispatch::retry_budget::RetryBudget,
    observe::status::ConsumerStatus,
    queue::{LocalQueue, recorder::Recorder},
};

/// How long a request waits at the least, so that what is there finds its way.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);

/// What workers fetch, and have fetched; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Leasing(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    recorder: Recorder,
    local_queue: LocalQueue,
    failed: mpsc::Sender<FailedDelivery>,
    budget: Arc<RetryBudget>,
    /// Notified when there is a request for the dispatcher.
    changed: Arc<Notify>,
    requests: Requests,
    held: HeldMessages,
    workers: Workers,
    closing: CancellationToken,
}

/// Why a request gets no messages, though there may be some.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    /// There are as many as may be.
    #[error("too many workers, or requests, wait for messages")]
    TooMany,
    /// The leases cannot be written.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// A message with its lease.
#[derive(Debug)]
pub(crate) struct Leased {
    pub(crate) token: LeaseToken,
    pub(crate) body: Bytes,
}

impl Leasing {
    /// `failed` is where the dispatcher hears of what failed; it is told of requests by `changed`.
    pub(crate) fn new(
        recorder: Recorder,
        local_queue: &LocalQueue,
        failed: mpsc::Sender<FailedDelivery>,
        (budget, changed): (&Arc<RetryBudget>, &Arc<Notify>),
    ) -> Self {
        Self(Arc::new(Shared {
            recorder,
            local_queue: local_queue.clone(),
            failed,
            budget: Arc::clone(budget),
            changed: Arc::clone(changed),
            requests: Requests::default(),
            held: HeldMessages::default(),
            workers: Workers::default(),
            closing: CancellationToken::new(),
        }))
    }

    /// What writes what messages came to.
    pub(crate) fn recorder(&self) -> Recorder {
        self.0.recorder.clone()
    }

    /// How many messages are asked for now.
    pub(crate) fn wanted(&self) -> usize {
        self.0.requests.wanted()
    }

    /// How many messages are asked for now, or will be by those who asked just now.
    pub(crate) fn expected(&self) -> usize {
        self.wanted().max(self.0.workers.wanted_lately())
    }

    /// Gives messages to those who ask; answers those that nobody took.
    pub(crate) fn give(&self, deliveries: Vec<Delivery>) -> Vec<Delivery> {
        self.0.requests.give(deliveries.into()).into()
    }

    /// Fetches messages for a worker, and leases them to it.
    pub(crate) async fn lease(&self, request: LeaseRequest) -> Result<Vec<Leased>, LeaseError> {
        let LeaseRequest {
            consumer_id,
            max_messages,
            wait,
            lasts,
        } = request;
        let worker = self.0.workers.of(&consumer_id, max_messages);
        let worker = worker.ok_or(LeaseError::TooMany)?;
        let mut deliveries = self.fetch(max_messages, wait).await?;
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let mut tokens = Vec::with_capacity(deliveries.len());
        let mut records = Vec::with_capacity(deliveries.len());
        for delivery in &mut deliveries {
            let leased = &mut delivery.leased;
            leased.begin_attempt();
            let token = token_of(leased);
            let record = LeaseRecord::new(token.fence, worker.name(), leased.message.id());
            records.push((token.position, record));
            tokens.push(token);
        }
        let written = self.0.recorder.queue.lease(&records, lasts).await;
        if let Err(cause) = written {
            for delivery in &mut deliveries {
                delivery.leased.undo_attempt();
            }
            return Err(cause.into());
        }
        let had_company = deliveries.len() > 1;
        let mut leased = Vec::with_capacity(deliveries.len());
        for (token, delivery) in tokens.into_iter().zip(deliveries) {
            let body = delivery.leased.message.body().clone();
            self.hold(Held {
                fence: token.fence,
                worker: Arc::clone(&worker),
                until: Instant::now() + lasts,
                had_company,
                delivery,
            });
            leased.push(Leased { token, body });
        }
        Ok(leased)
    }

    /// A worker has a message from now on.
    fn hold(&self, mut held: Held) {
        held.delivery.set_aside();
        held.worker.hold(1);
        self.0.held.put(held);
    }

    /// Waits until the dispatcher has something, or the time is over.
    async fn fetch(&self, most: usize, wait: Duration) -> Result<Vec<Delivery>, LeaseError> {
        if self.0.closing.is_cancelled() {
            return Ok(Vec::new());
        }
        let mut given = self.0.requests.add(most).ok_or(LeaseError::TooMany)?;
        self.0.changed.notify_one();
        self.0.local_queue.look_for_room();
        tokio::select! {
            given = &mut given => return Ok(given.unwrap_or_default()),
            () = sleep(wait.max(SHORTEST_WAIT)) => {}
            () = self.0.closing.cancelled() => {}
        }
        given.close();
        Ok(given.try_recv().unwrap_or_default())
    }

    /// The workers that fetch, as consumers.
    pub(crate) fn states(&self) -> Vec<ConsumerStatus> {
        self.0.workers.states()
    }

    /// What all attempts of such workers came to.
    pub(crate) fn counts(&self) -> OutcomeCounts {
        self.0.workers.counts()
    }

    /// Gives nothing to anybody from now on. What is leased goes back to the queue; its leases last.
    pub(crate) fn close(&self) {
        self.0.closing.cancel();
        for held in self.0.held.take_all() {
            held.worker.release(1);
        }
    }
}

fn token_of(leased: &LeasedMessage) -> LeaseToken {
    LeaseToken {
        queue: leased.at.queue.clone(),
        position: leased.at.position,
        fence: random(),
    }
}
