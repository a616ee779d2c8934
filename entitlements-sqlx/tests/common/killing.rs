//! Processes that work at the same time, are killed at any moment, and are started again with the same keys.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::aftermath::{Ack, Aftermath};
use crate::clients::{CLIENTS, Orders, Random};
use crate::ground::Ground;

/// How many work at the same time.
const PROCESSES: u64 = 2;

/// A process acknowledges at least as much when nobody kills it.
const LEAST: u64 = 320;

/// Tell the child what to do.
const PLACE: &str = "KILL_PLACE";
const COMPANY: &str = "KILL_COMPANY";
const PROCESS: &str = "KILL_PROCESS";
const SEED: &str = "KILL_CHILD_SEED";

/// What the child is to do; nothing in any other process.
pub(crate) fn orders() -> Option<Orders> {
    Some(Orders {
        place: std::env::var(PLACE).ok()?,
        company: std::env::var(COMPANY).ok()?,
        process: std::env::var(PROCESS).ok()?.parse().unwrap(),
        seed: std::env::var(SEED).ok()?.parse().unwrap(),
    })
}

fn spawn(orders: &Orders) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "kill::the_child_of_the_rig",
            "--include-ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(PLACE, &orders.place)
        .env(COMPANY, &orders.company)
        .env(PROCESS, orders.process.to_string())
        .env(SEED, orders.seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// When a process is killed: after so many acknowledgements, and that time.
type Kill = (u64, Duration);

/// What a child acknowledges until it has ended, and whether it was killed before it was done.
fn acknowledged(mut child: Child, kill: Option<Kill>) -> (Vec<Ack>, bool) {
    let mut acks = Vec::new();
    let mut killed = false;
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut kill_now = |child: &mut Child, after: Duration| {
        thread::sleep(after);
        child.kill().unwrap();
        killed = true;
    };
    if let Some((0, after)) = kill {
        kill_now(&mut child, after);
    }
    for ack in lines.map_while(Result::ok).filter_map(|line| Ack::read(&line)) {
        acks.push(ack);
        if let Some((count, after)) = kill
            && count == acks.len() as u64
        {
            kill_now(&mut child, after);
        }
    }
    let ended = child.wait().unwrap();
    // A kill may also come between the last acknowledgement and the end.
    assert!(ended.success() || killed, "{ended}");
    assert!(!ended.success() || acks.len() as u64 >= LEAST, "{ended} after {} acknowledgements", acks.len());
    (acks, !ended.success())
}

/// Lets processes work at the same time until all have ended; what they acknowledged, and how many were killed.
fn together(company: &str, place: &str, random: &mut Random, kill: bool) -> (Vec<Ack>, u64) {
    let running: Vec<_> = (0..PROCESSES)
        .map(|process| {
            let seed = random.below(1 << 31);
            let orders = Orders { place: place.to_owned(), company: company.to_owned(), process, seed };
            // From before it has connected until shortly before its last acknowledgement.
            let kill = kill.then(|| (random.below(LEAST), Duration::from_micros(random.below(3_000))));
            let child = spawn(&orders);
            thread::spawn(move || acknowledged(child, kill))
        })
        .collect();
    let (mut acks, mut kills) = (Vec::new(), 0);
    for process in running {
        let (its, killed) = process.join().unwrap();
        acks.extend(its);
        kills += u64::from(killed);
    }
    (acks, kills)
}

/// In each of so many rounds, processes that share keys and limits are killed, and others do all of it again. Nothing that was
/// acknowledged is lost, nothing is done twice, and no limit is passed, neither when they have just died nor in the end.
pub(crate) async fn rounds(ground: &impl Ground, place: &str) {
    let number =
        |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (wanted, seed) = (number("KILL_ROUNDS", 2), number("KILL_SEED", 1));
    let mut random = Random(seed);
    // Whoever is first makes the schema.
    ground.close(ground.open().await).await;
    let (mut kills, mut acked, mut taken) = (0, 0, 0);
    for round in 1..=wanted {
        let name = format!("round {round} of seed {seed}");
        println!("{name}");
        let (before, killed) = together(&name, place, &mut random, true);
        kills += killed;
        acked += before.len();
        ground.quiet().await;
        let store = ground.open().await;
        taken += Aftermath::new(&store, &name, &before, &[]).assert_whole().await;
        ground.close(store).await;

        let (later, _) = together(&name, place, &mut random, false);
        ground.quiet().await;
        let store = ground.open().await;
        Aftermath::new(&store, &name, &before, &later).assert_finished().await;
        ground.close(store).await;
    }
    assert!(kills > 0, "nobody was killed");
    println!(
        "{kills} processes of {} clients killed in {wanted} rounds, seed {seed}: of {acked} acknowledgements 0 lost, 0 done twice; \
         {taken} units of one limit were taken by then, and all of it each time in the end",
        PROCESSES * CLIENTS
    );
}
