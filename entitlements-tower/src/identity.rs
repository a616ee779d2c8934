//! Identity: who asks. Authentication has happened before; this only reads what it found.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use entitlements_core::Subject;
use entitlements_core::id::{CompanyId, UserId};
use http::header::HeaderName;
use http::request::Parts;
use http::{Extensions, HeaderMap};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A company, perhaps with a user.
    Subject(Subject),
    /// Nobody who is known: the request is answered with 401, unless the layer has a subject for
    /// [such callers](crate::EntitlementLayerBuilder::anonymous).
    Anonymous,
}

impl From<Subject> for Identity {
    fn from(subject: Subject) -> Self {
        Self::Subject(subject)
    }
}

impl From<Option<Subject>> for Identity {
    fn from(subject: Option<Subject>) -> Self {
        subject.map_or(Self::Anonymous, Self::Subject)
    }
}

/// Why it cannot be said who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The layer that authenticates did not run: a mistake in the program, answered with 500.
    MissingLayer {
        /// The type that was looked for among the request's extensions.
        expected: &'static str,
    },
    /// The request names somebody in a way that cannot be read, answered with 401.
    Malformed(&'static str),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingLayer { expected } => write!(
                f,
                "no `{expected}` in the request's extensions: the layer that authenticates must run before the \
                 entitlement layer; with axum, add it after (below) the entitlement layer, with tonic and \
                 `ServiceBuilder` before (above) it, and make an interceptor a layer"
            ),
            Self::Malformed(why) => write!(f, "malformed identity: {why}"),
        }
    }
}

impl std::error::Error for IdentityError {}

/// Says who asks, from the head of a request.
///
/// A closure is an `Identify`, too. It is synchronous because authentication already ran; what needs I/O belongs there.
///
/// # Contract
///
/// Never take an identity from a part of the request that the caller writes freely.
pub trait Identify: Send + Sync + 'static {
    /// Who asks.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when it cannot be said; nobody at all is [`Identity::Anonymous`], not an error.
    fn identify(&self, parts: &Parts) -> Result<Identity, IdentityError>;

    /// Who asks, where an earlier layer has put the subject itself among the extensions: then nothing is copied. `None`
    /// says nothing, and [`identify`](Self::identify) is asked; whoever is found here is who it would say.
    fn at_hand<'a>(&self, extensions: &'a Extensions) -> Option<&'a Subject> {
        let _ = extensions;
        None
    }
}

impl<F> Identify for F
where
    F: Fn(&Parts) -> Result<Identity, IdentityError> + Send + Sync + 'static,
{
    fn identify(&self, parts: &Parts) -> Result<Identity, IdentityError> {
        self(parts)
    }
}

/// Reads the identity from an extension of the request; made by [`from_extension`].
pub struct FromExtension<T, F> {
    read: F,
    /// Finds the subject in the extension without a copy, where it is there as it is.
    at_hand: Option<fn(&T) -> &Subject>,
    optional: bool,
    extension: PhantomData<fn(T)>,
}

/// Reads the identity from the extension `T`, which an earlier layer has put into the request.
///
/// `read` returns a [`Subject`], an `Option` of one, or an [`Identity`]. A request without a `T` is a mistake in the
/// program and answered with 500, unless the extension is [optional](FromExtension::optional).
///
/// ```
/// use entitlements_core::{Subject, id::CompanyId};
/// use entitlements_tower::{Identify, Identity, from_extension};
///
/// #[derive(Clone)]
/// struct User { company: CompanyId }
///
/// let identify = from_extension(|user: &User| Subject::company(user.company.clone()));
/// let (mut parts, ()) = http::Request::new(()).into_parts();
/// assert!(identify.identify(&parts).is_err());
/// parts.extensions.insert(User { company: CompanyId::new("acme")? });
/// assert!(matches!(identify.identify(&parts), Ok(Identity::Subject(_))));
/// # Ok::<(), entitlements_core::id::InvalidId>(())
/// ```
pub const fn from_extension<T, F, I>(read: F) -> FromExtension<T, F>
where
    T: Send + Sync + 'static,
    F: Fn(&T) -> I + Send + Sync + 'static,
    I: Into<Identity>,
{
    FromExtension { read, at_hand: None, optional: false, extension: PhantomData }
}

/// Reads the [`Subject`] that an earlier layer has put into the request's extensions.
#[must_use]
pub const fn subject_extension() -> FromExtension<Subject, fn(&Subject) -> Subject> {
    FromExtension {
        read: Subject::clone as fn(&Subject) -> Subject,
        at_hand: Some(|subject| subject),
        optional: false,
        extension: PhantomData,
    }
}

impl<T, F> FromExtension<T, F> {
    /// Takes a request without the extension as anonymous: for a layer that adds it only to authenticated requests.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

impl<T, F, I> Identify for FromExtension<T, F>
where
    T: Send + Sync + 'static,
    F: Fn(&T) -> I + Send + Sync + 'static,
    I: Into<Identity>,
{
    fn identify(&self, parts: &Parts) -> Result<Identity, IdentityError> {
        match parts.extensions.get::<T>() {
            Some(extension) => Ok((self.read)(extension).into()),
            None if self.optional => Ok(Identity::Anonymous),
            None => Err(IdentityError::MissingLayer { expected: type_name::<T>() }),
        }
    }

    fn at_hand<'a>(&self, extensions: &'a Extensions) -> Option<&'a Subject> {
        self.at_hand.and_then(|at_hand| extensions.get::<T>().map(at_hand))
    }
}

impl<T, F> fmt::Debug for FromExtension<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromExtension")
            .field("extension", &type_name::<T>())
            .field("optional", &self.optional)
            .finish_non_exhaustive()
    }
}

/// Reads the identity from headers that are trusted blindly; made by [`header_trusted`].
#[derive(Clone, Debug)]
pub struct TrustedHeader {
    company: HeaderName,
    user: Option<HeaderName>,
}

/// Takes the company from a header, as it is.
///
/// **Whoever can send the header can be any company.** Only for demonstrations, and behind a proxy that removes the
/// header from what comes from outside and sets it itself. A request with the header twice is refused.
///
/// # Panics
///
/// When `company` is no header name in lower case, as [`HeaderName::from_static`] does.
#[must_use]
pub fn header_trusted(company: &'static str) -> TrustedHeader {
    TrustedHeader { company: HeaderName::from_static(company), user: None }
}

impl TrustedHeader {
    /// Takes the user from another header, if it is there.
    ///
    /// # Panics
    ///
    /// When `user` is no header name in lower case, as [`HeaderName::from_static`] does.
    #[must_use]
    pub fn with_user(mut self, user: &'static str) -> Self {
        self.user = Some(HeaderName::from_static(user));
        self
    }
}

impl Identify for TrustedHeader {
    fn identify(&self, parts: &Parts) -> Result<Identity, IdentityError> {
        let Some(company) = only_value(&parts.headers, &self.company)? else {
            return Ok(Identity::Anonymous);
        };
        let company =
            CompanyId::new(company).map_err(|_| IdentityError::Malformed("the company is no id"))?;
        let user = match &self.user {
            Some(header) => only_value(&parts.headers, header)?,
            None => None,
        };
        let user = user.map(UserId::new).transpose();
        let user = user.map_err(|_| IdentityError::Malformed("the user is no id"))?;
        Ok(Identity::Subject(Subject { company, user }))
    }
}

/// The value of a header that may be there once.
fn only_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, IdentityError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(IdentityError::Malformed("a header is there more than once"));
    }
    std::str::from_utf8(value.as_bytes())
        .map(Some)
        .map_err(|_| IdentityError::Malformed("a header is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = http::Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_header_twice_is_refused() {
        let identify = header_trusted("x-company").with_user("x-user");
        let twice = parts(&[("x-company", "acme"), ("x-company", "acme")]);
        assert!(matches!(identify.identify(&twice), Err(IdentityError::Malformed(_))));
        let user_twice = parts(&[("x-company", "acme"), ("x-user", "a"), ("x-user", "b")]);
        assert!(matches!(identify.identify(&user_twice), Err(IdentityError::Malformed(_))));
    }

    #[test]
    fn without_the_header_nobody_asks() {
        assert_eq!(header_trusted("x-company").identify(&parts(&[])), Ok(Identity::Anonymous));
    }

    #[test]
    fn a_header_that_is_no_id_is_refused() {
        let empty = parts(&[("x-company", "")]);
        assert!(matches!(header_trusted("x-company").identify(&empty), Err(IdentityError::Malformed(_))));
    }

    #[test]
    fn an_optional_extension_may_be_missing() {
        assert_eq!(subject_extension().optional().identify(&parts(&[])), Ok(Identity::Anonymous));
        let error = subject_extension().identify(&parts(&[])).unwrap_err();
        assert!(error.to_string().contains("entitlements_core::request::Subject"), "{error}");
    }
}
