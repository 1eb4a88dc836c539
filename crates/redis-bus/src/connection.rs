//! One shared connection for commands, replaced when it breaks.
//!
//! The `redis` crate's own `ConnectionManager` stops reconnecting for good when an attempt ends in
//! anything but an I/O error, such as a password that is being changed; this one tries again with the
//! next command, whatever the last attempt ended in.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline, ProtocolVersion, RedisError,
    RedisResult, ServerErrorKind, aio::MultiplexedConnection,
};

use crate::{BusError, Endpoint, script::Script};

/// How long after a failed attempt the next command fails at once instead of trying again.
const COOL_DOWN: Duration = Duration::from_millis(100);

/// How many commands may wait for the connection's writer.
const PIPELINE_BUFFER: usize = 1024;

/// How long Redis may take to answer a probe. Kubernetes waits a second for the probe itself.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// A handle on the connection; clones share it.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    /// Never held across an await.
    current: Mutex<Option<Opened>>,
    /// Held while connecting, so that one attempt serves all who wait; holds the last failure.
    opening: tokio::sync::Mutex<Option<(Instant, BusError)>>,
    opened: AtomicU64,
}

#[derive(Debug, Clone)]
struct Opened {
    connection: MultiplexedConnection,
    /// Which of the connections over time it is.
    number: u64,
}

impl Connection {
    /// A connection that is made when the first command is sent.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self(Arc::new(Shared {
            endpoint,
            current: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            opened: AtomicU64::new(0),
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
        self.query(&redis::cmd("PING")).await
    }

    /// What is wrong with Redis just now, in words: that it does not answer, or not within half a second.
    pub async fn trouble(&self) -> Option<String> {
        match tokio::time::timeout(PROBE_TIMEOUT, self.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(cause)) => Some(cause.to_string()),
            Err(_) => Some(format!(
                "Redis at {} does not answer within {} ms",
                self.0.endpoint.at(),
                PROBE_TIMEOUT.as_millis()
            )),
        }
    }

    /// Sends a command and reads its answer.
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, BusError> {
        let mut opened = self.open().await?;
        let answer = command.query_async(&mut opened.connection).await;
        self.checked(answer, &opened)
    }

    /// Sends commands at once and reads one answer each; an error answer fails only its command.
    pub(crate) async fn pipeline<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<Vec<Result<T, BusError>>, BusError> {
        let mut opened = self.open().await?;
        let answers: RedisResult<Vec<RedisResult<T>>> =
            commands.query_async(&mut opened.connection).await;
        let answers = self.checked(answers, &opened)?;
        Ok(answers
            .into_iter()
            .map(|answer| self.checked(answer, &opened))
            .collect())
    }

    /// Runs a script; `call` appends the number of keys, the keys and the arguments. Should Redis not
    /// know the script (it is new, restarted, or was told to forget), it is sent along.
    pub(crate) async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        call: impl Fn(&mut Cmd),
    ) -> Result<T, BusError> {
        let mut opened = self.open().await?;
        let mut command = script.by_hash();
        call(&mut command);
        let mut answer = command.query_async(&mut opened.connection).await;
        if let Err(cause) = &answer
            && cause.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            let mut command = script.by_source();
            call(&mut command);
            answer = command.query_async(&mut opened.connection).await;
        }
        self.checked(answer, &opened)
    }

    fn current(&self) -> Option<Opened> {
        self.0
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The current connection, or a new one.
    async fn open(&self) -> Result<Opened, BusError> {
        if let Some(opened) = self.current() {
            return Ok(opened);
        }
        let mut last_failure = self.0.opening.lock().await;
        if let Some(opened) = self.current() {
            return Ok(opened);
        }
        if let Some((at, cause)) = &*last_failure
            && at.elapsed() < COOL_DOWN
        {
            return Err(cause.clone());
        }
        let config = AsyncConnectionConfig::new().set_pipeline_buffer_size(PIPELINE_BUFFER);
        match self
            .0
            .endpoint
            .connect(ProtocolVersion::RESP2, config)
            .await
        {
            Ok(connection) => {
                let number = self.0.opened.fetch_add(1, Ordering::Relaxed);
                let opened = Opened { connection, number };
                *last_failure = None;
                *self
                    .0
                    .current
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(opened.clone());
                Ok(opened)
            }
            Err(cause) => {
                *last_failure = Some((Instant::now(), cause.clone()));
                Err(cause)
            }
        }
    }

    /// Turns an error into ours, and drops the connection when the error says it is of no more use.
    fn checked<T>(&self, answer: RedisResult<T>, opened: &Opened) -> Result<T, BusError> {
        answer.map_err(|cause| {
            if is_of_no_more_use(&cause) {
                let mut current = self
                    .0
                    .current
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                // Another command may have replaced it already.
                if current
                    .as_ref()
                    .is_some_and(|current| current.number == opened.number)
                {
                    *current = None;
                }
            }
            BusError::new(self.0.endpoint.at(), cause)
        })
    }
}

/// Whether a connection should be replaced after this error: it broke, its login no longer holds, or
/// its server is no longer the one to write to. A time-out alone is no reason: a frozen Redis goes on
/// where it was, and a dead network is noticed by the socket itself.
fn is_of_no_more_use(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        )
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}
