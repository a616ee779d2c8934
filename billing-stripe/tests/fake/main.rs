//! The client against the fake, over real sockets.

#[cfg(test)]
mod client;
#[cfg(test)]
mod payments;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod support;
#[cfg(test)]
mod webhooks;
