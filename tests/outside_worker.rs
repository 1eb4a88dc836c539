//! A worker with settings in code, of a crate outside the workspace; `functional/rust_worker.rs` builds and runs it.
//!
//! It prints its id, and ends once it has processed a message.

use std::{env, sync::Arc};

use consumer_kit::{Additions, Message, ProcessError, Processor, Worker, WorkerError};
use tokio::sync::Notify;

struct Once(Arc<Notify>);

impl Processor for Once {
    async fn process(&self, _: &Message) -> Result<Additions, ProcessError> {
        self.0.notify_one();
        Ok(Additions::from([(
            "settings".to_owned(),
            "in code".to_owned(),
        )]))
    }
}

fn port(name: &str) -> u16 {
    let text = env::var(name).unwrap_or_default();
    text.parse().unwrap_or_default()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), WorkerError> {
    let done = Arc::new(Notify::new());
    let worker = Worker::builder("in-code", Once(Arc::clone(&done)))
        .redis_at("127.0.0.1", port("REDIS_PORT"))
        .group("127.0.0.1", port("GROUP_PORT"))
        .listen("127.0.0.1", 0)
        .concurrency(1)
        .bind()
        .await?;
    println!("id {}", worker.id());
    worker.run_until(done.notified()).await
}
