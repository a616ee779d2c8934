//! Runs benchmarks by name: `cargo run -p benches --release -- all`, or one of those that it names without arguments.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let (options, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let quick = options.iter().any(|option| option == "--quick");
    if names.is_empty() || options.iter().any(|option| option != "--quick") {
        complain(&format!("usage: benches [--quick] all | {}", benches::NAMES.join(" | ")));
        return ExitCode::from(2);
    }
    match benches::run(&names, quick) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn complain(text: &str) {
    // A reader that has gone away is no reason to fail otherwise.
    let _ = writeln!(std::io::stderr(), "{text}");
}
