//! HTTP calls and their answers.

use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use local_stack::Service;
use reqwest::{Client, RequestBuilder, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::PATIENCE;

/// What a service answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null when it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The text of an error answer.
    ///
    /// # Errors
    /// When the answer is none of the form `{"error":"…"}`, which may have a `reason`.
    pub fn error(&self) -> Result<&str> {
        let is_known = |key: &String| key == "error" || key == "reason";
        let only = self
            .body
            .as_object()
            .is_some_and(|body| body.keys().all(is_known));
        ensure!(only, "{self:?} has more than an error");
        self.body["error"].as_str().context("no error text")
    }

    /// The reference an error answer gives for the log, after `what`.
    ///
    /// # Errors
    /// When the answer is no such answer.
    pub fn reference(&self, what: &str) -> Result<String> {
        let start = format!("{what} Use Ref for details: ");
        let reference = self.error()?.strip_prefix(&start);
        let reference = reference.with_context(|| format!("{self:?} does not start `{start}`"))?;
        reference
            .parse::<uuid::Uuid>()
            .context(reference.to_owned())?;
        Ok(reference.to_owned())
    }
}

/// An answer with a message, as most 200 answers are.
#[must_use]
pub fn ok(message: &str) -> Answer {
    Answer {
        status: 200,
        body: json!({ "message": message }),
    }
}

/// `GET`.
///
/// # Errors
/// When there is no answer.
pub async fn get(service: &Service, path: &str) -> Result<Answer> {
    send(client().get(service.url(path))).await
}

/// `GET` of a URL.
///
/// # Errors
/// When there is no answer.
pub async fn get_from(url: &str) -> Result<Answer> {
    send(client().get(url)).await
}

/// `POST` of JSON.
///
/// # Errors
/// When there is no answer.
pub async fn post(service: &Service, path: &str, body: &Value) -> Result<Answer> {
    post_to(&service.url(path), body).await
}

/// `POST` of JSON to a URL.
///
/// # Errors
/// When there is no answer.
pub async fn post_to(url: &str, body: &Value) -> Result<Answer> {
    send(client().post(url).json(body)).await
}

/// `POST` of any body as JSON to a URL.
///
/// # Errors
/// When there is no answer.
pub async fn pass_on(url: &str, body: Vec<u8>) -> Result<Answer> {
    let request = client().post(url).body(body);
    send(request.header(CONTENT_TYPE, "application/json")).await
}

/// `POST` of any body with any content type, or none.
///
/// # Errors
/// When there is no answer.
pub async fn post_raw(
    service: &Service,
    path: &str,
    content_type: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> Result<Answer> {
    let mut request = client().post(service.url(path)).body(body);
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    send(request).await
}

/// `POST` of any body with a content type and a header.
///
/// # Errors
/// When there is no answer.
pub async fn post_with(
    service: &Service,
    path: &str,
    (content_type, body): (&str, &str),
    (name, value): (&str, &str),
) -> Result<Answer> {
    let request = client().post(service.url(path)).body(body.to_owned());
    let request = request.header(CONTENT_TYPE, content_type);
    send(request.header(name, value)).await
}

/// Any other method.
///
/// # Errors
/// When there is no answer.
pub async fn call(service: &Service, method: &str, path: &str) -> Result<Answer> {
    send(client().request(method.parse()?, service.url(path))).await
}

/// `POST /register`.
///
/// # Errors
/// When there is no answer.
pub async fn register(group: &Service, id: &str) -> Result<Answer> {
    post(group, "/register", &json!({ "consumer_id": id })).await
}

/// `POST /unregister`.
///
/// # Errors
/// When there is no answer.
pub async fn unregister(group: &Service, id: &str) -> Result<Answer> {
    post(group, "/unregister", &json!({ "consumer_id": id })).await
}

/// `POST /checkMembership`.
///
/// # Errors
/// When there is no answer.
pub async fn check_membership(group: &Service, id: &str) -> Result<Answer> {
    post(group, "/checkMembership", &json!({ "consumer_id": id })).await
}

/// `POST /processMessage`.
///
/// # Errors
/// When there is no answer.
pub async fn process_message(consumer: &Service, message: &Value) -> Result<Answer> {
    post(consumer, "/processMessage", message).await
}

async fn send(request: RequestBuilder) -> Result<Answer> {
    let answer = request.timeout(PATIENCE).send().await?;
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await?;
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Ok(Answer { status, body })
}

/// A client that keeps no connections: they belong to the runtime of the test that made them.
fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap_or_default()
    })
}

/// A request that a consumer has let in and works on.
#[derive(Debug)]
pub struct UnderWay {
    connection: BufReader<TcpStream>,
}

/// Begins `POST /processMessage` and returns once the consumer has let it in: it asks for the body
/// (RFC 9110, 10.1.1) only then.
///
/// # Errors
/// When the consumer answers anything else.
pub async fn begin_processing(consumer: &Service, message: &Value) -> Result<UnderWay> {
    let (path, kind) = ("/processMessage", "application/json");
    begin(consumer, path, kind, &message.to_string()).await
}

/// Begins `POST /processMessages` in the same way.
///
/// # Errors
/// When the consumer answers anything else.
pub async fn begin_processing_batch(consumer: &Service, lines: &str) -> Result<UnderWay> {
    let (path, kind) = ("/processMessages", "application/x-ndjson");
    begin(consumer, path, kind, lines).await
}

async fn begin(consumer: &Service, path: &str, kind: &str, body: &str) -> Result<UnderWay> {
    let mut connection = BufReader::new(TcpStream::connect(consumer.address()).await?);
    let header = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        consumer.address(),
        body.len()
    );
    connection.write_all(header.as_bytes()).await?;
    let mut line = String::new();
    timeout(PATIENCE, connection.read_line(&mut line)).await??;
    ensure!(line.starts_with("HTTP/1.1 100"), "it answered `{line}`");
    connection.read_line(&mut line).await?;
    connection.write_all(body.as_bytes()).await?;
    Ok(UnderWay { connection })
}

impl UnderWay {
    /// The status of the answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn status(mut self) -> Result<u16> {
        let mut line = String::new();
        timeout(PATIENCE, self.connection.read_line(&mut line)).await??;
        let status = line.split(' ').nth(1);
        let status = status.with_context(|| format!("no status in `{line}`"))?;
        Ok(status.parse()?)
    }
}
