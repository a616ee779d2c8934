//! Authentication: turns the token of a request into a caller, or answers 401.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use entitlements_core::observer::TurnedAway;

use crate::app::App;
use crate::caller::Caller;
use crate::problem::Rejection;
use crate::token::Tokens;

/// Puts the [`Caller`] and its subject into the extensions of the request.
pub(crate) async fn authenticate(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Rejection> {
    // The gate never sees these, so they are counted here.
    let caller = caller(&app.tokens, request.headers())
        .inspect_err(|_| app.entitlements.turned_away(None, TurnedAway::Unauthenticated))?;
    let extensions = request.extensions_mut();
    extensions.insert(caller.subject());
    extensions.insert(caller);
    Ok(next.run(request).await)
}

fn caller(tokens: &Tokens, headers: &HeaderMap) -> Result<Caller, Rejection> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Rejection::no_token()) };
    let invalid = |why: &str| Rejection::bad_token(why);
    if values.next().is_some() {
        return Err(invalid("there is more than one Authorization header"));
    }
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    let Some((scheme, token)) = token else { return Err(invalid("a Bearer token is needed")) };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(invalid("a Bearer token is needed"));
    }
    tokens.read(token.trim_start_matches(' ')).map_err(|refused| invalid(&refused.to_string()))
}
