//! Ten thousand spellings of paths against every mount: whoever reaches a handler has passed its gate.

use axum::http::Uri;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::mounts::{Reached, mounts, send};
use crate::world::World;

fn spelling() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => Just("v1".to_owned()),
        4 => Just("boardroom".to_owned()),
        3 => Just("reports".to_owned()),
        3 => Just("files".to_owned()),
        2 => Just("7".to_owned()),
        3 => prop::sample::select(vec![
            "", ".", "..", "%2e", "%2E%2e", "%62oardroom", "%76%31", "V1", "BOARDROOM", "boardroom%2F", "a%2Fb",
            "boardroom;x=y", "boardroom%00", "boardroom%20", "v1%2Fboardroom", "*", "{id}", "{*rest}", "%", "~", "\\",
        ]).prop_map(str::to_owned),
        1 => "[!-~&&[^?#]]{1,6}",
    ];
    let separator = prop_oneof![12 => Just("/"), 1 => Just("//"), 1 => Just("%2F"), 1 => Just("/./")];
    let parts = prop::collection::vec((separator, segment), 1..5);
    let end = prop_oneof![6 => Just(""), 1 => Just("/"), 1 => Just("?a=/v1/boardroom"), 1 => Just("//")];
    (parts, end).prop_map(|(parts, end)| {
        let path: String = parts.into_iter().flat_map(|(separator, segment)| [separator.to_owned(), segment]).collect();
        path + end
    })
}

#[test]
fn whoever_reaches_a_handler_has_passed_its_gate() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = runtime.block_on(World::new());
    let reached = Reached::default();
    let apps = mounts(&world, &reached);
    let methods = prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE"]);
    let mut handled = 0_u64;
    let handled_ref = std::cell::RefCell::new(&mut handled);
    let mut runner = TestRunner::new(Config { cases: 10_000, failure_persistence: None, ..Config::default() });
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
                **handled_ref.borrow_mut() += times;
            }
            Ok(())
        })
        .unwrap();
    // The spellings are not all nonsense: a good part of them is right.
    assert!(handled > 300, "{handled}");
}
