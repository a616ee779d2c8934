//! The path of a request, as rules see it: the router's pattern, the raw path, and the other spellings of that.

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
    /// Whether it came through a router that another one is nested in, of whose path only a part is left to the inner one:
    /// a slash more or less where it was cut makes no difference.
    pub(crate) is_cut: bool,
}

impl<'a> RequestPath<'a> {
    pub(crate) fn of(parts: &'a Parts) -> Self {
        Self::of_head(&parts.uri, &parts.extensions)
    }

    pub(crate) fn of_head(uri: &'a Uri, extensions: &'a Extensions) -> Self {
        let (matched, raw) = (Self::matched_of(extensions), Self::raw_of(uri, extensions));
        Self { matched, raw, is_cut: raw.len() != uri.path().len() }
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
        // Inside a nested router the prefix is cut off the request's own URI. If that is not how it became what it is,
        // something has put another in its place, and by that the handler was chosen.
        if path == original || is_nested(original, path, extensions) { original } else { path }
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

/// Whether `path` is what a router left of the original one when it cut the prefix off that it is nested at.
#[cfg(feature = "axum")]
fn is_nested(original: &str, path: &str, extensions: &Extensions) -> bool {
    let Some(prefix) = extensions.get::<axum::extract::NestedPath>() else { return false };
    let segments = |path: &str| path.split('/').filter(|segment| !segment.is_empty()).count();
    (original.ends_with(path) || path == "/")
        && segments(original) == segments(prefix.as_str()) + segments(path)
}

/// What a path may be to the handler that was reached by it, other than the raw path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spelling<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Whether it was percent-decoded, so that it is not decoded again.
    pub(crate) is_decoded: bool,
}

impl<'a> Spelling<'a> {
    pub(crate) const fn raw(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), is_decoded: false }
    }
}

impl RequestPath<'_> {
    /// The other spellings of the raw path: without repeated and trailing slashes, then percent-decoded; none for most
    /// paths. `slashed` says whether paths that end in a slash matter.
    pub(crate) fn spellings(&self, slashed: bool) -> Vec<Spelling<'static>> {
        let mut spellings = Vec::new();
        let mut add = |text: &str, is_decoded: bool| {
            let loose =
                self.is_undecided() || self.is_cut || self.matched.is_some_and(|it| it.ends_with('/'));
            let tidied = if loose { tidied(text) } else { None };
            let best = tidied.as_deref().unwrap_or(text);
            let other = (tidied.is_some() || is_decoded).then(|| best.to_owned());
            let ending = slashed.then(|| format!("{best}/"));
            // One slash is the last of the path, and the other is something for a catch-all to catch.
            let caught = (loose && text.ends_with("//")).then(|| format!("{best}//"));
            let texts = other.into_iter().chain(ending).chain(caught);
            spellings.extend(texts.map(|text| Spelling { text: text.into(), is_decoded }));
        };
        add(self.raw, false);
        if let Some(decoded) = self.decoded() {
            add(&decoded, true);
        }
        spellings
    }

    /// The path, percent-decoded once, as routers decode the values of parameters. What is one value to the router that
    /// has decided stays one segment. Where decoding brings dots, the path says nothing: who decodes it may go on and
    /// remove them.
    fn decoded(&self) -> Option<String> {
        if !self.raw.contains('%') {
            return None;
        }
        let undecided = self.is_undecided();
        let segments = self.raw.split('/').map(|segment| {
            let decoded = percent_decode_str(segment).decode_utf8_lossy();
            if undecided || !decoded.contains('/') { decoded } else { Cow::Borrowed(segment) }
        });
        let decoded = segments.collect::<Vec<_>>().join("/");
        let has_dots = decoded.split('/').any(|segment| matches!(segment, "." | ".."));
        (decoded != self.raw && !has_dots).then_some(decoded)
    }

    /// Whether no router has said which handler it chose, or it has chosen a catch-all.
    pub(crate) fn is_undecided(&self) -> bool {
        self.matched.is_none_or(has_catch_all)
    }
}

/// The path without repeated and trailing slashes, if that is another text.
///
/// Such spellings are other paths, and still reach a handler: axum's `nest_service("/v1", …)` takes `/v1//boardroom`
/// for its `/boardroom`, and `/v1/` for its root.
fn tidied(path: &str) -> Option<String> {
    if !(path.contains("//") || path.ends_with('/')) {
        return None;
    }
    let mut tidied = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        tidied.push('/');
        tidied.push_str(segment);
    }
    Some(if tidied.is_empty() { "/".into() } else { tidied })
}

/// The rule that a request matched, with the values of its path's parameters.
#[derive(Debug)]
pub struct RouteParams<'a> {
    pub(crate) pattern: Option<&'a str>,
    pub(crate) params: Option<matchit::Params<'a, 'a>>,
    /// Whether the values were percent-decoded before they were found.
    pub(crate) is_decoded: bool,
}

impl<'a> RouteParams<'a> {
    /// The path pattern of the rule; `None` if it is for every request.
    #[must_use]
    pub const fn pattern(&self) -> Option<&'a str> {
        self.pattern
    }

    /// The value of a parameter as it is in the path: percent-encoded. It is not decoded, unless the decoded path alone has
    /// led to the rule.
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
        let value = self.get(name)?;
        if self.is_decoded {
            Some(Cow::Borrowed(value))
        } else {
            percent_decode_str(value).decode_utf8().ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(matched: Option<&'static str>, raw: &'static str) -> Vec<&'static str> {
        RequestPath { matched, raw, is_cut: false }.candidates().collect()
    }

    #[test]
    fn the_routers_pattern_comes_before_the_raw_path() {
        assert_eq!(texts(Some("/reports/{id}"), "/reports/7"), ["/reports/{id}", "/reports/7"]);
        assert_eq!(texts(None, "/reports/7"), ["/reports/7"]);
        assert_eq!(texts(Some("/reports"), "/reports"), ["/reports"]);
    }

    /// The other spellings; those that are decoded begin with `=`.
    fn spelt(matched: Option<&'static str>, raw: &'static str) -> Vec<String> {
        let spellings = RequestPath { matched, raw, is_cut: false }.spellings(false).into_iter();
        spellings.map(|it| if it.is_decoded { format!("={}", it.text) } else { it.text.into() }).collect()
    }

    #[test]
    fn slashes_are_tidied_only_where_a_router_may_have_taken_one_too_many() {
        assert_eq!(spelt(None, "/v1//boardroom/"), ["/v1/boardroom"]);
        assert_eq!(spelt(None, "/v1//files//"), ["/v1/files", "/v1/files//"]);
        assert_eq!(spelt(None, "/v1/boardroom"), [""; 0]);
        assert_eq!(spelt(Some("/v1/{*rest}"), "/v1//a"), ["/v1/a"]);
        assert_eq!(spelt(Some("/v1/{id}"), "/v1/a/"), [""; 0]);
        // `nest_service("/v1", …)` makes a route of `/v1/` as well.
        assert_eq!(spelt(Some("/v1/"), "/v1/"), ["/v1"]);
    }

    #[test]
    fn slashes_are_tidied_where_a_prefix_was_cut_off_and_one_value_stays_one_segment() {
        let path = RequestPath { matched: Some("/v1/{id}"), raw: "/v1//a%2Fb", is_cut: true };
        let texts: Vec<_> = path.spellings(true).into_iter().map(|it| it.text).collect();
        assert_eq!(texts, ["/v1/a%2Fb", "/v1/a%2Fb/"]);
    }

    #[test]
    fn a_path_is_decoded_once_and_one_value_stays_one_segment() {
        assert_eq!(spelt(Some("/v1/{id}"), "/v1/%37"), ["=/v1/7"]);
        assert_eq!(spelt(Some("/v1/{id}"), "/v1/%2537"), ["=/v1/%37"]);
        assert_eq!(spelt(Some("/v1/{id}"), "/%76%31/a%2F%2Fb"), ["=/v1/a%2F%2Fb"]);
        assert_eq!(spelt(Some("/v1/{*rest}"), "/v1//a%2F%2Fb"), ["/v1/a%2F%2Fb", "=/v1/a/b"]);
        assert_eq!(spelt(None, "/v1/a%2F%37%ff"), ["=/v1/a/7\u{fffd}"]);
        assert_eq!(spelt(None, "/v1/%zz"), [""; 0]);
        for dots in ["/v1/a%2F..%2Fb", "/v1/%2e%2e", "/v1/./%37"] {
            assert_eq!(spelt(None, dots), [""; 0], "{dots}");
        }
    }

    #[test]
    fn a_slash_at_the_end_is_a_spelling_where_it_matters() {
        let path = RequestPath { matched: None, raw: "/v1//%61", is_cut: false };
        let texts: Vec<_> = path.spellings(true).into_iter().map(|it| it.text).collect();
        assert_eq!(texts, ["/v1/%61", "/v1/%61/", "/v1/a", "/v1/a/"]);
    }

    #[test]
    fn a_catch_all_pattern_comes_after_the_raw_path() {
        assert_eq!(texts(Some("/a.B/{*rest}"), "/a.B/C"), ["/a.B/C", "/a.B/{*rest}"]);
        assert_eq!(texts(Some("/v1/{*rest}/v1/a"), "/v1/a"), ["/v1/a", "/v1/{*rest}/v1/a"]);
    }
}
