//! `/holders` and `/levels`: what a company holds of its gauges.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use entitlements_core::id::{CompanyId, HolderId};
use entitlements_core::{Acquisition, LevelReport, Subject};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::{Caller, Metering};
use crate::paging::{List, Listed, failed};
use crate::problem::Rejection;
use crate::query::Parameters;
use crate::read;
use crate::shape::holder::{AcquisitionShape, HolderShape};

const FIELDS: [&str; 3] = ["companyId", "gauge", "holder"];

const HOLDERS: List = List("holders");

/// Gives a unit to a holder: 201, 200 if it has one already, 402 or 403 when it is refused.
pub(crate) async fn acquire(
    State(app): State<Arc<App>>,
    Metering(caller): Metering,
    body: JsonObject,
) -> Result<(StatusCode, Json<AcquisitionShape>), Rejection> {
    let mut fields = body.fields(&FIELDS)?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let gauge = fields.required("gauge", read::name)?;
    let holder: HolderId = fields.required("holder", read::parsed)?;
    caller.must_own(&company)?;

    let subject = Subject::company(company);
    let (status, used) = match app.entitlements.acquire(&subject, &gauge, &holder).await? {
        Acquisition::Acquired { used, .. } => (StatusCode::CREATED, used),
        Acquisition::Held { used } => (StatusCode::OK, used),
        Acquisition::Refused(decision) => return Err(Rejection::from(&decision)),
    };
    Ok((status, Json(AcquisitionShape { company_id: subject.company, gauge, holder, used })))
}

/// Takes the unit of a holder back: 204, and 404 if it has none.
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    Metering(caller): Metering,
    parameters: Parameters,
) -> Result<StatusCode, Rejection> {
    let mut fields = parameters.fields(&FIELDS)?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let gauge = fields.required("gauge", read::name)?;
    let holder: HolderId = fields.required("holder", read::parsed)?;
    caller.must_own(&company)?;
    if app.entitlements.release(&company, &gauge, &holder).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Rejection::not_found("there is no such holder"))
    }
}

/// The holders of a gauge, in ascending order of their ids.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<Listed<HolderShape>>, Rejection> {
    let mut fields = parameters.fields(&["companyId", "gauge", "limit", "cursor"])?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let gauge = fields.required("gauge", read::name)?;
    let page = HOLDERS.requested(&mut fields)?;
    caller.must_own(&company)?;
    let page = app.entitlements.holders(&company, &gauge, &page).await.map_err(failed)?;
    Ok(Json(HOLDERS.sent(page, HolderShape::from)))
}

/// Sets the level of a gauge: 204, or 402 or 403 when it is beyond the limit. A lower level is always taken.
pub(crate) async fn set_level(
    State(app): State<Arc<App>>,
    Metering(caller): Metering,
    body: JsonObject,
) -> Result<StatusCode, Rejection> {
    let mut fields = body.fields(&["companyId", "gauge", "level"])?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let gauge = fields.required("gauge", read::name)?;
    let level = fields.required("level", read::amount)?;
    caller.must_own(&company)?;
    match app.entitlements.set_level(&Subject::company(company), &gauge, level).await? {
        LevelReport::Set { .. } => Ok(StatusCode::NO_CONTENT),
        LevelReport::Refused(decision) => Err(Rejection::from(&decision)),
    }
}
