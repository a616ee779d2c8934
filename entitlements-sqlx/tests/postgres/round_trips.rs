//! What goes over the wire: one statement for a call, and never a transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use entitlements_core::gauge::AcquireOutcome;
use entitlements_core::reservation::ReserveOutcome;
use entitlements_core::store::{
    GaugeStore, GrantStore, GroupStore, PageRequest, PolicyStore, ReservationStore, SnapshotStore,
    SubscriptionStore, UsageStore,
};
use entitlements_core::testkit::fixtures::{
    addon, company, debit, feature, grant, grant_id, granted, holder, key, monthly, now, overriding, policy,
    policy_id, receipt_id, subscription, subscription_id, units,
};
use entitlements_core::usage::{Debit, DebitOutcome, RecordOutcome};
use entitlements_sqlx::{PostgresConfig, PostgresStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};

use crate::server::{new_schema, url};

/// How many messages of a kind clients have sent.
#[derive(Default)]
struct Sent {
    /// Statements executed.
    executed: AtomicU64,
    /// Statements prepared.
    prepared: AtomicU64,
    /// Texts sent as they are; `BEGIN` would be one.
    texts: AtomicU64,
}

impl Sent {
    fn all(&self) -> [u64; 3] {
        [&self.executed, &self.prepared, &self.texts].map(|count| count.load(Ordering::SeqCst))
    }

    /// Reads messages until the client is gone, and passes them on.
    async fn count(
        &self,
        mut client: OwnedReadHalf,
        mut server: impl AsyncWriteExt + Unpin,
    ) -> std::io::Result<()> {
        // The first message has no kind.
        let mut kind = None;
        loop {
            let length = client.read_u32().await?;
            let mut body = vec![0; usize::try_from(length).unwrap() - 4];
            client.read_exact(&mut body).await?;
            let count = match kind {
                Some(b'E') => Some(&self.executed),
                Some(b'P') => Some(&self.prepared),
                Some(b'Q') => Some(&self.texts),
                _ => None,
            };
            if let Some(count) = count {
                count.fetch_add(1, Ordering::SeqCst);
            }
            let mut message: Vec<u8> = kind.into_iter().collect();
            message.extend(length.to_be_bytes());
            message.extend(body);
            server.write_all(&message).await?;
            kind = Some(client.read_u8().await?);
        }
    }
}

/// Listens, counts, and passes everything on to the server of the tests; returns its port.
async fn proxy(sent: Arc<Sent>) -> u16 {
    let place = PostgresConfig::from_url(&url("")).unwrap().to_string();
    let address = place.split('/').next().unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_server, to_server) = TcpStream::connect(&address).await.unwrap().into_split();
            let (from_client, mut to_client) = client.into_split();
            tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
            let sent = Arc::clone(&sent);
            tokio::spawn(async move { sent.count(from_client, to_server).await });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn every_call_is_one_statement() {
    let sent = Arc::new(Sent::default());
    let port = proxy(Arc::clone(&sent)).await;
    let url = url(&format!("search_path={}&host=127.0.0.1&port={port}&sslmode=disable", new_schema()));
    let config = PostgresConfig::from_url(&url).unwrap().with_connections(1);
    let store = PostgresStore::connect(&config).await.unwrap();
    // The first round prepares the statements.
    for round in ["warm", "measured"] {
        let acme = company("acme");
        let taken = |name: &str, amount| Debit {
            receipt: receipt_id(&format!("{round} {name}")),
            ..debit("acme", &format!("{round} {name}"), amount, [granted("g", 1), monthly(10)])
        };
        macro_rules! one {
            ($call:expr) => {{
                let before = sent.all();
                let answer = $call.await.unwrap();
                let [executed, prepared, texts] = std::array::from_fn(|n| sent.all()[n] - before[n]);
                assert_eq!((executed, texts), (1, 0), "{}", stringify!($call));
                assert!(round == "warm" || prepared == 0, "{}", stringify!($call));
                answer
            }};
        }
        let id = |name: &str| format!("{round} {name}");
        one!(store.put_subscription(&subscription(&id("s"), "acme"), now()));
        one!(store.subscription(&subscription_id(&id("s"))));
        one!(store.subscription_history(&subscription_id(&id("s"))));
        one!(store.put_addon(&acme, &addon("pack", 1)));
        one!(store.put_override(&acme, &overriding("reports", 5)));
        one!(store.remove_override(&acme, &feature("reports")));
        one!(store.insert_grant(&grant(&id("g"), "acme")));
        one!(store.insert_grant(&grant(&id("g"), "acme")));
        one!(store.find_grant(&grant_id(&id("g"))));
        one!(store.void_grant(&grant_id(&id("g")), now()));
        one!(store.list_grants(&acme, &PageRequest::first(10)));
        one!(store.insert_policy(&policy(&id("p"))));
        one!(store.replace_policy(&policy(&id("p"))));
        one!(store.find_policy(&policy_id(&id("p"))));
        one!(store.list_policies(&PageRequest::first(10)));
        one!(store.policies());
        one!(store.remove_policy(&policy_id(&id("p"))));
        assert!(matches!(one!(store.debit(&taken("a", 3))), DebitOutcome::Recorded(_)));
        assert!(matches!(one!(store.debit(&taken("a", 3))), DebitOutcome::Duplicate(_)));
        assert!(matches!(one!(store.debit(&taken("a", 2))), DebitOutcome::Conflict));
        assert!(matches!(one!(store.debit(&taken("b", 20))), DebitOutcome::Refused));
        one!(store.receipt(&acme, &key(&id("a"))));
        one!(store.refund(&acme, &receipt_id(&id("a")), now()));
        one!(store.refund(&acme, &receipt_id(&id("a")), now()));
        one!(store.pending_alerts(10));
        let soon = now() + chrono::TimeDelta::seconds(1);
        one!(store.claim_alerts(soon, now(), 10));
        let reserving = taken("r", 2);
        assert!(matches!(one!(store.reserve(&reserving, soon)), ReserveOutcome::Reserved(_)));
        assert!(matches!(one!(store.reserve(&reserving, soon)), ReserveOutcome::Duplicate(_)));
        assert!(matches!(one!(store.reserve(&taken("r", 1), soon)), ReserveOutcome::Conflict));
        assert!(matches!(one!(store.reserve(&taken("s", 20), soon)), ReserveOutcome::Refused));
        one!(store.reservation(&acme, &reserving.key));
        assert!(one!(store.commit(&acme, &reserving.receipt, units(3), now())).is_some());
        assert!(one!(store.release_reservation(&acme, &reserving.receipt, now())).is_some());
        assert!(matches!(one!(store.reserve(&taken("t", 1), soon)), ReserveOutcome::Reserved(_)));
        let expired = Debit { at: soon, ..taken("u", 1) };
        assert!(matches!(one!(store.debit(&expired)), DebitOutcome::Recorded(_)));
        assert_eq!(one!(store.record(&acme, &[taken("v", 1), taken("w", 1)])), [RecordOutcome::Recorded; 2]);
        let seats = feature("seats");
        let one = Some(units(1));
        assert_eq!(
            one!(store.acquire(&acme, &seats, &holder("ada"), one, now())),
            AcquireOutcome::Acquired(units(1))
        );
        assert_eq!(
            one!(store.acquire(&acme, &seats, &holder("ada"), one, now())),
            AcquireOutcome::Held(units(1))
        );
        assert_eq!(one!(store.acquire(&acme, &seats, &holder("bob"), one, now())), AcquireOutcome::Refused);
        one!(store.set_level(&acme, &seats, units(0), one));
        one!(store.list_holders(&acme, &seats, &PageRequest::first(10)));
        assert!(one!(store.release(&acme, &seats, &holder("ada"))));
        one!(store.load(&acme, now()));
    }
}

/// The first of several groups that repeat something takes two statements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_group_looks_its_keys_up_after_one_that_had_a_known_one() {
    let sent = Arc::new(Sent::default());
    let port = proxy(Arc::clone(&sent)).await;
    let url = url(&format!("search_path={}&host=127.0.0.1&port={port}&sslmode=disable", new_schema()));
    let config = PostgresConfig::from_url(&url).unwrap().with_connections(1);
    let store = PostgresStore::connect(&config).await.unwrap();
    for (numbers, statements, is_known) in [
        // The counter is made.
        ([1, 2], 1, false),
        ([3, 4], 1, false),
        ([4, 5], 2, true),
        ([5, 6], 1, true),
        ([7, 8], 1, false),
        ([8, 9], 2, true),
    ] {
        let before = sent.executed.load(Ordering::SeqCst);
        let group = numbers.map(|number| debit("acme", &format!("key {number}"), 1, [monthly(100)]));
        let outcomes = store.debit_group(&group).await.unwrap();
        assert_eq!(sent.executed.load(Ordering::SeqCst) - before, statements, "{numbers:?}");
        assert!(matches!(outcomes.last(), Some(DebitOutcome::Recorded(_))), "{numbers:?}");
        assert_eq!(matches!(outcomes.first(), Some(DebitOutcome::Duplicate(_))), is_known, "{numbers:?}");
    }
    let used = store.load(&company("acme"), now()).await.unwrap().usage;
    assert_eq!(used.iter().map(|counter| counter.used.as_i64()).collect::<Vec<_>>(), [9]);
}
