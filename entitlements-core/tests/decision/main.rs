//! What `evaluate` decides, one rule a test.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod allocations;
mod consumption;
mod default_deny;
mod explain;
mod grants;
mod meters;
mod plans;
mod policies;
mod recording;
mod world;
