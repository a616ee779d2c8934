//! Requests: the one question, with everything that may matter for its answer.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::dictionary::Label;
use crate::id::{CompanyId, UserId};
use crate::{Action, Amount};

/// Who is entitled: a company, and perhaps one of its users.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The company.
    pub company: CompanyId,
    /// The user, if one is known.
    pub user: Option<UserId>,
}

impl Subject {
    /// A company as such.
    #[must_use]
    pub const fn company(company: CompanyId) -> Self {
        Self { company, user: None }
    }

    /// A user of a company.
    #[must_use]
    pub const fn user(company: CompanyId, user: UserId) -> Self {
        Self { company, user: Some(user) }
    }
}

/// The circumstances of a request: attributes that conditions read as `context.a.b`.
///
/// ```
/// use entitlements_core::Context;
/// use serde_json::json;
///
/// let context = Context::from_json(json!({"region": "eu", "device": {"trusted": true}})).unwrap();
/// assert_eq!(context.get(["device", "trusted"]), Some(&json!(true)));
/// assert_eq!(context.get(["device", "os"]), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context(serde_json::Map<String, serde_json::Value>);

static NO_CONTEXT: LazyLock<Context> = LazyLock::new(Context::default);

impl Context {
    /// No attributes.
    #[must_use]
    pub fn empty() -> &'static Self {
        &NO_CONTEXT
    }

    /// The attributes of a JSON object; `None` if the value is no object.
    #[must_use]
    pub fn from_json(value: serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Object(map) => Some(Self(map)),
            _ => None,
        }
    }

    /// Sets an attribute.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The attribute of that name, inside of nothing; `null` is one.
    #[inline]
    pub(crate) fn attribute(&self, name: &Label) -> Option<&serde_json::Value> {
        // Up to so many names, most of which differ in length, looking at each is faster than finding one's place.
        const FEW: usize = 8;
        if self.0.len() > FEW {
            return self.0.get(name.as_str());
        }
        self.0.iter().find(|(other, _)| name.is(other)).map(|(_, value)| value)
    }

    /// The attribute at `path`. `null`, and a path through something that is no object, count as absent.
    pub fn get<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Option<&serde_json::Value> {
        let mut path = path.into_iter();
        let mut value = self.0.get(path.next()?)?;
        for name in path {
            value = value.as_object()?.get(name)?;
        }
        if value.is_null() { None } else { Some(value) }
    }
}

/// May this subject do this, now?
///
/// A request borrows everything, so asking allocates nothing.
///
/// ```
/// use entitlements_core::{Action, Amount, Request, Subject, id::CompanyId};
///
/// let acme = Subject::company(CompanyId::new("acme")?);
/// let request = Request::new(&acme, "reports", Action::Create).with_amount(Amount::ONE);
/// assert_eq!(request.feature, "reports");
/// # Ok::<(), entitlements_core::id::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub subject: &'a Subject,
    /// For which feature, by name.
    pub feature: &'a str,
    /// To do what.
    pub action: Action,
    /// With which resource.
    pub resource: Option<&'a str>,
    /// For how many units; 0 asks only whether the feature is included. Flags and values ignore it.
    pub amount: Amount,
    /// Under which circumstances.
    pub context: &'a Context,
}

impl<'a> Request<'a> {
    /// A request for one unit, without resource and context.
    #[must_use]
    pub fn new(subject: &'a Subject, feature: &'a str, action: Action) -> Self {
        Self { subject, feature, action, resource: None, amount: Amount::ONE, context: Context::empty() }
    }

    /// Names the resource.
    #[must_use]
    pub const fn with_resource(mut self, resource: &'a str) -> Self {
        self.resource = Some(resource);
        self
    }

    /// Sets how many units are asked for.
    #[must_use]
    pub const fn with_amount(mut self, amount: Amount) -> Self {
        self.amount = amount;
        self
    }

    /// Sets the circumstances.
    #[must_use]
    pub const fn with_context(mut self, context: &'a Context) -> Self {
        self.context = context;
        self
    }
}
