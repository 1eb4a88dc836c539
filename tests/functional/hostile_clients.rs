//! Clients that do not speak HTTP, or never finish a sentence.

use std::time::Duration;

use anyhow::Result;
use harness::{
    PATIENCE, Service, calls,
    services::{self, group, redis},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// What a service answers to raw bytes, until it closes the connection.
async fn say(service: &Service, bytes: &[u8], within: Duration) -> Result<String> {
    let mut connection = TcpStream::connect(service.address()).await?;
    connection.write_all(bytes).await?;
    let mut answer = Vec::new();
    // A connection that is reset ends the answer as well.
    let read = timeout(within, connection.read_to_end(&mut answer)).await?;
    drop(read);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn what_is_no_http_is_cut_off_and_survived() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = services::consumer(&redis, &group, &[]).await?;
    let many_headers = format!("GET /health HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    let long_header = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    for service in [&group, &consumer] {
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            b"\x00\x00\x00\x00\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            many_headers.as_bytes(),
            long_header.as_bytes(),
        ] {
            let answer = say(service, bytes, PATIENCE).await?;
            assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        }
        assert_eq!(calls::get(service, "/health").await?.status, 200);
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for_for_ever() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let consumer = services::consumer(&redis, &group, &[]).await?;
    let request = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
             Content-Length: 100\r\nConnection: close\r\n\r\n{{"
        )
    };
    let (to_group, to_consumer) = (request("/register"), request("/processMessage"));
    let (from_group, from_consumer) = tokio::try_join!(
        say(&group, to_group.as_bytes(), PATIENCE),
        say(&consumer, to_consumer.as_bytes(), PATIENCE),
    )?;
    for answer in [from_group, from_consumer] {
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn hundreds_of_silent_connections_do_not_keep_others_out() -> Result<()> {
    let redis = redis().await?;
    let group = group(&redis, &[]).await?;
    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(TcpStream::connect(group.address()).await?);
    }
    assert_eq!(calls::register(&group, "h:1").await?.status, 200);
    drop(silent);
    Ok(())
}
