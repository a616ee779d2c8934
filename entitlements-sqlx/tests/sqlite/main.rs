//! The store on SQLite: conformance, durability, and what goes wrong.

#[cfg(test)]
#[path = "../common/aftermath.rs"]
mod aftermath;
#[cfg(test)]
#[path = "../common/clients.rs"]
mod clients;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod files;
#[cfg(test)]
#[path = "../common/given_up/mod.rs"]
mod given_up;
#[cfg(test)]
mod given_up_here;
#[cfg(test)]
#[path = "../common/giving_up.rs"]
mod giving_up;
#[cfg(test)]
#[path = "../common/ground.rs"]
mod ground;
#[cfg(test)]
#[path = "../common/in_transaction.rs"]
mod in_transaction;
#[cfg(test)]
#[path = "../common/interrupted.rs"]
mod interrupted;
#[cfg(test)]
mod kill;
#[cfg(test)]
#[path = "../common/killing.rs"]
mod killing;
#[cfg(test)]
#[path = "../common/ledger.rs"]
mod ledger;
#[cfg(test)]
#[path = "../common/modelling.rs"]
mod modelling;
#[cfg(test)]
#[path = "../common/orphans.rs"]
mod orphans;
#[cfg(test)]
mod read_only;
#[cfg(test)]
#[path = "../common/shared_decisions.rs"]
mod shared_decisions;
#[cfg(test)]
mod stage;
