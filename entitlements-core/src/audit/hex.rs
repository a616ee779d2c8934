//! Bytes that are written as hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// A text that is not as many hexadecimal digits as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} hexadecimal digits")]
pub struct InvalidHex(usize);

macro_rules! bytes {
    ($($(#[$doc:meta])* $name:ident, $length:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name([u8; $length]);

        impl $name {
            /// These bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(const_hex::Buffer::<$length>::new().format(&self.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(const_hex::Buffer::<$length>::new().format(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidHex;

            fn from_str(text: &str) -> Result<Self, InvalidHex> {
                let mut bytes = [0; $length];
                // Its own form has no prefix.
                let digits = text.as_bytes();
                let whole = digits.len() == 2 * bytes.len() && const_hex::decode_to_slice(digits, &mut bytes).is_ok();
                if whole { Ok(Self(bytes)) } else { Err(InvalidHex($length * 2)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidHex;

            fn try_from(text: String) -> Result<Self, InvalidHex> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(bytes: $name) -> Self {
                bytes.to_string()
            }
        }
    )+};
}

bytes! {
    /// A SHA-256 digest in the chain of the audit log; 64 hexadecimal digits in lower case when it is written.
    AuditHash, 32;
    /// What keeps the digest of one entry's persons from being guessed.
    AuditSalt, 16;
}

impl AuditHash {
    /// The hash before the first entry.
    pub const ZERO: Self = Self([0; 32]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_survives_its_text() {
        let hash = AuditHash::new(std::array::from_fn(|n| u8::try_from(n * 8).unwrap()));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!(hash.to_string().starts_with("000810"));
        assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
        let prefixed = format!("0x{}", "0".repeat(62));
        for wrong in ["", "0", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32), &prefixed]
        {
            assert_eq!(wrong.parse::<AuditHash>(), Err(InvalidHex(64)), "{wrong}");
        }
    }
}
