//! `GET /openapi.json` and `GET /docs`: the REST API for programs and for people.
//!
//! A service says with `#[utoipa::path]` at each handler what it takes and answers, lists its handlers
//! in a `#[derive(OpenApi)]`, and merges [`router`] into its own. Nothing on the page comes from
//! elsewhere: its script is part of the program, and the page's own policy forbids any other. It opens on
//! an overview of all calls, which needs no script.

mod overview;
pub mod responses;

use axum::{
    Router,
    http::{
        HeaderName, HeaderValue,
        header::{
            CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use utoipa::OpenApi;

/// `GET` on either service: the description of its REST API, OpenAPI 3.1.
pub const OPENAPI: &str = "/openapi.json";
/// `GET` on either service: the same as a page to read and to try.
pub const DOCS: &str = "/docs";
/// What the page is made by; it names this path relative to its own.
const SCRIPT: &str = "/docs/openapi-explorer.min.js";

const PAGE: &str = include_str!("../assets/openapi-explorer/page.html");
/// Where the overview stands in it.
const OVERVIEW: &str = "<!-- overview -->";
const SCRIPT_GZIP: &[u8] = include_bytes!("../assets/openapi-explorer/openapi-explorer.min.js.gz");

/// What the page may load and call: this service, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; \
     img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

type Headers<const N: usize> = [(HeaderName, HeaderValue); N];

/// The two routes every service has beside its own.
#[derive(OpenApi)]
#[openapi(paths(openapi, docs))]
struct OwnRoutes;

/// The routes that show an API; their own description is added to it.
///
/// # Errors
/// When the description cannot be written as JSON.
pub fn router(mut api: utoipa::openapi::OpenApi) -> Result<Router, serde_json::Error> {
    api.merge(OwnRoutes::openapi());
    // Cargo names none, and a licence without a name is none.
    api.info.license = None;
    let json = Bytes::from(api.to_pretty_json()? + "\n");
    let page = Bytes::from(PAGE.replace(OVERVIEW, &overview::html(&api)));
    Ok(Router::new()
        .route(OPENAPI, get(async || openapi(json)))
        .route(DOCS, get(async || docs(page)))
        .route(SCRIPT, get(script)))
}

/// This description: OpenAPI 3.1.
#[utoipa::path(
    get, path = OPENAPI, tag = "API",
    responses((status = 200, description = "The REST API of this service.", body = Object)),
)]
fn openapi(json: Bytes) -> Response {
    (headers("application/json", "no-cache"), json).into_response()
}

/// This description as a page to read and to try; it needs no network but this service.
#[utoipa::path(
    get, path = DOCS, tag = "API",
    responses((
        status = 200, description = "A page for a browser.", body = str, content_type = "text/html",
    )),
)]
fn docs(page: Bytes) -> Response {
    let policy = (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let headers = headers("text/html; charset=utf-8", "no-cache");
    (headers, [policy], page).into_response()
}

/// Kept compressed, and sent so: every browser takes it.
async fn script() -> impl IntoResponse {
    let encoding = (CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let headers = headers("text/javascript; charset=utf-8", "max-age=3600");
    (headers, [encoding], SCRIPT_GZIP)
}

fn headers(content_type: &'static str, caching: &'static str) -> Headers<3> {
    [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static(caching)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]
}
