//! Tabs: charges under callers' keys that may still be given back.
//!
//! A retry is served on the charge that an earlier request has made under the same key. If the earlier one fails after
//! that, its charge stays: somebody was served on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use entitlements_core::id::{CompanyId, IdempotencyKey};

use crate::bill::Bill;

type Id = (CompanyId, IdempotencyKey);

/// The tabs of a layer. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tabs(Arc<Mutex<HashMap<Id, Weak<Tab>>>>);

/// A charge of which it is not settled yet whether it stays, and, if it is an estimate, how much of it.
#[derive(Debug)]
pub(crate) struct Tab {
    id: Id,
    served: AtomicBool,
    tabs: Tabs,
}

impl Tabs {
    /// Opens the tab of a charge, before it is made; `None` if no other request can be charged under its key.
    pub(crate) fn open(&self, bill: &Bill) -> Option<Arc<Tab>> {
        bill.callers.as_ref()?;
        let id = id(bill);
        let mut open = self.lock();
        if let Some(tab) = open.get(&id).and_then(Weak::upgrade) {
            return Some(tab);
        }
        let tab = Arc::new(Tab { id: id.clone(), served: AtomicBool::new(false), tabs: self.clone() });
        open.insert(id, Arc::downgrade(&tab));
        Some(tab)
    }

    /// Says that somebody was served on the charge, so that it must stay, and tells whether another request of this process
    /// is there to settle it.
    pub(crate) fn serve(&self, bill: &Bill) -> bool {
        // A tab closes under the lock, so it is not dropped there.
        let tab = self.lock().get(&id(bill)).and_then(Weak::upgrade);
        if let Some(tab) = &tab {
            tab.served.store(true, Ordering::SeqCst);
        }
        tab.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Weak<Tab>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tab {
    /// Whether somebody was served on the charge.
    pub(crate) fn is_served(&self) -> bool {
        self.served.load(Ordering::SeqCst)
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        let mut open = self.tabs.lock();
        // Another may have been opened in its place.
        if open.get(&self.id).is_some_and(|tab| tab.strong_count() == 0) {
            open.remove(&self.id);
        }
    }
}

fn id(bill: &Bill) -> Id {
    (bill.subject.company.clone(), bill.key.clone())
}

#[cfg(test)]
mod tests {
    use entitlements_core::{Amount, Subject};

    use super::*;
    use crate::key::{CallersKey, fresh};

    fn bill(callers: bool) -> Bill {
        let request = http::Request::builder().uri("/a").header("idempotency-key", "k");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let key = CallersKey::read(&parts, "/a").unwrap().unwrap();
        let own = if callers { key.charge("reports", 0) } else { fresh() };
        Bill {
            subject: Subject::company(CompanyId::new("acme").unwrap()),
            meter: "reports",
            amount: Amount::ONE,
            when: entitlements_core::catalog::Charge::Admit,
            key: own.unwrap(),
            callers: callers.then_some((key, 0)),
            resource: None,
            context: None,
        }
    }

    #[test]
    fn requests_with_one_key_have_one_tab() {
        let tabs = Tabs::default();
        let [first, second] = [&bill(true); 2].map(|bill| tabs.open(bill).unwrap());
        assert!(tabs.serve(&bill(true)));
        assert!(first.is_served() && second.is_served());
        assert!(!tabs.open(&bill(true).next().unwrap()).unwrap().is_served());
    }

    #[test]
    fn a_tab_is_closed_when_nobody_holds_it() {
        let tabs = Tabs::default();
        let [first, second] = [&bill(true); 2].map(|bill| tabs.open(bill).unwrap());
        drop(first);
        assert_eq!(tabs.lock().len(), 1);
        assert!(tabs.serve(&bill(true)));
        drop(second);
        assert!(tabs.lock().is_empty());
        assert!(!tabs.serve(&bill(true)));
        assert!(!tabs.open(&bill(true)).unwrap().is_served());
    }

    #[test]
    fn nobody_else_is_charged_under_a_key_of_our_own() {
        assert!(Tabs::default().open(&bill(false)).is_none());
    }
}
