//! Pages of lists: `?limit=&cursor=`, and `{"items", "next"}`.

use entitlements_core::Error;
use entitlements_core::store::{MAX_PAGE, Page, PageRequest, StoreError, StoreErrorKind};
use serde::Serialize;
use serde_json::Value;

use crate::fields::Fields;
use crate::problem::Rejection;
use crate::read;

const DEFAULT_LIMIT: usize = 100;

/// A list, whose cursors mean nothing in another one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List(pub(crate) &'static str);

/// A page as it is sent.
#[derive(Debug, Serialize)]
pub(crate) struct Listed<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl List {
    /// Which page is asked for.
    pub(crate) fn requested(self, fields: &mut Fields) -> Result<PageRequest, Rejection> {
        let limit = fields.optional("limit", limit)?.unwrap_or(DEFAULT_LIMIT);
        let cursor = fields.optional("cursor", |value| self.opened(value))?;
        Ok(PageRequest { limit, cursor })
    }

    /// The page as it is sent.
    pub(crate) fn sent<T, U>(self, page: Page<T>, shape: impl FnMut(T) -> U) -> Listed<U> {
        Listed {
            items: page.items.into_iter().map(shape).collect(),
            next: page.next.map(|cursor| self.sealed(&cursor)),
        }
    }

    /// A cursor as it is sent: hexadecimal, so that it survives every query string, and led by the list's name.
    fn sealed(self, cursor: &str) -> String {
        const_hex::encode(format!("{}:{cursor}", self.0))
    }

    fn opened(self, value: &Value) -> Result<String, String> {
        let invalid = "is not a cursor of this list";
        let text = read::word(value)?;
        let bytes = const_hex::decode(text).map_err(|_| invalid)?;
        let text = String::from_utf8(bytes).map_err(|_| invalid)?;
        let cursor = text.strip_prefix(self.0).and_then(|rest| rest.strip_prefix(':')).ok_or(invalid)?;
        Ok(cursor.into())
    }
}

/// The rejection of a failed listing: a cursor that the store does not understand is the caller's mistake.
pub(crate) fn failed(error: Error) -> Rejection {
    let store = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<StoreError>());
    match store.map(StoreError::kind) {
        Some(StoreErrorKind::Unsupported) => Rejection::invalid("cursor", "is not a cursor of this list"),
        _ => error.into(),
    }
}

fn limit(value: &Value) -> Result<usize, String> {
    let text = read::word(value)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(limit) if digits && (1..=MAX_PAGE).contains(&limit) => Ok(limit),
        _ => Err(format!("must be a whole number from 1 to {MAX_PAGE}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cursor_survives_and_belongs_to_its_list() {
        let (grants, policies) = (List("grants"), List("policies"));
        for cursor in ["", "1:a", "é:%&="] {
            let sealed = grants.sealed(cursor);
            assert_eq!(grants.opened(&json!(sealed)), Ok(cursor.to_owned()));
            assert!(policies.opened(&json!(sealed)).is_err());
        }
        for wrong in ["zz", "0", "garbage", "é", "ff"] {
            assert!(grants.opened(&json!(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_limit_is_1_to_1000() {
        assert_eq!(limit(&json!("1")), Ok(1));
        assert_eq!(limit(&json!("1000")), Ok(1000));
        for wrong in ["0", "1001", "-1", "+1", "1.5", "ten"] {
            assert!(limit(&json!(wrong)).is_err(), "{wrong}");
        }
    }
}
