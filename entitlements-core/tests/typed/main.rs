//! What typed features refuse does not compile, and the compiler says why in words of features.

/// One run for all of it: each case is a crate that is only checked, and must fail with exactly the messages beside it.
#[test]
fn the_compiler_refuses_what_features_cannot_do() {
    trybuild::TestCases::new().compile_fail("tests/typed/refused/*.rs");
}
