//! No text makes the loader panic, and what it refuses it explains.

use entitlements_core::Catalog;
use entitlements_core::catalog::Entry;
use proptest::prelude::*;

use super::fixture::{EXAMPLE, PLATFORM, catalog};

#[derive(Clone, Debug)]
enum Mutation {
    Flip(usize, u8),
    Delete(usize, usize),
    Duplicate(usize, usize, usize),
    Insert(usize, &'static str),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = 0usize..4096;
    let length = 0usize..64;
    let token = prop::sample::select(vec![
        "\"",
        "'",
        "\"\"\"",
        "[",
        "]",
        "[[",
        "{",
        "}",
        "=",
        ",",
        ".",
        "#",
        "\n",
        "\r",
        "\0",
        "${",
        "-1",
        "1e400",
        "nan",
        "false",
        "\"unlimited\"",
        "extends = \"pro\"",
        "99999999999999999999",
        "\u{feff}",
        "é",
        "\u{202e}",
    ]);
    let one = prop_oneof![
        (at.clone(), 1u8..=255).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (at.clone(), length.clone()).prop_map(|(at, length)| Mutation::Delete(at, length)),
        (at.clone(), length, at.clone()).prop_map(|(from, length, to)| Mutation::Duplicate(from, length, to)),
        (at, token).prop_map(|(at, token)| Mutation::Insert(at, token)),
    ];
    prop::collection::vec(one, 1..6)
}

fn mutated(text: &str, mutations: &[Mutation]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for mutation in mutations {
        let size = bytes.len();
        let at = |at: usize| at % (size + 1);
        match *mutation {
            Mutation::Flip(place, bits) if size > 0 => bytes[place % size] ^= bits,
            Mutation::Flip(..) => {}
            Mutation::Delete(from, length) => {
                bytes.drain(at(from)..size.min(at(from) + length));
            }
            Mutation::Duplicate(from, length, to) => {
                let copy = bytes[at(from)..size.min(at(from) + length)].to_vec();
                bytes.splice(at(to)..at(to), copy);
            }
            Mutation::Insert(place, token) => {
                bytes.splice(at(place)..at(place), token.bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let Err(error) = Catalog::parse("catalog.toml", text) else { return Ok(()) };
    prop_assert!(!error.problems().is_empty());
    let lines = text.split('\n').count();
    let mut before = (0, 0);
    for problem in error.problems() {
        let position = (problem.line, problem.column);
        prop_assert!(problem.line <= lines && before <= position, "{error}");
        prop_assert!(!problem.to_string().contains('\n'), "{problem:?}");
        prop_assert!(!problem.message.contains("cannot be compiled"), "{text}");
        before = position;
    }
    Ok(())
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop::sample::select(vec!["unlimited", "month", "view", "calendar", ""]).prop_map(Into::into),
    ];
    let key =
        prop::sample::select(vec!["limit", "every", "actions", "alerts", "rollover", "over", "anchor", "x"]);
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map(key.clone().prop_map(String::from), inner, 0..6)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_mutated_catalog_never_panics(mutations in mutations(), platform in any::<bool>()) {
        check(&mutated(if platform { PLATFORM } else { EXAMPLE }, &mutations))?;
    }

    #[test]
    fn any_text_never_panics(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn any_json_is_an_entry_or_is_refused_with_a_reason(value in any_json()) {
        for feature in catalog("").features() {
            if let Err(error) = Entry::from_json(feature, &value) {
                prop_assert!(!error.problems().is_empty());
            }
        }
    }
}

#[test]
fn deep_nesting_never_overflows_the_stack() {
    for text in [
        format!("a{} = 1", ".a".repeat(100_000)),
        format!("[a{}]", ".a".repeat(100_000)),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
    ] {
        assert!(Catalog::parse("catalog.toml", &text).is_err());
    }
}
