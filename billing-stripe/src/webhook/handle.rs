//! What follows from an event.

use entitlements_core::billing::{BillingError, BillingErrorKind, EventOutcome, NewEvent};
use entitlements_core::id::{CompanyId, CustomerId, UsageRecordId};

use super::{Envelope, Webhooks};
use crate::billing::{Owner, Synced, company_in};
use crate::client::StripeErrorKind;
use crate::notice::Notice;
use crate::wire;

/// What an event is about.
enum About {
    Subscription,
    Invoice,
    Customer,
    /// Usage that Stripe could not count.
    Usage,
    /// Nothing that is kept here.
    Nothing,
}

impl About {
    /// Events of the newer kind begin with `v1.` when they are about the same objects.
    fn of(kind: &str) -> Self {
        let kind = kind.strip_prefix("v1.").unwrap_or(kind);
        match kind {
            "customer.created" | "customer.updated" | "customer.deleted" => Self::Customer,
            "billing.meter.error_report_triggered" | "billing.meter.no_meter_found" => Self::Usage,
            _ if kind.starts_with("customer.subscription.") => Self::Subscription,
            _ if kind.starts_with("invoice.") => Self::Invoice,
            _ => Self::Nothing,
        }
    }
}

fn not_ours(id: &str) -> EventOutcome {
    ignored(format!("`{id}` is of no company of ours"))
}

fn ignored(why: impl Into<String>) -> EventOutcome {
    EventOutcome::Ignored(why.into())
}

impl Webhooks {
    /// Brings what is stored up to what Stripe shows of the object of an event.
    pub(super) async fn effects(&self, stored: &NewEvent) -> Result<EventOutcome, BillingError> {
        let shared = self.billing.shared();
        if stored.livemode != shared.client.is_live() {
            return Ok(ignored("it is of the other mode than our key"));
        }
        if stored.payload.is_empty() {
            return Ok(ignored("it is of a company that was erased"));
        }
        let about = About::of(&stored.kind);
        if matches!(about, About::Usage) {
            return self.about_usage(stored).await;
        }
        let event = Envelope::read(stored.payload.as_bytes()).map_err(|error| {
            BillingError::new(BillingErrorKind::Internal, "the stored event cannot be read")
                .with_source(error)
        })?;
        // An id that can be asked for: an empty one never can, and would be tried for ever.
        let askable = |id: &&str| !id.bytes().all(|byte| byte == b'.') && !matches!(about, About::Nothing);
        let Some(object) = stored.object.as_deref().filter(askable) else {
            return Ok(ignored(format!("nothing here depends on `{}`", stored.kind)));
        };
        match about {
            About::Subscription => self.about_subscription(&event, object).await,
            About::Invoice => self.about_invoice(&event, object).await,
            About::Customer => self.about_customer(object).await,
            About::Usage | About::Nothing => Ok(ignored("nothing here depends on it")),
        }
    }

    async fn about_subscription(&self, event: &Envelope<'_>, id: &str) -> Result<EventOutcome, BillingError> {
        let shared = self.billing.shared();
        let mut owner = match event.customer_id() {
            Some(customer) => shared.owner_of(customer).await?,
            None => Owner::Unknown,
        };
        if matches!(owner, Owner::Unknown) {
            let shown = match shared.client.subscription(id).await {
                Ok(shown) => shown,
                Err(error) if error.kind() == StripeErrorKind::NotFound => {
                    return Ok(ignored(format!("Stripe does not know `{id}`")));
                }
                Err(error) => return Err(error.into()),
            };
            owner = shared.owner_of(shown.customer.id()).await?.or_else(|| company_in(&shown.metadata));
        }
        let Owner::Company(company) = owner else { return Ok(not_ours(id)) };
        let synced =
            shared.locked(&company, |lock| async move { shared.sync_subscription(&lock, id).await }).await?;
        match synced {
            Synced::Unknown => Ok(ignored(format!("Stripe does not know `{id}`"))),
            Synced::Stored(subscription) => {
                if event.kind().ends_with("customer.subscription.trial_will_end") {
                    shared.notices.notice(&Notice::TrialWillEnd {
                        company,
                        trial_end: subscription.trial_end,
                        subscription: subscription.id,
                    });
                }
                Ok(EventOutcome::Processed)
            }
        }
    }

    async fn about_invoice(&self, event: &Envelope<'_>, id: &str) -> Result<EventOutcome, BillingError> {
        let shared = self.billing.shared();
        let mut owner = match event.customer_id() {
            Some(customer) => shared.owner_of(customer).await?,
            None => Owner::Unknown,
        };
        if matches!(owner, Owner::Unknown) {
            let shown = match shared.client.invoice(id).await {
                Ok(shown) => shown,
                Err(error) if error.kind() == StripeErrorKind::NotFound => {
                    return Ok(ignored(format!("Stripe does not know `{id}`")));
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(customer) = &shown.customer {
                owner = shared.owner_of(customer.id()).await?;
            }
            owner = owner.or_else(|| shown.subscription_metadata().and_then(company_in));
        }
        let Owner::Company(company) = owner else { return Ok(not_ours(id)) };
        let synced =
            shared.locked(&company, |lock| async move { shared.sync_invoice(&lock, id).await }).await?;
        match synced {
            Synced::Unknown => Ok(ignored(format!("Stripe does not know `{id}`"))),
            Synced::Stored(invoice) => {
                if event.kind().ends_with("invoice.payment_failed") {
                    self.payment_failed(company, &invoice);
                }
                Ok(EventOutcome::Processed)
            }
        }
    }

    fn payment_failed(&self, company: CompanyId, invoice: &wire::Invoice) {
        let Ok(id) = invoice.id.parse() else { return };
        self.billing.shared().notices.notice(&Notice::PaymentFailed {
            company,
            invoice: id,
            subscription: invoice.subscription().and_then(|id| id.parse().ok()),
            attempts: invoice.attempt_count,
            next_attempt: invoice.next_payment_attempt,
        });
    }

    async fn about_customer(&self, id: &str) -> Result<EventOutcome, BillingError> {
        let shared = self.billing.shared();
        let Owner::Company(company) = shared.owner_of(id).await? else { return Ok(not_ours(id)) };
        let Ok(customer) = CustomerId::new(id) else { return Ok(ignored("its id is none")) };
        shared
            .locked(&company, |lock| async move {
                shared.customer_is_gone(&lock, &customer).await?;
                Ok(EventOutcome::Processed)
            })
            .await
    }

    /// Stripe took reports of usage, and found out later that it cannot count them. The event says why, and names some.
    async fn about_usage(&self, stored: &NewEvent) -> Result<EventOutcome, BillingError> {
        let shared = self.billing.shared();
        let report = match wire::MeterErrorReport::from_slice(stored.payload.as_bytes()) {
            Ok(report) => report,
            Err(error) => return Ok(ignored(format!("its report cannot be read: {error}"))),
        };
        for kind in &report.reason.error_types {
            for sample in &kind.sample_errors {
                let Some(Ok(id)) = sample.request.identifier.as_ref().map(UsageRecordId::new) else {
                    continue;
                };
                let why = sample.error_message.as_deref().unwrap_or("Stripe cannot count it");
                shared.store.refuse_usage(&id, &format!("{}: {why}", kind.code)).await?;
            }
        }
        shared.notices.notice(&Notice::UsageNotCounted {
            meter: stored.object.clone().filter(|id| !id.is_empty()),
            records: report.reason.error_count,
            why: report.developer_message_summary,
        });
        Ok(EventOutcome::Processed)
    }
}
