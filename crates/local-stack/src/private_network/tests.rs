use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};

use super::*;

const SOON: Duration = Duration::from_secs(5);

/// How long a test looks at what should not happen.
const A_WHILE: Duration = Duration::from_millis(100);

/// A network, unless there can be none, which is told past the test's captured output.
fn network() -> Option<PrivateNetwork> {
    if let Some(why) = PrivateNetwork::why_not() {
        let text = format!("not tested, because there can be no private network: {why}\n");
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return None;
    }
    Some(PrivateNetwork::create().unwrap())
}

/// Does something on a thread inside; what it opens stays inside.
fn inside<T: Send>(network: &PrivateNetwork, act: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/run/netns/{}", network.name)).unwrap();
    thread::scope(|scope| {
        let acting = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        });
        acting.join().unwrap()
    })
}

/// A connection from the inside to a server outside: client, server, port.
fn connection(network: &PrivateNetwork) -> (TcpStream, TcpStream, u16) {
    let listener = TcpListener::bind((network.outside(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let client = inside(network, || TcpStream::connect(address)).unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip(), network.inside());
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(A_WHILE)).unwrap();
    }
    (client, server, address.port())
}

fn hears(stream: &mut TcpStream, text: &[u8]) -> bool {
    let mut heard = vec![0; text.len()];
    match stream.read_exact(&mut heard) {
        Ok(()) => heard == text,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            false
        }
    }
}

/// Waits for what a healed network delivers late, by the system's own repetitions.
fn hears_soon(stream: &mut TcpStream, text: &[u8]) -> bool {
    stream.set_read_timeout(Some(SOON)).unwrap();
    let heard = hears(stream, text);
    stream.set_read_timeout(Some(A_WHILE)).unwrap();
    heard
}

#[test]
fn what_is_cut_arrives_neither_way_until_it_is_healed() {
    let Some(network) = network() else { return };
    let (mut client, mut server, port) = connection(&network);
    for cut in [Cut::Everything, Cut::Server(port)] {
        network.cut(cut).unwrap();
        client.write_all(b"ask").unwrap();
        server.write_all(b"tell").unwrap();
        assert!(!hears(&mut server, b"ask") && !hears(&mut client, b"tell"));
        network.heal().unwrap();
        assert!(hears_soon(&mut server, b"ask") && hears_soon(&mut client, b"tell"));
    }
}

#[test]
fn a_cut_of_one_server_leaves_the_others() {
    let Some(network) = network() else { return };
    let (mut client, mut server, port) = connection(&network);
    network.cut(Cut::Server(port ^ 1)).unwrap();
    client.write_all(b"ask").unwrap();
    server.write_all(b"tell").unwrap();
    assert!(hears_soon(&mut server, b"ask") && hears_soon(&mut client, b"tell"));
}

#[test]
fn a_cut_of_answers_lets_what_is_asked_through() {
    let Some(network) = network() else { return };
    let (mut client, mut server, port) = connection(&network);
    network.cut(Cut::AnswersOf(port)).unwrap();
    client.write_all(b"ask").unwrap();
    assert!(hears_soon(&mut server, b"ask"));
    server.write_all(b"tell").unwrap();
    assert!(!hears(&mut client, b"tell"));
    network.heal().unwrap();
    assert!(hears_soon(&mut client, b"tell"));
}

#[test]
fn nothing_is_left_after_a_drop() {
    let Some(network) = network() else { return };
    let (name, outside) = (network.name.clone(), network.outside());
    drop(network);
    let names = output(&["ip", "netns", "list"]).unwrap();
    assert!(!names.lines().any(|line| line.starts_with(&name)));
    let begun = Instant::now();
    while TcpListener::bind((outside, 0)).is_ok() {
        assert!(begun.elapsed() < SOON, "the address is still there");
        thread::yield_now();
    }
}

#[test]
fn only_names_of_ours_are_taken_for_abandoned() {
    assert_eq!(process_of("pn123x4"), Some(123));
    for other in ["pn", "pn123", "pnx4", "private", "other"] {
        assert_eq!(process_of(other), None, "{other}");
    }
}
