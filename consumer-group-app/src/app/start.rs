//! Starts the group: every role, in order.

use redis_bus::{Endpoint, commit::Retention};
use service_kit::supervisor::Supervisor;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use super::{
    durable::Durable,
    ground::{Delivering, Ground, Stages},
    serve::Served,
};
use crate::{
    consumer_group::ConsumerGroup,
    dead_letter_writer::{self, Letter},
    gaps::Gaps,
    queue::MemoryQueue,
    settings::Settings,
    settler,
};

/// The roles at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) supervisor: Supervisor,
    pub(super) outboxes: Supervisor,
    pub(super) stages: Stages,
    /// What was heard: the queue itself, or the buffer before the durable one.
    pub(super) intake: MemoryQueue,
    /// What is being delivered by this replica.
    pub(super) queue: MemoryQueue,
    pub(super) durable: Option<Durable>,
    pub(super) group: ConsumerGroup,
    pub(super) letters: mpsc::Sender<Letter>,
    pub(super) listener: JoinHandle<()>,
    pub(super) dispatcher: JoinHandle<()>,
    pub(super) writer: JoinHandle<()>,
}

impl Running {
    /// Starts every role, those that receive before those that send.
    pub(super) fn start(
        settings: Settings,
        endpoint: Endpoint,
        socket: TcpListener,
    ) -> anyhow::Result<Self> {
        let Settings {
            names,
            consumers,
            delivery,
            retention,
            dashboard,
            ..
        } = settings;
        let (letters, to_write) = mpsc::channel(dead_letter_writer::WAITING);
        let retention = Retention {
            dedup_window: retention.dedup_window(),
            max_len: 0,
        };
        let ground = Ground::new(endpoint, letters, &names, &delivery, retention)?;
        let writer = ground.write_letters(to_write, &names, retention);
        let (settlements, settled) = mpsc::channel(settler::WAITING);
        let delivering = ground.deliver(&consumers, &delivery, settlements);
        let Delivering {
            group,
            outboxes,
            dispatcher,
            suspected,
        } = delivering;
        let durable = ground.durable.clone().map(|queue| {
            Durable::start(&ground, queue, &group, settled, delivery.max_deliveries())
        });
        let gaps = Gaps::default();
        let sweeps = ground.follow(&group, suspected, &consumers, &names);
        let served = Served {
            group: &group,
            sweeps: &sweeps,
            gaps: &gaps,
            durable: durable.as_ref(),
            retention,
            capacity: consumers.max_consumer_group_size.get(),
        };
        ground.serve(socket, &served, &names, dashboard)?;
        ground.watch(&group, &names, retention);
        let listener = ground.listen(names.published_channel, gaps);
        let Ground {
            supervisor,
            stages,
            intake,
            queue,
            letters,
            ..
        } = ground;
        Ok(Self {
            supervisor,
            outboxes,
            stages,
            intake,
            queue,
            durable,
            group,
            letters,
            listener,
            dispatcher,
            writer,
        })
    }
}
