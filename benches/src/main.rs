//! Side-by-side benchmarks: `cargo run -p benches --release -- decision`, or `all`.
//!
//! Both sides do the same work in the same process, in turn; their answers are compared before anything is timed.

mod decision;
mod floor;
mod handle;
mod random;
mod stores;
mod timing;
mod world;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

/// Why a benchmark could not be run.
pub(crate) type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        say("usage: benches all | decision | handle | stores");
        return ExitCode::from(2);
    }
    for name in names {
        let result = match name.as_str() {
            "all" => decision::run().and_then(|()| handle::run()).and_then(|()| stores::run()),
            "decision" => decision::run(),
            "handle" => handle::run(),
            "stores" => stores::run(),
            other => {
                Err(format!("unknown benchmark `{other}`, expected all, decision, handle or stores").into())
            }
        };
        if let Err(error) = result {
            say(&format!("{name}: {error}"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// A line of the report.
pub(crate) fn say(line: &str) {
    // A reader that has gone away is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{line}");
}
