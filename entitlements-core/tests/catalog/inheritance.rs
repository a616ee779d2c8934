//! `extends`: entries are taken over whole, replaced whole, or removed.

use entitlements_core::catalog::EntryKind;
use entitlements_core::{Action, ActionSet, Amount};

use super::fixture::{catalog, entry, quotas};

#[test]
fn entries_come_down_a_chain_whatever_the_order_of_the_text() {
    let catalog = catalog(
        "[plans.c]\nextends = \"b\"\n[plans.c.grants]\nsize = 30\n[plans.b]\nextends = \"a\"\n[plans.b.grants]\ngauge = 2\n\
         [plans.a.grants]\nflag = true\ngauge = 1\n",
    );
    assert!(entry(&catalog, "c", "flag").is_some());
    assert_eq!(entry(&catalog, "c", "gauge").unwrap().kind, EntryKind::Gauge(Some(Amount::from(2))));
    assert!(entry(&catalog, "c", "size").is_some());
    assert_eq!(entry(&catalog, "a", "gauge").unwrap().kind, EntryKind::Gauge(Some(Amount::ONE)));
    assert!(entry(&catalog, "b", "size").is_none());
}

#[test]
fn an_entry_of_the_child_replaces_the_parents_whole() {
    let catalog = catalog(
        "[plans.a.grants]\nflag = { actions = [\"view\"] }\nmeter = { limit = 5, every = \"day\", over = \"allow\" }\n\
         [plans.b]\nextends = \"a\"\n[plans.b.grants]\nflag = { actions = [\"export\"] }\nmeter = { limit = 9, every = \"month\" }\n",
    );
    assert_eq!(entry(&catalog, "b", "flag").unwrap().actions, ActionSet::NONE.with(Action::Export));
    assert_eq!(quotas(&catalog, "b", "meter").len(), 1);
    assert!(!quotas(&catalog, "b", "meter")[0].is_soft());
}

#[test]
fn false_removes_an_entry_for_the_child_and_its_children() {
    let catalog = catalog(
        "[plans.a.grants]\nflag = true\ngauge = 1\n[plans.b]\nextends = \"a\"\n[plans.b.grants]\nflag = false\n\
         [plans.c]\nextends = \"b\"\n",
    );
    assert!(entry(&catalog, "a", "flag").is_some());
    assert!(entry(&catalog, "b", "flag").is_none());
    assert!(entry(&catalog, "c", "flag").is_none());
    assert!(entry(&catalog, "c", "gauge").is_some());
}

#[test]
fn only_grants_are_taken_over() {
    let catalog = catalog(
        "[plans.a]\nname = \"A\"\ntrial = { days = 3 }\nstripe = { prices = [\"p\"] }\n[plans.b]\nextends = \"a\"\n",
    );
    let child = catalog.plan("b").unwrap();
    assert_eq!((child.name(), child.trial_days(), child.stripe().prices.len()), (None, None, 0));
}

#[test]
fn a_long_chain_is_no_danger() {
    let plans = (1..5000).map(|plan| format!("[plans.p{plan}]\nextends = \"p{}\"\n", plan - 1));
    let text: String = std::iter::once("[plans.p0.grants]\nflag = true\n".to_owned()).chain(plans).collect();
    assert!(entry(&catalog(&text), "p4999", "flag").is_some());
}
