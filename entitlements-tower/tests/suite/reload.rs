use entitlements_core::Catalog;
use entitlements_tower::{FailMode, Rule};
use tower::{Layer, ServiceExt};

use crate::probe::Probe;
use crate::world::{CATALOG, World, request};

fn parse(text: &str) -> Catalog {
    Catalog::parse("catalog.toml", text).unwrap()
}

#[tokio::test]
async fn a_new_catalog_changes_the_rules() {
    let world = World::new().await;
    let service = world.layer().layer(Probe::answering(200));
    let ask = |uri| service.clone().oneshot(request("GET", uri, "starter-co"));
    assert_eq!(ask("/boardroom").await.unwrap().status(), 402);
    assert_eq!(ask("/meeting").await.unwrap().status(), 200);
    world.entitlements.set_catalog(parse(&CATALOG.replace("/boardroom", "/meeting")));
    assert_eq!(ask("/boardroom").await.unwrap().status(), 200);
    assert_eq!(ask("/meeting").await.unwrap().status(), 402);
    // There and back again.
    for (path, other) in [("/boardroom", "/meeting"), ("/meeting", "/boardroom")] {
        world.entitlements.set_catalog(parse(&CATALOG.replace("/boardroom", path)));
        assert_eq!(ask(path).await.unwrap().status(), 402);
        assert_eq!(ask(other).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_new_catalog_changes_what_happens_without_a_rule() {
    let world = World::new().await;
    let service = world.layer().layer(Probe::answering(200));
    let ask = || service.clone().oneshot(request("GET", "/elsewhere", "pro-co"));
    assert_eq!(ask().await.unwrap().status(), 200);
    world.entitlements.set_catalog(parse(&CATALOG.replace("\"allow\"", "\"deny\"")));
    assert_eq!(ask().await.unwrap().status(), 403);
}

#[tokio::test]
async fn rules_that_do_not_fit_the_new_catalog_stay_as_they_were() {
    let world = World::new().await;
    // The rule from code conflicts with a route that only the new catalog has.
    let layer =
        world.builder(FailMode::Closed).route(Rule::new("/mine").require("boardroom")).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    let ask = |uri| service.clone().oneshot(request("GET", uri, "starter-co"));
    let clashing = CATALOG.replace("/unsold", "/mine");
    world.entitlements.set_catalog(parse(&clashing));
    for (uri, status) in [("/mine", 402), ("/unsold", 403), ("/boardroom", 402), ("/mine", 402)] {
        assert_eq!(ask(uri).await.unwrap().status(), status, "{uri}");
    }
    // A later catalog that fits is taken.
    world.entitlements.set_catalog(parse(&CATALOG.replace("/unsold", "/not-sold")));
    for (uri, status) in [("/mine", 402), ("/unsold", 200), ("/not-sold", 403)] {
        assert_eq!(ask(uri).await.unwrap().status(), status, "{uri}");
    }
}

#[tokio::test]
async fn coverage_survives_a_reload() {
    let world = World::new().await;
    let layer = world.layer();
    let service = layer.layer(Probe::answering(200));
    for uri in ["/boardroom", "/boardroom", "/elsewhere"] {
        service.clone().oneshot(request("GET", uri, "pro-co")).await.unwrap();
    }
    world.entitlements.set_catalog(parse(&CATALOG.replace("/unsold", "/not-sold")));
    service.oneshot(request("GET", "/boardroom", "pro-co")).await.unwrap();
    let coverage = layer.coverage();
    let hits = |rule: &str| coverage.rules.iter().find(|hits| hits.rule == rule).map(|hits| hits.hits);
    assert_eq!(hits("/boardroom"), Some(3));
    assert_eq!(hits("/unsold"), None);
    assert_eq!(coverage.unmatched_requests, 1);
    let never: Vec<_> = coverage.never_hit().collect();
    assert!(never.contains(&"/not-sold") && !never.contains(&"/boardroom"), "{never:?}");
}
