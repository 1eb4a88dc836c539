//! An HTTP server that answers as badly as one likes, on a raw socket.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Notify, futures::OwnedNotified},
    task::JoinSet,
};

use crate::calls::pass_on;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// Such as `/register`.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(known, _)| known == name)?;
        Some(value)
    }
}

/// What a request gets.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A proper answer: status, further header lines, body.
    Answer(u16, Vec<String>, String),
    /// The answer of the server at this URL, which is asked the same.
    Relayed(String),
    /// None, although the server at this URL was asked the same and has answered: the connection ends.
    Swallowed(String),
    /// None, on a connection that stays open until the server hangs up.
    Silence,
    /// The start of an answer, then the end of the connection.
    HalfAnAnswer,
    /// Bytes that are not HTTP, then the end of the connection.
    Garbage,
    /// These bytes, then the end of the connection.
    Raw(String),
    /// These bytes, again and again.
    Endless(String),
    /// Another reply, after so long.
    Late(Duration, Box<Self>),
}

impl Reply {
    /// A proper answer with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, Vec::new(), body.to_string())
    }

    /// A proper answer with a status and the body `{"message":"…"}`.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::json(status, &serde_json::json!({ "message": "so be it" }))
    }

    /// A busy server's answer.
    #[must_use]
    pub fn retry_after(status: u16, seconds: u32) -> Self {
        let header = format!("Retry-After: {seconds}");
        Self::Answer(status, vec![header], "{}".to_owned())
    }
}

/// The server; it ends with this value.
#[derive(Debug)]
pub struct FakeServer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<Request>,
    hang_up: Arc<Notify>,
}

impl Seen {
    /// Returns how its silence may end; who waits for it then is told of every later end.
    fn take_note_of(&mut self, request: Request) -> OwnedNotified {
        self.requests.push(request);
        Arc::clone(&self.hang_up).notified_owned()
    }
}

type Replies = dyn Fn(&Request) -> Reply + Send + Sync;

impl FakeServer {
    /// A server on a free port of the loopback address.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(
        replies: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let seen = Arc::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&seen), Arc::new(replies)));
        Ok(Self {
            address,
            seen,
            _serving: serving,
        })
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections have been made to it.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.seen).connections
    }

    /// Closes the connections on which it has been silent until now.
    pub fn hang_up(&self) {
        lock(&self.seen).hang_up.notify_waiters();
    }

    /// Every request to a path so far.
    #[must_use]
    pub fn requests(&self, path: &str) -> Vec<Request> {
        let seen = lock(&self.seen);
        let found = seen.requests.iter().filter(|request| request.path == path);
        found.cloned().collect()
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, seen: Arc<Mutex<Seen>>, replies: Arc<Replies>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        lock(&seen).connections += 1;
        let (seen, replies) = (Arc::clone(&seen), Arc::clone(&replies));
        connections.spawn(async move {
            // A connection that breaks is the client's affair.
            drop(converse(stream, &seen, &*replies).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Answers request after request of one connection.
async fn converse(stream: TcpStream, seen: &Mutex<Seen>, replies: &Replies) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await? {
        let mut reply = replies(&request);
        let body = request.body.clone();
        let hang_up = lock(seen).take_note_of(request);
        if let Reply::Late(after, late) = reply {
            tokio::time::sleep(after).await;
            reply = *late;
        }
        match reply {
            Reply::Answer(status, headers, body) => {
                let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
                stream
                    .write_all(answer(status, &headers, &body).as_bytes())
                    .await?;
            }
            Reply::Relayed(url) => {
                let relayed = pass_on(&url, body).await.map_err(io::Error::other)?;
                let text = relayed.body.to_string();
                stream
                    .write_all(answer(relayed.status, "", &text).as_bytes())
                    .await?;
            }
            Reply::Swallowed(url) => {
                pass_on(&url, body).await.map_err(io::Error::other)?;
                return stream.shutdown().await;
            }
            Reply::Silence | Reply::Late(..) => {
                hang_up.await;
                return stream.shutdown().await;
            }
            Reply::Raw(bytes) => {
                stream.write_all(bytes.as_bytes()).await?;
                return stream.shutdown().await;
            }
            Reply::Endless(bytes) => loop {
                stream.write_all(bytes.as_bytes()).await?;
            },
            Reply::HalfAnAnswer => {
                let half =
                    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"message\": \"Message with";
                stream.write_all(half).await?;
                return stream.shutdown().await;
            }
            Reply::Garbage => {
                stream
                    .write_all(b"\x00\xff\x16 what is it?\r\n\r\n")
                    .await?;
                return stream.shutdown().await;
            }
        }
    }
    Ok(())
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} So\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The next request; `None` at the end of the connection.
async fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let path = words.next().unwrap_or_default().to_owned();
    let mut request = Request {
        method,
        path,
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header).await? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = header.trim().split_once(':') else {
            break;
        };
        let header = (name.to_lowercase(), value.trim().to_owned());
        request.headers.push(header);
    }
    let length = request.header("content-length");
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).await?;
    Ok(Some(request))
}
