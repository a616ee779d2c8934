//! Keys: everything that a decision depends on, beside the facts and the time.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Action;
use crate::id::{CompanyId, FeatureKey, UserId, check_id};
use crate::policy::Path;
use crate::request::Request;

/// What a decision was made about. Two requests with equal keys have the same answer, as long as the facts are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionKey {
    /// The company.
    pub company: CompanyId,
    /// The user, if one is known.
    pub user: Option<UserId>,
    /// The feature.
    pub feature: FeatureKey,
    /// The action.
    pub action: Action,
    /// The resource, if one is named: 1 to 255 bytes without control characters.
    pub resource: Option<Box<str>>,
    /// The digest of the attributes of the context that the policies read, in 64 hex digits; `None` if they read none.
    pub context: Option<Box<str>>,
}

/// A context whose attributes that matter take more bytes than this has no key.
const MAX_CONTEXT_BYTES: usize = 8192;

impl DecisionKey {
    /// The key of a request about which the policies read the attributes at `paths`; `None` if it has none: names that
    /// nobody can have given, or too much context.
    #[must_use]
    pub fn of(request: &Request<'_>, paths: &[Path]) -> Option<Self> {
        let resource = match request.resource {
            Some(resource) => {
                check_id(resource).ok()?;
                Some(resource.into())
            }
            None => None,
        };
        Some(Self {
            company: request.subject.company.clone(),
            user: request.subject.user.clone(),
            feature: FeatureKey::new(request.feature).ok()?,
            action: request.action,
            resource,
            context: digest(request, paths).ok()?,
        })
    }
}

/// The attributes take too many bytes.
struct TooMuch;

/// The digest of what the request says at `paths`. Each text is led by its length, so that no two contexts are written
/// alike, whatever is missing of them; and those of other paths are written otherwise.
fn digest(request: &Request<'_>, paths: &[Path]) -> Result<Option<Box<str>>, TooMuch> {
    let read = || paths.iter().filter(|path| matches!(path, Path::Context(..)));
    if read().next().is_none() {
        return Ok(None);
    }
    let mut form = Sha256::new();
    let mut bytes = 0_usize;
    let mut add = |text: &str| {
        bytes = bytes.saturating_add(text.len());
        form.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        form.update(text.as_bytes());
        bytes <= MAX_CONTEXT_BYTES
    };
    for path in read() {
        let Path::Context(name, inner) = path else { continue };
        let names = std::iter::once(&**name).chain(inner.iter().map(|name| &**name));
        // No value is written as nothing at all.
        let value = request.context.get(names).map(ToString::to_string).unwrap_or_default();
        let fits = add(&path.to_string()) && add(&value);
        if !fits {
            return Err(TooMuch);
        }
    }
    Ok(Some(const_hex::encode(form.finalize()).into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Context, Subject};

    fn key(context: serde_json::Value, paths: &[&str]) -> Option<DecisionKey> {
        let acme = Subject::company(CompanyId::new("acme").unwrap());
        let context = Context::from_json(context).unwrap();
        let paths: Vec<Path> = paths.iter().map(|path| path.parse().unwrap()).collect();
        DecisionKey::of(&Request::new(&acme, "export", Action::View).with_context(&context), &paths)
    }

    #[test]
    fn what_no_policy_reads_is_not_part_of_the_key() {
        let read = ["context.region", "subject.user", "now"];
        assert_eq!(
            key(json!({"region": "eu", "noise": 1}), &read),
            key(json!({"noise": 2, "region": "eu"}), &read)
        );
        assert_eq!(key(json!({"region": "eu"}), &["now"]), key(json!({}), &[]));
    }

    #[test]
    fn every_difference_that_a_policy_can_see_is_another_key() {
        let read = ["context.a", "context.a.b", "context.c"];
        let contexts = [
            json!({}),
            json!({"a": "x"}),
            json!({"c": "x"}),
            json!({"a": "x", "c": "x"}),
            json!({"a": 1}),
            json!({"a": "1"}),
            json!({"a": true}),
            json!({"a": {"b": "x"}}),
            json!({"a": {"b": "x", "c": "x"}}),
            json!({"a": ["x"]}),
            json!({"c": ["x"]}),
        ];
        let keys: std::collections::HashSet<_> =
            contexts.iter().map(|context| key(context.clone(), &read).unwrap()).collect();
        assert_eq!(keys.len(), contexts.len());
    }

    #[test]
    fn what_is_missing_is_missing_at_its_own_path() {
        let read = [&["context.a"][..], &["context.b"], &["context.a", "context.b"], &[]];
        let keys: std::collections::HashSet<_> =
            read.iter().map(|read| key(json!({}), read).unwrap()).collect();
        assert_eq!(keys.len(), read.len());
    }

    #[test]
    fn null_is_missing() {
        assert_eq!(key(json!({"a": null}), &["context.a"]), key(json!({}), &["context.a"]));
    }

    #[test]
    fn too_much_context_has_no_key() {
        let much = "x".repeat(MAX_CONTEXT_BYTES + 1);
        assert_eq!(key(json!({"a": much}), &["context.a"]), None);
        assert!(key(json!({"a": much}), &["context.b"]).is_some());
    }

    #[test]
    fn a_resource_that_is_no_name_has_no_key() {
        let acme = Subject::company(CompanyId::new("acme").unwrap());
        let request = Request::new(&acme, "export", Action::View);
        assert_eq!(DecisionKey::of(&request.with_resource(""), &[]), None);
        assert_eq!(DecisionKey::of(&request.with_resource("a\nb"), &[]), None);
        assert!(DecisionKey::of(&request.with_resource("a:b"), &[]).is_some());
    }
}
