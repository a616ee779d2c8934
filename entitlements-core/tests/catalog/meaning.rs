//! What a catalog means once it is loaded.

use chrono::TimeDelta;
use entitlements_core::catalog::{
    AddOnKind, Anchor, Charge, Consume, EntryKind, Feature, FeatureKind, GaugeCount, OnPlanChange, Overage,
    Plan, Require, Unmatched, Value,
};
use entitlements_core::period::Interval;
use entitlements_core::{Action, ActionSet, Amount, Catalog};

use super::fixture::{EXAMPLE, PLATFORM, catalog, entry, quotas};

fn units(units: u32) -> Amount {
    Amount::from(units)
}

#[test]
fn the_example_is_read_as_it_is_written() {
    let catalog: Catalog = EXAMPLE.parse().unwrap();
    assert_eq!(catalog.past_due_grace(), TimeDelta::days(7));
    assert_eq!(catalog.default_plan().unwrap().key(), "free");
    let plans: Vec<_> = catalog.plans().iter().map(Plan::key).collect();
    assert_eq!(plans, ["free", "starter", "pro", "enterprise"]);
    let features: Vec<_> = catalog.features().iter().map(Feature::key).collect();
    assert_eq!(features, ["max_upload_mb", "report_builder", "reports", "seats"]);

    let reports = catalog.feature("reports").unwrap();
    assert_eq!((reports.kind(), reports.unit()), (FeatureKind::Meter, Some("report")));
    assert_eq!(reports.on_plan_change(), OnPlanChange::Carry);
    assert_eq!(catalog.feature("report_builder").unwrap().name(), Some("Report builder"));
    assert_eq!(catalog.feature("max_upload_mb").unwrap().default_value(), Some(&Value::Integer(10)));

    let starter = catalog.plan("starter").unwrap();
    assert_eq!((starter.name(), starter.trial_days()), (Some("Starter"), Some(14)));
    let builder = entry(&catalog, "starter", "report_builder").unwrap();
    assert_eq!(builder.actions, ActionSet::from_iter([Action::View, Action::Create]));
    let quota = &quotas(&catalog, "starter", "reports")[0];
    assert_eq!((quota.limit, quota.every), (Some(units(10)), Interval::Month));
    assert_eq!((quota.anchor, quota.over), (Anchor::Subscription, Overage::Block));
    assert_eq!((quota.rollover, &*quota.alerts), (Amount::ZERO, &[80, 100][..]));
    assert_eq!(entry(&catalog, "starter", "max_upload_mb"), None);

    let pack = catalog.addon("report_pack").unwrap();
    assert_eq!(pack.entries().len(), 1);
    assert_eq!(pack.entries()[0].feature, reports.index());
    assert_eq!(pack.entries()[0].kind, AddOnKind::Meter { add: units(50), every: Interval::Month });
}

#[test]
fn the_routes_of_the_example_are_read_as_they_are_written() {
    let catalog: Catalog = EXAMPLE.parse().unwrap();
    let routing = catalog.routing();
    assert_eq!(routing.unmatched, Unmatched::Allow);
    let [generate, show, files] = &*routing.routes else { panic!("{routing:?}") };
    assert_eq!((generate.method.as_deref(), &*generate.path), (Some("POST"), "/v1/reports/generate"));
    assert_eq!(generate.require, Some(Require { feature: "report_builder", action: None }));
    assert_eq!(
        generate.consume,
        Some(Consume { feature: "reports", amount: Amount::ONE, charge: Charge::Admit })
    );
    assert_eq!((show.method.as_deref(), &*show.path), (None, "/v1/reports/{id}"));
    assert_eq!(show.require, Some(Require { feature: "report_builder", action: Some(Action::View) }));
    assert_eq!(show.consume, None);
    let consume = Consume { feature: "reports", amount: units(2), charge: Charge::Success };
    assert_eq!((&files.require, &files.consume), (&None, &Some(consume)));
}

#[test]
fn a_whole_platform_is_read() {
    let env = |name: &str| (name == "STRIPE_PRICE_ID_PRO").then(|| "price_pro".to_owned());
    let catalog = Catalog::parse_with_env("catalog.toml", PLATFORM, &env).unwrap();
    assert!(catalog.default_plan().is_none());
    assert_eq!(catalog.plan("pro").unwrap().stripe().prices, ["price_pro"]);
    assert!(catalog.plan("starter").unwrap().stripe().prices.is_empty());
    let included = |plan: &str| {
        catalog.features().iter().filter(|f| catalog.plan(plan).unwrap().entry(f.index()).is_some()).count()
    };
    assert_eq!((included("starter"), included("pro"), included("enterprise")), (7, 10, 11));
    assert!(catalog.feature("ai_tokens_input").unwrap().is_pooled());
    assert!(!catalog.feature("ai_tokens").unwrap().is_pooled());
    assert!(catalog.feature("active_seats").unwrap().limit_from_seats());
    assert_eq!(catalog.feature("storage_gb").unwrap().counts(), GaugeCount::Level);
    assert_eq!(quotas(&catalog, "enterprise", "ai_tokens")[0].limit, None);
    assert_eq!(entry(&catalog, "enterprise", "storage_gb").unwrap().kind, EntryKind::Gauge(None));
}

#[test]
fn plans_keep_the_order_of_the_text() {
    let catalog = catalog("[plans.z]\n[plans.a.grants]\nflag = true\n[plans.m]\n[plans.b]\n");
    let plans: Vec<_> = catalog.plans().iter().map(Plan::key).collect();
    assert_eq!(plans, ["z", "a", "m", "b"]);
}

#[test]
fn parallel_quotas_are_kept_shortest_period_first() {
    let rest = "[plans.p.grants]\n[[plans.p.grants.meter]]\nlimit = 100\nevery = \"month\"\nactions = [\"create\"]\n\
                [[plans.p.grants.meter]]\nlimit = 5\nevery = \"hour\"\n";
    let catalog = catalog(rest);
    let every: Vec<_> = quotas(&catalog, "p", "meter").iter().map(|quota| quota.every).collect();
    assert_eq!(every, [Interval::Hour, Interval::Month]);
    assert_eq!(entry(&catalog, "p", "meter").unwrap().actions, ActionSet::NONE.with(Action::Create));
}

#[test]
fn a_lifetime_has_one_form() {
    let catalog = catalog("[plans.p.grants]\nmeter = { limit = 5, every = \"lifetime\" }");
    assert_eq!(quotas(&catalog, "p", "meter")[0].anchor, Anchor::Calendar);
}

#[test]
fn an_unlimited_quota_may_say_its_period() {
    let catalog = catalog(
        "[plans.p.grants]\nmeter = { limit = \"unlimited\", every = \"day\", anchor = \"calendar\" }\n\
                           [plans.q.grants]\nmeter = \"unlimited\"\n[plans.r.grants]\nmeter = { limit = \"unlimited\" }",
    );
    let quota = &quotas(&catalog, "p", "meter")[0];
    assert_eq!((quota.limit, quota.every, quota.anchor), (None, Interval::Day, Anchor::Calendar));
    let quota = &quotas(&catalog, "q", "meter")[0];
    assert_eq!((quota.limit, quota.every, quota.anchor), (None, Interval::Month, Anchor::Subscription));
    assert_eq!(quotas(&catalog, "q", "meter"), quotas(&catalog, "r", "meter"));
}

#[test]
fn a_float_value_may_be_written_whole() {
    let catalog = catalog("ratio = { type = \"value\", default = 0.5 }\n[plans.p.grants]\nratio = 2\n");
    assert_eq!(entry(&catalog, "p", "ratio").unwrap().kind, EntryKind::Value(Value::Float(2.0)));
}

#[test]
fn false_is_a_value_where_the_default_is_a_boolean() {
    let catalog = catalog(
        "beta = { type = \"value\", default = true }\n[plans.p.grants]\nbeta = false\nsize = false\n",
    );
    assert_eq!(entry(&catalog, "p", "beta").unwrap().kind, EntryKind::Value(Value::Bool(false)));
    assert_eq!(entry(&catalog, "p", "size"), None);
}

#[test]
fn addons_give_of_every_kind_but_values() {
    let catalog = catalog(
        "[addons.pack]\nname = \"Pack\"\nstripe = { lookup_keys = [\"pack\"] }\n[addons.pack.grants]\n\
         pool = { add = 10, every = \"day\" }\ngauge = { add = 1 }\nflag = { actions = [\"export\"] }\n",
    );
    let pack = catalog.addon("pack").unwrap();
    assert_eq!((pack.name(), &*pack.stripe().lookup_keys), (Some("Pack"), &["pack".to_owned()][..]));
    let kinds: Vec<_> = pack.entries().iter().map(|entry| (entry.actions, entry.kind)).collect();
    assert_eq!(
        kinds,
        [
            (ActionSet::NONE.with(Action::Export), AddOnKind::Flag),
            (ActionSet::ALL, AddOnKind::Gauge { add: Amount::ONE }),
            (ActionSet::ALL, AddOnKind::Meter { add: units(10), every: Interval::Day }),
        ]
    );
}

#[test]
fn without_routing_everything_passes() {
    let routing = catalog("").routing().clone();
    assert_eq!((routing.unmatched, routing.routes.len()), (Unmatched::Allow, 0));
}

#[test]
fn one_path_may_have_a_rule_for_each_method_and_one_for_all() {
    let rules = ["GET /x", "POST /x", "/x", "GET /x/", "GET /x/{id}"]
        .map(|rule| format!("[[routes]]\nmatch = \"{rule}\"\nrequire = \"flag\"\n"))
        .concat();
    assert_eq!(catalog(&format!("[routing]\nunmatched = \"deny\"\n{rules}")).routing().routes.len(), 5);
}

#[test]
fn limits_reach_from_zero_to_the_largest_amount() {
    let catalog = catalog(
        "[plans.p.grants]\nmeter = { limit = 9_223_372_036_854_775_807, every = \"year\" }\ngauge = 0x0\n",
    );
    assert_eq!(quotas(&catalog, "p", "meter")[0].limit, Some(Amount::MAX));
    assert_eq!(entry(&catalog, "p", "gauge").unwrap().kind, EntryKind::Gauge(Some(Amount::ZERO)));
}
