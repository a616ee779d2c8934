//! Runs a fake Stripe until it is stopped, so that programs in any language can talk to it.
//!
//! `FAKE_PORT` is its port (a free one without it); `WEBHOOK_URL` and `STRIPE_WEBHOOK_SECRET` say where events go.
//! `POST /_fake/advance` with a number of seconds moves its clock.

use billing_stripe::fake::FakeStripe;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let variable = |name| std::env::var(name).ok();
    let port = variable("FAKE_PORT").map_or(Ok(0), |port| port.parse())?;
    let mut fake = FakeStripe::builder().port(port);
    if let (Some(url), Some(secret)) = (variable("WEBHOOK_URL"), variable("STRIPE_WEBHOOK_SECRET")) {
        fake = fake.webhook(url, secret);
    }
    let fake = fake.start().await?;
    println!("{}", fake.base_url());
    std::future::pending().await
}
