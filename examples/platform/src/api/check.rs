//! `POST /check`: may this company, or this user of it, do that?

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use entitlements_core::id::CompanyId;
use entitlements_core::{Amount, Context, Request, Subject};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::Caller;
use crate::problem::Rejection;
use crate::read;
use crate::shape::decision::DecisionShape;

const FIELDS: [&str; 7] = ["companyId", "userId", "feature", "action", "resource", "amount", "context"];

/// Answers with the decision, whether it is an allow or a denial.
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: JsonObject,
) -> Result<Json<DecisionShape>, Rejection> {
    let mut fields = body.fields(&FIELDS)?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let user = fields.optional("userId", read::parsed)?;
    let feature = fields.required("feature", read::name)?;
    let action = fields.required("action", read::parsed)?;
    let resource = fields.optional("resource", read::name)?;
    let amount = fields.optional("amount", read::amount)?.unwrap_or(Amount::ONE);
    let context = fields.optional("context", read::context)?;
    caller.must_own(&company)?;

    let subject = Subject { company, user };
    let request = Request {
        subject: &subject,
        feature: &feature,
        action,
        resource: resource.as_deref(),
        amount,
        context: context.as_ref().unwrap_or_else(|| Context::empty()),
    };
    let decision = app.entitlements.check(&request).await?;
    Ok(Json(DecisionShape::from(&decision)))
}
