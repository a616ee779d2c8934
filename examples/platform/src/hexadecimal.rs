//! Bytes as hexadecimal digits: text that needs no escape anywhere.

use std::fmt::Write;

pub(crate) fn hexadecimal(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of a text that [`hexadecimal`] could have made; capitals are accepted.
pub(crate) fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let whole = pairs.remainder().is_empty();
    whole.then(|| pairs.map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_their_digits() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hexadecimal(&hexadecimal(bytes.clone())), Some(bytes));
        assert_eq!(hexadecimal([0, 10, 255]), "000aff");
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["0", "zz", "0é", "+1"] {
            assert_eq!(from_hexadecimal(text), None, "{text}");
        }
    }
}
