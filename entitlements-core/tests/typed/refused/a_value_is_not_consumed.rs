use entitlements_core::{Amount, Consume, Subject, id::CompanyId};

entitlements_core::features! { UploadMb: Value = "upload_mb"; }

fn main() {
    let acme = Subject::company(CompanyId::new("acme").unwrap());
    let _ = Consume::of(&acme, UploadMb, Amount::ONE);
}
