//! Catalogs that the tests share.

use entitlements_core::Catalog;
use entitlements_core::catalog::{Entry, EntryKind, Problem, Quota};

/// One of everything.
pub(crate) const EXAMPLE: &str = r#"
schema = 1
default_plan = "free"
past_due_grace = "7d"

[features]
report_builder = { type = "flag", name = "Report builder" }
reports        = { type = "meter", unit = "report", on_plan_change = "carry" }
seats          = { type = "gauge" }
max_upload_mb  = { type = "value", default = 10 }

[plans.free]

[plans.starter]
name   = "Starter"
stripe = { lookup_keys = ["starter_monthly"], prices = ["${PRICE_STARTER}"] }
trial  = { days = 14 }
[plans.starter.grants]
report_builder = { actions = ["view", "create"] }
reports = { limit = 10, every = "month", anchor = "subscription", over = "block", rollover = 0, alerts = [80, 100] }
seats   = 5

[plans.pro]
extends = "starter"
[plans.pro.grants]
reports = { limit = 100, every = "month" }
seats   = 25
max_upload_mb = 100

[plans.enterprise.grants]
reports = "unlimited"

[addons.report_pack.grants]
reports = { add = 50 }

[routing]
unmatched = "allow"

[[routes]]
match   = "POST /v1/reports/generate"
require = "report_builder"
consume = "reports"

[[routes]]
match   = "/v1/reports/{id}"
require = { feature = "report_builder", action = "view" }

[[routes]]
match   = "/v1/files/{*path}"
consume = { feature = "reports", amount = 2, charge = "success" }
"#;

/// The catalog of a whole platform: three plans that include each other, pooled tokens, gauges by holders and by level.
pub(crate) const PLATFORM: &str = r#"
schema = 1
past_due_grace = "7d"

[features]
report_builder   = { type = "flag" }
export_pdf       = { type = "flag" }
api_access       = { type = "flag" }
boardroom_live   = { type = "flag" }
forecast         = { type = "flag" }
sso              = { type = "flag" }
reports_generated = { type = "meter", unit = "report" }
nlq_queries      = { type = "meter", unit = "query" }
ai_tokens        = { type = "meter", unit = "token" }
ai_tokens_input  = { type = "meter", unit = "token", pool = "ai_tokens" }
ai_tokens_output = { type = "meter", unit = "token", pool = "ai_tokens" }
active_seats     = { type = "gauge", counts = "holders", limit_from = "seats" }
storage_gb       = { type = "gauge", counts = "level", unit = "GB" }

[plans.starter]
stripe = { prices = ["${STRIPE_PRICE_ID_STARTER}"] }
[plans.starter.grants]
report_builder = true
export_pdf = true
api_access = true
reports_generated = { limit = 10, every = "month" }
ai_tokens = { limit = 100_000, every = "month" }
active_seats = 5
storage_gb = 10

[plans.pro]
extends = "starter"
stripe = { prices = ["${STRIPE_PRICE_ID_PRO}"] }
[plans.pro.grants]
boardroom_live = true
forecast = true
reports_generated = { limit = 100, every = "month" }
nlq_queries = "unlimited"
ai_tokens = { limit = 1_000_000, every = "month" }
active_seats = 25
storage_gb = 100

[plans.enterprise]
extends = "pro"
[plans.enterprise.grants]
sso = true
reports_generated = "unlimited"
ai_tokens = "unlimited"
active_seats = "unlimited"
storage_gb = "unlimited"

[routing]
unmatched = "allow"
[[routes]]
match = "POST /v1/gen-ai"
require = "forecast"
consume = { feature = "ai_tokens_input", amount = 1000, charge = "actual" }
"#;

/// Nine lines that declare a feature of every kind; what a test adds begins on line 10.
pub(crate) const HEAD: &str = r#"schema = 1
past_due_grace = "7d"
[features]
flag  = { type = "flag" }
meter = { type = "meter" }
gauge = { type = "gauge" }
size  = { type = "value", default = 10 }
pool  = { type = "meter" }
part  = { type = "meter", pool = "pool" }
"#;

/// The catalog of [`HEAD`] and `rest`.
pub(crate) fn catalog(rest: &str) -> Catalog {
    Catalog::parse("catalog.toml", &format!("{HEAD}{rest}")).unwrap()
}

/// What is wrong with `text`.
pub(crate) fn problems(text: &str) -> Vec<Problem> {
    Catalog::parse("catalog.toml", text).map(|catalog| catalog.hash()).unwrap_err().problems().to_vec()
}

/// What a plan gives of a feature.
pub(crate) fn entry<'c>(catalog: &'c Catalog, plan: &str, feature: &str) -> Option<&'c Entry> {
    catalog.plan(plan).unwrap().entry(catalog.feature(feature).unwrap().index())
}

/// The quotas that a plan gives of a meter.
pub(crate) fn quotas<'c>(catalog: &'c Catalog, plan: &str, meter: &str) -> &'c [Quota] {
    match &entry(catalog, plan, meter).unwrap().kind {
        EntryKind::Meter(quotas) => quotas,
        other => panic!("{other:?}"),
    }
}
