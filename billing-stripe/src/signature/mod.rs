//! Signatures of webhooks: who sent these bytes, and when.
//!
//! The header reads `t=<seconds>,v1=<hex>[,v1=<hex>…]`; each `v1` is the HMAC-SHA256 of `<seconds>.<body>` under one of the
//! endpoint's secrets. While a secret is being replaced there are two of each.

mod header;
mod secret;

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use self::header::Header;
pub use self::secret::{EmptySecret, SigningSecret};

/// The largest body that is looked at: 1 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

/// The name of the header.
pub const SIGNATURE_HEADER: &str = "stripe-signature";

/// How far the time of a signature may be from the present, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance(TimeDelta);

impl Tolerance {
    /// Five minutes, as Stripe recommends.
    pub const DEFAULT: Self = Self(TimeDelta::seconds(300));

    /// A tolerance of `by`, if that is more than nothing: without a tolerance, old webhooks could be sent again.
    #[must_use]
    pub fn new(by: TimeDelta) -> Option<Self> {
        (by > TimeDelta::zero()).then_some(Self(by))
    }
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a webhook is not believed. No message repeats anything of the webhook or of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The body is larger than [`MAX_PAYLOAD_BYTES`].
    #[error("the body is larger than 1 MiB")]
    TooLarge,
    /// The header cannot be read.
    #[error("the Stripe-Signature header is malformed: {0}")]
    Malformed(&'static str),
    /// The header has no signature of the scheme `v1`.
    #[error("the Stripe-Signature header has no v1 signature")]
    NoSignature,
    /// None of the signatures is by one of the secrets.
    #[error(
        "the webhook is signed with another secret, or its body was changed on the way: compare the signing secret \
         of the endpoint (whsec_…) and see that the raw body is checked"
    )]
    Mismatch,
    /// The webhook is genuine but old.
    #[error(
        "the webhook was signed {seconds} s ago, which is too long: it was held up, or the clock is wrong"
    )]
    TooOld {
        /// How long ago it was signed.
        seconds: i64,
    },
    /// The webhook is genuine but from the future.
    #[error("the webhook was signed {seconds} s in the future: the clock is wrong")]
    InFuture {
        /// How far in the future it was signed.
        seconds: i64,
    },
}

/// Checks that `payload`, as it came over the wire, was signed with one of `secrets` at about `now`.
///
/// Every signature is compared with every secret, in constant time and without stopping at the first match. The time is
/// looked at only after that, so that nobody without a secret learns anything about the clock.
///
/// # Errors
///
/// Says what is wrong in words that help to put it right.
///
/// ```
/// use billing_stripe::signature::{SignatureError, SigningSecret, Tolerance, sign, verify};
/// use chrono::TimeDelta;
///
/// let secret = SigningSecret::new("whsec_example")?;
/// let now = "2026-11-07T09:00:00Z".parse()?;
/// let header = sign(b"{}", &secret, now);
///
/// assert_eq!(verify(b"{}", &header, &[secret.clone()], now, Tolerance::DEFAULT), Ok(()));
/// assert_eq!(verify(b"[]", &header, &[secret], now, Tolerance::DEFAULT), Err(SignatureError::Mismatch));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(
    payload: &[u8],
    header: &str,
    secrets: &[SigningSecret],
    now: DateTime<Utc>,
    tolerance: Tolerance,
) -> Result<(), SignatureError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(SignatureError::TooLarge);
    }
    let header = Header::parse(header)?;
    let mut genuine = Choice::from(0);
    for secret in secrets {
        let expected = mac(payload, header.timestamp, secret);
        for signature in &header.signatures {
            genuine |= expected.as_slice().ct_eq(signature.as_slice());
        }
    }
    if !bool::from(genuine) {
        return Err(SignatureError::Mismatch);
    }
    let age = now.timestamp().saturating_sub(header.seconds);
    let tolerated = tolerance.0.num_seconds();
    if age > tolerated {
        return Err(SignatureError::TooOld { seconds: age });
    }
    if age < tolerated.saturating_neg() {
        return Err(SignatureError::InFuture { seconds: age.saturating_neg() });
    }
    Ok(())
}

/// The header for `payload`, as Stripe would send it at `at`. For tests of those who receive webhooks.
#[must_use]
pub fn sign(payload: &[u8], secret: &SigningSecret, at: DateTime<Utc>) -> String {
    let timestamp = at.timestamp().to_string();
    let mac = mac(payload, &timestamp, secret);
    let hex: String = mac.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(digit).collect();
    format!("t={timestamp},v1={hex}")
}

fn mac(payload: &[u8], timestamp: &str, secret: &SigningSecret) -> [u8; 32] {
    let mut mac = match Hmac::<Sha256>::new_from_slice(secret.bytes()) {
        Ok(mac) => mac,
        // HMAC takes a key of any length.
        Err(never) => unreachable!("{never}"),
    };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(payload);
    mac.finalize().into_bytes().into()
}

fn digit(nibble: u8) -> Option<char> {
    char::from_digit(u32::from(nibble), 16)
}
