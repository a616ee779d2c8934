//! The decision against a second reading of its rules: worlds by chance, each asked the same questions twice.
//!
//! The second reading shares no code with the library. `DIFFERENTIAL_CASES` sets the number of companies,
//! `DIFFERENTIAL_SEED` the sequence, and `DIFFERENTIAL_CASE` picks out one of them.
//! Of several differences the one whose class contains `DIFFERENTIAL_CLASS` is shown, else the most frequent.

#[cfg(test)]
mod allowance;
#[cfg(test)]
mod boundaries;
#[cfg(test)]
mod calendar;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod conditions;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod generate_facts;
#[cfg(test)]
mod generate_policies;
#[cfg(test)]
mod in_effect;
#[cfg(test)]
mod periods;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod proration;
#[cfg(test)]
mod random;
#[cfg(test)]
mod spec;
#[cfg(test)]
mod trials;
#[cfg(test)]
mod truths;
#[cfg(test)]
mod world;
