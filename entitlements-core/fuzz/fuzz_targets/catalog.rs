//! Any text is a catalog or a list of problems; a catalog is the same however often it is read, and decides.
#![no_main]

use chrono::{DateTime, Utc};
use entitlements_core::catalog::{CatalogError, EntryKind, Feature, Plan};
use entitlements_core::facts::Facts;
use entitlements_core::id::CompanyId;
use entitlements_core::{Action, Catalog, Request, Snapshot, Subject, evaluate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Catalog::parse("catalog.toml", text) {
        Ok(catalog) => sound(&catalog, text),
        Err(error) => reported(&error, text),
    }
});

fn reported(error: &CatalogError, text: &str) {
    assert!(!error.problems().is_empty());
    let lines: Vec<_> = error.to_string().split('\n').map(str::to_owned).collect();
    assert_eq!(lines.len(), error.problems().len(), "one problem a line: {error}");
    let last = text.split('\n').count();
    for problem in error.problems() {
        assert!((1..=last).contains(&problem.line), "line {} of {last}: {problem}", problem.line);
        assert!(problem.column >= 1, "{problem}");
    }
    let in_order = error.problems().is_sorted_by_key(|problem| problem.line);
    assert!(in_order, "{error}");
}

fn sound(catalog: &Catalog, text: &str) {
    let again = Catalog::parse("another.toml", text).expect("it was a catalog before");
    assert_eq!(again.hash(), catalog.hash());
    // Comments mean nothing.
    let commented = Catalog::parse("catalog.toml", &format!("# first\n{text}\n# last\n"));
    assert_eq!(commented.expect("comments do not matter").hash(), catalog.hash());

    for feature in catalog.features() {
        assert_eq!(catalog.feature(feature.key()).map(Feature::index), Some(feature.index()));
    }
    // Names are told apart, however alike they are.
    for key in catalog.features().iter().map(Feature::key) {
        let shorter = key.char_indices().last().map_or("", |(end, _)| &key[..end]);
        let turned: String = key.chars().rev().collect();
        for alike in [shorter, &turned, &format!("{key}0"), &format!("0{key}"), &key.to_uppercase(), ""] {
            assert!(catalog.feature(alike).is_none_or(|found| found.key() == alike), "{alike}");
        }
    }
    let subject = Subject::company(CompanyId::new("acme").expect("an id"));
    let snapshot = Snapshot::new(Facts::empty(subject.company.clone()), std::sync::Arc::default(), catalog);
    for now in [DateTime::<Utc>::MIN_UTC, DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC] {
        for feature in catalog.features() {
            let request = Request::new(&subject, feature.key(), Action::Create);
            let decision = evaluate(&request, &snapshot, catalog, now);
            assert_eq!(decision.catalog, catalog.hash());
            assert_eq!(decision.plan, catalog.default_plan().map(Plan::key));
        }
    }
    for plan in catalog.plans() {
        assert_eq!(catalog.plan(plan.key()).map(Plan::key), Some(plan.key()));
        let entries = catalog.features().iter().filter_map(|feature| plan.entry(feature.index()));
        for entry in entries {
            assert!(!matches!(&entry.kind, EntryKind::Meter(quotas) if quotas.is_empty()));
            assert!(!entry.actions.is_empty());
        }
    }
}
