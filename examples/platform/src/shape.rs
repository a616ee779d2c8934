//! Shapes: the JSON forms of what the API answers with. camelCase; absent is `null`; times are RFC 3339 in UTC.

pub(crate) mod audit;
pub(crate) mod grant;
pub(crate) mod holder;
pub(crate) mod subscription;
pub(crate) mod usage;
