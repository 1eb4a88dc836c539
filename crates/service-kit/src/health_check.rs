//! `--checkHealth`: asks the service that runs with the same settings whether it lives.
//!
//! It is for an image that has neither a shell nor `curl`, and whoever watches its containers.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use crate::http_server::Address;

/// The path that says whether a service lives, on every service.
const PATH: &str = "/health";

/// How long to wait for the connection, and again for the answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The most bytes of an answer that are read: its first line is enough.
const MAX_BYTES: u64 = 256;

/// Why a service is not healthy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unhealthy {
    /// Its port is not known.
    #[error("--restApiPort 0 is any free port; say which one to ask")]
    AnyPort,
    /// Nobody answers.
    #[error("no answer at {host}:{port}")]
    Silent {
        /// The host it listens on.
        host: String,
        /// The port it listens on.
        port: u16,
        /// What went wrong.
        source: io::Error,
    },
    /// It says so itself.
    #[error("the answer is `{0}`")]
    Refusal(String),
}

/// Asks the service that listens here.
pub(crate) fn check(address: &Address) -> Result<(), Unhealthy> {
    let Address { host, port } = address;
    if *port == 0 {
        return Err(Unhealthy::AnyPort);
    }
    let line = ask(host, *port).map_err(|source| Unhealthy::Silent {
        host: host.clone(),
        port: *port,
        source,
    })?;
    match line.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some(_) | None => Err(Unhealthy::Refusal(line.escape_debug().to_string())),
    }
}

/// The first line of the answer.
fn ask(host: &str, port: u16) -> io::Result<String> {
    let mut stream = connect(host, port)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {PATH} HTTP/1.0\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_BYTES)).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&reachable(address), TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(cause) => failure = cause,
        }
    }
    Err(failure)
}

/// An address to connect to for one to listen on: all addresses of a machine are reached at its loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn at(host: &str, port: u16) -> Address {
        let host = host.to_owned();
        Address { host, port }
    }

    /// What is said of a service that answers so, on all addresses.
    fn verdict(answer: &'static str) -> Result<(), Unhealthy> {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let verdict = check(&at("0.0.0.0", port));
        assert!(server.join().unwrap().starts_with("GET /health HTTP/1"));
        verdict
    }

    #[test]
    fn only_200_is_healthy() {
        verdict("HTTP/1.0 200 OK\r\n\r\n").unwrap();
        for answer in [
            "HTTP/1.0 503 Service Unavailable\r\n\r\n",
            "200",
            "",
            "\u{1b}[2J",
        ] {
            let cause = verdict(answer).unwrap_err().to_string();
            assert!(cause.starts_with("the answer is `"), "{cause}");
            assert!(!cause.contains('\u{1b}'), "{cause:?}");
        }
    }

    #[test]
    fn nobody_there_is_not_healthy() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let cause = check(&at("127.0.0.1", port)).unwrap_err();
        assert!(matches!(cause, Unhealthy::Silent { .. }), "{cause}");
        assert!(matches!(
            check(&at("127.0.0.1", 0)),
            Err(Unhealthy::AnyPort)
        ));
    }
}
