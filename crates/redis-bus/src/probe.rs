//! Asking Redis, for probes, whether it is there and would take work.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::Cmd;
use tokio::{sync::Mutex, time::timeout};

use crate::{BusError, Connection, script::Script};

/// How long Redis may take to answer a probe. Kubernetes waits a second for the probe itself.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long an answer is kept, so that probes cost Redis next to nothing however many come.
const KEPT: Duration = Duration::from_secs(1);

/// A key that work writes to, and how.
#[derive(Debug, Clone)]
pub struct Need {
    key: String,
    kind: &'static str,
    command: &'static str,
}

impl Need {
    /// A list that is pushed to.
    #[must_use]
    pub fn list(key: &str) -> Self {
        Self::new(key, "list", "RPUSH")
    }

    /// A stream that is added to.
    pub(crate) fn stream(key: &str) -> Self {
        Self::new(key, "stream", "XADD")
    }

    /// A set that is added to.
    pub(crate) fn set(key: &str) -> Self {
        Self::new(key, "set", "SADD")
    }

    /// A hash whose fields are set.
    pub(crate) fn hash(key: &str) -> Self {
        Self::new(key, "hash", "HSET")
    }

    /// A hash that is counted in.
    pub(crate) fn account(key: &str) -> Self {
        Self::new(key, "hash", "HINCRBY")
    }

    fn new(key: &str, kind: &'static str, command: &'static str) -> Self {
        let key = key.to_owned();
        Self { key, kind, command }
    }
}

/// Whether Redis would take work just now; clones share the last answer.
///
/// `probe.lua` writes nothing, yet Redis refuses it whenever it refuses work: read-only, out of memory, unable to
/// save, too few replicas, scripts denied. It looks at the types of the keys and at what the user may do.
#[derive(Debug, Clone)]
pub struct Probe(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    connection: Connection,
    needs: Vec<Need>,
    script: Script,
    last: Mutex<Option<(Instant, Option<String>)>>,
}

impl Probe {
    /// A probe of what these needs are.
    #[must_use]
    pub fn new(connection: Connection, needs: Vec<Need>) -> Self {
        Self(Arc::new(Shared {
            connection,
            needs,
            script: Script::new(concat!("#!lua\n", include_str!("probe.lua"))),
            last: Mutex::default(),
        }))
    }

    /// Why Redis would refuse work, in words; asked about once a second at the most.
    pub async fn trouble(&self) -> Option<String> {
        match timeout(PROBE_TIMEOUT, self.last_or_new()).await {
            Ok(trouble) => trouble,
            Err(_) => Some(self.0.connection.no_answer()),
        }
    }

    async fn last_or_new(&self) -> Option<String> {
        let mut last = self.0.last.lock().await;
        if let Some((at, trouble)) = &*last
            && at.elapsed() < KEPT
        {
            return trouble.clone();
        }
        let trouble = self.ask().await;
        *last = Some((Instant::now(), trouble.clone()));
        trouble
    }

    async fn ask(&self) -> Option<String> {
        let Shared {
            connection,
            needs,
            script,
            ..
        } = &*self.0;
        let call = |command: &mut Cmd| {
            command.arg(needs.len());
            for need in needs {
                command.arg(&need.key);
            }
            for need in needs {
                command.arg(need.kind).arg(need.command);
            }
        };
        match connection.script::<String>(script, call).await {
            Ok(words) if words.is_empty() => None,
            Ok(words) => Some(format!(
                "Redis at {} cannot take work: {words}",
                connection.endpoint().at()
            )),
            Err(cause) => Some(in_full(&cause)),
        }
    }
}

/// An answer that refuses with Redis's own words, which say why.
fn in_full(cause: &BusError) -> String {
    match cause {
        BusError::Refused { source, .. } => {
            let code = source.code().unwrap_or_default();
            let detail = source.detail().unwrap_or_default();
            format!("{cause}: {code} {detail}")
        }
        BusError::BadUrl(_) | BusError::Unreachable { .. } => cause.to_string(),
    }
}

impl Connection {
    /// What is wrong with Redis just now, in words: that it does not answer, or not within half a second.
    pub async fn trouble(&self) -> Option<String> {
        match timeout(PROBE_TIMEOUT, self.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(cause)) => Some(cause.to_string()),
            Err(_) => Some(self.no_answer()),
        }
    }

    fn no_answer(&self) -> String {
        let (at, limit) = (self.endpoint().at(), PROBE_TIMEOUT.as_millis());
        format!("Redis at {at} does not answer within {limit} ms")
    }
}
