//! The text in a header of basic authentication.

/// Reads base64 with or without padding; `None` if it is none, or no UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut plain = Vec::new();
    for group in text.trim().trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0;
        for byte in group {
            bits = (bits << 6) | value(*byte)?;
        }
        let missing = u32::try_from(4 - group.len()).ok()?;
        let [_, bytes @ ..] = (bits << (6 * missing)).to_be_bytes();
        plain.extend(bytes.iter().take(group.len().saturating_sub(1)));
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn keys_of_every_length_are_read() {
        assert_eq!(decode("c2tfdGVzdF8xOg==").as_deref(), Some("sk_test_1:"));
        assert_eq!(decode("YTo=").as_deref(), Some("a:"));
        assert_eq!(decode("YWI6").as_deref(), Some("ab:"));
        assert_eq!(decode("*"), None);
    }
}
