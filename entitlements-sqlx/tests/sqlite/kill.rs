//! Processes that are killed.

use std::path::Path;

use crate::files::{in_file, temporary};
use crate::killing::{orders, rounds, work};

/// Only as a child it does anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_of_the_rig() {
    if let Some((path, company)) = orders() {
        work(&in_file(Path::new(&path)).await, &company).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_or_done_twice_when_a_process_is_killed() {
    let path = temporary();
    rounds(&in_file(&path).await, path.to_str().unwrap()).await;
}
