//! Bills: what is to be taken from whom, under which key.

use entitlements_core::id::IdempotencyKey;
use entitlements_core::{Amount, Consume, Context, Subject};

/// What is to be taken from whom. Trying it again has no second effect.
#[derive(Clone, Debug)]
pub(crate) struct Bill {
    pub(crate) subject: Subject,
    pub(crate) meter: &'static str,
    pub(crate) amount: Amount,
    pub(crate) key: IdempotencyKey,
    /// Whether the key came from the caller, so that another request may have been charged under it.
    pub(crate) shared_key: bool,
    pub(crate) resource: Option<String>,
    pub(crate) context: Option<Context>,
}

impl Bill {
    pub(crate) fn consume(&self) -> Consume<'_> {
        self.take(self.meter, self.amount, self.key.clone())
    }

    /// The same, for another meter, amount and key.
    pub(crate) fn take<'a>(&'a self, meter: &'a str, amount: Amount, key: IdempotencyKey) -> Consume<'a> {
        let mut consume = Consume::new(&self.subject, meter, amount).with_key(key);
        consume.resource = self.resource.as_deref();
        if let Some(context) = &self.context {
            consume.context = context;
        }
        consume
    }
}
