//! Servers that are set up otherwise: with TLS, as a cluster; and what is spoken to them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use entitlements_core::bus::{Bus, Change, Message};
use entitlements_core::decision_cache::{DecisionCache, Scope};
use entitlements_core::testkit::decision_cache::{decision, key};
use entitlements_redis::{RedisBus, RedisConfig, RedisDecisionCache};

use crate::refusing::Own;
use crate::server::{config, config_at, finds, put, raw};

/// Puts, finds and forgets in every way, and hears of it.
async fn everything_works(config: RedisConfig) {
    let cache = RedisDecisionCache::connect(config.clone()).await.unwrap();
    let bus = RedisBus::connect(config).await.unwrap();
    let mut subscription = bus.subscribe().await;
    let decision = decision(&key("acme"), 1);
    let (company, feature) = (decision.key.company.clone(), decision.key.feature.clone());
    for scope in [
        Scope::Everything,
        Scope::Company(company.clone()),
        Scope::Feature(Some(company), feature.clone()),
        Scope::Feature(None, feature),
    ] {
        put(&cache, &decision).await;
        assert!(finds(&cache, &decision.key).await, "{scope:?}");
        cache.invalidate(&scope).await;
        assert!(!finds(&cache, &decision.key).await, "{scope:?}");
    }
    bus.announce(&Change::Everything).await;
    while subscription.next().await.unwrap() != Message::Changed(Change::Everything) {}
    assert_eq!(cache.health().failures, entitlements_redis::Failures::default());
}

/// A certificate for this machine, signed by an authority of its own.
struct Certificates(PathBuf);

impl Certificates {
    fn make(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("entitlements-redis-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        let own = |subject: &str| ["-newkey", "rsa:2048", "-nodes", "-subj", subject].map(str::to_owned);
        openssl(&folder, "req -x509 -days 2 -keyout authority.key -out authority.pem", &own("/CN=authority"));
        openssl(&folder, "req -keyout server.key -out server.csr", &own("/CN=localhost"));
        let sign = "x509 -req -days 2 -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial \
                    -out server.pem -extfile names";
        openssl(&folder, sign, &[]);
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn openssl(folder: &Path, words: &str, more: &[String]) {
    let mut command = Command::new("openssl");
    command.args(words.split_whitespace()).args(more).current_dir(folder);
    let output = command.stdin(Stdio::null()).output().expect("openssl, which is not installed");
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A port that nobody uses now.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_server_with_tls_is_used_if_its_certificate_is_trusted() {
    let certificates = Certificates::make("tls");
    let port = port();
    let [certificate, secret] = ["server.pem", "server.key"].map(|name| certificates.path(name));
    let number = port.to_string();
    let options = [
        "--tls-port",
        &number,
        "--bind",
        "127.0.0.1",
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &secret,
        "--tls-auth-clients",
        "no",
    ];
    let Some(own) = Own::start("tls-server", &options) else { return };
    own.url().await;
    let url = format!("rediss://localhost:{port}");
    let authority = std::fs::read(certificates.path("authority.pem")).unwrap();
    everything_works(config_at(&url).with_root_certificates(authority)).await;

    // The machine does not know the authority, and another name is another server.
    let elsewhere = Certificates::make("elsewhere");
    let stranger = std::fs::read(elsewhere.path("authority.pem")).unwrap();
    for config in [config_at(&url), config_at(&url).with_root_certificates(stranger)] {
        let cache = RedisDecisionCache::connect(config).await.unwrap();
        put(&cache, &decision(&key("acme"), 1)).await;
        assert!(!finds(&cache, &key("acme")).await);
        let health = cache.health();
        assert!(!health.connected && health.connects == 0, "{health:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn no_script_touches_two_slots_of_a_cluster() {
    let Some(own) = Own::start("cluster", &["--cluster-enabled", "yes"]) else { return };
    let url = own.url().await;
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("CLUSTER").arg(&["ADDSLOTSRANGE", "0", "16383"]).query_async(&mut raw).await.unwrap();
    crate::server::until(|| async {
        let mut raw = client.get_multiplexed_async_connection().await.unwrap();
        let state: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut raw).await.unwrap();
        state.contains("cluster_state:ok")
    })
    .await;
    // A server with slots refuses what touches two of them.
    let two = redis::cmd("MGET").arg(&["a", "b"]).query_async::<redis::Value>(&mut raw).await;
    assert_eq!(two.unwrap_err().code(), Some("CROSSSLOT"));
    everything_works(config_at(&url)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn connections_speak_the_third_version_of_the_protocol() {
    let cache = RedisDecisionCache::connect(config()).await.unwrap();
    assert!(cache.health().connected);
    let mut raw = raw().await;
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut raw).await.unwrap();
    assert!(clients.lines().any(|client| client.contains(" resp=3")), "{clients}");
    everything_works(config()).await;
}
