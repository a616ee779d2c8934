//! Patterns: what a rule matches, read from its text.

use http::Method;

/// A method and a path pattern, for example `POST /reports/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// `None` is every method.
    pub(crate) method: Option<Method>,
    pub(crate) path: String,
}

impl Pattern {
    /// Reads `METHOD /path` or `/path`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method), path.trim_start()),
            None => (None, text),
        };
        Self::new(method, path)
    }

    pub(crate) fn new(method: Option<&str>, path: &str) -> Result<Self, String> {
        let method = method.map(method_named).transpose()?;
        if !path.starts_with('/') {
            return Err(format!("the path `{path}` must begin with `/`"));
        }
        if path.contains(['?', '#']) || path.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("the path `{path}` must hold neither a query nor white space"));
        }
        Ok(Self { method, path: path.into() })
    }

    pub(crate) fn label(&self) -> String {
        match &self.method {
            Some(method) => format!("{method} {}", self.path),
            None => self.path.clone(),
        }
    }
}

fn method_named(name: &str) -> Result<Method, String> {
    if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(format!("the method `{name}` must be in capitals"));
    }
    Method::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no method"))
}

/// The path without the names of its parameters: two paths of one shape match the same requests.
pub(crate) fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        shape.push(c);
        if c != '{' {
            continue;
        }
        // `{{` is a brace, not the beginning of a parameter.
        if let Some(brace) = chars.next_if_eq(&'{') {
            shape.push(brace);
            continue;
        }
        if let Some(star) = chars.next_if_eq(&'*') {
            shape.push(star);
        }
        while chars.next_if(|c| *c != '}').is_some() {}
    }
    shape
}

/// The names of the parameters of a path.
pub(crate) fn params(path: &str) -> Vec<&str> {
    let mut params = Vec::new();
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('{') {
        if let Some(escaped) = after.strip_prefix('{') {
            rest = escaped;
            continue;
        }
        let Some((name, after)) = after.split_once('}') else { break };
        params.push(name.strip_prefix('*').unwrap_or(name));
        rest = after;
    }
    params
}

/// Whether a part of a router's pattern stands for any rest of a path.
///
/// That need not be its end: a router below a catch-all route adds its own pattern to that of the route.
pub(crate) fn has_catch_all(pattern: &str) -> bool {
    let mut rest = pattern;
    while let Some((_, after)) = rest.split_once('{') {
        if after.starts_with('*') {
            return true;
        }
        // `{{` is a brace, not the beginning of a parameter.
        rest = after.strip_prefix('{').unwrap_or(after);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_a_method_or_none() {
        let with = Pattern::parse("POST /v1/x").unwrap();
        assert_eq!((with.method.as_ref(), with.path.as_str()), (Some(&Method::POST), "/v1/x"));
        assert_eq!(with.label(), "POST /v1/x");
        assert_eq!(Pattern::parse("/v1/x").unwrap().method, None);
    }

    #[test]
    fn what_can_never_match_is_refused() {
        for text in ["", "v1", "POST v1", "post /v1", "P@ST /v1", "/a b", "/a?b=1", "/a#b", "GET", "GET /a\n"]
        {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_of_parameters_do_not_matter() {
        assert_eq!(shape("/a/{id}/{*rest}"), "/a/{}/{*}");
        assert_eq!(shape("/a/{key}/{*all}"), shape("/a/{id}/{*rest}"));
        assert_ne!(shape("/a/{{id}}"), shape("/a/{id}"));
        assert_eq!(shape("/img-{id}.png"), "/img-{}.png");
    }

    #[test]
    fn the_parameters_of_a_path_have_names() {
        assert_eq!(params("/a/{id}/img-{size}.png/{*rest}"), ["id", "size", "rest"]);
        assert_eq!(params("/a/{{id}}/{x}"), ["x"]);
        assert_eq!(params("/a"), [""; 0]);
    }

    #[test]
    fn a_catch_all_may_be_anywhere() {
        for pattern in
            ["/acme.Greeter/{*rest}", "/{*rest}", "/{*rest}/a", "/v1/{*rest}/v1/{id}", "/{{{*rest}"]
        {
            assert!(has_catch_all(pattern), "{pattern}");
        }
        for pattern in ["/a/{rest}", "/{{*rest}}", "/*", "/", ""] {
            assert!(!has_catch_all(pattern), "{pattern}");
        }
    }
}
