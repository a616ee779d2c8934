//! `evaluate` beside the floor, for every number of policies in one race.

use std::hint::black_box;

use allocation_counter::measure;
use entitlements_core::id::{CompanyId, UserId};
use entitlements_core::{Request, Snapshot, Source, Subject, evaluate};

use super::PATH;
use crate::Failure;
use crate::floor::{Company, Floor};
use crate::frame::{Claim, Contender, Field, Pace, Section, Spread, Table, Target, duration, float, number};
use crate::world::{Question, World, context};

const ROUNDS: usize = 61;

/// A question with all that is looked up beforehand.
pub(super) struct Asked<'a> {
    pub(super) question: &'a Question,
    pub(super) request: Request<'a>,
    pub(super) snapshot: &'a Snapshot,
}

/// All questions of a world.
pub(super) fn asked(world: &World) -> Vec<Asked<'_>> {
    let all = world.questions.iter();
    all.filter_map(|question| {
        let snapshot = world.snapshots.get(question.company)?;
        Some(Asked { question, request: world.request(question)?, snapshot })
    })
    .collect()
}

/// Decides from plain words: ids are checked and the context is built for the one question.
pub(super) fn from_words(world: &World, asked: &Asked<'_>) -> bool {
    let question = asked.question;
    let ids = (CompanyId::new(world.company(question)), UserId::new("user-1"));
    let (Ok(company), Ok(user)) = ids else { return false };
    let (subject, context) =
        (Subject::user(company, user), context(&question.region, question.seats, question.tier));
    let request = Request::new(&subject, &question.feature, question.action).with_context(&context);
    evaluate(&request, asked.snapshot, &world.catalog, world.now).is_allowed()
}

pub(super) fn run(pace: Pace, worlds: &[World], section: &mut Section) -> Result<(), Failure> {
    let floors: Vec<Floor> = worlds.iter().map(Floor::new).collect();
    let mut questions = Vec::new();
    let mut allocations = 0;
    for (world, floor) in worlds.iter().zip(&floors) {
        let company = |question: &Question| floor.company(question.company).ok_or("a company is missing");
        let all = asked(world).into_iter().map(|asked| Ok((company(asked.question)?, asked)));
        let all = all.collect::<Result<Vec<_>, Failure>>()?;
        for (company, asked) in &all {
            allocations += same(world, floor, company, asked)?;
        }
        questions.push(all);
    }
    let mut contenders = Vec::new();
    for ((world, floor), questions) in worlds.iter().zip(&floors).zip(&questions) {
        let many = world.rules.len();
        contenders.push(Contender::new(format!("floor {many}"), questions, |(company, asked)| {
            floor.decide(company, asked.question, world.now)
        }));
        contenders.push(Contender::new(format!("evaluate {many}"), questions, |(_, asked)| {
            evaluate(&asked.request, asked.snapshot, &world.catalog, world.now)
        }));
        contenders.push(Contender::new(format!("from words {many}"), questions, |(_, asked)| {
            black_box(from_words(world, asked))
        }));
    }
    let field = Field::race(pace, ROUNDS, contenders);
    report(&field, worlds, allocations, section)
}

/// Whether both sides say the same; counts what `evaluate` allocated if they allow.
fn same(world: &World, floor: &Floor, company: &Company, asked: &Asked<'_>) -> Result<u64, Failure> {
    let mut decision = None;
    let counted =
        measure(|| decision = Some(evaluate(&asked.request, asked.snapshot, &world.catalog, world.now)));
    let answer = floor.decide(company, asked.question, world.now);
    let decision = decision.ok_or("nothing was decided")?;
    let same = (decision.is_allowed(), decision.plan, decision.expires_at)
        == (answer.allowed, answer.plan, answer.expires_at);
    // The floor does not tell apart why nothing allows.
    let same_reason = decision.reason.code() == answer.reason || answer.reason == "not_granted";
    if !same || !same_reason || answer.rank.is_some() != matches!(decision.source, Source::Policy(_)) {
        return Err(format!("the sides disagree: {decision:?}, {answer:?}").into());
    }
    if decision.is_allowed() != from_words(world, asked) {
        return Err(format!("a request built from words is answered differently: {decision:?}").into());
    }
    Ok(if decision.is_allowed() { counted.count_total } else { 0 })
}

fn report(field: &Field, worlds: &[World], allocations: u64, section: &mut Section) -> Result<(), Failure> {
    let mut table = Table::new(&[
        "policies",
        "floor",
        "`evaluate`",
        "ratio (quartiles)",
        "built from words",
        "against 10 policies",
    ]);
    let first = field.of("evaluate 10")?;
    let (mut least, mut ours) = (Vec::new(), Vec::new());
    for many in worlds.iter().map(|world| world.rules.len()) {
        let (base, evaluate) = (field.of(&format!("floor {many}"))?, field.of(&format!("evaluate {many}"))?);
        let (built, ratio, growth) =
            (field.of(&format!("from words {many}"))?, evaluate.ratio_to(base), evaluate.ratio_to(first));
        let at = float(many);
        least.push((at, base.nanos().median));
        ours.push((at, evaluate.nanos().median));
        table.row([
            number(at),
            duration(base.nanos().median),
            duration(evaluate.nanos().median),
            ratio.to_text(),
            duration(built.nanos().median),
            number(growth.median),
        ]);
        section.claims.push(Claim::ratio(
            PATH,
            format!("against the floor, {} policies", number(at)),
            Target::AtMost(1.5),
            ratio,
            "the decision carries more than the floor's answer: source, revision, catalog, and when it could change",
        ));
        let bound = match many {
            1_000 => 3.0,
            10_000 => 10.0,
            _ => continue,
        };
        section.claims.push(Claim::ratio(
            PATH,
            format!("{} policies against 10", number(at)),
            Target::AtMost(bound),
            growth,
            "policies that share a feature, an action and a region are looked at one by one, and no longer fit the cache",
        ));
    }
    section.claims.push(Claim {
        measured: Spread::exactly(float(allocations)),
        ..Claim::count(PATH, "allocations, all allowed requests", Target::AtMost(0.0), "", 0.0, "")
    });
    section.show(&table);
    section.lines.push(("floor, written by hand".to_owned(), least));
    section.lines.push(("entitlements".to_owned(), ours));
    Ok(())
}
