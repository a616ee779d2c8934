//! Ten thousand spellings of paths against every mount: whoever reaches a handler has passed its gate.

use std::cell::Cell;

use axum::http::Uri;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::mounts::{Reached, mounts, send};
use crate::world::World;

/// A right path with up to three things wrong.
fn spelling() -> impl Strategy<Value = String> {
    let right = prop::sample::select(vec![
        &["/v1", "/boardroom"][..],
        &["/v1", "/reports", "/7"],
        &["/v1", "/reports", "/a%2Fb"],
        &["/v1", "/files", "/a"],
        &["/v1", "/files", "/a", "/b"],
    ]);
    let odd = prop_oneof![
        6 => prop::sample::select(vec![
            "/", "//", "/.", "/..", "/%2e", "/%2E%2e", "/%62oardroom", "/%76%31", "/v1", "/V1", "/BOARDROOM", "/boardroom",
            "/boardroom%2F", "/reports", "/files", "/a%2Fb", "/boardroom;x=y", "/boardroom%00", "/boardroom%20", "%2F",
            "/v1%2Fboardroom", "/*", "/{id}", "/{*rest}", "/%", "\\", "/~", "?a=/v1/boardroom", "",
        ]).prop_map(str::to_owned),
        1 => "/[!-~&&[^?#]]{1,6}",
    ];
    let mistakes = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), odd), 0..4);
    (right, mistakes).prop_map(|(right, mistakes)| {
        let mut pieces: Vec<String> = right.iter().map(|piece| (*piece).to_owned()).collect();
        for (place, replaces, odd) in mistakes {
            let place = place.index(pieces.len() + usize::from(!replaces));
            if replaces {
                pieces[place] = odd;
            } else {
                pieces.insert(place, odd);
            }
        }
        pieces.concat()
    })
}

#[test]
fn whoever_reaches_a_handler_has_passed_its_gate() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = runtime.block_on(World::new());
    let reached = Reached::default();
    let apps = mounts(&world, &reached);
    let methods = prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE"]);
    let handled = Cell::new(0);
    let mut runner =
        TestRunner::new(Config { cases: 10_000, failure_persistence: None, ..Config::default() });
    runner
        .run(&(methods, spelling(), 0..apps.len()), |(method, uri, mount)| {
            prop_assume!(uri.starts_with('/') && uri.parse::<Uri>().is_ok());
            let (mount, app) = &apps[mount];
            let status = runtime.block_on(send(app, method, &uri, "starter-co"));
            prop_assert!(status == 402 || status >= 404, "{mount}: {method} {uri}: {status}");
            prop_assert!(reached.take().is_empty(), "{mount}: {method} {uri}: reached by who may not");
            runtime.block_on(send(app, method, &uri, "pro-co"));
            for (handler, (times, ungated)) in reached.take() {
                prop_assert_eq!(ungated, 0, "{}: {} {}: {} without its gate", mount, method, uri, handler);
                handled.set(handled.get() + times);
            }
            Ok(())
        })
        .unwrap();
    // The spellings are not all nonsense: a good part of them is right.
    assert!(handled.get() > 1000, "{}", handled.get());
}
