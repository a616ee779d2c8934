use entitlements_core::id::{CompanyId, UserId};
use entitlements_core::{Action, Context, Request, Subject};

use crate::random::Random;

/// A question that owns its parts.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) subject: Subject,
    feature: &'static str,
    action: Action,
    resource: Option<&'static str>,
    context: Context,
}

impl Question {
    pub(crate) fn any(companies: &[&CompanyId], random: &mut Random) -> Self {
        let company = random.pick(companies).clone();
        let user = random.pick(&[None, None, Some("u"), Some("v")]);
        let mut context = Context::default();
        for name in ["region", "tier"] {
            if let Some(value) = random.pick(&[None, Some("eu"), Some("us")]) {
                context = context.with(name, value);
            }
        }
        Self {
            subject: Subject { company, user: user.map(|user| UserId::new(user).unwrap()) },
            feature: random.pick(&["export", "secret", "secret", "size", "reports"]),
            action: random.pick(&[Action::View, Action::View, Action::Create]),
            resource: random.pick(&[None, None, None, Some("r")]),
            context,
        }
    }

    pub(crate) fn request(&self) -> Request<'_> {
        let mut request = Request::new(&self.subject, self.feature, self.action).with_context(&self.context);
        request.resource = self.resource;
        request
    }

    pub(crate) fn is_of_a_meter(&self) -> bool {
        self.feature == "reports"
    }
}
