//! Telling clients the revision of what they have written, so that whichever process answers next shows it.

use axum::Extension;
use entitlements_core::facts::Revision;
use entitlements_core::id::CompanyId;
use entitlements_tower::Wrote;

use crate::app::App;

/// A part of the response to a write.
pub(crate) type Written = Extension<Wrote>;

/// The revision that the write returned.
pub(crate) const fn at(revision: Revision) -> Written {
    Extension(Wrote(revision))
}

/// A revision that shows what was just written about a company; nothing if it cannot be known now.
pub(crate) async fn of(app: &App, company: &CompanyId) -> Option<Written> {
    app.entitlements.revision(company).await.ok().map(at)
}
