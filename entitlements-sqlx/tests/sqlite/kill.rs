//! Processes that are killed.

use std::path::Path;

use crate::clients::work;
use crate::files::{InFolder, in_file};
use crate::killing::{orders, rounds};

/// Only as a child it does anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_of_the_rig() {
    if let Some(orders) = orders() {
        work(&in_file(Path::new(&orders.place)).await, &orders).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_or_done_twice_when_a_process_is_killed() {
    let ground = InFolder::new();
    rounds(&ground, ground.path().to_str().unwrap()).await;
}
