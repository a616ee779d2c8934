//! The index has what the cache has, and nothing else.

use std::convert::Infallible;
use std::future::ready;

use super::*;
use crate::facts::Facts;
use crate::policy::PolicySet;

struct World {
    cache: SnapshotCache,
    in_force: InForce,
    now: DateTime<Utc>,
}

fn world(companies: usize) -> World {
    let catalog: Catalog =
        "schema = 1\npast_due_grace = \"7d\"\n[features]\nexport = { type = \"flag\" }".parse().unwrap();
    World {
        cache: SnapshotCache::new(CacheConfig::default().with_companies(companies)),
        in_force: InForce { catalog: Arc::new(catalog), number: 0 },
        now: "2026-11-24T12:00:00Z".parse().unwrap(),
    }
}

fn company(number: usize) -> CompanyId {
    CompanyId::new(format!("company-{number}")).unwrap()
}

impl World {
    fn snapshot(&self, company: &CompanyId) -> Snapshot {
        let catalog = &*self.in_force.catalog;
        Snapshot::new(Facts::empty(company.clone()), Arc::new(PolicySet::empty()), catalog)
    }

    async fn load(&self, company: &CompanyId) -> Arc<Kept> {
        let load = ready(Ok::<_, Infallible>(self.snapshot(company)));
        let Ok(kept) = self.cache.get_or_load(company, self.now, self.in_force.clone(), load).await;
        kept
    }

    fn answers(&self, company: &CompanyId) -> bool {
        self.cache.get(company, self.now).is_some()
    }

    fn is_cached(&self, company: &CompanyId) -> bool {
        self.cache.entries.as_ref().unwrap().peek(company).is_some()
    }
}

#[tokio::test]
async fn what_is_evicted_does_not_answer_any_more() {
    let world = world(50);
    for number in 0..1000 {
        world.load(&company(number)).await;
    }
    let answering: Vec<_> = (0..1000).map(company).filter(|company| world.answers(company)).collect();
    assert!((1..=50).contains(&answering.len()), "{}", answering.len());
    assert!(answering.iter().all(|company| world.is_cached(company)));
}

#[tokio::test]
async fn what_was_evicted_before_it_is_in_the_index_does_not_answer() {
    let world = world(50);
    let acme = company(1);
    let kept = world.load(&acme).await;
    let entries = world.cache.entries.as_ref().unwrap();
    entries.remove(&acme);
    world.cache.index.remove(&acme);
    world.cache.put_into_index(entries, &acme, &kept);
    assert!(!world.answers(&acme));
}

#[tokio::test]
async fn what_is_forgotten_in_any_way_does_not_answer() {
    let world = world(50);
    let acme = company(1);
    let ways: [(&str, &dyn Fn(&Arc<Kept>)); 6] = [
        ("invalidate", &|_| world.cache.invalidate(&acme)),
        ("expire", &|_| world.cache.expire(&acme)),
        ("expire_kept", &|kept| world.cache.expire_kept(&acme, kept)),
        ("expire_all", &|_| world.cache.expire_all()),
        ("invalidate_all", &|_| world.cache.invalidate_all()),
        ("a guard", &|_| drop(world.cache.expiring(&acme))),
    ];
    for (name, forget) in ways {
        let kept = world.load(&acme).await;
        assert!(world.answers(&acme), "{name}");
        forget(&kept);
        assert!(!world.answers(&acme) && !world.is_cached(&acme), "{name}");
    }
}

#[test]
fn threads_that_load_and_forget_leave_nothing_behind_that_was_evicted() {
    let world = world(50);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let world = &world;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                for step in 0..5_000 {
                    let company = company((step * 7 + thread * 31) % 200);
                    match step % 11 {
                        0 => world.cache.invalidate(&company),
                        5 if step % 7 == 0 => world.cache.expire_all(),
                        _ => drop(runtime.block_on(world.load(&company))),
                    }
                }
            });
        }
    });
    for company in (0..200).map(company) {
        assert!(!world.answers(&company) || world.is_cached(&company), "{company}");
    }
}
