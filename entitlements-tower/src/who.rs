//! Who asks, as a gate takes it: somebody who is known, or the subject that stands for everybody else.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use entitlements_core::Subject;
use http::request::Parts;

use crate::denial::Denial;
use crate::gate::Shared;
use crate::identity::{Identity, IdentityError};

/// Whose entitlements count.
pub(crate) struct Who<'a> {
    pub(crate) subject: Cow<'a, Subject>,
    /// Whether the caller is this subject, and may be told about its plan.
    pub(crate) known: bool,
}

impl Shared {
    pub(crate) fn who<'a>(&'a self, parts: &'a Parts) -> Result<Who<'a>, Denial> {
        if let Some(subject) = self.identify.at_hand(&parts.extensions) {
            return Ok(Who { subject: Cow::Borrowed(subject), known: true });
        }
        match self.identify.identify(parts) {
            Ok(Identity::Subject(subject)) => return Ok(Who { subject: Cow::Owned(subject), known: true }),
            Ok(Identity::Anonymous) => {
                if let Some(subject) = &self.anonymous {
                    return Ok(Who { subject: Cow::Borrowed(subject), known: false });
                }
                tracing::info!("denied: nobody who is known asks");
            }
            Err(error @ IdentityError::MissingLayer { .. }) => {
                if !self.said_missing.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "requests cannot be identified (said once)");
                }
                return Err(Denial::Internal);
            }
            Err(error) => tracing::info!(%error, "denied: nobody who is known asks"),
        }
        Err(self.unauthenticated())
    }

    /// What a caller is told of a denial: one who is not known may become so, and hears nothing of plans.
    pub(crate) fn told(&self, known: bool, denial: Denial) -> Denial {
        match denial {
            Denial::NotEntitled { .. } if !known => self.unauthenticated(),
            denial => denial,
        }
    }

    fn unauthenticated(&self) -> Denial {
        Denial::Unauthenticated { challenge: self.challenge.clone() }
    }
}
