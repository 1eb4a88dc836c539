use std::{io::Read, sync::mpsc};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn writer(output: impl Write + Send + 'static) -> LogWriter {
    let writer = LogWriter(Arc::default());
    let shared = Arc::clone(&writer.0);
    thread::spawn(move || shared.write_to(output));
    writer
}

/// Says when something is to be written, and takes it once the other end of `opened` is gone.
struct Gate {
    reached: mpsc::Sender<()>,
    opened: mpsc::Receiver<()>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Errors mean that the test has gone on.
        let _reached = self.reached.send(());
        let _opened = self.opened.recv();
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_nobody_reads_are_bounded_counted_and_whole() {
    let (reached, is_reached) = mpsc::channel();
    let (gate, opened) = mpsc::channel();
    let written = Arc::default();
    let mut writer = writer(Gate {
        reached,
        opened,
        written: Arc::clone(&written),
    });
    let line = [&[b'x'; 99][..], b"\n"].concat();
    let sent = 4 * MAX_WAITING_BYTES / line.len();
    writer.write_all(&line).unwrap();
    // From here on the thread takes nothing more.
    is_reached.recv_timeout(PATIENCE).unwrap();
    for _ in 1..sent {
        writer.write_all(&line).unwrap();
        assert!(writer.0.waiting().lines.len() <= MAX_WAITING_BYTES);
    }
    let dropped = usize::try_from(writer.0.waiting().dropped).unwrap();
    assert!(dropped > 0 && dropped < sent);
    drop(gate);
    writer.flush_within(PATIENCE);
    assert!(!writer.0.waiting().is_writing);
    assert_eq!(*written.lock().unwrap(), line.repeat(sent - dropped));
}

/// Takes a few bytes, then nothing for a while, then all.
struct Full(Arc<Mutex<Vec<u8>>>, Vec<io::Result<usize>>);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.1.pop().unwrap_or(Ok(bytes.len()))?;
        self.0.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_that_was_cut_off_by_a_full_disk_is_not_continued_by_the_next() {
    let written = Arc::default();
    let answers = vec![
        Err(ErrorKind::StorageFull.into()),
        Ok(3),
        Err(ErrorKind::WouldBlock.into()),
    ];
    let mut writer = writer(Full(Arc::clone(&written), answers));
    for line in ["first\n", "second\n"] {
        writer.write_all(line.as_bytes()).unwrap();
        writer.flush_within(PATIENCE);
    }
    assert_eq!(*written.lock().unwrap(), b"fir\nsecond\n");
}

#[test]
fn what_was_logged_last_is_written_before_the_end() {
    let (mut reader, output) = io::pipe().unwrap();
    let mut writer = writer(output);
    writer.write_all(b"goodbye\n").unwrap();
    drop(LogGuard(writer));
    let mut last = [0; 8];
    reader.read_exact(&mut last).unwrap();
    assert_eq!(&last, b"goodbye\n");
}
