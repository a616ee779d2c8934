//! Steps in the caller's transaction that are given up half-way, at every point where they can be.

use entitlements_core::id::{FeatureKey, GrantId, IdempotencyKey, ReceiptId};
use entitlements_core::store::UsageStore as _;
use entitlements_core::testkit::fixtures::facts;
use entitlements_core::{Action, Entitlements, NewGrant, Request};

use crate::giving_up::{POLLS, after_polls};
use crate::in_transaction::{acme, handle, key, units, used};
use crate::stage::{Beginning, InTransaction, Stage, execute, insert_alone};

/// What a caller does in its transaction.
#[derive(Clone, Copy, Debug)]
enum Step {
    Check,
    Consume,
    Refund,
    Grant,
    Void,
}

const STEPS: [Step; 5] = [Step::Check, Step::Consume, Step::Refund, Step::Grant, Step::Void];

/// What was there before.
struct Given {
    receipt: ReceiptId,
    grant: GrantId,
}

impl Given {
    async fn new(handle: &Entitlements) -> Self {
        let consumed = handle.consume(&units(&acme(), 3)).await.unwrap();
        let grant = handle.grant(forecast()).await.unwrap().id;
        Self { receipt: consumed.receipt().unwrap().id.clone(), grant }
    }
}

fn forecast() -> NewGrant {
    NewGrant::new(acme().company, FeatureKey::new("forecast").unwrap())
}

impl Step {
    async fn take(self, handle: &Entitlements, inside: &mut InTransaction<'_>, given: &Given) {
        let acme = acme();
        match self {
            Self::Check => {
                drop(handle.check_in(inside, &Request::new(&acme, "forecast", Action::View)).await.unwrap());
            }
            Self::Consume => {
                let consume = units(&acme, 1).with_key(key("given up"));
                drop(handle.consume_in(inside, &consume).await.unwrap());
            }
            Self::Refund => {
                drop(handle.refund_in(inside, &acme.company, &given.receipt).await.unwrap());
            }
            Self::Grant => drop(handle.grant_in(inside, forecast()).await.unwrap()),
            Self::Void => {
                handle.void_in(inside, &given.grant).await.unwrap();
            }
        }
    }
}

/// How the caller ends a transaction that it gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It says so.
    RollsBack,
    /// It is dropped, too.
    Drops,
}

/// Nothing of the transaction remains, and its connection is as good as new: what it acknowledges afterwards stays.
pub(crate) async fn a_step_that_is_given_up_is_rolled_back_with_its_transaction(stage: Stage) {
    let handle = handle(&stage);
    let given = Given::new(&handle).await;
    let before = facts(&stage.store, "acme").await;
    let (mut given_up, mut kept) = (0, 0);
    for step in STEPS {
        for (polls, end) in (0..POLLS).flat_map(|polls| [(polls, End::RollsBack), (polls, End::Drops)]) {
            let mut transaction = stage.pool.beginning().await;
            execute(&mut transaction, "INSERT INTO orders VALUES ('given up')").await;
            let mut inside = InTransaction::new(&mut transaction);
            let done = after_polls(polls, step.take(&handle, &mut inside, &given)).await;
            given_up += u32::from(done.is_none());
            match end {
                End::RollsBack => transaction.rollback().await.unwrap(),
                End::Drops => drop(transaction),
            }
            insert_alone(&stage.pool, &format!("kept {kept}")).await;
            kept += 1;
            assert_eq!(stage.orders_seen_by_others().await, kept, "{step:?} after {polls} polls, {end:?}");
            assert_eq!(facts(&stage.store, "acme").await, before, "{step:?} after {polls} polls, {end:?}");
        }
        assert!(given_up > 0, "{step:?} was never given up");
        given_up = 0;
    }
    assert_eq!(stage.store.receipt(&acme().company, &key("given up")).await.unwrap(), None);
}

/// A caller that commits all the same has taken the units as a whole, with their receipt, or none of them.
pub(crate) async fn what_is_given_up_and_committed_is_whole_or_not_there(stage: Stage) {
    let handle = handle(&stage);
    let name = |polls: u32| IdempotencyKey::new(format!("order {polls}")).unwrap();
    let mut given_up = 0;
    for polls in 0..POLLS {
        let mut transaction = stage.pool.beginning().await;
        execute(&mut transaction, &format!("INSERT INTO orders VALUES ('{polls}')")).await;
        let (acme, mut inside) = (acme(), InTransaction::new(&mut transaction));
        let consume = units(&acme, 1).with_key(name(polls));
        given_up += u32::from(after_polls(polls, handle.consume_in(&mut inside, &consume)).await.is_none());
        transaction.commit().await.unwrap();
        handle.invalidate(&acme.company);
        if used(&handle).await == 10 {
            break;
        }
    }
    assert!(given_up > 0, "nothing was given up");
    let mut receipts = 0;
    for polls in 0..POLLS {
        let receipt = stage.store.receipt(&acme().company, &name(polls)).await.unwrap();
        receipts += u64::from(receipt.is_some());
    }
    assert_eq!(used(&handle).await, receipts);
}

/// In a task of its own a transaction comes to its end, whenever the caller stops waiting for it.
pub(crate) async fn a_transaction_in_a_task_of_its_own_outlives_its_caller(stage: Stage) {
    let handle = handle(&stage);
    let (running, mut ended) = tokio::sync::mpsc::channel::<()>(1);
    let callers = 5;
    for polls in 0..callers {
        let (handle, pool, running) = (handle.clone(), stage.pool.clone(), running.clone());
        let task = tokio::spawn(async move {
            let mut transaction = pool.beginning().await;
            execute(&mut transaction, &format!("INSERT INTO orders VALUES ('{polls}')")).await;
            let mut inside = InTransaction::new(&mut transaction);
            drop(handle.consume_in(&mut inside, &units(&acme(), 2)).await.unwrap());
            transaction.commit().await.unwrap();
            drop(running);
        });
        drop(after_polls(polls, task).await);
    }
    drop(running);
    assert_eq!(ended.recv().await, None);
    handle.invalidate(&acme().company);
    assert_eq!((stage.orders_seen_by_others().await, used(&handle).await), (i64::from(callers), 10));
}
