//! Operations on the audit log, and forgetting.

use chrono::TimeDelta;

use super::{COMPANIES, Model};
use crate::audit::{AuditEntry, AuditRecord, AuditRow, AuditSalt, AuditSource, PSEUDONYM, Verifier};
use crate::id::CompanyId;
use crate::store::{AuditStore as _, ErasureStore as _, PageRequest, Store};
use crate::testkit::fixtures::{audited, company, user};
use crate::testkit::random::FEW;

impl<S: Store> Model<'_, S> {
    pub(super) async fn append(&mut self) {
        let random = &mut self.random;
        let records: Vec<_> = (0..random.below(4))
            .map(|_| {
                let plain = audited(&format!("a{}", random.below(400)), random.pick(&COMPANIES));
                let source = AuditSource {
                    kind: random.pick(&["grant", "plan"]).to_owned().into(),
                    id: random.one_in(2).then(|| random.pick(&FEW).to_owned().into()),
                };
                let entry = AuditEntry {
                    // As late as the clocks and queues of other processes make it.
                    at: self.clock - TimeDelta::minutes(random.below(30_000).cast_signed()),
                    user: random.one_in(2).then(|| user(random.pick(&FEW))),
                    resource: random.one_in(2).then(|| random.pick(&FEW).to_owned()),
                    allowed: random.one_in(2),
                    source,
                    ..plain.entry
                };
                let id = if random.one_in(100) { String::new() } else { plain.id };
                AuditRecord {
                    id,
                    salt: AuditSalt::new([u8::try_from(random.below(256)).unwrap(); 16]),
                    entry,
                }
            })
            .collect();
        let (expected, actual) = (self.memory.append(&records).await, self.store.append(&records).await);
        self.same(expected, actual, &records);
    }

    pub(super) async fn read_audit(&mut self) {
        match self.random.below(8) {
            0..2 => self.expire_audit().await,
            2..5 => self.audit_rows().await,
            _ => self.audit_page().await,
        }
    }

    pub(super) async fn forget(&mut self) {
        if self.random.one_in(2) { self.erase().await } else { self.expire().await }
    }

    async fn audit_page(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let mut request = PageRequest::first(self.random.index(9) + 1);
        for _ in 0..4 {
            let expected = self.memory.audit_page(&company, &request).await.unwrap();
            let actual = self.store.audit_page(&company, &request).await.unwrap();
            assert_eq!(actual.items, expected.items, "{}: audit_page {request:?}", self.place);
            assert_eq!(actual.next.is_some(), expected.next.is_some(), "{}: another page?", self.place);
            // Each store reads its own cursors, so the first page is asked of both again when they differ.
            if actual.next != expected.next || actual.next.is_none() {
                break;
            }
            request.cursor = actual.next;
        }
    }

    async fn expire_audit(&mut self) {
        let before = self.clock - TimeDelta::days(self.random.below(60).cast_signed());
        let expected = self.memory.expire_audit(before).await;
        let actual = self.store.expire_audit(before).await;
        self.same(expected, actual, &before);
    }

    /// Rows of the log, from anywhere.
    async fn audit_rows(&mut self) {
        let head = self.memory.audit_rows(u64::MAX, 1).await.unwrap().head;
        let (after, limit) = (self.random.below(head.sequence + 2), self.random.index(9) + 1);
        self.compare_rows(after, limit).await;
    }

    /// Whether the rows are the same, and verify.
    pub(super) async fn compare_rows(&self, after: u64, limit: usize) {
        let mut expected = self.memory.audit_rows(after, limit).await.unwrap();
        let mut actual = self.store.audit_rows(after, limit).await.unwrap();
        if after == 0 && actual.rows.len() < limit {
            let mut verifier = Verifier::new(actual.base);
            actual.rows.iter().for_each(|row| verifier.check(row).unwrap());
            verifier.finish(actual.head).unwrap();
        }
        expected.rows.iter_mut().chain(&mut actual.rows).for_each(rename);
        assert_eq!(actual, expected, "{}: audit_rows {after} {limit}", self.place);
    }

    async fn erase(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        for _ in 0..=self.random.below(2) {
            let expected = self.memory.erase(&company, self.clock).await;
            let actual = self.store.erase(&company, self.clock).await;
            self.same_optional_revision(expected, actual, &company);
        }
    }

    /// A reservation stays as long as its units are set aside.
    async fn expire(&mut self) {
        for name in COMPANIES {
            self.give_back(name).await;
        }
        let before = self.clock - TimeDelta::days(35 + self.random.below(30).cast_signed());
        let expected = self.memory.expire(before).await;
        let actual = self.store.expire(before).await;
        self.same(expected, actual, &before);
    }
}

/// One name for all who were erased: what stands there is random.
pub(super) fn somebody(company: &mut CompanyId) {
    if company.as_str().starts_with(PSEUDONYM) {
        *company = self::company("somebody");
    }
}

fn rename(row: &mut AuditRow) {
    somebody(&mut row.entry.company);
}
