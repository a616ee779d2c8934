//! Processes that are killed.

use crate::killing::{orders, rounds, work};
use crate::server::{in_schema, new_schema};

/// Only as a child it does anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn the_child_of_the_rig() {
    if let Some((schema, company)) = orders() {
        work(&in_schema(&schema).await, &company).await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn nothing_is_lost_or_done_twice_when_a_process_is_killed() {
    let schema = new_schema();
    rounds(&in_schema(&schema).await, &schema).await;
}
