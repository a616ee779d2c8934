//! Bills: what is to be taken from whom, under which key.

use entitlements_core::catalog::Charge as When;
use entitlements_core::id::IdempotencyKey;
use entitlements_core::{Amount, Consume, Context, Subject};

use crate::key::CallersKey;

/// How often a caller's key may be charged: again whenever the charge before was given back.
const MAX_ATTEMPTS: usize = 16;

/// What is to be taken from whom. Trying it again has no second effect.
#[derive(Clone, Debug)]
pub(crate) struct Bill {
    pub(crate) subject: Subject,
    pub(crate) meter: &'static str,
    pub(crate) amount: Amount,
    pub(crate) when: When,
    pub(crate) key: IdempotencyKey,
    /// The caller's key, and how many charges under it were given back before, if the key was made of one: another
    /// request may have been charged under it.
    pub(crate) callers: Option<(CallersKey, usize)>,
    pub(crate) resource: Option<String>,
    pub(crate) context: Option<Context>,
}

impl Bill {
    /// The bill for after this one was paid and given back.
    pub(crate) fn next(&self) -> Option<Self> {
        let (callers, before) = self.callers.as_ref()?;
        let attempt = before.checked_add(1).filter(|attempt| *attempt < MAX_ATTEMPTS)?;
        let key = callers.charge(self.meter, attempt)?;
        Some(Self { key, callers: Some((callers.clone(), attempt)), ..self.clone() })
    }

    pub(crate) fn consume(&self) -> Consume<'_> {
        self.consume_other(self.meter, self.amount, self.key.clone())
    }

    /// The same, for another meter, amount and key.
    pub(crate) fn consume_other<'a>(
        &'a self,
        meter: &'a str,
        amount: Amount,
        key: IdempotencyKey,
    ) -> Consume<'a> {
        let mut consume = Consume::new(&self.subject, meter, amount).with_key(key);
        consume.resource = self.resource.as_deref();
        if let Some(context) = &self.context {
            consume.context = context;
        }
        consume
    }
}
