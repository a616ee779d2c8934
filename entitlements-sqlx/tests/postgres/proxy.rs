//! A network that misbehaves: a proxy before the server of the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use entitlements_sqlx::PostgresConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::server::url;

/// How the proxy treats what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Every answer comes late.
    Slow(Duration),
    /// Connections are closed at once, and those that are there, too.
    Down,
    /// The next question is lost, with its connection.
    Deaf,
    /// The next question arrives; of its answer come only so many bytes, then the connection is closed.
    Torn(usize),
    /// Nothing gets through in either direction, and nothing is closed. What is lost then stays lost.
    Hung,
}

pub(crate) struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// How often something came from the server.
    answers: AtomicU64,
    /// How many connections there were, and how many of them have ended.
    begun: AtomicU64,
    ended: AtomicU64,
    /// Of so many connections, the first ones, nothing gets through any more.
    lost: AtomicU64,
    /// Of each later connection, nothing gets through after so many answers.
    answers_each: AtomicU64,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let place = PostgresConfig::from_url(&url("")).unwrap().to_string();
        let address = place.split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, seen) = watch::channel(Weather::Fair);
        let counts = Arc::new(Counts { answers_each: AtomicU64::new(u64::MAX), ..Counts::default() });
        let counted = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *seen.borrow() == Weather::Down {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&address).await else { continue };
                let (seen, counted) = (seen.clone(), Arc::clone(&counted));
                let number = counted.begun.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    pass(client, server, seen, &counted, number).await;
                    counted.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, weather, counts }
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send(weather).unwrap();
    }

    pub(crate) fn answers(&self) -> u64 {
        self.counts.answers.load(Ordering::SeqCst)
    }

    /// How many connections there were.
    pub(crate) fn begun(&self) -> u64 {
        self.counts.begun.load(Ordering::SeqCst)
    }

    /// How many there are.
    pub(crate) fn open(&self) -> u64 {
        self.begun() - self.counts.ended.load(Ordering::SeqCst)
    }

    /// Nothing gets through those that there are, and nothing is closed. Others work.
    pub(crate) fn lose(&self) {
        self.counts.lost.store(self.begun(), Ordering::SeqCst);
    }

    /// Of each connection, nothing gets through after so many answers.
    pub(crate) fn lose_after(&self, answers: u64) {
        self.counts.answers_each.store(answers, Ordering::SeqCst);
    }

    /// A way to a schema through the proxy.
    pub(crate) fn config(&self, schema: &str) -> PostgresConfig {
        PostgresConfig::from_url(&self.url(&format!("search_path={schema}"))).unwrap()
    }

    /// The URL of the server through the proxy, with more parameters.
    pub(crate) fn url(&self, parameters: &str) -> String {
        let port = self.port;
        url(&format!("{parameters}&host=127.0.0.1&port={port}&sslmode=disable"))
    }
}

/// Passes everything on between the two, as the weather allows, until one of them closes.
async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    mut weather: watch::Receiver<Weather>,
    counts: &Counts,
    number: u64,
) {
    let (mut question, mut answer) = (vec![0; 65536], vec![0; 65536]);
    let (mut is_lost, mut answers) = (false, 0);
    loop {
        tokio::select! {
            changed = weather.changed() => {
                if changed.is_err() || *weather.borrow() == Weather::Down {
                    return;
                }
            }
            read = client.read(&mut question) => {
                let Ok(length @ 1..) = read else { return };
                let now = *weather.borrow();
                is_lost |= now == Weather::Hung || number < counts.lost.load(Ordering::SeqCst);
                match now {
                    Weather::Deaf => return,
                    _ if is_lost => {}
                    _ => if server.write_all(&question[..length]).await.is_err() { return },
                }
            }
            read = server.read(&mut answer) => {
                let Ok(length @ 1..) = read else { return };
                counts.answers.fetch_add(1, Ordering::SeqCst);
                answers += 1;
                let now = *weather.borrow();
                is_lost |= now == Weather::Hung || number < counts.lost.load(Ordering::SeqCst);
                is_lost |= answers > counts.answers_each.load(Ordering::SeqCst);
                if is_lost {
                    continue;
                }
                if let Weather::Slow(time) = now {
                    tokio::time::sleep(time).await;
                }
                let shown = if let Weather::Torn(bytes) = now { bytes.min(length) } else { length };
                if client.write_all(&answer[..shown]).await.is_err() || matches!(now, Weather::Torn(_)) {
                    return;
                }
            }
        }
    }
}
