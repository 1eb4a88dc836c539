use std::{
    net::TcpListener,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use protocol::{Additions, Message};
use redis_bus::{
    Connection, Endpoint, RedisSettings,
    chunk_queue::ChunkQueue,
    commit::{ProcessedStream, Retention},
};

use super::*;

/// What records in a Redis that is not there.
pub(crate) fn recorder_without_redis() -> Recorder {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = RedisSettings {
        host: "127.0.0.1".to_owned(),
        port: gone.local_addr().unwrap().port(),
        url: None,
    };
    drop(gone);
    let connection = Connection::new(Endpoint::new(&settings).unwrap());
    let retention = Retention {
        dedup_window: Duration::ZERO,
        max_len: 0,
    };
    let queue = ChunkQueue::new(connection.clone(), "stream");
    let stream = ProcessedStream::new(connection, "stream".to_owned(), retention);
    Recorder::new(stream, queue, 0)
}

fn processed(added: usize) -> ProcessedMessage {
    let additions = (0..added).map(|number| (number.to_string(), String::new()));
    ProcessedMessage {
        message: Message::parse(Bytes::from_static(br#"{"message_id":"m"}"#)).unwrap(),
        additions: Additions::from_iter(additions),
        consumer_id: "127.0.0.1:5001".parse().unwrap(),
        processed_at: SystemTime::UNIX_EPOCH,
    }
}

/// The same as what stands nowhere.
fn records(
    processed: &[ProcessedMessage],
) -> impl Iterator<Item = (&ProcessedMessage, Option<Stands>)> {
    processed.iter().map(|processed| (processed, None))
}

#[tokio::test]
async fn each_of_a_batch_has_its_result_and_no_batch_is_too_large() {
    let (handle, mut sink) = Sink::new(recorder_without_redis(), ConsumerMetrics::new().unwrap());
    let cancelled = CancellationToken::new();
    let work = async {
        let batch = [processed(1), processed(MAX_FIELDS), processed(2)];
        let results = handle.commit_batch(records(&batch)).await;
        assert!(matches!(
            results[..],
            [
                Err(CommitError::Bus(_)),
                Err(CommitError::TooManyFields { .. }),
                Err(CommitError::Bus(_))
            ]
        ));
        let too_wide = handle.commit_batch(records(&[processed(MAX_FIELDS)])).await;
        assert!(matches!(
            too_wide[..],
            [Err(CommitError::TooManyFields { .. })]
        ));
        let large = vec![processed(0); 3 * usize::try_from(WAITING).unwrap()];
        let results = handle.commit_batch(records(&large)).await;
        assert_eq!(results.len(), large.len());
        assert!(
            results
                .iter()
                .all(|r| matches!(r, Err(CommitError::Bus(_))))
        );
        cancelled.cancel();
    };
    tokio::join!(work, sink.run(cancelled.clone()));
}

#[tokio::test]
async fn what_waits_is_finished_after_cancellation_and_then_nothing_is_taken() {
    let (handle, mut sink) = Sink::new(recorder_without_redis(), ConsumerMetrics::new().unwrap());
    let batch = vec![processed(0); FULL - 1];
    let cancelled = CancellationToken::new();
    let one = processed(0);
    let work = async {
        tokio::join!(
            handle.commit_batch(records(&batch)),
            handle.commit(&one, None),
            async { cancelled.cancel() },
        )
    };
    // What is handed over first of all stands in the channel before the sink looks at it.
    let ((results, result, ()), ()) = tokio::join!(biased; work, sink.run(cancelled.clone()));
    assert!(
        results
            .iter()
            .all(|r| matches!(r, Err(CommitError::Bus(_))))
    );
    assert!(matches!(result, Err(CommitError::Bus(_))));

    let late = handle.commit_batch(records(&batch[..2])).await;
    assert!(matches!(
        late[..],
        [Err(CommitError::Ended), Err(CommitError::Ended)]
    ));
    assert!(matches!(
        handle.commit(&one, None).await,
        Err(CommitError::Ended)
    ));
}
