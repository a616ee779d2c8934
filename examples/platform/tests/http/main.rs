//! The platform over real sockets: what a customer, an administrator and an attacker see.

#[cfg(test)]
mod api;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod billed;
#[cfg(test)]
mod billing;
#[cfg(test)]
mod bodies;
mod cache;
#[cfg(test)]
mod development;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod freshness;
mod gateway;
#[cfg(test)]
mod holders;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod support;
#[cfg(all(test, feature = "throughput"))]
mod throughput;
#[cfg(test)]
mod two_processes;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod webhooks;
