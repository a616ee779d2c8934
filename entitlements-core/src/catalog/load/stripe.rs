//! Stripe: reads how Stripe knows a plan or an add-on.

use std::collections::HashMap;

use super::super::StripeRefs;
use super::super::node::Node;
use super::super::reader::{Fields, Place, Reader};
use crate::id::check_id;

/// Answers the value of an environment variable.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads the references of plans and add-ons, and sees to it that each leads to one of them.
pub(super) struct StripeReader<'a> {
    env: Env<'a>,
    /// Where each reference is listed.
    listed: HashMap<(&'static str, String), String>,
}

impl<'a> StripeReader<'a> {
    pub(super) fn new(env: Env<'a>) -> Self {
        Self { env, listed: HashMap::new() }
    }

    /// The references of the plan or add-on whose `fields` these are.
    pub(super) fn read(&mut self, reader: &mut Reader, fields: Fields<'_>, owner: &Place<'_>) -> StripeRefs {
        let Some(node) = fields.get("stripe") else { return StripeRefs::default() };
        let place = owner.key("stripe");
        let Some(fields) = reader.fields(node, &place, &["lookup_keys", "prices"]) else {
            return StripeRefs::default();
        };
        let mut list =
            |key| fields.get(key).map(|node| self.list(reader, node, key, &place)).unwrap_or_default();
        StripeRefs { lookup_keys: list("lookup_keys"), prices: list("prices") }
    }

    fn list(
        &mut self,
        reader: &mut Reader,
        node: &Node,
        key: &'static str,
        stripe: &Place<'_>,
    ) -> Vec<String> {
        let place = stripe.key(key);
        let mut references = Vec::new();
        for (index, item) in reader.list(node, &place).into_iter().flatten().enumerate() {
            let place = place.index(index);
            let Some(text) = reader.text(item, &place) else { continue };
            let reference = match expand(text, self.env) {
                Ok(Some(reference)) => reference,
                Ok(None) => continue,
                Err(message) => {
                    reader.wrong(item.at, &place, message);
                    continue;
                }
            };
            if let Err(error) = check_id(&reference) {
                reader.wrong(item.at, &place, error.to_string());
                continue;
            }
            if let Some(before) = self.listed.get(&(key, reference.clone())) {
                reader.unmet(item.at, &place, format!("is already listed at {before}"));
                continue;
            }
            self.listed.insert((key, reference.clone()), place.to_string());
            references.push(reference);
        }
        references
    }
}

/// The text with every `${NAME}` replaced; `None` if one of the variables is unset or empty.
fn expand(text: &str, env: Env<'_>) -> Result<Option<String>, &'static str> {
    let mut expanded = String::new();
    let mut rest = text;
    let mut complete = true;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or("`${` without `}`")?;
        if !is_variable(name) {
            return Err("`${…}` must hold the name of a variable: letters, digits and `_`, no digit first");
        }
        expanded.push_str(before);
        match env(name).filter(|value| !value.is_empty()) {
            Some(value) => expanded.push_str(&value),
            None => complete = false,
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(complete.then_some(expanded))
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<Option<String>, &'static str> {
        expand(text, &|name| match name {
            "A" => Some("a".into()),
            "HOSTILE" => Some("${A}".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_expanded_once() {
        assert_eq!(expanded("x_${A}_${A}$").unwrap().unwrap(), "x_a_a$");
        assert_eq!(expanded("${HOSTILE}").unwrap().unwrap(), "${A}");
    }

    #[test]
    fn an_unset_or_empty_variable_drops_the_text() {
        assert_eq!(expanded("${A}${UNSET}"), Ok(None));
        assert_eq!(expanded("${EMPTY}"), Ok(None));
    }

    #[test]
    fn a_malformed_variable_is_refused_even_after_an_unset_one() {
        for text in ["${", "${A", "${}", "${1A}", "${A B}", "${UNSET}${A-B}"] {
            assert!(expanded(text).is_err(), "{text}");
        }
    }
}
