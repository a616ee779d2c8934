use allocation_counter::measure;
use entitlements_core::{Action, Context, Request, evaluate};
use serde_json::json;

use crate::world::{World, amount, policy};

/// How many times the heap was asked while one request was decided.
fn allocations(world: &World, request: &Request<'_>) -> u64 {
    let snapshot = world.snapshot();
    let mut allowed = false;
    let measured = measure(|| allowed = evaluate(request, &snapshot, &world.catalog, world.now).is_allowed());
    assert!(allowed);
    measured.count_total
}

#[test]
fn an_allow_allocates_nothing() {
    let world = World::on("pro").used_monthly("reports", 7).granted("g", "secret", |_| {}).granted(
        "units",
        "reports",
        |grant| grant.amount = Some(amount(3)),
    );
    let subject = world.company();
    for feature in ["boardroom", "reports", "ai_in", "burst", "seats", "secret", "upload_mb"] {
        let request = Request::new(&subject, feature, Action::Create);
        assert_eq!(allocations(&world, &request), 0, "{feature}");
    }
}

#[test]
fn an_allow_among_many_policies_allocates_nothing() {
    let mut world = World::on("starter");
    for number in 0..1000 {
        let condition = json!({"condition": {"all": [
            {"eq": ["context.region", format!("region-{number}")]},
            {"lt": ["context.seats", 25]}
        ]}});
        let effect = if number % 3 == 0 { "deny" } else { "allow" };
        world = world.policy(&policy(&format!("p{number}"), effect, "secret", &condition));
    }
    let subject = world.company();
    let context = Context::default().with("region", "region-500").with("seats", 3);
    let request = Request::new(&subject, "secret", Action::View).with_context(&context);
    assert_eq!(allocations(&world, &request), 0);
}
