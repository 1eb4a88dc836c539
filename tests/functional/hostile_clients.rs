//! Clients that do not speak HTTP, or never finish a sentence.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use harness::{
    PATIENCE, PrivateRedis, Service, calls,
    services::{self, binaries, fixed_port, group, redis},
    wait_until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    process::Command,
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

/// A service started by a shell that limits open files first, and its address.
async fn limited(limit: &str, program: &Path, redis: &PrivateRedis) -> Result<(Service, String)> {
    let address = format!("127.0.0.1:{}", fixed_port()?);
    let (_, port) = address.split_once(':').unwrap_or_default();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limit}; exec \"$@\""), "sh"])
        .arg(program)
        .args([
            "--restApiPort",
            port,
            "--redisServerPort",
            &redis.port_text(),
        ])
        .current_dir(std::env::temp_dir());
    let service = Service::spawn_other(program, command)?;
    wait_until("the service to answer", PATIENCE, async || {
        Ok(calls::get_from(&format!("http://{address}/health"))
            .await
            .is_ok())
    })
    .await?;
    Ok((service, address))
}

/// Asks for much, with little room for it, and never reads.
async fn never_reading(address: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut connection = socket.connect(address.parse()?).await?;
    let requests = "GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n".repeat(200);
    connection.write_all(requests.as_bytes()).await?;
    Ok(connection)
}

/// More clients that never read than a service may have connections keep nobody out for long.
async fn expect_room(program: &Path, redis: &PrivateRedis) -> Result<()> {
    let (_service, address) = limited("ulimit -n 64", program, redis).await?;
    let mut never_reading_ones = Vec::new();
    for _ in 0..60 {
        never_reading_ones.push(never_reading(&address).await?);
    }
    let answer = calls::get_from(&format!("http://{address}/health")).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn clients_that_never_read_their_answers_do_not_keep_others_out() -> Result<()> {
    let redis = redis().await?;
    let binaries = binaries().await?;
    tokio::try_join!(
        expect_room(&binaries.group, &redis),
        expect_room(&binaries.consumer, &redis),
    )?;
    Ok(())
}

#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised_at_start() -> Result<()> {
    let redis = redis().await?;
    let binaries = binaries().await?;
    for program in [&binaries.group, &binaries.consumer] {
        let (_service, address) =
            limited("ulimit -S -n 200; ulimit -H -n 900", program, &redis).await?;
        let mut connection = TcpStream::connect(&address).await?;
        let request = b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        connection.write_all(request).await?;
        let mut page = String::new();
        timeout(PATIENCE, connection.read_to_string(&mut page)).await??;
        assert!(page.contains("\nprocess_max_fds 900\n"), "{page}");
    }
    Ok(())
}
