//! Whatever the order, the number and the delay of webhooks, and whatever crashes in between: one final state.
//!
//! `BILLING_ORDERS` says how many orders of each story are tried (all of them if it is `all`), `BILLING_SEED` which.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use chrono::TimeDelta;
use entitlements_core::billing::{BillingProvider, BillingStore};
use entitlements_core::id::EventId;
use entitlements_core::{Amount, Clock, Subscription};

use crate::ledger::{ORDERS, fresh};
use crate::shaky::Cut;
use crate::story::{STORIES, Step, Teller, chosen};
use crate::world::{World, acme, stored};

const EVENTS: usize = 6;

/// Longer than every lease and every wait before another attempt of the first few.
const LATER: TimeDelta = TimeDelta::seconds(121);

struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = std::env::var("BILLING_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, self.below(place + 1));
        }
    }
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(count - 1);
    let with = |order: &Vec<usize>| {
        let order = order.clone();
        (0..count).map(move |place| {
            let mut longer = order.clone();
            longer.insert(place, count - 1);
            longer
        })
    };
    shorter.iter().flat_map(with).collect()
}

fn orders_wanted() -> usize {
    match std::env::var("BILLING_ORDERS") {
        Ok(wanted) if wanted == "all" => usize::MAX,
        Ok(wanted) => wanted.parse().unwrap(),
        Err(_) => ORDERS,
    }
}

fn id_of(body: &str) -> EventId {
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    value["id"].as_str().unwrap().parse().unwrap()
}

/// A story that was told to its end, and what is true then.
struct Told {
    world: World,
    events: Vec<String>,
    truth: Vec<Subscription>,
}

async fn tell(steps: &[Step]) -> Told {
    let world = World::new().await;
    let mut teller = Teller::new(&world).await;
    for step in steps {
        teller.tell(*step).await;
    }
    let customer = teller.customer.clone();
    let bodies = world.bodies_after(0);
    let events = chosen(&bodies, EVENTS);
    let fresh = fresh().await;
    let process = world.process_on(fresh.clone(), world.client.clone());
    process.receive(&bodies[0]).await.unwrap();
    process.billing.reconcile(&acme()).await.unwrap();
    let truth = stored(&*fresh, world.clock.now()).await;
    same_as_shown(&world, &customer, &truth).await;
    Told { world, events, truth }
}

/// Compares what we would store with what the fake shows, field by field.
async fn same_as_shown(world: &World, customer: &str, stored: &[Subscription]) {
    let shown = world.client.subscriptions(customer).await.unwrap();
    assert_eq!(shown.len(), stored.len());
    for shown in shown {
        let stored = stored.iter().find(|stored| stored.id.as_str() == shown.id).unwrap();
        let item = &shown.items.data[0];
        assert_eq!(stored.status, shown.status);
        assert_eq!(stored.plan.as_str() == "starter", item.price.id == "price_starter");
        assert_eq!(Some(stored.current_period_end), item.current_period_end);
        assert_eq!(stored.seats.map(Amount::get), item.quantity.filter(|quantity| *quantity > 1));
        assert_eq!(stored.ends_at().is_some(), shown.is_canceling() || shown.ended_at.is_some());
    }
}

/// Receives `bodies` in this order, each again until it is taken, with a cut at a step. How many steps there were.
async fn receive_all(told: &Told, bodies: &[&String], mut cut: Option<(u64, Cut)>) -> Result<u64, String> {
    let world = &told.world;
    let memory = fresh().await;
    let mut process = world.process_on(memory.clone(), world.client.clone());
    if let Some((step, cut)) = cut {
        process.store.cut_at(step, cut);
    }
    let steps = process.store.clone();
    let mut queue: VecDeque<&String> = bodies.iter().copied().collect();
    let mut tries = 0;
    while let Some(body) = queue.pop_front() {
        tries += 1;
        if tries > 100 {
            return Err(format!("{cut:?}: it does not end"));
        }
        let answer = tokio::select! {
            answer = process.receive(body) => Some(answer),
            () = process.store.died() => None,
        };
        match answer {
            Some(Ok(_)) => {
                // A lock that could not be given back ends by itself.
                if cut.take_if(|(step, _)| *step <= steps.steps()).is_some() {
                    world.clock.advance(LATER);
                }
                continue;
            }
            Some(Err(_)) => {}
            None => process = world.process_on(memory.clone(), world.client.clone()),
        }
        queue.push_back(body);
        world.clock.advance(LATER);
    }
    loop {
        world.clock.advance(LATER);
        let answer = tokio::select! {
            answer = process.webhooks.retry_due(100) => Some(answer),
            () = process.store.died() => None,
        };
        match answer {
            Some(Ok(0)) => break,
            Some(_) => {}
            None => process = world.process_on(memory.clone(), world.client.clone()),
        }
    }
    let now = world.clock.now();
    let state = stored(&*memory, now).await;
    if state != told.truth {
        return Err(format!("{cut:?}: {state:?} instead of {:?}", told.truth));
    }
    for body in bodies {
        let kept = memory.event(&id_of(body)).await.unwrap();
        if kept.as_ref().is_none_or(|kept| !kept.state.is_final()) {
            return Err(format!("{cut:?}: the ledger has {kept:?}"));
        }
    }
    match memory.lock(&acme(), now, now).await.unwrap() {
        Some(_) => Ok(steps.steps()),
        None => Err(format!("{cut:?}: the lock is held")),
    }
}

/// Every event twice: its copy comes at once, or after all.
fn doubled<'a>(events: &'a [String], order: &[usize], number: usize) -> Vec<&'a String> {
    let once = order.iter().map(|place| &events[*place]);
    if number.is_multiple_of(2) {
        once.flat_map(|body| [body, body]).collect()
    } else {
        once.clone().chain(once.rev()).collect()
    }
}

#[tokio::test]
async fn every_order_with_copies_and_a_crash_leads_to_one_state() {
    let begun = Instant::now();
    let wanted = orders_wanted();
    let mut chance = Chance::new();
    let (mut runs, mut cuts, mut of_all) = (0, 0, 0);
    let mut problems = Vec::new();
    let mut places = BTreeSet::new();
    for (name, steps) in STORIES {
        let told = tell(steps).await;
        assert!((2..=EVENTS).contains(&told.events.len()), "{name}: {}", told.events.len());
        let mut orders = permutations(told.events.len());
        of_all += orders.len();
        if wanted < orders.len() {
            chance.shuffle(&mut orders);
            orders.truncate(wanted);
        }
        for (number, order) in orders.iter().enumerate() {
            let bodies = doubled(&told.events, order, number);
            runs += 1;
            let whole = match receive_all(&told, &bodies, None).await {
                Ok(whole) => whole,
                Err(problem) => {
                    problems.push(format!("{name} {order:?}: {problem}"));
                    continue;
                }
            };
            let step = 1 + u64::try_from(number).unwrap() * 7 % whole;
            let cut = Cut::ALL[(number + number / Cut::ALL.len()) % Cut::ALL.len()];
            cuts += 1;
            places.insert((name, step));
            if let Err(problem) = receive_all(&told, &bodies, Some((step, cut))).await {
                problems.push(format!("{name} {order:?}: {problem}"));
            }
        }
    }
    println!(
        "{} stories, {runs} of {of_all} orders with a copy of each event, and {cuts} of them with a crash at one of \
         {} steps: {} s",
        STORIES.len(),
        places.len(),
        begun.elapsed().as_secs(),
    );
    assert_eq!(problems, [""; 0]);
}

#[tokio::test]
async fn a_crash_at_every_step_leads_to_the_same_state() {
    let begun = Instant::now();
    let every = orders_wanted() == usize::MAX;
    let mut runs = 0;
    let mut problems = Vec::new();
    for (number, (name, steps)) in STORIES.into_iter().enumerate() {
        if !every && number != 9 {
            continue;
        }
        let told = tell(steps).await;
        let bodies: Vec<&String> = if every {
            told.events.iter().rev().collect()
        } else {
            told.events.iter().rev().take(1).chain(told.events.first()).collect()
        };
        let whole = receive_all(&told, &bodies, None).await.unwrap();
        for step in 1..=whole {
            for cut in Cut::ALL {
                runs += 1;
                if let Err(problem) = receive_all(&told, &bodies, Some((step, cut))).await {
                    problems.push(format!("{name}: {problem}"));
                }
            }
        }
    }
    println!("{runs} runs, each with a crash at another step: {} s", begun.elapsed().as_secs());
    assert_eq!(problems, [""; 0]);
}

#[tokio::test]
async fn what_is_heard_while_it_happens_leads_to_the_same_state() {
    let mut chance = Chance::new();
    let tellings = if orders_wanted() == usize::MAX { 100 } else { 2 };
    for (name, steps) in STORIES {
        for telling in 0..tellings {
            let world = World::new().await;
            let process = world.process();
            let mut teller = Teller::new(&world).await;
            let mut heard = BTreeSet::new();
            for step in steps {
                teller.tell(*step).await;
                for _ in 0..chance.below(4) {
                    let bodies = world.bodies_after(0);
                    let place = chance.below(bodies.len());
                    heard.insert(place);
                    process.receive(&bodies[place]).await.unwrap();
                }
            }
            let bodies = world.bodies_after(0);
            let mut rest: Vec<usize> = (0..bodies.len()).filter(|place| !heard.contains(place)).collect();
            chance.shuffle(&mut rest);
            for place in rest {
                process.receive(&bodies[place]).await.unwrap();
            }
            assert_eq!(world.stored().await, world.truth().await, "{name}, telling {telling}");
            assert_eq!(process.billing.drift(&acme()).await.unwrap(), [], "{name}, telling {telling}");
        }
    }
}
