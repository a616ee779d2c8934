//! The path of a request, as rules see it: the router's pattern, and the raw path. Never a decoded one.

use std::borrow::Cow;

use http::request::Parts;
use http::{Extensions, Uri};
use percent_encoding::percent_decode_str;

use crate::pattern::has_catch_all;

/// What is known of a request's path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestPath<'a> {
    /// The pattern by which the router chose the handler, if a router ran already.
    pub(crate) matched: Option<&'a str>,
    /// The path as it came, undecoded.
    pub(crate) raw: &'a str,
}

impl<'a> RequestPath<'a> {
    pub(crate) fn of(parts: &'a Parts) -> Self {
        Self::of_head(&parts.uri, &parts.extensions)
    }

    pub(crate) fn of_head(uri: &'a Uri, extensions: &'a Extensions) -> Self {
        Self { matched: Self::matched_of(extensions), raw: Self::raw_of(uri, extensions) }
    }

    /// The pattern by which the router chose the handler.
    #[cfg(feature = "axum")]
    pub(crate) fn matched_of(extensions: &'a Extensions) -> Option<&'a str> {
        extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str)
    }

    #[cfg(feature = "axum")]
    fn raw_of(uri: &'a Uri, extensions: &'a Extensions) -> &'a str {
        let path = uri.path();
        let Some(original) = extensions.get::<axum::extract::OriginalUri>() else { return path };
        let original = original.0.path();
        // Inside a nested router the prefix is cut off the request's own URI. If it is not the end of the original one,
        // something has put another in its place, and by that the handler was chosen.
        if original.ends_with(path) || path == "/" { original } else { path }
    }

    /// The pattern by which the router chose the handler: it cannot be known.
    #[cfg(not(feature = "axum"))]
    pub(crate) const fn matched_of(_: &'a Extensions) -> Option<&'a str> {
        None
    }

    #[cfg(not(feature = "axum"))]
    fn raw_of(uri: &'a Uri, _: &'a Extensions) -> &'a str {
        uri.path()
    }

    /// The texts to look up, best first.
    ///
    /// A router's pattern is looked up like a path: its own text is a value for every parameter of a rule, so a rule
    /// finds it whatever the parameters are called, and a catch-all rule finds every pattern below it. What the pattern
    /// does not find, the raw path may: a rule can be narrower than the route. A pattern with a catch-all says too little,
    /// so there the raw path comes first.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &'a str> {
        let raw = Some(self.raw);
        let [first, second] = match self.matched {
            None => [raw, None],
            Some(matched) if matched == self.raw => [raw, None],
            Some(matched) if has_catch_all(matched) => [raw, Some(matched)],
            Some(matched) => [Some(matched), raw],
        };
        first.into_iter().chain(second)
    }
}

impl RequestPath<'_> {
    /// Where no router has said which handler it chose: the raw path without repeated and trailing slashes, if that is
    /// another text.
    ///
    /// Such spellings are other paths, and still reach a handler: axum's `nest_service("/v1", …)` takes `/v1//boardroom`
    /// for its `/boardroom`, and `/v1/` for its root.
    pub(crate) fn tidied(&self) -> Option<String> {
        if !self.is_undecided() || !(self.raw.contains("//") || self.raw.ends_with('/')) {
            return None;
        }
        let mut tidied = String::with_capacity(self.raw.len());
        for segment in self.raw.split('/').filter(|segment| !segment.is_empty()) {
            tidied.push('/');
            tidied.push_str(segment);
        }
        Some(if tidied.is_empty() { "/".into() } else { tidied })
    }

    /// What the path may be to a handler that was reached by it, other than the raw path. `slashed` says whether paths that
    /// end in a slash matter.
    pub(crate) fn spellings(&self, slashed: bool) -> Vec<String> {
        let mut spellings: Vec<String> = self.tidied().into_iter().collect();
        if slashed && self.is_undecided() {
            let last = spellings.last().map_or(self.raw, String::as_str);
            spellings.push(format!("{last}/"));
        }
        spellings
    }

    /// Whether no router has said which handler it chose, or it has chosen a catch-all.
    pub(crate) fn is_undecided(&self) -> bool {
        self.matched.is_none_or(has_catch_all)
    }
}

/// The rule that a request matched, with the values of its path's parameters.
#[derive(Debug)]
pub struct RouteParams<'a> {
    pub(crate) pattern: Option<&'a str>,
    pub(crate) params: Option<matchit::Params<'a, 'a>>,
}

impl<'a> RouteParams<'a> {
    /// The path pattern of the rule; `None` if it is for every request.
    #[must_use]
    pub const fn pattern(&self) -> Option<&'a str> {
        self.pattern
    }

    /// The value of a parameter as it is in the path: percent-encoded, never decoded.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.params.as_ref().and_then(|params| params.get(name))
    }

    /// The value of a parameter, percent-decoded once, as axum's `Path` hands it to the handler; `None` also if that is not
    /// UTF-8.
    ///
    /// What names a resource to policies should be read so: a path has many spellings, and a handler sees one name.
    #[must_use]
    pub fn decoded(&self, name: &str) -> Option<Cow<'a, str>> {
        percent_decode_str(self.get(name)?).decode_utf8().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(matched: Option<&'static str>, raw: &'static str) -> Vec<&'static str> {
        RequestPath { matched, raw }.candidates().collect()
    }

    #[test]
    fn the_routers_pattern_comes_before_the_raw_path() {
        assert_eq!(texts(Some("/reports/{id}"), "/reports/7"), ["/reports/{id}", "/reports/7"]);
        assert_eq!(texts(None, "/reports/7"), ["/reports/7"]);
        assert_eq!(texts(Some("/reports"), "/reports"), ["/reports"]);
    }

    #[test]
    fn slashes_are_tidied_only_where_no_router_has_decided() {
        let tidied = |matched, raw| RequestPath { matched, raw }.tidied();
        assert_eq!(tidied(None, "/v1//boardroom/").as_deref(), Some("/v1/boardroom"));
        assert_eq!(tidied(None, "//").as_deref(), Some("/"));
        assert_eq!(tidied(None, "/v1/boardroom"), None);
        assert_eq!(tidied(Some("/v1/{*rest}"), "/v1//a").as_deref(), Some("/v1/a"));
        assert_eq!(tidied(Some("/v1/{id}"), "/v1/a%2F%2Fb/"), None);
    }

    #[test]
    fn a_catch_all_pattern_comes_after_the_raw_path() {
        assert_eq!(texts(Some("/a.B/{*rest}"), "/a.B/C"), ["/a.B/C", "/a.B/{*rest}"]);
        assert_eq!(texts(Some("/v1/{*rest}/v1/a"), "/v1/a"), ["/v1/a", "/v1/{*rest}/v1/a"]);
    }
}
