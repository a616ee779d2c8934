//! Usage that is billed.

use chrono::{DateTime, Utc};
use entitlements_core::billing::{UnsettledUsage, UsageOutbox, UsageOutcome, UsageRecord};
use entitlements_core::id::{FeatureKey, UsageRecordId};
use entitlements_core::store::StoreError;

use super::{SqliteStore, sql};
use crate::usage_outbox::{self, usage_outbox};

usage_outbox!(SqliteStore, write_all);
