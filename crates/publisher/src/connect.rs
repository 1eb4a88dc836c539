//! A connection to Redis, or what to do when there is none.

use anyhow::Result;
use redis_bus::{BusError, Connection, Endpoint, RedisSettings};

/// A connection that has been tried.
pub(crate) async fn connect(settings: &RedisSettings) -> Result<Connection> {
    let connection = Connection::new(Endpoint::new(settings)?);
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
