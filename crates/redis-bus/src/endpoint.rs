//! Where Redis is and how to log in.

mod url;

use std::{fmt, net::Ipv6Addr, time::Duration};

use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    aio::MultiplexedConnection,
};
use serde::Deserialize;
use tokio::time::timeout;

pub use self::url::RedisUrl;
use crate::{BusError, link::Link, socket};

/// How long connecting and logging in may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long Redis may take to answer a command.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long sent data may stay unacknowledged by the other machine before the connection is given up.
///
/// This tells a dead network, where nothing is acknowledged, from a Redis that is merely busy, whose
/// system still acknowledges: RFC 5482, and `TCP_USER_TIMEOUT` in tcp(7).
pub(crate) const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of the section `[redis]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Replaces host and port: `redis://[user:password@]host[:port][/database]`, `rediss://…` for
    /// TLS, `unix:/path[?db=…&user=…&pass=…]`.
    pub url: Option<RedisUrl>,
}

/// A Redis server and how to log in there; nothing is connected yet.
#[derive(Clone)]
pub struct Endpoint {
    info: ConnectionInfo,
    at: String,
}

impl Endpoint {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`BusError::Refused`] when host and port name no server.
    pub fn new(settings: &RedisSettings) -> Result<Self, BusError> {
        let info = match &settings.url {
            Some(RedisUrl(info)) => info.clone(),
            None => {
                let address = (settings.host.as_str(), settings.port).into_connection_info();
                address.map_err(|cause| BusError::new(&settings.host, cause))?
            }
        };
        let at = match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }
                if host.parse::<Ipv6Addr>().is_ok() =>
            {
                format!("[{host}]:{port}")
            }
            address => address.to_string(),
        };
        Ok(Self { info, at })
    }

    /// The address for logs: host and port, or the socket's path; never a password.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    pub(crate) fn addr(&self) -> &ConnectionAddr {
        self.info.addr()
    }

    pub(crate) fn login(&self) -> (Option<&str>, Option<&str>) {
        let redis = self.info.redis_settings();
        (redis.username(), redis.password())
    }

    /// Connects and logs in, speaking RESP2 or RESP3.
    pub(crate) async fn connect(
        &self,
        protocol: ProtocolVersion,
        config: AsyncConnectionConfig,
    ) -> Result<Link, BusError> {
        let redis = self.info.redis_settings().clone().set_protocol(protocol);
        let config = config.set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connected = async {
            let stream = socket::open(self.addr()).await?;
            MultiplexedConnection::new_with_config(&redis, stream, config).await
        };
        match timeout(CONNECT_TIMEOUT, connected).await {
            Ok(Ok((connection, driver))) => Ok(Link::new(connection, driver)),
            Ok(Err(cause)) => Err(BusError::new(&self.at, cause)),
            Err(_) => Err(BusError::timed_out(&self.at, "connecting took too long")),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.at).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: Option<&str>) -> Result<Endpoint, BusError> {
        Endpoint::new(&RedisSettings {
            host: "example".to_owned(),
            port: 1234,
            url: url.map(str::parse).transpose()?,
        })
    }

    #[test]
    fn a_url_replaces_host_and_port() {
        assert_eq!(endpoint(None).unwrap().at(), "example:1234");
        assert_eq!(endpoint(Some("redis://other")).unwrap().at(), "other:6379");
        assert_eq!(
            endpoint(Some("rediss://other:1/2")).unwrap().at(),
            "other:1"
        );
        assert_eq!(endpoint(Some("redis://[::1]:7")).unwrap().at(), "[::1]:7");
        assert_eq!(
            endpoint(Some("unix:/run/redis.sock")).unwrap().at(),
            "/run/redis.sock"
        );
    }

    #[test]
    fn a_password_is_used_but_never_shown() {
        let good = endpoint(Some("redis://user:s3cret@other:1")).unwrap();
        assert_eq!(good.login(), (Some("user"), Some("s3cret")));
        assert!(!format!("{good:?}{}", good.at()).contains("s3cret"));
        let wrong = endpoint(Some("http://user:s3cret@other:1")).unwrap_err();
        assert!(!format!("{wrong:?}{wrong}").contains("s3cret"));
    }
}
