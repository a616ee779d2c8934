#![doc = include_str!("../README.md")]

mod action;
mod at_once;
mod bill;
mod builder;
mod charge;
mod coverage;
mod declared;
mod denial;
mod deny;
#[cfg(feature = "axum")]
mod extract;
mod fail;
mod freshness;
mod future;
mod gate;
mod grpc;
mod grpc_details;
mod identity;
mod in_handler;
mod job;
mod key;
mod layer;
mod limits;
mod matching;
mod pattern;
mod pending;
mod problem;
mod read;
mod report;
mod reported;
mod rule;
mod rules;
mod service;
mod settle;
mod tab;
mod table;
mod taking;
#[cfg(feature = "testkit")]
pub mod testkit;
mod ticket;
mod trace;
mod undecided;
mod usual;
mod who;

pub use action::action_of;
pub use builder::EntitlementLayerBuilder;
pub use charge::{Charged, Charges};
pub use coverage::{Coverage, RuleHits};
pub use denial::{Denial, status_of};
pub use deny::{Deny, GrpcStatus, ProblemJson, QUOTA_EXCEEDED_TYPE};
#[cfg(feature = "axum")]
pub use extract::{Admitted, Entitled, Metered, MissingGate, NotAdmitted};
pub use fail::{FailMode, UnknownFailMode};
pub use freshness::{Freshness, FreshnessFuture, FreshnessLayer, FreshnessService, REVISION_HEADER, Wrote};
pub use future::ResponseFuture;
pub use gate::{Gate, Verdict};
pub use grpc::is_grpc;
pub use identity::{
    FromExtension, Identify, Identity, IdentityError, TrustedHeader, from_extension, header_trusted,
    subject_extension,
};
pub use layer::EntitlementLayer;
pub use matching::RouteParams;
pub use pending::Pending;
pub use problem::Problem;
pub use report::UsageReport;
pub use rule::{ResponseHead, Rule};
pub use rules::{RuleError, RuleProblem};
pub use service::EntitlementService;
pub use settle::SettlementStats;
pub use ticket::Ticket;
