//! The handle and reservations: reserve, commit, release, expire.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use chrono::TimeDelta;
use entitlements_core::id::{CompanyId, FeatureKey, IdempotencyKey, ReceiptId};
use entitlements_core::reservation::{CommitOutcome, Reservation, ReservationEnd};
use entitlements_core::store::SharedStore;
use entitlements_core::{
    Amount, Catalog, Consume, Consumption, Entitlements, ErrorKind, ManualClock, MemoryStore, NewGrant,
    Reason, Reserving, Subject,
};

const CATALOG: &str = r#"
schema = 1
default_plan = "free"
past_due_grace = "7d"
[features]
export = { type = "flag" }
tokens = { type = "meter" }
[plans.free.grants]
tokens = { limit = 100, every = "month" }
"#;

struct World {
    one: Entitlements,
    other: Entitlements,
    clock: Arc<ManualClock>,
    acme: Subject,
}

fn world() -> World {
    let store: SharedStore = Arc::new(MemoryStore::default());
    let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
    let process = || {
        let catalog: Catalog = CATALOG.parse().unwrap();
        Entitlements::builder(catalog).shared_store(Arc::clone(&store)).clock(Arc::clone(&clock)).build()
    };
    World { one: process(), other: process(), clock, acme: Subject::company(CompanyId::new("acme").unwrap()) }
}

const TTL: TimeDelta = TimeDelta::minutes(5);

impl World {
    fn units(&self, units: u32) -> Consume<'_> {
        Consume::new(&self.acme, "tokens", units.into())
    }

    async fn reserve(&self, units: u32) -> Reservation {
        match self.one.reserve(&self.units(units), TTL).await.unwrap() {
            Reserving::Reserved { reservation, .. } => reservation,
            other => panic!("{other:?}"),
        }
    }

    async fn used(&self, process: &Entitlements) -> u64 {
        process.usage(&self.acme).await.unwrap().first().unwrap().quota.used.get()
    }
}

#[tokio::test]
async fn what_is_set_aside_counts_until_it_is_settled() {
    let world = world();
    let reservation = world.reserve(60).await;
    assert_eq!(world.used(&world.one).await, 60);
    let Consumption::Refused(decision) = world.one.consume(&world.units(41)).await.unwrap() else {
        panic!("sold twice")
    };
    assert_eq!(decision.reason, Reason::QuotaExceeded);
    // Without any write there is room again when the reservation expires.
    assert_eq!(decision.expires_at, Some(reservation.expires_at));
    let Some(CommitOutcome::Committed(settlement)) =
        world.one.commit(&world.acme.company, reservation.id(), 25u32.into()).await.unwrap()
    else {
        panic!("not committed")
    };
    assert_eq!(settlement.receipt.unwrap().amount.get(), 25);
    assert_eq!(world.used(&world.one).await, 25);
    world.one.refund(&world.acme.company, reservation.id()).await.unwrap().unwrap();
    assert_eq!(world.used(&world.one).await, 0);
}

#[tokio::test]
async fn a_reservation_expires_by_itself_for_every_process() {
    let world = world();
    let reservation = world.reserve(100).await;
    assert_eq!(world.used(&world.other).await, 100);
    assert!(matches!(world.other.consume(&world.units(1)).await.unwrap(), Consumption::Refused(_)));
    world.clock.advance(TTL);
    // Facts in memory may be a few seconds old; a refusal never rests on them.
    assert!(matches!(world.other.consume(&world.units(70)).await.unwrap(), Consumption::Recorded { .. }));
    let outcome = world.one.commit(&world.acme.company, reservation.id(), 100u32.into()).await.unwrap();
    let Some(CommitOutcome::Committed(settlement)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(settlement.uncollected().get(), 70);
    assert_eq!(world.used(&world.one).await, 100);
}

#[tokio::test]
async fn a_release_gives_everything_back() {
    let world = world();
    let reservation = world.reserve(100).await;
    let company = &world.acme.company;
    let released = world.one.release_reservation(company, reservation.id()).await.unwrap().unwrap();
    assert!(matches!(released.end, Some(ReservationEnd::Released { .. })));
    assert_eq!(world.used(&world.one).await, 0);
    let late = world.one.commit(company, reservation.id(), Amount::ONE).await.unwrap();
    assert_eq!(late, Some(CommitOutcome::Released));
    let unknown = ReceiptId::new("no such").unwrap();
    assert_eq!(world.one.commit(company, &unknown, Amount::ONE).await.unwrap(), None);
    assert_eq!(world.one.release_reservation(company, &unknown).await.unwrap(), None);
}

#[tokio::test]
async fn a_key_reserves_once_even_when_nothing_is_left() {
    let world = world();
    let key = |name: &str| IdempotencyKey::new(name).unwrap();
    let asked = world.units(100).with_key(key("k"));
    let Reserving::Reserved { reservation, .. } = world.one.reserve(&asked, TTL).await.unwrap() else {
        panic!("refused")
    };
    assert_eq!(world.one.reserve(&asked, TTL).await.unwrap(), Reserving::Duplicate(reservation));
    for other in [world.units(99), world.units(1)] {
        let error = world.one.reserve(&other.with_key(key("k")), TTL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IdempotencyConflict);
    }
    assert!(matches!(world.one.reserve(&world.units(1), TTL).await.unwrap(), Reserving::Refused(_)));
    assert_eq!(world.used(&world.one).await, 100);
}

#[tokio::test]
async fn units_that_were_freed_elsewhere_can_be_reserved() {
    let world = world();
    let reservation = world.reserve(100).await;
    assert!(matches!(world.other.reserve(&world.units(1), TTL).await.unwrap(), Reserving::Refused(_)));
    world.one.release_reservation(&world.acme.company, reservation.id()).await.unwrap();
    assert!(matches!(world.other.reserve(&world.units(1), TTL).await.unwrap(), Reserving::Reserved { .. }));
}

#[tokio::test]
async fn less_than_reserved_goes_back_to_the_plan_before_the_grant() {
    let world = world();
    let mut grant = NewGrant::new(world.acme.company.clone(), FeatureKey::new("tokens").unwrap());
    grant.amount = Some(50u32.into());
    world.one.grant(grant).await.unwrap();
    let reservation = world.reserve(120).await;
    let outcome = world.one.commit(&world.acme.company, reservation.id(), 60u32.into()).await.unwrap();
    let Some(CommitOutcome::Committed(settlement)) = outcome else { panic!("{outcome:?}") };
    let split: Vec<_> = settlement.receipt.unwrap().split.iter().map(|part| part.amount.get()).collect();
    assert_eq!(split, [50, 10]);
}

#[tokio::test]
async fn what_makes_no_sense_is_an_error() {
    let world = world();
    for (consume, ttl, field) in [
        (world.units(0), TTL, "amount"),
        (world.units(1), TimeDelta::zero(), "ttl"),
        (world.units(1), TimeDelta::seconds(-1), "ttl"),
        (world.units(1), TimeDelta::MAX, "ttl"),
        (Consume::new(&world.acme, "export", Amount::ONE), TTL, "meter"),
    ] {
        let error = world.one.reserve(&consume, ttl).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)));
    }
    let unknown = Consume::new(&world.acme, "unknown", Amount::ONE);
    let Reserving::Refused(decision) = world.one.reserve(&unknown, TTL).await.unwrap() else {
        panic!("an unknown meter")
    };
    assert_eq!(decision.reason, Reason::UnknownFeature);
}
