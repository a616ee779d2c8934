//! Keys: two questions never share an answer, whatever their parts are made of.

use super::{decision, found, key, put, usable};
use crate::Action;
use crate::decision_cache::{DecisionCache, DecisionKey, Scope};
use crate::id::{FeatureKey, UserId};
use crate::testkit::fixtures::{company, user};
use crate::testkit::hostile::hostile_ids;

/// Every part of a key counts.
pub async fn every_part_of_a_key_counts(cache: &impl DecisionCache) {
    let base = key("acme");
    let user = |user| Some(UserId::new(user).expect("a name"));
    let keys = [
        base.clone(),
        DecisionKey { company: company("acme2"), ..base.clone() },
        DecisionKey { user: user("u"), ..base.clone() },
        DecisionKey { user: user("v"), ..base.clone() },
        DecisionKey { feature: FeatureKey::new("secret").expect("a name"), ..base.clone() },
        DecisionKey { action: Action::Export, ..base.clone() },
        DecisionKey { resource: Some("r".into()), ..base.clone() },
        DecisionKey { resource: Some("s".into()), ..base.clone() },
        DecisionKey { context: Some("0".repeat(64).into()), ..base.clone() },
        DecisionKey { context: Some("1".repeat(64).into()), ..base },
    ];
    for key in &keys {
        assert_eq!(found(cache, key).await, None, "{key:?}");
        put(cache, &decision(key, 1)).await;
    }
    for key in &keys {
        assert_eq!(usable(cache, key).await, Some(decision(key, 1)));
    }
}

/// Hostile keys never mix.
pub async fn hostile_keys_never_mix(cache: &impl DecisionCache) {
    let keys: Vec<_> = hostile_ids()
        .iter()
        .flat_map(|name| {
            let base = key("acme");
            [
                key(name),
                DecisionKey { user: Some(UserId::new(name).expect("a name")), ..base.clone() },
                DecisionKey { resource: Some(name.as_str().into()), ..base },
            ]
        })
        .collect();
    for key in &keys {
        assert_eq!(found(cache, key).await, None, "{key:?}");
        put(cache, &decision(key, 1)).await;
    }
    for key in &keys {
        assert_eq!(usable(cache, key).await, Some(decision(key, 1)), "{key:?}");
    }
}

/// What a careless key joins its parts with, escapes them with, or marks them with.
const JOINTS: [&str; 15] =
    [":", "/", "|", " ", ".", ",", "%", "%3A", "\\", "\\:", "{", "}", "\"", "u:", "f:"];

/// Where one part of a key ends and the next begins is a part of the key.
pub async fn parts_of_a_key_never_run_into_each_other(cache: &impl DecisionCache) {
    let of = |name: &str, by: Option<&str>, resource: Option<&str>| DecisionKey {
        user: by.map(user),
        resource: resource.map(Into::into),
        ..key(name)
    };
    for joint in JOINTS {
        let (first, second) = (format!("a{joint}b"), format!("b{joint}c"));
        let keys = [
            of(&first, Some("c"), None),
            of(&format!("a{joint}"), Some("b"), Some("c")),
            of("a", Some(&second), None),
            of("a", None, Some(&second)),
            of("a", Some(&first), Some("c")),
            of("a", Some("a"), Some(&second)),
            of("a", Some(&format!("{joint}b")), Some("c")),
            of("a", Some("b"), Some(&format!("{joint}c"))),
            of("a", Some("b"), Some("c")),
        ];
        for key in &keys {
            assert_eq!(found(cache, key).await, None, "{joint}: {key:?}");
            put(cache, &decision(key, 1)).await;
        }
        for key in &keys {
            assert_eq!(usable(cache, key).await, Some(decision(key, 1)), "{joint}: {key:?}");
        }
        // Nor do they when they are forgotten.
        cache.invalidate(&Scope::User(company(&first), user("c"))).await;
        cache.invalidate(&Scope::Company(company("a"))).await;
        let left = [false, true, false, false, false, false, false, false, false];
        for (key, left) in keys.iter().zip(left) {
            assert_eq!(usable(cache, key).await.is_some(), left, "{joint}: {key:?}");
        }
    }
}
