entitlements_core::features! {
    Export: Flag = "export";
    Reports: Counter = "reports";
}

fn main() {}
