//! The decision: our `evaluate`, the hand-written floor and the engines of others, by the number of policies.

mod floor;
#[cfg(feature = "peers")]
mod peers;

use crate::Failure;
use crate::frame::{Pace, Section};
use crate::world::World;

/// How many policies there are.
const COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];
const SEED: u64 = 20_261_124;
/// The row of the targets.
const PATH: &str = "evaluate";

pub(crate) fn run(pace: Pace) -> Result<Section, Failure> {
    let mut section = Section::new("Decision");
    section.say(format!(
        "1,000 companies on 3 plans, 13 features × 7 actions, and policies of 2 or 3 conditions, each about one feature and \
         action; half of the 4,096 requests are allowed (seed {SEED}). Every answer is compared with every other side's before \
         anything is timed. The floor is code written by hand for this one world: dense ids, an index for each pair, a \
         look-up by the region inside of it, and nothing else."
    ));
    let worlds = COUNTS.map(|count| World::new(count, SEED)).into_iter().collect::<Result<Vec<_>, _>>()?;
    floor::run(pace, &worlds, &mut section)?;
    #[cfg(feature = "peers")]
    peers::run(pace, &worlds, &mut section)?;
    Ok(section)
}
