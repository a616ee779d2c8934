//! `/usage`: counts units of meters, and shows how every quota stands.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use entitlements_core::id::CompanyId;
use entitlements_core::store::{Page, PageRequest};
use entitlements_core::{Consume, Consumption, Subject, UsageItem};
use entitlements_tower::EntitlementLayer;

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::{Caller, Metering};
use crate::paging::{List, Listed};
use crate::problem::Rejection;
use crate::query::{Parameters, Segment};
use crate::read;
use crate::shape::usage::{Outcome, ReceiptShape, UsageShape};

const FIELDS: [&str; 5] = ["companyId", "userId", "meter", "amount", "idempotencyKey"];

const USAGE: List = List("usage");

/// How long the list waits for what the gateway has still to charge or to give back.
const SETTLING: Duration = Duration::from_millis(250);

/// Takes units from a meter, exactly once per key: 200 with the receipt, 402 or 403 when they are refused.
pub(crate) async fn record(
    State(app): State<Arc<App>>,
    Metering(caller): Metering,
    body: JsonObject,
) -> Result<Json<ReceiptShape>, Rejection> {
    let mut fields = body.fields(&FIELDS)?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    let user = fields.optional("userId", read::parsed)?;
    let meter = fields.required("meter", read::name)?;
    let amount = fields.required("amount", read::some_amount)?;
    let key = fields.required("idempotencyKey", read::parsed)?;
    caller.must_own(&company)?;

    let subject = Subject { company, user };
    let consumption = app.entitlements.consume(&Consume::new(&subject, &meter, amount).with_key(key)).await?;
    match consumption {
        Consumption::Recorded { receipt, .. } => Ok(Json(ReceiptShape::new(Outcome::Recorded, receipt))),
        Consumption::Duplicate(receipt) => Ok(Json(ReceiptShape::new(Outcome::Duplicate, receipt))),
        Consumption::Refused(decision) => Err(Rejection::from(&decision)),
    }
}

/// How every quota of a company stands in the store, by name. What this process answered before the request is counted, and
/// so is what other processes have counted.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(gate): Extension<EntitlementLayer>,
    caller: Caller,
    Segment(company): Segment,
    parameters: Parameters,
) -> Result<Json<Listed<UsageShape>>, Rejection> {
    let mut fields = parameters.fields(&["limit", "cursor"])?;
    let page = USAGE.requested(&mut fields)?;
    let company = CompanyId::try_from(company).map_err(|error| Rejection::invalid("companyId", error))?;
    caller.must_own(&company)?;
    // Settlements that take longer wait for something that is broken; the list shows what is counted by then.
    let _ = tokio::time::timeout(SETTLING, gate.flush()).await;
    let items = app.entitlements.usage_within(&Subject::company(company), Duration::ZERO).await?;
    Ok(Json(USAGE.sent(part(items, &page), UsageShape::from)))
}

/// The part of the list that is asked for. The cursor is the name of the last item before it.
fn part(items: Vec<UsageItem>, page: &PageRequest) -> Page<UsageItem> {
    let after = |item: &UsageItem| page.cursor.as_deref().is_none_or(|cursor| item.quota.meter > cursor);
    let mut rest = items.into_iter().filter(after);
    let items: Vec<_> = rest.by_ref().take(page.limit).collect();
    let next = rest.next().and(items.last()).map(|last| last.quota.meter.to_owned());
    Page { items, next }
}
