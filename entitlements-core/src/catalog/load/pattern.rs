//! Patterns: the paths of routes.

/// A path pattern, checked. The names of its parameters are left out: they do not change what it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// One parameter with what stands before and after it.
    Parameter(Box<str>, Box<str>),
    /// The rest of the path, with what stands before it.
    Rest(Box<str>),
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
        let segments = path.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
        let last = segments.len().saturating_sub(1);
        if segments.iter().take(last).any(|segment| matches!(segment, Segment::Rest(_))) {
            return Err("`{*…}` must be the end of the path");
        }
        Ok(Self { segments })
    }

    /// Whether no router could tell the two apart.
    ///
    /// Where one has a parameter and the other the rest of the path, no order between them is natural.
    pub(super) fn rivals(&self, other: &Self) -> bool {
        let mut pairs = self.segments.iter().zip(&other.segments);
        let differs = pairs.find(|(a, b)| a != b);
        match differs {
            None => self.segments.len() == other.segments.len(),
            Some(
                (Segment::Rest(a), Segment::Parameter(b, _)) | (Segment::Parameter(b, _), Segment::Rest(a)),
            ) => a == b,
            Some(_) => false,
        }
    }
}

fn segment(text: &str) -> Result<Segment, &'static str> {
    const UNCLOSED: &str = "`{` without `}`; a brace that is meant literally is written twice";
    let mut before = String::new();
    let mut parameter = None;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (literal, braces) = rest.split_at(at);
        before.push_str(literal);
        if let Some(after) = braces.strip_prefix("{{").or_else(|| braces.strip_prefix("}}")) {
            before.push_str(braces.get(..1).unwrap_or_default());
            rest = after;
            continue;
        }
        let Some(inside) = braces.strip_prefix('{') else {
            return Err("`}` without `{`; a brace that is meant literally is written twice");
        };
        let (name, after) = inside.split_once('}').ok_or(UNCLOSED)?;
        let (name, is_rest) = match name.strip_prefix('*') {
            Some(name) => (name, true),
            None => (name, false),
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return Err("a parameter needs a name of letters, digits, `_` and `-`");
        }
        if parameter.is_some() {
            return Err("a part of a path holds at most one parameter");
        }
        if is_rest && !after.is_empty() {
            return Err("`{*…}` must be the end of the path");
        }
        parameter = Some((std::mem::take(&mut before), is_rest));
        rest = after;
    }
    before.push_str(rest);
    Ok(match parameter {
        None => Segment::Literal(before.into()),
        Some((prefix, true)) => Segment::Rest(prefix.into()),
        Some((prefix, false)) => Segment::Parameter(prefix.into(), before.into()),
    })
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
    }

    #[test]
    fn different_paths_are_told_apart() {
        for (a, b) in [("/a", "/a/"), ("/a/{x}", "/a/b"), ("/a/{x}.png", "/a/{x}.jpg"), ("/{{a}}", "/{a}")] {
            assert!(!rivals(a, b), "{a} {b}");
        }
        assert!(!rivals("/a/{*rest}", "/a/b/{x}"));
    }

    #[test]
    fn malformed_paths_are_refused() {
        for path in [
            "", "a", "/{", "/}", "/{}", "/{*}", "/{a", "/{a}{b}", "/{*a}/b", "/{*a}b", "/{a b}", "/a b",
            "/a?b", "/a#b", "/{a}}", "/{a.b}", "/{a/b}",
        ] {
            assert!(Pattern::parse(path).is_err(), "{path}");
        }
    }
}
