//! What is wrong with groups.

use async_trait::async_trait;
use entitlements_core::store::{GroupStore, StoreError, StoreErrorKind, UsageStore};
use entitlements_core::usage::{Debit, DebitOutcome};

use super::{Result, Store, Wrong};

#[async_trait]
impl GroupStore for Store {
    async fn debit_group(&self, debits: &[Debit]) -> Result<Vec<DebitOutcome>> {
        match self.wrong {
            Wrong::GroupsInReverse => {
                let turned: Vec<_> = debits.iter().rev().cloned().collect();
                let mut outcomes = self.memory.debit_group(&turned).await?;
                outcomes.reverse();
                Ok(outcomes)
            }
            // One after the other: what came before an error stays.
            Wrong::GroupsByHalves => {
                if !Debit::is_group(debits) {
                    return Err(StoreError::new(StoreErrorKind::Unsupported, "debit a group"));
                }
                let mut outcomes = Vec::new();
                for debit in debits {
                    outcomes.push(self.memory.debit(debit).await?);
                }
                Ok(outcomes)
            }
            // Everybody is told the numbers after the last.
            Wrong::SharesReceipts => {
                let mut outcomes = self.memory.debit_group(debits).await?;
                let last = outcomes.iter().rev().find_map(|outcome| match outcome {
                    DebitOutcome::Recorded(receipt) => Some(receipt.used),
                    _ => None,
                });
                for outcome in &mut outcomes {
                    if let (DebitOutcome::Recorded(receipt), Some(used)) = (outcome, last) {
                        receipt.used = used;
                    }
                }
                Ok(outcomes)
            }
            _ => self.memory.debit_group(debits).await,
        }
    }
}
