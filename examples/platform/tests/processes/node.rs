//! A process of the fleet: this program again, told by its parent what to do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use entitlements_core::bus::Change;
use entitlements_core::decision_cache::SHARED_TTL;
use entitlements_core::facts::Revision;
use entitlements_core::observer::{Event, Observer, Tier};
use entitlements_core::{Action, CacheConfig, Entitlements, Request, Resilience, Subject, TokioRuntime};
use entitlements_redis::{RedisBus, RedisConfig, RedisDecisionCache};
use entitlements_sqlx::PostgresStore;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::orders::{Loaded, Micros, Order, Reply, Watched};
use crate::random::Random;
use crate::world::{FEATURE, catalog, company, database, micros, subscription};

/// Tells the child where its parent listens, where to keep everything, and which Redis to use.
pub(crate) const PARENT: &str = "PROCESSES_PARENT";
pub(crate) const SCHEMA: &str = "PROCESSES_SCHEMA";
pub(crate) const REDIS: &str = "PROCESSES_REDIS";

/// How many companies a node remembers, and how long a check may wait in milliseconds.
pub(crate) const REMEMBERED: &str = "PROCESSES_REMEMBERED";
pub(crate) const DEADLINE: &str = "PROCESSES_DEADLINE";

/// Only as a child it does anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a part of the other tests"]
async fn a_node() {
    let Ok(parent) = std::env::var(PARENT) else { return };
    let stream = TcpStream::connect(parent).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (orders, mut replies) = stream.into_split();
    let node = Arc::new(Node::start().await);
    let (done, mut ready) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(line) = ready.recv().await {
            replies.write_all(line.as_bytes()).await.unwrap();
        }
    });
    done.send("ready\n".into()).unwrap();
    // The parent is gone when there are no more lines.
    let mut lines = BufReader::new(orders).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let (node, done) = (Arc::clone(&node), done.clone());
        tokio::spawn(async move {
            let (number, order) = line.split_once(' ').unwrap();
            let reply = node.obey(serde_json::from_str(order).unwrap()).await;
            // Nobody waits when the parent ends.
            let _ = done.send(format!("{number} {}\n", serde_json::to_string(&reply).unwrap()));
        });
    }
}

struct Node {
    handle: Entitlements,
    decisions: Arc<RedisDecisionCache>,
    seen: Arc<Seen>,
}

/// What the handle shows to observers.
#[derive(Debug, Default)]
struct Seen {
    /// When this node's last write about a company had been committed.
    committed: Mutex<HashMap<String, Micros>>,
    shared: AtomicU64,
}

impl Observer for Seen {
    fn observe(&self, event: &Event<'_>) {
        match event {
            // Its own write, which is told to others after this; what it hears from them has a revision.
            Event::Invalidated { change: Change::Company { company, revision: None } } => {
                self.committed.lock().unwrap().insert(company.to_string(), micros());
            }
            Event::Decided { tier: Tier::Shared, .. } => {
                self.shared.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

fn number(name: &str) -> u64 {
    std::env::var(name).unwrap().parse().unwrap()
}

impl Node {
    async fn start() -> Self {
        let store = PostgresStore::connect(&database(&std::env::var(SCHEMA).unwrap())).await.unwrap();
        let redis = RedisConfig::new(&std::env::var(REDIS).unwrap()).unwrap();
        let decisions = Arc::new(RedisDecisionCache::connect(redis.clone()).await.unwrap());
        let seen = Arc::new(Seen::default());
        let handle = Entitlements::builder(catalog())
            .store(store)
            .shared_cache(Arc::clone(&decisions), SHARED_TTL)
            .bus(RedisBus::connect(redis).await.unwrap())
            .runtime(TokioRuntime::current().unwrap())
            .cache(CacheConfig::default().with_companies(usize::try_from(number(REMEMBERED)).unwrap()))
            .resilience(Resilience::default().with_deadline(Duration::from_millis(number(DEADLINE))))
            .observer(Arc::clone(&seen))
            .build();
        Self { handle, decisions, seen }
    }

    async fn obey(&self, order: Order) -> Reply {
        match order {
            Order::Flip { company: name, has, cancel } => {
                let wanted = subscription(&name, has, cancel, self.handle.now());
                let revision = self.handle.put_subscription(&wanted).await.unwrap();
                let committed = self.seen.committed.lock().unwrap().get(&name).copied().unwrap();
                Reply::Flipped { committed, revision: revision.0 }
            }
            Order::Check { company: name, at_least } => {
                let subject = Subject::company(company(&name));
                let request = Request::new(&subject, FEATURE, Action::View);
                let decision = match at_least {
                    Some(revision) => self.handle.check_at_least(&request, Revision(revision)).await,
                    None => self.handle.check(&request).await,
                };
                let decision = decision.unwrap();
                Reply::Checked { allowed: decision.is_allowed(), degraded: decision.degraded.is_some() }
            }
            Order::Watch { company, until, limit } => {
                Reply::Watched(self.watch(&company, until, limit).await)
            }
            Order::Load { companies, time, tasks, pause } => {
                Reply::Loaded(self.load(companies, time, tasks, pause).await)
            }
            Order::Health => self.decisions.health().into(),
        }
    }

    async fn watch(&self, name: &str, until: bool, limit: Duration) -> Watched {
        let subject = Subject::company(company(name));
        let request = Request::new(&subject, FEATURE, Action::View);
        let mut watched = Watched { last_other: None, first: None, checks: 0, troubled: 0 };
        let begun = Instant::now();
        while begun.elapsed() < limit {
            let at = micros();
            watched.checks += 1;
            match self.handle.check(&request).await {
                Ok(decision) if decision.degraded.is_some() => watched.troubled += 1,
                Ok(decision) if decision.is_allowed() == until => {
                    watched.first = Some(at);
                    return watched;
                }
                Ok(_) => watched.last_other = Some(at),
                Err(_) => watched.troubled += 1,
            }
            // Finer at first, where most of the answers change.
            let pause = if begun.elapsed() < Duration::from_millis(200) { 1 } else { 10 };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        watched
    }

    async fn load(&self, companies: u64, time: Duration, tasks: u64, pause: Duration) -> Loaded {
        let shared = self.seen.shared.load(Ordering::Relaxed);
        let running: Vec<_> = (0..tasks)
            .map(|task| {
                let handle = self.handle.clone();
                tokio::spawn(async move {
                    let (mut random, mut loaded) = (Random(task), Loaded::default());
                    let begun = Instant::now();
                    while begun.elapsed() < time {
                        let number = random.below(companies);
                        let subject = Subject::company(company(&format!("c{number}")));
                        let asked = Instant::now();
                        let answer = handle.check(&Request::new(&subject, FEATURE, Action::View)).await;
                        loaded.took.push(u32::try_from(asked.elapsed().as_micros()).unwrap());
                        match answer {
                            Ok(decision) => {
                                loaded.wrong += u64::from(decision.is_allowed() != number.is_multiple_of(2));
                                loaded.degraded += u64::from(decision.degraded.is_some());
                            }
                            Err(_) => loaded.errors += 1,
                        }
                        tokio::time::sleep(pause).await;
                    }
                    loaded
                })
            })
            .collect();
        let mut all = Loaded::default();
        for task in running {
            let one = task.await.unwrap();
            all.took.extend(one.took);
            all.wrong += one.wrong;
            all.degraded += one.degraded;
            all.errors += one.errors;
        }
        all.shared = self.seen.shared.load(Ordering::Relaxed) - shared;
        all
    }
}
