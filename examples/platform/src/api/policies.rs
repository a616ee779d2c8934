//! `/policies`: rules beside plans and grants. For administrators only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use entitlements_core::id::PolicyId;
use entitlements_core::policy::Policy;
use serde_json::{Map, Value};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::Admin;
use crate::paging::{self, List, Listed};
use crate::problem::Rejection;
use crate::query::{Parameters, Segment};
use crate::written::{self, Written};

const POLICIES: List = List("policies");

/// Stores a new policy: 201 with the policy.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    _: Admin,
    body: JsonObject,
) -> Result<(StatusCode, Written, Json<Value>), Rejection> {
    let policy = read(&app, body.into_map())?;
    let revision = app.entitlements.insert_policy(&policy).await?;
    Ok((StatusCode::CREATED, written::at(revision), Json(policy.to_json())))
}

/// The policies, in ascending order of their ids.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    _: Admin,
    parameters: Parameters,
) -> Result<Json<Listed<Value>>, Rejection> {
    let mut fields = parameters.fields(&["limit", "cursor"])?;
    let page = POLICIES.requested(&mut fields)?;
    let policies = app.entitlements.policies(&page).await.map_err(paging::failed)?;
    Ok(Json(POLICIES.sent(policies, |policy| policy.to_json())))
}

/// One policy.
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(id): Segment,
) -> Result<Json<Value>, Rejection> {
    match app.entitlements.policy(&named(id)?).await? {
        Some(policy) => Ok(Json(policy.to_json())),
        None => Err(unknown()),
    }
}

/// Replaces a policy: 200 with the policy. The body need not repeat the id; another one is refused.
pub(crate) async fn replace(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(id): Segment,
    body: JsonObject,
) -> Result<(Written, Json<Value>), Rejection> {
    let id = named(id)?;
    let mut object = body.into_map();
    match object.get("id").filter(|id| !id.is_null()) {
        Some(given) if given.as_str() != Some(id.as_str()) => {
            return Err(Rejection::invalid("id", "must be the id in the path, or absent"));
        }
        _ => object.insert("id".into(), id.as_str().into()),
    };
    let policy = read(&app, object)?;
    match app.entitlements.replace_policy(&policy).await? {
        Some(revision) => Ok((written::at(revision), Json(policy.to_json()))),
        None => Err(unknown()),
    }
}

/// Removes a policy: 204, and 404 if there is none.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(id): Segment,
) -> Result<(Written, StatusCode), Rejection> {
    match app.entitlements.remove_policy(&named(id)?).await? {
        Some(revision) => Ok((written::at(revision), StatusCode::NO_CONTENT)),
        None => Err(unknown()),
    }
}

fn read(app: &App, object: Map<String, Value>) -> Result<Policy, Rejection> {
    let policy = Policy::from_json(&Value::Object(object)).map_err(|error| {
        let problems = error.problems().iter();
        Rejection::invalid_fields(problems.map(|problem| (problem.field.clone(), problem.message.clone())))
    })?;
    if policy.ends_at.is_some_and(|end| end <= app.entitlements.now()) {
        return Err(Rejection::invalid("endsAt", "must be in the future"));
    }
    Ok(policy)
}

fn named(id: String) -> Result<PolicyId, Rejection> {
    PolicyId::try_from(id).map_err(|error| Rejection::invalid("id", error))
}

fn unknown() -> Rejection {
    Rejection::not_found("there is no policy of that id")
}
