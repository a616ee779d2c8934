//! What a store can do and what it cannot, and which cases ask for it.

/// A part of what a complete store does that a store may do without.
///
/// Facts, subscriptions, grants, policies and usage are no such parts: no decision can be made without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// Holders and levels: [`GaugeStore`](crate::store::GaugeStore).
    Gauges,
    /// Units that are set aside: [`ReservationStore`](crate::store::ReservationStore).
    Reservations,
    /// The audit log: [`AuditStore`](crate::store::AuditStore).
    Audit,
    /// Forgetting: [`ErasureStore`](crate::store::ErasureStore).
    Erasure,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 4] = [Self::Gauges, Self::Reservations, Self::Audit, Self::Erasure];

    const fn bit(self) -> u8 {
        match self {
            Self::Gauges => 1,
            Self::Reservations => 1 << 1,
            Self::Audit => 1 << 2,
            Self::Erasure => 1 << 3,
        }
    }
}

/// The parts that a store does.
///
/// ```
/// use entitlements_core::testkit::{Capabilities, Part};
///
/// const NO_LOG: Capabilities = Capabilities::ALL.without(Part::Audit);
/// assert!(NO_LOG.has(Part::Gauges));
/// assert!(!NO_LOG.has(Part::Audit));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capabilities(u8);

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self(u8::MAX);

    /// What this is, less a part.
    #[must_use]
    pub const fn without(self, part: Part) -> Self {
        Self(self.0 & !part.bit())
    }

    /// Whether the store does this part.
    #[must_use]
    pub const fn has(self, part: Part) -> bool {
        self.0 & part.bit() != 0
    }
}

/// What a case needs, or all cases of a module do.
const NEEDED: [(&str, Part); 21] = [
    ("gauge", Part::Gauges),
    ("reservation", Part::Reservations),
    ("record::the_key_of_a_reservation_conflicts", Part::Reservations),
    ("outbox::a_reservation_is_written_down_when_it_is_committed", Part::Reservations),
    ("audit", Part::Audit),
    ("erasure::erased_entries_stay_under_a_pseudonym", Part::Audit),
    ("erasure::late_entries_of_an_erased_company_are_nobodys", Part::Audit),
    ("erasure::late_entries_of_a_company_that_came_back_are_nobodys", Part::Audit),
    ("erasure::retention_leaves_no_units_set_aside", Part::Reservations),
    ("erasure::what_is_held_during_retention_can_be_given_back", Part::Reservations),
    ("erasure", Part::Erasure),
    ("billing::an_erasure_empties_the_events_of_its_customers", Part::Erasure),
    ("billing::an_erasure_keeps_nothing_but_invoices_and_customers", Part::Erasure),
    ("outbox::an_erasure_removes_billed_usage", Part::Erasure),
    ("outbox::settled_usage_expires", Part::Erasure),
    ("group::the_latest_instant_of_a_group_decides_what_has_expired", Part::Reservations),
    ("outbox::usage_that_is_settled_late_expires", Part::Erasure),
    ("outbox::a_receipt_stays_while_its_usage_is_open", Part::Erasure),
    ("outbox::old_usage_that_is_open_can_be_given_back", Part::Erasure),
    ("outbox::a_reservation_stays_while_its_usage_is_open", Part::Reservations),
    ("outbox::a_reservation_stays_while_its_usage_is_open", Part::Erasure),
];

/// The parts that a case needs and that a store does not do: each has to be refused instead.
#[doc(hidden)]
#[must_use]
pub fn missing(capabilities: Capabilities, module: &str, case: &str) -> Vec<Part> {
    let is_about = |name: &str| match name.split_once("::") {
        Some(name) => name == (module, case),
        None => name == module,
    };
    NEEDED
        .iter()
        .filter(|(name, part)| is_about(name) && !capabilities.has(*part))
        .map(|(_, part)| *part)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_does_everything_misses_nothing() {
        for (name, _) in NEEDED {
            let (module, case) = name.split_once("::").unwrap_or((name, "any"));
            assert_eq!(missing(Capabilities::ALL, module, case), [], "{name}");
        }
    }

    #[test]
    fn a_part_that_is_missing_is_missing_where_it_is_needed_alone() {
        let less = Capabilities::ALL.without(Part::Audit);
        for part in Part::ALL {
            assert_eq!(less.has(part), part != Part::Audit);
        }
        assert_eq!(missing(less, "audit", "any"), [Part::Audit]);
        assert_eq!(missing(less, "gauge", "any"), []);
        assert_eq!(missing(less, "erasure", "any"), []);
        assert_eq!(missing(less, "erasure", "erased_entries_stay_under_a_pseudonym"), [Part::Audit]);
        let neither = less.without(Part::Erasure);
        let both = missing(neither, "erasure", "erased_entries_stay_under_a_pseudonym");
        assert_eq!(both, [Part::Audit, Part::Erasure]);
    }

    #[test]
    fn every_case_that_needs_a_part_is_a_case() {
        let list = concat!(include_str!("suite.rs"), include_str!("suite/beside.rs"));
        for (name, _) in NEEDED {
            let (module, case) = name.split_once("::").unwrap_or((name, ""));
            let (_, section) = list.split_once(&format!("$harness, {module}:\n")).expect("a section");
            let (section, _) = section.split_once('}').expect("an end of the section");
            assert!(case.is_empty() || section.split_whitespace().any(|listed| listed == case), "{name}");
        }
    }
}
