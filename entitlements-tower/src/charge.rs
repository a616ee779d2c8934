//! Charges: what a request has paid, and what becomes of it when the response is known.

use std::sync::Arc;

use entitlements_core::Amount;
use entitlements_core::catalog::Charge as When;
use entitlements_core::usage::Receipt;

use crate::bill::Bill;
use crate::job::Job;
use crate::reported::{Estimate, Reported};
use crate::settle::Settlements;
use crate::tab::Tab;

/// One charge of a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Charged {
    /// The meter.
    pub meter: &'static str,
    /// Units.
    pub amount: Amount,
    /// The receipt; `None` if the units are taken later, because the facts could not be reached.
    pub receipt: Option<Receipt>,
}

/// What a request has paid, in its extensions: for handlers, and for gates further in, which charge no meter twice. The first
/// one decides how many units it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Charges(Vec<Charged>);

impl Charges {
    /// The charge of a meter, if the request was charged for it.
    #[must_use]
    pub fn of(&self, meter: &str) -> Option<&Charged> {
        self.0.iter().find(|charged| charged.meter == meter)
    }

    /// Every charge, in the order they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Charged> {
        self.0.iter()
    }

    pub(crate) fn push(&mut self, charged: Charged) {
        self.0.push(charged);
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered, neither as a mistake of the caller nor of the server.
    Served,
    /// The caller made a mistake.
    CallerFault,
    /// The server made a mistake, or panicked.
    ServerFault,
    /// Nobody waited for the answer.
    Abandoned,
}

impl Outcome {
    pub(crate) fn of(status: http::StatusCode, headers: &http::HeaderMap) -> Self {
        if let Some(code) = crate::grpc::status_in(headers) {
            return match code {
                // OK; RESOURCE_EXHAUSTED is what 429 is over HTTP.
                0 | 8 => Self::Served,
                // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
                2 | 4 | 12..=15 => Self::ServerFault,
                _ => Self::CallerFault,
            };
        }
        if status.is_server_error() {
            Self::ServerFault
        } else if status.is_client_error() && status != http::StatusCode::TOO_MANY_REQUESTS {
            Self::CallerFault
        } else {
            Self::Served
        }
    }
}

/// Where the units of a charge are.
#[derive(Debug)]
pub(crate) enum Hold {
    /// Taken by this request; set aside, where the actual amount is charged.
    Taken(Receipt),
    /// Not taken yet, or it is not known.
    Owed,
    /// Taken by an earlier request with the same key, which may give them back.
    Elsewhere(Receipt),
}

/// A charge whose request is under way.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) bill: Bill,
    pub(crate) hold: Hold,
    /// Where it is said whether another request was served on the charge; `None` if that one settles it.
    pub(crate) tab: Option<Arc<Tab>>,
    pub(crate) settlements: Settlements,
}

impl Charge {
    /// Ends the charge: keeps it, gives it back, or makes it what was reported.
    pub(crate) fn close(self, outcome: Outcome, reported: Option<Reported>) {
        let Self { bill, hold, tab, settlements } = self;
        let when = bill.when;
        let give_back = match (when, outcome) {
            // What the handler has reported was used, whatever happened then.
            (When::Actual, Outcome::ServerFault) => reported.is_none(),
            (When::Actual, _) => false,
            (_, Outcome::ServerFault) | (When::Success, Outcome::CallerFault | Outcome::Abandoned) => true,
            _ => false,
        };
        let job = match hold {
            Hold::Elsewhere(_) if give_back => return,
            Hold::Taken(receipt) if give_back => Job::Refund { bill, receipt, tab },
            Hold::Owed if give_back => match Job::undo(bill) {
                Some(job) => job,
                None => return,
            },
            hold if when == When::Actual => {
                let estimate = match hold {
                    Hold::Taken(receipt) => Estimate::Mine(receipt.id),
                    Hold::Owed => Estimate::Owed,
                    Hold::Elsewhere(_) => Estimate::Elsewhere,
                };
                Job::Settle { bill, estimate, reported, tab }
            }
            Hold::Taken(_) => return,
            // Whoever was served has paid, whatever becomes of the earlier request.
            Hold::Elsewhere(_) | Hold::Owed => Job::Take(bill),
        };
        settlements.push(job);
    }
}
