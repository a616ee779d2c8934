//! The console: what people read when the platform starts.

use std::fmt::Write;
use std::net::SocketAddr;

use entitlements_core::id::{CompanyId, UserId};

use crate::app::App;
use crate::caller::{Caller, Role};
use crate::catalog_file::CatalogSource;
use crate::database::Database;
use crate::{demo, development};

/// Where the platform is, how it runs, and, in development mode, commands with ready tokens.
pub(crate) fn greeting(
    app: &App,
    address: SocketAddr,
    database: &Database,
    source: &CatalogSource,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let catalog = app.entitlements.catalog();
    let mut text = String::new();
    writeln!(text, "platform {} on http://{address}", env!("CARGO_PKG_VERSION"))?;
    writeln!(text, "  store    {database}")?;
    let (plans, features) = (catalog.plans().len(), catalog.features().len());
    let hash = catalog.hash().short();
    writeln!(text, "  catalog  {hash}, {}: {plans} plans, {features} features", source.name())?;
    writeln!(text, "  billing  {}", app.billing)?;
    if app.development.is_none() {
        writeln!(text, "  mode     production: tokens are signed with JWT_SECRET")?;
        return Ok(text);
    }
    writeln!(text, "  mode     DEVELOPMENT: whoever is on this machine can make tokens and move the clock")?;
    writeln!(text, "  clock    {}", app.entitlements.now().format("%Y-%m-%dT%H:%M:%SZ"))?;
    let plan = |(company, plan): &(&str, &str)| catalog.plan(plan).map(|_| (*company).to_owned());
    let companies: Vec<_> = demo::COMPANIES.iter().filter_map(plan).collect();
    writeln!(text, "  demo     {}", if companies.is_empty() { "none".into() } else { companies.join(", ") })?;

    let token = |company: &str, role: Role| -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let caller = Caller { company: CompanyId::new(company)?, user: UserId::new("ada")?, role };
        Ok(development::token(app, &caller)?)
    };
    let member = token("starter-co", Role::Member)?;
    let admin = token("starter-co", Role::Admin)?;
    let url = format!("http://{address}");
    writeln!(text, "\nTry it; the tokens are good for a day:\n")?;
    writeln!(text, "# a report, ten a month on this plan")?;
    writeln!(text, "curl -i -X POST {url}/v1/reports/generate -H 'authorization: Bearer {member}'\n")?;
    writeln!(text, "# a feature of another plan: 402, with the plans that have it")?;
    writeln!(text, "curl -i {url}/v1/boardroom -H 'authorization: Bearer {member}'\n")?;
    writeln!(text, "# what is left")?;
    writeln!(text, "curl -s {url}/api/entitlements/usage/starter-co -H 'authorization: Bearer {member}'\n")?;
    writeln!(text, "# a trial, as an administrator grants it")?;
    writeln!(
        text,
        "curl -i {url}/api/entitlements/grants -H 'authorization: Bearer {admin}' \
         -H 'content-type: application/json' \
         -d '{{\"companyId\":\"starter-co\",\"feature\":\"boardroom_live\",\"kind\":\"trial\"}}'\n"
    )?;
    let buyer = Caller { company: CompanyId::new("acme")?, user: UserId::new("bea")?, role: Role::Billing };
    let buyer = development::token(app, &buyer)?;
    writeln!(text, "# a subscription for another company, paid with a test card")?;
    writeln!(
        text,
        "curl -i {url}/api/billing/subscriptions -H 'authorization: Bearer {buyer}' \
         -H 'content-type: application/json' \
         -d '{{\"companyId\":\"acme\",\"plan\":\"pro\",\"seats\":3,\"paymentMethodId\":\"pm_card_visa\"}}'\n"
    )?;
    writeln!(text, "# a token for somebody else, and a month later")?;
    writeln!(
        text,
        "curl -s {url}/dev/tokens -H 'content-type: application/json' -d '{{\"company\":\"pro-co\",\"user\":\"bob\"}}'"
    )?;
    writeln!(
        text,
        "curl -s {url}/dev/clock -H 'content-type: application/json' -d '{{\"advance\":\"31d\"}}'"
    )?;
    Ok(text)
}
