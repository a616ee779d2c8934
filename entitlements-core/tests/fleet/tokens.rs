use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use entitlements_core::facts::Revision;
use entitlements_core::id::FeatureKey;
use entitlements_core::store::StoreErrorKind;
use entitlements_core::{Entitlements, NewGrant};

use crate::world::{World, pump};

const FUTURE: Revision = Revision(u64::MAX);

/// A process that knows a grant, and the revision of its end, which it has not heard of.
async fn behind() -> (World, Entitlements, Revision) {
    let world = World::new();
    let (writer, reader) = (world.process(), world.process());
    pump().await;
    let feature = FeatureKey::new("secret").unwrap();
    let grant = writer.grant(NewGrant::new(world.acme.company.clone(), feature)).await.unwrap();
    pump().await;
    assert!(world.allows(&reader).await);
    world.bus.cut();
    world.decisions.deaf.store(true, Ordering::SeqCst);
    let token = writer.void(&grant.id).await.unwrap().unwrap();
    (world, reader, token)
}

#[tokio::test]
async fn who_catches_up_sees_the_write() {
    let (world, reader, token) = behind().await;
    assert!(world.allows(&reader).await);
    assert_eq!(reader.shows(&world.acme.company, token), None);
    assert_eq!(reader.catch_up(&world.acme.company, token).await.unwrap(), token);
    assert_eq!(reader.shows(&world.acme.company, token), Some(token));
    assert!(!world.allows(&reader).await);
    let loads = world.store.loads();
    assert_eq!(reader.catch_up(&world.acme.company, token).await.unwrap(), token);
    assert_eq!(world.store.loads(), loads);
}

#[tokio::test]
async fn a_revision_that_does_not_exist_costs_one_load() {
    let (world, reader, token) = behind().await;
    let loads = world.store.loads();
    assert_eq!(reader.catch_up(&world.acme.company, FUTURE).await.unwrap(), token);
    assert_eq!(world.store.loads(), loads + 1);
    assert!(!world.allows(&reader).await);
}

#[tokio::test]
async fn many_who_catch_up_share_their_loads() {
    let (world, reader, token) = behind().await;
    let loads = world.store.loads();
    let world = Arc::new(world);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (world, reader) = (Arc::clone(&world), reader.clone());
            tokio::spawn(async move { reader.catch_up(&world.acme.company, token).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), token);
    }
    assert_eq!(world.store.loads(), loads + 1);
}

#[tokio::test]
async fn a_load_that_began_before_the_write_is_not_enough() {
    let world = Arc::new(World::new());
    let (writer, reader) = (world.process(), world.process());
    pump().await;
    let feature = FeatureKey::new("secret").unwrap();
    let grant = writer.grant(NewGrant::new(world.acme.company.clone(), feature)).await.unwrap();
    pump().await;
    world.bus.cut();
    world.store.hold_loads();
    let early = {
        let (world, reader) = (Arc::clone(&world), reader.clone());
        tokio::spawn(async move { world.allows(&reader).await })
    };
    while world.store.held_loads() == 0 {
        tokio::task::yield_now().await;
    }
    let token = writer.void(&grant.id).await.unwrap().unwrap();
    let late = {
        let (world, reader) = (Arc::clone(&world), reader.clone());
        tokio::spawn(async move { reader.catch_up(&world.acme.company, token).await.unwrap() })
    };
    pump().await;
    world.store.release_loads();
    assert_eq!(late.await.unwrap(), token);
    early.await.unwrap();
    assert!(!world.allows(&reader).await);
}

#[tokio::test]
async fn without_the_store_only_what_is_known_to_show_the_write_will_do() {
    let (world, reader, token) = behind().await;
    let before = Revision(token.0 - 1);
    world.clock.advance(TimeDelta::seconds(6));
    world.store.fail(Some(StoreErrorKind::Unavailable));
    assert_eq!(reader.catch_up(&world.acme.company, before).await.unwrap(), before);
    assert!(reader.catch_up(&world.acme.company, token).await.is_err());
}

#[tokio::test]
async fn the_revision_of_a_company_is_a_token() {
    let (world, reader, token) = behind().await;
    let writer = world.plain();
    assert_eq!(writer.revision(&world.acme.company).await.unwrap(), token);
    assert_eq!(reader.revision(&world.acme.company).await.unwrap(), Revision(token.0 - 1));
}
