//! `/overrides`: what a company has of a feature instead of what its plan gives. For administrators only.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use entitlements_core::catalog::Entry;
use entitlements_core::facts::Override;
use entitlements_core::id::{CompanyId, FeatureKey};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::Admin;
use crate::problem::Rejection;
use crate::query::Parameters;
use crate::read;
use crate::written::{self, Written};

/// Sets an override: 204. The value is one that a plan of the catalog could give.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    _: Admin,
    body: JsonObject,
) -> Result<(Written, StatusCode), Rejection> {
    let mut fields = body.fields(&["companyId", "feature", "value"])?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let key: FeatureKey = fields.required("feature", read::parsed)?;
    let value = fields.required("value", read::any)?;
    let catalog = app.entitlements.catalog();
    let Some(feature) = catalog.feature(key.as_str()) else {
        return Err(Rejection::invalid("feature", format_args!("unknown feature `{key}`")));
    };
    Entry::from_json(feature, &value).map_err(|error| {
        let problems = error.problems().iter();
        Rejection::invalid_fields(problems.map(|problem| ("value".to_owned(), problem.clone())))
    })?;
    let revision = app.entitlements.put_override(&company, &Override { feature: key, value }).await?;
    Ok((written::at(revision), StatusCode::NO_CONTENT))
}

/// Takes an override away: 204, and 404 if there is none.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    _: Admin,
    parameters: Parameters,
) -> Result<(Written, StatusCode), Rejection> {
    let mut fields = parameters.fields(&["companyId", "feature"])?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let feature: FeatureKey = fields.required("feature", read::parsed)?;
    match app.entitlements.remove_override(&company, &feature).await? {
        Some(revision) => Ok((written::at(revision), StatusCode::NO_CONTENT)),
        None => Err(Rejection::not_found("there is no such override")),
    }
}
