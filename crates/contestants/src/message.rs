//! The messages that are carried and the entries that are made of them, as the services have them.

use std::{borrow::Cow, io::Write, time::SystemTime};

use anyhow::Result;
use protocol::{
    keys::{PROCESSED_STREAM, PUBLISHED_CHANNEL},
    message::MESSAGE_ID,
    processed::{CONSUMER_ID, PROCESSED_AT},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::resp::command;

/// The stream that the workers read, and the group of theirs in it.
pub(crate) const INPUT_STREAM: &str = "bench:input";
pub(crate) const INPUT_GROUP: &str = "workers";

/// The field of [`INPUT_STREAM`] that holds the message.
pub(crate) const INPUT_FIELD: &str = "message";

/// A message as the program `publisher` makes them up.
#[derive(Debug, Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow)]
    pub message_id: Cow<'a, str>,
    #[serde(borrow)]
    pub text: Cow<'a, str>,
}

/// Writes the body of message `number` of `total` in place of what `body` holds.
pub(crate) fn make(body: &mut Vec<u8>, number: u32, total: u32) -> Result<()> {
    make_with_id(body, rand::random(), number, total)
}

/// The same with a certain id.
pub(crate) fn make_with_id(body: &mut Vec<u8>, id: u128, number: u32, total: u32) -> Result<()> {
    let id = Uuid::from_u128(id);
    body.clear();
    write!(
        body,
        r#"{{"message_id":"{id}","text":"message {number} of {total}"}}"#
    )?;
    Ok(())
}

/// Appends the command that publishes a body.
pub(crate) fn append_publish(out: &mut Vec<u8>, body: &[u8]) {
    command(out, &[b"PUBLISH", PUBLISHED_CHANNEL.as_bytes(), body]);
}

/// Appends the command that adds a body to the stream of the workers.
pub(crate) fn append_input(out: &mut Vec<u8>, body: &[u8]) {
    let (stream, field) = (INPUT_STREAM.as_bytes(), INPUT_FIELD.as_bytes());
    command(out, &[b"XADD", stream, b"*", field, body]);
}

/// Appends the command that adds the entry of a message, with what the sample processor adds.
pub(crate) fn append_entry(out: &mut Vec<u8>, body: &[u8], consumer_id: &str) -> Result<()> {
    let message: Message<'_> = serde_json::from_slice(body)?;
    let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let name = format!("random_{:08x}", rand::random::<u32>());
    let value = format!("{:016x}", rand::random::<u64>());
    let parts = [
        "XADD",
        PROCESSED_STREAM,
        "*",
        MESSAGE_ID,
        &message.message_id,
        CONSUMER_ID,
        consumer_id,
        PROCESSED_AT,
        &at,
        "text",
        &message.text,
        &name,
        &value,
    ];
    command(out, &parts.map(str::as_bytes));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_to_the_services_too() {
        let mut body = Vec::new();
        make_with_id(&mut body, 7, 12, 200).unwrap();
        let message = protocol::Message::parse(body.clone().into()).unwrap();
        assert_eq!(
            message.id().as_str(),
            "00000000-0000-0000-0000-000000000007"
        );
        let text = ("text".into(), "message 12 of 200".into());
        assert_eq!(message.properties().unwrap(), [text]);
    }

    #[test]
    fn an_entry_has_the_fields_of_ours() {
        let (mut body, mut out) = (Vec::new(), Vec::new());
        make(&mut body, 1, 2).unwrap();
        append_entry(&mut out, &body, "127.0.0.1:1").unwrap();
        let text = String::from_utf8(out).unwrap();
        let parts: Vec<_> = text.split("\r\n").skip(2).step_by(2).collect();
        assert_eq!(parts[..4], ["XADD", PROCESSED_STREAM, "*", MESSAGE_ID]);
        assert_eq!(parts[5..7], [CONSUMER_ID, "127.0.0.1:1"]);
        assert_eq!((parts[7], parts[8].len()), (PROCESSED_AT, 24));
        assert_eq!(parts[9..11], ["text", "message 1 of 2"]);
        assert_eq!((parts[11].len(), parts[12].len()), (15, 16));
    }
}
