//! Processes that are killed.

use crate::clients::work;
use crate::killing::{orders, rounds};
use crate::server::{InSchema, named};

/// Only as a child it does anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn the_child_of_the_rig() {
    if let Some(orders) = orders() {
        work(&named(&orders.place, 10).await, &orders).await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn nothing_is_lost_or_done_twice_when_a_process_is_killed() {
    let ground = InSchema::new();
    rounds(&ground, ground.schema()).await;
}
