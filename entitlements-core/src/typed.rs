//! Typed features: names and kinds that the compiler checks.
//!
//! [`features!`](crate::features) makes each feature a unit type that is also a value. Its kind is in the type, so that
//! consuming a flag does not compile, and [`Catalog::verify`] finds at start-up what the catalog and the code disagree on.
//!
//! ```
//! use entitlements_core::id::CompanyId;
//! use entitlements_core::{Action, Amount, Catalog, Consume, Request, Subject};
//!
//! entitlements_core::features! {
//!     /// Take the data out.
//!     Export: Flag = "export";
//!     /// Reports made.
//!     Reports: Meter = "reports";
//! }
//!
//! let catalog: Catalog = r#"
//!     schema = 1
//!     past_due_grace = "7d"
//!     [features]
//!     export = { type = "flag" }
//!     reports = { type = "meter" }
//! "#.parse()?;
//! catalog.verify(ALL)?;
//!
//! let acme = Subject::company(CompanyId::new("acme")?);
//! let request = Request::of(&acme, Export, Action::Export);
//! let consume = Consume::of(&acme, Reports, Amount::ONE);
//! assert_eq!((request.feature, consume.meter), ("export", "reports"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A flag is not consumed:
//!
//! ```compile_fail
//! use entitlements_core::{Amount, Consume, Subject, id::CompanyId};
//!
//! entitlements_core::features! { Export: Flag = "export"; }
//!
//! let acme = Subject::company(CompanyId::new("acme").unwrap());
//! let _ = Consume::of(&acme, Export, Amount::ONE); // `Export` is not a meter
//! ```

use std::fmt;

use crate::catalog::{Catalog, FeatureKind};
use crate::{Action, Amount, Consume, Request, Subject};

/// A feature as a type, made by [`features!`](crate::features).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a feature",
    note = "declare it with `entitlements_core::features! {{ {Self}: Flag = \"…\"; }}`"
)]
pub trait TypedFeature: Copy {
    /// The feature's name in the catalog.
    const KEY: &'static str;
    /// The feature's kind.
    const KIND: FeatureKind;
}

/// A feature that is had or not had.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a flag", label = "a flag is expected here")]
pub trait Flag: TypedFeature {}

/// A feature that is counted, and so can be consumed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a meter",
    label = "only meters are consumed",
    note = "a flag or value is checked with `Request::of`, a gauge is held by holders"
)]
pub trait Meter: TypedFeature {}

/// A feature that is held at one time.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a gauge", label = "a gauge is expected here")]
pub trait Gauge: TypedFeature {}

/// A number or text that differs from plan to plan.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a value", label = "a value is expected here")]
pub trait Value: TypedFeature {}

/// Makes each named feature a unit type, and `ALL` the list of them for [`Catalog::verify`].
///
/// See the [module](crate::typed) for an example. A kind is one of `Flag`, `Meter`, `Gauge` and `Value`.
#[macro_export]
macro_rules! features {
    ($($(#[$doc:meta])* $name:ident: $kind:ident = $key:literal);+ $(;)?) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            pub struct $name;

            impl $crate::typed::TypedFeature for $name {
                const KEY: &'static str = $key;
                const KIND: $crate::catalog::FeatureKind = $crate::catalog::FeatureKind::$kind;
            }

            impl $crate::typed::$kind for $name {}
        )+

        /// Every feature declared here: its name and kind.
        pub const ALL: &[(&str, $crate::catalog::FeatureKind)] = &[
            $((
                <$name as $crate::typed::TypedFeature>::KEY,
                <$name as $crate::typed::TypedFeature>::KIND,
            )),+
        ];
    };
}

impl<'a> Request<'a> {
    /// A request for one unit of a typed feature, without resource and context.
    #[must_use]
    pub fn of<F: TypedFeature>(subject: &'a Subject, _: F, action: Action) -> Self {
        Self::new(subject, F::KEY, action)
    }
}

impl<'a> Consume<'a> {
    /// Units of a typed meter, by an operation that is not retried.
    #[must_use]
    pub fn of<M: Meter>(subject: &'a Subject, _: M, amount: Amount) -> Self {
        Self::new(subject, M::KEY, amount)
    }
}

/// What the code and the catalog disagree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    problems: Vec<String>,
}

impl VerifyError {
    /// Every disagreement, one sentence each; never empty.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

impl std::error::Error for VerifyError {}

impl Catalog {
    /// Checks that the catalog has every feature the code names, of the kind the code expects.
    ///
    /// # Errors
    ///
    /// Names every feature that is missing or of another kind.
    pub fn verify(&self, features: &[(&str, FeatureKind)]) -> Result<(), VerifyError> {
        let problems: Vec<_> = features
            .iter()
            .filter_map(|(key, kind)| match self.feature(key) {
                None => Some(format!("the catalog has no feature `{key}`, which the code names")),
                Some(feature) if feature.kind() != *kind => Some(format!(
                    "feature `{key}` is a {} in the catalog and a {kind} in the code",
                    feature.kind()
                )),
                Some(_) => None,
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(VerifyError { problems }) }
    }
}

#[cfg(test)]
mod tests {
    use super::Catalog;
    use declared::ALL;

    #[expect(unreachable_pub, reason = "declared features are public, and a test module is not")]
    mod declared {
        crate::features! {
            Export: Flag = "export";
            Reports: Meter = "reports";
            Seats: Gauge = "seats";
            UploadMb: Value = "upload_mb";
        }
    }

    #[test]
    fn a_catalog_with_every_feature_of_the_right_kind_is_verified() {
        let catalog: Catalog = r#"
            schema = 1
            past_due_grace = "7d"
            [features]
            export = { type = "flag" }
            reports = { type = "meter" }
            seats = { type = "gauge" }
            upload_mb = { type = "value", default = 1 }
        "#
        .parse()
        .unwrap();
        assert_eq!(catalog.verify(ALL), Ok(()));
    }

    #[test]
    fn every_disagreement_is_named() {
        let catalog: Catalog = r#"
            schema = 1
            past_due_grace = "7d"
            [features]
            export = { type = "meter" }
            reports = { type = "meter" }
        "#
        .parse()
        .unwrap();
        let error = catalog.verify(ALL).unwrap_err();
        assert_eq!(
            error.problems(),
            [
                "feature `export` is a meter in the catalog and a flag in the code",
                "the catalog has no feature `seats`, which the code names",
                "the catalog has no feature `upload_mb`, which the code names",
            ]
        );
    }
}
