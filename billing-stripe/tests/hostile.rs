//! Bytes of anybody: no header and no body makes the reader of webhooks panic, and nothing unsigned is believed.

use billing_stripe::signature::{SignatureError, SigningSecret, Tolerance, sign, verify};
use billing_stripe::webhook::{Envelope, WebhookError};
use billing_stripe::wire::{Event, MeterErrorReport};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

#[cfg(test)]
fn secret() -> SigningSecret {
    SigningSecret::new("whsec_ours").unwrap()
}

#[cfg(test)]
fn now() -> DateTime<Utc> {
    "2026-11-07T09:00:00Z".parse().unwrap()
}

fn checked(body: &[u8], header: &str) -> Result<(), SignatureError> {
    verify(body, header, &[secret()], now(), Tolerance::DEFAULT)
}

/// Parts that headers are made of, and what they are not.
fn header() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "t=[0-9]{0,20}",
        "t=-?[0-9]{1,3}",
        "v1=[0-9a-f]{64}",
        "v1=[0-9a-fA-F]{0,70}",
        "v0=[0-9a-f]{64}",
        "[a-z0-9=, ]{0,12}",
        "\\PC{0,8}",
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.join(","))
}

/// Values that events have, where they have them and elsewhere.
fn value(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("\"event\"".to_owned()),
        Just("\"v2.core.event\"".to_owned()),
        Just("\"customer\"".to_owned()),
        Just("\"2026-01-10T00:00:00Z\"".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        "[a-z_0-9\\\\\"é]{0,6}".prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(depth, 24, 6, |inner| {
        let keys = prop_oneof![
            Just("id"),
            Just("object"),
            Just("type"),
            Just("created"),
            Just("livemode"),
            Just("data"),
            Just("customer"),
            Just("related_object"),
            Just("reason"),
            Just("error_types"),
            Just("x"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((keys, inner), 0..7).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_made_up_header_is_refused(body in prop::collection::vec(any::<u8>(), 0..64), header in header()) {
        prop_assert!(checked(&body, &header).is_err());
    }

    #[test]
    fn a_signature_covers_every_byte(
        body in prop::collection::vec(any::<u8>(), 1..200), place in any::<prop::sample::Index>(), bit in 0..8_u8,
        age in -400_i64..400,
    ) {
        let header = sign(&body, &secret(), now() - TimeDelta::seconds(age));
        prop_assert_eq!(checked(&body, &header).is_ok(), age.abs() <= 300);
        let mut changed = body.clone();
        *place.get_mut(&mut changed) ^= 1 << bit;
        prop_assert_eq!(checked(&changed, &header), Err(SignatureError::Mismatch));
        prop_assert!(checked(&body[..body.len() - 1], &header).is_err());
    }

    #[test]
    fn a_changed_header_is_refused(place in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let header = sign(b"{}", &secret(), now());
        let mut changed = header.clone().into_bytes();
        *place.get_mut(&mut changed) = byte;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert_eq!(checked(b"{}", &changed).is_ok(), changed == header);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(matches!(Envelope::read(&body), Err(WebhookError::NoEvent(_))));
        prop_assert!(Event::from_slice(&body).is_err());
        let _ = MeterErrorReport::from_slice(&body);
    }

    #[test]
    fn the_envelope_says_what_the_event_says(body in value(4)) {
        let envelope = Envelope::read(body.as_bytes());
        if let (Ok(envelope), Ok(event)) = (&envelope, Event::from_slice(body.as_bytes())) {
            prop_assert_eq!((envelope.id(), envelope.kind()), (event.id(), event.kind()));
            prop_assert_eq!(envelope.object_id(), event.object_id());
            prop_assert_eq!(envelope.customer_id(), event.customer_id());
            prop_assert_eq!((envelope.created(), envelope.livemode()), (event.created(), event.livemode()));
        }
        let _ = MeterErrorReport::from_slice(body.as_bytes());
    }

    #[test]
    fn whole_events_are_read(
        id in "[a-z_0-9]{1,12}", kind in "[a-z._]{1,30}", object in value(3), created in 0_i64..4_000_000_000,
    ) {
        let body = format!(
            r#"{{"id":"{id}","object":"event","type":"{kind}","created":{created},"livemode":false,
            "data":{{"object":{{"x":{object},"id":"o_1","customer":{{"id":"cus_1","x":{object}}}}}}}}}"#
        );
        let envelope = Envelope::read(body.as_bytes()).unwrap();
        prop_assert_eq!((envelope.id(), envelope.kind()), (id.as_str(), kind.as_str()));
        prop_assert_eq!((envelope.object_id(), envelope.customer_id()), (Some("o_1"), Some("cus_1")));
        prop_assert_eq!(envelope.created().timestamp(), created);
        let thin = format!(
            r#"{{"id":"{id}","object":"v2.core.event","type":"{kind}","created":"2026-01-10T00:00:00Z",
            "related_object":{{"id":"cus_1","type":"customer"}}}}"#
        );
        let envelope = Envelope::read(thin.as_bytes()).unwrap();
        prop_assert_eq!((envelope.object_id(), envelope.customer_id()), (Some("cus_1"), Some("cus_1")));
    }
}
