use entitlements_core::policy::When;
use entitlements_core::{Action, Catalog, Recording, ReplayError, Request};
use serde_json::json;

use crate::world::{CATALOG, World, amount, at, policy};

fn world() -> World {
    let condition = json!({"condition": {"lt": ["context.load", 0.1]}});
    World::on("pro")
        .used_monthly("reports", 7)
        .granted("g", "reports", |grant| {
            grant.amount = Some(amount(3));
            grant.ends_at = Some(at("2026-12-01T00:00:00.000001Z"));
        })
        .addon("pack", 1)
        .overridden("upload_mb", json!(0.1))
        .policy(&policy("p", "allow", "secret", &condition))
}

fn recorded(world: &World, feature: &str) -> Recording {
    let subject = world.company();
    let context = entitlements_core::Context::default().with("load", 0.099_999_999_999_999_99);
    let request = Request::new(&subject, feature, Action::Create).with_context(&context);
    let recording = Recording::capture(&request, &world.snapshot(), &world.catalog, world.now);
    serde_json::from_str(&serde_json::to_string(&recording).unwrap()).unwrap()
}

#[test]
fn a_recording_replays_to_the_same_bits_after_a_trip_through_json() {
    let world = world();
    for feature in ["reports", "secret", "upload_mb", "boardroom", "sso", "raports"] {
        let recording = recorded(&world, feature);
        assert_eq!(recording.replay(&world.catalog).unwrap().to_json(), recording.decision, "{feature}");
    }
}

#[test]
fn a_recording_whose_facts_were_changed_differs() {
    let world = world();
    let mut recording = recorded(&world, "reports");
    recording.facts.usage.clear();
    assert!(matches!(recording.replay(&world.catalog), Err(ReplayError::Differs { .. })));
}

#[test]
fn a_recording_is_replayed_with_its_own_catalog_and_decided_with_any() {
    let world = world();
    let recording = recorded(&world, "boardroom");
    let other: Catalog = CATALOG.replace("boardroom = true\n", "").parse().unwrap();
    assert!(matches!(recording.replay(&other), Err(ReplayError::OtherCatalog { .. })));
    assert!(world.ask("boardroom", Action::Create).is_allowed());
    assert!(!recording.decide(&other).unwrap().is_allowed());
}

#[test]
fn a_policy_that_cannot_be_read_is_as_unreadable_in_the_replay() {
    let mut world = World::on("starter");
    for stored in [r#"{"eq": ["context.region"]}"#, "not even JSON", "null"] {
        let rule = policy("p", "deny", "secret", &json!({}));
        world = world.policy(&rule);
        world.policies.last_mut().unwrap().when = When::from_stored(Some(stored));
        let recording = recorded(&world, "secret");
        assert_eq!(recording.replay(&world.catalog).unwrap().reason.code(), "policy_denied");
        world.policies.clear();
    }
}
