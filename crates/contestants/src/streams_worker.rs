//! A worker of a plain Redis stream, as somebody would write it who knows Redis well.
//!
//! It reads up to 512 messages at once, adds their entries, acknowledges them, and asks for the next, all
//! in one write. What it has read and not acknowledged would be another worker's after a crash.

use std::io::Write;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{
    message::{INPUT_GROUP, INPUT_STREAM, append_entry},
    resp::{self, Replies, Tokens, command},
    tell,
};

/// How many messages are read at once.
const COUNT: &str = "512";

/// How long Redis lets a read wait for messages, in milliseconds.
const BLOCK_MS: &str = "1000";

/// Works until the connection ends, or this process is killed.
pub(crate) fn run(port: u16, name: &str) -> Result<()> {
    let mut stream = resp::connect(port)?;
    let consumer_id = stream.local_addr()?.to_string();
    let mut replies = Replies::new(stream.try_clone()?);
    join(&mut stream, &mut replies)?;
    tell(&json!({ "ready": true }));
    let (mut entries, mut read) = (Vec::new(), Read::default());
    loop {
        append_read(&mut entries, name);
        stream.write_all(&entries)?;
        entries.clear();
        // An answer to each entry, and one to all that were acknowledged.
        let answers = read.ids.len() + usize::from(!read.ids.is_empty());
        for _ in 0..answers {
            replies.next()?;
        }
        read.take(replies.next()?, |body| {
            append_entry(&mut entries, body, &consumer_id)
        })?;
        append_ack(&mut entries, &read.ids);
    }
}

/// Makes stream and group, unless another worker has.
fn join(stream: &mut impl Write, replies: &mut Replies) -> Result<()> {
    let (key, group) = (INPUT_STREAM.as_bytes(), INPUT_GROUP.as_bytes());
    let mut bytes = Vec::new();
    command(
        &mut bytes,
        &[b"XGROUP", b"CREATE", key, group, b"0", b"MKSTREAM"],
    );
    stream.write_all(&bytes)?;
    match replies.next() {
        Err(error) if !error.to_string().contains("BUSYGROUP") => Err(error),
        _ => Ok(()),
    }
}

fn append_read(out: &mut Vec<u8>, name: &str) {
    let parts = [
        "XREADGROUP",
        "GROUP",
        INPUT_GROUP,
        name,
        "COUNT",
        COUNT,
        "BLOCK",
        BLOCK_MS,
        "STREAMS",
        INPUT_STREAM,
        ">",
    ];
    command(out, &parts.map(str::as_bytes));
}

fn append_ack(out: &mut Vec<u8>, ids: &[Vec<u8>]) {
    if ids.is_empty() {
        return;
    }
    let mut parts: Vec<&[u8]> = vec![b"XACK", INPUT_STREAM.as_bytes(), INPUT_GROUP.as_bytes()];
    parts.extend(ids.iter().map(Vec::as_slice));
    command(out, &parts);
}

/// What was read last: the ids to acknowledge.
#[derive(Debug, Default)]
struct Read {
    ids: Vec<Vec<u8>>,
}

impl Read {
    /// Takes `[[stream, [[id, [field, body]], …]]]`, or null when nothing came in time.
    fn take(
        &mut self,
        mut reply: Tokens<'_>,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        self.ids.clear();
        if reply.array()? == 0 {
            return Ok(());
        }
        ensure!(reply.array()? == 2, "this is no stream");
        reply.text()?;
        for _ in 0..reply.array()? {
            ensure!(reply.array()? == 2, "this is no entry");
            self.ids.push(reply.text()?.to_vec());
            ensure!(reply.array()? == 2, "an entry has one field");
            reply.text()?;
            each(reply.text()?)?;
        }
        Ok(())
    }
}
