use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::TokioRuntime;
use entitlements_core::store::StoreErrorKind;
use tokio::time::Instant;

use crate::world::{World, pump};

#[tokio::test(start_paused = true)]
async fn a_shared_cache_that_hangs_takes_half_of_the_time_at_most() {
    let world = World::new();
    let process = world.process_of(|builder| builder.runtime(TokioRuntime::current().unwrap()));
    pump().await;
    world.allows(&process).await;
    world.clock.advance(TimeDelta::seconds(6));
    world.decisions.hung.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    assert!(!world.allows(&process).await);
    assert_eq!(begun.elapsed(), Duration::from_millis(25));
    world.clock.advance(TimeDelta::seconds(6));
    world.store.hold_loads();
    let begun = Instant::now();
    let decision = process.check(&world.secret()).await.unwrap();
    assert_eq!(decision.degraded, Some(Duration::from_secs(6)));
    assert_eq!(begun.elapsed(), Duration::from_millis(50));
}

#[tokio::test]
async fn a_shared_cache_that_is_down_changes_nothing() {
    let world = World::new();
    world.decisions.down.store(true, Ordering::SeqCst);
    let process = world.cold_process().await;
    for _ in 0..3 {
        assert!(!world.allows(&process).await);
        world.clock.advance(TimeDelta::seconds(6));
    }
    assert_eq!(process.shared_cache_stats().await, None);
}

#[tokio::test]
async fn the_shared_cache_answers_while_the_store_is_down() {
    let world = World::new();
    let (one, two) = (world.cold_process().await, world.cold_process().await);
    world.allows(&one).await;
    world.store.fail(Some(StoreErrorKind::Unavailable));
    assert_eq!(two.check(&world.secret()).await.unwrap().degraded, None);
    world.clock.advance(TimeDelta::seconds(5));
    two.check(&world.secret()).await.unwrap_err();
}
