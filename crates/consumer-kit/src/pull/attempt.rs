//! An attempt at a message: what came of having it processed.

use std::time::Duration;

use protocol::{DeadLetter, Message, ProcessedMessage};
use service_kit::{spans::Span, telemetry::chain};
use tokio::{task::coop::consume_budget, time::Instant};

use super::batch::{Ending, Item};
use crate::{
    ProcessError, Processor,
    places::{put_back, take_well},
    processing::Processing,
};

/// An attempt at a message.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) item: Item,
    pub(super) span: Option<Span>,
    pub(super) begun: Instant,
    /// How long its turn took.
    pub(super) took: Duration,
    pub(super) result: Result<ProcessedMessage, Failure>,
}

/// Why a message was not processed, or cannot be recorded.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is no message, but becomes this letter.
    Malformed(Box<DeadLetter>),
    /// The processor will not have it, or it can be no entry.
    Rejected(String),
    /// The processor wants it again after this time.
    Postponed(Duration),
    /// Another time, or elsewhere, it may be processed.
    Failed(String),
}

impl Failure {
    /// The same in words.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Malformed(letter) => letter.last_error().to_owned(),
            Self::Rejected(error) | Self::Failed(error) => error.clone(),
            Self::Postponed(wait) => ProcessError::RetryAfter(*wait).to_string(),
        }
    }

    /// What becomes of the message, unless it is given up.
    pub(super) fn unless_given_up(&self) -> Ending {
        match self {
            Self::Postponed(wait) => Ending::Postponed(*wait),
            Self::Malformed(_) | Self::Rejected(_) | Self::Failed(_) => Ending::Failed,
        }
    }
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Rejected(reason) => Self::Rejected(reason),
            ProcessError::RetryAfter(wait) => Self::Postponed(wait),
            ProcessError::Failed(cause) => Self::Failed(chain(&*cause)),
        }
    }
}

/// Has a message processed when it is its turn.
pub(super) async fn attempt<P: Processor>(processing: &Processing<P>, item: Item) -> Attempt {
    // Work that never waits must not keep others from a thread for a whole chunk.
    consume_budget().await;
    let _turn = processing.turn().await;
    let begun = Instant::now();
    let (span, result) = match parse(&item) {
        Ok(message) => {
            let span = processing.span(&message, None);
            let result = processing.run_in_turn(message).await;
            (span, result.map_err(Failure::from))
        }
        Err(malformed) => (None, Err(malformed)),
    };
    Attempt {
        item,
        span,
        begun,
        took: begun.elapsed(),
        result,
    }
}

/// Has messages processed together, whose turn it is.
pub(super) async fn attempt_whole<P: Processor>(
    processing: &Processing<P>,
    items: Vec<Item>,
) -> Vec<Attempt> {
    let begun = Instant::now();
    let mut spans = Vec::with_capacity(items.len());
    let (messages, places) = take_well(items.iter().map(|item| {
        let message = parse(item);
        let known = message.as_ref().ok();
        spans.push(known.and_then(|message| processing.span(message, None)));
        message
    }));
    let results = match messages.len() {
        0 => Vec::new(),
        _ => processing.run_whole_in_turn(messages).await,
    };
    let results = results
        .into_iter()
        .map(|result| result.map_err(Failure::from));
    let results = put_back(places, results);
    let took = begun.elapsed();
    let each = items.into_iter().zip(spans).zip(results);
    let attempts = each.map(|((item, span), result)| Attempt {
        item,
        span,
        begun,
        took,
        result,
    });
    attempts.collect()
}

fn parse(item: &Item) -> Result<Message, Failure> {
    DeadLetter::unless_message(&item.payload).map_err(Failure::Malformed)
}
