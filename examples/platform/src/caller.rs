//! Callers: who asks, and what their role lets them do.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use entitlements_core::Subject;
use entitlements_core::id::{CompanyId, UserId};

use crate::problem::Rejection;

/// What a caller may do beside asking about its own company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing else.
    Member,
    /// Change the subscription of its company.
    Billing,
    /// Count usage of its company.
    Service,
    /// Everything, for every company.
    Admin,
}

impl Role {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Billing => "billing",
            Self::Service => "service",
            Self::Admin => "admin",
        }
    }

    /// The role of that word, if there is one.
    pub(crate) fn named(word: &str) -> Option<Self> {
        [Self::Member, Self::Billing, Self::Service, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// Who asks, as a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) company: CompanyId,
    pub(crate) user: UserId,
    pub(crate) role: Role,
}

impl Caller {
    pub(crate) fn subject(&self) -> Subject {
        Subject::user(self.company.clone(), self.user.clone())
    }

    /// Refuses what is not about the caller's own company. The answer does not tell whether the company exists.
    pub(crate) fn must_own(&self, company: &CompanyId) -> Result<(), Rejection> {
        if self.role == Role::Admin || self.company == *company {
            Ok(())
        } else {
            Err(Rejection::forbidden())
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!("a handler that needs a caller is not behind the layer that authenticates");
            Rejection::internal()
        })
    }
}

/// A caller that is an administrator. Taken before the body, so that others are refused whatever they send.
#[derive(Clone, Debug)]
pub(crate) struct Admin;

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        match Caller::from_request_parts(parts, state).await?.role {
            Role::Admin => Ok(Self),
            _ => Err(Rejection::forbidden()),
        }
    }
}

/// A caller that may count usage: a service, of its own company, or an administrator.
#[derive(Clone, Debug)]
pub(crate) struct Metering(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Metering {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let caller = Caller::from_request_parts(parts, state).await?;
        match caller.role {
            Role::Service | Role::Admin => Ok(Self(caller)),
            Role::Member | Role::Billing => Err(Rejection::forbidden()),
        }
    }
}

/// A caller that may change what is paid for: with the role, of its own company, or an administrator.
#[derive(Clone, Debug)]
pub(crate) struct Buying(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Buying {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let caller = Caller::from_request_parts(parts, state).await?;
        match caller.role {
            Role::Billing | Role::Admin => Ok(Self(caller)),
            Role::Member | Role::Service => Err(Rejection::forbidden()),
        }
    }
}
