//! `/grants`: awards beside the plan. Administrators make and void them; members see those of their company.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use entitlements_core::id::{CompanyId, GrantId};
use entitlements_core::{ActionSet, GrantKind, NewGrant};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::{Admin, Caller};
use crate::paging::{self, List, Listed};
use crate::problem::Rejection;
use crate::query::{Parameters, Segment};
use crate::read;
use crate::shape::grant::GrantShape;
use crate::written::{self, Written};

const FIELDS: [&str; 11] = [
    "id",
    "companyId",
    "userId",
    "feature",
    "actions",
    "resource",
    "amount",
    "kind",
    "startsAt",
    "endsAt",
    "reason",
];

const GRANTS: List = List("grants");

/// Makes a grant: 201 with the grant.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    _: Admin,
    body: JsonObject,
) -> Result<(StatusCode, Option<Written>, Json<GrantShape>), Rejection> {
    let mut fields = body.fields(&FIELDS)?;
    let new = NewGrant {
        id: fields.optional("id", read::parsed)?,
        company: fields.required("companyId", read::parsed)?,
        user: fields.optional("userId", read::parsed)?,
        feature: fields.required("feature", read::parsed)?,
        actions: fields.optional("actions", read::actions)?.unwrap_or(ActionSet::ALL),
        resource: fields.optional("resource", read::resources)?,
        amount: fields.optional("amount", read::some_amount)?,
        kind: fields.optional("kind", read::kind)?.unwrap_or(GrantKind::Manual),
        starts_at: fields.optional("startsAt", read::instant)?,
        ends_at: fields.optional("endsAt", read::instant)?,
        reason: fields.optional("reason", read::note)?,
    };
    let grant = app.entitlements.grant(new).await?;
    let written = written::of(&app, &grant.company).await;
    Ok((StatusCode::CREATED, written, Json(grant.into())))
}

/// The grants of a company, voided ones included, oldest first.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<Listed<GrantShape>>, Rejection> {
    let mut fields = parameters.fields(&["companyId", "limit", "cursor"])?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let page = GRANTS.requested(&mut fields)?;
    caller.must_own(&company)?;
    let grants = app.entitlements.grants(&company, &page).await.map_err(paging::failed)?;
    Ok(Json(GRANTS.sent(grants, GrantShape::from)))
}

/// Voids a grant: 204, and 404 if there is none or it was voided before.
pub(crate) async fn void(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(id): Segment,
) -> Result<(Written, StatusCode), Rejection> {
    let id = GrantId::new(id).map_err(|error| Rejection::invalid("id", error))?;
    match app.entitlements.void(&id).await? {
        Some(revision) => Ok((written::at(revision), StatusCode::NO_CONTENT)),
        None => Err(Rejection::not_found("there is no grant of that id that is not voided")),
    }
}
