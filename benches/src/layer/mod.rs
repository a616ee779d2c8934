//! The layer: what it adds to a request, beside a layer that does nothing and the layers of others.

#[cfg(feature = "peers")]
mod peers;

use std::fmt::Write as _;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use entitlements_core::id::{CompanyId, PlanKey, SubscriptionId, UserId};
use entitlements_core::store::SubscriptionStore as _;
use entitlements_core::{
    Catalog, Clock as _, Entitlements, MemoryStore, Subject, Subscription, SubscriptionStatus, SystemClock,
    TokioRuntime,
};
use entitlements_tower::{EntitlementLayer, FailMode, subject_extension};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use tower::util::MapResponseLayer;

use crate::Failure;
use crate::frame::{Claim, Contender, Field, Pace, Section, Spread, Table, Target, duration, number};

const ROUNDS: usize = 61;
/// Routes of the application; requests go to one in the middle.
const ROUTES: usize = 31;
const BARE: &str = "axum alone";
const NOTHING: &str = "a layer that does nothing";
const OURS: &str = "entitlements-tower";
/// The row of the targets.
const PATH: &str = "tower layer, warm allow";

/// An application, and the session of somebody who is logged in, if it has such a thing.
struct App {
    name: &'static str,
    router: Router,
    cookie: Option<String>,
}

pub(crate) fn run(pace: Pace) -> Result<Section, Failure> {
    let mut section = Section::new("Layer");
    section.say(format!(
        "A request to one of {ROUTES} routes of an axum router, in process, with everything in its extensions that an \
         authentication would have put there for any of the layers. Each layer lets it pass: ours because the plan of the \
         company includes the feature, which it looks up in memory. The layers of others do other work: tower_governor and \
         axum-governor count requests, axum-casbin answers from its cache, axum-login loads a session and a user from memory \
         and asks for a permission."
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut apps = vec![
        App { name: BARE, router: routes(), cookie: None },
        App {
            name: NOTHING,
            router: routes()
                .route_layer(MapResponseLayer::new(std::convert::identity::<axum::response::Response>)),
            cookie: None,
        },
        App { name: OURS, router: routes().route_layer(runtime.block_on(gate())?), cookie: None },
    ];
    #[cfg(feature = "peers")]
    apps.append(&mut runtime.block_on(peers::apps())?);
    // As `axum::serve` does it: otherwise the router would put its layers around the handler again for each request.
    for app in &mut apps {
        app.router = std::mem::take(&mut app.router).with_state(());
    }
    for app in &apps {
        let status = runtime.block_on(ask(app, "acme"));
        if status != StatusCode::OK {
            return Err(format!("{} answers {status}", app.name).into());
        }
    }
    let refused = apps.iter().find(|app| app.name == OURS).map(|app| runtime.block_on(ask(app, "stranger")));
    if refused != Some(StatusCode::PAYMENT_REQUIRED) {
        return Err(format!("a company without a plan is answered {refused:?}").into());
    }
    let once = [(); 512];
    let contenders = apps.iter().map(|app| on(&runtime, app, &once)).collect();
    report(&Field::race(pace, ROUNDS, contenders), &mut section)?;
    Ok(section)
}

fn on<'a>(runtime: &'a Runtime, app: &'a App, once: &'a [()]) -> Contender<'a> {
    Contender::waiting(app.name, runtime, once, async |()| ask(app, "acme").await)
}

fn report(field: &Field, section: &mut Section) -> Result<(), Failure> {
    let mut table =
        Table::new(&["stack", "a request", "over nothing (quartiles)", "allocations", "over nothing"]);
    let nothing = field.of(NOTHING)?;
    for measured in field.iter() {
        let over = measured.over(nothing);
        table.row([
            measured.name.clone(),
            duration(measured.nanos().median),
            format!("{} ({}–{}) ns", number(over.median), number(over.low), number(over.high)),
            number(measured.allocations),
            number(measured.allocations - nothing.allocations),
        ]);
    }
    section.show(&table);
    let ours = field.of(OURS)?;
    let over = |measured, unit, bound, what: &str| Claim {
        path: PATH,
        what: what.to_owned(),
        target: Target::AtMost(bound),
        unit,
        measured,
        limit: "the check itself is about 45 ns of it, and the decision that is kept for the handler (an allocation, a place \
                among the extensions, and its end) about 50; the rest is the look-ups of the rule and of the subject, and a \
                path through the server that no longer fits into 32 KiB of the processor's instruction cache",
    };
    section.claims.push(over(ours.over(nothing), " ns", 150.0, "time over a layer that does nothing"));
    let more = Spread::exactly((ours.allocations - nothing.allocations).round());
    section.claims.push(over(more, "", 2.0, "allocations over a layer that does nothing"));
    Ok(())
}

fn routes() -> Router {
    let route = |router: Router, number| router.route(&path(number, "{id}"), get(async || "done"));
    (0..ROUTES).fold(Router::new(), route)
}

fn path(number: usize, id: &str) -> String {
    format!("/v1/part{number:02}/{id}/report")
}

/// One request through a copy of the router, as a server makes one for each request.
async fn ask(app: &App, company: &'static str) -> StatusCode {
    match app.router.clone().oneshot(request(company, app.cookie.as_deref())).await {
        Ok(response) => response.status(),
        Err(never) => match never {},
    }
}

fn request(company: &'static str, cookie: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().uri("/v1/part15/4711/report");
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    let extensions = request.extensions_mut();
    if let (Some(extensions), Ok(company), Ok(user)) =
        (extensions, CompanyId::new(company), UserId::new("alice"))
    {
        extensions.insert(Subject::user(company, user));
        #[cfg(feature = "peers")]
        extensions.insert(axum_casbin::CasbinVals { subject: "alice".to_owned(), domain: None });
    }
    request.body(Body::empty()).unwrap_or_default()
}

/// Our layer, with a rule for every route.
async fn gate() -> Result<EntitlementLayer, Failure> {
    let mut text = "schema = 1\npast_due_grace = \"7d\"\n[features]\n".to_owned();
    for number in 0..ROUTES {
        writeln!(text, "part{number:02} = {{ type = \"flag\" }}")?;
    }
    text.push_str("[plans.pro.grants]\n");
    for number in 0..ROUTES {
        writeln!(text, "part{number:02} = true")?;
    }
    text.push_str("[routing]\nunmatched = \"deny\"\n");
    for number in 0..ROUTES {
        writeln!(
            text,
            "[[routes]]\nmatch = \"GET {}\"\nrequire = \"part{number:02}\"",
            path(number, "{id}")
        )?;
    }
    let (store, now) = (MemoryStore::default(), SystemClock.now());
    let company = CompanyId::new("acme")?;
    let subscription = Subscription {
        id: SubscriptionId::new("sub-acme")?,
        company: company.clone(),
        plan: PlanKey::new("pro")?,
        status: SubscriptionStatus::Active,
        seats: None,
        started_at: now,
        anchor: now,
        current_period_start: now,
        current_period_end: now,
        trial_end: None,
        past_due_since: None,
        cancel_at: None,
        cancel_at_period_end: false,
        created_at: now,
    };
    store.put_subscription(&subscription, now).await?;
    let runtime = TokioRuntime::current().ok_or("no runtime")?;
    let handle =
        Entitlements::builder(Catalog::parse("bench.toml", &text)?).store(store).runtime(runtime).build();
    Ok(EntitlementLayer::builder(handle, subject_extension(), FailMode::Closed).build()?)
}
