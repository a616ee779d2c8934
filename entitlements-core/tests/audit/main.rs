//! The audit log: what is noted, that noting never holds up a request, and that tampering shows.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod export;
mod notes;
mod recorder;
mod tampering;
