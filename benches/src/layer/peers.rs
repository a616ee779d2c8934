//! The layers of others, each as its own introduction has it, set up so that every request passes.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::routing::post;
use axum_casbin::CasbinAxumLayer;
use axum_casbin::casbin::{DefaultModel, MemoryAdapter, MgmtApi as _};
use axum_governor::extractor::{KeyExtractor, KeyOutcome};
use axum_governor::{ExtractionError, GovernorConfigBuilder, Quota};
use axum_login::{
    AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, AuthzBackend, permission_required,
};
use entitlements_core::Subject;
use entitlements_core::id::CompanyId;
use tower::ServiceExt as _;
use tower_governor::GovernorError;
use tower_sessions::{MemoryStore, SessionManagerLayer};

use super::{App, ROUTES, path, request, routes};
use crate::Failure;

pub(super) async fn apps() -> Result<Vec<App>, Failure> {
    Ok(vec![
        App { name: "tower_governor", router: counted(), cookie: None },
        App { name: "axum-governor", router: governed()?, cookie: None },
        App { name: "axum-casbin", router: ruled().await?, cookie: None },
        logged_in().await?,
    ])
}

/// The company, as both counters of requests take it.
#[derive(Clone, Copy, Debug)]
struct ByCompany;

impl tower_governor::key_extractor::KeyExtractor for ByCompany {
    type Key = CompanyId;

    fn extract<T>(&self, request: &Request<T>) -> Result<CompanyId, GovernorError> {
        let subject = request.extensions().get::<Subject>();
        subject.map(|subject| subject.company.clone()).ok_or(GovernorError::UnableToExtractKey)
    }
}

impl KeyExtractor for ByCompany {
    type Key = CompanyId;

    fn extract(&self, parts: &Parts) -> Result<KeyOutcome<CompanyId>, ExtractionError> {
        let subject = parts.extensions.get::<Subject>();
        let subject = subject.ok_or_else(|| ExtractionError::Other("nobody asks".into()))?;
        Ok(KeyOutcome::new(subject.company.clone()))
    }
}

fn counted() -> Router {
    let config = tower_governor::governor::GovernorConfigBuilder::default()
        .per_nanosecond(1)
        .burst_size(u32::MAX)
        .key_extractor(ByCompany)
        .finish();
    match config {
        Some(config) => routes().route_layer(tower_governor::GovernorLayer::new(config)),
        None => Router::new(),
    }
}

fn governed() -> Result<Router, Failure> {
    let quota = Quota::requests_per_second(std::num::NonZero::<u32>::MAX);
    let config = GovernorConfigBuilder::default().with_extractor(ByCompany).quota_default(quota).finish()?;
    Ok(routes().route_layer(axum_governor::GovernorLayer::new(config)))
}

const MODEL: &str = "
[request_definition]
r = sub, obj, act

[policy_definition]
p = sub, obj, act

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act
";

async fn ruled() -> Result<Router, Failure> {
    let layer = CasbinAxumLayer::new(DefaultModel::from_str(MODEL).await?, MemoryAdapter::default()).await?;
    let rule = |number| vec!["alice".to_owned(), path(number, ":id"), "GET".to_owned()];
    layer.write().await.add_policies((0..ROUTES).map(rule).collect()).await?;
    Ok(routes().route_layer(layer))
}

#[derive(Clone, Debug)]
struct User;

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        42
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"a hash of her password"
    }
}

/// Users in memory, as in the introduction of axum-login.
#[derive(Clone, Debug)]
struct Users(HashMap<i64, User>);

impl AuthnBackend for Users {
    type User = User;
    type Credentials = i64;
    type Error = Infallible;

    async fn authenticate(&self, id: i64) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(&id).cloned())
    }

    async fn get_user(&self, id: &i64) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(id).cloned())
    }
}

impl AuthzBackend for Users {
    type Permission = &'static str;

    async fn get_user_permissions(&self, _: &User) -> Result<HashSet<&'static str>, Infallible> {
        Ok(HashSet::from(["report.view"]))
    }
}

async fn login(mut session: AuthSession<Users>) -> &'static str {
    match session.login(&User).await {
        Ok(()) => "welcome",
        Err(_) => "try again",
    }
}

async fn logged_in() -> Result<App, Failure> {
    let sessions = SessionManagerLayer::new(MemoryStore::default()).with_secure(false);
    let users = Users(HashMap::from([(42, User)]));
    let router = routes()
        .route_layer(permission_required!(Users, "report.view"))
        .route("/login", post(login))
        .layer(AuthManagerLayerBuilder::new(users, sessions).build());
    let mut knock = request("acme", None);
    *knock.uri_mut() = "/login".parse()?;
    *knock.method_mut() = axum::http::Method::POST;
    let answer = router.clone().oneshot(knock).await?;
    let cookie = answer.headers().get(SET_COOKIE).ok_or("axum-login sets no cookie")?;
    let cookie = cookie.to_str()?.split(';').next().map(str::to_owned);
    Ok(App { name: "axum-login", router, cookie })
}
