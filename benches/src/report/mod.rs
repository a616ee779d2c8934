//! The report: every target with what was measured, and all figures behind it.

mod chart;
mod machine;
mod quote;
pub(crate) mod stores;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::Failure;
use crate::frame::{Claim, Pace, Section, Table};

/// Where the report goes.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/report");

const HOW_TO_READ: &str = "\
Contenders take turns in one process, round by round, and their answers are compared before anything is timed. A figure is the \
median of the rounds. A ratio is taken within each round, and its median is shown with the quartiles of the rounds: what else \
the machine did meanwhile it did to both sides. Allocations are those of the thread that asks, counted \
in a turn that is not timed. Cedar switches on `preserve_order` of serde_json, which every side then has; a run with \
`--no-default-features` has no peers and not that. The targets are those of the project, and were set before the figures were \
taken.";

/// Writes the report of a whole run.
pub(crate) fn write(sections: &[Section], pace: Pace, took: Duration) -> Result<(), Failure> {
    let folder = Path::new(FOLDER);
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("README.md"), markdown(sections, pace, took))?;
    let lines: Vec<_> = sections.iter().flat_map(|section| section.lines.clone()).collect();
    std::fs::write(folder.join("decision.svg"), chart::lines(&lines))?;
    std::fs::write(folder.join("targets.svg"), chart::targets(&claims(sections).collect::<Vec<_>>()))?;
    let readme = folder.join("../../README.md");
    let text = std::fs::read_to_string(&readme)?;
    // What a quick run shows is not quoted.
    if pace == Pace::Full
        && let Some(text) = quote::update(&text, &claims(sections).collect::<Vec<_>>())
    {
        std::fs::write(readme, text)?;
    }
    crate::say(&format!("written to {}", folder.display()));
    Ok(())
}

fn claims(sections: &[Section]) -> impl Iterator<Item = &Claim> {
    sections.iter().flat_map(|section| &section.claims)
}

fn markdown(sections: &[Section], pace: Pace, took: Duration) -> String {
    let mut text =
        "# Benchmarks\n\nWritten by `scripts/bench.sh`; running it again replaces this page.\n".to_owned();
    if pace == Pace::Quick {
        text.push_str("\n**A quick run: few rounds, wide quartiles.**\n");
    }
    let _ = write!(text, "\n{}\n{HOW_TO_READ}\n", machine::table(took).to_markdown());
    let (kept, all) = (claims(sections).filter(|claim| claim.is_kept()).count(), claims(sections).count());
    let _ = write!(text, "\n## Targets\n\n{kept} of {all} are kept.\n\n{}", targets(sections).to_markdown());
    text.push_str("\n![Every measured figure as a part of its target](targets.svg)\n");
    let missed: Vec<&Claim> = claims(sections).filter(|claim| !claim.is_kept()).collect();
    if !missed.is_empty() {
        text.push_str("\n### What limits those that are missed\n\n");
    }
    for claim in missed {
        let limit = if claim.limit.is_empty() { "not known yet" } else { claim.limit };
        let (target, measured) = (claim.target(), claim.measured());
        let _ =
            writeln!(text, "* **{}, {}** ({measured}, target {target}): {limit}.", claim.path, claim.what);
    }
    for section in sections {
        let _ = write!(text, "\n## {}\n", section.title);
        if !section.lines.is_empty() {
            text.push_str("\n![Time of a decision by the number of policies](decision.svg)\n");
        }
        for block in &section.blocks {
            let _ = write!(text, "\n{}\n", block.trim_end());
        }
    }
    text
}

fn targets(sections: &[Section]) -> Table {
    let mut table = Table::new(&["path", "what", "target", "measured", "quartiles", "kept"]);
    for claim in claims(sections) {
        let kept = if claim.is_kept() { "yes" } else { "**no**" };
        table.row([
            claim.path.to_owned(),
            claim.what.clone(),
            claim.target(),
            claim.measured(),
            claim.spread(),
            kept.to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Spread, Target};

    #[test]
    fn a_missed_target_is_listed_with_what_limits_it() {
        let mut section = Section::new("Part");
        section.say("Figures.");
        for (what, ratio) in [("good", 1.0), ("bad", 2.0)] {
            let measured = Spread { low: ratio - 0.1, median: ratio, high: ratio + 0.1 };
            section.claims.push(Claim::ratio("path", what, Target::AtMost(1.5), measured, "it is slow"));
        }
        let text = markdown(&[section], Pace::Quick, Duration::from_secs(61));
        assert!(text.contains("1 of 2 are kept."), "{text}");
        assert!(text.contains("* **path, bad** (2 ×, target ≤ 1.5 ×): it is slow."), "{text}");
        assert!(!text.contains("* **path, good**"), "{text}");
        assert!(text.contains("## Part\n\nFigures.\n"), "{text}");
    }
}
