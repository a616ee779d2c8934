//! What billing keeps.

use chrono::{DateTime, Utc};
use entitlements_core::billing::{
    Begun, BillingEvent, BillingLock, BillingStore, Claim, Customer, EventOutcome, EventState, Invoice,
    NewEvent, Operation, OperationResult, PlanFeature, Received,
};
use entitlements_core::facts::Revision;
use entitlements_core::id::{CompanyId, CustomerId, EventId, OperationId};
use entitlements_core::store::{MAX_PAGE, Page, PageRequest, StoreError};
use entitlements_core::subscription::Subscription;

use super::{SqliteStore, sql};
use crate::billing::{self, billing_store};
use crate::error::corrupt;
use crate::paging::{before_invoice, invoice_cursor, one_more, page_of};

billing_store!(SqliteStore);
