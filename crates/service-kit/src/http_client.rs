//! An HTTP client with the time-outs a service needs.

use std::time::Duration;

use reqwest::{Client, redirect::Policy};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long an idle connection is kept for the next request.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// A client for plain HTTP/1.1 to peers inside the network.
///
/// It follows no redirect, uses no proxy, and retries nothing by itself. `request_timeout` bounds a
/// whole request, answer included.
///
/// # Errors
/// When the system's resolver configuration cannot be read.
pub fn client(request_timeout: Duration) -> reqwest::Result<Client> {
    Client::builder()
        .timeout(request_timeout)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()
}
