//! A connection to Redis, or what to do when there is none.

use anyhow::{Context, Result};
use redis_bus::{BusError, Connection, Endpoint, RedisSettings};

use crate::arguments::RedisArguments;

/// A connection that has been tried.
pub(crate) async fn connect(arguments: RedisArguments) -> Result<Connection> {
    let url = arguments.redis_url.map(|url| url.parse()).transpose();
    let settings = RedisSettings {
        host: arguments.redis_server_host,
        port: arguments.redis_server_port,
        url: url.context("bad value for --redisUrl")?,
    };
    let connection = Connection::new(Endpoint::new(&settings)?);
    connection
        .ping()
        .await
        .map_err(|error| with_advice(&error))?;
    Ok(connection)
}

/// Adds what to do about a Redis that is not there.
fn with_advice(error: &BusError) -> anyhow::Error {
    let advice = match error {
        BusError::Unreachable { .. } => {
            "start one with `redis-server`, or say where it is with \
             --redisServerHost and --redisServerPort, or --redisUrl"
        }
        _ => "check user, password and database in --redisUrl",
    };
    let text = service_kit::telemetry::chain(error);
    anyhow::anyhow!("{text}\n{advice}")
}
