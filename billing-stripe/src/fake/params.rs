//! Parameters: names with brackets, read into a tree.

use std::collections::BTreeMap;

use serde_json::Value;

use super::refusal::Refusal;

/// The deepest nesting.
const MAX_DEPTH: usize = 8;
/// The most parameters of one request.
const MAX_COUNT: usize = 2000;

/// A parameter: a text, or named parts. A list is parts named by numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Param {
    Text(String),
    Parts(Vec<(String, Param)>),
}

/// The parameters of a request, and the name under which they were found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Params {
    parts: Vec<(String, Param)>,
    within: String,
}

impl Params {
    pub(super) fn none() -> Self {
        Self { parts: Vec::new(), within: String::new() }
    }

    /// Reads a form or a query.
    pub(super) fn decode(form: &str) -> Result<Self, Refusal> {
        let mut parts = Vec::new();
        for (count, pair) in form.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (unescaped(name), unescaped(value));
            let keys: Vec<&str> = name.split('[').map(|key| key.trim_end_matches(']')).collect();
            if keys.len() > MAX_DEPTH || count >= MAX_COUNT {
                return Err(Refusal::param(name, "Invalid request: too many or too deep parameters."));
            }
            insert(&mut parts, &keys, value).map_err(|()| {
                Refusal::param(name.as_str(), format!("Invalid {name}: both a value and parts were given."))
            })?;
        }
        Ok(Self { parts, within: String::new() })
    }

    /// Reads the JSON of the second interface.
    pub(super) fn from_json(body: &[u8]) -> Result<Self, Refusal> {
        let value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let Some(Param::Parts(parts)) = of_json(&value, 0) else {
            return Err(Refusal::param("body", "The body must be a JSON object."));
        };
        Ok(Self { parts, within: String::new() })
    }

    fn name(&self, key: &str) -> String {
        if self.within.is_empty() { key.to_owned() } else { format!("{}[{key}]", self.within) }
    }

    fn get(&self, key: &str) -> Option<&Param> {
        self.parts.iter().find_map(|(name, param)| (name == key).then_some(param))
    }

    /// Refuses every name but the `known` ones; `expand` is always known.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let mut names = self.parts.iter().map(|(name, _)| name.as_str());
        match names.find(|name| *name != "expand" && !known.contains(name)) {
            Some(name) => Err(Refusal::unknown(&self.name(name))),
            None => Ok(()),
        }
    }

    /// The text; an empty one clears.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, Refusal> {
        match self.get(key) {
            None => Ok(None),
            Some(Param::Text(text)) => Ok(Some(text)),
            Some(Param::Parts(_)) => {
                Err(Refusal::param(self.name(key), format!("Invalid string for {}", self.name(key))))
            }
        }
    }

    pub(super) fn required(&self, key: &str) -> Result<&str, Refusal> {
        match self.text(key)? {
            None | Some("") => Err(Refusal::missing(&self.name(key))),
            Some(text) => Ok(text),
        }
    }

    pub(super) fn int(&self, key: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(key)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let name = self.name(key);
        text.parse().map(Some).map_err(|_| Refusal::param(&name, format!("Invalid integer: {text}")))
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self, key: &str) -> Result<Option<u64>, Refusal> {
        let name = self.name(key);
        match self.int(key)?.map(u64::try_from) {
            None => Ok(None),
            Some(Ok(count)) => Ok(Some(count)),
            Some(Err(_)) => Err(Refusal::param(name, "This value must be greater than or equal to 0.")),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        let name = self.name(key);
        match self.text(key)? {
            None | Some("") => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => Err(Refusal::param(name, format!("Invalid boolean: {text}"))),
        }
    }

    /// One of the `words`.
    pub(super) fn word(&self, key: &str, words: &[&'static str]) -> Result<Option<&'static str>, Refusal> {
        let Some(text) = self.text(key)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let known = words.iter().copied().find(|word| *word == text);
        let message = || format!("Invalid {}: must be one of {}", self.name(key), words.join(", "));
        known.map(Some).ok_or_else(|| Refusal::param(self.name(key), message()))
    }

    /// The parts under `key`; none if there are none.
    pub(super) fn parts(&self, key: &str) -> Result<Self, Refusal> {
        match self.get(key) {
            None => Ok(Self { parts: Vec::new(), within: self.name(key) }),
            Some(Param::Text(text)) if text.is_empty() => {
                Ok(Self { parts: Vec::new(), within: self.name(key) })
            }
            Some(Param::Parts(parts)) => Ok(Self { parts: parts.clone(), within: self.name(key) }),
            Some(Param::Text(_)) => Err(Refusal::param(self.name(key), "Invalid object")),
        }
    }

    /// The items of the list under `key`, each of which has parts.
    pub(super) fn items(&self, key: &str) -> Result<Vec<Self>, Refusal> {
        let list = self.parts(key)?;
        list.parts.iter().map(|(index, _)| list.parts(index)).collect()
    }

    /// The texts of the list under `key`.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, Refusal> {
        let list = self.parts(key)?;
        let text = |(_, param): &(String, Param)| match param {
            Param::Text(text) => Some(text.clone()),
            Param::Parts(_) => None,
        };
        Ok(list.parts.iter().filter_map(text).collect())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether there are no names but the `known` ones and `expand`.
    pub(super) fn is_only_of(&self, known: &[&str]) -> bool {
        self.only(known).is_ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Puts what is given under `metadata` into `metadata`; an empty text takes the key away.
    pub(super) fn metadata(&self, metadata: &mut BTreeMap<String, String>) -> Result<(), Refusal> {
        if self.text("metadata").is_ok_and(|text| text == Some("")) {
            metadata.clear();
            return Ok(());
        }
        let given = self.parts("metadata")?;
        for (key, _) in &given.parts {
            match given.text(key)? {
                Some("") | None => metadata.remove(key),
                Some(text) => metadata.insert(key.clone(), text.to_owned()),
            };
        }
        Ok(())
    }
}

fn insert(parts: &mut Vec<(String, Param)>, keys: &[&str], value: String) -> Result<(), ()> {
    let Some((key, rest)) = keys.split_first() else { return Err(()) };
    // `a[]=x&a[]=y` is a list: every item is a new one.
    let key = if key.is_empty() { parts.len().to_string() } else { (*key).to_owned() };
    let place = parts.iter().position(|(name, _)| *name == key);
    if rest.is_empty() {
        if place.is_some() {
            return Err(());
        }
        parts.push((key, Param::Text(value)));
        return Ok(());
    }
    let place = place.unwrap_or_else(|| {
        parts.push((key, Param::Parts(Vec::new())));
        parts.len() - 1
    });
    match parts.get_mut(place) {
        Some((_, Param::Parts(inner))) => insert(inner, rest, value),
        _ => Err(()),
    }
}

fn of_json(value: &Value, depth: usize) -> Option<Param> {
    if depth > MAX_DEPTH {
        return None;
    }
    let part = |(key, value): (String, &Value)| Some((key, of_json(value, depth + 1)?));
    match value {
        Value::Null => None,
        Value::String(text) => Some(Param::Text(text.clone())),
        Value::Bool(_) | Value::Number(_) => Some(Param::Text(value.to_string())),
        Value::Array(items) => {
            let numbered = items.iter().enumerate().map(|(index, item)| (index.to_string(), item));
            Some(Param::Parts(numbered.filter_map(part).collect()))
        }
        Value::Object(fields) => {
            let named = fields.iter().map(|(key, value)| (key.clone(), value));
            Some(Param::Parts(named.filter_map(part).collect()))
        }
    }
}

fn unescaped(text: &str) -> String {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        let pair = bytes.get(index + 1).and_then(digit).zip(bytes.get(index + 2).and_then(digit));
        match (byte, pair) {
            (b'%', Some((high, low))) => {
                plain.push((high << 4) | low);
                index += 3;
                continue;
            }
            (b'+', _) => plain.push(b' '),
            _ => plain.push(*byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Params;

    fn decode(form: &str) -> Params {
        Params::decode(form).unwrap()
    }

    #[test]
    fn what_the_encoder_writes_is_read_back() {
        let params = json!({
            "items": [{"price": "a b&c=d", "quantity": 5}, {"price": "+%"}], "metadata": {"k": "ü"}, "on": true,
        });
        let read = decode(&crate::form::encode(&params).unwrap());
        let items = read.items("items").unwrap();
        assert_eq!(items[0].required("price").unwrap(), "a b&c=d");
        assert_eq!(items[0].count("quantity").unwrap(), Some(5));
        assert_eq!(items[1].required("price").unwrap(), "+%");
        assert_eq!(read.parts("metadata").unwrap().text("k").unwrap(), Some("ü"));
        assert_eq!(read.flag("on").unwrap(), Some(true));
    }

    #[test]
    fn a_list_may_be_numbered_or_not_and_brackets_escaped_or_not() {
        for form in ["expand[]=a&expand[]=b", "expand[0]=a&expand[1]=b", "expand%5B%5D=a&expand%5B%5D=b"] {
            assert_eq!(decode(form).texts("expand").unwrap(), ["a", "b"], "{form}");
        }
    }

    #[test]
    fn a_name_that_is_not_known_is_refused_with_its_place() {
        let read = decode("items[0][pirce]=x");
        let refusal = read.items("items").unwrap()[0].only(&["price"]).unwrap_err();
        assert_eq!(refusal.body()["error"]["param"], "items[0][pirce]");
    }

    #[test]
    fn twisted_forms_are_refused() {
        for form in ["a=1&a[b]=2", "a[b]=1&a=2", "a[b][c][d][e][f][g][h][i]=1"] {
            assert!(Params::decode(form).is_err(), "{form}");
        }
    }
}
