entitlements_core::features! { Export: Flag = export; }

fn main() {}
