//! Webhooks: from the bytes and the header to an event that can be believed.

use std::hint::black_box;

use billing_stripe::signature::{SigningSecret, Tolerance, sign, verify};
use billing_stripe::webhook::Envelope;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use crate::Failure;
use crate::frame::{Claim, Contender, Field, Pace, Section, Table, Target};

const ROUNDS: usize = 61;
const SECRET: &str = "whsec_of_the_benchmark";
/// `customer.subscription.updated`, as Stripe writes it.
const BODY: &str = include_str!("event.json");
const RAW: &str = "raw: HMAC-SHA256 and serde of the envelope";
const OURS: &str = "billing-stripe";
#[cfg(feature = "peers")]
const THEIRS: &str = "async-stripe-webhook";

/// What has to be read of an event to find out what to do about it.
#[derive(Debug, Deserialize)]
struct Least<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    created: i64,
    livemode: bool,
    data: Data<'a>,
}

#[derive(Debug, Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: Object<'a>,
}

#[derive(Debug, Deserialize)]
struct Object<'a> {
    id: &'a str,
}

/// A header and the instant at which it is checked.
struct Delivery {
    header: String,
    now: DateTime<Utc>,
}

pub(crate) fn run(pace: Pace) -> Result<Section, Failure> {
    let mut section = Section::new("Webhook");
    section.say(format!(
        "A `customer.subscription.updated` of {} bytes, as Stripe writes it: its signature is checked and it is read. The raw \
         side computes one HMAC-SHA256, compares it in constant time, and reads id, type, time, mode and the id of the object. \
         async-stripe reads the whole subscription into its types, which ours does not do: it fetches the object again.",
        BODY.len()
    ));
    let signing = SigningSecret::new(SECRET)?;
    let secret = [signing.clone()];
    let deliveries: Vec<Delivery> = (0..256)
        .map(|second| {
            let now = "2026-11-24T12:00:00Z".parse::<DateTime<Utc>>()? + chrono::TimeDelta::seconds(second);
            Ok(Delivery { header: sign(BODY.as_bytes(), &signing, now), now })
        })
        .collect::<Result<_, Failure>>()?;
    for delivery in &deliveries {
        let (one, two) = (raw(delivery).ok_or("the raw side refuses")?, ours(delivery, &secret)?);
        let (id, kind) = (two.id(), two.kind());
        let same = (one.id, one.kind, one.created, one.livemode, Some(one.data.object.id))
            == (id, kind, two.created().timestamp(), two.livemode(), two.object_id());
        #[cfg(feature = "peers")]
        let same = same && theirs(delivery)?.id.as_str() == id;
        if !same {
            return Err("the sides read different events".into());
        }
    }
    let first = deliveries.first().ok_or("no deliveries")?;
    let forged = Delivery { header: first.header.replace("v1=", "v1=0"), now: first.now };
    if raw(&forged).is_some() || ours(&forged, &secret).is_ok() {
        return Err("a forged signature is believed".into());
    }
    let mut contenders = vec![
        Contender::new(RAW, &deliveries, |delivery| black_box(raw(delivery)).is_some()),
        Contender::new(OURS, &deliveries, |delivery| black_box(ours(delivery, &secret)).is_ok()),
    ];
    #[cfg(feature = "peers")]
    contenders.push(Contender::new(THEIRS, &deliveries, |delivery| black_box(theirs(delivery)).is_ok()));
    // Where the time goes: the signature alone.
    contenders.push(Contender::new("of which the signature, ours", &deliveries, |delivery| {
        verify(BODY.as_bytes(), &delivery.header, &secret, delivery.now, Tolerance::DEFAULT)
    }));
    let field = Field::race(pace, ROUNDS, contenders);
    section.show(&Table::of(&field, RAW));
    section.claims.push(Claim::ratio(
        "webhook, verify and parse",
        "against raw HMAC-SHA256 and serde of the envelope",
        Target::AtMost(1.2),
        field.of(OURS)?.ratio_to(field.of(RAW)?),
        "more is read of the object: its kind and its customer, which may be a text or an object; and the body is checked to be text",
    ));
    Ok(section)
}

/// As little as it takes.
fn raw(delivery: &Delivery) -> Option<Least<'static>> {
    let (time, signature) = delivery.header.strip_prefix("t=")?.split_once(",v1=")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).ok()?;
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(BODY.as_bytes());
    let mut claimed = [0; 32];
    for (byte, pair) in claimed.iter_mut().zip(signature.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    mac.verify_slice(&claimed).ok()?;
    let age = delivery.now.timestamp().checked_sub(time.parse().ok()?)?;
    if signature.len() != 64 || age.abs() > 300 {
        return None;
    }
    serde_json::from_str(BODY).ok()
}

fn ours(delivery: &Delivery, secret: &[SigningSecret]) -> Result<Envelope<'static>, Failure> {
    let tolerance = Tolerance::DEFAULT;
    Ok(Envelope::verified(BODY.as_bytes(), &delivery.header, secret, delivery.now, tolerance)?)
}

#[cfg(feature = "peers")]
fn theirs(delivery: &Delivery) -> Result<stripe_webhook::Event, Failure> {
    let now = delivery.now.timestamp();
    Ok(stripe_webhook::Webhook::construct_event_with_timestamp(BODY, &delivery.header, SECRET, now)?)
}
