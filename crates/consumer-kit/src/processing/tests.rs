use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};

use super::*;

fn messages<const N: usize>(ids: [&str; N]) -> Vec<Message> {
    let message = |id| Message::parse(Bytes::from(format!(r#"{{"message_id":"{id}"}}"#)));
    ids.map(|id| message(id).unwrap()).into()
}

/// The ids of what was processed, the errors of what was not.
fn shown(results: Vec<Result<ProcessedMessage, ProcessError>>) -> Vec<String> {
    let shown = results.into_iter().map(|result| match result {
        Ok(processed) => processed.message.id().to_string(),
        Err(error) => error.to_string(),
    });
    shown.collect()
}

fn processing<P: Processor>(processor: P, concurrency: u32) -> Processing<P> {
    Processing::new(
        processor,
        concurrency,
        "127.0.0.1:5001".parse().unwrap(),
        ConsumerMetrics::new().unwrap(),
    )
}

/// Does what a message's id says, and knows how many were under way at once.
#[derive(Default)]
struct Obedient {
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Processor for Obedient {
    async fn process(&self, message: &Message) -> Result<Additions, ProcessError> {
        let under_way = 1 + self.under_way.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(under_way, Ordering::SeqCst);
        for _ in 0..message.id().as_str().matches("wait").count() {
            yield_now().await;
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        match message.id().as_str() {
            "panic" => panic!("as it was told"),
            "error" => Err("as it was told".into()),
            _ => Ok(Additions::new()),
        }
    }
}

#[tokio::test]
async fn each_of_a_batch_ends_in_its_own_result_in_its_place() {
    let processing = processing(Obedient::default(), 0);
    let ids = [
        "a",
        "waitwait",
        "panic",
        "wait",
        "error",
        "waitwaitwait",
        "b",
    ];
    let results = processing.run_batch(messages(ids)).await;
    let mut expected = ids;
    (expected[2], expected[4]) = (PANICKED, "as it was told");
    assert_eq!(shown(results), expected);
    // The last of them beside the three that wait.
    assert_eq!(processing.processor.most.load(Ordering::SeqCst), 4);
    assert!(processing.run_batch(Vec::new()).await.is_empty());
}

#[tokio::test]
async fn no_more_of_a_batch_are_processed_at_once_than_allowed() {
    for concurrency in [1, 2] {
        let processing = processing(Obedient::default(), concurrency);
        let all = ["wait", "a", "waitwait", "wait", "b", "waitwait"];
        let (one, other) = tokio::join!(
            processing.run_batch(messages(all)),
            processing.run_batch(messages(all)),
        );
        assert_eq!([shown(one), shown(other)], [all, all]);
        let most = processing.processor.most.load(Ordering::SeqCst);
        assert_eq!(u32::try_from(most).unwrap(), concurrency);
    }
}

/// Takes batches whole.
struct Whole;

impl Processor for Whole {
    const WHOLE_BATCHES: bool = true;

    async fn process(&self, _: &Message) -> Result<Additions, ProcessError> {
        Err("one by one".into())
    }

    async fn process_batch(&self, messages: &[Message]) -> Vec<Result<Additions, ProcessError>> {
        sleep(Duration::from_secs(1)).await;
        let result = |message: &Message| match message.id().as_str() {
            "panic" => panic!("as it was told"),
            "error" => Err("as it was told".into()),
            _ => Ok(Additions::new()),
        };
        let too_many = messages.iter().filter(|m| m.id().as_str() == "twice");
        messages.iter().chain(too_many).map(result).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_batch_is_processed_at_once_and_counts_as_one() {
    let processing = processing(Whole, 1);
    let started = Instant::now();
    let (one, other) = tokio::join!(
        processing.run_batch(messages(["a", "error", "b"])),
        processing.run_batch(messages(["c", "d"])),
    );
    assert_eq!(shown(one), ["a", "as it was told", "b"]);
    assert_eq!(shown(other), ["c", "d"]);
    assert_eq!(started.elapsed().as_secs(), 2);
    let one_by_one = processing.run(messages(["e"]).remove(0)).await;
    assert_eq!(shown(vec![one_by_one]), ["one by one"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_wrong_results_has_failed_as_a_whole() {
    let processing = processing(Whole, 0);
    let twice = processing.run_batch(messages(["a", "twice"])).await;
    let why = "the processor gave 3 results for 2 messages";
    assert_eq!(shown(twice), [why, why]);
    let panicked = processing.run_batch(messages(["a", "panic"])).await;
    assert_eq!(shown(panicked), [PANICKED, PANICKED]);
    assert!(processing.run_batch(Vec::new()).await.is_empty());
}

/// Takes batches whole, in name.
struct OneAfterTheOther;

impl Processor for OneAfterTheOther {
    const WHOLE_BATCHES: bool = true;

    async fn process(&self, _: &Message) -> Result<Additions, ProcessError> {
        Ok(Additions::new())
    }
}

#[tokio::test]
async fn a_processor_without_a_way_with_batches_takes_one_after_the_other() {
    let processing = processing(OneAfterTheOther, 0);
    let results = processing.run_batch(messages(["a", "b"])).await;
    assert_eq!(shown(results), ["a", "b"]);
}
