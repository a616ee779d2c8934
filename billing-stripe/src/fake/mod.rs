//! A Stripe of one's own: stateful, on a loopback port, with a clock that can be moved.
//!
//! Made for tests and for running without an account. Official clients of Stripe can talk to it. It knows customers, test
//! cards, products, prices, subscriptions with trials, seats and proration, invoices, payments that fail, the portal,
//! meters, events and signed webhooks. It does not know taxes, coupons, schedules and checkout.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use billing_stripe::fake::FakeStripe;
//! use billing_stripe::{OperationId, StripeClient, client::NewCustomer};
//!
//! let fake = FakeStripe::builder().start().await?;
//! let client = StripeClient::new(&fake.config())?;
//! let customer = client.create_customer(&NewCustomer::default(), &OperationId::new("op_1")?).await?;
//! assert!(customer.id.starts_with("cus_"));
//! # Ok(())
//! # }
//! ```

mod base64;
mod builder;
mod cards;
mod change;
mod collect;
mod customers;
mod deliver;
mod events;
mod expand;
mod fault;
mod goods;
mod handle;
mod ids;
mod invoices;
mod meters;
mod outbox;
mod params;
mod passage;
mod portal;
mod proration;
mod refusal;
mod router;
mod server;
mod shared;
mod state;
mod subscribe;
mod subscriptions;
mod table;

pub use self::builder::{AfterLastFailure, FakeStripeBuilder};
pub use self::deliver::WebhookFaults;
pub use self::fault::{FaultKind, RequestFault};
pub use self::handle::{FakeStripe, PendingWebhook};
