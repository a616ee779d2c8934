//! The billing provider and the webhooks, against the fake over real sockets.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod order;
#[cfg(test)]
mod shaky;
#[cfg(test)]
mod story;
#[cfg(test)]
mod teeth;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod world;
