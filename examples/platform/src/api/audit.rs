//! `/audit`: what was decided about a company, and why. Members see that of their own company.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use entitlements_core::id::CompanyId;

use crate::app::App;
use crate::caller::Caller;
use crate::paging::{self, List, Listed};
use crate::problem::Rejection;
use crate::query::Parameters;
use crate::read;
use crate::shape::audit::AuditShape;
use crate::start_error::chain;

const AUDIT: List = List("audit");

/// The decisions about a company, newest first. What this process decided before the request is among them.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<Listed<AuditShape>>, Rejection> {
    let mut fields = parameters.fields(&["companyId", "limit", "cursor"])?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let page = AUDIT.requested(&mut fields)?;
    caller.must_own(&company)?;
    if let Err(error) = app.audit.flush().await {
        tracing::warn!(error = chain(&error), "the newest decisions cannot be written to the audit log yet");
        return Err(Rejection::from(entitlements_core::Error::from(error)));
    }
    let entries = app.entitlements.audit(&company, &page).await.map_err(paging::failed)?;
    Ok(Json(AUDIT.sent(entries, AuditShape::from)))
}
