//! `GET /` and what belongs to it: the dashboard, a page without anything from elsewhere.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
            REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use redis_bus::dead_letters::DeadLetters;
use service_kit::api_error::ApiError;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::events::Seats;
use crate::observe::history::Feed;

/// Nothing but what this group serves, and nobody else's frame around it.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// What the routes of the dashboard share.
#[derive(Debug)]
pub(crate) struct Dashboard {
    pub(crate) feed: Feed,
    pub(crate) letters: DeadLetters,
    /// Whether dead letters may be replayed over HTTP.
    pub(crate) may_replay: bool,
    /// Cancelled when the REST API ends, and all streams of events with it.
    pub(crate) closing: CancellationToken,
    pub(super) seats: Seats,
    /// One replay at a time: each reads all of the processed messages.
    pub(super) replaying: Arc<Semaphore>,
}

impl Dashboard {
    pub(crate) fn new(
        feed: Feed,
        letters: DeadLetters,
        may_replay: bool,
        closing: CancellationToken,
    ) -> Self {
        Self {
            feed,
            letters,
            may_replay,
            closing,
            seats: Seats::new(Duration::from_secs(30)),
            replaying: Arc::new(Semaphore::new(1)),
        }
    }
}

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: $kind,
            text: include_str!(concat!("../../assets/", $name)),
        }
    };
}

const PAGE: Asset = asset!("index.html", "text/html; charset=utf-8");

const ASSETS: [Asset; 11] = [
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("consumers.js", "text/javascript; charset=utf-8"),
    asset!("figures.js", "text/javascript; charset=utf-8"),
    asset!("chart.js", "text/javascript; charset=utf-8"),
    asset!("dom.js", "text/javascript; charset=utf-8"),
    asset!("letters.js", "text/javascript; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("uplot/uPlot.iife.min.js", "text/javascript; charset=utf-8"),
    asset!("uplot/uPlot.min.css", "text/css; charset=utf-8"),
    asset!("uplot/LICENSE", "text/plain; charset=utf-8"),
];

pub(super) async fn page(headers: HeaderMap) -> Response {
    serve(&PAGE, &headers)
}

pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    match found {
        Some(asset) => serve(asset, &headers),
        None => ApiError::not_found().into_response(),
    }
}

/// The file, or 304 for one who has it: a new build is seen at the next load.
fn serve(asset: &Asset, headers: &HeaderMap) -> Response {
    let mut hasher = DefaultHasher::new();
    asset.text.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let is_known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known == tag.as_str());
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => asset.text.into_response(),
    };
    let own = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, asset.kind),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        own.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        own.insert(ETAG, tag);
    }
    response
}
