//! A TCP proxy that is as bad a network as one likes, and can be told so while it runs.
//!
//! It never loses a byte out of the middle of a connection, because TCP does not either: what a fault
//! keeps from moving stays where it is, in the sockets' buffers, and moves when the fault is over, unless
//! the connection has ended by then.
//!
//! One thing it cannot do: what reaches the proxy is acknowledged by the system, so to its clients a
//! [`Fault::BlackHole`] is a server that has stopped, not a network that has. For the latter see
//! [`PrivateNetwork`](crate::PrivateNetwork).

mod relay;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// How many connections the system keeps for the proxy until it takes them.
const BACKLOG: u32 = 1024;

/// How long to wait after the system would not give a listener or a connection.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// What the network does. It concerns the connections that are open and those to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None: everything passes.
    Pass,
    /// Nothing moves in either direction. Connections stay open, and the system accepts new ones.
    BlackHole,
    /// Every connection is reset, also each new one.
    Reset,
    /// As when the server's process has ended: connections end, and new ones are refused.
    Refuse,
    /// All bytes are late, in each direction, by the latency and up to as much again as the jitter.
    Delay {
        /// How late they are at least.
        latency: Duration,
        /// How much later they may be; drawn for each piece. They stay in order.
        jitter: Duration,
    },
    /// So many bytes a second pass, in each direction of each connection; 0 counts as 1.
    Throttle(u32),
    /// So many bytes of the answers of each connection pass from now on; the next one resets it.
    CutAfter(u64),
    /// Requests pass, answers do not move.
    OneWay,
}

impl Fault {
    /// A delay that is always the same.
    #[must_use]
    pub fn delay(latency: Duration) -> Self {
        let jitter = Duration::ZERO;
        Self::Delay { latency, jitter }
    }

    fn takes_connections(self) -> bool {
        !matches!(self, Self::BlackHole | Self::Refuse)
    }

    fn ends_connections(self) -> bool {
        matches!(self, Self::Reset | Self::Refuse)
    }
}

/// What becomes of the connections that are open, and not of those to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// They are closed, as by a load balancer that found them idle.
    Close,
    /// They are reset.
    Reset,
    /// What is sent is acknowledged and never answered, as by a server frozen behind an address that has moved.
    Hang,
}

/// The proxy. With it end its listener and all its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    faults: watch::Sender<Fault>,
    breaks: watch::Sender<Break>,
    open: Arc<AtomicUsize>,
    /// Holds the port while nothing listens on it.
    _port: TcpSocket,
    _serving: JoinSet<()>,
}

impl FaultProxy {
    /// A proxy on a free port of 127.0.0.1 in front of the target, host and port; it passes everything.
    ///
    /// # Errors
    /// When the target cannot be resolved, or there is no free port.
    pub async fn start(target: &str) -> Result<Self> {
        let mut found = tokio::net::lookup_host(target).await?;
        let target = found
            .next()
            .with_context(|| format!("`{target}` is no address"))?;
        let port = bind(([127, 0, 0, 1], 0).into())?;
        let address = port.local_addr()?;
        let listener = listen(address)?;
        let (faults, open) = (watch::Sender::new(Fault::Pass), Arc::default());
        let breaks = watch::Sender::new(Break::Close);
        let server = Server {
            address,
            target,
            faults: faults.subscribe(),
            breaks: breaks.subscribe(),
            open: Arc::clone(&open),
        };
        let mut serving = JoinSet::new();
        serving.spawn(server.serve(listener));
        Ok(Self {
            address,
            faults,
            breaks,
            open,
            _port: port,
            _serving: serving,
        })
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on, or a moment later, the network is like this.
    pub fn set(&self, fault: Fault) {
        self.faults.send_replace(fault);
    }

    /// Breaks the connections that are open now; those to come are as the network is.
    pub fn break_open(&self, how: Break) {
        self.breaks.send_replace(how);
    }

    /// What the network is like.
    #[must_use]
    pub fn fault(&self) -> Fault {
        *self.faults.borrow()
    }

    /// How many connections are open; those the system accepted in a black hole do not count yet.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

struct Server {
    address: SocketAddr,
    target: SocketAddr,
    faults: watch::Receiver<Fault>,
    breaks: watch::Receiver<Break>,
    open: Arc<AtomicUsize>,
}

impl Server {
    async fn serve(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        let mut connections = JoinSet::new();
        loop {
            let fault = *self.faults.borrow_and_update();
            if fault == Fault::Refuse {
                listener = None;
            } else if listener.is_none() {
                listener = listen(self.address).ok();
            }
            tokio::select! {
                changed = self.faults.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                accepted = accept(listener.as_ref()), if fault.takes_connections() => {
                    match accepted {
                        Ok(client) => drop(connections.spawn(self.connection(client))),
                        Err(_) => sleep(TRY_AGAIN).await,
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    fn connection(&self, client: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        let (target, faults) = (self.target, self.faults.clone());
        let mut breaks = self.breaks.clone();
        breaks.mark_unchanged();
        let open = Open::count(&self.open);
        async move {
            relay::connection(client, target, faults, breaks).await;
            drop(open);
        }
    }
}

/// Fails at once where there is no listener: there should be one soon.
async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    let listener = listener.ok_or(io::ErrorKind::NotConnected)?;
    let (client, _) = listener.accept().await?;
    Ok(client)
}

/// One of the connections that are open, as long as this value lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(BACKLOG)
}

/// A socket that shares its port with others of this proxy.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
