//! Building a layer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use entitlements_core::catalog::Unmatched;
use entitlements_core::{Action, Context, Entitlements, Subject};
use http::request::Parts;
use http::{HeaderValue, Method};

use crate::deny::ProblemJson;
use crate::fail::FailMode;
use crate::gate::{ActionOf, ContextOf, Gate, ResourceOf, Shared};
use crate::identity::Identify;
use crate::in_handler::TypedGates;
use crate::layer::EntitlementLayer;
use crate::matching::RouteParams;
use crate::rule::Rule;
use crate::rules::RuleError;
use crate::settle::Settlements;
use crate::table::RuleSource;

/// Builds an [`EntitlementLayer`]. Begun with [`EntitlementLayer::builder`].
#[must_use]
pub struct EntitlementLayerBuilder<D = ProblemJson> {
    entitlements: Entitlements,
    identify: Arc<dyn Identify>,
    anonymous: Option<Subject>,
    fail_mode: FailMode,
    rules: RuleSource,
    action: Option<ActionOf>,
    context: Option<ContextOf>,
    resource: Option<ResourceOf>,
    challenge: HeaderValue,
    callers_keys: bool,
    limits: bool,
    settlement_capacity: usize,
    deny: D,
}

impl EntitlementLayerBuilder {
    pub(crate) fn new(entitlements: Entitlements, identify: impl Identify, fail_mode: FailMode) -> Self {
        Self {
            entitlements,
            identify: Arc::new(identify),
            anonymous: None,
            fail_mode,
            rules: RuleSource {
                catalog: true,
                code: Vec::new(),
                declared: Vec::new(),
                unmatched: None,
                extractors: false,
            },
            action: None,
            context: None,
            resource: None,
            challenge: HeaderValue::from_static("Bearer"),
            callers_keys: false,
            limits: false,
            settlement_capacity: 10_000,
            deny: ProblemJson::new(),
        }
    }
}

impl<D> EntitlementLayerBuilder<D> {
    /// Takes these rules instead of the routes of the catalog.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.catalog = false;
        self.rules.code = rules.into_iter().collect();
        self
    }

    /// Adds a rule.
    pub fn route(mut self, rule: Rule) -> Self {
        self.rules.code.push(rule);
        self
    }

    /// Names the routes that the application has, as `METHOD /path` or `/path`. A layer that has no rule for one of them is
    /// not built, and a catalog that takes such a rule away is not put in force: so no route is forgotten.
    ///
    /// A route that everybody may use gets a rule without a feature. So does one that a layer of its own gates
    /// ([`require_feature`](crate::EntitlementLayer::require_feature)): this layer does not know of that one, and cannot prove
    /// that it is there.
    ///
    /// ```
    /// use entitlements_core::{Catalog, Entitlements};
    /// use entitlements_tower::{EntitlementLayer, FailMode, Rule, subject_extension};
    ///
    /// # let catalog = Catalog::parse("catalog.toml", r#"
    /// #     schema = 1
    /// #     past_due_grace = "7d"
    /// #     [features]
    /// #     export = { type = "flag" }
    /// #     [plans.pro.grants]
    /// #     export = true
    /// # "#)?;
    /// # let entitlements = Entitlements::builder(catalog).build();
    /// let layer = EntitlementLayer::builder(entitlements, subject_extension(), FailMode::Closed)
    ///     .route(Rule::new("GET /export").require("export"))
    ///     .route(Rule::new("GET /healthz"))
    ///     .declared(["GET /export", "GET /healthz", "DELETE /reports/{id}"])
    ///     .build();
    /// let forgotten = layer.unwrap_err().to_string();
    /// assert_eq!(forgotten, "rule `DELETE /reports/{id}`: the application declares it, and no rule is for it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn declared(mut self, routes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.rules.declared = routes.into_iter().map(Into::into).collect();
        self
    }

    /// Says what happens to requests that no rule matches, instead of the catalog.
    pub const fn unmatched(mut self, unmatched: Unmatched) -> Self {
        self.rules.unmatched = Some(unmatched);
        self
    }

    /// Takes another action than [`action_of`](crate::action_of) for some methods; `None` keeps it.
    pub fn action(mut self, action: impl Fn(&Method) -> Option<Action> + Send + Sync + 'static) -> Self {
        self.action = Some(Arc::new(action));
        self
    }

    /// Takes the circumstances of a request from here, instead of a [`Context`] among its extensions.
    pub fn context(mut self, context: impl Fn(&Parts) -> Option<Context> + Send + Sync + 'static) -> Self {
        self.context = Some(Arc::new(context));
        self
    }

    /// Names the resource of a request, for example from a parameter of its path. That is read with
    /// [`decoded`](RouteParams::decoded): [`get`](RouteParams::get) hands out each spelling of a name as another one, and a
    /// policy that denies the name would not see it.
    ///
    /// ```
    /// use entitlements_core::{Catalog, Entitlements};
    /// use entitlements_tower::{EntitlementLayer, FailMode, subject_extension};
    ///
    /// # let catalog = Catalog::parse("catalog.toml", r#"
    /// #     schema = 1
    /// #     past_due_grace = "7d"
    /// #     [features]
    /// #     reports = { type = "flag" }
    /// #     [plans.pro.grants]
    /// #     reports = true
    /// #     [routing]
    /// #     unmatched = "deny"
    /// #     [[routes]]
    /// #     match = "/reports/{id}"
    /// #     require = "reports"
    /// # "#)?;
    /// # let entitlements = Entitlements::builder(catalog).build();
    /// let layer = EntitlementLayer::builder(entitlements, subject_extension(), FailMode::Closed)
    ///     .resource(|_, params| params.decoded("id").map(|id| format!("report:{id}")))
    ///     .build()?;
    /// assert_eq!(layer.coverage().rules[0].rule, "/reports/{id}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// `None` says that the request is about no resource in particular. A request whose path does not have the parameters
    /// that its rule names is answered with 400.
    pub fn resource(
        mut self,
        resource: impl Fn(&Parts, &RouteParams<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.resource = Some(Arc::new(resource));
        self
    }

    /// Gives callers who are not known ([`Identity::Anonymous`](crate::Identity::Anonymous)) the entitlements of this subject.
    /// Without it each of them is answered with 401.
    ///
    /// What the subject is allowed passes, with its decision, and is charged to it like to any other: all who are not known
    /// share its quotas. What it is denied is a 401 with the challenge, which says nothing about plans, and no
    /// `RateLimit` field says what is left. So name a company that no customer is, and put it on a plan.
    ///
    /// A request whose identity cannot be read is no anonymous one, and neither is one that no layer has authenticated: see
    /// [`optional`](crate::FromExtension::optional).
    ///
    /// ```
    /// use entitlements_core::{Catalog, Entitlements, Subject, id::CompanyId};
    /// use entitlements_tower::{Denial, EntitlementLayer, FailMode, Verdict, subject_extension};
    /// use http::Request;
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let catalog = Catalog::parse("catalog.toml", r#"
    ///     schema = 1
    ///     default_plan = "public"
    ///     past_due_grace = "7d"
    ///     [features]
    ///     reports = { type = "flag" }
    ///     [plans.public.grants]
    ///     reports = { actions = ["view"] }
    ///     [routing]
    ///     unmatched = "deny"
    ///     [[routes]]
    ///     match = "/reports"
    ///     require = "reports"
    /// "#)?;
    /// let entitlements = Entitlements::builder(catalog).build();
    /// let layer = EntitlementLayer::builder(entitlements, subject_extension().optional(), FailMode::Closed)
    ///     .anonymous(Subject::company(CompanyId::new("nobody")?))
    ///     .build()?;
    ///
    /// let ask = async |request: Request<()>| match layer.gate().begin(&request.into_parts().0) {
    ///     Verdict::Ask(pending) => pending.await.map(drop),
    ///     Verdict::Deny(denial) => Err(denial),
    ///     Verdict::Admit(_) | Verdict::Pass => Ok(()),
    /// };
    /// assert_eq!(ask(Request::get("/reports").body(())?).await, Ok(()));
    /// let denied = ask(Request::post("/reports").body(())?).await;
    /// assert!(matches!(denied, Err(Denial::Unauthenticated { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn anonymous(mut self, subject: Subject) -> Self {
        self.anonymous = Some(subject);
        self
    }

    /// Sets the `WWW-Authenticate` of a 401; `Bearer` if it is not set.
    pub fn challenge(mut self, challenge: HeaderValue) -> Self {
        self.challenge = challenge;
        self
    }

    /// Charges requests with the same `Idempotency-Key`, method, path and query once for each meter. Off by default.
    ///
    /// A caller who sends one key again and again is served each time and charged once, whatever is in the bodies. So
    /// switch it on only where callers are trusted, or where the handlers answer a known key without working again.
    pub const fn idempotency_from_header(mut self, on: bool) -> Self {
        self.callers_keys = on;
        self
    }

    /// Says in responses what is left of the quota that a request used: `RateLimit-Policy` and `RateLimit`, by
    /// [draft 11](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/) of the IETF. Off by default.
    ///
    /// Only responses of metered rules to callers who are known have them, and no redirection. An unlimited quota says
    /// nothing. The window `w` is there for quotas by hour, day and week, whose periods are of one length.
    pub const fn rate_limit_headers(mut self, on: bool) -> Self {
        self.limits = on;
        self
    }

    /// How many refunds and late charges may wait; 10,000 if it is not set. What does not fit is lost, counted and
    /// logged.
    pub const fn settlement_capacity(mut self, capacity: usize) -> Self {
        self.settlement_capacity = capacity;
        self
    }

    /// Lets the extractors `Entitled` and `Metered` ask for features that no rule has asked for. Off by default, because it
    /// costs every request an allocation or two.
    pub const fn extractors(mut self, on: bool) -> Self {
        self.rules.extractors = on;
        self
    }

    /// Answers denials with `deny` (a [`Deny`](crate::Deny) for the body of the server) instead of [`ProblemJson`].
    pub fn deny<E>(self, deny: E) -> EntitlementLayerBuilder<E> {
        EntitlementLayerBuilder {
            entitlements: self.entitlements,
            identify: self.identify,
            anonymous: self.anonymous,
            fail_mode: self.fail_mode,
            rules: self.rules,
            action: self.action,
            context: self.context,
            resource: self.resource,
            challenge: self.challenge,
            callers_keys: self.callers_keys,
            limits: self.limits,
            settlement_capacity: self.settlement_capacity,
            deny,
        }
    }

    /// The layer. One that gates nothing is logged as a warning: it has no rule, lets pass what no rule matches, and lets no
    /// extractor ask.
    ///
    /// # Errors
    ///
    /// [`RuleError`] with every rule that is malformed, conflicts with another, or names what the catalog does not have;
    /// without such, with every [declared](Self::declared) route that has no rule.
    pub fn build(self) -> Result<EntitlementLayer<D>, RuleError> {
        let since = self.entitlements.now();
        let shared = Shared {
            settlements: Settlements::new(self.entitlements.clone(), self.settlement_capacity),
            entitlements: self.entitlements,
            identify: self.identify,
            anonymous: self.anonymous,
            fail_mode: self.fail_mode,
            action: self.action,
            context: self.context,
            resource: self.resource,
            challenge: self.challenge,
            callers_keys: self.callers_keys,
            limits: self.limits,
            since,
            said_missing: AtomicBool::new(false),
        };
        let extractors = self.rules.extractors;
        let gate = Gate::new(Arc::new(shared), self.rules)?;
        let typed = extractors.then(|| Arc::new(TypedGates::new(gate.clone())));
        Ok(EntitlementLayer::new(gate, typed, Arc::new(self.deny)))
    }
}

impl<D> fmt::Debug for EntitlementLayerBuilder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntitlementLayerBuilder")
            .field("fail_mode", &self.fail_mode)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
