//! One mistake, one problem: with its line, its place and its message.

use super::fixture::{HEAD, problems};

/// Text that follows the nine lines of the head; line; place; part of the printed problem.
type Case = (&'static str, usize, &'static str, &'static str);

fn check(cases: &[Case]) {
    for (rest, line, place, message) in cases {
        check_one(&format!("{HEAD}{rest}"), *line, place, message);
    }
}

fn check_one(text: &str, line: usize, place: &str, message: &str) {
    let found = problems(text);
    let printed: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 1, "{text}\n{printed:#?}");
    assert_eq!((found[0].line, &*found[0].place), (line, place), "{text}\n{printed:#?}");
    assert!(printed[0].contains(message), "{text}\n{printed:#?}\n{message}");
}

#[test]
fn a_broken_head_is_reported() {
    let features = "[features]\nx = { type = \"flag\" }\n";
    for (text, line, place, message) in [
        ("past_due_grace = \"7d\"\n", 1, "schema", "needs `schema = 1`"),
        ("schema = 2\npast_due_grace = \"7d\"\n", 1, "schema", "must be at most 1"),
        ("schem = 1\npast_due_grace = \"7d\"\n", 1, "schem", "unknown key `schem`; did you mean `schema`?"),
        ("schema = \"1\"\npast_due_grace = \"7d\"\n", 1, "schema", "expected a whole number, found a text"),
        ("schema = 1\n", 1, "past_due_grace", "needs a duration"),
        ("schema = 1\npast_due_grace = 7\n", 2, "past_due_grace", "expected a text, found an integer"),
        ("schema = 1\npast_due_grace = \"7w\"\n", 2, "past_due_grace", "unit s, m, h or d"),
        ("schema = 1\npast_due_grace = \"-7d\"\n", 2, "past_due_grace", "must be a whole number"),
        ("schema = 1\npast_due_grace = \"d\"\n", 2, "past_due_grace", "must be a whole number"),
        ("schema = 1\npast_due_grace = \"7é\"\n", 2, "past_due_grace", "must be a whole number"),
        (
            "schema = 1\npast_due_grace = \"99999999999999999999d\"\n",
            2,
            "past_due_grace",
            "must be at most 3650d",
        ),
        (
            "schema = 1\npast_due_grace = \"7d\"\nplan = 1\n",
            3,
            "plan",
            "unknown key `plan`; did you mean `plans`?",
        ),
        (
            "schema = 1\npast_due_grace = \"7d\"\ndefault_plan = \"free\"\n",
            3,
            "default_plan",
            "unknown plan `free`",
        ),
        (
            "schema = 1\npast_due_grace = \"7d\"\ndefault_plan = true\n",
            3,
            "default_plan",
            "expected a text, found a boolean",
        ),
    ] {
        check_one(&format!("{text}{features}"), line, place, message);
    }
}

#[test]
fn a_catalog_without_features_is_refused() {
    let head = "schema = 1\npast_due_grace = \"7d\"\n";
    check_one(head, 1, "features", "there are no features");
    check_one(&format!("{head}[features]"), 3, "features", "there are no features");
    check_one(&format!("{head}features = 3"), 3, "features", "expected a table, found an integer");
    check_one(&format!("{head}[plans.p.grants]\nx = true"), 1, "features", "there are no features");
}

#[test]
fn broken_features_are_reported() {
    check(&[
        ("x = 1", 10, "features.x", "expected a table, found an integer"),
        ("x = {}", 10, "features.x", "needs `type`"),
        ("x = { type = \"metre\" }", 10, "features.x.type", "unknown type `metre`; did you mean `meter`?"),
        ("x = { type = \"counter\" }", 10, "features.x.type", "expected `flag`, `meter`, `gauge` or `value`"),
        (
            "x = { type = 1 }",
            10,
            "features.x.type",
            "expected `flag`, `meter`, `gauge` or `value`, found an integer",
        ),
        (
            "x = { type = \"flag\", nme = \"X\" }",
            10,
            "features.x.nme",
            "unknown key `nme`; did you mean `name`?",
        ),
        ("x = { type = \"flag\", name = 1 }", 10, "features.x.name", "expected a text"),
        ("x = { type = \"flag\", unit = \"u\" }", 10, "features.x.unit", "a flag has no such option"),
        (
            "x = { type = \"gauge\", pool = \"pool\" }",
            10,
            "features.x.pool",
            "a gauge has no such option; meters",
        ),
        (
            "x = { type = \"meter\", default = 1 }",
            10,
            "features.x.default",
            "a meter has no such option; values",
        ),
        ("x = { type = \"meter\", on_plan_change = \"rest\" }", 10, "features.x.on_plan_change", "`reset`?"),
        (
            "x = { type = \"meter\", pool = \"pol\" }",
            10,
            "features.x.pool",
            "unknown feature `pol`; did you mean `pool`?",
        ),
        (
            "x = { type = \"meter\", pool = \"gauge\" }",
            10,
            "features.x.pool",
            "`gauge` is a gauge; a pool must be a meter",
        ),
        (
            "x = { type = \"meter\", pool = \"part\" }",
            10,
            "features.x.pool",
            "`part` is itself a member of a pool",
        ),
        ("x = { type = \"meter\", pool = \"x\" }", 10, "features.x.pool", "a meter cannot be its own pool"),
        ("x = { type = \"gauge\", counts = \"holder\" }", 10, "features.x.counts", "did you mean `holders`?"),
        ("x = { type = \"gauge\", limit_from = \"plan\" }", 10, "features.x.limit_from", "expected `seats`"),
        ("x = { type = \"value\" }", 10, "features.x", "needs `default`"),
        ("x = { type = \"value\", default = nan }", 10, "features.x.default", "must be a finite number"),
        (
            "x = { type = \"value\", default = [1] }",
            10,
            "features.x.default",
            "expected a boolean, a number or a text, found a list",
        ),
        ("x = { type = \"value\", default = 1979-05-27 }", 10, "features.x.default", "found a date or time"),
        (
            "x = { type = \"value\", default = 9223372036854775808 }",
            10,
            "features.x.default",
            "must be between",
        ),
        ("\"\" = { type = \"flag\" }", 10, "features.\"\"", "the name must not be empty"),
        (
            "\"a\\nb\" = { type = \"flag\" }",
            10,
            "features.\"a\\nb\"",
            "the name must not contain control characters",
        ),
    ]);
}

#[test]
fn broken_plans_are_reported() {
    check(&[
        ("[plans]\np = 1", 11, "plans.p", "expected a table"),
        ("[plans.p]\nprice = 3", 11, "plans.p.price", "unknown key `price`"),
        ("[plans.p]\ntrial = 14", 11, "plans.p.trial", "expected a table"),
        ("[plans.p]\ntrial = {}", 11, "plans.p.trial", "needs `days`"),
        ("[plans.p]\ntrial = { days = 31 }", 11, "plans.p.trial.days", "must be at most 30"),
        ("[plans.p]\ntrial = { days = -1 }", 11, "plans.p.trial.days", "must not be negative"),
        (
            "[plans.prod]\n[plans.p]\nextends = \"prd\"",
            12,
            "plans.p.extends",
            "unknown plan `prd`; did you mean `prod`?",
        ),
        ("[plans.p]\nextends = \"p\"", 11, "plans.p.extends", "extends loops through p -> p"),
        (
            "[plans.a]\nextends = \"c\"\n[plans.b]\nextends = \"a\"\n[plans.c]\nextends = \"b\"\n[plans.d]\nextends = \"b\"",
            11,
            "plans.a.extends",
            "extends loops through a -> c -> b -> a",
        ),
        ("[plans.p]\ngrants = []", 11, "plans.p.grants", "expected a table, found a list"),
        (
            "[plans.p.grants]\nmetr = 1",
            11,
            "plans.p.grants.metr",
            "unknown feature `metr`; did you mean `meter`?",
        ),
        ("[plans.p.grants]\npart = \"unlimited\"", 11, "plans.p.grants.part", "shares the quota of `pool`"),
        ("[plans.p]\nstripe = { price = [] }", 11, "plans.p.stripe.price", "did you mean `prices`?"),
        ("[plans.p]\nstripe = { prices = \"x\" }", 11, "plans.p.stripe.prices", "expected a list"),
        ("[plans.p]\nstripe = { prices = [\"${X\"] }", 11, "plans.p.stripe.prices[0]", "`${` without `}`"),
        (
            "[plans.p]\nstripe = { prices = [\"a\", \"${a b}\"] }",
            11,
            "plans.p.stripe.prices[1]",
            "name of a variable",
        ),
        ("[plans.p]\nstripe = { prices = [\"\"] }", 11, "plans.p.stripe.prices[0]", "must not be empty"),
        (
            "[plans.p]\nstripe = { prices = [\"x\"] }\n[addons.q]\nstripe = { prices = [\"x\"] }",
            13,
            "addons.q.stripe.prices[0]",
            "is already listed at plans.p.stripe.prices[0]",
        ),
        ("[plans.\"\"]", 10, "plans.\"\"", "the name must not be empty"),
    ]);
}

#[test]
fn broken_entries_are_reported() {
    for (entry, place, message) in [
        ("flag = 1", "flag", "expected `true`, `false` or `{ actions = […] }` for a flag, found an integer"),
        ("flag = {}", "flag", "needs `actions`"),
        ("flag = { actions = [] }", "flag.actions", "must name at least one action"),
        ("flag = { actions = [\"veiw\"] }", "flag.actions[0]", "unknown action `veiw`; did you mean `view`?"),
        ("flag = { actions = [\"view\", \"view\"] }", "flag.actions[1]", "`view` is named twice"),
        ("flag = { actions = \"view\" }", "flag.actions", "expected a list, found a text"),
        ("flag = { actions = [\"view\"], limit = 1 }", "flag.limit", "unknown key `limit`"),
        ("meter = 5", "meter", "a number alone does not say per which period"),
        ("meter = true", "meter", "found a boolean"),
        ("meter = \"unlimted\"", "meter", "unknown limit `unlimted`; did you mean `unlimited`?"),
        ("meter = { limit = 5 }", "meter", "needs `every`: one of hour, day, week, month, year, lifetime"),
        ("meter = { every = \"day\" }", "meter", "needs `limit`"),
        ("meter = { limt = 1, every = \"day\" }", "meter.limt", "did you mean `limit`?"),
        ("meter = { limit = -1, every = \"day\" }", "meter.limit", "must not be negative"),
        ("meter = { limit = 1.5, every = \"day\" }", "meter.limit", "must be a whole number"),
        (
            "meter = { limit = true, every = \"day\" }",
            "meter.limit",
            "expected a whole number, found a boolean",
        ),
        (
            "meter = { limit = 9223372036854775808, every = \"day\" }",
            "meter.limit",
            "must be at most 9223372036854775807",
        ),
        (
            "meter = { limit = 99999999999999999999999999999999999999999, every = \"day\" }",
            "meter.limit",
            "must be at most",
        ),
        (
            "meter = { limit = 1, every = \"moth\" }",
            "meter.every",
            "unknown period `moth`; did you mean `month`?",
        ),
        ("meter = { limit = 1, every = \"minute\" }", "meter.every", "expected `hour`, `day`"),
        (
            "meter = { limit = 1, every = \"day\", anchor = \"calender\" }",
            "meter.anchor",
            "did you mean `calendar`?",
        ),
        (
            "meter = { limit = 1, every = \"lifetime\", anchor = \"calendar\" }",
            "meter.anchor",
            "a lifetime has no anchor",
        ),
        ("meter = { limit = 1, every = \"day\", over = \"alow\" }", "meter.over", "did you mean `allow`?"),
        ("meter = { limit = 1, every = \"day\", rollover = -1 }", "meter.rollover", "must not be negative"),
        ("meter = { limit = 1, every = \"lifetime\", rollover = 1 }", "meter.rollover", "no next period"),
        ("meter = { limit = 1, every = \"day\", alerts = [0] }", "meter.alerts[0]", "must be at least 1"),
        (
            "meter = { limit = 1, every = \"day\", alerts = [1001] }",
            "meter.alerts[0]",
            "must be at most 1000",
        ),
        ("meter = { limit = 1, every = \"day\", alerts = [80, 70] }", "meter.alerts[1]", "must ascend"),
        ("meter = { limit = 1, every = \"day\", alerts = [80, 80] }", "meter.alerts[1]", "must ascend"),
        ("meter = []", "meter", "must hold at least one quota"),
        ("meter = [5]", "meter[0]", "expected a table"),
        (
            "meter = [{ limit = 1, every = \"day\" }, { limit = 2, every = \"day\" }]",
            "meter[1]",
            "there is already a quota per day",
        ),
        (
            "meter = [{ limit = 1, every = \"day\" }, { limit = 2, every = \"month\", actions = [\"view\"] }]",
            "meter[1].actions",
            "name them in the first",
        ),
        ("gauge = -1", "gauge", "must not be negative"),
        ("gauge = true", "gauge", "for a gauge, found a boolean"),
        ("gauge = { limit = 1, every = \"day\" }", "gauge.every", "unknown key `every`"),
        ("gauge = {}", "gauge", "needs `limit`"),
        ("size = \"10\"", "size", "expected an integer like the default, found a text"),
        ("size = 1.5", "size", "expected an integer like the default, found a float"),
        ("size = { value = 1 }", "size", "expected a boolean, a number or a text, found a table"),
    ] {
        check_one(
            &format!("{HEAD}[plans.p.grants]\n{entry}"),
            11,
            &format!("plans.p.grants.{place}"),
            message,
        );
    }
}

#[test]
fn broken_addons_are_reported() {
    for (entry, place, message) in [
        ("flag = false", "flag", "an add-on has nothing to remove"),
        ("size = 5", "size", "an add-on cannot give a value"),
        ("meter = 5", "meter", "expected `{ add = … }`, found an integer"),
        ("meter = { add = 1, limit = 5 }", "meter.limit", "unknown key `limit`"),
        ("meter = { ad = 1 }", "meter.ad", "did you mean `add`?"),
        ("meter = { add = 0 }", "meter.add", "must be at least 1"),
        ("meter = { add = 1, every = \"weak\" }", "meter.every", "did you mean `week`?"),
        ("gauge = { add = 1, every = \"day\" }", "gauge.every", "unknown key `every`"),
        ("gauge = {}", "gauge", "needs `add`"),
        ("part = { add = 1 }", "part", "shares the quota of `pool`"),
        ("gage = { add = 1 }", "gage", "did you mean `gauge`?"),
    ] {
        check_one(
            &format!("{HEAD}[addons.a.grants]\n{entry}"),
            11,
            &format!("addons.a.grants.{place}"),
            message,
        );
    }
    check(&[("[addons.a]\ntrial = { days = 1 }", 11, "addons.a.trial", "unknown key `trial`")]);
}

#[test]
fn broken_routes_are_reported() {
    check(&[
        ("[routing]", 10, "routing", "needs `unmatched`"),
        ("[routing]\nunmatched = \"alow\"", 11, "routing.unmatched", "did you mean `allow`?"),
        ("[routing]\nunmatched = \"deny\"\nmode = 1", 12, "routing.mode", "unknown key `mode`"),
        ("[[routes]]\nmatch = \"/x\"\nrequire = \"flag\"", 10, "routing", "needs `unmatched`"),
    ]);
    for (route, line, place, message) in [
        ("require = \"flag\"", 12, "", "needs `match`"),
        ("match = \"/x\"", 12, "", "needs `require`, `consume` or both"),
        ("match = \"x\"\nrequire = \"flag\"", 13, ".match", "must be a path that begins with `/`"),
        ("match = \"POST\"\nrequire = \"flag\"", 13, ".match", "must be a path that begins with `/`"),
        (
            "match = \"post /x\"\nrequire = \"flag\"",
            13,
            ".match",
            "unknown method `post`; did you mean `POST`?",
        ),
        ("match = \"FETCH /x\"\nrequire = \"flag\"", 13, ".match", "unknown method `FETCH`"),
        ("match = \"GET  /x\"\nrequire = \"flag\"", 13, ".match", "must be a path that begins with `/`"),
        ("match = \"GET /x?y=1\"\nrequire = \"flag\"", 13, ".match", "no query"),
        ("match = \"/x/{id\"\nrequire = \"flag\"", 13, ".match", "`{` without `}`"),
        ("match = \"/{*rest}/x\"\nrequire = \"flag\"", 13, ".match", "must be the end of the path"),
        ("match = \"/x\"\nrequire = \"flg\"", 14, ".require", "unknown feature `flg`; did you mean `flag`?"),
        ("match = \"/x\"\nrequire = {}", 14, ".require", "needs `feature`"),
        (
            "match = \"/x\"\nrequire = { feature = \"flag\", action = \"see\" }",
            14,
            ".require.action",
            "unknown action `see`",
        ),
        ("match = \"/x\"\nconsume = \"flag\"", 14, ".consume", "`flag` is a flag; only meters are consumed"),
        ("match = \"/x\"\nconsume = { feature = \"gauge\" }", 14, ".consume.feature", "`gauge` is a gauge"),
        (
            "match = \"/x\"\nconsume = { feature = \"meter\", amount = 0 }",
            14,
            ".consume.amount",
            "must be at least 1",
        ),
        (
            "match = \"/x\"\nconsume = { feature = \"meter\", charge = \"sucess\" }",
            14,
            ".consume.charge",
            "did you mean `success`?",
        ),
        ("match = \"/x\"\nrequire = \"flag\"\nonly = 1", 15, ".only", "unknown key `only`"),
        (
            "match = \"GET /x/{a}\"\nrequire = \"flag\"\n[[routes]]\nmatch = \"GET /x/{b}\"\nrequire = \"flag\"",
            16,
            "+.match",
            "matches the same requests as routes[0]",
        ),
    ] {
        let place = match place.strip_prefix('+') {
            Some(place) => format!("routes[1]{place}"),
            None => format!("routes[0]{place}"),
        };
        check_one(
            &format!("{HEAD}[routing]\nunmatched = \"deny\"\n[[routes]]\n{route}"),
            line,
            &place,
            message,
        );
    }
}
