//! Events: that something happened to an object.
//!
//! Only what names the object is read. How the object looks is asked for, because the endpoint that sends the event has
//! a version of its own.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::expandable::identified;

/// An event of either kind.
#[derive(Clone, Debug)]
pub enum Event {
    /// With a copy of the object.
    V1(Box<V1Event>),
    /// With the id of the object alone.
    Thin(Box<ThinEvent>),
}

/// Tells the two kinds apart.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    object: std::borrow::Cow<'a, str>,
}

impl Event {
    /// Reads an event from the body of a webhook. Check the signature first.
    ///
    /// # Errors
    ///
    /// When the text is no JSON, or no event.
    pub fn from_slice(body: &[u8]) -> Result<Self, serde_json::Error> {
        let kind: Kind<'_> = serde_json::from_slice(body)?;
        match kind.object.as_ref() {
            "v2.core.event" => serde_json::from_slice(body).map(|event| Self::Thin(Box::new(event))),
            "event" => serde_json::from_slice(body).map(|event| Self::V1(Box::new(event))),
            _ => Err(serde::de::Error::custom("`object` is neither `event` nor `v2.core.event`")),
        }
    }

    /// The id, by which copies are known.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::V1(event) => &event.id,
            Self::Thin(event) => &event.id,
        }
    }

    /// What happened, for example `invoice.paid`.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::V1(event) => &event.kind,
            Self::Thin(event) => &event.kind,
        }
    }

    /// When it happened. Several events have the same second, so this is no order.
    #[must_use]
    pub fn created(&self) -> DateTime<Utc> {
        match self {
            Self::V1(event) => event.created,
            Self::Thin(event) => event.created,
        }
    }

    /// Whether it is of the live mode.
    #[must_use]
    pub fn livemode(&self) -> bool {
        match self {
            Self::V1(event) => event.livemode,
            Self::Thin(event) => event.livemode,
        }
    }

    /// The id of the object that it happened to.
    #[must_use]
    pub fn object_id(&self) -> Option<&str> {
        match self {
            Self::V1(event) => event.data.object.id.as_deref(),
            Self::Thin(event) => event.related_object.as_ref().map(|related| related.id.as_str()),
        }
    }

    /// The customer that the object names, if it names one; the object itself if it is a customer.
    #[must_use]
    pub fn customer_id(&self) -> Option<&str> {
        match self {
            Self::V1(event) => {
                let object = &event.data.object;
                if object.kind.as_deref() == Some("customer") {
                    object.id.as_deref()
                } else {
                    object.customer.as_ref().map(AnyId::as_str)
                }
            }
            Self::Thin(event) => {
                let related = event.related_object.as_ref()?;
                (related.kind == "customer").then_some(related.id.as_str())
            }
        }
    }
}

/// An event with a copy of the object, of which only names are read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct V1Event {
    /// `evt_…`
    pub id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    #[serde(with = "super::time")]
    pub created: DateTime<Utc>,
    /// Whether it is of the live mode.
    #[serde(default)]
    pub livemode: bool,
    /// The version in which the object was written.
    #[serde(default)]
    pub api_version: Option<String>,
    /// The connected account, if the event is of one.
    #[serde(default)]
    pub account: Option<String>,
    /// What caused it.
    #[serde(default)]
    pub request: Option<EventRequest>,
    data: EventData,
}

impl V1Event {
    /// What is read of the object.
    #[must_use]
    pub const fn object(&self) -> &EventObject {
        &self.data.object
    }

    /// The values that were replaced, as they came.
    #[must_use]
    pub fn previous_attributes(&self) -> Option<&str> {
        self.data.previous_attributes.as_deref().map(RawValue::get)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct EventData {
    object: EventObject,
    #[serde(default)]
    previous_attributes: Option<Box<RawValue>>,
}

/// What is read of an event's object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventObject {
    /// The id; a few objects have none.
    #[serde(default)]
    pub id: Option<String>,
    /// The kind, for example `subscription`.
    #[serde(default, rename = "object")]
    pub kind: Option<String>,
    #[serde(default)]
    customer: Option<AnyId>,
}

/// An id, alone or inside an object.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum AnyId {
    Text(String),
    Object { id: String },
}

impl AnyId {
    fn as_str(&self) -> &str {
        match self {
            Self::Text(id) | Self::Object { id } => id,
        }
    }
}

/// What caused an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RequestForm")]
pub struct EventRequest {
    /// The request; absent if Stripe did it by itself.
    pub id: Option<String>,
    /// The key that came with the request.
    pub idempotency_key: Option<String>,
}

/// Before 2017 the request was its id alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum RequestForm {
    Id(String),
    Whole {
        #[serde(default)]
        id: Option<String>,
        #[serde(default)]
        idempotency_key: Option<String>,
    },
}

impl From<RequestForm> for EventRequest {
    fn from(form: RequestForm) -> Self {
        match form {
            RequestForm::Id(id) => Self { id: Some(id), idempotency_key: None },
            RequestForm::Whole { id, idempotency_key } => Self { id, idempotency_key },
        }
    }
}

/// An event that names the object alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ThinEvent {
    /// `evt_…`
    pub id: String,
    /// What happened, for example `v1.billing.meter.error_report_triggered`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When; a text here, not a number.
    pub created: DateTime<Utc>,
    /// Whether it is of the live mode.
    #[serde(default)]
    pub livemode: bool,
    /// What it happened to.
    #[serde(default)]
    pub related_object: Option<RelatedObject>,
}

/// The object of a thin event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelatedObject {
    /// The id.
    pub id: String,
    /// The kind, for example `billing.meter`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it can be fetched.
    #[serde(default)]
    pub url: Option<String>,
}

identified!(V1Event, ThinEvent);
