//! What a cache of decisions asks the database.

use std::time::Duration;

use async_trait::async_trait;
use entitlements_core::decision_cache::{
    CachedDecision, DecisionCache, DecisionCacheStats, DecisionKey, Fence, Lookup, Scope,
};
use entitlements_core::store::StoreError;
use tokio::time::timeout;

use super::super::sql;
use super::Cache;
use crate::decisions::{
    COUNT, FIND, FORGET, PUT, Row, WRITE_LIMIT, Words, columns, digits, end, feature_scope, mark,
    oldest_fence, optional_parts, user_scope,
};

impl Cache {
    async fn find(&self, key: &DecisionKey) -> Result<Option<Row>, StoreError> {
        let [user, resource, context] = optional_parts(key);
        let query = sqlx::query_as(sql::FIND_DECISION)
            .bind(key.company.as_str())
            .bind(user_scope(user))
            .bind(feature_scope(key.feature.as_str()))
            .bind(user)
            .bind(key.feature.as_str())
            .bind(key.action.as_str())
            .bind(resource)
            .bind(context)
            .bind(self.clock.now().timestamp_micros());
        Ok(self.store.read(FIND, query).await?.into_iter().next())
    }

    async fn keep(&self, decision: &CachedDecision, fence: &Fence, ttl: Duration) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (Some(mut words), Some(end)) = (Words::of(fence), end(now, ttl)) else { return Ok(()) };
        let (key, facts) = (&decision.key, decision.mark);
        let query = sqlx::query_as(sql::PUT_DECISION_FENCE)
            .bind(key.company.as_str())
            .bind(mark())
            .bind(words.company)
            .bind(digits(facts.revision))
            .bind(digits(facts.policies))
            .bind(facts.asked_at.timestamp_micros())
            .bind(now.timestamp_micros());
        let Some((company,)) = self.store.write::<(String,)>(PUT, query).await? else { return Ok(()) };
        words.company = &company;
        let [user, resource, context] = optional_parts(key);
        // What is forgotten between the two statements has another mark then, and the decision does not count.
        let query = sqlx::query(sql::PUT_DECISION)
            .bind(key.company.as_str())
            .bind(user)
            .bind(key.feature.as_str())
            .bind(key.action.as_str())
            .bind(resource)
            .bind(context)
            .bind(words.to_text())
            .bind(decision.to_text())
            .bind(end);
        self.store.execute(PUT, query).await?;
        if self.counts.is_time_to_sweep() {
            let query = sqlx::query(sql::EXPIRE_DECISIONS).bind(now.timestamp_micros());
            self.store.execute(PUT, query).await?;
            self.store.execute(PUT, sqlx::query(sql::EXPIRE_DECISION_FENCES).bind(oldest_fence(now))).await?;
        }
        Ok(())
    }

    async fn forget(&self, scope: &Scope) -> Result<(), StoreError> {
        let (company, scope) = columns(scope);
        let query = sqlx::query(sql::FORGET_DECISIONS)
            .bind(company)
            .bind(scope)
            .bind(mark())
            .bind(self.clock.now().timestamp_micros());
        self.store.execute(FORGET, query).await
    }
}

/// What fails is a miss, or nothing kept or forgotten; the store says so by itself where it matters.
#[async_trait]
impl DecisionCache for Cache {
    async fn get(&self, key: &DecisionKey) -> Lookup {
        let found = timeout(self.read_limit, self.find(key)).await;
        self.counts.looked_up(key, found.ok().and_then(Result::ok).flatten())
    }

    async fn put(&self, decision: &CachedDecision, fence: &Fence, ttl: Duration) {
        drop(timeout(WRITE_LIMIT, self.keep(decision, fence, ttl)).await);
    }

    async fn invalidate(&self, scope: &Scope) {
        drop(timeout(WRITE_LIMIT, self.forget(scope)).await);
    }

    async fn stats(&self) -> Option<DecisionCacheStats> {
        let counting = self.store.read::<(i64, i64)>(COUNT, sqlx::query_as(sql::COUNT_DECISIONS));
        let rows = timeout(WRITE_LIMIT, counting).await.ok()?.ok()?;
        rows.into_iter().next().map(|row| self.counts.stats(row))
    }
}
