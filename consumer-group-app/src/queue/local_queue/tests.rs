use bytes::Bytes;
use protocol::Message;
use tokio::time::Instant;

use super::*;
use crate::queue::receiver::positions_of;

/// A queue that was handed messages of so many ids, from "0".
fn handed(messages: usize) -> LocalQueue {
    let queue = LocalQueue::new(1000);
    let leased = (0..messages).zip(positions_of(messages)).map(|(id, at)| {
        let body = Bytes::from(format!(r#"{{"message_id":"{id}"}}"#));
        LeasedMessage::new(Message::parse(body).unwrap(), Instant::now(), at)
    });
    queue.push_leased(leased);
    queue
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|delivery| delivery.leased.message.id().as_str())
        .collect()
}

fn adds_up(queue: &LocalQueue) -> Account {
    let account = queue.account();
    let ended = account.processed + account.duplicate + account.dead_lettered;
    let sum = account.unfinished() + ended + account.released;
    assert_eq!(account.received, sum, "{account:?}");
    account
}

#[test]
fn what_comes_back_keeps_its_place_before_younger_ones() {
    let queue = handed(6);
    let mut taken = queue.take(4);
    for place in [1, 1, 0, 0] {
        drop(taken.remove(place));
    }
    assert_eq!(ids(&queue.take(9)), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn a_delivery_that_is_dropped_goes_back_and_is_taken_first() {
    let queue = handed(3);
    let taken = queue.take(1);
    assert_eq!(adds_up(&queue).in_flight, 1);
    drop(taken);
    assert_eq!(adds_up(&queue).queued, 3);
    assert_eq!(ids(&queue.take(9)), ["0", "1", "2"]);
}

#[test]
fn there_is_room_again_for_what_is_finished() {
    let queue = handed(2);
    assert_eq!(queue.room(3), 1);
    let mut taken = queue.take(2);
    assert_eq!(queue.room(3), 1, "what is in flight is held");
    taken.pop().unwrap().finish(Ending::Processed);
    taken.pop().unwrap().finish(Ending::DeadLettered);
    assert_eq!(queue.room(3), 3);
    let expected = Account {
        received: 2,
        processed: 1,
        dead_lettered: 1,
        ..Account::default()
    };
    assert_eq!(adds_up(&queue), expected);
}

#[test]
fn there_is_no_room_beyond_the_bytes_it_may_hold() {
    let queue = handed(100);
    assert!(queue.held_bytes() > 1000);
    assert_eq!(queue.room(1000), 0);
}

#[tokio::test]
async fn all_is_finished_once_the_last_delivery_is() {
    handed(0).all_finished().await;
    let queue = handed(1);
    let delivery = queue.take(1).remove(0);
    tokio::join!(queue.all_finished(), async {
        delivery.finish(Ending::Processed);
    });
}
