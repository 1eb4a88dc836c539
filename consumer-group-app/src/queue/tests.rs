use bytes::Bytes;
use protocol::dead_letter::Excerpt;

use super::*;

fn message(id: usize) -> Message {
    Message::parse(Bytes::from(format!(r#"{{"message_id":"{id}"}}"#))).unwrap()
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|delivery| delivery.held.message.id().as_str())
        .collect()
}

fn adds_up(queue: &MemoryQueue) -> Account {
    let account = queue.account();
    let ended = account.processed + account.duplicate + account.dead_lettered;
    let sum = account.unfinished() + ended + account.elsewhere;
    assert_eq!(account.received, sum, "{account:?}");
    account
}

#[test]
fn what_comes_back_keeps_its_place_before_younger_ones() {
    let queue = MemoryQueue::new(Bounds {
        messages: 10,
        bytes: 1000,
    });
    for id in 0..6 {
        assert!(queue.push(vec![message(id)]).is_empty());
    }
    let mut taken = queue.take(4);
    for place in [1, 1, 0, 0] {
        drop(taken.remove(place));
    }
    assert_eq!(ids(&queue.take(9)), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn a_delivery_that_is_dropped_goes_back_and_is_taken_first() {
    let queue = MemoryQueue::new(Bounds {
        messages: 10,
        bytes: 1000,
    });
    for id in 0..3 {
        assert!(queue.push(vec![message(id)]).is_empty());
    }
    let taken = queue.take(1);
    assert_eq!(adds_up(&queue).in_flight, 1);
    drop(taken);
    assert_eq!(adds_up(&queue).queued, 3);
    assert_eq!(ids(&queue.take(9)), ["0", "1", "2"]);
}

#[test]
fn room_is_bounded_in_messages_until_they_are_finished() {
    let queue = MemoryQueue::new(Bounds {
        messages: 2,
        bytes: 1000,
    });
    assert!(queue.push(vec![message(1)]).is_empty());
    assert!(queue.push(vec![message(2)]).is_empty());
    let mut taken = queue.take(2);
    let mut refused = queue.push(vec![message(3)]);
    refused.remove(0).finish(Ending::DeadLettered);
    assert!(refused.is_empty());
    taken.pop().unwrap().finish(Ending::Processed);
    taken.pop().unwrap().finish(Ending::DeadLettered);
    assert!(queue.push(vec![message(4)]).is_empty());
    let expected = Account {
        received: 4,
        queued: 1,
        processed: 1,
        dead_lettered: 2,
        ..Account::default()
    };
    assert_eq!(adds_up(&queue), expected);
}

#[test]
fn room_is_bounded_in_bytes() {
    let bytes = message(1).body().len();
    let queue = MemoryQueue::new(Bounds {
        messages: 10,
        bytes: 2 * bytes,
    });
    assert!(queue.push(vec![message(1)]).is_empty());
    assert!(queue.push(vec![message(2)]).is_empty());
    assert_eq!(queue.push(vec![message(3)]).len(), 1);
    adds_up(&queue);
}

#[tokio::test]
async fn all_is_finished_once_the_last_delivery_is() {
    let queue = MemoryQueue::new(Bounds {
        messages: 10,
        bytes: 1000,
    });
    queue.all_finished().await;
    assert!(queue.push(vec![message(1)]).is_empty());
    let delivery = queue.take(1).remove(0);
    tokio::join!(queue.all_finished(), async {
        delivery.finish(Ending::Processed);
    });
}

#[tokio::test]
async fn what_was_never_queued_survives_the_panic_of_whoever_has_it() {
    let queue = MemoryQueue::new(Bounds {
        messages: 0,
        bytes: 0,
    });
    let mut unqueued = queue.push(vec![message(1), message(2)]);
    let error = Message::parse(Bytes::from_static(b"no message")).unwrap_err();
    let unfit = DeadLetter::unfit(Excerpt::of(b"no message"), &error);
    unqueued.push(queue.receive_unfit(unfit));
    assert_eq!(adds_up(&queue).in_flight, 3);
    unqueued.remove(1).finish(Ending::DeadLettered);
    let writer = tokio::task::spawn_blocking(move || {
        let _batch = unqueued;
        panic!("in the middle of a batch");
    });
    assert!(writer.await.unwrap_err().is_panic());
    queue.unqueued().await;
    assert_eq!(adds_up(&queue).in_flight, 2, "they are still owned");
    let again = queue.take_unqueued(9);
    let reasons: Vec<_> = again.iter().map(|one| one.letter().reason()).collect();
    assert_eq!(
        reasons,
        [DeadLetterReason::BufferFull, DeadLetterReason::NotJson]
    );
    for unqueued in again {
        unqueued.finish(Ending::DeadLettered);
    }
    assert_eq!(adds_up(&queue).dead_lettered, 3);
    queue.all_finished().await;
}
