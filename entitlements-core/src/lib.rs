#![doc = include_str!("../README.md")]

mod action;
pub mod alert;
mod amount;
pub mod audit;
pub mod billing;
mod breaker;
pub mod bucket;
pub mod bus;
mod cache;
pub mod catalog;
mod clock;
mod counter;
pub mod decision;
pub mod decision_cache;
mod dictionary;
mod entitlements;
mod error;
mod evaluate;
pub mod facts;
pub mod gauge;
pub mod grant;
pub mod id;
pub mod memory;
pub mod observer;
pub mod period;
pub mod policy;
mod request;
pub mod reservation;
mod resilience;
mod runtime;
mod snapshot;
pub mod store;
pub mod subscription;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod typed;
pub mod usage;

pub use action::{Action, ActionSet, UnknownAction};
pub use amount::{Amount, InvalidAmount};
pub use cache::{CacheConfig, CacheStats};
pub use catalog::Catalog;
pub use clock::{Clock, Glance, ManualClock, OffsetClock, SystemClock};
pub use counter::PartedCounter;
pub use decision::{Decision, QuotaStatus, Reason, Source};
pub use entitlements::{
    Acquisition, AllowedByPlan, AtOnce, Consume, Consumption, Entitlements, EntitlementsBuilder, LeaseTerms,
    Leased, LeasedMeter, LevelReport, NewGrant, Reserving, UsageEvent,
};
pub use error::{Error, ErrorKind};
pub use evaluate::{
    Candidate, Change, ChangeKind, Difference, DifferenceKind, Explanation, RecordedPolicy, Recording,
    ReplayError, Step, StepKind, StepOutcome, UsageItem, diff, evaluate, explain,
};
pub use grant::{Grant, GrantKind, ResourcePattern};
pub use memory::MemoryStore;
pub use request::{Context, Request, Subject};
pub use resilience::Resilience;
#[cfg(feature = "tokio")]
pub use runtime::TokioRuntime;
pub use runtime::{BoxFuture, Runtime};
pub use snapshot::Snapshot;
pub use subscription::{Subscription, SubscriptionStatus};
