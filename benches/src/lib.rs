//! Side-by-side benchmarks: the library, what people use instead, and the least that the same work takes.
//!
//! `cargo run -p benches --release -- all` runs all of them and writes the report; a name runs one. Contenders do the same
//! work in the same process, in turn, and their answers are compared before anything is timed.

mod caches;
mod decision;
pub mod floor;
mod frame;
mod handle;
mod invalidation;
mod layer;
#[cfg(feature = "peers")]
mod peers;
mod random;
mod report;
mod scale;
mod servers;
mod stores;
mod webhook;
pub mod world;

use std::error::Error;
use std::io::Write as _;

use frame::{Pace, Section};

/// Why a benchmark could not be run.
pub type Failure = Box<dyn Error>;

/// The benchmarks that can be run by themselves.
pub const NAMES: [&str; 8] =
    ["decision", "handle", "caches", "stores", "layer", "webhook", "scale", "invalidation"];

/// Runs benchmarks by name and prints what they show; `all` also writes the report. `quick` takes fewer rounds.
///
/// # Errors
///
/// When a name is unknown, the sides of a comparison disagree, or a server cannot be used.
pub fn run(names: &[String], quick: bool) -> Result<(), Failure> {
    let pace = if quick { Pace::Quick } else { Pace::Full };
    for name in names {
        if matches!(name.as_str(), "all" | "report") {
            let begun = std::time::Instant::now();
            let sections = NAMES.into_iter().map(|name| one(name, pace)).collect::<Result<Vec<_>, _>>()?;
            report::write(&sections, pace, begun.elapsed())?;
        } else {
            one(name, pace)?;
        }
    }
    Ok(())
}

/// One benchmark, printed.
fn one(name: &str, pace: Pace) -> Result<Section, Failure> {
    let section = match name {
        "decision" => decision::run(pace),
        "handle" => handle::run(pace),
        "caches" => caches::run(pace),
        "stores" => report::stores::run(pace),
        "layer" => layer::run(pace),
        "webhook" => webhook::run(pace),
        "scale" => scale::run(pace),
        "invalidation" => invalidation::run(pace),
        other => Err(format!("unknown benchmark `{other}`, expected all, {}", NAMES.join(", ")).into()),
    };
    let section = section.map_err(|error| format!("{name}: {error}"))?;
    say(&section.to_markdown());
    Ok(section)
}

/// A line of the output.
pub(crate) fn say(line: &str) {
    if !report::stores::hear(line) {
        // A reader that has gone away is no reason to fail.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}
