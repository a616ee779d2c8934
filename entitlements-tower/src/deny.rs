//! Answering denials.

use http::Response;
use http::request::Parts;

use crate::denial::Denial;
use crate::grpc;
use crate::matching::RequestPath;
use crate::problem::Problem;

/// Answers a request that is denied. A closure is a `Deny`, too.
pub trait Deny<B>: Send + Sync + 'static {
    /// The response; `parts` is the head of the request.
    fn respond(&self, denial: &Denial, parts: &Parts) -> Response<B>;
}

impl<B, F> Deny<B> for F
where
    F: Fn(&Denial, &Parts) -> Response<B> + Send + Sync + 'static,
{
    fn respond(&self, denial: &Denial, parts: &Parts) -> Response<B> {
        self(denial, parts)
    }
}

/// The type of problem that the draft of `RateLimit` names for a quota that is used up, for
/// [`ProblemJson::type_for`]; the body then has `violated-policies`, too.
///
/// From draft-ietf-httpapi-ratelimit-headers-11, section 5.1.
pub const QUOTA_EXCEEDED_TYPE: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// Answers with `application/problem+json`, and gRPC calls with their status: the default.
///
/// Works for every body that can be made from text, such as axum's `Body` and `Full<Bytes>`.
#[derive(Clone, Debug, Default)]
pub struct ProblemJson {
    base: Option<String>,
    types: Vec<(String, String)>,
}

impl ProblemJson {
    /// Answers with problems of the type `about:blank`, whose `code` tells programs what they are.
    ///
    /// For that type RFC 9457 (section 4.2.1) recommends a `title` that is the phrase of the status, such as `Payment Required`.
    /// The titles here say more than that. Whoever wants them to be by the letter gives each problem a type, with
    /// [`type_base`](Self::type_base).
    #[must_use]
    pub const fn new() -> Self {
        Self { base: None, types: Vec::new() }
    }

    /// Gives each problem a type of its own: `base` followed by its code, where a page should describe it.
    ///
    /// ```
    /// use entitlements_tower::ProblemJson;
    ///
    /// let deny = ProblemJson::new().type_base("https://docs.example.com/problems/");
    /// ```
    #[must_use]
    pub fn type_base(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into());
        self
    }

    /// Gives problems with this code a type of their own.
    ///
    /// ```
    /// use entitlements_tower::{ProblemJson, QUOTA_EXCEEDED_TYPE};
    ///
    /// let deny = ProblemJson::new().type_for("quota_exceeded", QUOTA_EXCEEDED_TYPE);
    /// ```
    #[must_use]
    pub fn type_for(mut self, code: impl Into<String>, uri: impl Into<String>) -> Self {
        self.types.push((code.into(), uri.into()));
        self
    }

    /// The problem of a denial, with the type that was set for it.
    #[must_use]
    pub fn problem(&self, denial: &Denial) -> Problem {
        let problem = denial.problem();
        let code = denial.code();
        if let Some((_, uri)) = self.types.iter().find(|(of, _)| of == code) {
            let quota = denial.decision().and_then(|decision| decision.quota.as_ref());
            let problem = match quota {
                Some(quota) if uri == QUOTA_EXCEEDED_TYPE => {
                    problem.field("violated-policies", [quota.meter].as_slice())
                }
                _ => problem,
            };
            return problem.type_uri(uri.clone());
        }
        match &self.base {
            Some(base) => problem.type_uri(format!("{base}{code}")),
            None => problem,
        }
    }
}

impl<B: From<String>> Deny<B> for ProblemJson {
    fn respond(&self, denial: &Denial, parts: &Parts) -> Response<B> {
        if grpc::is_grpc(parts) {
            return grpc::respond(denial, parts, B::from(String::new()));
        }
        self.problem(denial).instance(RequestPath::of(parts).raw).into_response()
    }
}

/// Answers every request as a gRPC call, with an empty body: for servers that speak nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcStatus;

impl<B: Default> Deny<B> for GrpcStatus {
    fn respond(&self, denial: &Denial, parts: &Parts) -> Response<B> {
        grpc::respond(denial, parts, B::default())
    }
}
