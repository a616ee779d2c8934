//! The platform over real sockets: what a customer, an administrator and an attacker see.

mod api;
mod bodies;
mod development;
mod gateway;
mod identity;
mod lists;
mod policies;
mod support;
mod usage;
