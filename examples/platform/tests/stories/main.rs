//! The stories of billing, as `billing-stripe` tells them to a store in memory, told to a database.

#[cfg(test)]
#[path = "../../../../billing-stripe/tests/billing/crash.rs"]
mod crash;
#[cfg(test)]
#[path = "../../../../billing-stripe/tests/billing/faults.rs"]
mod faults;
#[cfg(test)]
mod ledger;
#[cfg(test)]
#[path = "../../../../billing-stripe/tests/billing/lifecycle.rs"]
mod lifecycle;
#[cfg(test)]
#[path = "../../../../billing-stripe/tests/billing/order.rs"]
mod order;
#[cfg(test)]
#[path = "../../../../billing-stripe/tests/billing/shaky.rs"]
mod shaky;
#[cfg(test)]
#[path = "../../../../billing-stripe/tests/billing/story.rs"]
mod story;
#[cfg(test)]
#[path = "../../../../billing-stripe/tests/billing/teeth.rs"]
mod teeth;
#[cfg(test)]
#[path = "../../../../billing-stripe/tests/billing/usage.rs"]
mod usage;
#[cfg(test)]
#[path = "../../../../billing-stripe/tests/billing/webhooks.rs"]
mod webhooks;
#[cfg(test)]
#[path = "../../../../billing-stripe/tests/billing/world.rs"]
mod world;
