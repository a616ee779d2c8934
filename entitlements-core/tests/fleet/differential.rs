//! Whatever is cached where, the answer is one that the store would have given within the last five seconds; and the one
//! that it gives now, where nothing is broken.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::facts::{Facts, Revision};
use entitlements_core::id::CompanyId;
use entitlements_core::policy::PolicySet;
use entitlements_core::store::SnapshotStore;
use entitlements_core::{Catalog, Decision, Entitlements, Snapshot, evaluate};

use crate::change::change;
use crate::questions::Question;
use crate::random::Random;
use crate::world::{World, catalog, pump};

/// States of the store with the instant at which each began, oldest first, as far back as they may be seen.
struct History<T> {
    states: Vec<(DateTime<Utc>, T)>,
}

impl<T> History<T> {
    fn add(&mut self, now: DateTime<Utc>, state: T) {
        self.states.push((now, state));
        // One that had ended more than five seconds ago may not be seen.
        let horizon = now - TimeDelta::seconds(5);
        while self.states.get(1).is_some_and(|(began, _)| *began <= horizon) {
            self.states.remove(0);
        }
    }

    fn seen_at(&self, now: DateTime<Utc>) -> impl Iterator<Item = &T> {
        let horizon = now - TimeDelta::seconds(5);
        let mut ends = self.states.iter().skip(1).map(|(began, _)| *began);
        self.states
            .iter()
            .filter(move |_| ends.next().is_none_or(|end| end > horizon))
            .map(|(_, state)| state)
    }
}

struct Run {
    world: World,
    catalog: Catalog,
    companies: [CompanyId; 2],
    facts: [History<Facts>; 2],
    policies: History<Arc<PolicySet>>,
}

impl Run {
    async fn begin() -> Self {
        let none = || History { states: Vec::new() };
        let mut run = Self {
            world: World::new(),
            catalog: catalog(),
            companies: ["acme", "beta"].map(|name| CompanyId::new(name).unwrap()),
            facts: [History { states: Vec::new() }, History { states: Vec::new() }],
            policies: none(),
        };
        run.note().await;
        run
    }

    /// Notes the state of the store.
    async fn note(&mut self) {
        let store = self.world.store.inner();
        let now = self.now();
        for (company, history) in self.companies.iter().zip(&mut self.facts) {
            history.add(now, store.load(company, now).await.unwrap());
        }
        let policies = store.policies().await.unwrap();
        if self.policies.states.last().is_none_or(|(_, set)| set.revision() != policies.revision) {
            self.policies.add(now, Arc::new(PolicySet::compile(&policies, &self.catalog)));
        }
    }

    fn now(&self) -> DateTime<Utc> {
        entitlements_core::Clock::now(&self.world.clock)
    }

    fn answer(&self, question: &Question, facts: &Facts, policies: &Arc<PolicySet>) -> Decision {
        let snapshot = Snapshot::new(facts.clone(), Arc::clone(policies), &self.catalog);
        // A process that has met newer policies than a company's facts tell of says so.
        evaluate(&question.request(), &snapshot, &self.catalog, self.now())
    }

    fn is_explained(&self, question: &Question, decision: &Decision) -> bool {
        let now = self.now();
        let of_company = self.companies.iter().zip(&self.facts);
        of_company.filter(|(company, _)| **company == question.subject.company).any(|(_, history)| {
            history.seen_at(now).any(|facts| {
                self.policies.seen_at(now).any(|policies| self.answer(question, facts, policies) == *decision)
            })
        })
    }

    /// What the store says now.
    fn truth(&self, question: &Question) -> Decision {
        let mut of_company = self.companies.iter().zip(&self.facts);
        let (_, history) = of_company.find(|(company, _)| **company == question.subject.company).unwrap();
        let (facts, policies) = (history.states.last().unwrap(), self.policies.states.last().unwrap());
        self.answer(question, &facts.1, &policies.1)
    }
}

fn steps() -> u64 {
    std::env::var("FLEET_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(5_000)
}

fn seed() -> u64 {
    std::env::var("FLEET_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// What of a decision must agree although another process has met newer policies: everything but the revision.
fn but_for_the_revision(decision: Decision) -> Decision {
    Decision { as_of: Revision::default(), ..decision }
}

async fn restart(run: &Run, processes: &mut [Entitlements], random: &mut Random) {
    let place = usize::try_from(random.below(processes.len() as u64)).unwrap();
    if let Some(process) = processes.get_mut(place) {
        *process = run.world.process();
        pump().await;
    }
}

#[tokio::test]
async fn a_healthy_fleet_answers_as_the_store_does() {
    let (steps, seed) = (steps(), seed());
    let (mut random, mut compared, mut allowed, mut shared) = (Random(seed), 0_u64, 0_u64, 0_u64);
    let mut step = 0;
    while step < steps {
        let mut run = Run::begin().await;
        let mut processes = [run.world.process(), run.world.process(), run.world.process()];
        pump().await;
        for _ in 0..1000 {
            step += 1;
            let companies = run.companies.clone();
            let companies: Vec<_> = companies.iter().collect();
            match random.below(10) {
                0 => {
                    let company = random.pick(&companies);
                    let process = random.pick(&[0, 1, 2_usize]);
                    change(processes.get(process).unwrap(), company, &mut random).await;
                    run.note().await;
                    pump().await;
                }
                1 => {
                    let step = TimeDelta::milliseconds(i64::try_from(random.below(3000)).unwrap());
                    run.world.clock.advance(step);
                    // What is over is left out of the facts.
                    run.note().await;
                }
                2 if random.below(10) == 0 => restart(&run, &mut processes, &mut random).await,
                3 if random.below(10) == 0 => run.world.decisions.memory.lose_everything(),
                _ => {}
            }
            let question = Question::any(&companies, &mut random);
            if question.is_of_a_meter() {
                continue;
            }
            let process = random.pick(&[0, 1, 2_usize]);
            if random.below(3) == 0 {
                // So that it has to ask the shared cache.
                processes.get(process).unwrap().invalidate(&question.subject.company);
            }
            let decision = processes.get(process).unwrap().check(&question.request()).await.unwrap();
            compared += 1;
            allowed += u64::from(decision.is_allowed());
            assert_eq!(
                but_for_the_revision(decision),
                but_for_the_revision(run.truth(&question)),
                "seed {seed}, step {step}: {question:?}"
            );
        }
        shared += run.world.decisions.memory_hits().await;
    }
    println!(
        "{compared} answers of three processes agree with the store, {allowed} of them allow, \
         {shared} are out of the shared cache; seed {seed}"
    );
    assert!(shared * 50 > compared && allowed * 10 > compared, "the questions were too easy");
}

#[tokio::test]
async fn a_broken_fleet_answers_as_the_store_did_within_five_seconds() {
    let (steps, seed) = (steps(), seed());
    let (mut random, mut compared, mut late) = (Random(seed), 0_u64, 0_u64);
    let mut step = 0;
    while step < steps {
        let mut run = Run::begin().await;
        let mut processes = [run.world.process(), run.world.process(), run.world.process()];
        pump().await;
        for _ in 0..1000 {
            step += 1;
            let companies = run.companies.clone();
            let companies: Vec<_> = companies.iter().collect();
            match random.below(10) {
                0 => {
                    let company = random.pick(&companies);
                    let process = random.pick(&[0, 1, 2_usize]);
                    change(processes.get(process).unwrap(), company, &mut random).await;
                    run.note().await;
                    pump().await;
                }
                1 => {
                    let step = TimeDelta::milliseconds(i64::try_from(random.below(3000)).unwrap());
                    run.world.clock.advance(step);
                    run.note().await;
                }
                2 => match random.below(10) {
                    0 => restart(&run, &mut processes, &mut random).await,
                    1 => run.world.decisions.memory.lose_everything(),
                    2 | 3 => run.world.bus.cut(),
                    4 => run.world.bus.heal(),
                    5 | 6 => run.world.decisions.deaf.store(true, Ordering::SeqCst),
                    7 => run.world.decisions.deaf.store(false, Ordering::SeqCst),
                    8 => run.world.decisions.down.store(true, Ordering::SeqCst),
                    _ => run.world.decisions.down.store(false, Ordering::SeqCst),
                },
                _ => {}
            }
            let question = Question::any(&companies, &mut random);
            let process = random.pick(&[0, 1, 2_usize]);
            if random.below(3) == 0 {
                // So that it has to ask the shared cache.
                processes.get(process).unwrap().invalidate(&question.subject.company);
            }
            let decision = processes.get(process).unwrap().check(&question.request()).await.unwrap();
            compared += 1;
            late += u64::from(decision != run.truth(&question));
            assert!(
                run.is_explained(&question, &decision),
                "seed {seed}, step {step}: {question:?}\n{decision:#?}\nnow {:#?}",
                run.truth(&question)
            );
        }
    }
    println!("{compared} answers of three processes, {late} of them late, none by five seconds; seed {seed}");
    assert!(late > 0, "nothing was broken");
}
