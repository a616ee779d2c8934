//! The cache of decisions.
//!
//! Every decision is a key of its own with a life of its own. Beside them each company has a *fence*: a hash with a random
//! generation, the newest facts that anybody has loaded, and a random mark for each user and feature that was forgotten.
//! A decision repeats what of the fence it was put under, and counts only while it is still so: changing one field
//! forgets any number of decisions. There is one more fence for all companies. A fence that is lost takes its generation
//! with it, so nothing comes back to life.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::decision_cache::{
    CachedDecision, DecisionCache, DecisionCacheStats, DecisionKey, FactsMark, Fence, Found, Lookup, Scope,
};
use entitlements_core::facts::Revision;
use redis::{Pipeline, Value, pipe};

use crate::config::RedisConfig;
use crate::error::{FailureKind, InvalidRedisConfig};
use crate::health::RedisHealth;
use crate::key::Keys;
use crate::link::Link;

/// Fences live so long after their last use; longer than any decision.
const FENCE_LIFE: Duration = Duration::from_hours(24);

/// No decision lives longer than this.
const LONGEST: Duration = Duration::from_hours(12);

/// A cache of decisions on Redis.
#[derive(Debug)]
pub struct RedisDecisionCache {
    link: Link,
    keys: Keys,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What of the fences a decision is put under.
#[derive(Debug, PartialEq, Eq)]
struct Words<'a> {
    /// Of all companies, then of the feature in all of them.
    everything: [&'a str; 2],
    /// The generation of the company; empty if it has none.
    company: &'a str,
    user: &'a str,
    feature: &'a str,
}

impl RedisDecisionCache {
    /// A cache on the server of `config`. Returns when the server is connected, or when it is plain that it is not there;
    /// then the cache finds nothing until it is.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be meant. A server that is not there is no error.
    pub async fn connect(config: RedisConfig) -> Result<Self, InvalidRedisConfig> {
        let keys = Keys::new(config.prefix());
        let link = Link::new(config)?;
        link.connect().await;
        Ok(Self { link, keys, hits: AtomicU64::default(), misses: AtomicU64::default() })
    }

    /// How the connection does, and what went wrong so far.
    #[must_use]
    pub fn health(&self) -> RedisHealth {
        self.link.health()
    }

    async fn look_up(&self, key: &DecisionKey) -> Result<Lookup, FailureKind> {
        let mut commands = pipe();
        commands.cmd("GET").arg(self.keys.decision(key));
        commands.cmd("HMGET").arg(self.keys.fence(&key.company)).arg("g").arg(user_field(key));
        commands.arg(feature_field(key.feature.as_str())).arg("r").arg("p").arg("at");
        commands.cmd("HMGET").arg(self.keys.everything()).arg("g").arg(feature_field(key.feature.as_str()));
        let answers = self.link.query(&commands, self.link.config().read_timeout()).await?;
        let [value, company, everything] = answers.as_slice() else { return Err(FailureKind::Garbage) };
        let [generation, user, feature, revision, policies, asked_at] = texts(company)?;
        let [all, all_feature] = texts(everything)?;
        let Some(all) = all else {
            // Without the fence of all companies nothing can be trusted that is there.
            self.begin().await;
            return Ok(Lookup::default());
        };
        let words = Words {
            everything: [all, all_feature.unwrap_or_default()],
            company: generation.unwrap_or_default(),
            user: user.unwrap_or_default(),
            feature: feature.unwrap_or_default(),
        }
        .to_text();
        let latest = revision.zip(policies).zip(asked_at).and_then(|((revision, policies), asked_at)| {
            Some(FactsMark {
                revision: Revision(revision.parse().ok()?),
                policies: Revision(policies.parse().ok()?),
                asked_at: DateTime::<Utc>::from_timestamp_micros(asked_at.parse().ok()?)?,
            })
        });
        let found = match (text(value)?, generation, latest) {
            (Some(value), Some(_), Some(latest)) => self.read(value, &words, key, latest),
            _ => None,
        };
        Ok(Lookup { found, fence: Fence::new(words) })
    }

    /// The decision in what is stored, if it was put under the fence of now and answers the question.
    fn read(&self, value: &str, words: &str, key: &DecisionKey, latest: FactsMark) -> Option<Found> {
        let (under, decision) = value.split_once('\n').unwrap_or_default();
        let decision = CachedDecision::from_text(decision).filter(|decision| decision.key == *key);
        if decision.is_none() {
            self.link.failed(FailureKind::Garbage);
        }
        decision.filter(|_| under == words).map(|decision| Found { decision, latest })
    }

    /// Begins the fence of all companies, if there is none.
    async fn begin(&self) {
        let mut commands = pipe();
        commands.cmd("HSETNX").arg(self.keys.everything()).arg("g").arg(mark());
        self.write(&commands).await;
    }

    async fn write(&self, commands: &Pipeline) -> Option<()> {
        let answers = self.link.query(commands, self.link.config().write_timeout()).await.ok()?;
        if answers.iter().any(|answer| matches!(answer, Value::ServerError(_))) {
            self.link.failed(FailureKind::Refused);
            return None;
        }
        Some(())
    }

    async fn forget(&self, fence: String, field: Option<String>) {
        let mut commands = pipe();
        commands.cmd("EVAL").arg(include_str!("lua/forget.lua")).arg(1).arg(fence);
        commands.arg(mark()).arg(millis(FENCE_LIFE));
        if let Some(field) = field {
            commands.arg(field);
        }
        self.write(&commands).await;
    }

    async fn forget_of_all(&self, field: &str) {
        let mut commands = pipe();
        commands.cmd("HSET").arg(self.keys.everything()).arg(field).arg(mark());
        self.write(&commands).await;
    }
}

#[async_trait]
impl DecisionCache for RedisDecisionCache {
    async fn get(&self, key: &DecisionKey) -> Lookup {
        let lookup = self.look_up(key).await.unwrap_or_default();
        let count = if lookup.found.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        lookup
    }

    async fn put(&self, decision: &CachedDecision, fence: &Fence, ttl: Duration) {
        let Some(mut words) = fence.words().and_then(Words::from_text) else { return };
        let (FactsMark { revision, policies, asked_at }, key) = (decision.mark, &decision.key);
        let (Ok(asked_at), ttl) = (u64::try_from(asked_at.timestamp_micros()), millis(ttl.min(LONGEST)))
        else {
            return;
        };
        if ttl == 0 {
            return;
        }
        let (seen, fresh) = (words.company, mark());
        if seen.is_empty() {
            words.company = &fresh;
        }
        let mut commands = pipe();
        commands.cmd("EVAL").arg(include_str!("lua/put.lua")).arg(2);
        commands.arg(self.keys.decision(key)).arg(self.keys.fence(&key.company));
        commands.arg(seen).arg(&fresh);
        commands.arg(user_field(key)).arg(words.user);
        commands.arg(feature_field(key.feature.as_str())).arg(words.feature);
        commands.arg(digits(revision.0)).arg(digits(policies.0)).arg(digits(asked_at));
        commands.arg(millis(FENCE_LIFE));
        commands.arg(format!("{}\n{}", words.to_text(), decision.to_text())).arg(ttl);
        self.write(&commands).await;
    }

    async fn invalidate(&self, scope: &Scope) {
        match scope {
            Scope::Everything => self.forget_of_all("g").await,
            Scope::Company(company) => self.forget(self.keys.fence(company), None).await,
            Scope::User(company, user) => {
                self.forget(self.keys.fence(company), Some(format!("u:{user}"))).await;
            }
            Scope::Feature(Some(company), feature) => {
                let field = feature_field(feature.as_str());
                self.forget(self.keys.fence(company), Some(field)).await;
            }
            Scope::Feature(None, feature) => self.forget_of_all(&feature_field(feature.as_str())).await,
        }
    }

    /// Keys and memory are those of the whole database: counting those of one prefix would mean looking at each.
    async fn stats(&self) -> Option<DecisionCacheStats> {
        let mut commands = pipe();
        commands.cmd("DBSIZE");
        commands.cmd("INFO").arg("memory");
        let answers = self.link.query(&commands, self.link.config().write_timeout()).await.ok()?;
        let [Value::Int(keys), info] = answers.as_slice() else { return None };
        let info = match info {
            Value::VerbatimString { text, .. } => text.as_str(),
            other => text(other).ok().flatten()?,
        };
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"))?;
        Some(DecisionCacheStats {
            keys: u64::try_from(*keys).ok()?,
            memory_bytes: used.trim().parse().ok()?,
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        })
    }
}

impl<'a> Words<'a> {
    fn to_text(&self) -> String {
        let [all, all_feature] = self.everything;
        format!("{all} {all_feature} {} {} {}", self.company, self.user, self.feature)
    }

    fn from_text(text: &'a str) -> Option<Self> {
        let mut parts = text.split(' ');
        let mut next = || parts.next();
        let words =
            Self { everything: [next()?, next()?], company: next()?, user: next()?, feature: next()? };
        parts.next().is_none().then_some(words)
    }
}

/// The field of the user's mark. Nobody's has no name, and is never set.
fn user_field(key: &DecisionKey) -> String {
    format!("u:{}", key.user.as_ref().map_or("", |user| user.as_str()))
}

fn feature_field(feature: &str) -> String {
    format!("f:{feature}")
}

/// A mark that was never there before.
fn mark() -> String {
    let random = || getrandom::u64().unwrap_or_default();
    format!("{:016x}{:016x}", random(), random())
}

/// A number as a text that compares as it does.
fn digits(number: u64) -> String {
    format!("{number:020}")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A text, or nothing; anything else is garbage.
fn text(value: &Value) -> Result<Option<&str>, FailureKind> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).map(Some).map_err(|_| FailureKind::Garbage),
        Value::SimpleString(text) => Ok(Some(text)),
        _ => Err(FailureKind::Garbage),
    }
}

fn texts<const N: usize>(value: &Value) -> Result<[Option<&str>; N], FailureKind> {
    let Value::Array(values) = value else { return Err(FailureKind::Garbage) };
    let texts = values.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    texts.try_into().map_err(|_| FailureKind::Garbage)
}
