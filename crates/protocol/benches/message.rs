//! What a message costs on its way through a consumer, but for HTTP and Redis.
//!
//! `cargo bench -p protocol`

use std::{hint::black_box, time::SystemTime};

use bytes::Bytes;
use divan::Bencher;
use protocol::{Additions, Message, ProcessedMessage};

fn main() {
    divan::main();
}

/// A message such as `publisher --count` makes, and one with properties of every kind.
const MESSAGES: [&str; 2] = [
    r#"{"message_id":"0b6f4b3a-7a52-4f2f-9d0e-1c5a3f9be001","sequence":123456}"#,
    r#"{"message_id":"0b6f4b3a-7a52-4f2f-9d0e-1c5a3f9be001","customer":"Ada Lovelace","email":"ada@example.org","quantity":3,"price":9.5,"paid":true,"note":"say \"hello\"\n","address":{"street":"Main Street 1","city":"London"}}"#,
];

fn message(text: &'static str) -> Message {
    match Message::parse(Bytes::from_static(text.as_bytes())) {
        Ok(message) => message,
        Err(error) => unreachable!("{error}"),
    }
}

fn processed(message: Message) -> ProcessedMessage {
    let field = ("random_0a1b2c3d".to_owned(), "0123456789abcdef".to_owned());
    let consumer_id = match "127.0.0.1:5001".parse() {
        Ok(id) => id,
        Err(error) => unreachable!("{error}"),
    };
    ProcessedMessage {
        message,
        additions: Additions::from([field]),
        consumer_id,
        processed_at: SystemTime::now(),
    }
}

#[divan::bench(args = [0, 1], sample_size = 1000)]
fn parse(bencher: Bencher<'_, '_>, which: usize) {
    let body = Bytes::from_static(MESSAGES[which].as_bytes());
    bencher.bench(|| Message::parse(black_box(body.clone())));
}

#[divan::bench(args = [0, 1], sample_size = 1000)]
fn properties(bencher: Bencher<'_, '_>, which: usize) {
    let message = message(MESSAGES[which]);
    bencher.bench(|| {
        black_box(&message)
            .properties()
            .map(|properties| properties.len())
    });
}

#[divan::bench(args = [0, 1], sample_size = 1000)]
fn fields(bencher: Bencher<'_, '_>, which: usize) {
    let processed = processed(message(MESSAGES[which]));
    bencher.bench(|| black_box(&processed).fields().map(|fields| fields.len()));
}

#[divan::bench(args = [0, 1], sample_size = 1000)]
fn trace_context(bencher: Bencher<'_, '_>, which: usize) {
    let message = message(MESSAGES[which]);
    bencher.bench(|| black_box(&message).trace_context());
}
