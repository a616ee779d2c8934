//! The header, read strictly: two readers must never see two different times in it.

use super::SignatureError;

/// The longest header that is read.
const MAX_BYTES: usize = 4096;

pub(super) struct Header<'a> {
    /// The time as it was signed.
    pub(super) timestamp: &'a str,
    /// The time.
    pub(super) seconds: i64,
    /// Every signature of the scheme `v1`.
    pub(super) signatures: Vec<[u8; 32]>,
}

impl<'a> Header<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, SignatureError> {
        if text.len() > MAX_BYTES {
            return Err(SignatureError::Malformed("it is too long"));
        }
        let mut timestamp = None;
        let mut signatures = Vec::new();
        let mut named = false;
        for part in text.split(',') {
            let (key, value) = part.split_once('=').ok_or(SignatureError::Malformed("a part has no `=`"))?;
            match key {
                "t" if timestamp.is_some() => return Err(SignatureError::Malformed("it has two times")),
                "t" => timestamp = Some(value),
                "v1" => {
                    named = true;
                    signatures.extend(hex(value));
                }
                // Other schemes, such as `v0` of test events, prove nothing.
                _ => {}
            }
        }
        let timestamp = timestamp.ok_or(SignatureError::Malformed("it has no time"))?;
        if timestamp.is_empty() || !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SignatureError::Malformed("its time is no number"));
        }
        let seconds = timestamp.parse().map_err(|_| SignatureError::Malformed("its time is out of range"))?;
        if !named {
            return Err(SignatureError::NoSignature);
        }
        Ok(Self { timestamp, seconds, signatures })
    }
}

/// Reads 64 digits in lower case; anything else is no signature.
fn hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}
