#![doc = include_str!("../README.md")]

pub mod client;
pub mod form;
pub mod signature;
pub mod wire;

pub use client::{OperationId, StripeClient, StripeConfig, StripeError, StripeErrorKind};
