//! All trials, with their seeds.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::catalog::Catalog;
use super::compare::{Difference, REQUESTS, Trial};
use super::coverage::Coverage;
use super::engine;
use super::generate;
use super::generate_facts::world;
use super::random::Random;

/// So many companies live under one catalog.
const COMPANIES: u64 = 8;

/// The sequence of one catalog, or of one company.
fn sequence(seed: u64, what: u64, number: u64) -> Random {
    let mut random = Random::new(seed ^ (what << 56));
    Random::new(random.next() ^ number.wrapping_mul(0xd134_2543_de82_ef95))
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[test]
fn the_library_decides_as_the_plain_reading_does() {
    let seed = setting("DIFFERENTIAL_SEED").unwrap_or(1);
    let cases = match setting("DIFFERENTIAL_CASE") {
        Some(case) => case..case + 1,
        None => 0..setting("DIFFERENTIAL_CASES").unwrap_or(5000),
    };
    let mut coverage = Coverage::default();
    let mut differences: BTreeMap<String, (u64, u64, Difference)> = BTreeMap::new();
    let mut sold: Option<(u64, Rc<Catalog>, entitlements_core::Catalog)> = None;
    let (first, last) = (cases.start, cases.end);
    for case in cases {
        let number = case / COMPANIES;
        if sold.as_ref().is_none_or(|(of, ..)| *of != number) {
            let model = generate::catalog(&mut sequence(seed, 1, number));
            let catalog = engine::catalog(&model);
            sold = Some((number, model, catalog));
        }
        let (_, model, catalog) = sold.as_ref().unwrap();
        let mut random = sequence(seed, 2, case);
        let (world, focus) = world(&mut random, model);
        let snapshot = engine::snapshot(&world, catalog);
        let trial = Trial { world: &world, catalog, snapshot: &snapshot, focus };
        for difference in trial.run(&mut random, &mut coverage) {
            let class = difference.class.clone();
            differences.entry(class).or_insert((0, case, difference)).0 += 1;
        }
    }
    println!("seed {seed}, companies {first}..{last}, {REQUESTS} requests each\n{}", coverage.report());
    if !differences.is_empty() {
        let mut all: Vec<_> = differences.into_values().collect();
        all.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
        for (count, case, difference) in &all {
            println!("{count} x {} (first: seed {seed}, case {case})", difference.class);
        }
        let wanted = std::env::var("DIFFERENTIAL_CLASS").unwrap_or_default();
        all.sort_by_key(|(_, _, difference)| !difference.class.contains(&wanted));
        let (_, case, worst) = all.first().unwrap();
        panic!("DIFFERENTIAL_SEED={seed} DIFFERENTIAL_CASE={case}\n{}\n{}", worst.class, worst.text);
    }
    if last - first > 1 {
        assert_eq!(coverage.missing(), Vec::<String>::new(), "never reached");
    }
}
