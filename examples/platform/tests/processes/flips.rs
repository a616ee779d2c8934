//! A revocation is seen everywhere within five seconds although the network is cut, and at once with a token.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::figures::{Times, setting};
use crate::fleet::{Member, Terms, start};
use crate::orders::{Micros, Order, Reply, Watched};
use crate::proxy::Weather;
use crate::random::Random;
use crate::redis::Redis;
use crate::world::micros;

/// The promise.
const BOUND: Duration = Duration::from_secs(5);

/// After a cut it takes so long at most until everybody listens again: a wait between two attempts, and an attempt.
const SETTLES: Duration = Duration::from_secs(8);

struct Run {
    members: Vec<Member>,
    seed: u64,
    /// How many flips are still to be begun.
    left: AtomicU64,
    over: AtomicBool,
    /// When the network of any process was cut: from, to.
    cuts: Mutex<Vec<(Micros, Micros)>>,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    flips: u64,
    checks: u64,
    tokens: u64,
    own: u64,
    troubled: u64,
    whole: Vec<Duration>,
    cut: Vec<Duration>,
    wrong: Vec<String>,
}

fn between(from: Micros, to: Micros) -> Duration {
    Duration::from_micros(u64::try_from(to - from).unwrap_or_default())
}

impl Run {
    fn take(&self, flips: u64) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(flips)).is_ok()
    }

    /// Whether nothing was cut from shortly before the first instant to the second.
    fn was_whole(&self, from: Micros, to: Micros) -> bool {
        let from = from - i64::try_from(SETTLES.as_micros()).unwrap();
        self.cuts.lock().unwrap().iter().all(|(began, ended)| *ended < from || to < *began)
    }

    fn wrong(&self, what: String) {
        self.tally.lock().unwrap().wrong.push(what);
    }

    /// The network of any process breaks at any time, for any time.
    async fn weather(&self, fair: [Duration; 2], cut: [Duration; 2]) {
        let mut random = Random(self.seed);
        while !self.over.load(Ordering::Relaxed) {
            tokio::time::sleep(random.between(fair[0], fair[1])).await;
            let weather = if random.below(2) == 0 { Weather::Down } else { Weather::BlackHole };
            let struck = random.below(1 << self.members.len()).max(1);
            let began = micros();
            self.cuts.lock().unwrap().push((began, Micros::MAX));
            let members = || self.members.iter().enumerate();
            members()
                .filter(|(place, _)| struck >> place & 1 == 1)
                .for_each(|(_, member)| member.proxy.set(weather));
            tokio::time::sleep(random.between(cut[0], cut[1])).await;
            members().for_each(|(_, member)| member.proxy.set(Weather::Fair));
            self.cuts.lock().unwrap().last_mut().unwrap().1 = micros();
        }
    }

    /// A company gets a plan, and loses it, again and again, by any process; the others watch.
    async fn live(&self, company: String, mut random: Random, pause: Duration) {
        while self.take(2) {
            tokio::time::sleep(random.between(Duration::ZERO, pause)).await;
            let writer = usize::try_from(random.below(self.members.len() as u64)).unwrap();
            self.flip(&company, writer, true, false, false).await;
            let (cancel, token) = (random.below(2) == 0, random.below(2) == 0);
            self.flip(&company, writer, false, cancel, token).await;
        }
    }

    async fn flip(&self, company: &str, writer: usize, has: bool, cancel: bool, token: bool) {
        let company = company.to_owned();
        let member = self.members.get(writer).unwrap();
        let others =
            || self.members.iter().enumerate().filter(|(at, _)| *at != writer).map(|(_, member)| member);
        let watch = Order::Watch { company: company.clone(), until: has, limit: BOUND + SETTLES };
        // They have seen the state before, and ask all the time while it ends.
        let watching: Vec<_> =
            others().filter(|_| !token).map(|member| tokio::spawn(member.order(&watch))).collect();
        let flipped = member.order(&Order::Flip { company: company.clone(), has, cancel }).await;
        let Reply::Flipped { committed, revision } = flipped else { panic!("{flipped:?}") };
        self.tally.lock().unwrap().flips += 1;
        // Whoever wrote sees it at once.
        let check = Order::Check { company: company.clone(), at_least: None };
        let own = member.order(&check).await;
        if !matches!(own, Reply::Checked { allowed, degraded: false } if allowed == has) {
            self.wrong(format!("{company}: the writer sees {own:?} after revision {revision}"));
        }
        self.tally.lock().unwrap().own += 1;
        if token {
            let check = Order::Check { company: company.clone(), at_least: Some(revision) };
            for member in others() {
                let seen = member.order(&check).await;
                if !matches!(seen, Reply::Checked { allowed, degraded: false } if allowed == has) {
                    self.wrong(format!("{company}: with the token {revision} it is {seen:?}"));
                }
                self.tally.lock().unwrap().tokens += 1;
            }
        }
        for watched in watching {
            let Reply::Watched(watched) = watched.await.unwrap() else { panic!("no watch") };
            self.judge(&company, has, committed, &watched);
        }
    }

    fn judge(&self, company: &str, has: bool, committed: Micros, watched: &Watched) {
        let late = watched.last_other.map(|last| between(committed, last)).unwrap_or_default();
        if late > BOUND {
            self.wrong(format!(
                "{company}: {} {late:?} after the commit",
                if has { "deny" } else { "allow" }
            ));
        }
        let Some(first) = watched.first else {
            self.wrong(format!("{company}: it was never seen: {watched:?}"));
            return;
        };
        let is_whole = self.was_whole(committed, first);
        let mut tally = self.tally.lock().unwrap();
        tally.checks += watched.checks;
        tally.troubled += watched.troubled;
        let times = if is_whole { &mut tally.whole } else { &mut tally.cut };
        times.push(between(committed, first));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: scripts/test.sh starts them"]
async fn no_process_allows_later_than_five_seconds_after_the_commit_and_none_with_a_token() {
    let (flips, seed) = (setting("PROCESSES_FLIPS", 400), setting("PROCESSES_SEED", 1));
    let count = usize::try_from(setting("PROCESSES", 2)).unwrap();
    let redis = Redis::start().await;
    // A busy machine is no failure here: checks wait for the store.
    let terms = Terms { remembered: 10_000, deadline: Duration::from_secs(10) };
    let (members, _store) = start(count, &redis, terms).await;
    let run = Arc::new(Run {
        members,
        seed,
        left: AtomicU64::new(flips),
        over: AtomicBool::default(),
        cuts: Mutex::default(),
        tally: Mutex::default(),
    });
    // A long run has whole stretches that are long enough to tell them from the cuts.
    let (fair, cut, pause) = if flips < 2_000 { ([1, 3], [1, 4], 2) } else { ([2, 20], [1, 12], 6) };
    let seconds = |range: [u64; 2]| range.map(Duration::from_secs);
    let weather = {
        let run = Arc::clone(&run);
        tokio::spawn(async move { run.weather(seconds(fair), seconds(cut)).await })
    };
    let lives: Vec<_> = (0..(flips / 8).clamp(1, 150))
        .map(|number| {
            let run = Arc::clone(&run);
            let random = Random(seed ^ (number << 32));
            tokio::spawn(
                async move { run.live(format!("c{number}"), random, Duration::from_secs(pause)).await },
            )
        })
        .collect();
    for life in lives {
        life.await.unwrap();
    }
    run.over.store(true, Ordering::Relaxed);
    weather.await.unwrap();
    let tally = std::mem::take(&mut *run.tally.lock().unwrap());
    let cuts = run.cuts.lock().unwrap().len();
    println!(
        "{} flips, {count} processes, {} checks, {cuts} cuts, {} checks with a token, {} by the writer, {} without \
         live facts; seed {seed}\n  seen with the bus whole: {}\n  seen while it is cut, or heals: {}",
        tally.flips,
        tally.checks,
        tally.tokens,
        tally.own,
        tally.troubled,
        Times::new(tally.whole.clone()),
        Times::new(tally.cut.clone()),
    );
    assert_eq!(tally.wrong, Vec::<String>::new(), "seed {seed}");
    assert_eq!(tally.flips, flips / 2 * 2);
    assert!(cuts > 0 && !tally.cut.is_empty() && tally.tokens > 0, "nothing was cut");
}
