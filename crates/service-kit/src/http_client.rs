//! An HTTP client with the time-outs a service needs.

use std::{net::SocketAddr, time::Duration};

use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};

use crate::resolver::Resolver;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long an idle connection is kept for the next request.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// A client for plain HTTP/1.1 to peers inside the network.
///
/// It follows no redirect, uses no proxy, and retries nothing by itself. `request_timeout` bounds a
/// whole request, answer included; `resolver` looks up the names of the peers.
///
/// # Errors
/// When the system's resolver configuration cannot be read.
pub fn client(request_timeout: Duration, resolver: Resolver) -> reqwest::Result<Client> {
    Client::builder()
        .timeout(request_timeout)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .dns_resolver(resolver)
        .build()
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.look_up(name.as_str()).await?;
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok::<Addrs, _>(Box::new(addresses))
        })
    }
}
