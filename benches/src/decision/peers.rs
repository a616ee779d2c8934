//! `evaluate` beside the engines of others.

use std::time::{Duration, Instant};

use entitlements_core::evaluate;

use super::PATH;
use super::floor::{Asked, asked, from_words};
use crate::Failure;
use crate::frame::{Claim, Contender, Field, Pace, Section, Table, Target, float, number};
use crate::peers::{Casbin, Cedar, Engine, Rego};
use crate::world::World;

const ROUNDS: usize = 21;
const OURS: &str = "entitlements";
/// Evaluations of others, with inputs prebuilt.
const ENGINES: [&str; 4] = ["regorus, compiled", "Cedar, sliced by hand", "Cedar", "casbin"];
const CACHED: &str = "casbin, hits of its cache";
const BUILT: &str = ", input built";
/// How long answers of one engine are compared, and how many at least.
const PATIENCE: Duration = Duration::from_millis(1500);
const AT_LEAST: usize = 128;
/// How many questions the cache of casbin is asked: each costs one evaluation first.
const REPEATED: usize = 256;

pub(super) fn run(pace: Pace, worlds: &[World], section: &mut Section) -> Result<(), Failure> {
    section.say(
        "Engines of others, each as its own introduction has it. Cedar answers from one set of policies, or from a set for \
         each feature and action that the caller keeps. regorus runs one small Rego policy over data keyed by feature and \
         action, compiled for its register machine. casbin keeps conditions in a column that its matcher evaluates. Inputs \
         are built beforehand, or from plain words for every question. Answers out of casbin's cache of answers are no \
         evaluations, and are listed beside them.",
    );
    let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for world in worlds {
        let field = race(pace, world)?;
        let many = world.rules.len();
        section.say(format!("**{many} policies.** The ratio is to ours with the request prebuilt."));
        section.show(&Table::of(&field, OURS));
        let at = float(many);
        for name in ENGINES {
            let point = (at, field.of(name)?.nanos().median);
            match lines.iter_mut().find(|(line, _)| line == name) {
                Some((_, points)) => points.push(point),
                None => lines.push((name.to_owned(), vec![point])),
            }
        }
        let bound = match many {
            10 => 10.0,
            10_000 => 100.0,
            _ => continue,
        };
        let engines = ENGINES.iter().map(|name| field.of(name)).collect::<Result<Vec<_>, _>>()?;
        let fastest =
            engines.into_iter().min_by(|one, two| one.nanos().median.total_cmp(&two.nanos().median));
        let fastest = fastest.ok_or("there are no engines")?;
        section.claims.push(Claim::ratio(
            PATH,
            format!("the fastest engine of others ({}) against ours, {} policies", fastest.name, number(at)),
            Target::AtLeast(bound),
            fastest.ratio_to(field.of(OURS)?),
            "the floor itself is hardly faster",
        ));
    }
    section.lines.append(&mut lines);
    Ok(())
}

fn race(pace: Pace, world: &World) -> Result<Field, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let questions = asked(world);
    let (rego, sliced, whole) = (Rego::new(world)?, Cedar::sliced(world)?, Cedar::whole(world)?);
    let (plain, cached) = (Casbin::plain(world, &runtime)?, Casbin::cached(world, &runtime)?);
    let rego_inputs = inputs(&rego, world, &questions)?;
    let (sliced_inputs, whole_inputs) =
        (inputs(&sliced, world, &questions)?, inputs(&whole, world, &questions)?);
    let (plain_inputs, mut cached_inputs) =
        (inputs(&plain, world, &questions)?, inputs(&cached, world, &questions)?);
    agree(ENGINES[0], &rego, &rego_inputs, &questions, world)?;
    agree(ENGINES[1], &sliced, &sliced_inputs, &questions, world)?;
    agree(ENGINES[2], &whole, &whole_inputs, &questions, world)?;
    agree(ENGINES[3], &plain, &plain_inputs, &questions, world)?;
    cached_inputs.truncate(REPEATED);
    // Twice: what the cache answers, has to agree, too.
    for _ in 0..2 {
        agree(CACHED, &cached, &cached_inputs, &questions, world)?;
    }
    let mut contenders = vec![
        Contender::new(OURS, &questions, |asked| {
            evaluate(&asked.request, asked.snapshot, &world.catalog, world.now)
        }),
        Contender::new(format!("{OURS}{BUILT}"), &questions, |asked| from_words(world, asked)),
    ];
    contenders.extend(ways(ENGINES[0], &rego, &rego_inputs, &questions, world));
    contenders.extend(ways(ENGINES[1], &sliced, &sliced_inputs, &questions, world));
    contenders.extend(ways(ENGINES[2], &whole, &whole_inputs, &questions, world));
    contenders.extend(ways(ENGINES[3], &plain, &plain_inputs, &questions, world));
    contenders.extend(ways(
        CACHED,
        &cached,
        &cached_inputs,
        questions.get(..REPEATED).unwrap_or_default(),
        world,
    ));
    Ok(Field::race(pace, ROUNDS, contenders))
}

fn inputs<E: Engine>(engine: &E, world: &World, questions: &[Asked<'_>]) -> Result<Vec<E::Input>, Failure> {
    questions.iter().map(|asked| engine.input(world, asked.question)).collect()
}

/// The same engine with its inputs prebuilt, and built for each question.
fn ways<'a, E: Engine>(
    name: &str,
    engine: &'a E,
    inputs: &'a [E::Input],
    questions: &'a [Asked<'a>],
    world: &'a World,
) -> [Contender<'a>; 2] {
    [
        Contender::new(name, inputs, |input| engine.decide(input).is_ok_and(|allowed| allowed)),
        Contender::new(format!("{name}{BUILT}"), questions, |asked| {
            let input = engine.input(world, asked.question);
            input.and_then(|input| engine.decide(&input)).is_ok_and(|allowed| allowed)
        }),
    ]
}

/// Whether an engine answers as `evaluate` does: to all questions, or to as many as there is time for.
fn agree<E: Engine>(
    name: &str,
    engine: &E,
    inputs: &[E::Input],
    questions: &[Asked<'_>],
    world: &World,
) -> Result<(), Failure> {
    let begun = Instant::now();
    for (number, (input, asked)) in inputs.iter().zip(questions).enumerate() {
        if number >= AT_LEAST && begun.elapsed() > PATIENCE {
            break;
        }
        let ours = evaluate(&asked.request, asked.snapshot, &world.catalog, world.now);
        if engine.decide(input)? != ours.is_allowed() {
            return Err(format!("{name} disagrees on {:?}: {ours:?}", asked.question).into());
        }
    }
    Ok(())
}
