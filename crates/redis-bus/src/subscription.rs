//! The Pub/Sub channel, read no faster than its reader takes it.
//!
//! The `redis` crate puts what a subscriber hears into a queue without bound. Here nothing is read from
//! the socket until the reader asks, so memory stays bounded and Redis's own output buffer, whose limit
//! is the operator's, takes what does not fit.

mod large_message;

use std::{io, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use protocol::dead_letter::Excerpt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, Interval, MissedTickBehavior, interval, timeout},
};

use self::large_message::LargeMessage;
use crate::{
    BusError, Endpoint,
    endpoint::CONNECT_TIMEOUT,
    resp::{self, Reply, Unexpected},
    socket::{self, ByteStream},
};

/// How often Redis is pinged. The answer matters little: a PING that the network does not carry makes
/// the socket fail (see `USER_TIMEOUT`).
const PING_EVERY: Duration = Duration::from_secs(2);

/// How long Redis may stay silent, whatever the socket says.
///
/// Long on purpose: a frozen Redis keeps the subscription and delivers once it goes on, while a
/// connection given up here loses what was published until the next one is subscribed.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// How much is read from the socket at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// A read buffer that grew larger than this is not kept.
const KEPT_BUFFER_BYTES: usize = 1 << 20;

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The payload of a message.
    Message(Bytes),
    /// A payload larger than a message may be: it was read past, and this is kept of it.
    TooLarge(Excerpt),
    /// The end, after [`Subscription::unsubscribe`].
    Unsubscribed,
}

/// A subscribed connection.
pub struct Subscription {
    stream: Box<dyn ByteStream>,
    buffer: BytesMut,
    /// The payload that is being read past.
    large: Option<LargeMessage>,
    ping: Interval,
    heard: Instant,
    at: String,
}

impl Subscription {
    /// Connects, logs in and subscribes to one channel; returns once Redis has confirmed.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when this takes longer than 3 s or the connection breaks;
    /// [`BusError::Refused`] when Redis does not accept login or channel.
    pub async fn open(endpoint: &Endpoint, channel: &str) -> Result<Self, BusError> {
        let at = endpoint.at();
        let opened = timeout(CONNECT_TIMEOUT, Self::handshake(endpoint, channel)).await;
        opened.unwrap_or_else(|_| Err(BusError::timed_out(at, "subscribing took too long")))
    }

    async fn handshake(endpoint: &Endpoint, channel: &str) -> Result<Self, BusError> {
        let at = endpoint.at();
        let stream = socket::open(endpoint.addr())
            .await
            .map_err(|cause| BusError::io(at, cause))?;
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut subscription = Self {
            stream,
            buffer: BytesMut::with_capacity(READ_BYTES),
            large: None,
            ping,
            heard: Instant::now(),
            at: at.to_owned(),
        };
        match endpoint.login() {
            (Some(user), Some(password)) => {
                subscription.command(&["AUTH", user, password]).await?;
            }
            (None, Some(password)) => subscription.command(&["AUTH", password]).await?,
            (_, None) => {}
        }
        subscription.command(&["SUBSCRIBE", channel]).await?;
        Ok(subscription)
    }

    /// Sends a command and waits for any answer but an error.
    async fn command(&mut self, words: &[&str]) -> Result<(), BusError> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        self.send(&command.get_packed_command()).await?;
        loop {
            if let Some((reply, len)) = self.parse()? {
                let answer = match reply {
                    Reply::Error(text) => Err(refusal(&self.at, text)),
                    Reply::Simple(_) | Reply::Array(_) => Ok(()),
                    // Nothing is published to a connection that has not subscribed.
                    Reply::LargeMessage(_) => Err(self.unexpected()),
                };
                self.buffer.advance(len);
                return answer;
            }
            self.read().await?;
        }
    }

    /// What is heard next.
    ///
    /// # Errors
    /// [`BusError`] when the subscription has ended; open another one then.
    ///
    /// # Cancel safety
    /// Safe: what was read stays in the buffer.
    pub async fn next(&mut self) -> Result<Heard, BusError> {
        loop {
            if let Some(heard) = self.next_buffered()? {
                return Ok(heard);
            }
            tokio::select! {
                // What has arrived comes first, so that a reader who paused finds no false silence.
                biased;
                read = Self::read_some(&mut self.stream, &mut self.buffer) => {
                    let bytes = read.map_err(|cause| BusError::io(&self.at, cause))?;
                    self.note_read(bytes)?;
                }
                _ = self.ping.tick() => self.ping().await?,
            }
        }
    }

    /// What was heard already, without waiting.
    ///
    /// # Errors
    /// As [`Subscription::next`].
    pub fn next_buffered(&mut self) -> Result<Option<Heard>, BusError> {
        loop {
            if let Some(mut large) = self.large.take() {
                if large
                    .skip(&mut self.buffer)
                    .map_err(|Unexpected| self.unexpected())?
                {
                    return Ok(Some(Heard::TooLarge(large.into_excerpt())));
                }
                self.large = Some(large);
                return Ok(None);
            }
            let Some((reply, len)) = self.parse()? else {
                return Ok(None);
            };
            let heard = match reply {
                // Of what is sent after subscribing only a PING can be refused: by a Redis that cannot save
                // (MISCONF), loads its data or runs a long script. The subscription stands, and giving
                // it up would lose what is published until the next one.
                Reply::Error(_) | Reply::Simple(_) => None,
                Reply::LargeMessage(bytes) => {
                    self.large = Some(LargeMessage::announced(bytes));
                    None
                }
                Reply::Array(items) => match *items.as_slice() {
                    // Copied: a slice would keep the whole read buffer in memory.
                    [b"message", _, payload] => {
                        Some(Heard::Message(Bytes::copy_from_slice(payload)))
                    }
                    [b"unsubscribe", ..] => Some(Heard::Unsubscribed),
                    _ => None,
                },
            };
            self.buffer.advance(len);
            if heard.is_some() {
                return Ok(heard);
            }
        }
    }

    /// Asks Redis to send no more; what it sent before is still heard, then
    /// [`Heard::Unsubscribed`].
    ///
    /// # Errors
    /// [`BusError`] when the connection has ended.
    pub async fn unsubscribe(&mut self) -> Result<(), BusError> {
        self.send(b"*1\r\n$11\r\nUNSUBSCRIBE\r\n").await
    }

    fn parse(&self) -> Result<Option<(Reply<'_>, usize)>, BusError> {
        resp::parse(&self.buffer).map_err(|Unexpected| self.unexpected())
    }

    fn unexpected(&self) -> BusError {
        BusError::io(&self.at, io::ErrorKind::InvalidData.into())
    }

    async fn read(&mut self) -> Result<(), BusError> {
        let read = Self::read_some(&mut self.stream, &mut self.buffer).await;
        let bytes = read.map_err(|cause| BusError::io(&self.at, cause))?;
        self.note_read(bytes)
    }

    async fn read_some(stream: &mut dyn ByteStream, buffer: &mut BytesMut) -> io::Result<usize> {
        if buffer.is_empty() && buffer.capacity() > KEPT_BUFFER_BYTES {
            *buffer = BytesMut::new();
        }
        buffer.reserve(READ_BYTES);
        stream.read_buf(buffer).await
    }

    fn note_read(&mut self, bytes: usize) -> Result<(), BusError> {
        if bytes == 0 {
            return Err(BusError::io(&self.at, io::ErrorKind::UnexpectedEof.into()));
        }
        self.heard = Instant::now();
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), BusError> {
        if self.heard.elapsed() > SILENCE_LIMIT {
            return Err(BusError::timed_out(
                &self.at,
                "Redis was silent for too long",
            ));
        }
        self.send(b"*1\r\n$4\r\nPING\r\n").await
    }

    async fn send(&mut self, command: &[u8]) -> Result<(), BusError> {
        match timeout(CONNECT_TIMEOUT, self.stream.write_all(command)).await {
            Ok(sent) => sent.map_err(|cause| BusError::io(&self.at, cause)),
            Err(_) => Err(BusError::timed_out(&self.at, "Redis takes no more data")),
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

fn refusal(at: &str, text: &[u8]) -> BusError {
    let text = String::from_utf8_lossy(text).into_owned();
    let (code, detail) = text.split_once(' ').unwrap_or((&text, ""));
    let source = redis::make_extension_error(code.to_owned(), Some(detail.to_owned()));
    BusError::Refused {
        at: at.to_owned(),
        source,
    }
}
