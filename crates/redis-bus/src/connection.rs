//! One shared connection for commands, replaced when it breaks or falls silent.
//!
//! The `redis` crate's own `ConnectionManager` stops reconnecting for good when an attempt ends in
//! anything but an I/O error, such as a password that is being changed; this one tries again with the
//! next command, whatever the last attempt ended in.
//!
//! - One that has ended while it was idle is replaced before it is used.
//! - One that ends under a command is replaced, and the command is sent again once, unless it says that it is sent
//!   once only: `query` and `script` repeat, `query_once`, `script_once` and `pipeline` do not.
//! - One that owes an answer for [`SILENT`] stays: a frozen Redis goes on where it was. But another is tried beside it, one
//!   at a time, and takes its place if it answers first: behind a proxy, or an address that has moved, an
//!   answer may never come although the system at the other end acknowledges all that is sent.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline, ProtocolVersion, RedisResult,
    ServerErrorKind, cmd,
};
use tokio::task::JoinSet;
use tracing::warn;

use crate::{
    BusError, Endpoint,
    link::{Link, is_of_no_more_use},
    script::Script,
};

/// How long after a failed attempt the next command fails at once instead of trying again.
const COOL_DOWN: Duration = Duration::from_millis(100);

/// How long Redis may owe an answer before another connection is tried: two time-outs in a row.
const SILENT: Duration = Duration::from_secs(4);

/// How often another is tried. Each leaves a connection for a frozen Redis to accept when it goes on.
const TRY_BESIDE_EVERY: Duration = Duration::from_secs(5);

/// How many commands may wait for the connection's writer.
const PIPELINE_BUFFER: usize = 1024;

/// A handle on the connection; clones share it.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    /// Never held across an await.
    current: Mutex<Option<Link>>,
    /// Held while connecting, so that one attempt serves all who wait; holds the last failure.
    opening: tokio::sync::Mutex<Option<(Instant, BusError)>>,
    beside: Mutex<Beside>,
}

/// The attempt at another connection beside a silent one.
#[derive(Debug, Default)]
struct Beside {
    task: JoinSet<()>,
    next_at: Option<Instant>,
}

impl Connection {
    /// A connection that is made when the first command is sent.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self(Arc::new(Shared {
            endpoint,
            current: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            beside: Mutex::default(),
        }))
    }

    /// Where Redis is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Asks Redis whether it is there.
    ///
    /// # Errors
    /// [`BusError`] when it is not.
    pub async fn ping(&self) -> Result<(), BusError> {
        self.query(&cmd("PING")).await
    }

    /// Sends a command and reads its answer; should the connection end meanwhile, sends it once again.
    ///
    /// For commands that are as good twice as once, whatever the second answer: they read, or set what is
    /// set, or remove what is gone (`LREM`).
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BusError> {
        let link = self.open().await?;
        let answer = self.query_on(&link, command).await;
        match self.replacement(&link, &answer).await {
            Some(link) => self.query_on(&link, command).await,
            None => answer,
        }
    }

    /// Sends a command once and reads its answer: for one whose second answer would be false.
    pub(crate) async fn query_once<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BusError> {
        let link = self.open().await?;
        self.query_on(&link, command).await
    }

    async fn query_on<T: FromRedisValue>(&self, link: &Link, command: &Cmd) -> Result<T, BusError> {
        let answer = command.query_async(&mut link.asking()).await;
        self.checked(answer, link)
    }

    /// Sends commands at once and reads one answer each; an error answer fails only its command. They are
    /// sent once: `PUBLISH`, and `XADD` of entries that nothing tells apart, would be done twice.
    pub(crate) async fn pipeline<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<Vec<Result<T, BusError>>, BusError> {
        let link = self.open().await?;
        let answers: RedisResult<Vec<RedisResult<T>>> =
            commands.query_async(&mut link.asking()).await;
        let answers = self.checked(answers, &link)?;
        Ok(answers
            .into_iter()
            .map(|answer| self.checked(answer, &link))
            .collect())
    }

    /// Runs a script; `call` appends the number of keys, the keys and the arguments. Should Redis not
    /// know the script (it is new, restarted, or was told to forget), it is sent along. Should the connection
    /// end meanwhile, it is run once again.
    ///
    /// For scripts that look before they write, so that a second run finds the work done: those that add know
    /// the ids, those that settle, keep, create and forget leave alone what is so already, and what a
    /// `reclaim` took and could not hand over comes again in time.
    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        call: impl Fn(&mut Cmd),
    ) -> Result<T, BusError> {
        let link = self.open().await?;
        let answer = self.script_on(&link, script, &call).await;
        match self.replacement(&link, &answer).await {
            Some(link) => self.script_on(&link, script, &call).await,
            None => answer,
        }
    }

    /// Runs a script once: for one whose second answer would be false.
    pub(crate) async fn script_once<T: FromRedisValue>(
        &self,
        script: &Script,
        call: impl Fn(&mut Cmd),
    ) -> Result<T, BusError> {
        let link = self.open().await?;
        self.script_on(&link, script, &call).await
    }

    async fn script_on<T: FromRedisValue>(
        &self,
        link: &Link,
        script: &Script,
        call: &impl Fn(&mut Cmd),
    ) -> Result<T, BusError> {
        let mut command = script.by_hash();
        call(&mut command);
        let mut answer = command.query_async(&mut link.asking()).await;
        if let Err(cause) = &answer
            && cause.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            let mut command = script.by_source();
            call(&mut command);
            answer = command.query_async(&mut link.asking()).await;
        }
        self.checked(answer, link)
    }

    fn current(&self) -> MutexGuard<'_, Option<Link>> {
        self.0
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The current connection if it is of use.
    fn usable(&self) -> Option<Link> {
        let link = self.current().clone().filter(|link| !link.has_ended())?;
        self.try_beside(&link);
        Some(link)
    }

    /// The current connection, or a new one.
    async fn open(&self) -> Result<Link, BusError> {
        if let Some(link) = self.usable() {
            return Ok(link);
        }
        let mut last_failure = self.0.opening.lock().await;
        if let Some(link) = self.usable() {
            return Ok(link);
        }
        if let Some((at, cause)) = &*last_failure
            && at.elapsed() < COOL_DOWN
        {
            return Err(cause.clone());
        }
        match self.connect().await {
            Ok(link) => {
                *last_failure = None;
                *self.current() = Some(link.clone());
                Ok(link)
            }
            Err(cause) => {
                *last_failure = Some((Instant::now(), cause.clone()));
                Err(cause)
            }
        }
    }

    async fn connect(&self) -> Result<Link, BusError> {
        let config = AsyncConnectionConfig::new().set_pipeline_buffer_size(PIPELINE_BUFFER);
        let endpoint = &self.0.endpoint;
        endpoint.connect(ProtocolVersion::RESP2, config).await
    }

    /// The connection to send a command on again: another one, after `link` has failed it.
    async fn replacement<T>(&self, link: &Link, answer: &Result<T, BusError>) -> Option<Link> {
        let Err(BusError::Unreachable { .. }) = answer else {
            return None;
        };
        if self
            .current()
            .as_ref()
            .is_some_and(|current| current.is(link))
        {
            return None;
        }
        self.open().await.ok()
    }

    /// Tries another connection beside this one when it has been silent for long; the task ends within the
    /// time-outs of connecting and of one answer.
    fn try_beside(&self, link: &Link) {
        if !link.is_silent_for(SILENT) {
            return;
        }
        let mut beside = self.0.beside.lock().unwrap_or_else(PoisonError::into_inner);
        while beside.task.try_join_next().is_some() {}
        let now = Instant::now();
        if !beside.task.is_empty() || beside.next_at.is_some_and(|at| now < at) {
            return;
        }
        beside.next_at = Some(now + TRY_BESIDE_EVERY);
        let (this, silent) = (self.clone(), link.clone());
        beside.task.spawn(async move {
            if let Ok(other) = this.connect_and_ping().await {
                this.replace_silent(&silent, other);
            }
        });
    }

    async fn connect_and_ping(&self) -> Result<Link, BusError> {
        let link = self.connect().await?;
        self.query_on::<()>(&link, &cmd("PING")).await?;
        Ok(link)
    }

    /// Puts another connection in the place of a silent one, unless that has answered meanwhile.
    fn replace_silent(&self, silent: &Link, other: Link) {
        let mut current = self.current();
        if silent.is_silent_for(SILENT) && current.as_ref().is_some_and(|link| link.is(silent)) {
            *current = Some(other);
            warn!(
                redis = self.0.endpoint.at(),
                "a connection to Redis gave no answer for {} s and another one did; it is used from now on",
                SILENT.as_secs()
            );
        }
    }

    /// Turns an error into ours, and drops the connection when the error says it is of no more use.
    fn checked<T>(&self, answer: RedisResult<T>, link: &Link) -> Result<T, BusError> {
        match &answer {
            Err(cause) if cause.is_timeout() => self.try_beside(link),
            _ => link.note_answer(),
        }
        answer.map_err(|cause| {
            if is_of_no_more_use(&cause) {
                // Another command may have replaced it already.
                let mut current = self.current();
                if current.as_ref().is_some_and(|current| current.is(link)) {
                    *current = None;
                }
            }
            BusError::new(self.0.endpoint.at(), cause)
        })
    }
}
