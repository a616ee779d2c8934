//! Ids: the right prefix, then letters and digits that depend on the seed alone.

use serde::{Deserialize, Serialize};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ids {
    seed: u64,
    made: u64,
}

impl Ids {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, made: 0 }
    }

    /// A new id that begins with `prefix` and `_`.
    pub(super) fn next(&mut self, prefix: &str) -> String {
        self.made += 1;
        let mut state = self.seed ^ self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let text: String = (0..20).map(|_| letter(&mut state)).collect();
        format!("{prefix}_1{text}")
    }
}

fn letter(state: &mut u64) -> char {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let place = usize::try_from((mixed ^ (mixed >> 31)) % 62).unwrap_or_default();
    char::from(ALPHABET.get(place).copied().unwrap_or(b'0'))
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn ids_depend_on_the_seed_alone_and_never_repeat() {
        let (mut one, mut same, mut other) = (Ids::new(7), Ids::new(7), Ids::new(8));
        let made: std::collections::HashSet<String> = (0..1000).map(|_| one.next("sub")).collect();
        assert_eq!(made.len(), 1000);
        assert!((0..1000).all(|_| made.contains(&same.next("sub"))));
        assert!(!made.contains(&other.next("sub")));
    }
}
