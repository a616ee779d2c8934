//! The loader: from the text of a catalog to a [`Catalog`], or to all of its problems.

mod features;
mod pattern;
mod plans;
mod problems;
mod routes;
mod stripe;

use std::str::FromStr;

use chrono::TimeDelta;
use toml::de::DeTable;

use self::features::Features;
use self::plans::{AddOnDeclaration, Plans};
use self::routes::RoutingDeclaration;
use self::stripe::{Env, StripeReader};
use super::node::Node;
use super::reader::{Fields, Place, Reader};
use super::{Catalog, CatalogError, CatalogHash, Feature, PlanIndex, offered};
use crate::dictionary::Dictionary;

const SECTIONS: [&str; 8] =
    ["schema", "default_plan", "past_due_grace", "features", "plans", "addons", "routing", "routes"];

/// The longest grace, in days.
const MOST_GRACE: u64 = 3650;

impl Catalog {
    /// Loads a catalog from TOML text. `file` is the name that errors give it.
    ///
    /// The environment is taken as empty: see [`Catalog::parse_with_env`] for Stripe prices out of variables.
    ///
    /// # Errors
    ///
    /// Every problem of the text at once, each with line, column, place and, where a name is unknown, the name that was
    /// probably meant. After a syntax error only what stands before it is judged: the rest may have been misread.
    ///
    /// ```
    /// use entitlements_core::Catalog;
    ///
    /// let text = r#"
    /// schema = 1
    /// default_plan = "free"
    /// past_due_grace = "7d"
    ///
    /// [features]
    /// export  = { type = "flag" }
    /// reports = { type = "meter", unit = "report" }
    /// seats   = { type = "gauge" }
    ///
    /// [plans.free.grants]
    /// reports = { limit = 10, every = "month" }
    /// seats   = 1
    ///
    /// [plans.pro]
    /// extends = "free"
    /// trial   = { days = 14 }
    /// [plans.pro.grants]
    /// export  = true
    /// reports = "unlimited"
    /// "#;
    /// let catalog = Catalog::parse("catalog.toml", text)?;
    /// assert_eq!(catalog.default_plan().unwrap().key(), "free");
    /// assert_eq!(catalog.plan("pro").unwrap().trial_days(), Some(14));
    ///
    /// let text = text.replace("reports = \"unlimited\"", "reprots = \"unlimited\"");
    /// let error = Catalog::parse("catalog.toml", &text).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "catalog.toml:20:1: plans.pro.grants.reprots: unknown feature `reprots`; did you mean `reports`?",
    /// );
    /// # Ok::<(), entitlements_core::catalog::CatalogError>(())
    /// ```
    pub fn parse(file: &str, text: &str) -> Result<Self, CatalogError> {
        Self::parse_with_env(file, text, &|_| None)
    }

    /// Loads a catalog from TOML text, with `${NAME}` in Stripe's `lookup_keys` and `prices` replaced by what `env`
    /// answers.
    ///
    /// A key or price that names a variable which is unset or empty is left out, and nothing else: a service without
    /// Stripe runs from the same file.
    ///
    /// # Errors
    ///
    /// Every problem, as [`Catalog::parse`] reports it.
    ///
    /// ```
    /// use entitlements_core::Catalog;
    ///
    /// let text = r#"
    /// schema = 1
    /// past_due_grace = "7d"
    /// [features]
    /// export = { type = "flag" }
    /// [plans.pro]
    /// stripe = { prices = ["${PRICE_PRO}", "${PRICE_PRO_YEARLY}"] }
    /// "#;
    /// let env = |name: &str| (name == "PRICE_PRO").then(|| "price_123".to_owned());
    /// let catalog = Catalog::parse_with_env("catalog.toml", text, &env)?;
    /// assert_eq!(catalog.plan("pro").unwrap().stripe().prices, ["price_123"]);
    /// # Ok::<(), entitlements_core::catalog::CatalogError>(())
    /// ```
    pub fn parse_with_env(
        file: &str,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, CatalogError> {
        let (document, syntax) = DeTable::parse_recoverable(text);
        let mut reader = Reader::default();
        let declarations = Declarations::read(&mut reader, &Node::of_document(&document), env);
        let mut problems = problems::in_order(text, &syntax, reader.found);
        if problems.is_empty() {
            match declarations.and_then(Declarations::build) {
                Some(catalog) => return Ok(catalog),
                None => problems.push(problems::unexplained()),
            }
        }
        Err(CatalogError { file: file.into(), problems })
    }
}

/// Loads the text as a file named `catalog.toml`, with an empty environment.
impl FromStr for Catalog {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self, CatalogError> {
        Self::parse("catalog.toml", text)
    }
}

/// The parts of a catalog as the text declares them; parts that are broken are absent, and reported.
struct Declarations {
    past_due_grace: Option<TimeDelta>,
    features: Features,
    plans: Plans,
    addons: Vec<AddOnDeclaration>,
    /// The inner `None`: there is no default plan.
    default_plan: Option<PlanIndex>,
    routing: RoutingDeclaration,
}

impl Declarations {
    fn read(reader: &mut Reader, document: &Node, env: Env<'_>) -> Option<Self> {
        let root = reader.fields(document, &Place::ROOT, &SECTIONS)?;
        schema(reader, root);
        let past_due_grace = grace(reader, root);
        let features = Features::read(reader, root);
        let mut stripe = StripeReader::new(env);
        let plans = Plans::read(reader, root, &features, &mut stripe);
        let addons = plans::addons(reader, root, &features, &mut stripe);
        let default_plan = root.get("default_plan").and_then(|node| {
            let place = Place::ROOT.key("default_plan");
            let name = reader.text(node, &place)?;
            plans.find(reader, node.at, &place, name)
        });
        let routing = RoutingDeclaration::read(reader, root, &features);
        Some(Self { past_due_grace, features, plans, addons, default_plan, routing })
    }

    fn build(self) -> Option<Catalog> {
        let plans = self.plans.build(self.features.len())?;
        let features = self.features.build()?;
        let addons: Vec<_> = self.addons.into_iter().map(AddOnDeclaration::build).collect();
        let routing = self.routing.build(&features)?;
        let mut catalog = Catalog {
            hash: CatalogHash::none(),
            past_due_grace: self.past_due_grace?,
            default_plan: self.default_plan,
            routing,
            feature_names: Dictionary::of(features.iter().map(Feature::key)),
            offered: offered(&features, &plans, &addons),
            plan_names: plans.iter().map(|plan| (plan.key, plan.index)).collect(),
            addon_names: addons.iter().enumerate().map(|(index, addon)| (addon.key, index)).collect(),
            features,
            plans,
            addons,
        };
        catalog.hash = CatalogHash::of(&catalog);
        Some(catalog)
    }
}

fn schema(reader: &mut Reader, root: Fields<'_>) {
    let place = Place::ROOT.key("schema");
    if let Some(node) = reader.need(0, &place, root, "schema", "needs `schema = 1`") {
        reader.whole(node, &place, 1, 1);
    }
}

fn grace(reader: &mut Reader, root: Fields<'_>) -> Option<TimeDelta> {
    let place = Place::ROOT.key("past_due_grace");
    let message = "needs a duration such as `past_due_grace = \"7d\"`";
    let node = reader.need(0, &place, root, "past_due_grace", message)?;
    let text = reader.text(node, &place)?;
    let seconds = duration(text);
    match seconds {
        None => {
            reader.wrong(node.at, &place, "must be a whole number with a unit s, m, h or d, such as \"7d\"");
        }
        Some(seconds) if seconds > MOST_GRACE * 86_400 => {
            reader.wrong(node.at, &place, format!("must be at most {MOST_GRACE}d"));
        }
        Some(_) => {}
    }
    TimeDelta::try_seconds(i64::try_from(seconds?).ok()?)
}

/// The seconds of `90s`, `15m`, `12h` or `7d`; beyond what fits, the most that does.
fn duration(text: &str) -> Option<u64> {
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let (digits, unit) =
        UNITS.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX).saturating_mul(unit))
}
