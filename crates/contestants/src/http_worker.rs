//! A worker as somebody writes one in another language: it takes single messages, one at a time, and says nothing
//! of itself but that it is well.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;

use crate::{
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

fn join(group_port: u16, consumer_id: &str) -> Result<()> {
    let body = json!({ "consumer_id": consumer_id }).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", group_port))?;
    write!(
        stream,
        "POST /register HTTP/1.1\r\nhost: 127.0.0.1:{group_port}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(
        answer.starts_with("HTTP/1.1 200 "),
        "the group answers: {answer}"
    );
    Ok(())
}

/// Answers the requests of a connection.
fn serve(stream: TcpStream, worker: &Mutex<Worker>) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut requests, mut answers) = (BufReader::new(stream.try_clone()?), stream);
    let mut body = Vec::new();
    while let Some(path) = read_request(&mut requests, &mut body)? {
        let status = match path.as_str() {
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

/// The path of the next request, its body in place of what `body` holds; `None` at the end of the connection.
fn read_request(requests: &mut impl BufRead, body: &mut Vec<u8>) -> Result<Option<String>> {
    let mut line = String::new();
    if requests.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line
        .split(' ')
        .nth(1)
        .context("a request has a path")?
        .to_owned();
    let mut length = 0;
    loop {
        line.clear();
        requests.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse()?;
            }
            Some(_) => {}
        }
    }
    body.resize(length, 0);
    requests.read_exact(body)?;
    Ok(Some(path))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_a_connection_are_read_one_by_one() {
        let text = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n\
                    POST /processMessage HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
        let (mut requests, mut body) = (text.as_bytes(), vec![1]);
        let path = read_request(&mut requests, &mut body).unwrap();
        assert_eq!((path.as_deref(), &body[..]), (Some("/health"), &b""[..]));
        let path = read_request(&mut requests, &mut body).unwrap();
        assert_eq!(
            (path.as_deref(), &body[..]),
            (Some("/processMessage"), &b"{}"[..])
        );
        assert_eq!(read_request(&mut requests, &mut body).unwrap(), None);
    }
}
