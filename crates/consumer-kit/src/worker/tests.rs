use std::{future::pending, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::*;
use crate::{Additions, Message, ProcessError};

const PATIENCE: Duration = Duration::from_secs(20);

struct Idle;

impl Processor for Idle {
    async fn process(&self, _: &Message) -> Result<Additions, ProcessError> {
        Ok(Additions::new())
    }
}

/// A worker that needs no group, and whose Redis is not there.
async fn lonely() -> Worker<Idle> {
    let builder = Worker::builder("lonely", Idle)
        .redis_at("127.0.0.1", 1)
        .listen("127.0.0.1", 0)
        .intake(Intake::Pull);
    builder.bind().await.unwrap()
}

/// The start of what it answers.
async fn health(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"GET /health HTTP/1.1\r\nhost: worker\r\n\r\n")
        .await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn expect_nobody(address: SocketAddr) {
    let gone = async {
        while TcpStream::connect(address).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn a_worker_answers_until_its_end_is_ready() {
    let worker = lonely().await;
    let address = worker.address().unwrap();
    let (asked, end) = oneshot::channel();
    let ask = async {
        assert_eq!(health(address).await.unwrap(), "HTTP/1.1 200");
        asked.send(()).unwrap();
    };
    let run = worker.run_until(async { end.await.unwrap() });
    let (ended, ()) = timeout(PATIENCE, async { tokio::join!(run, ask) })
        .await
        .unwrap();
    ended.unwrap();
    expect_nobody(address).await;
}

#[tokio::test]
async fn a_worker_that_is_dropped_stops() {
    let worker = lonely().await;
    let address = worker.address().unwrap();
    tokio::select! {
        ended = worker.run_until(pending()) => panic!("{ended:?}"),
        answer = health(address) => assert_eq!(answer.unwrap(), "HTTP/1.1 200"),
    }
    expect_nobody(address).await;
}
