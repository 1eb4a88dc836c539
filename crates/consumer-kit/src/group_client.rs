//! The group's three REST calls.

use std::{net::Ipv6Addr, time::Duration};

use protocol::{
    ConsumerId,
    http::{
        CHECK_MEMBERSHIP, ErrorBody, MembershipRequest, REGISTER, RegistrationRequest, UNREGISTER,
    },
};
use reqwest::{Client, Response, StatusCode};
use serde::Serialize;
use service_kit::{http_client, resolver::Resolver};

/// How long a call may take; the group itself waits for Redis.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an error answer is read, in bytes.
const ERROR_BYTES: usize = 4096;

/// Why the group did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum GroupError {
    /// It could not be reached, or its answer broke off.
    #[error("cannot reach consumer-group-app at {at}")]
    Unreachable {
        /// Host and port.
        at: String,
        /// What the connection said.
        source: reqwest::Error,
    },
    /// It answered that it will not.
    #[error("consumer-group-app at {at} answered {status}: {error}")]
    Refused {
        /// Host and port.
        at: String,
        /// The HTTP status.
        status: StatusCode,
        /// The group's own words.
        error: String,
    },
}

/// A client of consumer-group-app.
#[derive(Debug, Clone)]
pub(crate) struct GroupClient {
    http: Client,
    at: String,
}

impl GroupClient {
    /// A client for the group at `host:port`; nothing is connected yet.
    ///
    /// # Errors
    /// When the system's resolver configuration cannot be read.
    pub(crate) fn new(host: &str, port: u16) -> reqwest::Result<Self> {
        let at = match host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]:{port}"),
            Err(_) => format!("{host}:{port}"),
        };
        Ok(Self {
            http: http_client::client(CALL_TIMEOUT, Resolver::default())?,
            at,
        })
    }

    /// Becomes a member; being one already is fine.
    ///
    /// # Errors
    /// Both variants of [`GroupError`].
    pub(crate) async fn register(
        &self,
        registration: &RegistrationRequest,
    ) -> Result<(), GroupError> {
        let answer = self.post(REGISTER, registration).await?;
        self.expect_success(answer).await
    }

    /// Stops being a member.
    ///
    /// # Errors
    /// Both variants of [`GroupError`].
    pub(crate) async fn unregister(&self, id: &ConsumerId) -> Result<(), GroupError> {
        let answer = self.post(UNREGISTER, &membership(id)).await?;
        self.expect_success(answer).await
    }

    /// Whether the group knows the consumer.
    ///
    /// # Errors
    /// Both variants of [`GroupError`].
    pub(crate) async fn is_member(&self, id: &ConsumerId) -> Result<bool, GroupError> {
        let answer = self.post(CHECK_MEMBERSHIP, &membership(id)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        self.expect_success(answer).await?;
        Ok(true)
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Response, GroupError> {
        let url = format!("http://{}{path}", self.at);
        let sent = self.http.post(url).json(body).send().await;
        sent.map_err(|source| GroupError::Unreachable {
            at: self.at.clone(),
            source,
        })
    }

    async fn expect_success(&self, answer: Response) -> Result<(), GroupError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let error = read_error(answer).await;
        Err(GroupError::Refused {
            at: self.at.clone(),
            status,
            error,
        })
    }
}

fn membership(id: &ConsumerId) -> MembershipRequest {
    MembershipRequest {
        consumer_id: id.clone(),
    }
}

/// The text of an error answer, as far as it can be had.
async fn read_error(mut answer: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ERROR_BYTES {
            break;
        }
    }
    match serde_json::from_slice(&body) {
        Ok(ErrorBody {
            error,
            reason: Some(reason),
        }) => format!("{reason}. {error}"),
        Ok(ErrorBody {
            error,
            reason: None,
        }) => error,
        Err(_) => "no reason given".to_owned(),
    }
}
