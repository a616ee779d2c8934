//! The catalog: read at the start, and again when the file changes.

use std::borrow::Cow;
use std::path::PathBuf;

use entitlements_core::Catalog;

use crate::environment::Environment;
use crate::own_routes;
use crate::start_error::StartError;

/// The catalog that the platform ships with.
const BUILT_IN: &str = include_str!("../catalog.toml");

/// Where the catalog comes from.
#[derive(Clone, Debug)]
pub(crate) struct CatalogSource {
    /// `None`: the built-in one.
    path: Option<PathBuf>,
    environment: Environment,
}

impl CatalogSource {
    pub(crate) const fn new(path: Option<PathBuf>, environment: Environment) -> Self {
        Self { path, environment }
    }

    /// What errors and people call it.
    pub(crate) fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "the built-in catalog".into(), |path| path.display().to_string())
    }

    /// Whether it can change.
    pub(crate) const fn is_file(&self) -> bool {
        self.path.is_some()
    }

    pub(crate) fn read(&self) -> Result<Cow<'static, str>, StartError> {
        let Some(path) = &self.path else { return Ok(BUILT_IN.into()) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            StartError::one(format!("CATALOG_PATH: cannot read `{}`: {error}", path.display()))
        })?;
        Ok(text.into())
    }

    /// The catalog of a text.
    ///
    /// # Errors
    ///
    /// Every problem, one a line.
    pub(crate) fn parse(&self, text: &str) -> Result<Catalog, StartError> {
        let file = self.name();
        let variable = |name: &str| self.environment.get(name).map(Into::into);
        let catalog = Catalog::parse_with_env(&file, text, &variable)
            .map_err(|error| StartError::all(error.to_string().lines()))?;
        let missing = own_routes::missing_names(&catalog);
        if !missing.is_empty() {
            let at = place(text);
            return Err(StartError::all(missing.iter().map(|line| format!("{file}:{at}: {line}"))));
        }
        Ok(catalog)
    }
}

/// The place of the `[features]` section, where a missing name would be added: `line:column`.
fn place(text: &str) -> String {
    let line =
        text.lines().position(|line| line.trim_start().starts_with("[features]")).map_or(1, |at| at + 1);
    format!("{line}:1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in(variables: &[(&str, &str)]) -> Catalog {
        let source = CatalogSource::new(None, variables.iter().copied().collect());
        source.parse(&source.read().unwrap()).unwrap()
    }

    #[test]
    fn prices_come_from_the_environment() {
        let catalog = built_in(&[("STRIPE_PRICE_ID_PRO", "price_7")]);
        assert_eq!(catalog.plan("pro").unwrap().stripe().prices, ["price_7"]);
        assert_eq!(catalog.plan("starter").unwrap().stripe().prices, [] as [&str; 0]);
    }

    #[test]
    fn every_problem_has_its_line_and_place() {
        let source = CatalogSource::new(None, Environment::default());
        let text = BUILT_IN
            .replace("forecast          = true", "forcast = true")
            .replace("every = \"month\"", "every = \"moon\"");
        let error = source.parse(&text).unwrap_err();
        assert!(error.lines().len() >= 5, "{error}");
        assert!(error.lines().iter().all(|line| line.starts_with("the built-in catalog:")), "{error}");
        assert!(error.to_string().contains("did you mean `forecast`?"), "{error}");
    }

    #[test]
    fn a_catalog_without_a_name_that_the_routes_use_is_refused() {
        let source = CatalogSource::new(None, Environment::default());
        let text = "schema = 1\npast_due_grace = \"7d\"\n[features]\nexport = { type = \"flag\" }";
        let error = source.parse(text).unwrap_err();
        assert!(
            error.lines().contains(
                &"the built-in catalog:3:1: features: `nlq` is missing; the platform's own routes use it"
                    .into()
            ),
            "{error}"
        );
    }
}
