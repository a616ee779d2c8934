//! What `evaluate` decides, one rule a test.

mod default_deny;
mod grants;
mod meters;
mod plans;
mod policies;
mod world;
