//! A bad network between the group and Redis.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::{
    Bus, Cable, Fault, FaultProxy, Ledger, PrivateRedis, Service,
    services::{self, binaries, redis, wait_until_subscribed},
    wait_until,
};
use tokio::time::Instant;

/// How long the network is dead: longer than the 5 s after which the group's system gives up.
const DEAD: Duration = Duration::from_secs(8);

/// How long a network may be dead without being given up.
const HICCUP: Duration = Duration::from_secs(2);

/// How soon the group must hear again: an attempt may have begun too early, which takes 3 s, and the wait
/// before the next is up to 2 s; the rest is for a slow machine.
const HEALED: Duration = Duration::from_secs(8);

/// A group that reaches Redis through a proxy, and a consumer that does without.
struct Scene {
    proxy: FaultProxy,
    bus: Bus,
    group: Service,
    _consumer: Service,
    _redis: PrivateRedis,
}

impl Scene {
    async fn start() -> Result<Self> {
        let redis = redis().await?;
        let proxy = FaultProxy::start(&format!("127.0.0.1:{}", redis.port())).await?;
        let port = proxy.port().to_string();
        let args = ["--restApiPort", "0", "--redisServerPort", &port];
        let group = Service::start(&binaries().await?.group, &args, &[]).await?;
        wait_until_subscribed(&group).await?;
        let consumer = services::consumer(&redis, &group, &[]).await?;
        Ok(Self {
            proxy,
            bus: Bus::of(&redis),
            group,
            _consumer: consumer,
            _redis: redis,
        })
    }

    /// Publishes steadily for two seconds with the fault; all is to be processed and no word said of it.
    async fn expect_no_notice(&self, fault: Fault) -> Result<()> {
        let (mut ledger, mark) = (Ledger::default(), self.group.log().mark());
        self.proxy.set(fault);
        ledger.publish_steadily(&self.bus, 400, 200).await;
        assert_eq!(ledger.heard(), 400);
        let account = ledger.wait_until_balanced(&self.bus).await?;
        assert!(account.failed.is_empty(), "{:?}", account.failed);
        let said = self.group.logs().split_off(mark);
        let is_trouble = |line: &&String| !line.contains(r#""level":"INFO""#);
        assert_eq!(said.iter().find(is_trouble), None);
        Ok(())
    }
}

#[tokio::test]
async fn after_8_s_without_network_the_group_hears_again_and_lost_is_only_what_was_said_meanwhile()
-> Result<()> {
    let cable = Cable::lay().await?;
    let (group, bus) = (cable.far_group(&[]).await?, Bus::of(cable.redis()));
    let _consumer = cable.near_consumer(&group, &[]).await?;
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 100).await;
    ledger.wait_until_balanced(&bus).await?;

    let (first_lost, mark) = (ledger.published(), group.log().mark());
    cable.cut()?;
    let dead = Instant::now();
    ledger.publish_steadily(&bus, 100, 50).await;
    if cable.loses() {
        let notice = "cannot listen to Redis";
        group.log().wait_for_since(mark, notice, DEAD).await?;
    }
    tokio::time::sleep_until(dead + DEAD).await;
    cable.heal()?;
    let healed = ledger.wait_until_it_works(&bus, HEALED).await;
    healed.with_context(|| group.logs().join("\n"))?;
    if cable.loses() {
        // Until it subscribes anew, Redis takes the old connection for a subscriber.
        ledger.excuse_from(first_lost);
        let notice = "the subscription was interrupted";
        group.log().wait_for_since(mark, notice, HEALED).await?;
    }
    ledger.publish(&bus, 100).await;
    let account = ledger.wait_until_balanced(&bus).await?;
    assert!(account.failed.is_empty(), "{:?}", account.failed);
    Ok(())
}

#[tokio::test]
async fn what_is_published_in_two_seconds_without_network_comes_late_and_is_not_lost() -> Result<()>
{
    let cable = Cable::lay().await?;
    let (group, bus) = (cable.far_group(&[]).await?, Bus::of(cable.redis()));
    let _consumer = cable.near_consumer(&group, &[]).await?;
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 100).await;
    cable.cut()?;
    let dead = Instant::now();
    ledger.publish_steadily(&bus, 50, 100).await;
    tokio::time::sleep_until(dead + HICCUP).await;
    cable.heal()?;
    ledger.publish(&bus, 100).await;
    assert_eq!(ledger.heard(), 250);
    let account = ledger.wait_until_balanced(&bus).await?;
    assert_eq!(account.processed.len(), 250);
    Ok(())
}

#[tokio::test]
async fn where_answers_of_redis_are_lost_for_8_s_the_group_hears_again_soon() -> Result<()> {
    let cable = Cable::lay().await?;
    let (group, bus) = (cable.far_group(&[]).await?, Bus::of(cable.redis()));
    let _consumer = cable.near_consumer(&group, &[]).await?;
    let mut ledger = Ledger::default();
    ledger.publish(&bus, 100).await;
    ledger.wait_until_balanced(&bus).await?;
    let first_lost = ledger.published();
    cable.cut_answers()?;
    let dead = Instant::now();
    ledger.publish_steadily(&bus, 100, 50).await;
    tokio::time::sleep_until(dead + DEAD).await;
    cable.heal()?;
    ledger.wait_until_it_works(&bus, HEALED).await?;
    if cable.loses() {
        ledger.excuse_from(first_lost);
    }
    ledger.publish(&bus, 100).await;
    ledger.wait_until_balanced(&bus).await?;
    Ok(())
}

#[tokio::test]
async fn after_a_reset_the_group_hears_again_within_two_seconds() -> Result<()> {
    let scene = Scene::start().await?;
    let mut ledger = Ledger::default();
    for _ in 0..5 {
        let mark = scene.group.log().mark();
        scene.proxy.set(Fault::Reset);
        wait_until("all connections to be reset", HEALED, async || {
            Ok(scene.proxy.connections() == 0)
        })
        .await?;
        scene.proxy.set(Fault::Pass);
        let (log, within) = (scene.group.log(), Duration::from_secs(2));
        log.wait_for_since(mark, r#""message":"subscribed""#, within)
            .await?;
        ledger.publish(&scene.bus, 100).await;
        ledger.wait_until_balanced(&scene.bus).await?;
    }
    assert_eq!(ledger.heard(), 500);
    Ok(())
}

#[tokio::test]
async fn a_redis_that_refuses_connections_for_a_while_is_found_again() -> Result<()> {
    let scene = Scene::start().await?;
    let (mut ledger, mark) = (Ledger::default(), scene.group.log().mark());
    scene.proxy.set(Fault::Refuse);
    let log = scene.group.log();
    log.wait_for_since(mark, "cannot listen", HEALED).await?;
    ledger.publish(&scene.bus, 10).await;
    scene.proxy.set(Fault::Pass);
    ledger.wait_until_it_works(&scene.bus, HEALED).await?;
    ledger.publish(&scene.bus, 100).await;
    ledger.wait_until_balanced(&scene.bus).await?;
    Ok(())
}

#[tokio::test]
async fn a_redis_100_to_200_ms_away_is_as_good_as_a_near_one() -> Result<()> {
    let scene = Scene::start().await?;
    let tenth = Duration::from_millis(100);
    let far_away = Fault::Delay {
        latency: tenth,
        jitter: tenth,
    };
    scene.expect_no_notice(far_away).await
}

#[tokio::test]
async fn a_narrow_line_to_redis_is_enough_for_what_fits_through() -> Result<()> {
    let scene = Scene::start().await?;
    // Each of 200 messages a second takes about 80 bytes.
    scene.expect_no_notice(Fault::Throttle(40_000)).await
}
