//! Cases about taking units.

use chrono::TimeDelta;

use super::fixtures::{
    bucket, company, debit, december, facts, feature, granted, key, monthly, november, now, part, receipt_id,
    recorded, refused, units, used, used_in, yearly,
};
use crate::bucket::Bucket;
use crate::facts::Revision;
use crate::store::{Store, StoreErrorKind};
use crate::usage::{Counter, Debit, Split};
use crate::{Amount, Grant};

/// A counter that nothing was taken from is not loaded, or is zero.
pub async fn an_unused_counter_is_zero(store: &impl Store) {
    assert_eq!(used(store, "acme", &monthly(10)).await, 0);
}

/// Amounts add up, to the limit exactly.
pub async fn amounts_add_up(store: &impl Store) {
    for (name, amount, total) in [("a", 3, 3), ("b", 6, 9), ("c", 1, 10)] {
        let receipt = recorded(store, &debit("acme", name, amount, [monthly(10)])).await;
        assert_eq!(receipt.used, units(total));
        assert_eq!(used(store, "acme", &monthly(10)).await, total);
    }
}

/// A debit beyond the limit takes nothing at all.
pub async fn a_refused_debit_changes_nothing(store: &impl Store) {
    recorded(store, &debit("acme", "a", 8, [monthly(10)])).await;
    let before = facts(store, "acme").await;
    refused(store, &debit("acme", "b", 3, [monthly(10)])).await;
    refused(store, &debit("acme", "c", u64::MAX >> 1, [monthly(10)])).await;
    assert_eq!(facts(store, "acme").await, before);
    assert_eq!(store.receipt(&company("acme"), &key("b")).await.unwrap(), None);
    assert_eq!(store.pending_alerts(10).await.unwrap(), []);
    recorded(store, &debit("acme", "d", 2, [monthly(10)])).await;
}

/// A refused key stays free: the same key may succeed later.
pub async fn a_refused_key_stays_free(store: &impl Store) {
    refused(store, &debit("acme", "a", 11, [monthly(10)])).await;
    refused(store, &debit("acme", "a", 11, [monthly(10)])).await;
    recorded(store, &debit("acme", "a", 2, [monthly(10)])).await;
    assert_eq!(used(store, "acme", &monthly(10)).await, 2);
}

/// Nothing fits where there is nothing to take from: no bucket, or none with room.
pub async fn a_debit_without_room_is_refused(store: &impl Store) {
    refused(store, &debit("acme", "a", 1, [])).await;
    refused(store, &debit("acme", "b", 1, [monthly(0)])).await;
    refused(store, &debit("acme", "c", 1, [monthly(0), granted("g", 0)])).await;
    let only_tallies = Debit { tallies: vec![part("tokens_in")], ..debit("acme", "d", 1, []) };
    refused(store, &only_tallies).await;
    assert_eq!(facts(store, "acme").await.usage, []);
}

/// A limit that was lowered below what is used leaves no room, and takes nothing back.
pub async fn a_lowered_limit_leaves_no_room(store: &impl Store) {
    recorded(store, &debit("acme", "a", 8, [monthly(10)])).await;
    refused(store, &debit("acme", "b", 1, [monthly(5)])).await;
    let receipt = recorded(store, &debit("acme", "c", 1, [monthly(5), granted("g", 3)])).await;
    assert_eq!(receipt.split, [split(&granted("g", 3), 1)]);
    assert_eq!(receipt.used, units(9));
}

/// A raised limit makes room at once.
pub async fn a_raised_limit_makes_room(store: &impl Store) {
    recorded(store, &debit("acme", "a", 10, [monthly(10)])).await;
    refused(store, &debit("acme", "b", 1, [monthly(10)])).await;
    recorded(store, &debit("acme", "b", 90, [monthly(100)])).await;
    assert_eq!(used(store, "acme", &monthly(100)).await, 100);
}

/// Companies, meters, buckets and periods are counted apart.
pub async fn counters_are_apart(store: &impl Store) {
    let other_meter = Counter { meter: feature("queries"), ..monthly(10) };
    let next_month = Counter { period: december(), ..monthly(10) };
    let grants = [granted("g", 10), granted("h", 10)];
    let pool = Counter { bucket: Bucket::Uncapped, ..monthly(None) };
    recorded(store, &debit("acme", "a", 1, [monthly(10)])).await;
    recorded(store, &debit("acme", "b", 2, [other_meter.clone()])).await;
    recorded(store, &debit("acme", "c", 3, [next_month.clone()])).await;
    recorded(store, &debit("acme", "d", 4, [grants[0].clone()])).await;
    recorded(store, &debit("acme", "e", 5, [grants[1].clone()])).await;
    recorded(store, &debit("acme", "f", 6, [pool.clone()])).await;
    recorded(store, &debit("acme", "g", 7, [yearly(10)])).await;
    recorded(store, &debit("other", "a", 8, [monthly(10)])).await;
    let facts = facts(store, "acme").await;
    let [first, second] = grants;
    let counters = [monthly(10), other_meter, next_month, first, second, pool, yearly(10)];
    assert_eq!(counters.map(|counter| used_in(&facts, &counter)), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(used(store, "other", &monthly(10)).await, 8);
}

/// Units are taken out of the buckets in their order, each to its limit before the next one gives any.
pub async fn buckets_are_emptied_in_order(store: &impl Store) {
    let buckets = || [granted("first", 3), granted("second", 4), monthly(10)];
    let receipt = recorded(store, &debit("acme", "a", 2, buckets())).await;
    assert_eq!(receipt.split, [split(&granted("first", 3), 2)]);
    assert_eq!(receipt.used, units(2));
    let receipt = recorded(store, &debit("acme", "b", 7, buckets())).await;
    let expected = [split(&granted("first", 3), 1), split(&granted("second", 4), 4), split(&monthly(10), 2)];
    assert_eq!(receipt.split, expected);
    assert_eq!(receipt.used, units(9));
    let receipt = recorded(store, &debit("acme", "c", 8, buckets())).await;
    assert_eq!(receipt.split, [split(&monthly(10), 8)]);
    refused(store, &debit("acme", "d", 1, buckets())).await;
    let facts = facts(store, "acme").await;
    assert_eq!(buckets().map(|counter| used_in(&facts, &counter)), [3, 4, 10]);
}

/// The order is the debit's own, not that of names: the same buckets the other way round are emptied that way.
pub async fn the_order_of_buckets_is_the_debits(store: &impl Store) {
    let forth = recorded(store, &debit("acme", "a", 1, [granted("b", 5), granted("a", 5)])).await;
    let back = recorded(store, &debit("acme", "b", 1, [granted("a", 5), granted("b", 5)])).await;
    assert_eq!(forth.split, [split(&granted("b", 5), 1)]);
    assert_eq!(back.split, [split(&granted("a", 5), 1)]);
}

/// More than ten buckets keep their order.
pub async fn many_buckets_keep_their_order(store: &impl Store) {
    let buckets: Vec<_> = (0..12).map(|number| granted(&format!("g{number}"), 1)).collect();
    let receipt = recorded(store, &debit("acme", "a", 12, buckets.clone())).await;
    assert_eq!(receipt.split, buckets.iter().map(|counter| split(counter, 1)).collect::<Vec<_>>());
    refused(store, &debit("acme", "b", 1, buckets)).await;
}

/// All buckets short together refuse the whole debit: no bucket gives its part.
pub async fn a_split_is_all_or_nothing(store: &impl Store) {
    refused(store, &debit("acme", "a", 8, [granted("g", 3), monthly(4)])).await;
    assert_eq!(facts(store, "acme").await.usage, []);
}

/// A bucket with several counters gives what the shortest of them has room for, and counts it on all.
pub async fn parallel_quotas_bound_together(store: &impl Store) {
    let quotas = |amount, name: &str| Debit {
        buckets: vec![bucket([monthly(10), yearly(15)])],
        ..debit("acme", name, amount, [])
    };
    let receipt = recorded(store, &quotas(10, "a")).await;
    assert_eq!(receipt.split, [split(&monthly(10), 10), split(&yearly(15), 10)]);
    assert_eq!(receipt.used, units(10));
    refused(store, &quotas(1, "b")).await;

    let next_month = |amount, name: &str| Debit {
        buckets: vec![bucket([Counter { period: december(), ..monthly(10) }, yearly(15)])],
        ..debit("acme", name, amount, [])
    };
    refused(store, &next_month(6, "c")).await;
    let receipt = recorded(store, &next_month(5, "d")).await;
    assert_eq!(receipt.used, units(5));
    assert_eq!(used(store, "acme", &yearly(15)).await, 15);
}

/// A bucket that its parallel quotas cut short passes the rest on to the next bucket.
pub async fn parallel_quotas_pass_the_rest_on(store: &impl Store) {
    let taken = Debit {
        buckets: vec![bucket([monthly(10), yearly(4)]), bucket([granted("g", 10)])],
        ..debit("acme", "a", 6, [])
    };
    let receipt = recorded(store, &taken).await;
    let expected = [split(&monthly(10), 4), split(&yearly(4), 4), split(&granted("g", 10), 2)];
    assert_eq!(receipt.split, expected);
    assert_eq!(receipt.used, units(6));
}

/// A counter without a limit beside one with a limit only counts.
pub async fn an_unlimited_counter_beside_a_limited_one_only_counts(store: &impl Store) {
    let quotas = |amount, name: &str| Debit {
        buckets: vec![bucket([monthly(None), yearly(5)])],
        ..debit("acme", name, amount, [])
    };
    recorded(store, &quotas(5, "a")).await;
    refused(store, &quotas(1, "b")).await;
    assert_eq!(used(store, "acme", &monthly(None)).await, 5);
}

/// A bucket without a limit gives whatever is asked for.
pub async fn an_unlimited_bucket_gives_everything(store: &impl Store) {
    let receipt = recorded(store, &debit("acme", "a", 1_000_000, [monthly(None), granted("g", 5)])).await;
    assert_eq!(receipt.split, [split(&monthly(None), 1_000_000)]);
    let receipt = recorded(store, &debit("acme", "b", 7, [granted("g", 5), monthly(None)])).await;
    assert_eq!(receipt.split, [split(&granted("g", 5), 5), split(&monthly(None), 2)]);
    assert_eq!(receipt.used, units(1_000_007));
}

/// Tallies receive the whole amount, whatever the buckets gave.
pub async fn tallies_receive_the_whole_amount(store: &impl Store) {
    let tallied = |amount, name: &str| Debit {
        tallies: vec![part("tokens_in"), part("tokens")],
        ..debit("acme", name, amount, [granted("g", 2), monthly(10)])
    };
    let receipt = recorded(store, &tallied(5, "a")).await;
    let expected = [
        split(&granted("g", 2), 2),
        split(&monthly(10), 3),
        split(&part("tokens_in"), 5),
        split(&part("tokens"), 5),
    ];
    assert_eq!(receipt.split, expected);
    assert_eq!(receipt.used, units(5));
    refused(store, &tallied(8, "b")).await;
    let facts = facts(store, "acme").await;
    assert_eq!(used_in(&facts, &part("tokens_in")), 5);
    assert_eq!(used_in(&facts, &part("tokens")), 5);
}

/// The largest amount fits a limit of the same size, and comes back.
pub async fn the_largest_amount_fits(store: &impl Store) {
    let max = Amount::MAX.get();
    let largest = Debit { limit: Some(Amount::MAX), ..debit("acme", "a", max, [monthly(max)]) };
    let receipt = recorded(store, &largest).await;
    assert_eq!((receipt.amount, receipt.used, receipt.limit), (Amount::MAX, Amount::MAX, Some(Amount::MAX)));
    assert_eq!(store.receipt(&company("acme"), &key("a")).await.unwrap(), Some(receipt));
    assert_eq!(used(store, "acme", &monthly(max)).await, max);
    refused(store, &debit("acme", "b", 1, [monthly(max)])).await;
    refused(store, &debit("acme", "c", max, [monthly(max)])).await;
}

/// A counter never passes the largest amount: a debit that would is refused as a whole.
pub async fn an_overflow_is_refused(store: &impl Store) {
    let max = Amount::MAX.get();
    recorded(store, &debit("acme", "a", max - 1, [monthly(None)])).await;
    let before = facts(store, "acme").await;
    refused(store, &debit("acme", "b", 2, [monthly(None)])).await;
    refused(store, &debit("acme", "c", max, [monthly(None)])).await;
    refused(store, &debit("acme", "d", 2, [monthly(None), granted("g", 10)])).await;
    assert_eq!(facts(store, "acme").await, before);
    recorded(store, &debit("acme", "e", 1, [monthly(None)])).await;
    assert_eq!(used(store, "acme", &monthly(None)).await, max);
}

/// An overflow of a tally, or of an unlimited counter beside a limited one, is refused as well.
pub async fn an_overflow_beside_is_refused(store: &impl Store) {
    let max = Amount::MAX.get();
    recorded(store, &debit("acme", "a", max, [part("tokens")])).await;
    recorded(store, &debit("acme", "b", max, [yearly(None)])).await;
    let before = facts(store, "acme").await;
    let tallied = Debit { tallies: vec![part("tokens")], ..debit("acme", "c", 1, [monthly(10)]) };
    refused(store, &tallied).await;
    let beside = Debit { buckets: vec![bucket([monthly(10), yearly(None)])], ..debit("acme", "d", 1, []) };
    refused(store, &beside).await;
    assert_eq!(facts(store, "acme").await, before);
}

/// What a receipt shows as used stays in range when the counters together do not.
pub async fn the_shown_sum_stays_in_range(store: &impl Store) {
    let max = Amount::MAX.get();
    recorded(store, &debit("acme", "a", max, [granted("g", max)])).await;
    recorded(store, &debit("acme", "b", max, [granted("h", max)])).await;
    let buckets = [granted("g", max), granted("h", max), monthly(10)];
    let receipt = recorded(store, &debit("acme", "c", 3, buckets)).await;
    assert_eq!(receipt.used, Amount::MAX);
    assert_eq!(receipt.split, [split(&monthly(10), 3)]);
}

/// Large rooms do not overflow when they are added up.
pub async fn large_rooms_do_not_overflow(store: &impl Store) {
    let max = Amount::MAX.get();
    let buckets = || [granted("g", max), granted("h", max), granted("i", max)];
    let receipt = recorded(store, &debit("acme", "a", max, buckets())).await;
    assert_eq!(receipt.split, [split(&granted("g", max), max)]);
    let receipt = recorded(store, &debit("acme", "b", 7, buckets())).await;
    assert_eq!(receipt.split, [split(&granted("h", max), 7)]);
}

/// A debit that makes no sense is refused as unsupported and changes nothing.
pub async fn a_malformed_debit_is_unsupported(store: &impl Store) {
    let nothing = debit("acme", "a", 0, [monthly(10)]);
    let twice = debit("acme", "b", 1, [monthly(10), monthly(10)]);
    let tallied_twice = Debit { tallies: vec![monthly(None)], ..debit("acme", "c", 1, [monthly(10)]) };
    let hollow = Debit { buckets: vec![bucket([])], ..debit("acme", "d", 1, []) };
    for malformed in [nothing, twice, tallied_twice, hollow] {
        let error = store.debit(&malformed).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{malformed:?}");
        assert_eq!(store.receipt(&company("acme"), &malformed.key).await.unwrap(), None);
    }
    assert_eq!(facts(store, "acme").await.usage, []);
}

/// Retention may remove a counter whose period is over, so nothing is taken from it then, nor beside it; up to then it is.
pub async fn a_debit_after_the_end_of_a_period_is_unsupported(store: &impl Store) {
    let (acme, end) = (company("acme"), november().end.unwrap());
    let last = Debit { at: end - TimeDelta::microseconds(1), ..debit("acme", "last", 2, [monthly(10)]) };
    recorded(store, &last).await;
    let tallied = Debit { tallies: vec![part("queries")], ..debit("acme", "tallied", 1, [granted("g", 10)]) };
    let late = [
        debit("acme", "alone", 1, [monthly(10)]),
        debit("acme", "second", 1, [granted("g", 10), monthly(10)]),
        Debit { buckets: vec![bucket([yearly(10), monthly(10)])], ..debit("acme", "beside", 1, []) },
        tallied,
        debit("acme", "too much", 99, [monthly(10)]),
        last.clone(),
    ];
    for (late, at) in late.iter().flat_map(|late| [(late, end), (late, end + TimeDelta::days(400))]) {
        let late = Debit { at, receipt: receipt_id("late"), ..late.clone() };
        let in_time = Debit { at: now(), buckets: vec![bucket([yearly(10)])], ..debit("acme", "ok", 1, []) };
        let errors = [
            store.debit(&late).await.unwrap_err(),
            store.record(&acme, &[in_time, late.clone()]).await.unwrap_err(),
            store.reserve(&late, at + TimeDelta::days(1)).await.unwrap_err(),
        ];
        assert!(
            errors.iter().all(|error| error.kind() == StoreErrorKind::Unsupported),
            "{late:?} {errors:?}"
        );
    }
    for name in ["alone", "second", "beside", "tallied", "too much", "ok"] {
        assert_eq!(store.receipt(&acme, &key(name)).await.unwrap(), None, "{name}");
    }
    let usage = store.load(&acme, last.at).await.unwrap().usage;
    assert_eq!(usage.iter().map(|counter| counter.used.get()).collect::<Vec<_>>(), [2]);
}

/// Usage is no write to what a company may do: it takes no revision.
pub async fn a_debit_takes_no_revision(store: &impl Store) {
    recorded(store, &debit("acme", "a", 1, [monthly(10)])).await;
    assert_eq!(facts(store, "acme").await.revision, Revision(0));
    let grant = Grant { starts_at: now(), ..super::fixtures::grant("g", "acme") };
    store.insert_grant(&grant).await.unwrap();
    let before = facts(store, "acme").await.revision;
    let receipt = recorded(store, &debit("acme", "b", 1, [monthly(10)])).await;
    store.refund(&company("acme"), &receipt.id, now()).await.unwrap();
    assert_eq!(facts(store, "acme").await.revision, before);
}

fn split(counter: &Counter, amount: u64) -> Split {
    Split {
        meter: counter.meter.clone(),
        bucket: counter.bucket.clone(),
        period_start: counter.period.start,
        amount: units(amount),
    }
}
