//! What is published over HTTP goes the same way, and whoever published it is told.

use protocol::{Message, http::Published};
use redis_bus::chunk_queue::{QueueError, fitting};
use tokio::{sync::oneshot, time::Instant};

use super::{Admission, Received};

/// Messages published over HTTP, and who waits for what becomes of them.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) messages: Vec<Message>,
    pub(crate) done: oneshot::Sender<Result<Published, QueueError>>,
}

impl Admission {
    /// Admits what is published over HTTP, and says so.
    pub(super) async fn publish(&mut self, publish: Publish) {
        let now = Instant::now();
        let messages = publish.messages.into_iter();
        let received: Vec<_> = messages
            .map(|message| Received::message(message.body().clone(), message.id(), now))
            .collect();
        let mut rest = &received[..];
        let mut published = Ok(Published::default());
        while !rest.is_empty() {
            let fitting = fitting(rest.iter().map(|one| &one.payload));
            let (some, others) = rest.split_at(fitting);
            rest = others;
            let mut admitted = self.admit(some).await;
            if admitted.is_err() {
                // The queue was made anew meanwhile, or the connection had ended.
                admitted = self.admit(some).await;
            }
            match (&mut published, admitted) {
                (Ok(published), Ok((created, duplicate))) => {
                    published.created += created;
                    published.duplicate += duplicate;
                }
                (published, Err(cause)) => {
                    for one in some {
                        self.unsure.remove(&one.fingerprint);
                    }
                    *published = Err(cause);
                    break;
                }
                (Err(_), Ok(_)) => {}
            }
        }
        // Whoever asked may have gone.
        drop(publish.done.send(published));
    }
}
