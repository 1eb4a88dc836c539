//! A worker that does what its messages say, and tells of each that it begins.
//!
//! `{"message_id":"a","do":"fail"}` fails, `"reject"` is rejected, `"postpone"` is put off the first time, `"panic"`
//! panics, `"abort"` ends the process at once, `"nap"` takes a while, `"wait"` takes for ever; what says nothing is
//! processed. With `WHOLE_BATCHES` in the environment it takes batches whole.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "it does what it is told, and tells of it"
)]

use std::{
    collections::HashSet,
    future::pending,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use consumer_kit::{Additions, Message, ProcessError, Processor};
use serde::Deserialize;

const NAP: Duration = Duration::from_millis(500);

/// How long it puts a message off.
const POSTPONED: Duration = Duration::from_secs(2);

/// The ids of messages it has put off.
static PUT_OFF: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// What a message says.
#[derive(Deserialize)]
struct Order {
    r#do: Option<String>,
}

struct Obedient<const WHOLE: bool>;

impl<const WHOLE: bool> Processor for Obedient<WHOLE> {
    const WHOLE_BATCHES: bool = WHOLE;

    async fn process(&self, message: &Message) -> Result<Additions, ProcessError> {
        println!("begun {}", message.id());
        match message.deserialize::<Order>()?.r#do.as_deref() {
            None => Ok(Additions::default()),
            Some("fail") => Err("as told".into()),
            Some("reject") => Err(ProcessError::rejected("I will not have it")),
            Some("postpone") if is_new(message) => Err(ProcessError::RetryAfter(POSTPONED)),
            Some("postpone") => Ok(Additions::default()),
            Some("panic") => panic!("as told"),
            Some("abort") => std::process::abort(),
            Some("nap") => {
                tokio::time::sleep(NAP).await;
                Ok(Additions::default())
            }
            Some("wait") => pending().await,
            Some(other) => Err(format!("I do not know how to {other}").into()),
        }
    }

    async fn process_batch(&self, messages: &[Message]) -> Vec<Result<Additions, ProcessError>> {
        println!("batch {}", messages.len());
        let mut results = Vec::with_capacity(messages.len());
        for message in messages {
            results.push(self.process(message).await);
        }
        results
    }
}

/// Whether a message was not put off yet.
fn is_new(message: &Message) -> bool {
    let mut put_off = PUT_OFF.lock().unwrap_or_else(PoisonError::into_inner);
    let put_off = put_off.get_or_insert_default();
    put_off.insert(message.id().to_string())
}

fn main() -> ExitCode {
    match std::env::var_os("WHOLE_BATCHES") {
        Some(_) => consumer_kit::main(Obedient::<true>),
        None => consumer_kit::main(Obedient::<false>),
    }
}
