//! What `GET /status` of a replica tells.

use std::{sync::OnceLock, time::Duration};

use anyhow::{Context, Result, bail};
use reqwest::Client;
use serde::Deserialize;

/// How long a replica may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The account, as far as it is looked at.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Status {
    pub(super) received: u64,
    pub(super) processed: u64,
    pub(super) duplicate: u64,
    pub(super) dead_lettered: u64,
    pub(super) in_flight: u64,
    pub(super) queued: u64,
    pub(super) buffered: u64,
    consumers: Vec<Consumer>,
}

#[derive(Debug, Clone, Deserialize)]
struct Consumer {
    consumer_id: String,
    state: String,
}

impl Status {
    /// Asks a replica, by its base URL.
    pub(super) async fn read(replica: &str) -> Result<Self> {
        let url = format!("{replica}/status");
        let answer = client()?.get(url).timeout(TIMEOUT).send().await?;
        if !answer.status().is_success() {
            bail!("GET /status answers {}", answer.status());
        }
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    /// Whether every message received is in exactly one place.
    pub(super) fn adds_up(&self) -> bool {
        let ended = self.processed + self.duplicate + self.dead_lettered;
        self.received == ended + self.unfinished()
    }

    /// Messages that have not come to their end.
    pub(super) fn unfinished(&self) -> u64 {
        self.in_flight + self.queued + self.buffered
    }

    /// The consumers that are given messages, sorted.
    pub(super) fn active(&self) -> Vec<String> {
        let active = self.consumers.iter().filter(|one| one.state == "active");
        let mut active: Vec<_> = active.map(|one| one.consumer_id.clone()).collect();
        active.sort();
        active
    }
}

/// The HTTP client of this command.
pub(super) fn client() -> Result<&'static Client> {
    static CLIENT: OnceLock<Option<Client>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| Client::builder().no_proxy().build().ok());
    client.as_ref().context("cannot set up the HTTP client")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_adds_up_when_every_message_is_in_one_place() {
        let text = r#"{"received":21,"processed":1,"duplicate":2,"dead_lettered":3,"in_flight":4,
            "queued":5,"buffered":6,"consumers":[{"consumer_id":"b:1","state":"active"},
            {"consumer_id":"c:1","state":"ejected"},{"consumer_id":"a:1","state":"active"}]}"#;
        let mut status: Status = serde_json::from_str(text).unwrap();
        assert!(status.adds_up());
        assert_eq!((status.unfinished(), status.active().len()), (15, 2));
        assert_eq!(status.active(), ["a:1", "b:1"]);
        status.queued += 1;
        assert!(!status.adds_up());
    }
}
