//! From the method of a request to the action that is asked for.

use entitlements_core::Action;
use http::Method;

/// The action of a method: `GET` and `HEAD` view, `POST` creates, `PUT` and `PATCH` update, `DELETE` deletes.
///
/// Every other method only views, `CONNECT` as well, by which web sockets are opened over HTTP/2. A rule, or the layer's
/// `action` setting, can say otherwise.
///
/// ```
/// use entitlements_core::Action;
/// use http::Method;
///
/// assert_eq!(entitlements_tower::action_of(&Method::HEAD), Action::View);
/// assert_eq!(entitlements_tower::action_of(&Method::PATCH), Action::Update);
/// ```
#[must_use]
pub fn action_of(method: &Method) -> Action {
    match *method {
        Method::POST => Action::Create,
        Method::PUT | Method::PATCH => Action::Update,
        Method::DELETE => Action::Delete,
        _ => Action::View,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_action() {
        let expected = [
            ("GET", Action::View),
            ("HEAD", Action::View),
            ("POST", Action::Create),
            ("PUT", Action::Update),
            ("PATCH", Action::Update),
            ("DELETE", Action::Delete),
            ("OPTIONS", Action::View),
            ("TRACE", Action::View),
            ("CONNECT", Action::View),
            ("PURGE", Action::View),
            // Methods are case-sensitive: this is another method than `POST`.
            ("post", Action::View),
        ];
        for (method, action) in expected {
            assert_eq!(action_of(&Method::from_bytes(method.as_bytes()).unwrap()), action, "{method}");
        }
    }
}
