//! What answers without the database: the cache that processes share, and units taken in advance.

mod lease;
mod shared;

use crate::Failure;
use crate::frame::{Pace, Section};
use crate::servers::{NO_REDIS, redis_url};

pub(crate) fn run(pace: Pace) -> Result<Section, Failure> {
    let mut section = Section::new("Caches and leases");
    match redis_url() {
        Some(url) => shared::run(pace, &url, &mut section)?,
        None => section.say(NO_REDIS),
    }
    lease::run(pace, &mut section)?;
    Ok(section)
}
