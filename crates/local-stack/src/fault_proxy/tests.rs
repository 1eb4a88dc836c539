use std::io::ErrorKind;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::*;
use crate::wait_until;

const SOON: Duration = Duration::from_secs(5);

/// How long a test looks at what should not happen.
const A_WHILE: Duration = Duration::from_millis(100);

/// A server that answers every byte with itself, and a proxy in front of it.
struct Scene {
    proxy: FaultProxy,
    _echo: JoinSet<()>,
}

impl Scene {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let mut echo = JoinSet::new();
        echo.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut read, mut write) = stream.split();
                    drop(tokio::io::copy(&mut read, &mut write).await);
                });
            }
        });
        let proxy = FaultProxy::start(&target).await.unwrap();
        Self { proxy, _echo: echo }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.proxy.address()).await.unwrap()
    }

    /// A connection that has been used.
    async fn connected(&self) -> TcpStream {
        let mut stream = self.connect().await;
        assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
        stream
    }
}

/// What comes back for the bytes: as many.
async fn say(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(bytes).await?;
    hear(stream, bytes.len()).await
}

async fn hear(stream: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut answer = vec![0; count];
    timeout(SOON, stream.read_exact(&mut answer)).await??;
    Ok(answer)
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(A_WHILE, stream.read_u8()).await.is_err()
}

/// How a connection ends on which nothing more is said.
async fn end_of(stream: &mut TcpStream) -> ErrorKind {
    let end = timeout(SOON, stream.read_u8()).await.unwrap();
    end.unwrap_err().kind()
}

#[tokio::test]
async fn everything_passes_both_ways_also_the_end() {
    let scene = Scene::start().await;
    let mut stream = scene.connect().await;
    let much: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let (mut read, mut write) = stream.split();
    let mut back = Vec::new();
    let (written, heard) = tokio::join!(
        async {
            write.write_all(&much).await?;
            write.shutdown().await
        },
        timeout(SOON, read.read_to_end(&mut back)),
    );
    written.unwrap();
    heard.unwrap().unwrap();
    assert!(back == much, "{} bytes came back", back.len());
    wait_until("the connection to be gone", SOON, async || {
        Ok(scene.proxy.connections() == 0)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn in_a_black_hole_nothing_moves_until_it_is_over_and_then_nothing_is_missing() {
    let scene = Scene::start().await;
    let mut old = scene.connected().await;
    scene.proxy.set(Fault::BlackHole);
    let mut new = scene.connect().await;
    for stream in [&mut old, &mut new] {
        stream.write_all(b"anybody?").await.unwrap();
        assert!(is_silent(stream).await);
    }
    assert_eq!(scene.proxy.connections(), 1);
    scene.proxy.set(Fault::Pass);
    for stream in [&mut old, &mut new] {
        assert_eq!(hear(stream, 8).await.unwrap(), b"anybody?");
    }
    assert_eq!(scene.proxy.connections(), 2);
}

#[tokio::test]
async fn a_reset_ends_old_and_new_connections_with_rst() {
    let scene = Scene::start().await;
    let mut old = scene.connected().await;
    scene.proxy.set(Fault::Reset);
    assert_eq!(end_of(&mut old).await, ErrorKind::ConnectionReset);
    let mut new = scene.connect().await;
    assert_eq!(end_of(&mut new).await, ErrorKind::ConnectionReset);
    scene.proxy.set(Fault::Pass);
    scene.connected().await;
}

#[tokio::test]
async fn who_is_refused_gets_in_again_at_the_same_port() {
    let scene = Scene::start().await;
    let mut old = scene.connected().await;
    for _ in 0..3 {
        scene.proxy.set(Fault::Refuse);
        assert_eq!(end_of(&mut old).await, ErrorKind::UnexpectedEof);
        wait_until("connections to be refused", SOON, async || {
            let new = TcpStream::connect(scene.proxy.address()).await;
            Ok(new.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused))
        })
        .await
        .unwrap();
        assert!(
            TcpListener::bind(scene.proxy.address()).await.is_err(),
            "the port is kept"
        );
        scene.proxy.set(Fault::Pass);
        wait_until("connections to be taken", SOON, async || {
            Ok(TcpStream::connect(scene.proxy.address()).await.is_ok())
        })
        .await
        .unwrap();
        old = scene.connected().await;
    }
}

#[tokio::test]
async fn a_delay_makes_everything_late_without_slowing_it() {
    let scene = Scene::start().await;
    let latency = Duration::from_millis(50);
    let mut stream = scene.connected().await;
    scene.proxy.set(Fault::delay(latency));
    let begun = Instant::now();
    assert_eq!(say(&mut stream, b"late").await.unwrap(), b"late");
    assert!(begun.elapsed() >= 2 * latency, "{:?}", begun.elapsed());

    // Both ways and with jitter: the order stays.
    let jitter = Duration::from_millis(20);
    scene.proxy.set(Fault::Delay { latency, jitter });
    let much: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let begun = Instant::now();
    let (mut read, mut write) = stream.split();
    let mut back = vec![0; much.len()];
    let (written, heard) = tokio::join!(write.write_all(&much), read.read_exact(&mut back));
    written.unwrap();
    heard.unwrap();
    assert!(back == much);
    // One piece after the other would take more than six seconds.
    assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_throttle_lets_so_many_bytes_a_second_pass_and_no_more() {
    let scene = Scene::start().await;
    let mut stream = scene.connected().await;
    scene.proxy.set(Fault::Throttle(20_000));
    let begun = Instant::now();
    let (mut read, mut write) = stream.split();
    let mut back = vec![0; 10_000];
    let (written, heard) = tokio::join!(write.write_all(&[7; 10_000]), read.read_exact(&mut back));
    written.unwrap();
    heard.unwrap();
    let took = begun.elapsed();
    // The last piece need not be waited for.
    assert!(took >= Duration::from_millis(400), "{took:?}");
    assert!(took < SOON / 2, "{took:?}");
    scene.proxy.set(Fault::Pass);
    assert_eq!(say(&mut stream, b"free").await.unwrap(), b"free");
}

#[tokio::test]
async fn an_answer_is_cut_after_so_many_bytes_on_every_connection() {
    let scene = Scene::start().await;
    let mut old = scene.connected().await;
    scene.proxy.set(Fault::CutAfter(3));
    let mut new = scene.connect().await;
    for stream in [&mut old, &mut new] {
        stream.write_all(b"answer").await.unwrap();
        assert_eq!(hear(stream, 3).await.unwrap(), b"ans");
        assert_eq!(end_of(stream).await, ErrorKind::ConnectionReset);
    }
    scene.proxy.set(Fault::Pass);
    scene.connected().await;
}

#[tokio::test]
async fn one_way_requests_arrive_and_their_answers_come_when_it_is_over() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let proxy = FaultProxy::start(&target).await.unwrap();
    proxy.set(Fault::OneWay);
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    client.write_all(b"ask").await.unwrap();
    assert_eq!(hear(&mut server, 3).await.unwrap(), b"ask");
    server.write_all(b"tell").await.unwrap();
    assert!(is_silent(&mut client).await);
    proxy.set(Fault::Pass);
    assert_eq!(hear(&mut client, 4).await.unwrap(), b"tell");
}

#[tokio::test]
async fn where_nothing_listens_behind_it_connections_are_reset() {
    let target = {
        let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        free.local_addr().unwrap().to_string()
    };
    let proxy = FaultProxy::start(&target).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(end_of(&mut stream).await, ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn with_the_proxy_everything_ends() {
    let scene = Scene::start().await;
    let mut stream = scene.connected().await;
    let address = scene.proxy.address();
    drop(scene.proxy);
    let end = end_of(&mut stream).await;
    assert!(
        matches!(end, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
        "{end}"
    );
    wait_until("connections to be refused", SOON, async || {
        Ok(TcpStream::connect(&address).await.is_err())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_break_concerns_the_open_connections_and_not_those_to_come() {
    let scene = Scene::start().await;
    for how in [Break::Close, Break::Reset, Break::Hang] {
        let mut open = scene.connected().await;
        scene.proxy.break_open(how);
        match how {
            Break::Close => assert_eq!(open.read(&mut [0]).await.unwrap(), 0),
            Break::Reset => {
                let error = open.read(&mut [0]).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            }
            Break::Hang => {
                open.write_all(&[0; 1 << 20]).await.unwrap();
                assert!(timeout(A_WHILE, open.read(&mut [0])).await.is_err());
            }
        }
        scene.connected().await;
    }
}
