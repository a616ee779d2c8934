//! Any world, any question, any instant: a decision without a panic, and the promises that come with it.
#![no_main]

mod catalogs;
mod consume;
mod decide;
mod dice;
mod facts;
mod policies;

use dice::Dice;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut dice = Dice::new(bytes);
    let catalog = catalogs::any(&mut dice);
    let world = facts::World::any(&mut dice, catalog);
    decide::check(&mut dice, &world, catalog);
    consume::check(&mut dice, &world, catalog);
});
