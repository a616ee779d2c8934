//! Answering denials.

use http::Response;
use http::request::Parts;

use crate::denial::Denial;
use crate::grpc;
use crate::matching::RequestPath;

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

/// Answers with `application/problem+json`, and gRPC calls with their status: the default.
///
/// Works for every body that can be made from text, such as axum's `Body` and `Full<Bytes>`.
#[derive(Clone, Debug, Default)]
pub struct ProblemJson {
    types: Option<String>,
}

impl ProblemJson {
    /// Answers with problems of the type `about:blank`.
    #[must_use]
    pub const fn new() -> Self {
        Self { types: None }
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
        self.types = Some(base.into());
        self
    }
}

impl<B: From<String>> Deny<B> for ProblemJson {
    fn respond(&self, denial: &Denial, parts: &Parts) -> Response<B> {
        if grpc::is_grpc(parts) {
            return grpc::respond(denial, B::from(String::new()));
        }
        let mut problem = denial.problem().instance(RequestPath::of(parts).raw);
        if let Some(base) = &self.types {
            problem = problem.type_uri(format!("{base}{}", denial.code()));
        }
        problem.into_response()
    }
}

/// Answers every request as a gRPC call, with an empty body: for servers that speak nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcStatus;

impl<B: Default> Deny<B> for GrpcStatus {
    fn respond(&self, denial: &Denial, _: &Parts) -> Response<B> {
        grpc::respond(denial, B::default())
    }
}
