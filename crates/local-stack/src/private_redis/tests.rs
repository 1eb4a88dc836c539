use redis::AsyncCommands;

use super::*;

#[tokio::test]
async fn it_starts_empty_and_comes_back_on_the_same_port_after_a_kill() {
    let mut redis = PrivateRedis::start(&[]).await.unwrap();
    let (port, pid) = (redis.port(), redis.pid().unwrap());
    let mut connection = redis.connect().await.unwrap();
    assert_eq!(connection.incr::<_, _, u64>("k", 1).await.unwrap(), 1);
    assert!(redis.start_again().await.is_err(), "it still runs");

    redis.kill().await.unwrap();
    assert_eq!(redis.pid(), None);
    assert!(redis.connect().await.is_err());

    redis.start_again().await.unwrap();
    assert_eq!(redis.port(), port);
    assert_ne!(redis.pid(), Some(pid));
    let mut connection = redis.connect().await.unwrap();
    assert_eq!(connection.incr::<_, _, u64>("k", 1).await.unwrap(), 1);
}

#[tokio::test]
async fn what_it_was_told_to_keep_is_there_after_a_stop() {
    let mut redis = PrivateRedis::start(&["--appendonly", "yes"]).await.unwrap();
    let mut connection = redis.connect().await.unwrap();
    let _: () = connection.set("k", "v").await.unwrap();
    redis.stop().await.unwrap();
    redis.start_again().await.unwrap();
    let mut connection = redis.connect().await.unwrap();
    let kept: String = connection.get("k").await.unwrap();
    assert_eq!(kept, "v");
}

#[tokio::test]
async fn a_frozen_redis_answers_nothing_until_it_is_thawed() {
    let redis = PrivateRedis::start(&[]).await.unwrap();
    let mut connection = redis.connect().await.unwrap();
    redis.freeze().unwrap();
    let ping = redis::cmd("PING");
    let frozen = timeout(
        Duration::from_millis(100),
        ping.query_async::<()>(&mut connection),
    );
    assert!(frozen.await.is_err());
    redis.thaw().unwrap();
    ping.query_async::<()>(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_bad_argument_is_told_in_the_servers_own_words() {
    let error = PrivateRedis::start(&["--no-such-thing", "1"])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no-such-thing"), "{error}");
}

#[tokio::test]
async fn nothing_is_left_after_a_drop() {
    let redis = PrivateRedis::start(&[]).await.unwrap();
    let (port, directory) = (redis.port(), redis.directory().to_owned());
    drop(redis);
    crate::deadline::wait_until("the port to be free", DEADLINE, async || {
        Ok(TcpListener::bind(("127.0.0.1", port)).is_ok())
    })
    .await
    .unwrap();
    assert!(!directory.exists());
}
