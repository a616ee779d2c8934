//! The hash follows the meaning and nothing else.

use std::collections::HashSet;

use entitlements_core::Catalog;
use entitlements_core::catalog::CatalogHash;

use super::fixture::{EXAMPLE, catalog};

fn hash(text: &str) -> CatalogHash {
    text.parse::<Catalog>().unwrap().hash()
}

#[test]
fn layout_comments_and_the_order_of_keys_do_not_matter() {
    let grants = |text: &str| catalog(&format!("[plans.p]\n{text}")).hash();
    let first = grants("trial = { days = 3 }\nname = \"P\"\n[plans.p.grants]\nflag = true\ngauge = 1_0\n");
    let second =
        grants("name = 'P' # for people\n\ngrants.gauge = 10\ngrants.flag = true\ntrial.days = 0x3\n");
    assert_eq!(first, second);
}

#[test]
fn defaults_mean_the_same_when_they_are_written_out() {
    let short = catalog("[plans.p.grants]\nmeter = { limit = 5, every = \"day\" }\nflag = true\n").hash();
    let long = catalog(
        "[plans.p.grants]\nflag = { actions = [\"view\", \"create\", \"update\", \"delete\", \"export\", \"query\", \"configure\"] }\n\
         meter = [{ limit = 5, every = \"day\", anchor = \"subscription\", over = \"block\", rollover = 0, alerts = [80, 100] }]\n",
    );
    assert_eq!(short, long.hash());
}

#[test]
fn what_is_inherited_means_the_same_as_what_is_written_out() {
    let inherited = catalog("[plans.a.grants]\nflag = true\n[plans.b]\nextends = \"a\"\n").hash();
    assert_eq!(inherited, catalog("[plans.a.grants]\nflag = true\n[plans.b.grants]\nflag = true\n").hash());
}

#[test]
fn every_change_of_meaning_changes_the_hash() {
    let changes = [
        ("\"7d\"", "\"8d\""),
        ("default_plan = \"free\"", ""),
        ("default_plan = \"free\"", "default_plan = \"pro\""),
        ("Report builder", "Builder"),
        ("unit = \"report\"", "unit = \"page\""),
        ("on_plan_change = \"carry\"", "on_plan_change = \"reset\""),
        ("{ type = \"gauge\" }", "{ type = \"gauge\", counts = \"level\" }"),
        ("{ type = \"gauge\" }", "{ type = \"gauge\", limit_from = \"seats\" }"),
        ("default = 10", "default = 11"),
        (
            "max_upload_mb  = { type = \"value\", default = 10 }",
            "max_upload_mb = { type = \"value\", default = 10.0 }",
        ),
        ("name   = \"Starter\"", ""),
        ("starter_monthly", "starter_yearly"),
        ("days = 14", "days = 13"),
        ("trial  = { days = 14 }", ""),
        ("[\"view\", \"create\"]", "[\"view\"]"),
        ("limit = 10,", "limit = 11,"),
        ("every = \"month\", anchor", "every = \"week\", anchor"),
        ("anchor = \"subscription\"", "anchor = \"calendar\""),
        ("over = \"block\"", "over = \"allow\""),
        ("rollover = 0", "rollover = 1"),
        ("alerts = [80, 100]", "alerts = [80]"),
        ("seats   = 5", "seats = \"unlimited\""),
        ("extends = \"starter\"", ""),
        ("max_upload_mb = 100", "max_upload_mb = 101"),
        ("{ add = 50 }", "{ add = 51 }"),
        ("{ add = 50 }", "{ add = 50, every = \"day\" }"),
        ("{ add = 50 }", "{ add = 50, actions = [\"create\"] }"),
        ("unmatched = \"allow\"", "unmatched = \"deny\""),
        ("POST /v1/reports/generate", "PUT /v1/reports/generate"),
        ("POST /v1/reports/generate", "/v1/reports/generate"),
        ("/v1/reports/{id}", "/v1/report/{id}"),
        ("action = \"view\"", "action = \"export\""),
        (", action = \"view\"", ""),
        ("amount = 2", "amount = 3"),
        ("charge = \"success\"", "charge = \"actual\""),
        ("consume = \"reports\"", ""),
        ("[plans.free]", ""),
        ("[plans.enterprise.grants]", "[plans.business.grants]"),
    ];
    let mut seen = HashSet::from([hash(EXAMPLE)]);
    for (from, to) in changes {
        assert!(EXAMPLE.contains(from), "{from}");
        let mut text = EXAMPLE.replacen(from, to, 1);
        if from == "[plans.free]" {
            text = text.replace("default_plan = \"free\"", "");
        }
        assert!(seen.insert(hash(&text)), "{from} -> {to}");
    }
}

#[test]
fn the_order_of_plans_is_meaning() {
    assert_ne!(catalog("[plans.a]\n[plans.b]\n").hash(), catalog("[plans.b]\n[plans.a]\n").hash());
}

#[test]
fn an_expanded_price_changes_the_hash() {
    let with = |value: &str| {
        let env = |_: &str| Some(value.to_owned());
        Catalog::parse_with_env("catalog.toml", EXAMPLE, &env).unwrap().hash()
    };
    assert_ne!(with("price_1"), with("price_2"));
    assert_ne!(with("price_1"), hash(EXAMPLE));
    assert_eq!(with(""), hash(EXAMPLE));
}

#[test]
fn the_hash_is_the_same_from_build_to_build() {
    let minimal = "schema = 1\npast_due_grace = \"0s\"\n[features]\nx = { type = \"flag\" }\n";
    assert_eq!(hash(minimal).to_string().len(), 64);
    assert_eq!(hash(minimal).short(), "e15b05f6");
}
