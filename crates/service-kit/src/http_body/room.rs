//! How much memory bodies may take together.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::api_error::ApiError;

/// How long a body waits for room.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);

/// When to come again with a body that found no room.
const AGAIN_SECONDS: u64 = 1;

/// Room for so many bytes of bodies; clones share it.
///
/// A body takes room as it comes, not by what it announces, so that those that come slowly keep nobody out. When
/// there is none left, one body at a time may go beyond, to its end: so not all of them wait for each other.
#[derive(Debug, Clone)]
pub struct Room {
    bytes: Arc<Semaphore>,
    beyond: Arc<Semaphore>,
}

impl Room {
    /// Room for so many bytes, and for one body more.
    #[must_use]
    pub fn for_bytes(bytes: usize) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(bytes)),
            beyond: Arc::new(Semaphore::new(1)),
        }
    }

    /// The share of a body, of which nothing has come.
    pub(super) fn share(&self) -> Share {
        Share {
            room: Some(self.clone()),
            ..Share::default()
        }
    }
}

/// What a body takes of a [`Room`], until this is dropped. The default is bounded by nothing.
#[derive(Debug, Default)]
pub struct Share {
    room: Option<Room>,
    taken: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Takes room for so many bytes more.
    ///
    /// # Errors
    /// 503 when there is none in time.
    pub(super) async fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let Some(room) = self.room.clone().filter(|_| self.beyond.is_none()) else {
            return Ok(());
        };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let grown = async {
            tokio::select! {
                biased;
                taken = room.bytes.acquire_many_owned(bytes) => self.add(taken?),
                beyond = room.beyond.acquire_owned() => self.beyond = Some(beyond?),
            }
            Ok::<_, AcquireError>(())
        };
        match timeout(ROOM_TIMEOUT, grown).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                let text = "Too much is being sent at once; try again.".to_owned();
                let busy = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text);
                Err(busy.retry_after(AGAIN_SECONDS))
            }
        }
    }

    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_body_goes_beyond_the_room_and_the_others_wait_for_it() {
        let room = Room::for_bytes(10);
        let [mut one, mut two, mut three] = [(); 3].map(|()| room.share());
        one.grow(6).await.unwrap();
        two.grow(4).await.unwrap();
        two.grow(1).await.unwrap();
        two.grow(100).await.unwrap();
        let refused = three.grow(1).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.retry_after_seconds().is_some());
        {
            let mut waiting = Box::pin(one.grow(1));
            assert!(waiting.as_mut().now_or_never().is_none());
            drop(two);
            waiting.await.unwrap();
        }
        three.grow(3).await.unwrap();
        drop((one, three));
        room.share().grow(10).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_bounded_by_nothing_never_waits() {
        Share::default().grow(usize::MAX).await.unwrap();
    }
}
