//! What names an event, read in one pass over bytes that were found genuine.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use entitlements_core::billing::NewEvent;
use entitlements_core::id::{EventId, MAX_ID_BYTES};
use serde::Deserialize;

use super::WebhookError;
use crate::signature::{SigningSecret, Tolerance, verify};
use crate::wire::time;

/// What names an event and its object, borrowed from the body. Both kinds of events have one.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    payload: &'a str,
    form: Form<'a>,
}

#[derive(Clone, Debug, Deserialize)]
struct Form<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    created: Created,
    #[serde(default)]
    livemode: bool,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
    #[serde(borrow, default)]
    related_object: Option<Related<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Data<'a> {
    /// Events that only name their object say something else here.
    #[serde(borrow, default)]
    object: Option<Object<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default, rename = "object")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    customer: Option<AnyId<'a>>,
}

/// A text that is copied only if it has escapes. An `Option<Cow>` would always be copied.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Object<'_> {
    fn id(&self) -> Option<&str> {
        self.id.as_ref().map(|id| id.0.as_ref())
    }
}

/// An id, or the object that has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum AnyId<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Object {
        #[serde(borrow)]
        id: Cow<'a, str>,
    },
}

#[derive(Clone, Debug, Deserialize)]
struct Related<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// A number of seconds, or a text, as the kind of event has it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Created {
    Seconds(i64),
    Text(DateTime<Utc>),
}

impl<'a> Form<'a> {
    /// The copy of the object, of the kind of events that have one.
    fn object(&self) -> Option<&Object<'a>> {
        if self.object == "event" { self.data.as_ref()?.object.as_ref() } else { None }
    }
}

impl<'a> Envelope<'a> {
    /// Checks a body as [`verify`] does, and reads what names the event, in one pass. Nothing is copied, and nothing is
    /// stored.
    ///
    /// # Errors
    ///
    /// When the body is not signed with one of `secrets` at about `now`, or is no event.
    ///
    /// ```
    /// use billing_stripe::signature::{SigningSecret, Tolerance, sign};
    /// use billing_stripe::webhook::Envelope;
    ///
    /// let body = br#"{"id": "evt_1", "object": "event", "type": "invoice.paid", "created": 1790000000,
    ///     "data": {"object": {"id": "in_1"}}}"#;
    /// let secrets = [SigningSecret::new("whsec_example")?];
    /// let now = "2026-11-07T09:00:00Z".parse()?;
    /// let signature = sign(body, &secrets[0], now);
    ///
    /// let envelope = Envelope::verified(body, &signature, &secrets, now, Tolerance::DEFAULT)?;
    /// assert_eq!((envelope.id(), envelope.kind()), ("evt_1", "invoice.paid"));
    /// assert_eq!(envelope.object_id(), Some("in_1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verified(
        body: &'a [u8],
        signature: &str,
        secrets: &[SigningSecret],
        now: DateTime<Utc>,
        tolerance: Tolerance,
    ) -> Result<Self, WebhookError> {
        verify(body, signature, secrets, now, tolerance)?;
        Self::read(body)
    }

    /// Reads what names the event. Check the signature first.
    ///
    /// # Errors
    ///
    /// When the body is no event.
    pub fn read(body: &'a [u8]) -> Result<Self, WebhookError> {
        let payload = std::str::from_utf8(body).map_err(no_event)?;
        let form: Form<'a> = serde_json::from_str(payload).map_err(no_event)?;
        match form.object.as_ref() {
            "event" if form.object().is_none() => return Err(no_event("`data.object` is missing")),
            "event" | "v2.core.event" => {}
            _ => return Err(no_event("`object` is neither `event` nor `v2.core.event`")),
        }
        if form.kind.is_empty() || form.kind.len() > MAX_ID_BYTES {
            return Err(no_event("`type` must have 1 to 255 bytes"));
        }
        Ok(Self { payload, form })
    }

    /// The id, by which copies are known.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.form.id
    }

    /// What happened, for example `invoice.paid`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.form.kind
    }

    /// When it happened.
    #[must_use]
    pub fn created(&self) -> DateTime<Utc> {
        match self.form.created {
            Created::Seconds(seconds) => time::at(seconds),
            Created::Text(instant) => instant,
        }
    }

    /// Whether it is of the live mode.
    #[must_use]
    pub const fn livemode(&self) -> bool {
        self.form.livemode
    }

    /// The id of the object that it happened to.
    #[must_use]
    pub fn object_id(&self) -> Option<&str> {
        match self.form.object() {
            Some(object) => object.id(),
            None => self.form.related_object.as_ref().map(|related| related.id.as_ref()),
        }
    }

    /// The customer that the object names, if it names one; the object itself if it is a customer.
    #[must_use]
    pub fn customer_id(&self) -> Option<&str> {
        match self.form.object() {
            Some(object) if object.kind.as_ref().is_some_and(|kind| kind.0 == "customer") => object.id(),
            Some(object) => match object.customer.as_ref()? {
                AnyId::Text(id) | AnyId::Object { id } => Some(id),
            },
            None => {
                let related = self.form.related_object.as_ref().filter(|it| it.kind == "customer");
                related.map(|related| related.id.as_ref())
            }
        }
    }

    /// The event as the ledger keeps it.
    pub(super) fn to_new_event(&self) -> Result<NewEvent, WebhookError> {
        Ok(NewEvent {
            id: EventId::new(self.id()).map_err(no_event)?,
            kind: self.kind().to_owned(),
            livemode: self.livemode(),
            object: self.object_id().map(str::to_owned),
            customer: self.customer_id().map(str::to_owned),
            created_at: self.created(),
            payload: self.payload.to_owned(),
        })
    }
}

fn no_event(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> WebhookError {
    WebhookError::NoEvent(error.into())
}
