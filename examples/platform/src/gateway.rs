//! The gateway: demonstration routes under `/v1`, each behind its gate.
//!
//! Nothing here asks who may do what: the layer does, by the routes of the catalog, before a handler runs.

use std::sync::Arc;

use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get};
use axum::{Extension, Json, Router};
use chrono::{DateTime, SubsecRound, Utc};
use entitlements_core::{Amount, Decision};
use entitlements_tower::{Admitted, Charges, EntitlementLayer, UsageReport};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::app::App;
use crate::auth::authenticate;
use crate::body::OptionalJson;
use crate::own_routes::{self, GENERATE_REPORT, GENERATE_TEXT, TOKENS_IN, TOKENS_OUT};
use crate::problem::Rejection;
use crate::read;

/// What generating a text costs if the request does not say.
const DEFAULT_IN: u32 = 100;
const DEFAULT_OUT: u32 = 200;

/// The routes, behind authentication and the gate.
pub(crate) fn router(app: &Arc<App>, gate: EntitlementLayer) -> Router<Arc<App>> {
    authenticated(app, routes().route_layer(gate))
}

/// The routes, behind authentication alone: whoever asks, their handlers are told of `decision`.
#[cfg(feature = "throughput")]
pub(crate) fn ungated(app: &Arc<App>, decision: Decision) -> Router<Arc<App>> {
    authenticated(app, routes().route_layer(Extension(decision)))
}

fn authenticated(app: &Arc<App>, routes: Router<Arc<App>>) -> Router<Arc<App>> {
    routes.route_layer(app.freshness.clone()).route_layer(from_fn_with_state(Arc::clone(app), authenticate))
}

fn routes() -> Router<Arc<App>> {
    let handlers = |path: &str| -> MethodRouter<Arc<App>> {
        match path {
            GENERATE_REPORT => get(show).post(generate_report),
            GENERATE_TEXT => get(show).post(generate_text),
            _ => get(show).post(show),
        }
    };
    own_routes::ALL
        .iter()
        .fold(Router::new(), |router, route| router.route(route.path, handlers(route.path)))
        .method_not_allowed_fallback(async || Rejection::wrong_method())
}

/// What a demonstration route answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Served {
    feature: String,
    plan: Option<&'static str>,
    reason: &'static str,
    /// What is left of the meter that the request consumed.
    quota: Option<Left>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Left {
    meter: &'static str,
    limit: Option<Amount>,
    used: Amount,
    remaining: Option<Amount>,
    resets_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    input_tokens: Amount,
    output_tokens: Amount,
}

impl Served {
    fn new(decision: &Decision, charges: Option<&Charges>) -> Self {
        let first = charges.and_then(|charges| charges.iter().next());
        let receipt = first.and_then(|charge| Some((charge.meter, charge.receipt.as_ref()?)));
        Self {
            feature: decision.feature.clone().into_owned(),
            plan: decision.plan,
            reason: decision.reason.code(),
            quota: receipt.map(|(meter, receipt)| Left {
                meter,
                limit: receipt.limit,
                used: receipt.used,
                remaining: receipt.remaining(),
                resets_at: receipt.resets_at,
            }),
            usage: None,
        }
    }
}

async fn show(
    Admitted(decision): Admitted,
    charges: Option<Extension<Charges>>,
    _: OptionalJson,
) -> Json<Served> {
    Json(Served::new(&decision, charges.as_deref()))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    generated_at: DateTime<Utc>,
    #[serde(flatten)]
    served: Served,
}

async fn generate_report(
    State(app): State<Arc<App>>,
    Admitted(decision): Admitted,
    charges: Option<Extension<Charges>>,
    _: OptionalJson,
) -> Json<Report> {
    Json(Report {
        generated_at: app.entitlements.now().trunc_subsecs(6),
        served: Served::new(&decision, charges.as_deref()),
    })
}

/// Generates a text, which costs the tokens that the body names: `{"inputTokens": 812, "outputTokens": 4096}`.
async fn generate_text(
    Admitted(decision): Admitted,
    report: Option<UsageReport>,
    charges: Option<Extension<Charges>>,
    body: Result<OptionalJson, Rejection>,
) -> Result<Json<Served>, Rejection> {
    let used = body.and_then(|OptionalJson(body)| tokens(body));
    // A request that is not served costs nothing, whatever was estimated.
    let [input, output] =
        used.as_ref().map_or([0, 0], |used| [used.input_tokens, used.output_tokens].map(Amount::get));
    if let Some(report) = report {
        report.report(TOKENS_IN, input);
        report.report(TOKENS_OUT, output);
    }
    let mut served = Served::new(&decision, charges.as_deref());
    served.usage = Some(used?);
    Ok(Json(served))
}

fn tokens(body: Option<Value>) -> Result<Tokens, Rejection> {
    let body: Map<String, Value> = match body {
        None => Map::new(),
        Some(Value::Object(body)) => body,
        Some(_) => return Err(Rejection::malformed("the body is no JSON object")),
    };
    let count = |name: &str, default: u32| match body.get(name) {
        None | Some(Value::Null) => Ok(Amount::from(default)),
        Some(value) => read::amount(value).map_err(|message| Rejection::invalid(name, message)),
    };
    Ok(Tokens {
        input_tokens: count("inputTokens", DEFAULT_IN)?,
        output_tokens: count("outputTokens", DEFAULT_OUT)?,
    })
}
