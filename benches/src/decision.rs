//! The decision against the hand-written floor, by the number of policies.

use allocation_counter::measure;
use entitlements_core::{Source, evaluate};

use crate::Failure;
use crate::floor::Floor;
use crate::timing::in_turn;
use crate::world::World;

const ROUNDS: usize = 41;
const SEED: u64 = 20_261_124;

/// Prints the table.
pub(crate) fn run() -> Result<(), Failure> {
    crate::say(&format!(
        "decision: {ROUNDS} rounds in turn, seed {SEED}, medians; half of the questions are allowed"
    ));
    crate::say(
        "| policies | floor ns | evaluate ns | ratio | spread ns | against 10 | allocations on allow |",
    );
    crate::say("|---|---|---|---|---|---|---|");
    let mut ten = None;
    for count in [10, 100, 1_000, 10_000] {
        let world = World::new(count, SEED)?;
        let floor = Floor::new(&world);
        let prepared: Vec<_> = world
            .questions
            .iter()
            .filter_map(|question| {
                let snapshot = world.snapshots.get(question.company)?;
                Some((question, world.request(question)?, snapshot, floor.company(question.company)?))
            })
            .collect();
        let mut allocations = 0;
        for (question, request, snapshot, company) in &prepared {
            let mut decision = None;
            let counted = measure(|| decision = Some(evaluate(request, snapshot, &world.catalog, world.now)));
            let answer = floor.decide(company, question, world.now);
            let Some(decision) = decision else { continue };
            let same = (decision.is_allowed(), decision.plan, decision.expires_at)
                == (answer.allowed, answer.plan, answer.expires_at);
            // The floor does not tell apart why nothing allows.
            let same_reason = decision.reason.code() == answer.reason || answer.reason == "not_granted";
            if !same || !same_reason || answer.rank.is_some() != matches!(decision.source, Source::Policy(_))
            {
                return Err(format!("the sides disagree: {decision:?}, {answer:?}").into());
            }
            if decision.is_allowed() {
                allocations += counted.count_total;
            }
        }
        let (ours, theirs) = in_turn(
            ROUNDS,
            &prepared,
            |(_, request, snapshot, _)| evaluate(request, snapshot, &world.catalog, world.now),
            |(question, _, _, company)| floor.decide(company, question, world.now),
        );
        let (median, base) = (ours.median(), theirs.median());
        let first = *ten.get_or_insert(median);
        let (low, high) = ours.spread();
        crate::say(&format!(
            "| {count} | {base:.1} | {median:.1} | {:.2} | {low:.1}–{high:.1} | {:.2} | {allocations} |",
            median / base,
            median / first,
        ));
    }
    Ok(())
}
