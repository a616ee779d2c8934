//! Keys: `entitlement:{company}:user:feature:action:resource`, each part escaped so that no two questions share a key.

use std::fmt::Write as _;

use entitlements_core::decision_cache::DecisionKey;
use entitlements_core::id::CompanyId;

/// The keys of one system on a server.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// Where a decision is kept. The braces around the company keep everything of a company in one slot of a cluster.
    pub(crate) fn decision(&self, key: &DecisionKey) -> String {
        let mut text = self.company(&key.company);
        for part in [
            key.user.as_ref().map(AsRef::as_ref),
            Some(key.feature.as_str()),
            Some(key.action.as_str()),
            key.resource.as_deref(),
        ] {
            // No part is empty, so an absent one is not mistaken for another.
            text.push(':');
            escape(part.unwrap_or_default(), &mut text);
        }
        if let Some(context) = &key.context {
            text.push(':');
            escape(context, &mut text);
        }
        text
    }

    /// Where it is kept what of a company has been forgotten, and which facts are the newest.
    pub(crate) fn fence(&self, company: &CompanyId) -> String {
        self.company(company) + "#fence"
    }

    /// Where it is kept what of all companies has been forgotten.
    pub(crate) fn everything(&self) -> String {
        format!("{}entitlement#fence", self.prefix)
    }

    /// The channel of the bus.
    pub(crate) fn channel(&self) -> String {
        format!("{}entitlement#changes", self.prefix)
    }

    fn company(&self, company: &CompanyId) -> String {
        let mut text = format!("{}entitlement:{{", self.prefix);
        escape(company.as_str(), &mut text);
        text.push('}');
        text
    }
}

/// Escapes what has a meaning in keys, as URLs do: every character that could end a part, a slot, or the escape itself.
fn escape(part: &str, text: &mut String) {
    for char in part.chars() {
        if matches!(char, ':' | '{' | '}' | '%' | '#' | ' ') || char.is_control() {
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                // Writing to a text cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        } else {
            text.push(char);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use entitlements_core::Action;
    use entitlements_core::id::{FeatureKey, UserId};
    use entitlements_core::testkit::hostile::hostile_ids;

    use super::*;

    fn key(company: &str, user: Option<&str>, feature: &str, resource: Option<&str>) -> DecisionKey {
        DecisionKey {
            company: CompanyId::new(company).unwrap(),
            user: user.map(|user| UserId::new(user).unwrap()),
            feature: FeatureKey::new(feature).unwrap(),
            action: Action::View,
            resource: resource.map(Into::into),
            context: None,
        }
    }

    #[test]
    fn keys_have_the_documented_pattern() {
        let keys = Keys::new("p:");
        assert_eq!(
            keys.decision(&key("acme", Some("ann"), "export", Some("report:7"))),
            "p:entitlement:{acme}:ann:export:view:report%3A7"
        );
        assert_eq!(keys.decision(&key("acme", None, "export", None)), "p:entitlement:{acme}::export:view:");
        assert_eq!(keys.fence(&CompanyId::new("acme").unwrap()), "p:entitlement:{acme}#fence");
    }

    #[test]
    fn no_two_questions_share_a_key() {
        let keys = Keys::new("");
        let mut met: HashMap<String, DecisionKey> = HashMap::new();
        let mut add = |key: DecisionKey| {
            let text = keys.decision(&key);
            if let Some(other) = met.insert(text.clone(), key.clone()) {
                assert_eq!(other, key, "{text}");
            }
        };
        let names = hostile_ids();
        for one in &names {
            for other in names.iter().take(40) {
                add(key(one, Some(other), "f", None));
                add(key(one, None, other, None));
                add(key(one, None, "f", Some(other)));
                add(key("c", Some(one), other, None));
                add(key("c", Some(one), "f", Some(other)));
                add(key("c", None, one, Some(other)));
            }
        }
    }

    /// The slot of a key, as the specification of Redis clusters has it: CRC-16/XMODEM of what stands between the first
    /// `{` and the next `}`, or of all of it.
    fn slot(key: &str) -> u16 {
        let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
        let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
        let crc = hashed.bytes().fold(0_u16, |crc, byte| {
            (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
                (crc << 1) ^ if crc >> 15 == 1 { 0x1021 } else { 0 }
            })
        });
        crc % 16384
    }

    #[test]
    fn slots_are_those_of_redis() {
        // The check value of CRC-16/XMODEM, and answers of CLUSTER KEYSLOT.
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!([slot("foo"), slot("{foo}.bar"), slot("x{}y"), slot("")], [12182, 12182, slot("x{}y"), 0]);
        assert_ne!(slot("x{}y"), slot("z{}y"));
    }

    #[test]
    fn a_company_has_one_slot() {
        let keys = Keys::new("x:");
        let mut slots = std::collections::HashSet::new();
        for name in hostile_ids() {
            let company = CompanyId::new(&name).unwrap();
            let fence = slot(&keys.fence(&company));
            for user in [None, Some("{u}"), Some("}"), Some("u")] {
                for (feature, resource) in [("f", None), ("f}{", Some("{r}")), ("f", Some("r"))] {
                    assert_eq!(slot(&keys.decision(&key(&name, user, feature, resource))), fence, "{name}");
                }
            }
            slots.insert(fence);
        }
        // Companies are spread: it is their names that make the slot.
        assert!(slots.len() > 20, "{}", slots.len());
    }
}
