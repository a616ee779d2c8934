//! Patterns: the paths of routes.

/// A path pattern, checked. The names of its parameters are left out: they do not change what it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// One parameter with what stands after it.
    Parameter(Box<str>),
    /// The rest of the path.
    Rest,
}

impl Pattern {
    pub(super) fn parse(path: &str) -> Result<Self, &'static str> {
        let Some(path) = path.strip_prefix('/') else {
            return Err("must be a path that begins with `/`, or a method, one space and such a path");
        };
        if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("a path holds no spaces or control characters");
        }
        if path.contains(['?', '#']) {
            return Err("a path holds no query and no fragment");
        }
        if path.starts_with('/') || path.contains("//") {
            return Err("a path holds no `//`");
        }
        let segments = path.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
        let last = segments.len().saturating_sub(1);
        if segments.iter().take(last).any(|segment| matches!(segment, Segment::Rest)) {
            return Err("`{*…}` must be the end of the path");
        }
        Ok(Self { segments })
    }

    /// Whether a router could not tell the two apart: they match the same paths, or paths that overlap without one of
    /// them being the more exact one.
    pub(super) fn rivals(&self, other: &Self) -> bool {
        let mut pairs = self.segments.iter().zip(&other.segments);
        match pairs.find(|(a, b)| a != b) {
            None => self.segments.len() == other.segments.len(),
            Some((a, b)) => a.rivals(b),
        }
    }
}

impl Segment {
    /// Whether two different segments overlap without a natural order. Two parameters have one: the longer first.
    const fn rivals(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Rest, Self::Parameter(_)) | (Self::Parameter(_), Self::Rest))
    }
}

fn segment(text: &str) -> Result<Segment, &'static str> {
    let Some(parameter) = text.strip_prefix('{').filter(|rest| !rest.starts_with('{')) else {
        let literal = text.replace("{{", " ").replace("}}", " ");
        return if literal.contains(['{', '}']) {
            Err(
                "a parameter begins a part of the path: `{name}`; a brace that is meant literally is written twice",
            )
        } else {
            Ok(Segment::Literal(text.into()))
        };
    };
    let (name, after) = parameter.split_once('}').ok_or("`{` without `}`")?;
    let rest = name.strip_prefix('*');
    let name = rest.unwrap_or(name);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return Err("a parameter needs a name of letters, digits, `_` and `-`");
    }
    if after.contains(['{', '}']) {
        return Err("after a parameter a part of the path holds no braces");
    }
    match rest {
        None => Ok(Segment::Parameter(after.into())),
        Some(_) if after.is_empty() => Ok(Segment::Rest),
        Some(_) => Err("`{*…}` must be the end of the path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rivals(a: &str, b: &str) -> bool {
        let (a, b) = (Pattern::parse(a).unwrap(), Pattern::parse(b).unwrap());
        assert_eq!(a.rivals(&b), b.rivals(&a));
        a.rivals(&b)
    }

    #[test]
    fn the_names_of_parameters_do_not_tell_paths_apart() {
        assert!(rivals("/a/{x}", "/a/{y}"));
        assert!(rivals("/a/{*x}", "/a/{*y}"));
        assert!(rivals("/{{a}}", "/{{a}}"));
        assert!(rivals("/a/{x}", "/a/{*rest}"));
        assert!(rivals("/a/{x}/b", "/a/{*rest}"));
        assert!(rivals("/a/{x}.png", "/a/{*rest}"));
    }

    #[test]
    fn different_paths_are_told_apart() {
        for (a, b) in [
            ("/a", "/a/"),
            ("/a/{x}", "/a/b"),
            ("/a/{x}", "/a/{x}.png"),
            ("/a/{x}.png", "/a/{x}.jpg"),
            ("/{{a}}", "/{a}"),
            ("/a/{*rest}", "/a/b/{x}"),
        ] {
            assert!(!rivals(a, b), "{a} {b}");
        }
    }

    #[test]
    fn malformed_paths_are_refused() {
        for path in [
            "", "a", "/{", "/}", "/{}", "/{*}", "/{a", "/{a}{b}", "/{*a}/b", "/{*a}b", "/{a b}", "/a b",
            "/a?b", "/a#b", "/{a}}", "/{a.b}", "/{a/b}", "/{{{a}", "/a{*b}", "//", "/a//b", "/a{b}",
            "/}}{b}", "/{a}{{", "/}{{}",
        ] {
            assert!(Pattern::parse(path).is_err(), "{path}");
        }
    }
}
