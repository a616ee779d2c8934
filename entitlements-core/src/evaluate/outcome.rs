//! What a step that decides says.

use crate::catalog::Value;
use crate::decision::{QuotaStatus, Reason, Source};

#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) reason: Reason,
    pub(crate) source: Source,
    pub(crate) value: Option<Value>,
    pub(crate) quota: Option<QuotaStatus>,
}

impl Outcome {
    pub(crate) const fn new(reason: Reason, source: Source) -> Self {
        Self { reason, source, value: None, quota: None }
    }

    pub(crate) fn with_quota(mut self, quota: QuotaStatus) -> Self {
        self.quota = Some(quota);
        self
    }

    pub(crate) fn with_value(mut self, value: Option<Value>) -> Self {
        self.value = value;
        self
    }
}
