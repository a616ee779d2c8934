//! The catalogs that worlds live under.

use std::sync::LazyLock;

use entitlements_core::Catalog;

use crate::dice::Dice;

/// With a default plan, every kind of feature, and every option of a quota.
const RICH: &str = r#"
schema = 1
default_plan = "free"
past_due_grace = "7d"

[features]
export  = { type = "flag" }
sso     = { type = "flag" }
reports = { type = "meter" }
calls   = { type = "meter", on_plan_change = "reset" }
tokens  = { type = "meter" }
minutes = { type = "meter", on_plan_change = "prorate" }
tokens_in  = { type = "meter", pool = "tokens" }
tokens_out = { type = "meter", pool = "tokens" }
seats   = { type = "gauge", limit_from = "seats" }
storage = { type = "gauge", counts = "level" }
size    = { type = "value", default = 10 }
beta    = { type = "value", default = false }

[plans.free.grants]
export  = { actions = ["view"] }
reports = { limit = 3, every = "month", actions = ["view"] }
size    = 1

[plans.starter.grants]
export  = { actions = ["view", "create"] }
reports = { limit = 10, every = "month", rollover = 4 }
calls   = [{ limit = 5, every = "hour" }, { limit = 12, every = "day", anchor = "calendar" }, { limit = 20, every = "month" }]
tokens  = { limit = 12, every = "week", over = "allow" }
minutes = [{ limit = 4, every = "day" }, { limit = 10, every = "month", rollover = 2 }]
seats   = 5
storage = { limit = 9, actions = ["create"] }

[plans.pro]
extends = "starter"
[plans.pro.grants]
export  = true
reports = { limit = 20, every = "year", rollover = 9223372036854775807 }
calls   = [{ limit = "unlimited", every = "day" }, { limit = 20, every = "lifetime" }]
tokens  = { limit = 16, every = "month" }
minutes = { limit = 22, every = "month" }
seats   = "unlimited"
storage = false
beta    = true

[plans.enterprise.grants]
sso     = true
reports = "unlimited"
tokens  = { limit = 9223372036854775807, every = "hour" }
minutes = { limit = 9223372036854775807, every = "year", anchor = "calendar" }
seats   = 9223372036854775807

[addons.pack.grants]
reports = { add = 5 }
seats   = { add = 2 }
[addons.boost.grants]
reports = { add = 9223372036854775807, every = "day" }
tokens  = { add = 3, every = "lifetime" }
storage = { add = 1 }
sso     = { actions = ["view"] }
"#;

static TEXTS: LazyLock<[String; 3]> = LazyLock::new(|| {
    let without_default = RICH.replace("default_plan = \"free\"", "").replace("\"7d\"", "\"0s\"");
    let bare = "schema = 1\npast_due_grace = \"3650d\"\n[features]\nexport = { type = \"flag\" }\n";
    [RICH.into(), without_default, bare.into()]
});

static CATALOGS: LazyLock<[Catalog; 3]> = LazyLock::new(|| [0, 1, 2].map(load));

fn load(index: usize) -> Catalog {
    TEXTS[index].parse().expect("a catalog")
}

pub(crate) fn any(dice: &mut Dice<'_>) -> &'static Catalog {
    match dice.byte() {
        0..150 => &CATALOGS[0],
        150..250 => &CATALOGS[1],
        _ => &CATALOGS[2],
    }
}

/// Another than `catalog`.
pub(crate) fn other(catalog: &Catalog) -> &'static Catalog {
    let other = CATALOGS.iter().find(|other| other.hash() != catalog.hash());
    other.expect("there are several")
}

/// Another of the same meaning.
pub(crate) fn copy(catalog: &Catalog) -> Catalog {
    let index = CATALOGS.iter().position(|known| known.hash() == catalog.hash());
    load(index.expect("one of ours"))
}
