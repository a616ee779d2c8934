use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use entitlements_core::decision_cache::Scope;
use entitlements_core::id::{FeatureKey, UserId};
use entitlements_core::policy::Policy;
use entitlements_core::testkit::fixtures;
use entitlements_core::{Action, Context, NewGrant, Request, Subject};
use serde_json::json;

use crate::world::{World, pump, subject};

fn grant(world: &World) -> NewGrant {
    NewGrant::new(world.acme.company.clone(), FeatureKey::new("secret").unwrap())
}

#[tokio::test]
async fn a_cold_process_asks_the_shared_cache_and_not_the_store() {
    let world = World::new();
    let (warm, cold) = (world.cold_process().await, world.cold_process().await);
    let known = warm.check(&world.secret()).await.unwrap();
    let loads = world.store.loads();
    assert_eq!(cold.check(&world.secret()).await.unwrap(), known);
    assert_eq!(world.store.loads(), loads);
}

#[tokio::test]
async fn a_warm_process_asks_nobody() {
    let world = World::new();
    let process = world.cold_process().await;
    world.allows(&process).await;
    let (gets, loads) = (world.gets(), world.store.loads());
    for action in Action::ALL {
        process.check(&Request::new(&world.acme, "secret", action)).await.unwrap();
    }
    assert_eq!((world.gets(), world.store.loads()), (gets, loads));
}

#[tokio::test]
async fn the_same_question_is_asked_once() {
    let world = Arc::new(World::new());
    let (warm, cold) = (world.cold_process().await, world.cold_process().await);
    world.allows(&warm).await;
    let gets = world.gets();
    let askers: Vec<_> = (0..100)
        .map(|_| {
            let (world, cold) = (Arc::clone(&world), cold.clone());
            tokio::spawn(async move { world.allows(&cold).await })
        })
        .collect();
    for asker in askers {
        assert!(!asker.await.unwrap());
    }
    // And for a moment afterwards.
    world.clock.advance(TimeDelta::milliseconds(999));
    world.allows(&cold).await;
    assert_eq!(world.gets(), gets + 1);
    world.clock.advance(TimeDelta::milliseconds(1));
    world.allows(&cold).await;
    assert_eq!(world.gets(), gets + 2);
}

#[tokio::test]
async fn many_who_find_nothing_are_one_look_up_and_one_load() {
    let world = Arc::new(World::new());
    let cold = world.cold_process().await;
    let (gets, loads) = (world.gets(), world.store.loads());
    let askers: Vec<_> = (0..100)
        .map(|_| {
            let (world, cold) = (Arc::clone(&world), cold.clone());
            tokio::spawn(async move { world.allows(&cold).await })
        })
        .collect();
    for asker in askers {
        assert!(!asker.await.unwrap());
    }
    assert_eq!((world.gets(), world.store.loads()), (gets + 1, loads + 1));
}

#[tokio::test]
async fn a_process_that_begins_loads_the_policies_once_and_each_company_once() {
    let world = Arc::new(World::new());
    let policy = json!({"id": "p", "effect": "allow", "target": {"features": ["secret"]}});
    world.plain().insert_policy(&Policy::from_json(&policy).unwrap()).await.unwrap();
    let (fresh, loads, policies) = (world.process(), world.store.loads(), world.store.policy_loads());
    let askers: Vec<_> = (0..200)
        .map(|number| {
            let fresh = fresh.clone();
            tokio::spawn(async move {
                let of = subject(&format!("c{}", number % 20));
                fresh.check(&Request::new(&of, "secret", Action::View)).await.unwrap().is_allowed()
            })
        })
        .collect();
    for asker in askers {
        assert!(asker.await.unwrap());
    }
    assert_eq!((world.store.loads() - loads, world.store.policy_loads() - policies), (20, 1));
}

#[tokio::test]
async fn meters_and_unknown_names_are_not_shared() {
    let world = World::new();
    let process = world.cold_process().await;
    let gets = world.gets();
    for feature in ["reports", "unheard-of"] {
        process.check(&Request::new(&world.acme, feature, Action::Create)).await.unwrap();
        world.clock.advance(TimeDelta::seconds(6));
    }
    assert_eq!(world.gets(), gets);
}

#[tokio::test]
async fn decisions_live_on_while_somebody_confirms_the_facts() {
    let world = World::new();
    let (one, two) = (world.cold_process().await, world.cold_process().await);
    world.allows(&one).await;
    for _ in 0..20 {
        world.clock.advance(TimeDelta::seconds(6));
        let loads = world.store.loads();
        // One process has to load the company, for another question.
        one.check(&Request::new(&world.acme, "export", Action::View)).await.unwrap();
        assert_eq!(world.store.loads(), loads + 1);
        assert!(!world.allows(&two).await);
        assert_eq!(world.store.loads(), loads + 1);
    }
}

#[tokio::test]
async fn facts_that_nobody_has_confirmed_for_five_seconds_are_loaded() {
    let world = World::new();
    let (one, two) = (world.cold_process().await, world.cold_process().await);
    world.allows(&one).await;
    let loads = world.store.loads();
    world.clock.advance(TimeDelta::milliseconds(4999));
    world.allows(&two).await;
    assert_eq!(world.store.loads(), loads);
    world.clock.advance(TimeDelta::milliseconds(1));
    world.allows(&two).await;
    assert_eq!(world.store.loads(), loads + 1);
}

#[tokio::test]
async fn a_revocation_is_seen_at_once_where_the_bus_is_heard() {
    let world = World::new();
    let (writer, warm, cold) = (world.process(), world.process(), world.cold_process().await);
    pump().await;
    let grant = writer.grant(grant(&world)).await.unwrap();
    pump().await;
    assert!(world.allows(&warm).await && world.allows(&cold).await);
    writer.void(&grant.id).await.unwrap();
    pump().await;
    assert!(!world.allows(&warm).await && !world.allows(&cold).await);
}

#[tokio::test]
async fn a_change_of_the_policies_is_seen_at_once_where_the_bus_is_heard() {
    let world = World::new();
    let (writer, warm, cold) = (world.process(), world.process(), world.cold_process().await);
    pump().await;
    assert!(!world.allows(&warm).await && !world.allows(&cold).await);
    let policy = json!({"id": "p", "effect": "allow", "target": {"features": ["secret"]}});
    writer.insert_policy(&Policy::from_json(&policy).unwrap()).await.unwrap();
    pump().await;
    assert!(world.allows(&warm).await && world.allows(&cold).await);
    writer.remove_policy(&fixtures::policy("p").id).await.unwrap();
    pump().await;
    assert!(!world.allows(&warm).await && !world.allows(&cold).await);
}

#[tokio::test]
async fn what_was_just_found_is_not_used_after_it_was_forgotten() {
    let world = World::new();
    let (admin, one, two) = (world.process(), world.cold_process().await, world.cold_process().await);
    assert!(!world.allows(&one).await && !world.allows(&two).await);
    // Behind the back of all handles that know each other; so nobody knows a revision.
    world.plain().grant(grant(&world)).await.unwrap();
    assert!(!world.allows(&two).await);
    admin.invalidate_everywhere(&Scope::Company(world.acme.company.clone())).await;
    pump().await;
    assert!(world.allows(&two).await);
}

#[tokio::test]
async fn what_was_just_found_is_not_used_under_newer_policies() {
    let world = World::new();
    let (one, two) = (world.cold_process().await, world.cold_process().await);
    assert!(!world.allows(&one).await && !world.allows(&two).await);
    let policy = json!({"id": "p", "effect": "allow", "target": {"features": ["secret"]}});
    one.insert_policy(&Policy::from_json(&policy).unwrap()).await.unwrap();
    pump().await;
    assert!(world.allows(&two).await);
}

#[tokio::test]
async fn a_revocation_is_seen_within_five_seconds_whatever_is_broken() {
    for (bus, cache) in [(true, false), (true, true), (false, true)] {
        let world = World::new();
        let (writer, warm, cold) = (world.process(), world.process(), world.cold_process().await);
        pump().await;
        let grant = writer.grant(grant(&world)).await.unwrap();
        pump().await;
        assert!(world.allows(&warm).await && world.allows(&cold).await);
        if bus {
            world.bus.cut();
        }
        world.decisions.deaf.store(cache, Ordering::SeqCst);
        writer.void(&grant.id).await.unwrap();
        pump().await;
        world.clock.advance(TimeDelta::seconds(5));
        assert!(!world.allows(&warm).await && !world.allows(&cold).await, "{bus} {cache}");
    }
}

#[tokio::test]
async fn who_wrote_sees_it_at_once_although_the_shared_cache_missed_it() {
    let world = World::new();
    let (writer, cold) = (world.cold_process().await, world.cold_process().await);
    let grant = writer.grant(grant(&world)).await.unwrap();
    pump().await;
    assert!(world.allows(&cold).await);
    world.decisions.deaf.store(true, Ordering::SeqCst);
    writer.void(&grant.id).await.unwrap();
    // The shared cache still has the decision, from facts that are young enough.
    assert!(!world.allows(&writer).await);
    pump().await;
    // So does who has heard of it.
    assert!(!world.allows(&cold).await);
}

#[tokio::test]
async fn a_token_is_seen_at_once_whatever_is_broken() {
    let world = World::new();
    let (writer, warm, cold) = (world.process(), world.process(), world.cold_process().await);
    pump().await;
    world.bus.cut();
    world.decisions.deaf.store(true, Ordering::SeqCst);
    let grant = writer.grant(grant(&world)).await.unwrap();
    assert!(world.allows(&warm).await && world.allows(&cold).await);
    let token = writer.void(&grant.id).await.unwrap().unwrap();
    for process in [&warm, &cold] {
        assert!(!process.check_at_least(&world.secret(), token).await.unwrap().is_allowed());
    }
}

#[tokio::test]
async fn a_bus_that_was_cut_makes_everybody_look_again() {
    let world = World::new();
    let (writer, warm) = (world.process(), world.process());
    pump().await;
    let grant = writer.grant(grant(&world)).await.unwrap();
    pump().await;
    assert!(world.allows(&warm).await);
    world.bus.cut();
    writer.void(&grant.id).await.unwrap();
    world.bus.heal();
    pump().await;
    assert!(!world.allows(&warm).await);
}

#[tokio::test]
async fn a_silent_bus_is_told_from_a_quiet_one() {
    let world = World::new();
    let process = world.process();
    pump().await;
    assert_eq!(process.hears_the_bus(), Some(true));
    for _ in 0..10 {
        world.clock.advance(TimeDelta::seconds(1));
        world.bus.beat();
        pump().await;
        assert_eq!(process.hears_the_bus(), Some(true));
    }
    world.bus.cut();
    world.clock.advance(TimeDelta::seconds(3));
    world.bus.beat();
    pump().await;
    assert_eq!(process.hears_the_bus(), Some(false));
    world.bus.heal();
    pump().await;
    assert_eq!(process.hears_the_bus(), Some(true));
    assert_eq!(world.plain().hears_the_bus(), None);
}

#[tokio::test]
async fn what_only_some_policies_read_does_not_split_the_cache() {
    let world = World::new();
    let policy = json!({"id": "eu", "effect": "allow", "target": {"features": ["secret"], "actions": ["view"]},
                        "condition": {"eq": ["context.region", "eu"]}});
    world.plain().insert_policy(&Policy::from_json(&policy).unwrap()).await.unwrap();
    let (one, two) = (world.cold_process().await, world.cold_process().await);
    let asks = |region: &str, noise: i64| Context::default().with("region", region).with("noise", noise);
    let [first, second, elsewhere] = [asks("eu", 1), asks("eu", 2), asks("us", 2)];
    assert!(one.check(&world.secret().with_context(&first)).await.unwrap().is_allowed());
    let loads = world.store.loads();
    assert!(two.check(&world.secret().with_context(&second)).await.unwrap().is_allowed());
    assert_eq!(world.store.loads(), loads);
    assert!(!two.check(&world.secret().with_context(&elsewhere)).await.unwrap().is_allowed());
}

#[tokio::test]
async fn a_scope_is_forgotten_everywhere() {
    let user = Subject::user(subject("acme").company, UserId::new("u").unwrap());
    let secret = || FeatureKey::new("secret").unwrap();
    for scope in [
        Scope::Everything,
        Scope::Company(user.company.clone()),
        Scope::User(user.company.clone(), UserId::new("u").unwrap()),
        Scope::Feature(None, secret()),
        Scope::Feature(Some(user.company.clone()), secret()),
    ] {
        let world = World::new();
        let (admin, warm, cold) = (world.process(), world.process(), world.cold_process().await);
        pump().await;
        let request = Request::new(&user, "secret", Action::View);
        warm.check(&request).await.unwrap();
        let loads = world.store.loads();
        admin.invalidate_everywhere(&scope).await;
        pump().await;
        cold.check(&request).await.unwrap();
        assert_eq!(world.store.loads(), loads + 1, "{scope:?}");
        // The warm process has forgotten as well, and finds what the cold one has put.
        assert_eq!(warm.check_warm(&request), None, "{scope:?}");
    }
}

#[tokio::test]
async fn decisions_of_another_catalog_are_not_used() {
    let world = World::new();
    let (one, two) = (world.cold_process().await, world.cold_process().await);
    world.allows(&one).await;
    two.set_catalog("schema = 1\ndefault_plan = \"free\"\npast_due_grace = \"7d\"\n[features]\nsecret = { type = \"flag\" }\n[plans.free.grants]\nsecret = true".parse().unwrap());
    assert!(world.allows(&two).await);
    assert!(!world.allows(&one).await);
}
