use entitlements_core::{Action, Request, Subject, id::CompanyId};

#[derive(Clone, Copy)]
struct Forecast;

fn main() {
    let acme = Subject::company(CompanyId::new("acme").unwrap());
    // A type that `features!` did not make, and a name that nobody made.
    let _ = Request::of(&acme, Forecast, Action::View);
    let _ = Request::of(&acme, Export, Action::View);
}
