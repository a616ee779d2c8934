//! `POST /check` and `POST /explain`: may this company, or this user of it, do that, and why?

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use entitlements_core::{Action, Amount, Context, Decision, Explanation, Request, Subject};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::Caller;
use crate::problem::Rejection;
use crate::read;

const FIELDS: [&str; 7] = ["companyId", "userId", "feature", "action", "resource", "amount", "context"];

/// Answers with the decision, whether it is an allow or a denial.
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Json<Decision>, Rejection> {
    let question = Question::read(&caller, body)?;
    // An administrator asks about any company.
    app.freshness.freshness().catch_up(&headers, &question.subject.company).await?;
    Ok(Json(app.entitlements.check(&question.request()).await?))
}

/// Answers with the decision, every step that led to it, and what would change it.
pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Json<Explanation>, Rejection> {
    let question = Question::read(&caller, body)?;
    // An administrator asks about any company.
    app.freshness.freshness().catch_up(&headers, &question.subject.company).await?;
    Ok(Json(app.entitlements.explain(&question.request()).await?))
}

/// What the caller asks, checked.
struct Question {
    subject: Subject,
    feature: String,
    action: Action,
    resource: Option<String>,
    amount: Amount,
    context: Context,
}

impl Question {
    fn read(caller: &Caller, body: JsonObject) -> Result<Self, Rejection> {
        let mut fields = body.fields(&FIELDS)?;
        let company = fields.required("companyId", read::parsed)?;
        let question = Self {
            subject: Subject { company, user: fields.optional("userId", read::parsed)? },
            feature: fields.required("feature", read::name)?,
            action: fields.required("action", read::parsed)?,
            resource: fields.optional("resource", read::name)?,
            amount: fields.optional("amount", read::amount)?.unwrap_or(Amount::ONE),
            context: fields.optional("context", read::context)?.unwrap_or_default(),
        };
        caller.must_own(&question.subject.company)?;
        Ok(question)
    }

    fn request(&self) -> Request<'_> {
        Request {
            subject: &self.subject,
            feature: &self.feature,
            action: self.action,
            resource: self.resource.as_deref(),
            amount: self.amount,
            context: &self.context,
        }
    }
}
