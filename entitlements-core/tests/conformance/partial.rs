//! The suite on stores that do without a part: it holds them to what they say, and to all the rest.

use std::sync::Arc;

use entitlements_core::MemoryStore;
use entitlements_core::store::Store;
use entitlements_core::testkit::{Capabilities, Harness, Part, agrees_with_memory_on, refusal};

use crate::partial_store::{Manner, Partial};

macro_rules! without {
    ($($harness:ident: $part:ident in $module:ident $(with $beside:ident)*;)+) => {$(
        struct $harness;

        impl Harness for $harness {
            type Store = Partial;
            const CAPABILITIES: Capabilities = Capabilities::ALL.without(Part::$part);

            async fn start() -> Partial {
                Partial::without(Part::$part)
            }
        }

        mod $module {
            use super::$harness;

            entitlements_core::store_suite!($harness);
            $(entitlements_core::$beside!($harness);)*
        }
    )+};
}

without! {
    WithoutGauges: Gauges in without_gauges;
    WithoutReservations: Reservations in without_reservations with outbox_suite;
    WithoutAudit: Audit in without_audit;
    WithoutErasure: Erasure in without_erasure with billing_suite with outbox_suite;
}

#[tokio::test]
async fn the_model_asks_for_nothing_that_a_store_does_not_do() {
    for part in Part::ALL {
        let capabilities = Capabilities::ALL.without(part);
        agrees_with_memory_on(&Partial::without(part), capabilities, 3, 500).await;
    }
}

/// Whether a store that disclaims a part is caught.
async fn is_caught(store: impl Store, part: Part) -> bool {
    let store = Arc::new(store);
    let verdict = tokio::spawn(async move { refusal::is_refused(&store, part).await }).await;
    verdict.is_err_and(|error| error.is_panic())
}

#[tokio::test]
async fn a_part_that_is_refused_is_no_mistake() {
    for part in Part::ALL {
        assert!(!is_caught(Partial::without(part), part).await, "{part:?}");
    }
}

#[tokio::test]
async fn a_part_that_is_disclaimed_and_done_is_caught() {
    for part in Part::ALL {
        assert!(is_caught(MemoryStore::default(), part).await, "{part:?}");
    }
}

#[tokio::test]
async fn a_part_that_is_refused_as_something_else_is_caught() {
    for part in Part::ALL {
        assert!(is_caught(Partial::refusing(part, Manner::AsInternal), part).await, "{part:?}");
    }
}

/// Of a log that is not read nobody can tell what is in it.
#[tokio::test]
async fn a_part_that_is_refused_after_it_was_done_is_caught() {
    for part in Part::ALL.into_iter().filter(|part| *part != Part::Audit) {
        assert!(is_caught(Partial::refusing(part, Manner::Afterwards), part).await, "{part:?}");
    }
}
