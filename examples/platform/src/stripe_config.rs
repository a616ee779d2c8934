//! Stripe's part of the configuration.

use std::fmt;

use billing_stripe::client::ConfigError;
use billing_stripe::signature::SigningSecret;
use billing_stripe::{MeterBook, PriceBook, StripeClient, StripeConfig};
use entitlements_core::id::{FeatureKey, PlanKey};

use crate::environment::Environment;

/// The plans whose prices the environment may name, each with its variable.
const PRICES: [(&str, &str); 3] = [
    ("starter", "STRIPE_PRICE_ID_STARTER"),
    ("pro", "STRIPE_PRICE_ID_PRO"),
    ("enterprise", "STRIPE_PRICE_ID_ENTERPRISE"),
];

/// The longest price id.
const MAX_PRICE: usize = 255;

/// What billing needs to know.
pub(crate) struct StripeSettings {
    /// Stripe itself; `None` is the embedded fake.
    pub(crate) client: Option<StripeClient>,
    /// What webhooks are signed with; empty if nothing was said.
    pub(crate) secrets: Vec<String>,
    /// Prices that win over those of the catalog.
    pub(crate) prices: PriceBook,
    /// The meters whose usage is billed.
    pub(crate) meters: MeterBook,
    /// Where customers come back to from the portal, if that was said.
    pub(crate) app_url: Option<String>,
}

/// Without the secrets.
impl fmt::Debug for StripeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeSettings")
            .field("client", &self.client)
            .field("secrets", &self.secrets.len())
            .field("prices", &self.prices)
            .field("meters", &self.meters)
            .field("app_url", &self.app_url)
            .finish()
    }
}

impl StripeSettings {
    /// Reads the variables; adds a line for each that is wrong.
    pub(crate) fn read(environment: &Environment, lines: &mut Vec<String>) -> Self {
        let mut kept = |name: &str, problem: String| lines.push(format!("{name}: {problem}"));
        let mut app_url = environment.get("APP_URL").filter(|text| !text.is_empty()).map(str::to_owned);
        if let Some(Err(problem)) = app_url.as_deref().map(web_address) {
            kept("APP_URL", problem);
            app_url = None;
        }
        let client = client(environment).unwrap_or_else(|(name, problem)| {
            kept(name, problem);
            None
        });
        let secrets = secrets(environment).unwrap_or_else(|problem| {
            kept("STRIPE_WEBHOOK_SECRET", problem);
            Vec::new()
        });
        let prices = prices(environment).unwrap_or_else(|(name, problem)| {
            kept(name, problem);
            PriceBook::default()
        });
        let meters = meters(environment).unwrap_or_else(|problem| {
            kept("STRIPE_METERS", problem);
            MeterBook::default()
        });
        Self { client, secrets, prices, meters, app_url }
    }

    /// What is accepted and probably not meant.
    pub(crate) fn warnings(&self, environment: &Environment) -> Vec<String> {
        let mut warnings = Vec::new();
        let is_set = |name| environment.get(name).is_some_and(|value| !value.is_empty());
        if self.client.is_some() && self.secrets.is_empty() {
            warnings.push("STRIPE_WEBHOOK_SECRET is not set: every webhook is refused".into());
        }
        if self.client.is_none() && is_set("STRIPE_API_BASE") {
            warnings.push("STRIPE_API_BASE is not used without STRIPE_SECRET_KEY".into());
        }
        warnings
    }
}

/// Whether a text can be the address of a page.
pub(crate) fn web_address(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match host {
        Some(host) if !host.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Ok(())
        }
        _ => Err("must be an address that begins with http:// or https://".into()),
    }
}

fn client(environment: &Environment) -> Result<Option<StripeClient>, (&'static str, String)> {
    let get = |name| environment.get(name).filter(|text| !text.is_empty());
    let base = get("STRIPE_API_BASE");
    if let Some(base) = base {
        web_address(base).map_err(|problem| ("STRIPE_API_BASE", problem))?;
    }
    let Some(key) = get("STRIPE_SECRET_KEY") else { return Ok(None) };
    let config = StripeConfig::new(key);
    let config = base.into_iter().fold(config, StripeConfig::base_url);
    StripeClient::new(&config).map(Some).map_err(|error| {
        let name = match error {
            ConfigError::BaseUrl | ConfigError::Insecure => "STRIPE_API_BASE",
            _ => "STRIPE_SECRET_KEY",
        };
        (name, error.to_string())
    })
}

fn secrets(environment: &Environment) -> Result<Vec<String>, String> {
    let Some(text) = environment.get("STRIPE_WEBHOOK_SECRET").filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let secrets: Vec<_> = text.split(',').map(|secret| secret.trim().to_owned()).collect();
    if secrets.iter().any(|secret| SigningSecret::new(secret.clone()).is_err()) {
        return Err("must hold a secret, or several between commas; one of them is empty".into());
    }
    Ok(secrets)
}

fn prices(environment: &Environment) -> Result<PriceBook, (&'static str, String)> {
    let mut prices = Vec::new();
    for (plan, name) in PRICES {
        let Some(id) = environment.get(name).filter(|text| !text.is_empty()) else { continue };
        let wrong = |problem: &str| (name, problem.to_owned());
        if id.len() > MAX_PRICE || id.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("is not the id of a price"));
        }
        let plan = PlanKey::new(plan).map_err(|error| (name, error.to_string()))?;
        prices.push((plan, id.to_owned()));
        PriceBook::new(prices.iter().cloned()).map_err(|error| wrong(&error.to_string()))?;
    }
    PriceBook::new(prices).map_err(|error| ("STRIPE_PRICE_ID_STARTER", error.to_string()))
}

/// Meters between commas, each as it is named in the catalog, and with `=` how its events are named at Stripe if otherwise.
fn meters(environment: &Environment) -> Result<MeterBook, String> {
    let text = environment.get("STRIPE_METERS").unwrap_or_default();
    let named = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| {
        let (meter, event_name) = part.split_once('=').unwrap_or((part, part));
        let meter = FeatureKey::new(meter.trim()).map_err(|error| format!("a meter {error}"))?;
        Ok((meter, event_name.trim().to_owned()))
    });
    let named = named.collect::<Result<Vec<_>, String>>()?;
    MeterBook::new(named).map_err(|error| error.to_string())
}
