//! One connection through the proxy, both ways.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Break, Fault};

/// How much is read at once, in bytes.
const PIECE: usize = 16 * 1024;

/// How much that is late may be under way in one direction, in bytes: so much that latency alone does
/// not bound the throughput.
const LATE: usize = 1 << 20;

/// How often a second something passes a throttled connection.
const BEATS: u32 = 20;

/// Relays until both sides have ended, or one side or the network has broken off.
pub(super) async fn connection(
    mut client: TcpStream,
    target: SocketAddr,
    mut faults: watch::Receiver<Fault>,
    mut breaks: watch::Receiver<Break>,
) {
    let mut server = None;
    let watched = faults.clone();
    let relayed = async {
        let server = server.insert(TcpStream::connect(target).await?);
        relay(&mut client, server, &watched).await
    };
    let end = tokio::select! {
        biased;
        fault = faults.wait_for(|fault| fault.ends_connections()) => {
            match fault.as_deref() {
                Ok(Fault::Refuse) => Ok(()),
                _ => Err(io::ErrorKind::ConnectionReset.into()),
            }
        }
        Ok(()) = breaks.changed() => match *breaks.borrow_and_update() {
            Break::Close => Ok(()),
            Break::Reset => Err(io::ErrorKind::ConnectionReset.into()),
            Break::Hang => Err(io::ErrorKind::WouldBlock.into()),
        },
        end = relayed => end,
    };
    if matches!(&end, Err(hung) if hung.kind() == io::ErrorKind::WouldBlock) {
        // Until the client gives up; the server keeps what it has heard.
        drop(tokio::io::copy(&mut client, &mut tokio::io::sink()).await);
    }
    if end.is_err() {
        for stream in [Some(client), server].into_iter().flatten() {
            // Where this fails the connection is broken already.
            drop(stream.set_zero_linger());
        }
    }
}

async fn relay(
    client: &mut TcpStream,
    server: &mut TcpStream,
    faults: &watch::Receiver<Fault>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (requests, to_client) = client.split();
    let (answers, to_server) = server.split();
    let requests = Pump::new(Way::Request, requests, to_server, faults.clone());
    let answers = Pump::new(Way::Answer, answers, to_client, faults.clone());
    tokio::try_join!(requests.run(), answers.run())?;
    Ok(())
}

/// From the client to the server, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

/// One direction of a connection.
struct Pump<'a> {
    way: Way,
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    faults: watch::Receiver<Fault>,
    /// Read, and not yet written.
    line: VecDeque<Piece>,
    /// How many bytes these are.
    held: usize,
    /// Whether no more will be read.
    has_ended: bool,
    /// How many bytes have passed since the fault began.
    passed: u64,
    /// When a throttled connection has room for more.
    room_at: Instant,
}

struct Piece {
    due: Instant,
    bytes: Vec<u8>,
    /// How many of them are written.
    written: usize,
}

impl<'a> Pump<'a> {
    fn new(
        way: Way,
        from: ReadHalf<'a>,
        to: WriteHalf<'a>,
        faults: watch::Receiver<Fault>,
    ) -> Self {
        Self {
            way,
            from,
            to,
            faults,
            line: VecDeque::new(),
            held: 0,
            has_ended: false,
            passed: 0,
            room_at: Instant::now(),
        }
    }

    /// Moves bytes until there are no more; then the other side is told so.
    async fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        loop {
            let fault = *self.faults.borrow_and_update();
            let moves = fault.moves(self.way);
            if moves && self.has_ended && self.line.is_empty() {
                return self.to.shutdown().await;
            }
            let most = fault.most_at_once(self.way, self.passed);
            tokio::select! {
                changed = self.faults.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.passed = 0;
                    self.room_at = Instant::now();
                }
                read = self.from.read(&mut buffer),
                    if moves && !self.has_ended && self.held < fault.room() =>
                {
                    self.note_read(&buffer[..read?], fault.lateness());
                }
                written = write(&mut self.to, self.line.front(), most, self.room_at),
                    if moves && !self.line.is_empty() =>
                {
                    self.note_written(written?, fault);
                }
            }
        }
    }

    fn note_read(&mut self, bytes: &[u8], lateness: Duration) {
        if bytes.is_empty() {
            self.has_ended = true;
            return;
        }
        self.held += bytes.len();
        self.line.push_back(Piece {
            due: Instant::now() + lateness,
            bytes: bytes.to_vec(),
            written: 0,
        });
    }

    fn note_written(&mut self, count: usize, fault: Fault) {
        self.held -= count;
        let bytes = u32::try_from(count).unwrap_or(u32::MAX);
        self.passed += u64::from(bytes);
        if let Fault::Throttle(a_second) = fault {
            let takes = Duration::from_secs(1) * bytes / a_second.max(1);
            self.room_at = self.room_at.max(Instant::now()) + takes;
        }
        if let Some(first) = self.line.front_mut() {
            first.written += count;
            if first.written == first.bytes.len() {
                self.line.pop_front();
            }
        }
    }
}

impl Fault {
    /// Whether bytes move this way.
    fn moves(self, way: Way) -> bool {
        match self {
            Self::BlackHole | Self::Reset | Self::Refuse => false,
            Self::OneWay => way == Way::Request,
            Self::Pass | Self::Delay { .. } | Self::Throttle(_) | Self::CutAfter(_) => true,
        }
    }

    /// How much may be written at once; none when the connection is to be cut.
    fn most_at_once(self, way: Way, passed: u64) -> usize {
        match self {
            Self::CutAfter(bytes) if way == Way::Answer => {
                usize::try_from(bytes.saturating_sub(passed)).unwrap_or(usize::MAX)
            }
            Self::Throttle(a_second) => {
                usize::try_from((a_second / BEATS).max(1)).unwrap_or(usize::MAX)
            }
            Self::Pass
            | Self::BlackHole
            | Self::Reset
            | Self::Refuse
            | Self::Delay { .. }
            | Self::CutAfter(_)
            | Self::OneWay => usize::MAX,
        }
    }

    /// How much may have been read and not yet written.
    fn room(self) -> usize {
        if matches!(self, Self::Delay { .. }) {
            LATE
        } else {
            1
        }
    }

    /// How late what is read now is to be.
    fn lateness(self) -> Duration {
        match self {
            Self::Delay { latency, jitter } => latency + jitter.mul_f64(rand::random()),
            Self::Pass
            | Self::BlackHole
            | Self::Reset
            | Self::Refuse
            | Self::Throttle(_)
            | Self::CutAfter(_)
            | Self::OneWay => Duration::ZERO,
        }
    }
}

/// Writes some of a piece when it is due and there is room.
///
/// # Cancel safety
/// Safe: nothing is written unless it returns.
async fn write(
    to: &mut WriteHalf<'_>,
    piece: Option<&Piece>,
    most: usize,
    room_at: Instant,
) -> io::Result<usize> {
    let Some(piece) = piece else {
        return Ok(0);
    };
    let at = piece.due.max(room_at);
    if at > Instant::now() {
        sleep_until(at).await;
    }
    if most == 0 {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let rest = &piece.bytes[piece.written..];
    to.write(&rest[..rest.len().min(most)]).await
}
