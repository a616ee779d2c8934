//! The suite on stores that do without a part: it holds them to what they say, and to all the rest.

use entitlements_core::testkit::{Capabilities, Harness, Part, agrees_with_memory_on};

use crate::partial_store::Partial;

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
