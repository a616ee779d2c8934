//! Who is believed, and who is not.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first surprise, as tests do")]

use billing_stripe::signature::{MAX_PAYLOAD_BYTES, SignatureError, SigningSecret, Tolerance, sign, verify};
use chrono::{DateTime, TimeDelta, Utc};

const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;
/// Made with `openssl dgst -sha256 -hmac whsec_known_answer` over `1767225600.` and the body.
const KNOWN: &str = "2031139a3ce9ce8cfb517c0836fc2dca021eb1d87ceae8fbb1e8ed1f164fd746";

fn now() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn secret(text: &str) -> SigningSecret {
    SigningSecret::new(text).unwrap()
}

fn check(header: &str) -> Result<(), SignatureError> {
    verify(BODY, header, &[secret("whsec_known_answer")], now(), Tolerance::DEFAULT)
}

#[test]
fn a_signature_made_by_another_program_is_accepted() {
    assert_eq!(check(&format!("t=1767225600,v1={KNOWN}")), Ok(()));
    assert_eq!(
        sign(BODY, &secret("whsec_known_answer"), now()),
        format!("t=1767225600,v1={KNOWN}"),
        "and signing gives the same"
    );
}

#[test]
fn any_of_several_signatures_may_match_in_any_place() {
    let wrong = "0".repeat(64);
    for header in [
        format!("t=1767225600,v1={wrong},v1={KNOWN}"),
        format!("t=1767225600,v1={KNOWN},v1={wrong}"),
        format!("v1={wrong},v0={wrong},v1={KNOWN},v1=short,t=1767225600"),
    ] {
        assert_eq!(check(&header), Ok(()), "{header}");
    }
}

#[test]
fn any_of_several_secrets_may_match() {
    let header = sign(BODY, &secret("whsec_new"), now());
    let secrets = [secret("whsec_old"), secret("whsec_new")];
    assert_eq!(verify(BODY, &header, &secrets, now(), Tolerance::DEFAULT), Ok(()));
    assert_eq!(
        verify(BODY, &header, &secrets[..1], now(), Tolerance::DEFAULT),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(verify(BODY, &header, &[], now(), Tolerance::DEFAULT), Err(SignatureError::Mismatch));
}

#[test]
fn every_changed_byte_of_the_body_is_noticed() {
    let header = format!("t=1767225600,v1={KNOWN}");
    let secrets = [secret("whsec_known_answer")];
    for index in 0..BODY.len() {
        let mut body = BODY.to_vec();
        body[index] ^= 1;
        let outcome = verify(&body, &header, &secrets, now(), Tolerance::DEFAULT);
        assert_eq!(outcome, Err(SignatureError::Mismatch), "byte {index}");
    }
    let longer = [BODY, b"\n"].concat();
    assert!(verify(&longer, &header, &secrets, now(), Tolerance::DEFAULT).is_err());
}

#[test]
fn the_signed_time_is_part_of_what_is_signed() {
    assert_eq!(check(&format!("t=1767225601,v1={KNOWN}")), Err(SignatureError::Mismatch));
    assert_eq!(check(&format!("t=01767225600,v1={KNOWN}")), Err(SignatureError::Mismatch));
}

#[test]
fn a_signature_is_good_for_five_minutes_in_either_direction() {
    let secrets = [secret("whsec_known_answer")];
    let header = format!("t=1767225600,v1={KNOWN}");
    let at =
        |seconds| verify(BODY, &header, &secrets, now() + TimeDelta::seconds(seconds), Tolerance::DEFAULT);
    assert_eq!(at(300), Ok(()));
    assert_eq!(at(-300), Ok(()));
    assert_eq!(at(301), Err(SignatureError::TooOld { seconds: 301 }));
    assert_eq!(at(-301), Err(SignatureError::InFuture { seconds: 301 }));
}

#[test]
fn times_at_the_ends_of_the_range_are_refused_without_overflow() {
    let secret = secret("whsec_known_answer");
    let header = sign(BODY, &secret, DateTime::<Utc>::MAX_UTC);
    let outcome =
        verify(BODY, &header, std::slice::from_ref(&secret), DateTime::<Utc>::MIN_UTC, Tolerance::DEFAULT);
    assert!(matches!(outcome, Err(SignatureError::InFuture { .. })));
    assert!(matches!(
        check(&format!("t=99999999999999999999,v1={KNOWN}")),
        Err(SignatureError::Malformed(_))
    ));
}

#[test]
fn a_header_that_two_readers_could_read_differently_is_refused() {
    for header in [
        "",
        "t",
        "v1=00",
        &format!("t=1767225600,t=1767225600,v1={KNOWN}"),
        &format!("t=,v1={KNOWN}"),
        &format!("t=-1767225600,v1={KNOWN}"),
        &format!("t=+1767225600,v1={KNOWN}"),
        &format!("t= 1767225600,v1={KNOWN}"),
        &format!("t=1767225600,v1={KNOWN},"),
        &format!("t=1767225600,v1={KNOWN},{}", "v1=00,".repeat(2000)),
    ] {
        assert!(matches!(check(header), Err(SignatureError::Malformed(_))), "{header:.80}");
    }
}

#[test]
fn only_the_scheme_v1_proves_anything() {
    for header in [format!("t=1767225600,v0={KNOWN}"), format!("t=1767225600, v1={KNOWN}")] {
        assert_eq!(check(&header), Err(SignatureError::NoSignature), "{header}");
    }
    assert_eq!(check(&format!("t=1767225600,v1={}", KNOWN.to_uppercase())), Err(SignatureError::Mismatch));
}

#[test]
fn a_body_of_more_than_a_mebibyte_is_not_looked_at() {
    let secret = secret("whsec_known_answer");
    for (length, outcome) in
        [(MAX_PAYLOAD_BYTES, Ok(())), (MAX_PAYLOAD_BYTES + 1, Err(SignatureError::TooLarge))]
    {
        let body = vec![b' '; length];
        let header = sign(&body, &secret, now());
        let secrets = std::slice::from_ref(&secret);
        assert_eq!(verify(&body, &header, secrets, now(), Tolerance::DEFAULT), outcome);
    }
}

#[test]
fn there_is_no_tolerance_of_nothing() {
    assert_eq!(Tolerance::new(TimeDelta::zero()), None);
    assert_eq!(Tolerance::new(TimeDelta::seconds(-1)), None);
    assert!(Tolerance::new(TimeDelta::seconds(1)).is_some());
}

#[test]
fn no_message_repeats_a_secret_or_a_body() {
    let error = verify(BODY, "t=1,v1=00", &[secret("whsec_canary")], now(), Tolerance::DEFAULT).unwrap_err();
    let shown = format!("{error} {error:?} {:?}", secret("whsec_canary"));
    assert!(!shown.contains("canary") && !shown.contains("evt_1"), "{shown}");
}
