//! How problems are reported: all at once, in order, each cause once.

use entitlements_core::Catalog;

use super::fixture::{HEAD, problems};

fn printed(text: &str) -> Vec<String> {
    problems(text).iter().map(ToString::to_string).collect()
}

#[test]
fn all_problems_are_reported_in_the_order_of_the_text() {
    let text = r#"schema = 2
default_plan = "fre"
past_due_grace = "week"
[features]
export = { type = "flag" }
reports = { type = "metr" }
[plans.free.grants]
exprot = true
reports = 5
[plans.pro]
extends = "fre"
trial = { days = 40 }
[routing]
[[routes]]
match = "get /x"
require = "exports"
"#;
    assert_eq!(
        printed(text),
        [
            "1:10: schema: must be at most 1",
            "2:16: default_plan: unknown plan `fre`; did you mean `free`?",
            "3:18: past_due_grace: must be a whole number with a unit s, m, h or d, such as \"7d\"",
            "6:20: features.reports.type: unknown type `metr`; did you mean `meter`?",
            "8:1: plans.free.grants.exprot: unknown feature `exprot`; did you mean `export`?",
            "11:11: plans.pro.extends: unknown plan `fre`; did you mean `free`?",
            "12:18: plans.pro.trial.days: must be at most 30",
            "13:1: routing: needs `unmatched`: allow or deny",
            "15:9: routes[0].match: unknown method `get`; did you mean `GET`?",
            "16:11: routes[0].require: unknown feature `exports`; did you mean `export`?",
        ]
    );
}

#[test]
fn several_problems_of_one_entry_are_all_reported() {
    let rest = "[plans.p.grants]\nmeter = { limit = -1, every = \"moth\", alerts = [0, 5, 5], over = 1 }";
    let lines: Vec<_> =
        problems(&format!("{HEAD}{rest}")).iter().map(|problem| problem.place.clone()).collect();
    let meter = "plans.p.grants.meter";
    let expected = ["limit", "every", "alerts[0]", "over"].map(|part| format!("{meter}.{part}"));
    assert_eq!(lines, expected);
}

#[test]
fn every_line_of_the_printed_error_names_the_file() {
    let error = Catalog::parse("prices.toml", "schema = 2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "prices.toml:1:1: past_due_grace: needs a duration such as `past_due_grace = \"7d\"`\n\
         prices.toml:1:1: features: there are no features\n\
         prices.toml:1:10: schema: must be at most 1",
    );
    assert_eq!(error.file(), "prices.toml");
}

#[test]
fn columns_count_characters() {
    let text = format!("{HEAD}x = {{ type = \"flag\", name = \"é漢😀\", nme = 1 }}\r\ny = 5\r\n");
    let found = problems(&text);
    assert_eq!((found[0].line, found[0].column), (10, 36));
    assert_eq!((found[1].line, found[1].column), (11, 5));
}

#[test]
fn several_syntax_errors_are_reported_once_each() {
    let found = printed(&format!("{HEAD}x = \ny = {{ type = \"flag\" }}\nz = @\n[plans.p.grants\n"));
    let lines: Vec<_> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["10", "12", "13"], "{found:#?}");
}

#[test]
fn a_list_that_is_not_closed_is_one_problem() {
    let rest = "[plans.p.grants]\nmeter = { limit = 1, every = \"day\", alerts = [80, 100 }\nflag = true\n[plans.q]\n";
    let found = printed(&format!("{HEAD}{rest}"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("11:"), "{found:#?}");
}

#[test]
fn a_syntax_error_does_not_hide_what_is_wrong_before_it_and_blames_nothing_else() {
    let text = "schema = 2\ndefault_plan = \"pro\"\npast_due_grace = \"7d\"\n[features]\nx = { type = \"flag\" }\n[plans.pro\n";
    let found = printed(text);
    assert_eq!(found[0], "1:10: schema: must be at most 1");
    assert!(found[1].starts_with("6:"), "{found:#?}");
    assert_eq!(found.len(), 2, "{found:#?}");
}

#[test]
fn a_key_that_is_given_twice_is_reported() {
    let found = printed(&format!("{HEAD}flag = {{ type = \"flag\" }}\n"));
    assert_eq!(found, ["10:1: duplicate key"]);
}

#[test]
fn a_broken_feature_does_not_make_its_name_unknown() {
    let found = printed(&format!("{HEAD}x = {{ type = \"flg\" }}\n[plans.p.grants]\nx = true\n"));
    assert_eq!(found, ["10:14: features.x.type: unknown type `flg`; did you mean `flag`?"]);
}

#[test]
fn a_text_that_is_no_toml_is_refused() {
    for text in ["", "\0", "{\"schema\": 1}", "schema", "\u{feff}"] {
        assert!(Catalog::parse("catalog.toml", text).is_err(), "{text:?}");
    }
}

#[test]
fn hostile_names_cannot_break_the_lines_of_a_report() {
    let found = problems(&format!("{HEAD}[plans.p.grants]\n\"a\\nb\\u001b\" = true\n"));
    let line = found[0].to_string();
    assert!(!line.chars().any(char::is_control), "{line:?}");
}
