//! A line to a server that carries so many bytes a second and no more.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

/// How much is let through at once, in bytes.
const PIECE: usize = 64 * 1024;

/// The line; it is cut when this is dropped. What the server says goes slowly, each connection for
/// itself; what is said to it goes as fast as it can.
#[derive(Debug)]
pub struct SlowLine {
    address: SocketAddr,
    _carrying: JoinSet<()>,
}

impl SlowLine {
    /// A line to a port of the loopback address.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to(port: u16, bytes_a_second: u32) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let piece = u32::try_from(PIECE)?;
        let each = Duration::from_secs(1) * piece / bytes_a_second;
        let mut carrying = JoinSet::new();
        carrying.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                // A connection that breaks is the client's affair.
                connections.spawn(async move { drop(carry(near, port, each).await) });
            }
        });
        Ok(Self {
            address,
            _carrying: carrying,
        })
    }

    /// The port of its near end.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn carry(mut near: TcpStream, port: u16, each: Duration) -> Result<()> {
    let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut from_near, to_near) = near.split();
    let (from_far, mut to_far) = far.split();
    tokio::select! {
        copied = copy(&mut from_near, &mut to_far) => drop(copied?),
        copied = copy_slowly(from_far, to_near, each) => copied?,
    }
    Ok(())
}

async fn copy_slowly(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    each: Duration,
) -> Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&piece[..read]).await?;
        if read > PIECE / 2 {
            sleep(each).await;
        }
    }
}
