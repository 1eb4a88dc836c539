//! The plumbing every service needs and no service is about; it knows neither messages nor Redis.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | flags, environment, file and defaults, merged into one checked struct |
//! | [`documents`] | shell completions and a manual page, made of the flags themselves |
//! | [`program`] | what every `main` does around its service |
//! | [`build`] | what a program was built from |
//! | [`output`] | standard output and standard error, which may be closed, or full |
//! | [`telemetry`] | log output as text or JSON |
//! | [`spans`] | spans for an OpenTelemetry collector, where one is set |
//! | [`supervisor`] | every task has a name and an owner that notices its end |
//! | [`escape`] | text of strangers, made fit for terminals and log readers |
//! | [`shutdown`] | the signals that end a service in order; the second one ends it at once |
//! | [`backoff`] | exponential back-off with full jitter |
//! | [`batches`] | taking what waits in a channel, many at a time |
//! | [`delivery_rate`] | how much work gets done in a time, from what went out and came back |
//! | [`log_throttle`] | keeps repeated log lines rare, and counts what it suppressed |
//! | [`http_server`] | an accept loop with the limits a network-facing server needs |
//! | [`request_id`] | the id of a request, in its answer and in its log lines |
//! | [`http_body`] | reading a JSON request body within bounds |
//! | [`metrics`] | what a service tells Prometheus |
//! | [`readiness`] | the answer of `GET /ready` |
//! | [`api_error`] | the one error answer of the REST APIs |
//! | [`api_docs`] | the REST API's description: `GET /openapi.json` and `GET /docs` |
//! | [`resolver`] | looks up host names: few at a time, and not again for some seconds |
//! | [`http_client`] | an HTTP client with the time-outs a service needs |

pub mod api_docs;
pub mod api_error;
pub mod backoff;
pub mod batches;
pub mod build;
pub mod delivery_rate;
mod descriptors;
pub mod documents;
pub mod escape;
mod health_check;
pub mod http_body;
pub mod http_client;
pub mod http_server;
mod huge_pages;
pub mod log_throttle;
pub mod metrics;
pub mod output;
pub mod program;
pub mod readiness;
pub mod request_id;
pub mod resolver;
pub mod settings;
pub mod shutdown;
pub mod spans;
pub mod supervisor;
pub mod telemetry;
