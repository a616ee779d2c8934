//! Reading one's own writes behind a load balancer: the revision of a write, which the client carries to whichever process
//! answers next.

mod future;
mod layer;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::facts::Revision;
use entitlements_core::id::CompanyId;
use entitlements_core::{Entitlements, Error};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Response};

pub use future::FreshnessFuture;
pub use layer::{FreshnessLayer, FreshnessService};

/// Carries a revision: in the response to a write, and in the requests that should see it.
pub const REVISION_HEADER: HeaderName = HeaderName::from_static("entitlements-revision");

/// After a revision was asked for that a company does not have, nothing is loaded for such ones for so long.
const PAUSE: TimeDelta = TimeDelta::seconds(1);

/// Of so many companies it is remembered.
const REMEMBERED: usize = 1024;

/// Put among the extensions of a response by a handler that has changed what a company may do; then
/// [`FreshnessLayer`] tells the client the revision of the change.
///
/// With axum: `(Extension(Wrote(revision)), StatusCode::NO_CONTENT)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrote(pub Revision);

/// Catches up with the revision that a request carries. Cheap to clone; clones share everything.
///
/// [`FreshnessLayer`] is built on it. Ask it yourself where the company is not the one that is authenticated.
///
/// The header is written by the caller, so it is not believed: it makes a process load the facts of that one company, and
/// nothing else. What is no number is as good as no header. A revision that the company does not have yet costs one load,
/// and then none for a second.
///
/// ```
/// use entitlements_core::id::CompanyId;
/// use entitlements_core::{Catalog, Entitlements, MemoryStore};
/// use entitlements_tower::{Freshness, REVISION_HEADER};
/// use http::{HeaderMap, HeaderValue};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let catalog: Catalog = "schema = 1\npast_due_grace = \"7d\"\n[features]\nexport = { type = \"flag\" }".parse()?;
/// let entitlements = Entitlements::builder(catalog).store(MemoryStore::default()).build();
/// let freshness = Freshness::new(entitlements);
/// let headers = HeaderMap::from_iter([(REVISION_HEADER, HeaderValue::from_static("41"))]);
/// freshness.catch_up(&headers, &CompanyId::new("acme")?).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Freshness(Arc<Inner>);

struct Inner {
    entitlements: Entitlements,
    in_vain: Mutex<HashMap<CompanyId, DateTime<Utc>>>,
}

impl Freshness {
    /// For the processes' handle.
    #[must_use]
    pub fn new(entitlements: Entitlements) -> Self {
        Self(Arc::new(Inner { entitlements, in_vain: Mutex::default() }))
    }

    /// Makes sure that what comes next about `company` sees every write up to the revision in `headers`, if there is one.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](entitlements_core::ErrorKind::Unavailable) or
    /// [`Internal`](entitlements_core::ErrorKind::Internal) when the facts cannot be loaded, and the last known do not
    /// show the write: whoever has written should not be told that nothing has changed.
    pub async fn catch_up(&self, headers: &HeaderMap, company: &CompanyId) -> Result<(), Error> {
        match self.behind(headers, company) {
            Some(revision) => self.load(company, revision).await,
            None => Ok(()),
        }
    }

    /// The revision to catch up with; nothing if that is not needed.
    fn behind(&self, headers: &HeaderMap, company: &CompanyId) -> Option<Revision> {
        let revision = read(headers)?;
        if self.0.entitlements.shows(company, revision).is_some() {
            return None;
        }
        let now = self.0.entitlements.now();
        let in_vain = self.0.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = in_vain.get(company).is_some_and(|at| now.signed_duration_since(*at).abs() < PAUSE);
        (!lately).then_some(revision)
    }

    async fn load(&self, company: &CompanyId, revision: Revision) -> Result<(), Error> {
        let seen = self.0.entitlements.catch_up(company, revision).await?;
        if seen < revision {
            let now = self.0.entitlements.now();
            let mut in_vain = self.0.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
            if in_vain.len() >= REMEMBERED {
                in_vain.clear();
            }
            in_vain.insert(company.clone(), now);
        }
        Ok(())
    }
}

impl fmt::Debug for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Freshness")
    }
}

/// The revision of a request: one header, of decimal digits.
fn read(headers: &HeaderMap) -> Option<Revision> {
    let mut values = headers.get_all(REVISION_HEADER).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else { return None };
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok().map(Revision)
}

/// Tells the client what the handler has written.
fn tell<B>(mut response: Response<B>) -> Response<B> {
    if let Some(Wrote(revision)) = response.extensions().get::<Wrote>().copied() {
        response.headers_mut().insert(REVISION_HEADER, HeaderValue::from(revision.0));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        values.iter().map(|value| (REVISION_HEADER, HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn a_revision_is_a_number_and_everything_else_is_none() {
        assert_eq!(read(&headers(&[b"0"])), Some(Revision(0)));
        assert_eq!(read(&headers(&[b"18446744073709551615"])), Some(Revision(u64::MAX)));
        let none: [&[&[u8]]; 10] = [
            &[],
            &[b""],
            &[b"+1"],
            &[b"-1"],
            &[b"1.0"],
            &[b"1, 2"],
            &[b"0x1"],
            &[b"18446744073709551616"],
            &[b"1", b"1"],
            &[b"\xd9\xa1"],
        ];
        for values in none {
            assert_eq!(read(&headers(values)), None, "{values:?}");
        }
    }
}
