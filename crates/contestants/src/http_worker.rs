//! A worker as somebody writes one in another language: it takes single messages, one at a time, and says nothing
//! of itself but that it is well.

use std::{
    io::{BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::{
    http::{join, path, read},
    message::append_entry,
    resp::{self, Replies},
    tell,
};

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Work {
    /// The port of the group on 127.0.0.1.
    #[arg(long)]
    group_port: u16,

    /// How long it takes for a message.
    #[arg(long)]
    work_ms: u32,
}

/// Joins the group and works until killed.
pub(crate) fn run(port: u16, work: Work) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let consumer_id = listener.local_addr()?.to_string();
    let worker = Mutex::new(Worker::new(port, work, consumer_id.clone())?);
    // Who asks how it is meanwhile waits to be accepted.
    join(work.group_port, &consumer_id)?;
    tell(&json!({ "ready": true }));
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let worker = &worker;
            // A connection that breaks is the group's affair.
            scope.spawn(move || serve(stream, worker).unwrap_or_default());
        }
    });
    Ok(())
}

/// Answers the requests of a connection.
fn serve(stream: TcpStream, worker: &Mutex<Worker>) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut requests, mut answers) = (BufReader::new(stream.try_clone()?), stream);
    let mut body = Vec::new();
    while let Some(first) = read(&mut requests, &mut body)? {
        let status = match path(&first) {
            "/health" => "200 OK",
            "/processMessage" => {
                let mut worker = worker.lock().unwrap_or_else(PoisonError::into_inner);
                worker.process(&body)?;
                "200 OK"
            }
            _ => "404 Not Found",
        };
        let head = "content-type: application/json\r\ncontent-length: 2";
        answers.write_all(format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n{{}}").as_bytes())?;
    }
    Ok(())
}

/// What does the work, and adds the entry.
#[derive(Debug)]
struct Worker {
    redis: TcpStream,
    answers: Replies,
    work: Duration,
    consumer_id: String,
}

impl Worker {
    fn new(port: u16, work: Work, consumer_id: String) -> Result<Self> {
        let redis = resp::connect(port)?;
        Ok(Self {
            answers: Replies::new(redis.try_clone()?),
            redis,
            work: Duration::from_millis(work.work_ms.into()),
            consumer_id,
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the pause is the work")]
    fn process(&mut self, body: &[u8]) -> Result<()> {
        thread::sleep(self.work);
        let mut entry = Vec::new();
        append_entry(&mut entry, body, &self.consumer_id)?;
        self.redis.write_all(&entry)?;
        self.answers.next()?;
        Ok(())
    }
}
