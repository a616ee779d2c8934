//! Catalogs as text: what they mean, what is wrong with them, and that no text makes the loader panic.

#[cfg(test)]
mod entries;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod hashes;
#[cfg(test)]
mod inheritance;
#[cfg(test)]
mod meaning;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod reports;
