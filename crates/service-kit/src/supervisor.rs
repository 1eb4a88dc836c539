//! Every background task has a name and an owner that notices its end.
//!
//! Tokio keeps a panic inside its task: the process goes on without it, and nobody is told. The
//! [`Supervisor`] turns such an end into an event: logged, counted, and healed by running the role
//! again. A role that keeps ending takes the process with it, so that whatever runs the process can
//! start it afresh ("crash-only software", Candea and Fox, 2003).

use std::{
    any::Any,
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::error;

use crate::backoff::Backoff;

/// How many restarts within [`RESTART_WINDOW`] a role may need before the process is given up.
pub const MAX_RESTARTS: usize = 5;

/// The time over which restarts are counted.
pub const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// Something that works until it is cancelled.
pub trait Role: Send + 'static {
    /// Works until `cancelled`. Returning before that, or panicking, is a fault: the role is run
    /// again, with the state it has then.
    fn run(&mut self, cancelled: CancellationToken) -> impl Future<Output = ()> + Send;
}

/// Owner of all background tasks of a process. Clones share the tasks.
#[derive(Debug, Clone)]
pub struct Supervisor {
    tasks: TaskTracker,
    restarts: Arc<AtomicU64>,
    given_up: watch::Sender<Option<String>>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// A supervisor with nothing to do.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tasks: TaskTracker::new(),
            restarts: Arc::default(),
            given_up: watch::Sender::new(None),
        }
    }

    /// A supervisor whose tasks can be waited for by themselves; it counts and gives up with `self`.
    #[must_use]
    pub fn section(&self) -> Self {
        Self {
            tasks: TaskTracker::new(),
            ..self.clone()
        }
    }

    /// How many tasks have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether all tasks have ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Runs a role until `cancelled`. The handle tells when it has ended and need not be kept.
    pub fn spawn(
        &self,
        name: impl Into<String>,
        cancelled: CancellationToken,
        role: impl Role,
    ) -> JoinHandle<()> {
        let (name, supervisor) = (name.into(), self.clone());
        self.tasks
            .spawn(supervisor.watch_over(name, cancelled, role))
    }

    async fn watch_over(self, name: String, cancelled: CancellationToken, mut role: impl Role) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let mut recent = VecDeque::new();
        loop {
            let end = AssertUnwindSafe(role.run(cancelled.clone()))
                .catch_unwind()
                .await;
            let cause = match end {
                Ok(()) if cancelled.is_cancelled() => return,
                Ok(()) => "it returned".to_owned(),
                Err(panic) => format!("it panicked: {}", panic_text(&*panic)),
            };
            self.restarts.fetch_add(1, Ordering::Relaxed);
            error!(
                task = name,
                cause, "a background task ended unexpectedly; it is run again"
            );
            let now = Instant::now();
            recent.push_back(now);
            while recent
                .front()
                .is_some_and(|first| now - *first > RESTART_WINDOW)
            {
                recent.pop_front();
            }
            if recent.len() > MAX_RESTARTS {
                self.given_up.send_replace(Some(name));
                return;
            }
            tokio::select! {
                () = cancelled.cancelled() => return,
                () = tokio::time::sleep(backoff.next_wait()) => {}
            }
        }
    }

    /// How often a task was run again since the start of the process.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Waits until a task has ended more than [`MAX_RESTARTS`] times within [`RESTART_WINDOW`], and
    /// names it. The process should end then.
    pub async fn gave_up(&self) -> String {
        let mut given_up = self.given_up.subscribe();
        match given_up.wait_for(Option::is_some).await {
            Ok(name) => name.clone().unwrap_or_default(),
            // Cannot happen while `self` holds the sender; never ending is the safe reading.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until every task has ended; their tokens should be cancelled before.
    pub async fn wait(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The text a panic was raised with, if it was text.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no text"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics for the first `panics` runs, then works.
    struct Clumsy {
        panics: usize,
        runs: watch::Sender<usize>,
    }

    impl Role for Clumsy {
        async fn run(&mut self, cancelled: CancellationToken) {
            self.runs.send_modify(|runs| *runs += 1);
            assert!(*self.runs.borrow() > self.panics, "clumsy");
            cancelled.cancelled().await;
        }
    }

    fn clumsy(panics: usize) -> (Clumsy, watch::Receiver<usize>) {
        let (runs, seen) = watch::channel(0);
        (Clumsy { panics, runs }, seen)
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_panics_is_run_again() {
        let (supervisor, cancelled) = (Supervisor::new(), CancellationToken::new());
        let (role, mut runs) = clumsy(3);
        supervisor.spawn("clumsy", cancelled.clone(), role);
        runs.wait_for(|runs| *runs == 4).await.unwrap();
        assert_eq!(supervisor.restarts(), 3);
        cancelled.cancel();
        supervisor.wait().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_keeps_panicking_is_given_up() {
        let supervisor = Supervisor::new();
        let (role, runs) = clumsy(usize::MAX);
        supervisor.spawn("clumsy", CancellationToken::new(), role);
        assert_eq!(supervisor.gave_up().await, "clumsy");
        assert_eq!(*runs.borrow(), MAX_RESTARTS + 1);
    }
}
