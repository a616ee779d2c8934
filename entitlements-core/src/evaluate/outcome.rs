//! What a step that decides writes into the decision.

use crate::decision::{Decision, Reason, Source};

impl Decision {
    /// Says why, and who decided.
    #[inline]
    pub(super) fn settle(&mut self, reason: Reason, source: Source) {
        self.reason = reason;
        self.source = source;
    }
}
