//! The environment: the variables that were set when the platform started.

use std::collections::BTreeMap;

use crate::start_error::StartError;

/// The variables that the platform was started with. Read once, so that tests need not change those of the process.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process.
    ///
    /// # Errors
    ///
    /// When a variable of the platform holds other than UTF-8.
    pub fn of_process() -> Result<Self, StartError> {
        let mut variables = BTreeMap::new();
        let mut lines = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    variables.insert(name, value);
                }
                Err(_) if is_ours(&name) => lines.push(format!("{name}: must be UTF-8")),
                Err(_) => {}
            }
        }
        if lines.is_empty() { Ok(Self(variables)) } else { Err(StartError::all(lines)) }
    }

    /// The value of a variable; `None` if it is not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn is_ours(name: &str) -> bool {
    const OURS: [&str; 9] = [
        "BIND_ADDR",
        "DATABASE_URL",
        "REDIS_URL",
        "JWT_SECRET",
        "PLATFORM_DEV",
        "CATALOG_PATH",
        "ENTITLEMENT_FAIL_MODE",
        "ENTITLEMENT_DEADLINE_MS",
        "APP_URL",
    ];
    OURS.contains(&name) || name.starts_with("STRIPE_")
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Names only: values may be secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
