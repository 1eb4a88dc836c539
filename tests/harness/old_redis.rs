//! A server that says it is an old Redis, for none can be had: it tells its version and knows no scripts.

use std::io;

use anyhow::Result;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// The server; it ends when this is dropped.
#[derive(Debug)]
pub struct OldRedis {
    port: u16,
    _serving: JoinSet<()>,
}

impl OldRedis {
    /// One that says it is of this version.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(version: &'static str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move { drop(converse(stream, version).await) });
            }
        });
        Ok(Self {
            port,
            _serving: serving,
        })
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn converse(stream: TcpStream, version: &str) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let words = read_command(&mut stream).await?;
        let answer = match words[0].to_ascii_uppercase().as_str() {
            "INFO" => {
                let text = format!("# Server\r\nredis_version:{version}\r\n");
                format!("${}\r\n{text}\r\n", text.len())
            }
            "PING" => "+PONG\r\n".to_owned(),
            "CLIENT" | "AUTH" | "SELECT" => "+OK\r\n".to_owned(),
            "LRANGE" => "*0\r\n".to_owned(),
            verb @ ("SUBSCRIBE" | "UNSUBSCRIBE") => {
                format!("*3\r\n{}{}:0\r\n", bulk(&verb.to_lowercase()), bulk("channel"))
            }
            "EVAL" => "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'\r\n"
                .to_owned(),
            "EVALSHA" => "-NOSCRIPT No matching script. Please use EVAL.\r\n".to_owned(),
            _ => "-ERR unknown command\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// The words of the next command (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).
async fn read_command(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<String>> {
    let count = read_number(stream).await?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let length = read_number(stream).await?;
        let mut word = vec![0; length + 2];
        stream.read_exact(&mut word).await?;
        word.truncate(length);
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    Ok(words)
}

async fn read_number(stream: &mut BufReader<TcpStream>) -> io::Result<usize> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.trim()
        .get(1..)
        .and_then(|number| number.parse().ok())
        .ok_or(io::ErrorKind::InvalidData.into())
}
