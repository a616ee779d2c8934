//! What a step that decides says.

use crate::catalog::Value;
use crate::decision::{QuotaStatus, Reason, Source};

/// Why, and who decided.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) reason: Reason,
    pub(crate) source: Source,
}

impl Outcome {
    #[inline]
    pub(crate) const fn new(reason: Reason, source: Source) -> Self {
        Self { reason, source }
    }
}

/// What is shown beside an outcome; it is large, and nothing for a flag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) value: Option<Value>,
    pub(crate) quota: Option<QuotaStatus>,
}
