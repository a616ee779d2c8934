//! Usage that Stripe bills: what was used is counted there, once, whatever crashes.

use billing_stripe::client::StripeClient;
use billing_stripe::fake::{FaultKind, RequestFault};
use billing_stripe::{Handled, Notice, UsageProgress};
use chrono::TimeDelta;
use entitlements_core::billing::UsageRecordState as State;
use entitlements_core::usage::Receipt;
use entitlements_core::{Amount, Clock, Consume, Subject, Subscription, SubscriptionStatus};
use http::Method;

use crate::shaky::Cut;
use crate::world::{PAGES, Process, World, acme, buy, op};

const VISA: Option<&str> = Some("pm_card_visa");
const EVENTS: &str = "/v1/billing/meter_events";

/// Longer than every lease, and than every wait before another attempt of the first few.
const LATER: TimeDelta = TimeDelta::seconds(130);

/// A process that bills what is read, and has a customer.
async fn customer() -> (World, Process) {
    let world = World::new().await;
    world.fake.add_meter(PAGES);
    let process = world.process();
    process.subscribe(&buy("pro", VISA)).await.unwrap();
    process.billing.bill_usage().await.unwrap();
    (world, process)
}

async fn read(process: &Process, key: &str, pages: u64) -> Receipt {
    let subject = Subject::company(acme());
    let consume = Consume::new(&subject, "pages", Amount::new(pages).unwrap()).with_key(key.parse().unwrap());
    process.entitlements.consume(&consume).await.unwrap().receipt().unwrap().clone()
}

async fn refund(process: &Process, receipt: &Receipt) {
    process.entitlements.refund(&acme(), &receipt.id).await.unwrap().unwrap();
}

/// What Stripe counts.
async fn counted(world: &World) -> u64 {
    let customer = world.memory.customer_of(&acme()).await.unwrap().unwrap();
    world.fake.usage(PAGES, customer.id.as_str())
}

/// Reports in small batches until nothing is left to do.
async fn report_all(world: &World, process: &Process) {
    for _ in 0..50 {
        world.advance(LATER);
        if process.billing.report_usage(2).await.is_ok_and(|progress| progress.claimed == 0) {
            return;
        }
    }
    panic!("it does not end: {:?}", process.billing.unsettled_usage().await);
}

/// The states of what is unsettled, with their units.
async fn unsettled(process: &Process) -> Vec<(State, u64)> {
    let all = process.billing.unsettled_usage().await.unwrap();
    all.into_iter().map(|it| (it.state, it.amount.get())).collect()
}

#[tokio::test]
async fn what_is_used_is_counted_at_stripe_once() {
    let (world, process) = customer().await;
    for (key, pages) in [("a", 3), ("b", 4), ("a", 3)] {
        read(&process, key, pages).await;
    }
    assert_eq!(unsettled(&process).await, [(State::Pending, 7)]);
    let progress = process.billing.report_usage(100).await.unwrap();
    assert_eq!((progress.claimed, progress.sent, progress.failed), (2, 2, 0));
    assert_eq!(counted(&world).await, 7);
    assert_eq!(process.billing.report_usage(100).await.unwrap(), UsageProgress::default());
    assert_eq!(unsettled(&process).await, []);
}

#[tokio::test]
async fn a_crash_at_any_step_of_reporting_counts_everything_once() {
    let (mut runs, mut step) = (0, 0);
    loop {
        step += 1;
        let mut reached = false;
        for cut in Cut::ALL {
            let (world, process) = customer().await;
            let given_back = read(&process, "c", 50).await;
            for (key, pages) in [("a", 1), ("b", 20)] {
                read(&process, key, pages).await;
            }
            let reporter = world.process();
            reporter.store.cut_at(step, cut);
            tokio::select! {
                _ = reporter.billing.report_usage(3) => {}
                () = reporter.store.died() => {}
            }
            reached |= reporter.store.steps() >= step;
            // What may have been sent before the crash is taken back after it.
            refund(&process, &given_back).await;
            report_all(&world, &world.process()).await;
            assert_eq!(counted(&world).await, 21, "{cut:?} at {step}");
            assert_eq!(unsettled(&process).await, [], "{cut:?} at {step}");
            runs += 1;
        }
        if !reached {
            break;
        }
    }
    println!("{runs} reports were cut at {} steps", step - 1);
    assert!(step > 6, "{step}");
}

#[tokio::test]
async fn a_lost_reply_counts_once() {
    for kind in [FaultKind::LoseReply, FaultKind::Break] {
        let (world, process) = customer().await;
        read(&process, "a", 3).await;
        world.fake.fail(RequestFault::next(kind).times(2).on(Method::POST, EVENTS));
        let progress = process.billing.report_usage(10).await.unwrap();
        assert_eq!((progress.sent, progress.failed), (0, 1), "{kind:?}");
        report_all(&world, &process).await;
        assert_eq!((counted(&world).await, unsettled(&process).await), (3, vec![]), "{kind:?}");
    }
}

#[tokio::test]
async fn a_report_that_stripe_has_under_another_key_counts_once() {
    let (world, process) = customer().await;
    read(&process, "a", 3).await;
    // The replies to all attempts under the first key are lost; under the next one Stripe says that it has the report.
    world.fake.fail(RequestFault::next(FaultKind::LoseReply).times(6).on(Method::POST, EVENTS));
    for _ in 0..3 {
        assert_eq!(process.billing.report_usage(10).await.unwrap().failed, 1);
        world.advance(LATER);
    }
    assert_eq!(process.billing.report_usage(10).await.unwrap().sent, 1);
    assert_eq!((counted(&world).await, unsettled(&process).await), (3, vec![]));
}

#[tokio::test]
async fn what_stripe_may_have_counted_a_day_ago_is_not_sent_again() {
    let (world, process) = customer().await;
    read(&process, "a", 3).await;
    world.fake.fail(RequestFault::next(FaultKind::LoseReply).times(2).on(Method::POST, EVENTS));
    process.billing.report_usage(10).await.unwrap();
    world.advance(TimeDelta::hours(25));
    report_all(&world, &process).await;
    assert_eq!(counted(&world).await, 3);
    assert_eq!(unsettled(&process).await, [(State::Refused, 3)]);
}

#[tokio::test]
async fn a_stripe_that_was_away_for_days_is_told_when_it_is_back() {
    let (world, process) = customer().await;
    read(&process, "a", 3).await;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = world.fake.config().base_url(format!("http://{nowhere}"));
    let away = world.process_on(world.memory.clone(), StripeClient::new(&config).unwrap());
    for _ in 0..3 {
        assert_eq!(away.billing.report_usage(10).await.unwrap().failed, 1);
        world.advance(TimeDelta::days(1));
    }
    report_all(&world, &process).await;
    assert_eq!((counted(&world).await, unsettled(&process).await), (3, vec![]));
}

#[tokio::test]
async fn a_refusal_to_hear_more_ends_the_batch() {
    let (world, process) = customer().await;
    for n in 0..20 {
        read(&process, &n.to_string(), 1).await;
    }
    let limited = FaultKind::Refuse { status: 429, code: None, should_retry: None, retry_after: None };
    // As many as are reported at once: who began another one would succeed.
    world.fake.fail(RequestFault::next(limited).times(8).on(Method::POST, EVENTS));
    let progress = process.billing.report_usage(20).await.unwrap();
    assert_eq!((progress.claimed, progress.sent, progress.failed), (20, 0, 20));
    report_all(&world, &process).await;
    assert_eq!(counted(&world).await, 20);
}

#[tokio::test]
async fn usage_that_is_too_old_is_shown_and_not_sent() {
    let (world, process) = customer().await;
    read(&process, "a", 3).await;
    world.advance(TimeDelta::days(35));
    read(&process, "b", 4).await;
    let progress = process.billing.report_usage(10).await.unwrap();
    assert_eq!((progress.sent, progress.refused), (1, 1));
    assert_eq!((counted(&world).await, unsettled(&process).await), (4, vec![(State::Refused, 3)]));
}

#[tokio::test]
async fn usage_waits_until_the_company_is_a_customer() {
    let world = World::new().await;
    world.fake.add_meter(PAGES);
    let process = world.process();
    process.billing.bill_usage().await.unwrap();
    // Of another provider.
    let bought = World::new().await.process().subscribe(&buy("pro", VISA)).await.unwrap();
    let own = Subscription { id: "sub_own".parse().unwrap(), ..bought };
    world.memory.put_subscription(&own, world.clock.now()).await.unwrap();
    read(&process, "a", 3).await;
    assert_eq!(process.billing.report_usage(10).await.unwrap().failed, 1);
    let ended = Subscription { status: SubscriptionStatus::Canceled, ..own };
    world.memory.put_subscription(&ended, world.clock.now()).await.unwrap();
    process.subscribe(&buy("pro", VISA)).await.unwrap();
    report_all(&world, &process).await;
    assert_eq!((counted(&world).await, unsettled(&process).await), (3, vec![]));
}

#[tokio::test]
async fn what_is_given_back_is_not_counted() {
    let (world, process) = customer().await;
    let (before, after) = (read(&process, "a", 3).await, read(&process, "b", 4).await);
    refund(&process, &before).await;
    process.billing.report_usage(10).await.unwrap();
    assert_eq!(counted(&world).await, 4);
    refund(&process, &after).await;
    assert_eq!(process.billing.report_usage(10).await.unwrap().corrected, 1);
    assert_eq!((counted(&world).await, unsettled(&process).await), (0, vec![]));
}

#[tokio::test]
async fn what_is_given_back_too_late_is_shown() {
    let (world, process) = customer().await;
    let receipt = read(&process, "a", 3).await;
    process.billing.report_usage(10).await.unwrap();
    world.advance(TimeDelta::hours(25));
    refund(&process, &receipt).await;
    assert_eq!(process.billing.report_usage(10).await.unwrap().refused, 1);
    assert_eq!((counted(&world).await, unsettled(&process).await), (3, vec![(State::Uncorrected, 3)]));
}

#[tokio::test]
async fn processes_that_report_at_once_count_once() {
    let (world, process) = customer().await;
    for n in 0..20 {
        read(&process, &n.to_string(), 1).await;
    }
    let reporters: Vec<_> = (0..4).map(|_| world.process().billing).collect();
    let reports = reporters.into_iter().map(|billing| {
        tokio::spawn(async move {
            let mut sent = 0;
            for _ in 0..5 {
                sent += billing.report_usage(2).await.unwrap().sent;
            }
            sent
        })
    });
    let mut sent = 0;
    for report in reports.collect::<Vec<_>>() {
        sent += report.await.unwrap();
    }
    assert_eq!((sent, counted(&world).await), (20, 20));
}

#[tokio::test]
async fn what_stripe_cannot_count_after_all_is_shown_and_told() {
    let (world, process) = customer().await;
    let customer = world.memory.customer_of(&acme()).await.unwrap().unwrap();
    world.client.delete_customer(customer.id.as_str(), &op()).await.unwrap();
    read(&process, "a", 3).await;
    assert_eq!(process.billing.report_usage(10).await.unwrap().sent, 1);
    assert_eq!(unsettled(&process).await, []);
    let report = world.bodies_after(0).pop().unwrap();
    assert!(report.contains("v1.billing.meter.error_report_triggered"), "{report}");
    assert_eq!(process.receive(&report).await.unwrap(), Handled::Processed);
    assert_eq!(unsettled(&process).await, [(State::Refused, 3)]);
    assert!(matches!(process.told.all().last(), Some(Notice::UsageNotCounted { records: 1, .. })));
}

#[tokio::test]
async fn a_report_of_errors_that_says_nothing_changes_nothing() {
    let (world, process) = customer().await;
    read(&process, "a", 3).await;
    process.billing.report_usage(10).await.unwrap();
    for (id, data) in [("evt_1", "null"), ("evt_2", "{}"), ("evt_3", r#"{"reason":{"error_types":null}}"#)] {
        let body = format!(
            r#"{{"id":"{id}","object":"v2.core.event","type":"v1.billing.meter.no_meter_found",
            "created":"2026-01-10T00:00:00Z","livemode":false,"data":{data}}}"#
        );
        assert_eq!(process.receive(&body).await.unwrap(), Handled::Processed, "{body}");
    }
    let body = r#"{"id":"evt_4","object":"v2.core.event","type":"v1.billing.meter.no_meter_found",
        "created":"2026-01-10T00:00:00Z","livemode":false,"data":{"reason":7}}"#;
    assert!(matches!(process.receive(body).await.unwrap(), Handled::Ignored(_)));
    assert_eq!((counted(&world).await, unsettled(&process).await), (3, vec![]));
}

#[tokio::test]
async fn an_erased_company_is_not_reported() {
    let (world, process) = customer().await;
    read(&process, "a", 3).await;
    let customer = world.memory.customer_of(&acme()).await.unwrap().unwrap();
    process.entitlements.erase(&acme()).await.unwrap();
    assert_eq!(process.billing.report_usage(10).await.unwrap().claimed, 0);
    assert_eq!(world.fake.usage(PAGES, customer.id.as_str()), 0);
    assert_eq!(unsettled(&process).await, []);
}
