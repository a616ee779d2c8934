//! `/api/companies`: erasing a company. For administrators only.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use entitlements_core::Error;
use entitlements_core::id::CompanyId;

use crate::app::App;
use crate::caller::Admin;
use crate::problem::Rejection;
use crate::query::Segment;

/// Erases everything about a company: 204, and 404 if nothing is known about it. Its entries of the audit log stay, under a
/// pseudonym.
pub(crate) async fn erase(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(company): Segment,
) -> Result<StatusCode, Rejection> {
    let company = CompanyId::new(company).map_err(|error| Rejection::invalid("companyId", error))?;
    // What is still to be written about it would come after the erasure.
    app.audit.flush().await.map_err(Error::from)?;
    match app.entitlements.erase(&company).await? {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Rejection::not_found("nothing is known about that company")),
    }
}
