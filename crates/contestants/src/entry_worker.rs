//! Workers that know nothing of Redis: they answer with the entries of their messages, and the group records them.
//!
//! One is pushed to, in batches; the other fetches.

use std::{
    io::{BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{json, value::RawValue};

use crate::{
    http::{join, path, read},
    message::Message,
    tell,
};

/// How many messages come at once.
const AT_ONCE: usize = 512;

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Group {
    /// The port of the group on 127.0.0.1.
    #[arg(long)]
    group_port: u16,
}

/// Joins the group and works until killed.
pub(crate) fn run_pushed(group: Group) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let consumer_id = listener.local_addr()?.to_string();
    join(group.group_port, &consumer_id)?;
    tell(&json!({ "ready": true }));
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            // A connection that breaks is the group's affair.
            scope.spawn(move || serve(stream).unwrap_or_default());
        }
    });
    Ok(())
}

fn serve(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut requests, mut answers) = (BufReader::new(stream.try_clone()?), stream);
    let (mut body, mut answer) = (Vec::new(), Vec::new());
    while let Some(first) = read(&mut requests, &mut body)? {
        answer.clear();
        match path(&first) {
            "/health" => write!(answer, "{{\"max_batch\":{AT_ONCE}}}")?,
            "/processMessage" => append_outcome(&mut answer, None, &body)?,
            _ => {
                answer.extend_from_slice(b"{\"results\":[");
                let lines = body.split(|byte| *byte == b'\n');
                for (place, line) in lines.filter(|line| !line.is_empty()).enumerate() {
                    answer.extend((place > 0).then_some(b','));
                    append_outcome(&mut answer, None, line)?;
                }
                answer.extend_from_slice(b"]}");
            }
        }
        send(&mut answers, "HTTP/1.1 200 OK", &answer)?;
    }
    Ok(())
}

/// Fetches, works and settles until killed.
pub(crate) fn run_fetching(group: Group) -> Result<()> {
    #[derive(Deserialize)]
    struct Fetched<'a> {
        #[serde(borrow)]
        messages: Vec<Leased<'a>>,
    }
    #[derive(Deserialize)]
    struct Leased<'a> {
        lease: &'a str,
        #[serde(borrow)]
        message: &'a RawValue,
    }
    let mut requests = TcpStream::connect(("127.0.0.1", group.group_port))?;
    requests.set_nodelay(true)?;
    let mut answers = BufReader::new(requests.try_clone()?);
    let name = format!("worker-{}", std::process::id());
    let ask = json!({
        "consumer_id": name, "max_messages": AT_ONCE, "wait_seconds": 20, "lease_seconds": 60,
    });
    let ask = ask.to_string();
    tell(&json!({ "ready": true }));
    let (mut body, mut outcomes) = (Vec::new(), Vec::new());
    loop {
        post(&mut requests, "/messages/lease", ask.as_bytes())?;
        expect_ok(read(&mut answers, &mut body)?)?;
        let fetched: Fetched<'_> = serde_json::from_slice(&body)?;
        if fetched.messages.is_empty() {
            continue;
        }
        outcomes.clear();
        outcomes.extend_from_slice(b"{\"outcomes\":[");
        for (place, Leased { lease, message }) in fetched.messages.iter().enumerate() {
            outcomes.extend((place > 0).then_some(b','));
            append_outcome(&mut outcomes, Some(lease), message.get().as_bytes())?;
        }
        outcomes.extend_from_slice(b"]}");
        post(&mut requests, "/messages/settle", &outcomes)?;
        expect_ok(read(&mut answers, &mut body)?)?;
        serde_json::from_slice::<IgnoredAny>(&body)?;
    }
}

fn expect_ok(first: Option<String>) -> Result<()> {
    let first = first.context("the group is gone")?;
    ensure!(
        first.starts_with("HTTP/1.1 200 "),
        "the group answers {first}"
    );
    Ok(())
}

/// What a message came to: its entry has the fields that the sample processor makes.
fn append_outcome(out: &mut Vec<u8>, lease: Option<&str>, body: &[u8]) -> Result<()> {
    let message: Message<'_> = serde_json::from_slice(body)?;
    out.push(b'{');
    if let Some(lease) = lease {
        write!(out, "\"lease\":\"{lease}\",")?;
    }
    out.extend_from_slice(b"\"status\":200,\"entry\":{\"text\":");
    serde_json::to_writer(&mut *out, &message.text)?;
    let (name, value) = (rand::random::<u32>(), rand::random::<u64>());
    write!(out, ",\"random_{name:08x}\":\"{value:016x}\"}}}}")?;
    Ok(())
}

fn post(stream: &mut TcpStream, path: &str, body: &[u8]) -> Result<()> {
    let first = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1");
    send(stream, &first, body)
}

/// Sends a request or an answer in one write.
fn send(stream: &mut TcpStream, first: &str, body: &[u8]) -> Result<()> {
    let mut bytes = Vec::with_capacity(body.len() + 256);
    let length = body.len();
    write!(
        bytes,
        "{first}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )?;
    bytes.extend_from_slice(body);
    stream.write_all(&bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_outcome_has_the_entry_of_its_message() {
        let mut out = Vec::new();
        let body = br#"{"message_id":"a","text":"x \"y\""}"#;
        append_outcome(&mut out, Some("l"), body).unwrap();
        let outcome: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (&outcome["lease"], &outcome["status"]),
            (&json!("l"), &json!(200))
        );
        assert_eq!(outcome["entry"]["text"], "x \"y\"");
        assert_eq!(outcome["entry"].as_object().unwrap().len(), 2);
    }
}
