use entitlements_core::{Amount, Consume, Subject, id::CompanyId};

entitlements_core::features! { Export: Flag = "export"; }

fn main() {
    let acme = Subject::company(CompanyId::new("acme").unwrap());
    let _ = Consume::of(&acme, Export, Amount::ONE);
}
