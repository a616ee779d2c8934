//! The fleet as its parent sees it.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entitlements_sqlx::PostgresStore;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};

use crate::node;
use crate::orders::{Order, Reply};
use crate::proxy::Proxy;
use crate::redis::Redis;
use crate::world::{database, new_schema};

/// How nodes are set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How many companies a node remembers.
    pub(crate) remembered: u64,
    /// How long a check may wait.
    pub(crate) deadline: Duration,
}

/// A process, and the network between it and Redis.
pub(crate) struct Member {
    _process: Child,
    pub(crate) proxy: Proxy,
    orders: mpsc::UnboundedSender<String>,
    waiting: Waiting,
    numbers: AtomicU64,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Reply>>>>;

/// Starts so many processes on one schema and one Redis.
pub(crate) async fn start(count: usize, redis: &Redis, terms: Terms) -> (Vec<Member>, PostgresStore) {
    let schema = new_schema();
    // Whoever is first makes the tables.
    let store = PostgresStore::connect(&database(&schema)).await.unwrap();
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(Member::start(&schema, redis, terms).await);
    }
    (members, store)
}

impl Member {
    async fn start(schema: &str, redis: &Redis, terms: Terms) -> Self {
        let proxy = Proxy::start(redis.socket()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "node::a_node", "--include-ignored", "--test-threads=1"])
            .env(node::PARENT, listener.local_addr().unwrap().to_string())
            .env(node::SCHEMA, schema)
            .env(node::REDIS, &proxy.url)
            .env(node::REMEMBERED, terms.remembered.to_string())
            .env(node::DEADLINE, terms.deadline.as_millis().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let accepted = tokio::time::timeout(Duration::from_mins(1), listener.accept()).await;
        let (stream, _) = accepted.expect("a process does not start").unwrap();
        stream.set_nodelay(true).unwrap();
        let (replies, mut to_node) = stream.into_split();
        let mut lines = BufReader::new(replies).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
        let (orders, mut ordered) = mpsc::unbounded_channel::<String>();
        tokio::spawn(async move {
            while let Some(line) = ordered.recv().await {
                to_node.write_all(line.as_bytes()).await.unwrap();
            }
        });
        let waiting = Waiting::default();
        let served = Arc::clone(&waiting);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let (number, reply) = line.split_once(' ').unwrap();
                let waiter = served.lock().unwrap().remove(&number.parse().unwrap());
                // Whoever gave the order may be gone.
                let _ = waiter.unwrap().send(serde_json::from_str(reply).unwrap());
            }
            // A process that ended answers nobody any more.
            served.lock().unwrap().clear();
        });
        Self { _process: process, proxy, orders, waiting, numbers: AtomicU64::new(0) }
    }

    /// Gives an order; its reply comes when it is done.
    pub(crate) fn order(&self, order: &Order) -> impl Future<Output = Reply> + Send + use<> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (done, reply) = oneshot::channel();
        self.waiting.lock().unwrap().insert(number, done);
        self.orders.send(format!("{number} {}\n", serde_json::to_string(order).unwrap())).unwrap();
        let order = format!("{order:?}");
        async move { reply.await.unwrap_or_else(|_| panic!("the process died over {order}")) }
    }
}
