//! The way without a service between: an entry for each message of the channel.
//!
//! What has come in together goes out together, so that there are batches under load and none when idle.

use std::{io::Write, net::TcpStream, thread};

use anyhow::{Result, ensure};
use protocol::keys::PUBLISHED_CHANNEL;
use serde_json::json;

use crate::{
    message::append_entry,
    resp::{self, Replies, subscribe},
    tell,
};

/// Adds entries until the connection ends, or this process is killed.
pub(crate) fn run(port: u16) -> Result<()> {
    let mut messages = subscribe(port, PUBLISHED_CHANNEL)?;
    let mut entries = resp::connect(port)?;
    let consumer_id = entries.local_addr()?.to_string();
    let mut answers = Replies::new(entries.try_clone()?);
    tell(&json!({ "ready": true }));
    // Nothing waits for the answers, so they are read beside; both ends stop when Redis closes.
    thread::scope(|scope| {
        scope.spawn(move || while answers.next().is_ok() {});
        forward(&mut messages, &mut entries, &consumer_id)
    })
}

fn forward(messages: &mut Replies, entries: &mut TcpStream, consumer_id: &str) -> Result<()> {
    let mut bytes = Vec::new();
    loop {
        messages.read()?;
        bytes.clear();
        while let Some(mut message) = messages.next_read()? {
            let (parts, kind, _) = (message.array()?, message.text()?, message.text()?);
            ensure!(parts == 3 && kind == b"message", "this is no message");
            append_entry(&mut bytes, message.text()?, consumer_id)?;
        }
        entries.write_all(&bytes)?;
    }
}
