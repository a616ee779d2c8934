//! What holds the hot map: a look-up of a company's snapshot in each of several maps, in turn.
//!
//! `cargo run -p benches --release --example maps`. The cache of snapshots is on `quick_cache`, and needs what it and moka
//! have: a bound, and one load at a time. `DashMap`, papaya and a locked map never evict, and show what that costs.
#![expect(clippy::indexing_slicing, reason = "every list has a place for each map")]
#![expect(clippy::cast_precision_loss, reason = "figures are rounded when they are shown")]

use std::collections::HashMap;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Instant;

use entitlements_core::id::CompanyId;
use rustc_hash::FxBuildHasher;

const COMPANIES: usize = 10_000;
const LOOK_UPS: usize = 200_000;
const ROUNDS: usize = 31;

/// As large as the head of a snapshot.
type Payload = Arc<[u64; 16]>;

/// A map that is full, as the threads of a server share it.
trait Map: Send + Sync {
    fn get(&self, company: &CompanyId) -> Option<Payload>;
}

macro_rules! maps {
    ($($kind:ty: |$map:ident, $company:ident| $get:expr;)+) => {$(
        impl Map for $kind {
            #[inline]
            fn get(&self, $company: &CompanyId) -> Option<Payload> {
                let $map = self;
                $get
            }
        }
    )+};
}

type QuickCache = quick_cache::sync::Cache<CompanyId, Payload, quick_cache::UnitWeighter, FxBuildHasher>;
type Moka = moka::sync::Cache<CompanyId, Payload>;
type MokaFx = moka::sync::Cache<CompanyId, Payload, FxBuildHasher>;
type Dash = dashmap::DashMap<CompanyId, Payload, FxBuildHasher>;
type Papaya = papaya::HashMap<CompanyId, Payload, FxBuildHasher>;
type Locked = RwLock<HashMap<CompanyId, Payload, FxBuildHasher>>;

maps! {
    QuickCache: |map, company| map.get(company);
    Moka: |map, company| map.get(company);
    MokaFx: |map, company| map.get(company);
    Dash: |map, company| map.get(company).map(|found| Arc::clone(&found));
    Papaya: |map, company| map.pin().get(company).cloned();
    Locked: |map, company| map.read().ok()?.get(company).cloned();
}

fn full(companies: &[CompanyId]) -> Vec<(&'static str, Arc<dyn Map>)> {
    let (quick, moka, moka_fx, dash, papaya, locked) = (
        QuickCache::with(
            COMPANIES * 2,
            COMPANIES as u64 * 2,
            quick_cache::UnitWeighter,
            FxBuildHasher,
            quick_cache::sync::DefaultLifecycle::default(),
        ),
        Moka::new(COMPANIES as u64 * 2),
        Moka::builder().max_capacity(COMPANIES as u64 * 2).build_with_hasher(FxBuildHasher),
        Dash::default(),
        Papaya::default(),
        Locked::default(),
    );
    for (number, company) in companies.iter().enumerate() {
        let payload: Payload = Arc::new([number as u64; 16]);
        let entry = || (company.clone(), Arc::clone(&payload));
        quick.insert(entry().0, entry().1);
        moka.insert(entry().0, entry().1);
        moka_fx.insert(entry().0, entry().1);
        dash.insert(entry().0, entry().1);
        papaya.pin().insert(entry().0, entry().1);
        if let Ok(mut locked) = locked.write() {
            locked.insert(entry().0, entry().1);
        }
    }
    vec![
        ("quick_cache (Fx), in use", Arc::new(quick)),
        ("moka", Arc::new(moka)),
        ("moka (Fx)", Arc::new(moka_fx)),
        ("DashMap (Fx), unbounded", Arc::new(dash)),
        ("papaya (Fx), unbounded", Arc::new(papaya)),
        ("RwLock<HashMap> (Fx), unbounded", Arc::new(locked)),
    ]
}

/// Nanoseconds for one look-up, by one of the threads.
fn time(map: &Arc<dyn Map>, companies: &Arc<[CompanyId]>, threads: usize) -> f64 {
    let begun = Instant::now();
    let running: Vec<_> = (0..threads)
        .map(|thread| {
            let (map, companies) = (Arc::clone(map), Arc::clone(companies));
            thread::spawn(move || {
                let mut place = thread * 4_999;
                let mut sum = 0;
                for _ in 0..LOOK_UPS {
                    // A stride that is prime visits all, in no order that a cache line likes.
                    place = (place + 7_919) % companies.len();
                    let company = companies.get(place);
                    sum += company.and_then(|company| map.get(company)).map_or(0, |found| found[0]);
                }
                black_box(sum)
            })
        })
        .collect();
    for thread in running {
        // A thread that panicked has printed why.
        let _ = thread.join();
    }
    begun.elapsed().as_secs_f64() * 1e9 / LOOK_UPS as f64
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names = (0..COMPANIES).map(|number| CompanyId::new(format!("company-{number}")));
    let companies: Arc<[CompanyId]> = names.collect::<Result<Vec<_>, _>>()?.into();
    let maps = full(&companies);
    for (name, map) in &maps {
        let missing = companies.iter().filter(|company| map.get(company).is_none()).count();
        if missing > 0 {
            return Err(format!("{name} has lost {missing} companies").into());
        }
    }
    let mut out = std::io::stdout();
    writeln!(out, "{COMPANIES} companies, {LOOK_UPS} look-ups a round, {ROUNDS} rounds in turn; medians")?;
    writeln!(out, "{:<34} {:>10} {:>12} {:>16}", "", "1 thread", "of the first", "2 threads, speed")?;
    let mut alone = vec![Vec::new(); maps.len()];
    let mut ratios = vec![Vec::new(); maps.len()];
    let mut speeds = vec![Vec::new(); maps.len()];
    for _ in 0..ROUNDS {
        let mut first = None;
        for (place, (_, map)) in maps.iter().enumerate() {
            let one = time(map, &companies, 1);
            let two = time(map, &companies, 2);
            let first = *first.get_or_insert(one);
            alone[place].push(one);
            ratios[place].push(one / first);
            // Twice the work in that time.
            speeds[place].push(2.0 * one / two);
        }
    }
    for (place, (name, _)) in maps.iter().enumerate() {
        writeln!(
            out,
            "{name:<34} {:>7.0} ns {:>11.2}x {:>15.2}x",
            median(&mut alone[place]),
            median(&mut ratios[place]),
            median(&mut speeds[place])
        )?;
    }
    Ok(())
}
