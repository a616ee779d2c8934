//! The routes of the platform's own gateway: which features they need, and whether the catalog gates them.

use entitlements_core::catalog::{Charge, FeatureKind};
use entitlements_core::{Amount, Catalog};
use entitlements_tower::Rule;

/// What a `POST` consumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Consumed {
    pub(crate) meter: &'static str,
    pub(crate) amount: u32,
    pub(crate) charge: Charge,
}

/// A route of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnRoute {
    pub(crate) path: &'static str,
    pub(crate) feature: &'static str,
    pub(crate) post: Option<Consumed>,
}

pub(crate) const GENERATE_REPORT: &str = "/v1/reports/generate";
pub(crate) const GENERATE_TEXT: &str = "/v1/gen-ai";

/// The meters that the handler behind [`GENERATE_TEXT`] reports.
pub(crate) const TOKENS_IN: &str = "ai_tokens_input";
/// See [`TOKENS_IN`].
pub(crate) const TOKENS_OUT: &str = "ai_tokens_output";

/// Every route of the gateway.
pub(crate) const ALL: [OwnRoute; 6] = [
    OwnRoute {
        path: GENERATE_REPORT,
        feature: "report_builder",
        post: Some(Consumed { meter: "reports_generated", amount: 1, charge: Charge::Admit }),
    },
    OwnRoute { path: "/v1/reports/export/pdf", feature: "export_pdf", post: None },
    OwnRoute { path: "/v1/boardroom", feature: "boardroom_live", post: None },
    OwnRoute { path: "/v1/forecast", feature: "forecast", post: None },
    OwnRoute {
        path: "/v1/nlq",
        feature: "nlq",
        post: Some(Consumed { meter: "nlq_queries", amount: 1, charge: Charge::Admit }),
    },
    OwnRoute {
        path: GENERATE_TEXT,
        feature: "gen_ai_reports",
        post: Some(Consumed { meter: TOKENS_IN, amount: 300, charge: Charge::Actual }),
    },
];

/// What the catalog lacks of the names that the routes use, one line each.
pub(crate) fn missing_names(catalog: &Catalog) -> Vec<String> {
    let features = ALL.iter().map(|route| (route.feature, false));
    let meters = ALL.iter().filter_map(|route| route.post).map(|post| (post.meter, true));
    let mut lines = Vec::new();
    for (name, meter) in features.chain(meters).chain([(TOKENS_OUT, true)]) {
        match catalog.feature(name) {
            None => lines.push(format!("features: `{name}` is missing; the platform's own routes use it")),
            Some(feature) if meter && feature.kind() != FeatureKind::Meter => lines.push(format!(
                "features.{name}: is a {}; the platform's own routes use it as a meter",
                feature.kind()
            )),
            Some(_) => {}
        }
    }
    lines
}

/// A route, for one of its methods, that no rule of the catalog matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ungated {
    method: &'static str,
    route: OwnRoute,
}

impl Ungated {
    /// The rule that the platform adds, so that none of its routes is ever open by omission.
    pub(crate) fn rule(&self) -> Rule {
        let rule = Rule::new(self.to_string()).require(self.route.feature);
        match self.route.post {
            Some(post) if self.method == "POST" => {
                rule.consume_units(post.meter, Amount::from(post.amount), post.charge)
            }
            _ => rule,
        }
    }
}

impl std::fmt::Display for Ungated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.route.path)
    }
}

/// The routes that no rule of the catalog matches.
pub(crate) fn ungated(catalog: &Catalog) -> Vec<Ungated> {
    let routes = &catalog.routing().routes;
    let gated = |method: &str, path: &str| {
        routes.iter().any(|rule| {
            let mut pattern = matchit::Router::new();
            rule.method.as_deref().is_none_or(|named| named == method)
                && pattern.insert(rule.path.as_str(), ()).is_ok()
                && pattern.at(path).is_ok()
        })
    };
    let methods = |route: &'static OwnRoute| ["GET", "POST"].map(|method| Ungated { method, route: *route });
    ALL.iter().flat_map(methods).filter(|ungated| !gated(ungated.method, ungated.route.path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT_IN: &str = include_str!("../catalog.toml");

    #[test]
    fn the_built_in_catalog_has_every_name_and_gates_every_route() {
        let catalog: Catalog = BUILT_IN.parse().unwrap();
        assert_eq!(missing_names(&catalog), [] as [&str; 0]);
        assert_eq!(ungated(&catalog), []);
    }

    #[test]
    fn a_route_that_the_catalog_does_not_gate_gets_a_rule() {
        let (features, _) = BUILT_IN.split_once("[routing]").unwrap();
        let catalog: Catalog =
            format!("{features}\n[routing]\nunmatched = \"allow\"\n[[routes]]\nmatch = \"GET /v1/nlq\"\nrequire = \"nlq\"")
                .parse()
                .unwrap();
        let open: Vec<_> = ungated(&catalog).iter().map(ToString::to_string).collect();
        assert_eq!(open.len(), 11);
        assert!(
            open.contains(&"POST /v1/nlq".to_owned()) && !open.contains(&"GET /v1/nlq".to_owned()),
            "{open:?}"
        );
    }

    #[test]
    fn a_catch_all_gates_what_is_below_it() {
        let (features, _) = BUILT_IN.split_once("[routing]").unwrap();
        let catalog: Catalog = format!(
            "{features}\n[routing]\nunmatched = \"allow\"\n[[routes]]\nmatch = \"/v1/{{*rest}}\"\nrequire = \"nlq\""
        )
        .parse()
        .unwrap();
        assert_eq!(ungated(&catalog), []);
    }

    #[test]
    fn a_missing_name_is_named() {
        let catalog: Catalog =
            "schema = 1\npast_due_grace = \"7d\"\n[features]\nnlq_queries = { type = \"flag\" }"
                .parse()
                .unwrap();
        let lines = missing_names(&catalog);
        assert_eq!(lines.len(), 10);
        assert!(lines.contains(&"features: `forecast` is missing; the platform's own routes use it".into()));
        assert!(lines.iter().any(|line| line.starts_with("features.nlq_queries: is a flag")));
    }
}
