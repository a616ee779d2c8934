//! Scale: many companies, and many grants of one company.

use std::sync::Arc;

use allocation_counter::measure;
use entitlements_core::facts::Facts;
use entitlements_core::id::{CompanyId, FeatureKey, GrantId, PlanKey, SubscriptionId, UserId};
use entitlements_core::policy::PolicySet;
use entitlements_core::store::{Policies, SubscriptionStore as _};
use entitlements_core::{
    Action, ActionSet, CacheConfig, Catalog, Entitlements, Grant, GrantKind, ManualClock, MemoryStore,
    Request, Snapshot, Subject, Subscription, SubscriptionStatus, evaluate,
};

use crate::Failure;
use crate::frame::{Claim, Contender, Field, Pace, Section, Table, Target, duration, float, number};
use crate::random::Random;
use crate::world::catalog;

const SEED: u64 = 20_261_124;
const NOW: &str = "2026-11-24T12:00:00Z";
const ROUNDS: usize = 21;
/// How many companies are asked for in one pass.
const ASKED: usize = 4_096;
const GRANTS: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

pub(crate) fn run(pace: Pace) -> Result<Section, Failure> {
    let mut section = Section::new("Scale");
    companies(pace, &mut section)?;
    grants(pace, &mut section)?;
    Ok(section)
}

/// Memory and latency by the number of companies that are kept.
fn companies(pace: Pace, section: &mut Section) -> Result<(), Failure> {
    section.say(
        "Companies with a subscription each, all in the memory of a process. Memory is what the process holds in addition once \
         every company was asked for: snapshots, keys and the tables of the cache. A warm `check` asks for a company at random; \
         a cold one also loads it, out of the store in memory, so without a network.",
    );
    let sizes: &[usize] = match pace {
        Pace::Full => &[1_000, 10_000, 100_000, 1_000_000],
        Pace::Quick => &[1_000, 10_000, 100_000],
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut table = Table::new(&["companies", "memory a company", "warm `check`", "cold `check`"]);
    for size in sizes {
        let store = runtime.block_on(store(*size))?;
        let asking = handle(&store, CacheConfig::default().with_companies(*size))?;
        let mut failed = 0_usize;
        let held = measure(|| failed = runtime.block_on(ask_all(&asking, *size)));
        if failed > 0 {
            return Err(format!("{failed} companies were denied what their plan has").into());
        }
        let kept = asking.cache_stats().entries;
        let cold = handle(&store, CacheConfig::disabled())?;
        let subjects = some(*size)?;
        let field = Field::race(
            pace,
            ROUNDS,
            vec![
                Contender::waiting("warm", &runtime, &subjects, async |subject| {
                    asking.check(&request(subject)).await
                }),
                Contender::waiting("cold", &runtime, &subjects, async |subject| {
                    cold.check(&request(subject)).await
                }),
            ],
        );
        let (many, each) = (float(*size), float(held.bytes_current.unsigned_abs()) / float(kept.max(1)));
        table.row([
            number(many),
            format!("{} B", number(each)),
            duration(field.of("warm")?.nanos().median),
            duration(field.of("cold")?.nanos().median),
        ]);
        if sizes.last() == Some(size) {
            let what = format!("per cached company, {} companies", number(many));
            let limit = "the snapshot keeps the facts as the store gave them beside what evaluation reads";
            section.claims.push(Claim::count("memory", what, Target::AtMost(2_048.0), " B", each, limit));
            bounded(&runtime, &store, *size, section)?;
        }
    }
    section.show(&table);
    Ok(())
}

/// A cache with room for a tenth is asked for all.
fn bounded(
    runtime: &tokio::runtime::Runtime,
    store: &Arc<MemoryStore>,
    size: usize,
    section: &mut Section,
) -> Result<(), Failure> {
    let room = size / 10;
    let small = handle(store, CacheConfig::default().with_companies(room))?;
    runtime.block_on(ask_all(&small, size));
    let (kept, most, many) = (float(small.cache_stats().entries), float(room), float(size));
    let what = format!("companies kept of {} asked for, with room for {}", number(many), number(most));
    section.claims.push(Claim::count("memory", what, Target::AtMost(most), "", kept, ""));
    Ok(())
}

fn handle(store: &Arc<MemoryStore>, cache: CacheConfig) -> Result<Entitlements, Failure> {
    let builder = Entitlements::builder(catalog()?).shared_store(store.clone());
    Ok(builder.clock(ManualClock::at(NOW.parse()?)).cache(cache).build())
}

fn name(number: usize) -> String {
    format!("company-{number:07}")
}

fn request(subject: &Subject) -> Request<'_> {
    Request::new(subject, "feature_00", Action::View)
}

async fn store(size: usize) -> Result<Arc<MemoryStore>, Failure> {
    let (store, now) = (MemoryStore::default(), NOW.parse()?);
    for number in 0..size {
        let company = CompanyId::new(name(number))?;
        let subscription = Subscription {
            id: SubscriptionId::new(format!("sub-{number:07}"))?,
            company,
            plan: PlanKey::new("pro")?,
            status: SubscriptionStatus::Active,
            seats: None,
            started_at: now,
            anchor: now,
            current_period_start: now,
            current_period_end: now,
            trial_end: None,
            past_due_since: None,
            cancel_at: None,
            cancel_at_period_end: false,
            created_at: now,
        };
        store.put_subscription(&subscription, now).await?;
    }
    Ok(Arc::new(store))
}

/// Asks for every company once; answers how many were denied.
async fn ask_all(handle: &Entitlements, size: usize) -> usize {
    let mut denied = 0;
    for number in 0..size {
        let Ok(company) = CompanyId::new(name(number)) else { continue };
        let subject = Subject::company(company);
        denied +=
            usize::from(!handle.check(&request(&subject)).await.is_ok_and(|decision| decision.is_allowed()));
    }
    denied
}

/// Companies in random order.
fn some(size: usize) -> Result<Vec<Subject>, Failure> {
    let mut random = Random::new(SEED);
    let one = |_| Ok(Subject::company(CompanyId::new(name(random.index(size)))?));
    (0..ASKED).map(one).collect()
}

/// Latency by the number of grants on one company.
fn grants(pace: Pace, section: &mut Section) -> Result<(), Failure> {
    section.say(
        "Grants on one company, spread over ten features and a thousand users, a tenth of them over. The question is about a \
         user who has one, and about a user who has none.",
    );
    let catalog: Catalog = catalog()?;
    let now = NOW.parse()?;
    let set = Arc::new(PolicySet::compile(&Policies::default(), &catalog));
    let company = CompanyId::new("acme")?;
    let mut snapshots = Vec::new();
    for many in GRANTS {
        let mut facts = Facts::empty(company.clone());
        facts.grants = (0..many).map(|number| grant(&company, number)).collect::<Result<_, _>>()?;
        snapshots.push((many, Snapshot::new(facts, Arc::clone(&set), &catalog)));
    }
    let has = Subject::user(company.clone(), UserId::new("user-0")?);
    let lacks = Subject::user(company, UserId::new("stranger")?);
    let once = [(); 256];
    let mut contenders = Vec::new();
    for (many, snapshot) in &snapshots {
        for (who, subject, expected) in [("has", &has, true), ("lacks", &lacks, false)] {
            let ask =
                || evaluate(&Request::new(subject, "feature_00", Action::Export), snapshot, &catalog, now);
            if ask().is_allowed() != expected {
                return Err(format!("{many} grants, a user who {who} one: {:?}", ask()).into());
            }
            contenders.push(Contender::new(format!("{who} {many}"), &once, move |()| ask()));
        }
    }
    let field = Field::race(pace, ROUNDS, contenders);
    let mut table = Table::new(&["grants on the company", "has one", "has none"]);
    for many in GRANTS {
        let median = |who: &str| Ok::<_, Failure>(field.of(&format!("{who} {many}"))?.nanos().median);
        table.row([number(float(many)), duration(median("has")?), duration(median("lacks")?)]);
    }
    section.show(&table);
    Ok(())
}

fn grant(company: &CompanyId, number: usize) -> Result<Grant, Failure> {
    let ended = number % 10 == 9;
    Ok(Grant {
        id: GrantId::new(format!("grant-{number:06}"))?,
        company: company.clone(),
        user: Some(UserId::new(format!("user-{}", number % 1_000))?),
        feature: FeatureKey::new(crate::world::feature(number / 1_000 % 10))?,
        actions: ActionSet::ALL,
        resource: None,
        amount: None,
        kind: GrantKind::Manual,
        starts_at: "2026-01-01T00:00:00Z".parse()?,
        ends_at: if ended { Some("2026-02-01T00:00:00Z".parse()?) } else { None },
        reason: None,
        created_at: "2026-01-01T00:00:00Z".parse()?,
        voided_at: None,
    })
}
