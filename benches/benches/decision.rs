//! For daily work: the decision and the floor. `cargo bench -p benches --no-default-features --bench decision`

use benches::floor::Floor;
use benches::world::World;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use entitlements_core::evaluate;
use std::hint::black_box;

fn decision(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decision");
    for policies in [10, 1_000, 10_000] {
        let world = match World::new(policies, 1) {
            Ok(world) => world,
            Err(error) => unreachable!("{error}"),
        };
        let floor = Floor::new(&world);
        let mut questions = world.questions.iter().cycle();
        group.bench_function(BenchmarkId::new("floor", policies), |bencher| {
            bencher.iter_batched_ref(
                || questions.next().and_then(|question| Some((floor.company(question.company)?, question))),
                |asked| {
                    black_box(
                        asked.as_ref().map(|(company, question)| floor.decide(company, question, world.now)),
                    )
                },
                criterion::BatchSize::SmallInput,
            );
        });
        let mut questions = world.questions.iter().cycle();
        group.bench_function(BenchmarkId::new("evaluate", policies), |bencher| {
            bencher.iter_batched_ref(
                || questions.next().and_then(|question| Some((world.request(question)?, question))),
                |asked| {
                    let (request, question) = asked.as_ref()?;
                    let snapshot = world.snapshots.get(question.company)?;
                    Some(black_box(evaluate(request, snapshot, &world.catalog, world.now)))
                },
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, decision);
criterion_main!(benches);
