//! Looks up host names: few at a time, each name once, and not again for some seconds.
//!
//! The system's resolver blocks a thread for as long as a name server does not answer, half a minute with
//! common settings. Tokio has 512 such threads for all that blocks; names that nobody answers for, asked
//! again and again, would take them all. The system's resolver it is all the same, because it alone reads
//! `/etc/hosts`, `nsswitch.conf` and `resolv.conf` as people expect.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::spawn_blocking,
    time::{Instant, timeout},
};

/// How many names are looked up at once of those that were answered for the last time…
const KNOWN_AT_ONCE: usize = 16;

/// …and how many others. A look-up counts until the system's resolver returns, however late.
const OTHERS_AT_ONCE: usize = 32;

/// How long is waited for a look-up.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// For how long an answer, a failure too, is good.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// For how long an answer is better than none, when a name server answers no more.
const BETTER_THAN_NONE_FOR: Duration = Duration::from_secs(60);

/// How many names are kept in mind at the most.
const MOST_NAMES: usize = 1024;

/// Looks up names; clones share what they know.
#[derive(Debug, Clone)]
pub struct Resolver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    names: Mutex<HashMap<String, Known>>,
    known: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

/// What is known of a name.
#[derive(Debug, Default)]
struct Known {
    /// The last answer, and when it came.
    last: Option<(Instant, Result<Vec<IpAddr>, String>)>,
    /// The last addresses, and when they were told.
    addresses: Option<(Instant, Vec<IpAddr>)>,
    /// Closed when the look-up under way ends.
    under_way: Option<watch::Receiver<()>>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self(Arc::new(Shared {
            names: Mutex::default(),
            known: Arc::new(Semaphore::new(KNOWN_AT_ONCE)),
            others: Arc::new(Semaphore::new(OTHERS_AT_ONCE)),
        }))
    }
}

impl Resolver {
    /// The addresses of a host; an address, in brackets or not, is its own.
    ///
    /// # Errors
    /// When the name has none, or nobody answers in time.
    pub async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(host).parse() {
            return Ok(vec![address]);
        }
        match timeout(LOOK_UP_TIMEOUT, self.ask(host)).await {
            Ok(answer) => answer.map_err(io::Error::other),
            Err(_) => self.better_than_none(host).ok_or_else(|| {
                let why = format!("the name server did not answer for `{host}` in time");
                io::Error::new(io::ErrorKind::TimedOut, why)
            }),
        }
    }

    /// Connects to the first address of a host that takes the connection.
    ///
    /// # Errors
    /// As [`Resolver::look_up`], or what the last address said.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let addresses = self.look_up(host).await?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match TcpStream::connect((address, port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        loop {
            if let Some(answer) = self.fresh(host) {
                return answer;
            }
            let under_way = match self.under_way(host) {
                Some(under_way) => Some(under_way),
                // Whoever gives up meanwhile leaves the queue for a permit.
                None => self
                    .permit(host)
                    .await
                    .and_then(|permit| self.begin(host, permit)),
            };
            if let Some(mut under_way) = under_way {
                // An error means that it has ended.
                drop(under_way.changed().await);
            }
        }
    }

    fn fresh(&self, host: &str) -> Option<Result<Vec<IpAddr>, String>> {
        let names = self.names();
        let (at, answer) = names.get(host)?.last.as_ref()?;
        (at.elapsed() < GOOD_FOR).then(|| answer.clone())
    }

    fn under_way(&self, host: &str) -> Option<watch::Receiver<()>> {
        self.names().get(host)?.under_way.clone()
    }

    fn better_than_none(&self, host: &str) -> Option<Vec<IpAddr>> {
        let names = self.names();
        let (at, addresses) = names.get(host)?.addresses.as_ref()?;
        (at.elapsed() < BETTER_THAN_NONE_FOR).then(|| addresses.clone())
    }

    /// A turn; a name that was answered for does not wait for those that nobody answers for.
    async fn permit(&self, host: &str) -> Option<OwnedSemaphorePermit> {
        let is_known = self
            .names()
            .get(host)
            .is_some_and(|known| known.addresses.is_some());
        let turns = if is_known {
            &self.0.known
        } else {
            &self.0.others
        };
        Arc::clone(turns).acquire_owned().await.ok()
    }

    /// Begins a look-up, unless there is an answer or another has begun it.
    fn begin(&self, host: &str, permit: OwnedSemaphorePermit) -> Option<watch::Receiver<()>> {
        if self.fresh(host).is_some() {
            return None;
        }
        let mut names = self.names();
        make_room(&mut names);
        let known = names.entry(host.to_owned()).or_default();
        if known.under_way.is_some() {
            return known.under_way.clone();
        }
        let (ended, under_way) = watch::channel(());
        known.under_way = Some(under_way.clone());
        let (resolver, host) = (self.clone(), host.to_owned());
        // Nobody waits for this task: it ends by itself, and what it leaves is in the names.
        drop(spawn_blocking(move || {
            let answer = (host.as_str(), 0).to_socket_addrs();
            let answer = answer
                .map(|found| found.map(|address| address.ip()).collect())
                .map_err(|error| error.to_string());
            resolver.learn(&host, answer);
            drop((ended, permit));
        }));
        Some(under_way)
    }

    fn learn(&self, host: &str, answer: Result<Vec<IpAddr>, String>) {
        let now = Instant::now();
        if let Some(known) = self.names().get_mut(host) {
            known.addresses = answer.as_ref().ok().map(|found| (now, found.clone()));
            known.last = Some((now, answer));
            known.under_way = None;
        }
    }
}

/// Forgets what is old when there are many names, and if need be what is not.
fn make_room(names: &mut HashMap<String, Known>) {
    if names.len() < MOST_NAMES {
        return;
    }
    let age = |known: &Known| known.last.as_ref().map(|(at, _)| at.elapsed());
    names.retain(|_, known| {
        known.under_way.is_some() || age(known).is_some_and(|age| age < BETTER_THAN_NONE_FOR)
    });
    if names.len() >= MOST_NAMES {
        names.retain(|_, known| known.under_way.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_its_own_and_a_name_is_looked_up_once_for_some_seconds() {
        let resolver = Resolver::default();
        for text in ["::1", "[::1]"] {
            let found = resolver.look_up(text).await.unwrap();
            assert_eq!(
                found,
                [text.trim_matches(['[', ']']).parse::<IpAddr>().unwrap()]
            );
        }
        assert!(resolver.names().is_empty());
        assert!(!resolver.look_up("localhost").await.unwrap().is_empty());
        let first = resolver.names()["localhost"].last.as_ref().unwrap().0;
        resolver.look_up("localhost").await.unwrap();
        assert_eq!(
            resolver.names()["localhost"].last.as_ref().unwrap().0,
            first
        );
    }

    #[tokio::test]
    async fn a_look_up_that_does_not_return_keeps_its_turn_and_no_known_name_waiting() {
        let resolver = Resolver::default();
        let turns = Arc::clone(&resolver.0.others);
        let _all = turns
            .acquire_many_owned(u32::try_from(OTHERS_AT_ONCE).unwrap())
            .await;
        let waits = timeout(Duration::from_millis(50), resolver.ask("localhost")).await;
        assert!(waits.is_err());
        resolver.names().insert(
            "localhost".to_owned(),
            Known {
                addresses: Some((Instant::now(), Vec::new())),
                ..Known::default()
            },
        );
        assert!(!resolver.look_up("localhost").await.unwrap().is_empty());
    }
}
