//! A process that debits, is killed at any moment, and is started again with the same keys.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use entitlements_core::store::Store;
use entitlements_core::testkit::fixtures::{company, debit, key, monthly, receipt_id};
use entitlements_core::usage::{Debit, DebitOutcome};

use crate::ledger::assert_counters_agree;

const KEYS: u64 = 64;
const LIMIT: u64 = 50;
const TASKS: u64 = 4;

/// Tells the child where to work, and for which company.
const PLACE: &str = "KILL_PLACE";
const COMPANY: &str = "KILL_COMPANY";

/// The place and the company, in the child; nothing in any other process.
pub(crate) fn orders() -> Option<(String, String)> {
    Some((std::env::var(PLACE).ok()?, std::env::var(COMPANY).ok()?))
}

/// What the child does: every key once, and a line for each that is acknowledged.
pub(crate) async fn work<S: Store + Clone>(store: &S, name: &str) {
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (store, name) = (store.clone(), name.to_owned());
            tokio::spawn(async move {
                for number in (0..KEYS).filter(|number| number % TASKS == task) {
                    let taken = Debit {
                        receipt: receipt_id(&format!("{number} of {}", std::process::id())),
                        ..debit(&name, &format!("k{number}"), 1, [monthly(LIMIT)])
                    };
                    let word = match store.debit(&taken).await.unwrap() {
                        DebitOutcome::Recorded(_) => "recorded",
                        DebitOutcome::Duplicate(_) => "known",
                        DebitOutcome::Refused => "refused",
                        DebitOutcome::Conflict => panic!("{name}: k{number} conflicts"),
                    };
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "\nack {number} {word}").unwrap();
                    out.flush().unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn spawn(place: &str, company: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "kill::the_child_of_the_rig",
            "--include-ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(PLACE, place)
        .env(COMPANY, company)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the child acknowledges, until it has ended; killed after so many acknowledgements and that time, if they are given.
fn acknowledged(mut child: Child, kill: Option<(u64, Duration)>) -> (BTreeMap<u64, String>, bool) {
    let mut acks = BTreeMap::new();
    let mut killed = false;
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut kill_now = |child: &mut Child, after: Duration| {
        std::thread::sleep(after);
        child.kill().unwrap();
        killed = true;
    };
    if let Some((0, after)) = kill {
        kill_now(&mut child, after);
    }
    for line in lines.map_while(Result::ok) {
        let mut words = line.split(' ');
        let (Some("ack"), Some(number), Some(word)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        // Half a line is none.
        if !["recorded", "known", "refused"].contains(&word) {
            continue;
        }
        acks.insert(number.parse().unwrap(), word.to_owned());
        if let Some((count, after)) = kill
            && count == acks.len() as u64
        {
            kill_now(&mut child, after);
        }
    }
    let ended = child.wait().unwrap();
    let is_incomplete = acks.len() as u64 != KEYS;
    // A kill may also come between the last acknowledgement and the end.
    assert!(ended.success() || killed, "{ended}");
    assert!(!(ended.success() && is_incomplete), "{ended}");
    (acks, killed && is_incomplete)
}

/// Kills a process in each of so many rounds, and checks what it leaves behind: nothing that was acknowledged is lost, nothing
/// is done twice, and exactly the limit is granted in the end.
pub(crate) async fn rounds<S: Store>(store: &S, place: &str) {
    let number =
        |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (wanted, seed) = (number("KILL_ROUNDS", 4), number("KILL_SEED", 1));
    let (mut state, mut kills, mut round, mut acked_before) = (seed, 0, 0, 0);
    let mut random = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    while kills < wanted {
        round += 1;
        let name = format!("round {round}");
        // From before it has connected until shortly before its last acknowledgement.
        let kill = (random(KEYS - 4), Duration::from_micros(random(3_000)));
        let (before, killed) = acknowledged(spawn(place, &name), Some(kill));
        kills += u64::from(killed);
        acked_before += before.len();
        let (after, _) = acknowledged(spawn(place, &name), None);
        assert_eq!(after.len() as u64, KEYS);
        let mut granted = 0;
        for number in 0..KEYS {
            let receipt = store.receipt(&company(&name), &key(&format!("k{number}"))).await.unwrap();
            granted += u64::from(receipt.is_some());
            for acks in [&before, &after] {
                let Some(word) = acks.get(&number) else { continue };
                assert_eq!(
                    receipt.is_some(),
                    word != "refused",
                    "{name}: k{number} was {word} in {kill:?}, seed {seed}"
                );
            }
            if before.get(&number).is_some_and(|word| word == "recorded") {
                assert_eq!(after[&number], "known", "{name}: k{number} was done twice, seed {seed}");
            }
        }
        assert_eq!(granted, LIMIT, "{name}, seed {seed}");
        let names = (0..KEYS).map(|number| format!("k{number}"));
        assert_eq!(assert_counters_agree(store, &name, names, &[monthly(LIMIT)]).await, LIMIT);
    }
    println!(
        "{kills} processes killed in {round} rounds, seed {seed}: 0 of {acked_before} acknowledged debits lost, 0 done twice, \
         {LIMIT} of {KEYS} granted each time"
    );
}
