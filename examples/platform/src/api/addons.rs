//! `/addons`: how many of an add-on a company has. For administrators only.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use entitlements_core::facts::AddOnQuantity;
use entitlements_core::id::{AddOnKey, CompanyId};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::Admin;
use crate::problem::Rejection;
use crate::read;
use crate::written::{self, Written};

/// Sets the quantity: 204. None, 0, takes the add-on away.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    _: Admin,
    body: JsonObject,
) -> Result<(Written, StatusCode), Rejection> {
    let mut fields = body.fields(&["companyId", "addon", "quantity"])?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let addon: AddOnKey = fields.required("addon", read::parsed)?;
    let quantity = fields.required("quantity", read::quantity)?;
    let revision = app.entitlements.put_addon(&company, &AddOnQuantity { addon, quantity }).await?;
    Ok((written::at(revision), StatusCode::NO_CONTENT))
}
