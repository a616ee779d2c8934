use entitlements_core::{Amount, Consume, Subject, id::CompanyId};

entitlements_core::features! { Seats: Gauge = "seats"; }

fn main() {
    let acme = Subject::company(CompanyId::new("acme").unwrap());
    let _ = Consume::of(&acme, Seats, Amount::ONE);
}
