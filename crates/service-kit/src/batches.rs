//! Taking what waits in a channel, many at a time.

use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// The next batch: all that waits, up to `most`, or the first to come. Empty at the end, after `cancelled`.
///
/// After `cancelled` nothing more gets into the channel; what is in it still comes, then the end.
pub async fn next_batch<T>(
    waiting: &mut Receiver<T>,
    most: usize,
    cancelled: &CancellationToken,
) -> Vec<T> {
    let mut batch = Vec::new();
    if !waiting.is_closed() {
        tokio::select! {
            _ = waiting.recv_many(&mut batch, most) => {
                if batch.is_empty() {
                    // Nobody is left who could send; the end is still the caller's to declare.
                    cancelled.cancelled().await;
                }
                return batch;
            }
            () = cancelled.cancelled() => waiting.close(),
        }
    }
    waiting.recv_many(&mut batch, most).await;
    batch
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn what_waits_comes_in_batches_and_to_the_last_after_cancellation() {
        let (sender, mut waiting) = channel(10);
        let cancelled = CancellationToken::new();
        for number in 0..5 {
            sender.send(number).await.unwrap();
        }
        assert_eq!(next_batch(&mut waiting, 3, &cancelled).await, [0, 1, 2]);
        cancelled.cancel();
        assert_eq!(next_batch(&mut waiting, 3, &cancelled).await, [3, 4]);
        assert!(next_batch(&mut waiting, 3, &cancelled).await.is_empty());
        assert!(sender.send(6).await.is_err());
    }
}
