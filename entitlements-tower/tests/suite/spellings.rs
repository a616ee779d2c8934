//! Generated spellings of paths against every mount: whoever reaches a handler has passed its gate.
//!
//! `SPELLINGS` says how many there are (10,000), `SPELLINGS_SEED` which (1).

use std::cell::Cell;

use axum::http::Uri;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};

use crate::mounts::mounted::{Reached, mounts, send};
use crate::tonic_mounts::tonic_mounts;
use crate::world::World;

/// A right path with up to three things wrong.
fn spelling() -> impl Strategy<Value = String> {
    let right = prop::sample::select(vec![
        &["/v1", "/boardroom"][..],
        &["/v1"],
        &["/v1", "/reports", "/7"],
        &["/v1", "/reports", "/a%2Fb"],
        &["/v1", "/live", "/7"],
        &["/v1", "/shared", "/7"],
        &["/v1", "/files", "/a"],
        &["/v1", "/files", "/a", "/b"],
    ]);
    let odd = prop_oneof![
        60 => prop::sample::select(vec![
            "/", "//", "/.", "/..", "/%2e", "/%2E%2e", "/%62oardroom", "/%76%31", "/v1", "/V1", "/BOARDROOM", "/boardroom",
            "/boardroom%2F", "/reports", "/files", "/a%2Fb", "/boardroom;x=y", "/boardroom%00", "/boardroom%20", "%2F",
            "/v1%2Fboardroom", "/*", "/{id}", "/{*rest}", "/%", "\\", "/~", "?a=/v1/boardroom", "",
            // Not UTF-8, an overlong slash, a full-width one, the soft hyphen, dots and slashes encoded twice.
            "/%ff", "/board%ffroom", "%c0%af", "%ef%bc%8f", "/board%c2%adroom", "/%252e%252e", "%252F", "/%2e%2e%2f",
            ";", "/;", "/..;", "/;jsessionid=1", "/boardroom;v=1;w=2", "/boardroom:", "/boardroom.", "/boardroom.json",
            "/boardroom+", "/+", "/boardroom,", "/7", "/7/", "/%37", "/%37/", "/%2537", "/%73hared", "/shared", "/8", "/v1/", "/v1/.", "/v1/boardroom", "#", "&", "/%09",
        ]).prop_map(str::to_owned),
        20 => prop::string::string_regex("/[!-~&&[^?#]]{1,6}").unwrap(),
        // The longest path that HTTP libraries take has 65,534 bytes.
        1 => (1..60_000_usize).prop_map(|length| format!("/{}", "x".repeat(length))),
    ];
    let mistakes = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), odd), 0..4);
    let origin = prop::sample::select(vec![
        "",
        "",
        "",
        "",
        "http://api.example.com",
        "https://user@api.example.com:8443",
    ]);
    (origin, right, mistakes).prop_map(|(origin, right, mistakes)| {
        let mut pieces: Vec<String> = right.iter().map(|piece| (*piece).to_owned()).collect();
        for (place, replaces, odd) in mistakes {
            let place = place.index(pieces.len() + usize::from(!replaces));
            if replaces {
                pieces[place] = odd;
            } else {
                pieces.insert(place, odd);
            }
        }
        format!("{origin}{}", pieces.concat())
    })
}

fn setting(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn whoever_reaches_a_handler_has_passed_its_gate() {
    let (cases, seed) = (setting("SPELLINGS", 10_000), setting("SPELLINGS_SEED", 1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let reached = Reached::default();
    let mut apps = Vec::new();
    // Where the facts are in memory, most is decided in the short way.
    for world in [runtime.block_on(World::new()), runtime.block_on(World::warm())] {
        apps.extend(mounts(&world, &reached));
        apps.extend(tonic_mounts(&world, &reached));
    }
    let methods = prop::sample::select(vec![
        "GET", "HEAD", "CONNECT", "POST", "PUT", "DELETE", "OPTIONS", "PURGE", "get",
    ]);
    let (handled, refused) = (Cell::new(0_u64), Cell::new(0_u64));
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed.into()),
        rng_algorithm: RngAlgorithm::XorShift,
        failure_persistence: None,
        max_global_rejects: u32::MAX,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    runner
        .run(&(methods, spelling(), 0..apps.len()), |(method, uri, mount)| {
            prop_assume!(uri.parse::<Uri>().is_ok_and(|uri| uri.path().starts_with('/')));
            let (mount, app) = &apps[mount];
            // What a failed case has reached is not held against the simpler ones that follow it.
            reached.take();
            let who_may_not = runtime.block_on(send(app, method, &uri, "starter-co"));
            prop_assert!(who_may_not == 402 || who_may_not >= 404, "{mount}: {method} {uri}: {who_may_not}");
            prop_assert!(reached.take().is_empty(), "{mount}: {method} {uri}: reached by who may not");
            let who_may = runtime.block_on(send(app, method, &uri, "pro-co"));
            prop_assert!(who_may != 402 && who_may < 500, "{mount}: {method} {uri}: {who_may}");
            for (handler, (times, ungated)) in reached.take() {
                prop_assert_eq!(ungated, 0, "{}: {} {}: {} without its gate", mount, method, uri, handler);
                handled.set(handled.get() + times);
            }
            refused.set(refused.get() + u64::from(who_may_not == 402));
            if mount.contains("route_layer") || mount.contains("MethodRouter") {
                // Inside of the router the rule is asked exactly where there is a route: what is refused is there.
                prop_assert!(
                    who_may_not != 402 || who_may != 404,
                    "{mount}: {method} {uri}: refused, and not there"
                );
            }
            Ok(())
        })
        .unwrap();
    println!(
        "{cases} spellings, seed {seed}, {} mounts: {} refused, {} handled, none without its gate",
        apps.len(),
        refused.get(),
        handled.get()
    );
    // The spellings are not all nonsense: a good part of them is right.
    assert!(handled.get() > u64::from(cases) / 10, "{}", handled.get());
}
