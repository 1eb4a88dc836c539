//! A worker that does what its messages say, and tells of each that it begins.
//!
//! `{"message_id":"a","do":"fail"}` fails, `"panic"` panics, `"abort"` ends the process at once, `"nap"` takes
//! a while, `"wait"` takes for ever; what says nothing is processed. With `WHOLE_BATCHES` in the environment it takes batches whole.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "it does what it is told, and tells of it"
)]

use std::{future::pending, process::ExitCode, time::Duration};

use consumer_kit::{Additions, Message, ProcessError, Processor};
use serde::Deserialize;

const NAP: Duration = Duration::from_millis(500);

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

fn main() -> ExitCode {
    match std::env::var_os("WHOLE_BATCHES") {
        Some(_) => consumer_kit::main(Obedient::<true>),
        None => consumer_kit::main(Obedient::<false>),
    }
}
